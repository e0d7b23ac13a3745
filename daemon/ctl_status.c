#include "ctl_status.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "clock.h"
#include "duration.h"

#define STALE_INTERVALS 3
#define STALE_SLACK_MS  5000

static int64_t integer(const json_t *object, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(object, key));
}

static const char *string(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value != NULL ? value : "";
}

static void print_time(const char *label, int64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc;
    char text[32];

    if (time_ms != 0 && gmtime_r(&seconds, &utc) != NULL) {
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &utc);
        printf("  %-14s %s\n", label, text);
    }
}

static void print_session(const json_t *session)
{
    const json_t *filter;
    size_t i;

    printf("Session %s%s%s: %s\n", string(session, "client_id"),
           string(session, "name")[0] != '\0' ? " " : "", string(session, "name"),
           string(session, "state"));
    if (string(session, "reason")[0] != '\0') {
        printf("  %-14s %s\n", "because", string(session, "reason"));
    }
    if (!json_is_null(json_object_get(session, "retry_in_ms"))) {
        char wait[DURATION_SIZE];

        printf("  %-14s in %s\n", "next try", duration_text(integer(session, "retry_in_ms"), wait));
    }
    print_time("connected", integer(session, "connected_since_ms"));
    json_array_foreach(json_object_get(session, "filters"), i, filter)
    {
        printf("  %-14s %s (QoS %d)\n", "filter", json_string_value(filter),
               (int)integer(session, "qos"));
    }
    printf("  %-14s %" PRId64 " messages\n", "received", integer(session, "received"));
    /* A peak that stays at the broker's limit during a catch-up: the window is what limits it. */
    printf("  %-14s %" PRId64 ", at most %" PRId64 " in the last seconds\n", "in flight",
           integer(session, "in_flight"), integer(session, "in_flight_peak"));
}

/* How large batches are, and how long a commit takes. */
static void print_commits(const json_t *database, int64_t received)
{
    int64_t commits = integer(database, "commits");

    if (commits > 0) {
        printf("  %-14s %" PRId64 ", %.1f messages and %.2f ms on average; last %" PRId64
               " in %.2f ms\n",
               "commits", commits, (double)received / (double)commits,
               (double)integer(database, "commits_us") / 1000 / (double)commits,
               integer(database, "last_batch"), (double)integer(database, "last_commit_us") / 1000);
    }
}

static void print_quarantine(json_t *reasons)
{
    const char *reason;
    const json_t *count;

    json_object_foreach(reasons, reason, count)
    {
        if (json_integer_value(count) > 0) {
            printf("  %-14s %" JSON_INTEGER_FORMAT "\n", reason, json_integer_value(count));
        }
    }
}

static void print_status(const json_t *root)
{
    const json_t *counts = json_object_get(root, "counts");
    const json_t *database = json_object_get(root, "database");
    const json_t *session;
    size_t i;

    printf("foxtrackrd %s, pid %" PRId64 ": %s\n", string(root, "version"), integer(root, "pid"),
           string(root, "text"));
    print_time("started", integer(root, "started_ms"));
    json_array_foreach(json_object_get(root, "sessions"), i, session)
    {
        print_session(session);
    }
    printf("This run: %" PRId64 " received = %" PRId64 " stored + %" PRId64 " duplicate + %" PRId64
           " quarantined; %" PRId64 " pending\n",
           integer(counts, "received"), integer(counts, "stored"), integer(counts, "duplicate"),
           integer(counts, "quarantined"), integer(root, "pending"));
    print_quarantine(json_object_get(root, "quarantined_by_reason"));
    printf("Database %s: %s\n", string(database, "path"), string(database, "state"));
    if (string(database, "reason")[0] != '\0') {
        printf("  %-14s %s\n", "because", string(database, "reason"));
    }
    print_time("last commit", integer(database, "last_commit_ms"));
    print_commits(database, integer(counts, "received"));
    printf("  %-14s %.1f MiB, log %.1f MiB, free %.0f MiB\n", "size",
           (double)integer(database, "bytes") / 1048576,
           (double)integer(database, "wal_bytes") / 1048576,
           (double)integer(database, "free_bytes") / 1048576);
}

/* Whether the daemon that wrote the file still runs and still writes. */
static bool alive(const json_t *root, const char *path)
{
    int64_t age_ms = clock_wall_ms() - integer(root, "updated_ms");
    char age[DURATION_SIZE];

    if (kill((pid_t)integer(root, "pid"), 0) != 0 && errno == ESRCH) {
        fprintf(stderr,
                "foxtrackrctl: the daemon that wrote %s (pid %" PRId64
                ") is gone: it was killed, see its log\n",
                path, integer(root, "pid"));
        return false;
    }
    if (age_ms > STALE_INTERVALS * integer(root, "interval_ms") + STALE_SLACK_MS) {
        fprintf(stderr, "foxtrackrctl: %s is %s old: the daemon hangs or cannot write it\n", path,
                duration_text(age_ms, age));
        return false;
    }
    return true;
}

int ctl_status(const struct config *config, bool json)
{
    const char *path = config->status.file;
    json_error_t error;
    json_t *root;
    bool good;

    if (path == NULL) {
        fprintf(stderr, "foxtrackrctl: status.file is off in %s: there is nothing to read\n",
                config->path);
        return 1;
    }
    root = json_load_file(path, 0, &error);
    if (root == NULL) {
        fprintf(stderr, "foxtrackrctl: %s: %s: is foxtrackrd running?\n", path, error.text);
        return 1;
    }
    good = alive(root, path);
    if (json) {
        json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
    } else {
        print_status(root);
    }
    good = good && (strcmp(string(root, "state"), "subscribed") == 0 ||
                    strcmp(string(root, "state"), "catching up") == 0);
    json_decref(root);
    return good ? EX_OK : 1;
}
