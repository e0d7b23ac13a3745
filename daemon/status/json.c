/*
 * A snapshot as JSON, for `foxtrackrctl status`. Every member is documented in foxtrackrctl(8), and
 * a test compares the two.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_text.h"
#include "base/process_name.h"
#include "status/file_internal.h"

/* Times of 0 mean "never", or "unknown". */
static json_t *time_or_null(int64_t time_ms)
{
    return time_ms != 0 ? json_integer(time_ms) : json_null();
}

static json_t *integer_or_null(bool known, int64_t value)
{
    return known ? json_integer(value) : json_null();
}

static json_t *real_or_null(bool known, double value)
{
    return known ? json_real(value) : json_null();
}

static json_t *filters_json(const struct config_session *own, const int *granted)
{
    json_t *filters = json_array();

    for (size_t i = 0; i < own->filter_count; i++) {
        json_array_append_new(filters,
                              json_pack("{s:o, s:i, s:o}", "filter", json_text(own->filters[i]),
                                        "qos", own->qos, "granted_qos",
                                        integer_or_null(granted[i] >= 0, granted[i])));
    }
    return filters;
}

static json_t *lost_json(const uint64_t lost[LOSS_CAUSES])
{
    json_t *object = json_object();

    for (int cause = 0; cause < LOSS_CAUSES; cause++) {
        json_object_set_new(object, loss_cause_name((enum loss_cause)cause),
                            json_integer((json_int_t)lost[cause]));
    }
    return object;
}

static json_t *session_json(const struct config_session *own, const struct session_status *session,
                            const int *granted, const struct gate_link_status *link,
                            int64_t monotonic_ms)
{
    bool waiting = session->state == SESSION_WAITING && session->retry_at_ms > monotonic_ms;
    bool connected = session->connected_since_ms != 0;
    bool is_5 = connected && session->protocol == PAHO_MQTT_5;
    const char *older = connected && !is_5 ? session_protocol_reason(session->protocol_doubt) : "";

    return json_pack(
        "{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, "
        "s:o, "
        "s:I, "
        "s:I, s:I, s:I, s:I, s:I, s:I}",
        "name", json_text(own->name), "client_id", json_text(own->client_id), "state",
        status_file_session_state(session->state), "reason", json_text(session->reason),
        "retry_in_ms", integer_or_null(waiting, session->retry_at_ms - monotonic_ms),
        "connected_since_ms", time_or_null(session->connected_since_ms), "session_present",
        connected ? json_boolean(session->session_present) : json_null(), "protocol",
        connected ? json_string(status_file_protocol(session->protocol)) : json_null(),
        "protocol_reason", older, "receive_maximum",
        integer_or_null(is_5, session->receive_maximum), "session_expiry_ms",
        integer_or_null(is_5, INT64_C(1000) * session->session_expiry_s), "session_expiry_told",
        is_5 ? json_boolean(session->has_said_expiry) : json_null(), "keepalive_s",
        integer_or_null(connected, session->keepalive_s), "last_error",
        json_text(session->last_error), "last_error_ms", time_or_null(session->last_error_ms),
        "filters", filters_json(own, granted), "connects", (json_int_t)session->connects, "lost",
        lost_json(session->lost), "received", (json_int_t)session->received, "refused_qos0",
        (json_int_t)session->refused_qos0, "in_flight", (json_int_t)session->in_flight,
        "in_flight_peak", (json_int_t)session->in_flight_peak, "held_bytes",
        (json_int_t)link->held_bytes, "from_broker_bytes", (json_int_t)link->from_broker_bytes,
        "to_broker_bytes", (json_int_t)link->to_broker_bytes);
}

static json_t *sessions_json(const struct config *config, const struct status_snapshot *snapshot)
{
    json_t *sessions = json_array();

    for (unsigned i = 0; i < snapshot->session_count; i++) {
        json_array_append_new(sessions, session_json(&config->sessions[i], &snapshot->sessions[i],
                                                     snapshot->granted[i], &snapshot->links[i],
                                                     snapshot->monotonic_ms));
    }
    return sessions;
}

