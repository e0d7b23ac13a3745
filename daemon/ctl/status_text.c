/*
 * The status file in words, the most important first. Members that this program does not know, and
 * values that the daemon does not know, are left out.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/moment.h"
#include "base/plural.h"
#include "base/process_name.h"
#include "ctl/status_internal.h"
#include "store/measures.h"

#define TEXT(number)    #number
#define TEXT_OF(number) TEXT(number) /* of what the macro `number` stands for */

#define MIB       1048576.0
#define DAY_MS    INT64_C(86400000)
#define BAR_WIDTH 30
#define MANY_DAYS 3650 /* a longer time is shown as "more than 10 years" */

int64_t ctl_status_integer(const json_t *object, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(object, key));
}

const char *ctl_status_string(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value != NULL ? value : "";
}

static double real(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* Returns true when the daemon knows the value of the member. */
static bool known(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return value != NULL && !json_is_null(value);
}

/* Returns true when the database is PostgreSQL's. */
static bool of_server(const json_t *database)
{
    return strcmp(ctl_status_string(database, "engine"), "postgresql") == 0;
}

static void print_time(FILE *out, const char *name, int64_t time_ms)
{
    char text[MOMENT_SIZE];

    if (time_ms != 0) {
        fprintf(out, "  %-14s %s\n", name, moment_text(time_ms, text));
    }
}

static void print_catch_up(FILE *out, const json_t *catch_up)
{
    double done = real(catch_up, "done");
    int filled = (int)(done * BAR_WIDTH);
    char lag[DURATION_SIZE];
    char left[DURATION_SIZE];

    fprintf(out, "  %-14s [", "catching up");
    for (int i = 0; i < BAR_WIDTH; i++) {
        fputc(i < filled ? '#' : '.', out);
    }
    fprintf(out, "] %d %% of %s, ", (int)(done * 100),
            duration_text(ctl_status_integer(catch_up, "from_lag_ms"), lag));
    if (known(catch_up, "left_ms")) {
        fprintf(out, "about %s left\n",
                duration_text(ctl_status_integer(catch_up, "left_ms"), left));
    } else {
        fputs("time left unknown yet\n", out);
    }
}

static void print_flow(FILE *out, const json_t *root)
{
    char lag[DURATION_SIZE];

    print_time(out, "started", ctl_status_integer(root, "started_ms"));
    if (known(root, "catch_up")) {
        print_catch_up(out, json_object_get(root, "catch_up"));
    }
    if (known(root, "lag_ms")) {
        fprintf(out, "  %-14s %s between the newest reading and now\n", "lag",
                duration_text(ctl_status_integer(root, "lag_ms"), lag));
    }
    fprintf(out, "  %-14s %.1f now; %.1f, %.1f, %.1f over 1, 5 and 15 minutes\n", "messages/s",
            real(root, "rate_per_s"), real(root, "rate_1min_per_s"), real(root, "rate_5min_per_s"),
            real(root, "rate_15min_per_s"));
}

static void print_filters(FILE *out, const json_t *filters)
{
    const json_t *filter;
    size_t i;

    json_array_foreach(filters, i, filter)
    {
        fprintf(out, "  %-14s %s (", "filter", ctl_status_string(filter, "filter"));
        if (!known(filter, "granted_qos")) {
            fprintf(out, "QoS %" PRId64 " asked, not granted)\n",
                    ctl_status_integer(filter, "qos"));
        } else if (ctl_status_integer(filter, "granted_qos") < ctl_status_integer(filter, "qos")) {
            fprintf(out, "QoS %" PRId64 " asked, %" PRId64 " granted)\n",
                    ctl_status_integer(filter, "qos"), ctl_status_integer(filter, "granted_qos"));
        } else {
            fprintf(out, "QoS %" PRId64 ")\n", ctl_status_integer(filter, "granted_qos"));
        }
    }
}

/* Prints the version of MQTT with what was agreed on. With MQTT 3.1.1 the broker alone decides
 * about the window and how long it keeps the session, and does not say. */
static void print_protocol(FILE *out, const json_t *session)
{
    const char *reason = ctl_status_string(session, "protocol_reason");
    char kept[DURATION_SIZE];

    fprintf(out, "  %-14s MQTT %s", "protocol", ctl_status_string(session, "protocol"));
    if (known(session, "receive_maximum")) {
        fprintf(out, "; window %" PRId64 " asked", ctl_status_integer(session, "receive_maximum"));
    }
    if (known(session, "session_expiry_ms")) {
        duration_text(ctl_status_integer(session, "session_expiry_ms"), kept);
        fprintf(out,
                json_is_false(json_object_get(session, "session_expiry_told"))
                    ? "; session expiry %s asked, the broker tells no other"
                    : "; the broker keeps the session for %s",
                kept);
    }
    fprintf(out, "; keep alive %" PRId64 " s\n", ctl_status_integer(session, "keepalive_s"));
    if (reason[0] != '\0') {
        fprintf(out, "  %-14s %s\n", "", reason);
    }
}

static void print_session(FILE *out, const json_t *session)
{
    const char *name = ctl_status_string(session, "name");
    const char *reason = ctl_status_string(session, "reason");
    char text[MOMENT_SIZE];
    char wait[DURATION_SIZE];

    fprintf(out, "Session %s%s%s: %s\n", ctl_status_string(session, "client_id"),
            name[0] != '\0' ? " " : "", name, ctl_status_string(session, "state"));
    if (reason[0] != '\0') {
        fprintf(out, "  %-14s %s\n", "because", reason);
    }
    if (known(session, "retry_in_ms")) {
        fprintf(out, "  %-14s in %s\n", "next try",
                duration_text(ctl_status_integer(session, "retry_in_ms"), wait));
    }
    if (known(session, "connected_since_ms")) {
        fprintf(out, "  %-14s %s, %s\n", "connected",
                moment_text(ctl_status_integer(session, "connected_since_ms"), text),
                json_is_true(json_object_get(session, "session_present"))
                    ? "the broker had kept the session"
                    : "the broker made a new session");
    }
    if (known(session, "protocol")) {
        print_protocol(out, session);
    }
    print_filters(out, json_object_get(session, "filters"));
    fprintf(out, "  %-14s %" PRId64 " message%s\n", "received",
            ctl_status_integer(session, "received"),
            plural_s(ctl_status_integer(session, "received")));
    /* A peak at the broker's limit during a catch-up shows that the in-flight window limits the
     * rate. */
    fprintf(out, "  %-14s %" PRId64 ", at most %" PRId64 " in the last seconds\n", "in flight",
            ctl_status_integer(session, "in_flight"),
            ctl_status_integer(session, "in_flight_peak"));
    if (known(session, "last_error_ms")) {
        fprintf(out, "  %-14s %s: %s\n", "last error",
                moment_text(ctl_status_integer(session, "last_error_ms"), text),
                ctl_status_string(session, "last_error"));
    }
}

void ctl_status_print_reasons(FILE *out, const json_t *counts)
{
    const char *reason;
    const json_t *count;

    json_object_foreach((json_t *)counts, reason, count)
    {
        if (json_integer_value(count) > 0) {
            fprintf(out, "  %-14s %" JSON_INTEGER_FORMAT "\n", reason, json_integer_value(count));
        }
    }
}

/* Prints the share of quarantined messages if it is large, how to look at them, and what to do. */
static void print_latest(FILE *out, const json_t *root)
{
    const json_t *latest = json_object_get(root, "latest");

    if (json_is_true(json_object_get(latest, "most"))) {
        const json_t *database = json_object_get(root, "database");
        bool file = !of_server(database);

        fprintf(out,
                "  %-14s %" PRId64 " of the latest %" PRId64 " messages, reason %s; look at them: "
                "%s%s \"SELECT detail, topic, payload FROM quarantine WHERE reason = "
                "'%s' ORDER BY last_received_ms DESC LIMIT 10\"; when they are understood: "
                "foxtrackrctl replay\n",
                "in quarantine", ctl_status_integer(latest, "quarantined"),
                ctl_status_integer(latest, "messages"), ctl_status_string(latest, "reason"),
                file ? "sqlite3 -readonly " : "psql -c",
                file ? ctl_status_string(database, "path") : "",
                ctl_status_string(latest, "reason"));
    }
}

static void print_counts(FILE *out, const json_t *root)
{
    const json_t *counts = json_object_get(root, "counts");

    fprintf(out,
            "This run: %" PRId64 " received = %" PRId64 " stored + %" PRId64 " duplicate + %" PRId64
            " quarantined; %" PRId64 " pending, %" PRId64 " unacknowledged\n",
            ctl_status_integer(counts, "received"), ctl_status_integer(counts, "stored"),
            ctl_status_integer(counts, "duplicate"), ctl_status_integer(counts, "quarantined"),
            ctl_status_integer(root, "pending"), ctl_status_integer(root, "unacknowledged"));
    if (ctl_status_integer(root, "in_inbox") > 0) {
        int64_t waiting = ctl_status_integer(root, "in_inbox");

        fprintf(out, "  %-14s %" PRId64 " %s\n", "in the inbox", waiting,
                plural(waiting, "message, on disk, on its way into its table",
                       "messages, on disk, on their way into the tables"));
    }
    if (ctl_status_integer(root, "strangers") > 0) {
        fprintf(out,
                "  %-14s %" PRId64 " connection%s of other programs to the relay, turned away\n",
                "strangers", ctl_status_integer(root, "strangers"),
                plural_s(ctl_status_integer(root, "strangers")));
    }
    ctl_status_print_reasons(out, json_object_get(root, "quarantined_by_reason"));
    print_latest(out, root);
}

/* Prints the size of batches and the duration of commits. */
static void print_commits(FILE *out, const json_t *database, int64_t received)
{
    int64_t commits = ctl_status_integer(database, "commits");

    print_time(out, "last commit", ctl_status_integer(database, "last_commit_ms"));
    if (commits > 0) {
        fprintf(out,
                "  %-14s %" PRId64 ", %.1f messages and %.2f ms on average; last %" PRId64
                " in %.2f ms\n",
                "commits", commits, (double)received / (double)commits,
                real(database, "commits_us") / 1000 / (double)commits,
                ctl_status_integer(database, "last_batch"),
                real(database, "last_commit_us") / 1000);
    }
}

/* Prints the free space, and how long it lasts at the observed growth. */
static void print_space(FILE *out, const json_t *database)
{
    double growth = real(database, "growth_bytes_per_day");
    double days = real(database, "days_left");

    fprintf(out, "  %-14s %.0f MiB free; ", "space", real(database, "free_bytes") / MIB);
    if (!known(database, "growth_bytes_per_day")) {
        fputs("for how long is unknown yet: the growth is observed for an hour first\n", out);
    } else if (!known(database, "days_left")) {
        fputs("the database does not grow\n", out);
    } else if (days > MANY_DAYS) {
        fprintf(out, "at %.1f MiB a day they last for more than 10 years\n", growth / MIB);
    } else {
        fprintf(out, "at %.1f MiB a day they last for about %.0f d\n", growth / MIB, floor(days));
    }
}

/* Prints the reader that keeps the WAL from being restarted. Looks its name up again, which may be
 * hidden from the daemon. */
static void print_reader(FILE *out, const json_t *reader)
{
    char process[PROCESS_TEXT_SIZE];
    char age[DURATION_SIZE];

    if (json_is_object(reader)) {
        fprintf(out,
                "  %-14s kept from being emptied by %s, for %s at least: end its transaction\n",
                "WAL",
                process_text(ctl_status_integer(reader, "pid"), ctl_status_string(reader, "name"),
                             process),
                duration_text(ctl_status_integer(reader, "for_ms"), age));
    }
}

/* Prints that an earlier state was put in the place of the database. */
static void print_restored(FILE *out, const json_t *restored)
{
    char at[MOMENT_SIZE];
    char from[MOMENT_SIZE];

    if (json_is_object(restored)) {
        fprintf(out, "  %-14s %s: %s in its place; what was acknowledged from %s on is missing\n",
                "restored", moment_text(ctl_status_integer(restored, "at_ms"), at),
                strcmp(ctl_status_string(restored, "what"), "backup") == 0
                    ? "a backup was put"
                    : "an older copy was found",
                moment_text(ctl_status_integer(restored, "from_ms"), from));
    }
}

/* Prints the server, and how steady the connection to it is. */
static void print_server(FILE *out, const json_t *database)
{
    int64_t reconnects = ctl_status_integer(database, "reconnects");
    int64_t unknown = ctl_status_integer(database, "unknown_commits");

    if (known(database, "server")) {
        fprintf(out, "  %-14s %s\n", "server", ctl_status_string(database, "server"));
    }
    if (reconnects > 0) {
        fprintf(out, "  %-14s %" PRId64 " in this run", "reconnects", reconnects);
        if (unknown > 0) {
            fprintf(out, "; %" PRId64 " commit%s without an answer, %" PRId64 " had taken effect",
                    unknown, plural_s(unknown),
                    ctl_status_integer(database, "committed_after_all"));
        }
        fputc('\n', out);
    }
}

static void print_sizes(FILE *out, const json_t *database)
{
    if (!of_server(database)) {
        fprintf(out, "  %-14s %.1f MiB, WAL %.1f MiB\n", "size", real(database, "bytes") / MIB,
                real(database, "wal_bytes") / MIB);
    } else if (known(database, "bytes")) {
        fprintf(out, "  %-14s %.1f MiB\n", "size", real(database, "bytes") / MIB);
    }
}

static void print_database(FILE *out, const json_t *root)
{
    const json_t *database = json_object_get(root, "database");
    char left[DURATION_SIZE];

    fprintf(out, "Database %s: %s\n", ctl_status_string(database, "path"),
            ctl_status_string(database, "state"));
    if (ctl_status_string(database, "reason")[0] != '\0') {
        fprintf(out, "  %-14s %s\n", "because", ctl_status_string(database, "reason"));
    }
    print_server(out, database);
    print_commits(out, database, ctl_status_integer(json_object_get(root, "counts"), "received"));
    print_sizes(out, database);
    print_restored(out, json_object_get(database, "restored"));
    print_reader(out, json_object_get(database, "log_reader"));
    if (!of_server(database)) {
        print_space(out, database);
    }
    if (ctl_status_string(database, "retention_waits")[0] != '\0') {
        fprintf(out, "  %-14s %s before it deletes %s, more than half of a table: see the log\n",
                "retention waits",
                duration_text(ctl_status_integer(database, "retention_waits_left_ms"), left),
                ctl_status_string(database, "retention_waits"));
    }
}

static void print_gaps(FILE *out, const json_t *gaps)
{
    const json_t *last = json_object_get(gaps, "last");
    char from[MOMENT_SIZE];
    char to[MOMENT_SIZE];

    if (!known(gaps, "count")) {
        return;
    }
    if (ctl_status_integer(gaps, "count") == 0) {
        fprintf(out, "  %-14s none\n", "gaps");
        return;
    }
    fprintf(out, "  %-14s %" PRId64 "; the last: %s, %s, from %s to %s\n", "gaps",
            ctl_status_integer(gaps, "count"), ctl_status_string(last, "client_id"),
            ctl_status_string(last, "reason"),
            moment_text(ctl_status_integer(last, "from_ms"), from),
            moment_text(ctl_status_integer(last, "to_ms"), to));
}

/* Prints how many devices need attention, and the views that name them. */
static void print_devices(FILE *out, const json_t *devices)
{
    static const struct {
        const char *key;
        const char *name;
        const char *view;
    } counts[] = {
        {"silent", "silent", "longer than is usual for them: see the view silent_devices"},
        {"temperature_excursions", "beyond limits",
         "of temperature, not back yet: see the view temperature_excursions"},
        {"batteries_low", "low batteries",
         "below " TEXT_OF(STORE_LEVEL_LOW_PCT) " %, or what the table limits has for them"},
    };
    char text[MOMENT_SIZE];

    if (!json_is_object(devices)) {
        return;
    }
    fprintf(out, "Devices: %" PRId64 ", counted %s\n", ctl_status_integer(devices, "count"),
            moment_text(ctl_status_integer(devices, "counted_ms"), text));
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        int64_t count = ctl_status_integer(devices, counts[i].key);

        if (count == 0) {
            fprintf(out, "  %-14s none\n", counts[i].name);
        } else {
            fprintf(out, "  %-14s %" PRId64 " %s\n", counts[i].name, count, counts[i].view);
        }
    }
}

