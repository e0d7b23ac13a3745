/*
 * A snapshot in the text format of Prometheus, for the textfile collector of its node exporter.
 *
 * Names follow Prometheus's conventions: base units at the end, counters end in _total. An unknown
 * value is left out, never 0. Every sample has the database as a label, because two daemons on one
 * machine never share a file, and the node exporter refuses a sample that another file has too. A
 * database of PostgreSQL can be shared: samples then have the first client id as well. The
 * metrics are the rows of the tables below, in the order of the file; to add one, add a row here
 * and its name to foxtrackrd(8).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status/file_internal.h"

#define DAY_S 86400.0

#define LABELS_MAX       2
#define SESSION_ROWS_MAX 32
#define COUNT(array)     (sizeof(array) / sizeof((array)[0]))

/*
 * A row: one sample, with its family's type and help. Rows of one family follow each other, and
 * those after the first are ALSO(). After the value come, where there are any, LABEL(0, name, text)
 * and .suffix.
 */
#define FAMILY(type_, name_, help_, ...)                                                           \
    (struct metric)                                                                                \
    {                                                                                              \
        .name = (name_), .type = (type_), .help = (help_), .value = __VA_ARGS__                    \
    }
#define GAUGE(...)   FAMILY("gauge", __VA_ARGS__)
#define COUNTER(...) FAMILY("counter", __VA_ARGS__)
#define SUMMARY(...) FAMILY("summary", __VA_ARGS__)
#define ALSO(...)                                                                                  \
    (struct metric)                                                                                \
    {                                                                                              \
        .value = __VA_ARGS__                                                                       \
    }
#define LABEL(index, name_, text_) .labels[index] = {(name_), (text_)}

struct metric {
    const char *name; /* without foxtrackrd_; NULL: the family of the row before */
    const char *type;
    const char *help;
    double value; /* NAN: not known */
    struct {
        const char *name; /* NULL: none */
        const char *text;
    } labels[LABELS_MAX];
    const char *suffix; /* of the name; NULL: none */
};

struct metrics {
    FILE *out;
    const char *database; /* its path, a label of every sample */
    const char *daemon;   /* the first client id, another such label; NULL: none */
    struct metric family; /* of the last row */
    bool announced;
};

/* --- values --------------------------------------------------------------------------------- */

static double known_if(bool known, double value)
{
    return known ? value : (double)NAN;
}

/* Converts ms since the epoch to seconds; 0 is not known and gives NAN. */
static double moment(int64_t time_ms)
{
    return known_if(time_ms != 0, (double)time_ms / 1000);
}

static double seconds_of_ms(int64_t span_ms)
{
    return (double)span_ms / 1000;
}

static double seconds_of_us(int64_t span_us)
{
    return (double)span_us / 1e6;
}

/* --- rows ----------------------------------------------------------------------------------- */

/* In a label's text backslash, quote and newline are escaped. */
static void write_label(FILE *out, const char *name, const char *text)
{
    fprintf(out, "%s=\"", name);
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
    fputc('"', out);
}

static void write_metric(struct metrics *metrics, const struct metric *metric)
{
    struct metric *family = &metrics->family;

    if (metric->name != NULL && (family->name == NULL || strcmp(metric->name, family->name) != 0)) {
        *family = *metric;
        metrics->announced = false;
    }
    if (isnan(metric->value)) {
        return;
    }
    if (!metrics->announced) {
        metrics->announced = true;
        fprintf(metrics->out, "# HELP foxtrackrd_%s %s\n# TYPE foxtrackrd_%s %s\n", family->name,
                family->help, family->name, family->type);
    }
    fprintf(metrics->out, "foxtrackrd_%s%s{", family->name,
            metric->suffix != NULL ? metric->suffix : "");
    write_label(metrics->out, "database", metrics->database);
    if (metrics->daemon != NULL) {
        fputc(',', metrics->out);
        write_label(metrics->out, "daemon", metrics->daemon);
    }
    for (int i = 0; i < LABELS_MAX && metric->labels[i].name != NULL; i++) {
        fputc(',', metrics->out);
        write_label(metrics->out, metric->labels[i].name, metric->labels[i].text);
    }
    fprintf(metrics->out, "} %.17g\n", metric->value);
}