static json_t *catch_up_json(const struct status_snapshot *snapshot)
{
    const struct status_catch_up *catch_up = &snapshot->catch_up;

    if (!snapshot->catching_up) {
        return json_null();
    }
    return json_pack("{s:I, s:f, s:o}", "from_lag_ms", (json_int_t)catch_up->from_lag_ms, "done",
                     catch_up->done, "left_ms",
                     integer_or_null(catch_up->left_ms >= 0, catch_up->left_ms));
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

static json_t *latest_json(const struct quarantine_share_now *latest)
{
    return json_pack("{s:I, s:I, s:o, s:b}", "messages", (json_int_t)latest->messages,
                     "quarantined", (json_int_t)latest->quarantined, "reason",
                     latest->quarantined > 0 ? json_string(foxtrackr_reason_name(latest->reason))
                                             : json_null(),
                     "most", latest->most);
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

static json_t *gaps_json(const struct writer_status *writer)
{
    const struct store_summary *summary = &writer->summary;
    json_t *last = json_null();

    if (summary->gaps > 0) {
        last =
            json_pack("{s:o, s:o, s:o, s:I}", "client_id", json_text(summary->gap_client_id),
                      "reason", json_text(summary->gap_reason), "from_ms",
                      time_or_null(summary->gap_from_ms), "to_ms", (json_int_t)summary->gap_to_ms);
    }
    return json_pack("{s:o, s:o}", "count",
                     integer_or_null(writer->summary_known, (int64_t)summary->gaps), "last", last);
}

static json_t *restored_json(const struct writer_status *writer)
{
    const struct store_summary *summary = &writer->summary;

    if (!writer->summary_known || !summary->restored) {
        return json_null();
    }
    return json_pack(
        "{s:s, s:I, s:o}", "what", summary->restored_backup ? "backup" : "older database", "at_ms",
        (json_int_t)summary->restored_ms, "from_ms", time_or_null(summary->restored_from_ms));
}

static json_t *devices_json(const struct writer_status *writer)
{
    const struct store_attention *attention = &writer->attention;

    if (!writer->attention_known) {
        return json_null();
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "count", (json_int_t)attention->devices, "silent",
                     (json_int_t)attention->silent, "temperature_excursions",
                     (json_int_t)attention->excursions, "batteries_low", (json_int_t)attention->low,
                     "counted_ms", (json_int_t)attention->now_ms);
}

/* The reader that keeps the WAL from being restarted, while the WAL is too long. The process may be
 * in another namespace, and its name hidden from the daemon. */
static json_t *reader_json(const struct store_reader *reader)
{
    char name[PROCESS_NAME_SIZE];

    if (!reader->held) {
        return json_null();
    }
    process_name(reader->pid, name);
    return json_pack("{s:o, s:o, s:I}", "pid", time_or_null(reader->pid), "name",
                     name[0] != '\0' ? json_string(name) : json_null(), "for_ms",
                     (json_int_t)reader->for_ms);
}

/* The members about a server; its disk is not this machine's. */
static json_t *server_json(const struct config *config, const struct writer_status *writer)
{
    const struct store_link *link = &writer->link;
    bool file = config->database.engine == CONFIG_SQLITE;

    return json_pack("{s:s, s:o, s:o, s:n, s:I, s:I, s:I, s:o, s:o, s:o}", "engine",
                     status_file_engine(config->database.engine), "server",
                     link->server[0] != '\0' ? json_text(link->server) : json_null(), "role",
                     file ? json_null() : json_string("holder"), "holder", "reconnects",
                     (json_int_t)link->reconnects, "unknown_commits",
                     (json_int_t)link->unknown_commits, "committed_after_all",
                     (json_int_t)link->committed_after_all, "bytes",
                     integer_or_null(file || writer->database_bytes >= 0, writer->database_bytes),
                     "wal_bytes", integer_or_null(file, writer->wal_bytes), "free_bytes",
                     integer_or_null(file, writer->free_bytes));
}

static json_t *database_json(const struct config *config, const struct status_snapshot *snapshot)
{
    const struct writer_status *writer = &snapshot->writer;
    const struct status_growth *growth = &snapshot->growth;
    json_t *database = json_pack(
        "{s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:o, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:I, "
        "s:s, s:o, s:o}",
        "path", json_text(config->database.path), "state", status_file_writer_state(writer->state),
        "reason", json_text(writer->reason), "commits", (json_int_t)writer->commits, "last_batch",
        (json_int_t)writer->last_batch, "last_commit_us", (json_int_t)writer->last_commit_us,
        "commits_us", (json_int_t)writer->commits_us, "last_commit_ms",
        time_or_null(writer->last_commit_ms), "expired", (json_int_t)writer->expired,
        "expired_by_table", expired_json(writer), "expire_longest_us",
        (json_int_t)writer->expire_longest_us, "used_bytes", time_or_null(writer->used_bytes),
        "log_reader", reader_json(&writer->reader), "growth_bytes_per_day",
        real_or_null(growth->known, growth->bytes_per_day), "days_left",
        real_or_null(growth->days_left >= 0, growth->days_left), "quarantine_entries",
        integer_or_null(writer->summary_known, (int64_t)writer->summary.quarantine_entries),
        "rejudged", (json_int_t)writer->rejudged, "retention_waits", snapshot->waits,
        "retention_waits_left_ms",
        integer_or_null(snapshot->waits[0] != '\0',
                        snapshot->waits_until_ms - snapshot->monotonic_ms),
        "restored", restored_json(writer));
    json_t *server = server_json(config, writer);

    json_object_update(database, server);
    json_decref(server);
    return database;
}

static json_t *certificates_json(const struct status_certificates *certificates)
{
    return json_pack("{s:o, s:o, s:o}", "broker_expires_ms", time_or_null(certificates->broker_ms),
                     "ca_expires_ms", time_or_null(certificates->ca_ms), "client_expires_ms",
                     time_or_null(certificates->client_ms));
}

static json_t *counts_json(const struct store_counts *counts)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "received", (json_int_t)counts->received, "stored",
                     (json_int_t)counts->stored, "duplicate", (json_int_t)counts->duplicate,
                     "quarantined", (json_int_t)counts->quarantined);
}

