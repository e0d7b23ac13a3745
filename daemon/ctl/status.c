/*
 * `foxtrackrctl status`: reads the status file, finds out whether its daemon is alive, and prints
 * it once. ctl/status_text.c formats it, ctl/follow.c is the live view.
 */
#include "ctl/say_internal.h"
#include "ctl/status_internal.h"
#include "ctl/work_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/error_text.h"
#include "base/moment.h"
#include "store/store.h"
#include "store/tools.h"

#define STALE_INTERVALS 3
#define STALE_SLACK_MS  5000
#define BUSY_TIMEOUT_MS 500
#define FILE_MAX        (INT64_C(4) << 20) /* bytes; with the most sessions it has 20 KiB */

/* Returns true when the daemon that wrote the file still runs and still writes. */
static bool alive(const json_t *root, const char *path, char problem[CTL_STATUS_PROBLEM_SIZE])
{
    int64_t age_ms = clock_wall_ms() - ctl_status_integer(root, "updated_ms");
    char age[DURATION_SIZE];

    if (kill((pid_t)ctl_status_integer(root, "pid"), 0) != 0 && errno == ESRCH) {
        snprintf(problem, CTL_STATUS_PROBLEM_SIZE,
                 "the daemon that wrote %s (pid %" PRId64 ") is gone: it was killed, see its log",
                 path, ctl_status_integer(root, "pid"));
        return false;
    }
    if (age_ms > STALE_INTERVALS * ctl_status_integer(root, "interval_ms") + STALE_SLACK_MS) {
        snprintf(problem, CTL_STATUS_PROBLEM_SIZE,
                 "%s is %s old: the daemon hangs or cannot write it", path,
                 duration_text(age_ms, age));
        return false;
    }
    return true;
}

/* Returns the file as JSON, or NULL with `problem` set. Never blocks: a pipe is refused. */
static json_t *load(const char *path, char problem[CTL_STATUS_PROBLEM_SIZE])
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    struct stat status;
    json_error_t error;
    json_t *root = NULL;

    if (fd < 0) {
        snprintf(problem, CTL_STATUS_PROBLEM_SIZE, "%s: %s: is foxtrackrd running?", path,
                 error_text(errno));
        return NULL;
    }
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size > FILE_MAX) {
        snprintf(problem, CTL_STATUS_PROBLEM_SIZE, "%s: is no status file of foxtrackrd", path);
    } else {
        root = json_loadfd(fd, 0, &error);
    }
    close(fd);
    if (root == NULL && problem[0] == '\0') {
        snprintf(problem, CTL_STATUS_PROBLEM_SIZE, "%s: %s: is foxtrackrd running?", path,
                 error.text);
    }
    return root;
}

struct store_options ctl_status_options(const struct ctl_status_source *source, const json_t *root)
{
    if (source->config != NULL) {
        return store_options_of(source->config);
    }
    return (struct store_options){
        .path = ctl_status_string(json_object_get(root, "database"), "path"),
    };
}

bool ctl_status_reaches(const struct ctl_status_source *source, const json_t *root)
{
    const char *engine = ctl_status_string(json_object_get(root, "database"), "engine");

    return source->config != NULL || strcmp(engine, "postgresql") != 0;
}

json_t *ctl_status_read(const struct ctl_status_source *source, bool *good,
                        char problem[CTL_STATUS_PROBLEM_SIZE])
{
    const char *path = source->file;
    const char *state;
    json_t *root;

    *good = false;
    problem[0] = '\0';
    root = load(path, problem);
    if (root == NULL) {
        return NULL;
    }
    state = ctl_status_string(root, "state");
    *good = alive(root, path, problem) &&
            (strcmp(state, "subscribed") == 0 || strcmp(state, "catching up") == 0 ||
             strcmp(state, "standby") == 0) &&
            !json_is_object(json_object_get(json_object_get(root, "database"), "log_reader"));
    return root;
}