static void write_rows(struct metrics *metrics, const struct metric *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        write_metric(metrics, &rows[i]);
    }
}

/* --- the tables ----------------------------------------------------------------------------- */

static void file_metrics(struct metrics *metrics, int64_t started_ms, int64_t wall_ms,
                         int interval_ms)
{
    const struct metric rows[] = {
        GAUGE("build_info", "Always 1; the label names the version.", 1,
              LABEL(0, "version", FOXTRACKRD_VERSION)),
        GAUGE("start_timestamp_seconds", "When the process was started.", moment(started_ms)),
        GAUGE("status_timestamp_seconds", "When this file was written.", moment(wall_ms)),
        GAUGE("status_interval_seconds", "How often this file is written.",
              seconds_of_ms(interval_ms)),
    };

    write_rows(metrics, rows, COUNT(rows));
}

static void process_metrics(struct metrics *metrics, const struct status_snapshot *snapshot)
{
    const struct metric rows[] = {
        GAUGE("thread_age_seconds",
              "Since the thread last made a step; a slow disk can make it wait.",
              seconds_of_ms(snapshot->writer_age_ms), LABEL(0, "thread", "writer")),
        ALSO(seconds_of_ms(snapshot->gate_age_ms), LABEL(0, "thread", "gate")),
    };

    write_rows(metrics, rows, COUNT(rows));
}

/* Fills the rows of one session. Returns the number of rows. */
static size_t session_rows(const struct session_status *session,
                           const struct gate_link_status *link, const char *client_id,
                           struct metric out[SESSION_ROWS_MAX])
{
    bool connected = session->connected_since_ms != 0;
    bool is_5 = connected && session->protocol == PAHO_MQTT_5;
    const struct metric rows[] = {
        GAUGE("session_subscribed", "Whether the session has every subscription that it asks for.",
              session->state == SESSION_SUBSCRIBED),
        GAUGE("session_connected", "Whether the session is connected.", connected),
        GAUGE("session_present", "Whether the broker still had the session at the last connect.",
              known_if(connected, session->session_present)),
        GAUGE("session_connected_timestamp_seconds", "When the session was connected.",
              moment(session->connected_since_ms)),
        GAUGE("session_protocol_info",
              "Always 1; the label names the connection's version of MQTT.", known_if(connected, 1),
              LABEL(1, "protocol", status_file_protocol(session->protocol))),
        GAUGE("session_receive_maximum_messages",
              "Messages in flight that MQTT 5 has asked the broker for.",
              known_if(is_5, session->receive_maximum)),
        GAUGE("session_expiry_seconds",
              "How long the broker keeps the session without a connection, by MQTT 5.",
              known_if(is_5, session->session_expiry_s)),
        GAUGE("session_last_error_timestamp_seconds", "When the session last had a problem.",
              moment(session->last_error_ms)),
        COUNTER("session_connects_total", "Times that the session was connected.",
                (double)session->connects),
        COUNTER("session_received_messages_total", "Messages taken from the session.",
                (double)session->received),
        COUNTER("session_refused_qos0_messages_total",
                "QoS 0 messages that came while the database was not writable, and are lost.",
                (double)session->refused_qos0),
        GAUGE("session_in_flight_messages", "QoS 2 messages whose handshake is not over.",
              (double)session->in_flight),
        GAUGE("session_in_flight_peak_messages", "The most of them at once in the last seconds.",
              (double)session->in_flight_peak),
        GAUGE("session_held_bytes", "Bytes to the broker that wait for a commit.",
              (double)link->held_bytes),
        COUNTER("session_received_bytes_total", "Bytes from the broker, as encrypted.",
                (double)link->from_broker_bytes),
        COUNTER("session_sent_bytes_total", "Bytes to the broker, as encrypted.",
                (double)link->to_broker_bytes),
    };

    _Static_assert(COUNT(rows) <= SESSION_ROWS_MAX, "the caller's array is too small");
    for (size_t i = 0; i < COUNT(rows); i++) {
        out[i] = rows[i];
        out[i].labels[0].name = "client_id";
        out[i].labels[0].text = client_id;
    }
    return COUNT(rows);
}