static json_t *snapshot_json(const struct config *config, const struct status_snapshot *snapshot)
{
    return json_pack(
        "{s:i, s:s, s:o, s:s, s:I, s:I, s:I, s:i, s:o, s:i, s:o, s:o, s:o, s:f, s:f, s:f, s:f, "
        "s:I, s:I, s:I, s:I, s:I, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}",
        "format", STATUS_FILE_FORMAT, "state", snapshot->state, "text", json_text(snapshot->text),
        "version", FOXTRACKRD_VERSION, "pid", (json_int_t)getpid(), "started_ms",
        (json_int_t)snapshot->started_ms, "updated_ms", (json_int_t)snapshot->wall_ms,
        "interval_ms", snapshot->interval_ms, "host", json_text(config->broker.host), "port",
        config->broker.port, "sessions", sessions_json(config, snapshot), "lag_ms",
        integer_or_null(snapshot->lag_ms >= 0, snapshot->lag_ms), "last_message_ms",
        time_or_null(snapshot->writer.last_message_ms), "rate_per_s", snapshot->rate_per_s,
        "rate_1min_per_s", snapshot->rates.over_1min_per_s, "rate_5min_per_s",
        snapshot->rates.over_5min_per_s, "rate_15min_per_s", snapshot->rates.over_15min_per_s,
        "pending", (json_int_t)snapshot->pending, "pending_bytes",
        (json_int_t)snapshot->pending_bytes, "unacknowledged", (json_int_t)snapshot->unacknowledged,
        "in_inbox", (json_int_t)snapshot->writer.in_inbox, "strangers",
        (json_int_t)snapshot->strangers, "catching_up", snapshot->catching_up, "catch_up",
        catch_up_json(snapshot), "counts", counts_json(&snapshot->writer.counts),
        "quarantined_by_reason", quarantined_json(&snapshot->writer), "latest",
        latest_json(&snapshot->latest), "gaps", gaps_json(&snapshot->writer), "devices",
        devices_json(&snapshot->writer), "database", database_json(config, snapshot),
        "certificates", certificates_json(&snapshot->certificates), "clock_behind",
        snapshot->clock_behind, "clock_least_ms", time_or_null(snapshot->clock_least_ms));
}

static int write_json(struct own_file *file, json_t *root)
{
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
    int rc = 1;

    snprintf(file->problem, sizeof(file->problem), "out of memory");
    if (text != NULL) {
        rc = own_file_replace(file, text, strlen(text));
    }
    free(text);
    json_decref(root);
    return rc;
}

int status_file_write_json(struct own_file *file, const struct config *config,
                           const struct status_snapshot *snapshot)
{
    return write_json(file, snapshot_json(config, snapshot));
}

int status_file_write_waiting_json(struct own_file *file, const struct config *config,
                                   const struct status_wait *wait)
{
    bool standby = wait->holder != NULL;

    return write_json(
        file,
        json_pack(
            "{s:i, s:s, s:o, s:s, s:I, s:I, s:I, s:i, s:o, s:i, s:[], s:{s:s, s:o, s:s, s:s, "
            "s:o, s:o}}",
            "format", STATUS_FILE_FORMAT, "state", wait->state, "text", json_text(wait->text),
            "version", FOXTRACKRD_VERSION, "pid", (json_int_t)getpid(), "started_ms",
            (json_int_t)wait->started_ms, "updated_ms", (json_int_t)wait->wall_ms, "interval_ms",
            wait->interval_ms, "host", json_text(config->broker.host), "port", config->broker.port,
            "sessions", "database", "engine", status_file_engine(config->database.engine), "path",
            json_text(config->database.path), "state", wait->state, "reason", "", "role",
            json_string("standby"), "holder", standby ? json_text(wait->holder) : json_null()));
}