static void print_certificate(FILE *out, const char *name, const json_t *certificates,
                              const char *key, int64_t now_ms)
{
    int64_t expiry_ms = ctl_status_integer(certificates, key);
    char text[MOMENT_SIZE];

    if (!known(certificates, key)) {
        return;
    }
    moment_date(expiry_ms, text);
    if (expiry_ms < now_ms) {
        fprintf(out, "  %-14s expired on %s\n", name, text);
    } else {
        fprintf(out, "  %-14s until %s, %" PRId64 " d left\n", name, text,
                (expiry_ms - now_ms) / DAY_MS);
    }
}

static void print_certificates(FILE *out, const json_t *certificates)
{
    int64_t now_ms = clock_wall_ms();

    if (!known(certificates, "broker_expires_ms") && !known(certificates, "ca_expires_ms") &&
        !known(certificates, "client_expires_ms")) {
        return;
    }
    fputs("Certificates\n", out);
    print_certificate(out, "broker", certificates, "broker_expires_ms", now_ms);
    print_certificate(out, "last CA", certificates, "ca_expires_ms", now_ms);
    print_certificate(out, "client", certificates, "client_expires_ms", now_ms);
}

void ctl_status_print(FILE *out, const json_t *root)
{
    const json_t *session;
    size_t i;

    fprintf(out, "foxtrackrd %s, pid %" PRId64 ": %s\n", ctl_status_string(root, "version"),
            ctl_status_integer(root, "pid"), ctl_status_string(root, "text"));
    if (!known(root, "counts")) { /* a daemon that waits has no more to tell */
        print_time(out, "started", ctl_status_integer(root, "started_ms"));
        return;
    }
    print_flow(out, root);
    json_array_foreach(json_object_get(root, "sessions"), i, session)
    {
        print_session(out, session);
    }
    print_counts(out, root);
    print_database(out, root);
    print_gaps(out, json_object_get(root, "gaps"));
    print_devices(out, json_object_get(root, "devices"));
    print_certificates(out, json_object_get(root, "certificates"));
}