/* Writes one family after the other, and within a family all sessions. */
static void session_metrics(struct metrics *metrics, const struct config *config,
                            const struct status_snapshot *snapshot)
{
    struct metric rows[CONFIG_SESSIONS_MAX][SESSION_ROWS_MAX];
    size_t count = 0;

    for (unsigned i = 0; i < snapshot->session_count; i++) {
        count = session_rows(&snapshot->sessions[i], &snapshot->links[i],
                             config->sessions[i].client_id, rows[i]);
    }
    for (size_t family = 0; family < count; family++) {
        for (unsigned i = 0; i < snapshot->session_count; i++) {
            write_metric(metrics, &rows[i][family]);
        }
    }
}

static void loss_metrics(struct metrics *metrics, const struct config *config,
                         const struct status_snapshot *snapshot)
{
    for (unsigned i = 0; i < snapshot->session_count; i++) {
        for (int cause = 0; cause < LOSS_CAUSES; cause++) {
            const struct metric row =
                COUNTER("session_lost_connections_total", "Connections that ended, by cause.",
                        (double)snapshot->sessions[i].lost[cause],
                        LABEL(0, "client_id", config->sessions[i].client_id),
                        LABEL(1, "cause", loss_cause_name((enum loss_cause)cause)));

            write_metric(metrics, &row);
        }
    }
}

static void filter_metrics(struct metrics *metrics, const struct config *config,
                           const struct status_snapshot *snapshot)
{
    for (unsigned i = 0; i < snapshot->session_count; i++) {
        const struct config_session *session = &config->sessions[i];

        for (size_t f = 0; f < session->filter_count; f++) {
            const struct metric row =
                GAUGE("filter_granted_qos",
                      "The QoS that the broker has granted for a topic filter; -1: none.",
                      snapshot->granted[i][f], LABEL(0, "client_id", session->client_id),
                      LABEL(1, "filter", session->filters[f]));

            write_metric(metrics, &row);
        }
    }
}

static void outcome_metrics(struct metrics *metrics, const struct writer_status *writer)
{
    const struct store_counts *counts = &writer->counts;
    const struct metric rows[] = {
        COUNTER("messages_total", "Messages made durable in this run, by what became of them.",
                (double)counts->stored, LABEL(0, "outcome", "stored")),
        ALSO((double)counts->duplicate, LABEL(0, "outcome", "duplicate")),
        ALSO((double)counts->quarantined, LABEL(0, "outcome", "quarantined")),
    };

    write_rows(metrics, rows, COUNT(rows));
    for (int reason = 1; reason < FOXTRACKR_E_FIELD; reason++) {
        const struct metric row = COUNTER(
            "quarantined_messages_total", "Messages quarantined in this run, by reason.",
            (double)writer->quarantined[reason], LABEL(0, "reason", foxtrackr_reason_name(reason)));

        write_metric(metrics, &row);
    }
}

static void flow_metrics(struct metrics *metrics, const struct status_snapshot *snapshot)
{
    bool catching_up = snapshot->catching_up;
    const struct status_catch_up *catch_up = &snapshot->catch_up;
    const struct metric rows[] = {
        GAUGE("pending_messages", "Messages taken and not yet durable.", (double)snapshot->pending),
        GAUGE("pending_bytes", "Bytes of those messages.", (double)snapshot->pending_bytes),
        GAUGE("inbox_messages", "Messages durable and not yet sorted into their tables.",
              (double)snapshot->writer.in_inbox),
        COUNTER("strangers_total",
                "Connections of other programs to the relay that were turned away.",
                (double)snapshot->strangers),
        GAUGE("last_message_timestamp_seconds",
              "When a message was last made durable, in this run or before.",
              moment(snapshot->writer.last_message_ms)),
        GAUGE("lag_seconds", "Age of the newest reading of the last minute, by device time.",
              known_if(snapshot->lag_ms >= 0, seconds_of_ms(snapshot->lag_ms))),
        GAUGE("catching_up", "Whether a backlog is being caught up.", catching_up),
        GAUGE("catch_up_done_ratio", "The part of the catch-up that is done.",
              known_if(catching_up, catch_up->done)),
        GAUGE("catch_up_left_seconds", "About how long the catch-up still takes.",
              known_if(catching_up && catch_up->left_ms >= 0, seconds_of_ms(catch_up->left_ms))),
    };

    write_rows(metrics, rows, COUNT(rows));
}