static void print_json(const struct ctl_status_source *source, json_t *root)
{
    char problem[CTL_STATUS_PROBLEM_SIZE];
    json_t *counted = ctl_status_quarantine(source, root, problem);

    json_t *database = json_object_get(root, "database");

    /* Replaces the daemon's older number, so that all numbers are from the same moment. */
    if (counted != NULL) {
        json_object_set_new(database, "quarantine_entries",
                            json_integer(ctl_status_entries(counted)));
    }
    json_object_set_new(database, "quarantine_by_reason", counted != NULL ? counted : json_null());
    json_object_set_new(root, "sessions_unused", ctl_status_unused(source, root));
    ctl_say_json(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
}

/* Writes the content of a memory stream to standard output. */
static void print_memory(FILE *memory, char **text)
{
    if (memory != NULL && fclose(memory) == 0) {
        ctl_say_text(*text);
    }
    free(*text);
    *text = NULL;
}

/* All above is as of the status file; the quarantine below is counted now, and may be ahead of it.
 */
static void print_age(FILE *out, const json_t *root)
{
    int64_t updated_ms = ctl_status_integer(root, "updated_ms");
    int64_t age_ms = clock_wall_ms() - updated_ms;
    char moment[MOMENT_SIZE];
    char age[DURATION_SIZE];

    fprintf(out, "As of %s, %s ago\n", moment_text(updated_ms, moment),
            duration_text(age_ms > 0 ? age_ms : 0, age));
}

static void print_words(const struct ctl_status_source *source, const json_t *root)
{
    char problem[CTL_STATUS_PROBLEM_SIZE];
    char *text = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&text, &length);
    json_t *counted;

    if (memory != NULL) {
        ctl_status_print(memory, root);
        print_age(memory, root);
    }
    print_memory(memory, &text);
    /* Print first what is known without the database, whose reading may take long or fail. */
    fflush(stdout);
    counted = ctl_status_quarantine(source, root, problem);
    memory = open_memstream(&text, &length);
    if (memory != NULL) {
        json_t *unused = ctl_status_unused(source, root);

        ctl_status_print_quarantine(memory, root, counted, problem);
        ctl_status_print_unused(memory, unused);
        json_decref(unused);
    }
    print_memory(memory, &text);
    json_decref(counted);
}

/* Called without a status file: a daemon that holds the database's lock runs all the same. */
static void tell_daemon(const struct config *config)
{
    struct ctl_sessions sessions;
    const struct store_options options = ctl_work_options(config, &sessions);
    struct store_holder holder;

    if (!store_is_held(&options, &holder)) {
        return;
    }
    if (config->database.engine == CONFIG_POSTGRESQL) {
        ctl_say("a foxtrackrd does run (%s) and has the sessions of this configuration in %s; if "
                "it runs here, make the directory of %s for its user, see its log",
                holder.text, config->database.path, config->status.file);
    } else {
        ctl_say("a foxtrackrd does run (process %ld) and has %s, but has not written %s: make the "
                "file's directory for its user, see its log",
                holder.pid, config->database.path, config->status.file);
    }
}

/* No daemon tells anything: then a backup that was put in the place of the database, and that no
 * daemon has taken over yet, is worth a line. The mark is in the first page. */
static void tell_backup(const struct config *config)
{
    struct store_options options = store_options_of(config);
    char problem[CTL_STATUS_PROBLEM_SIZE];
    char taken[MOMENT_SIZE];
    struct store *store;
    int64_t taken_ms = 0;

    options.busy_timeout_ms = BUSY_TIMEOUT_MS;
    options.read_only = true;
    if (store_open(&options, &store, problem, sizeof(problem)) != STORE_OK) {
        return;
    }
    if (store_is_backup(store, &taken_ms)) {
        ctl_say("%s: is a backup of %s that was copied there; the daemon takes it over when it "
                "starts, and notes in the table gaps what is not in it",
                config->database.path, moment_text(taken_ms, taken));
    }
    store_close(store);
}

int ctl_status(const struct ctl_status_source *source, bool json)
{
    char problem[CTL_STATUS_PROBLEM_SIZE];
    json_t *root;
    bool good;

    if (source->file == NULL) {
        ctl_say("status.file is off in %s: there is nothing to read", source->config->path);
        return 1;
    }
    root = ctl_status_read(source, &good, problem);
    if (problem[0] != '\0') {
        ctl_say("%s", problem);
    }
    if (problem[0] != '\0' && source->config != NULL) {
        if (root == NULL) {
            tell_daemon(source->config);
        }
        tell_backup(source->config);
    }
    if (root != NULL && json) {
        print_json(source, root);
    } else if (root != NULL) {
        print_words(source, root);
    }
    json_decref(root);
    return good ? EX_OK : 1;
}
