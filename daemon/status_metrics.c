/*
 * A snapshot in the text format of Prometheus, for the textfile collector of its node exporter.
 *
 * Names follow Prometheus's conventions: base units at the end, counters end in _total. What is not
 * known is left out, never 0. A family is announced once, with HELP and TYPE, before its values.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "status_file.h"

/* The node exporter runs as another user. */
#define METRICS_MODE 0644

static void announce(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP foxtrackrd_%s %s\n# TYPE foxtrackrd_%s %s\n", name, help, name, type);
}

static void value(FILE *out, const char *name, double number)
{
    fprintf(out, "foxtrackrd_%s %.17g\n", name, number);
}

static void gauge(FILE *out, const char *name, const char *help, double number)
{
    announce(out, name, "gauge", help);
    value(out, name, number);
}

/* A moment, in ms since the epoch; 0: unknown, and left out. */
static void moment(FILE *out, const char *name, const char *help, int64_t time_ms)
{
    if (time_ms != 0) {
        gauge(out, name, help, (double)time_ms / 1000);
    }
}

/* The text of a label: backslash, quote and newline are escaped. */
static void label(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            fputs("\\n", out);
        } else {
            if (*text == '\\' || *text == '"') {
                fputc('\\', out);
            }
            fputc(*text, out);
        }
    }
}

/* --- a family with a value for each session -------------------------------------------------- */

struct session_family {
    const char *name;
    const char *type;
    const char *help;
    /* Returns false where there is no value. */
    bool (*read)(const struct status_snapshot *snapshot, unsigned index, double *number);
};

static bool read_subscribed(const struct status_snapshot *snapshot, unsigned index, double *number)
{
    *number = snapshot->sessions[index].state == SESSION_SUBSCRIBED;
    return true;
}

static bool read_connected(const struct status_snapshot *snapshot, unsigned index, double *number)
{
    *number = snapshot->sessions[index].connected_since_ms != 0;
    return true;
}

static bool read_present(const struct status_snapshot *snapshot, unsigned index, double *number)
{
    *number = snapshot->sessions[index].session_present;
    return snapshot->sessions[index].connected_since_ms != 0;
}

static bool read_since(const struct status_snapshot *snapshot, unsigned index, double *number)
{
    *number = (double)snapshot->sessions[index].connected_since_ms / 1000;
    return snapshot->sessions[index].connected_since_ms != 0;
}

static bool read_error_time(const struct status_snapshot *snapshot, unsigned index, double *number)
{
    *number = (double)snapshot->sessions[index].last_error_ms / 1000;
    return snapshot->sessions[index].last_error_ms != 0;
}

static bool read_connects(const struct status_snapshot *snapshot, unsigned index, double *number)
{
    *number = (double)snapshot->sessions[index].connects;
    return true;
}

static bool read_received(const struct status_snapshot *snapshot, unsigned index, double *number)
{
    *number = (double)snapshot->sessions[index].received;
    return true;
}

static bool read_refused(const struct status_snapshot *snapshot, unsigned index, double *number)
{
    *number = (double)snapshot->sessions[index].refused_qos0;
    return true;
}

static bool read_in_flight(const struct status_snapshot *snapshot, unsigned index, double *number)
{
    *number = (double)snapshot->sessions[index].in_flight;
    return true;
}

static bool read_peak(const struct status_snapshot *snapshot, unsigned index, double *number)
{
    *number = (double)snapshot->sessions[index].in_flight_peak;
    return true;
}

static bool read_held(const struct status_snapshot *snapshot, unsigned index, double *number)
{
    *number = (double)snapshot->links[index].held_bytes;
    return true;
}

static bool read_from_broker(const struct status_snapshot *snapshot, unsigned index, double *number)
{
    *number = (double)snapshot->links[index].from_broker_bytes;
    return true;
}

static bool read_to_broker(const struct status_snapshot *snapshot, unsigned index, double *number)
{
    *number = (double)snapshot->links[index].to_broker_bytes;
    return true;
}

