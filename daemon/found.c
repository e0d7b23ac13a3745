/* Logs, at the start, how the database was found: by what the engine saw while it opened it. */
#include "found.h"

#include <errno.h>
#include <stddef.h>

#include "base/error_text.h"
#include "base/log.h"
#include "base/moment.h"
#include "store/sessions.h"
#include "store/start.h"

/* Logs that the database was replaced by an older state, at the priority of a lost session. */
static void tell_restored(const struct store_restoration *restoration)
{
    const struct log_fields fields = {.id = LOG_ID_GAP};
    char from[MOMENT_SIZE];
    char to[MOMENT_SIZE];

    if (restoration->kind == STORE_NOT_RESTORED) {
        return;
    }
    log_line_fields(LOG_ERR, &fields,
                    "database: it is %s: messages acknowledged between %s and %s are not in it, "
                    "and the broker will not send them again; noted in the table gaps for %lld "
                    "session%s",
                    restoration->kind == STORE_RESTORED_BACKUP
                        ? "a backup that was put in its place"
                        : "older than what foxtrackrd wrote here last: a copy was put in its place",
                    moment_text(restoration->from_ms, from), moment_text(restoration->to_ms, to),
                    (long long)restoration->clients, restoration->clients == 1 ? "" : "s");
}

int found_tell(struct store *store, const char *path)
{
    struct store_found found;
    int result = store_find_out(store, &found);

    if (found.lock_is_other) {
        log_warning(
            "database: %s.lock holds what is not foxtrackrd's: it is left as it is, and "
            "serves as the lock; but the state of the database cannot be recorded there, and "
            "an older copy in its place would not be noticed: move the file away while "
            "foxtrackrd is stopped",
            path);
    }
    if (found.strange) {
        log_warning("database: %s was not closed, and is not as foxtrackrd left it: the power "
                    "failed, another program wrote to it, or a copy was put in its place beside "
                    "the old write-ahead log, which has then undone that (foxtrackrctl restore "
                    "sets the log aside, too); no damage was found",
                    path);
    }
    if (found.readers_error != 0) {
        log_warning("database: %s-shm cannot be opened to look for readers: %s; neither log nor "
                    "status will name a reader that keeps the write-ahead log from being emptied: "
                    "mend that%s and restart foxtrackrd",
                    path, error_text(found.readers_error),
                    found.readers_error == EMFILE ? " (LimitNOFILE= of the unit)" : "");
    }
    tell_restored(&found.restoration);
    return result;
}

static void tell_unused(void *context, const char *client_id, const char *broker, int64_t used_ms)
{
    char used[MOMENT_SIZE];

    (void)context;
    log_warning(STORE_SESSION_UNUSED, client_id, broker, moment_text(used_ms, used));
}

int found_tell_unused(struct store *store, const char *const client_ids[], unsigned count)
{
    return store_sessions_unused(store, client_ids, count, tell_unused, NULL);
}

static void note_session(void *context, const char *client_id, const char *broker, int64_t used_ms)
{
    bool *is_new = context;

    (void)client_id;
    (void)broker;
    (void)used_ms;
    *is_new = false;
}

int found_is_new(struct store *store, bool *is_new)
{
    *is_new = true;
    return store_sessions_unused(store, NULL, 0, note_session, is_new);
}
