/*
 * The sessions that the database knows and that are not configured any more: a broker may go on
 * queuing messages for them. The status file has only those of the running daemon, so this program
 * looks into the database, where it may read it. A failure is left to the count of quarantine,
 * which reads the same database and tells why it could not.
 */
#include <string.h>

#include "base/moment.h"
#include "ctl/status_internal.h"
#include "store/sessions.h"
#include "store/store.h"

#define BUSY_TIMEOUT_MS 500

static void add(void *context, const char *client_id, const char *broker, int64_t used_ms)
{
    json_array_append_new(context, json_pack("{s:s, s:s, s:I}", "client_id", client_id, "broker",
                                             broker, "used_ms", (json_int_t)used_ms));
}

/* Sets the client ids of the configured sessions, or of the running daemon's. Returns their number.
 */
static unsigned configured(const struct ctl_status_source *source, const json_t *root,
                           const char *client_ids[CONFIG_SESSIONS_MAX])
{
    const struct config *config = source->config;
    const json_t *sessions = json_object_get(root, "sessions");
    size_t count = config != NULL ? config->session_count : json_array_size(sessions);

    for (size_t i = 0; i < count && i < CONFIG_SESSIONS_MAX; i++) {
        client_ids[i] = config != NULL
                            ? config->sessions[i].client_id
                            : ctl_status_string(json_array_get(sessions, i), "client_id");
    }
    return count < CONFIG_SESSIONS_MAX ? (unsigned)count : CONFIG_SESSIONS_MAX;
}

json_t *ctl_status_unused(const struct ctl_status_source *source, const json_t *root)
{
    struct store_options options = ctl_status_options(source, root);
    const char *client_ids[CONFIG_SESSIONS_MAX];
    unsigned count = configured(source, root, client_ids);
    char problem[CTL_STATUS_PROBLEM_SIZE];
    json_t *unused = json_array();
    struct store *store;

    options.busy_timeout_ms = BUSY_TIMEOUT_MS;
    options.read_only = true;
    /* The disk would hold this program too. */
    if (!ctl_status_reaches(source, root) ||
        strcmp(ctl_status_string(root, "state"), "waiting for the disk") == 0 ||
        store_open(&options, &store, problem, sizeof(problem)) != STORE_OK) {
        return unused;
    }
    (void)store_sessions_unused(store, client_ids, count, add, unused);
    store_close(store);
    return unused;
}

void ctl_status_print_unused(FILE *out, const json_t *unused)
{
    const json_t *session;
    size_t i;

    json_array_foreach((json_t *)unused, i, session)
    {
        char used[MOMENT_SIZE];

        fprintf(out, STORE_SESSION_UNUSED "\n", ctl_status_string(session, "client_id"),
                ctl_status_string(session, "broker"),
                moment_text(ctl_status_integer(session, "used_ms"), used));
    }
}