static const struct session_family session_families[] = {
    {"session_subscribed", "gauge", "Whether the session has every subscription that it asks for.",
     read_subscribed},
    {"session_connected", "gauge", "Whether the session is connected.", read_connected},
    {"session_present", "gauge", "Whether the broker still had the session at the last connect.",
     read_present},
    {"session_connected_timestamp_seconds", "gauge", "When the session was connected.", read_since},
    {"session_last_error_timestamp_seconds", "gauge", "When the session last had a problem.",
     read_error_time},
    {"session_connects_total", "counter", "Times that the session was connected.", read_connects},
    {"session_received_messages_total", "counter", "Messages taken from the session.",
     read_received},
    {"session_refused_qos0_messages_total", "counter",
     "QoS 0 messages that came while the database took nothing, and are lost.", read_refused},
    {"session_in_flight_messages", "gauge", "QoS 2 messages whose handshake is not over.",
     read_in_flight},
    {"session_in_flight_peak_messages", "gauge", "The most of them at once in the last seconds.",
     read_peak},
    {"session_held_bytes", "gauge", "Bytes to the broker that wait for a commit.", read_held},
    {"session_received_bytes_total", "counter", "Bytes from the broker, as encrypted.",
     read_from_broker},
    {"session_sent_bytes_total", "counter", "Bytes to the broker, as encrypted.", read_to_broker},
};

static void session_metrics(FILE *out, const struct config *config,
                            const struct status_snapshot *snapshot)
{
    for (size_t f = 0; f < sizeof(session_families) / sizeof(session_families[0]); f++) {
        const struct session_family *family = &session_families[f];
        bool announced = false;
        double number;

        for (unsigned i = 0; i < snapshot->session_count; i++) {
            if (!family->read(snapshot, i, &number)) {
                continue;
            }
            if (!announced) {
                announce(out, family->name, family->type, family->help);
                announced = true;
            }
            fprintf(out, "foxtrackrd_%s{client_id=\"", family->name);
            label(out, config->sessions[i].client_id);
            fprintf(out, "\"} %.17g\n", number);
        }
    }
}

static void filter_metrics(FILE *out, const struct config *config,
                           const struct status_snapshot *snapshot)
{
    announce(out, "filter_granted_qos", "gauge",
             "The QoS that the broker has granted for a topic filter; -1: none.");
    for (unsigned i = 0; i < snapshot->session_count; i++) {
        for (size_t f = 0; f < config->sessions[i].filter_count; f++) {
            fputs("foxtrackrd_filter_granted_qos{client_id=\"", out);
            label(out, config->sessions[i].client_id);
            fputs("\",filter=\"", out);
            label(out, config->sessions[i].filters[f]);
            fprintf(out, "\"} %d\n", snapshot->granted[i][f]);
        }
    }
}

/* --- the other families --------------------------------------------------------------------- */

static void process_metrics(FILE *out, const struct status_snapshot *snapshot)
{
    announce(out, "build_info", "gauge", "Always 1; the label names the version.");
    fputs("foxtrackrd_build_info{version=\"" FOXTRACKRD_VERSION "\"} 1\n", out);
    moment(out, "start_timestamp_seconds", "When the process was started.", snapshot->started_ms);
    moment(out, "status_timestamp_seconds", "When this file was written.", snapshot->wall_ms);
    announce(out, "thread_age_seconds", "gauge",
             "Since the thread last made a step; a slow disk can make it wait.");
    fprintf(out, "foxtrackrd_thread_age_seconds{thread=\"writer\"} %.17g\n",
            (double)snapshot->writer_age_ms / 1000);
    fprintf(out, "foxtrackrd_thread_age_seconds{thread=\"gate\"} %.17g\n",
            (double)snapshot->gate_age_ms / 1000);
}

static void message_metrics(FILE *out, const struct status_snapshot *snapshot)
{
    const struct writer_status *writer = &snapshot->writer;
    const struct store_counts *counts = &writer->counts;

    announce(out, "messages_total", "counter",
             "Messages made durable in this run, by what became of them.");
    fprintf(out, "foxtrackrd_messages_total{outcome=\"stored\"} %" PRIu64 "\n", counts->stored);
    fprintf(out, "foxtrackrd_messages_total{outcome=\"duplicate\"} %" PRIu64 "\n",
            counts->duplicate);
    fprintf(out, "foxtrackrd_messages_total{outcome=\"quarantined\"} %" PRIu64 "\n",
            counts->quarantined);
    announce(out, "quarantined_messages_total", "counter",
             "Messages quarantined in this run, by reason.");
    for (int reason = 1; reason < FOXTRACKR_E_FIELD; reason++) {
        fprintf(out, "foxtrackrd_quarantined_messages_total{reason=\"%s\"} %" PRIu64 "\n",
                foxtrackr_reason_name(reason), writer->quarantined[reason]);
    }
    gauge(out, "pending_messages", "Messages taken and not yet durable.",
          (double)snapshot->pending);
    gauge(out, "pending_bytes", "Bytes of those messages.", (double)snapshot->pending_bytes);
    moment(out, "last_message_timestamp_seconds", "When a message was last made durable.",
           writer->last_message_ms);
    if (snapshot->lag_ms >= 0) {
        gauge(out, "lag_seconds", "Age of the newest reading of the last batch, by device time.",
              (double)snapshot->lag_ms / 1000);
    }
    gauge(out, "catching_up", "Whether a backlog is being caught up.", snapshot->catching_up);
    if (snapshot->catching_up) {
        gauge(out, "catch_up_done_ratio", "The part of the catch-up that is done.",
              snapshot->catch_up.done);
    }
    if (snapshot->catching_up && snapshot->catch_up.left_ms >= 0) {
        gauge(out, "catch_up_left_seconds", "About how long the catch-up still takes.",
              (double)snapshot->catch_up.left_ms / 1000);
    }
}

