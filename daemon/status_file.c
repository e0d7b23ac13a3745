#include "status_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096

const char *status_file_session_state(enum session_state state)
{
    static const char *const names[] = {
        [SESSION_IDLE] = "stopped",          [SESSION_CONNECTING] = "connecting",
        [SESSION_SUBSCRIBED] = "subscribed", [SESSION_PARTIAL] = "partly subscribed",
        [SESSION_WAITING] = "waiting",       [SESSION_PAUSED] = "paused",
    };

    return names[state];
}

const char *status_file_writer_state(enum writer_state state)
{
    static const char *const names[] = {
        [WRITER_RUNNING] = "running",
        [WRITER_STALLED] = "takes nothing",
        [WRITER_FATAL] = "failed",
        [WRITER_ENDED] = "stopped",
    };

    return names[state];
}

/* Write bytes to path by way of a temporary file beside it. */
static int replace_file(const char *path, const char *bytes, size_t length)
{
    char temporary[PATH_SIZE];
    int fd;
    int rc = 0;

    if (snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= (int)sizeof(temporary)) {
        return -ENAMETOOLONG;
    }
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        return -errno;
    }
    while (length > 0 && rc == 0) {
        ssize_t written = write(fd, bytes, length);

        if (written < 0) {
            rc = errno == EINTR ? 0 : -errno;
        } else {
            bytes += written;
            length -= (size_t)written;
        }
    }
    if (close(fd) != 0 && rc == 0) {
        rc = -errno;
    }
    if (rc == 0 && rename(temporary, path) != 0) {
        rc = -errno;
    }
    if (rc != 0) {
        unlink(temporary);
    }
    return rc;
}

/* --- JSON ---------------------------------------------------------------------------------- */

/* Times of 0 mean "never" here. */
static json_t *time_or_null(int64_t time_ms)
{
    return time_ms != 0 ? json_integer(time_ms) : json_null();
}

static json_t *session_json(const struct config_session *own, const struct session_status *session,
                            const struct gate_link_status *link, int64_t monotonic_ms)
{
    bool waiting = session->state == SESSION_WAITING && session->retry_at_ms > monotonic_ms;
    json_t *filters = json_array();

    for (size_t i = 0; i < own->filter_count; i++) {
        json_array_append_new(filters, json_string(own->filters[i]));
    }
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:o, s:b, s:i, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name",
        own->name, "client_id", own->client_id, "state", status_file_session_state(session->state),
        "reason", session->reason, "retry_in_ms",
        waiting ? json_integer(session->retry_at_ms - monotonic_ms) : json_null(),
        "connected_since_ms", time_or_null(session->connected_since_ms), "session_present",
        session->session_present, "qos", own->qos, "filters", filters, "connects",
        (json_int_t)session->connects, "received", (json_int_t)session->received, "refused_qos0",
        (json_int_t)session->refused_qos0, "held_bytes", (json_int_t)link->held_bytes,
        "from_broker_bytes", (json_int_t)link->from_broker_bytes, "in_flight",
        (json_int_t)session->in_flight, "in_flight_peak", (json_int_t)session->in_flight_peak);
}

static json_t *quarantined_json(const struct writer_status *writer)
{
    json_t *object = json_object();

    for (int reason = 1; reason < FOXTRACKR_E_FIELD; reason++) {
        json_object_set_new(object, foxtrackr_reason_name(reason),
                            json_integer((json_int_t)writer->quarantined[reason]));
    }
    return object;
}

static json_t *expired_json(const struct writer_status *writer)
{
    json_t *object = json_object();

    for (int table = 0; table < STORE_TABLES; table++) {
        json_object_set_new(object, store_table_name((enum store_table)table),
                            json_integer((json_int_t)writer->expired_by_table[table]));
    }
    return object;
}

static json_t *writer_json(const struct config *config, const struct writer_status *writer)
{
    return json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:o, s:I}", "path",
        config->database.path, "state", status_file_writer_state(writer->state), "reason",
        writer->reason, "commits", (json_int_t)writer->commits, "last_batch",
        (json_int_t)writer->last_batch, "last_commit_us", (json_int_t)writer->last_commit_us,
        "commits_us", (json_int_t)writer->commits_us, "last_commit_ms",
        time_or_null(writer->last_commit_ms), "expired", (json_int_t)writer->expired, "bytes",
        (json_int_t)writer->database_bytes, "wal_bytes", (json_int_t)writer->wal_bytes,
        "free_bytes", (json_int_t)writer->free_bytes, "expired_by_table", expired_json(writer),
        "expire_longest_us", (json_int_t)writer->expire_longest_us);
}

static json_t *snapshot_json(const struct config *config, const struct status_snapshot *snapshot)
{
    const struct store_counts *counts = &snapshot->writer.counts;
    json_t *sessions = json_array();

    for (unsigned i = 0; i < snapshot->session_count; i++) {
        json_array_append_new(sessions, session_json(&config->sessions[i], &snapshot->sessions[i],
                                                     &snapshot->links[i], snapshot->monotonic_ms));
    }
    return json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:i, s:o, s:o, s:f, s:I, s:I, s:b, s:{s:I, s:I, "
        "s:I, s:I}, s:o, s:o}",
        "state", snapshot->state, "text", snapshot->text, "version", FOXTRACKRD_VERSION, "pid",
        (json_int_t)getpid(), "started_ms", (json_int_t)snapshot->started_ms, "updated_ms",
        (json_int_t)snapshot->wall_ms, "interval_ms", (json_int_t)config->status.interval_ms,
        "host", config->broker.host, "port", config->broker.port, "sessions", sessions, "lag_ms",
        snapshot->lag_ms >= 0 ? json_integer(snapshot->lag_ms) : json_null(), "rate_per_s",
        snapshot->rate_per_s, "pending", (json_int_t)snapshot->pending, "pending_bytes",
        (json_int_t)snapshot->pending_bytes, "catching_up", snapshot->catching_up, "counts",
        "received", (json_int_t)counts->received, "stored", (json_int_t)counts->stored, "duplicate",
        (json_int_t)counts->duplicate, "quarantined", (json_int_t)counts->quarantined,
        "quarantined_by_reason", quarantined_json(&snapshot->writer), "database",
        writer_json(config, &snapshot->writer));
}