static void commit_metrics(struct metrics *metrics, const struct writer_status *writer)
{
    const struct metric rows[] = {
        GAUGE("database_up", "Whether the database takes messages.",
              writer->state == WRITER_RUNNING),
        SUMMARY("commit_duration_seconds", "How long committing took.",
                seconds_of_us(writer->commits_us), .suffix = "_sum"),
        ALSO((double)writer->commits, .suffix = "_count"),
        GAUGE("last_commit_duration_seconds", "How long the last commit took.",
              seconds_of_us(writer->last_commit_us)),
        GAUGE("last_batch_messages", "Messages of the last transaction.",
              (double)writer->last_batch),
        GAUGE("last_commit_timestamp_seconds", "When the last transaction was committed.",
              moment(writer->last_commit_ms)),
        COUNTER("rejudged_messages_total",
                "Messages that left quarantine because their time has come.",
                (double)writer->rejudged),
    };

    write_rows(metrics, rows, COUNT(rows));
    for (int table = 0; table < STORE_TABLES; table++) {
        const struct metric row =
            COUNTER("expired_rows_total", "Rows deleted by retention in this run.",
                    (double)writer->expired_by_table[table],
                    LABEL(0, "table", store_table_name((enum store_table)table)));

        write_metric(metrics, &row);
    }
}

/* Of PostgreSQL alone. */
static void server_metrics(struct metrics *metrics, const struct config *config, bool standby,
                           const struct store_link *link)
{
    const struct metric rows[] = {
        GAUGE("standby", "Whether the daemon waits, for another one or for the server.", standby),
        COUNTER("database_reconnects_total", "Lost connections to the server, made again.",
                known_if(link != NULL, link != NULL ? (double)link->reconnects : 0)),
        COUNTER("database_unknown_commits_total", "COMMITs whose answer did not come.",
                known_if(link != NULL, link != NULL ? (double)link->unknown_commits : 0)),
        COUNTER("database_commits_after_all_total",
                "Of these, COMMITs that were found to have taken effect.",
                known_if(link != NULL, link != NULL ? (double)link->committed_after_all : 0)),
    };

    if (config->database.engine == CONFIG_POSTGRESQL) {
        write_rows(metrics, rows, COUNT(rows));
    }
}

static void space_metrics(struct metrics *metrics, const struct config *config,
                          const struct status_snapshot *snapshot)
{
    const struct writer_status *writer = &snapshot->writer;
    bool file = config->database.engine == CONFIG_SQLITE; /* else the disk is the server's */
    const struct store_summary *summary = &writer->summary;
    bool summary_known = writer->summary_known;
    const struct metric rows[] = {
        GAUGE("database_bytes", "Size of the database.",
              known_if(file || writer->database_bytes >= 0, (double)writer->database_bytes)),
        GAUGE("database_used_bytes", "Bytes of the pages in use, the write-ahead log's included.",
              known_if(writer->used_bytes != 0, (double)writer->used_bytes)),
        GAUGE("database_wal_bytes", "Size of the write-ahead log.",
              known_if(file, (double)writer->wal_bytes)),
        GAUGE("log_reader_age_seconds",
              "For how long a reader keeps the write-ahead log, which has over 256 MiB; 0: none "
              "does.",
              known_if(file, writer->reader.held ? (double)writer->reader.for_ms / 1000 : 0)),
        GAUGE("filesystem_free_bytes", "Free space on the database's file system.",
              known_if(file, (double)writer->free_bytes)),
        GAUGE("filesystem_min_free_bytes", "The free space below which no message is taken.",
              known_if(file, (double)snapshot->min_free_bytes)),
        GAUGE("space_left_seconds",
              "About how long the free space lasts if the database grows on as observed.",
              known_if(snapshot->growth.days_left >= 0, snapshot->growth.days_left * DAY_S)),
        GAUGE("quarantined_ratio", "The part of the latest messages that went to quarantine.",
              known_if(snapshot->latest.known,
                       (double)snapshot->latest.quarantined / (double)snapshot->latest.messages)),
        GAUGE("quarantine_entries", "Rows in quarantine, counted up to 100000.",
              known_if(summary_known, (double)summary->quarantine_entries)),
        GAUGE("gaps", "Rows in the table gaps: times for which messages may be missing.",
              known_if(summary_known, (double)summary->gaps)),
        GAUGE("last_gap_timestamp_seconds", "When the last gap ended.",
              known_if(summary_known, moment(summary->gap_to_ms))),
        GAUGE("clock_behind", "Whether the system's clock is earlier than the database knows.",
              snapshot->clock_behind),
        GAUGE("retention_waits", "Whether retention waits before it deletes half of a table.",
              snapshot->waits[0] != '\0'),
    };

    write_rows(metrics, rows, COUNT(rows));
}