static void content_metrics(FILE *out, const struct writer_status *writer)
{
    if (!writer->summary_known) {
        return;
    }
    gauge(out, "quarantine_entries", "Rows in quarantine, counted up to 100000.",
          (double)writer->summary.quarantine_entries);
    gauge(out, "gaps", "Rows in the table gaps: times for which messages may be missing.",
          (double)writer->summary.gaps);
    moment(out, "last_gap_timestamp_seconds", "When the last gap ended.",
           writer->summary.gap_to_ms);
}

static void database_metrics(FILE *out, const struct status_snapshot *snapshot)
{
    const struct writer_status *writer = &snapshot->writer;

    gauge(out, "database_up", "Whether the database takes messages.",
          writer->state == WRITER_RUNNING);
    announce(out, "commit_duration_seconds", "summary", "How long committing took.");
    value(out, "commit_duration_seconds_sum", (double)writer->commits_us / 1e6);
    value(out, "commit_duration_seconds_count", (double)writer->commits);
    gauge(out, "last_commit_duration_seconds", "How long the last commit took.",
          (double)writer->last_commit_us / 1e6);
    gauge(out, "last_batch_messages", "Messages of the last transaction.",
          (double)writer->last_batch);
    moment(out, "last_commit_timestamp_seconds", "When the last transaction was committed.",
           writer->last_commit_ms);
    announce(out, "expired_rows_total", "counter", "Rows deleted by retention in this run.");
    for (int table = 0; table < STORE_TABLES; table++) {
        fprintf(out, "foxtrackrd_expired_rows_total{table=\"%s\"} %" PRIu64 "\n",
                store_table_name((enum store_table)table), writer->expired_by_table[table]);
    }
    gauge(out, "database_bytes", "Size of the database file.", (double)writer->database_bytes);
    if (writer->used_bytes != 0) {
        gauge(out, "database_used_bytes", "Bytes of the pages in use, the log's included.",
              (double)writer->used_bytes);
    }
    gauge(out, "database_wal_bytes", "Size of the write-ahead log.", (double)writer->wal_bytes);
    gauge(out, "filesystem_free_bytes", "Free space on the database's file system.",
          (double)writer->free_bytes);
    gauge(out, "filesystem_min_free_bytes", "The free space below which no message is taken.",
          (double)snapshot->min_free_bytes);
    content_metrics(out, writer);
}

static void certificate_metrics(FILE *out, const struct status_certificates *certificates)
{
    const struct {
        const char *name;
        int64_t expiry_ms;
    } all[] = {
        {"broker", certificates->broker_ms},
        {"ca", certificates->ca_ms},
        {"client", certificates->client_ms},
    };
    bool announced = false;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].expiry_ms == 0) {
            continue;
        }
        if (!announced) {
            announce(out, "certificate_expiry_timestamp_seconds", "gauge",
                     "When a certificate expires: the broker's, the last of ca_file, ours.");
            announced = true;
        }
        fprintf(out, "foxtrackrd_certificate_expiry_timestamp_seconds{certificate=\"%s\"} %.17g\n",
                all[i].name, (double)all[i].expiry_ms / 1000);
    }
}

int status_file_write_metrics(const char *path, const struct config *config,
                              const struct status_snapshot *snapshot)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    int rc;

    if (out == NULL) {
        return -ENOMEM;
    }
    process_metrics(out, snapshot);
    session_metrics(out, config, snapshot);
    filter_metrics(out, config, snapshot);
    message_metrics(out, snapshot);
    database_metrics(out, snapshot);
    certificate_metrics(out, &snapshot->certificates);
    if (fclose(out) != 0) {
        free(text);
        return -ENOMEM;
    }
    rc = status_file_replace(path, METRICS_MODE, text, length);
    free(text);
    return rc;
}