int status_file_write_json(const char *path, const struct config *config,
                           const struct status_snapshot *snapshot)
{
    json_t *root = snapshot_json(config, snapshot);
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
    int rc = -ENOMEM;

    if (text != NULL) {
        rc = replace_file(path, text, strlen(text));
    }
    free(text);
    json_decref(root);
    return rc;
}

/* --- Prometheus text format ---------------------------------------------------------------- */

static void metric(FILE *out, const char *name, const char *type, const char *help, double value)
{
    fprintf(out, "# HELP foxtrackrd_%s %s\n# TYPE foxtrackrd_%s %s\nfoxtrackrd_%s %.17g\n", name,
            help, name, type, name, value);
}

static void session_metrics(FILE *out, const struct config *config,
                            const struct status_snapshot *snapshot)
{
    fputs("# HELP foxtrackrd_session_subscribed Whether the session has every subscription it "
          "asks for.\n# TYPE foxtrackrd_session_subscribed gauge\n",
          out);
    for (unsigned i = 0; i < snapshot->session_count; i++) {
        fprintf(out, "foxtrackrd_session_subscribed{session=\"%s\"} %d\n", config->sessions[i].name,
                snapshot->sessions[i].state == SESSION_SUBSCRIBED);
    }
    fputs("# HELP foxtrackrd_session_in_flight_peak_messages QoS 2 messages in flight at once, the "
          "most of the last seconds.\n"
          "# TYPE foxtrackrd_session_in_flight_peak_messages gauge\n",
          out);
    for (unsigned i = 0; i < snapshot->session_count; i++) {
        fprintf(out, "foxtrackrd_session_in_flight_peak_messages{session=\"%s\"} %" PRIu64 "\n",
                config->sessions[i].name, snapshot->sessions[i].in_flight_peak);
    }
    fputs("# HELP foxtrackrd_quarantined_total Messages quarantined in this run.\n"
          "# TYPE foxtrackrd_quarantined_total counter\n",
          out);
    for (int reason = 1; reason < FOXTRACKR_E_FIELD; reason++) {
        fprintf(out, "foxtrackrd_quarantined_total{reason=\"%s\"} %" PRIu64 "\n",
                foxtrackr_reason_name(reason), snapshot->writer.quarantined[reason]);
    }
    fputs("# HELP foxtrackrd_expired_rows_total Rows deleted by retention in this run.\n"
          "# TYPE foxtrackrd_expired_rows_total counter\n",
          out);
    for (int table = 0; table < STORE_TABLES; table++) {
        fprintf(out, "foxtrackrd_expired_rows_total{table=\"%s\"} %" PRIu64 "\n",
                store_table_name((enum store_table)table),
                snapshot->writer.expired_by_table[table]);
    }
}

int status_file_write_metrics(const char *path, const struct config *config,
                              const struct status_snapshot *snapshot)
{
    const struct writer_status *writer = &snapshot->writer;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    int rc;

    if (out == NULL) {
        return -ENOMEM;
    }
    metric(out, "received_total", "counter", "Messages made durable in this run.",
           (double)writer->counts.received);
    metric(out, "stored_total", "counter", "Messages that gave at least one new row.",
           (double)writer->counts.stored);
    metric(out, "duplicate_total", "counter", "Messages whose rows were there already.",
           (double)writer->counts.duplicate);
    metric(out, "commits_total", "counter", "Transactions committed.", (double)writer->commits);
    metric(out, "commit_seconds_total", "counter", "Time that committing took.",
           (double)writer->commits_us / 1e6);
    metric(out, "last_batch_messages", "gauge", "Messages of the last transaction.",
           (double)writer->last_batch);
    metric(out, "pending_messages", "gauge", "Messages taken and not yet durable.",
           (double)snapshot->pending);
    if (snapshot->lag_ms >= 0) {
        metric(out, "lag_seconds", "gauge", "Age of the newest reading of the last batch.",
               (double)snapshot->lag_ms / 1000);
    }
    metric(out, "last_commit_timestamp_seconds", "gauge",
           "When the last transaction was committed.", (double)writer->last_commit_ms / 1000);
    metric(out, "last_commit_duration_seconds", "gauge", "How long the last commit took.",
           (double)writer->last_commit_us / 1e6);
    metric(out, "database_up", "gauge", "Whether the database takes messages.",
           writer->state == WRITER_RUNNING);
    metric(out, "database_bytes", "gauge", "Size of the database file.",
           (double)writer->database_bytes);
    metric(out, "database_wal_bytes", "gauge", "Size of the write-ahead log.",
           (double)writer->wal_bytes);
    metric(out, "free_bytes", "gauge", "Free space on the database's file system.",
           (double)writer->free_bytes);
    session_metrics(out, config, snapshot);
    if (fclose(out) != 0) {
        free(text);
        return -ENOMEM;
    }
    rc = replace_file(path, text, length);
    free(text);
    return rc;
}