/* About the data, not the daemon: counts, because a series for each device would be too many. */
static void device_metrics(struct metrics *metrics, const struct writer_status *writer)
{
    const struct store_attention *attention = &writer->attention;
    bool is_known = writer->attention_known;
    const struct metric rows[] = {
        GAUGE("devices", "Devices in the database.",
              known_if(is_known, (double)attention->devices)),
        GAUGE("silent_devices", "Devices that are silent for longer than is usual for them.",
              known_if(is_known, (double)attention->silent)),
        GAUGE("temperature_excursions",
              "Temperatures beyond a limit of the table limits, and not back yet.",
              known_if(is_known, (double)attention->excursions)),
        GAUGE("batteries_low",
              "Batteries below level_pct_min of the table limits, or below 15 % without one.",
              known_if(is_known, (double)attention->low)),
        GAUGE("devices_counted_timestamp_seconds", "When the devices were last counted.",
              known_if(is_known, moment(attention->now_ms))),
    };

    write_rows(metrics, rows, COUNT(rows));
}

static void certificate_metrics(struct metrics *metrics,
                                const struct status_certificates *certificates)
{
    const struct metric rows[] = {
        GAUGE("certificate_expiry_timestamp_seconds",
              "When a certificate expires: the broker's, the last of ca_file, ours.",
              moment(certificates->broker_ms), LABEL(0, "certificate", "broker")),
        ALSO(moment(certificates->ca_ms), LABEL(0, "certificate", "ca")),
        ALSO(moment(certificates->client_ms), LABEL(0, "certificate", "client")),
    };

    write_rows(metrics, rows, COUNT(rows));
}

static bool begin(struct metrics *metrics, struct own_file *file, const struct config *config,
                  char **text, size_t *length)
{
    *metrics = (struct metrics){.out = open_memstream(text, length),
                                .database = config->database.path,
                                .daemon = config->database.engine == CONFIG_POSTGRESQL
                                              ? config->sessions[0].client_id
                                              : NULL};
    snprintf(file->problem, sizeof(file->problem), "out of memory");
    return metrics->out != NULL;
}

static int end(struct metrics *metrics, struct own_file *file, char **text, const size_t *length)
{
    int rc = fclose(metrics->out) == 0 ? own_file_replace(file, *text, *length) : 1;

    free(*text);
    return rc;
}

int status_file_write_metrics(struct own_file *file, const struct config *config,
                              const struct status_snapshot *snapshot)
{
    char *text = NULL;
    size_t length = 0;
    struct metrics metrics;

    if (!begin(&metrics, file, config, &text, &length)) {
        return 1;
    }
    file_metrics(&metrics, snapshot->started_ms, snapshot->wall_ms, snapshot->interval_ms);
    process_metrics(&metrics, snapshot);
    session_metrics(&metrics, config, snapshot);
    loss_metrics(&metrics, config, snapshot);
    filter_metrics(&metrics, config, snapshot);
    outcome_metrics(&metrics, &snapshot->writer);
    flow_metrics(&metrics, snapshot);
    commit_metrics(&metrics, &snapshot->writer);
    server_metrics(&metrics, config, false, &snapshot->writer.link);
    space_metrics(&metrics, config, snapshot);
    device_metrics(&metrics, &snapshot->writer);
    certificate_metrics(&metrics, &snapshot->certificates);
    return end(&metrics, file, &text, &length);
}

int status_file_write_waiting_metrics(struct own_file *file, const struct config *config,
                                      const struct status_wait *wait)
{
    char *text = NULL;
    size_t length = 0;
    struct metrics metrics;

    if (!begin(&metrics, file, config, &text, &length)) {
        return 1;
    }
    file_metrics(&metrics, wait->started_ms, wait->wall_ms, wait->interval_ms);
    server_metrics(&metrics, config, true, NULL);
    return end(&metrics, file, &text, &length);
}
