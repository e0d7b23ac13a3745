/*
 * Takes a snapshot about once a second from the writer, the sessions and the gate, derives the
 * state in words, and publishes it: STATUS= to systemd when it has changed, the two files at the
 * configured interval.
 */
#include "status/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/moment.h"
#include "base/own_file.h"
#include "base/plural.h"
#include "base/pulse.h"
#include "base/wall.h"
#include "status/file_internal.h"
#include "status/words_internal.h"

#define SAMPLES            6      /* ticks over which a rate is measured */
#define CATCH_UP_LAG_MS    600000 /* a lag of ten minutes begins a catch-up…… */
#define CAUGHT_UP_LAG_MS   60000  /* …a lag of one minute ends it… */
#define CAUGHT_UP_QUIET_MS 5000   /* …or no message for this long */
#define PROGRESS_PERIOD_MS 60000
#define PROGRESS_FIRST_MS  10000 /* a shorter catch-up is not logged */

struct sample {
    int64_t monotonic_ms;
    uint64_t received;
};

/* Which failures of a repeatedly written file were logged. */
struct told_file {
    struct log_cause cause;
    bool failed; /* it could not be written the last time */
};

struct status {
    const struct config *config;
    struct status_sources sources;
    struct status_snapshot snapshot;
    struct sample samples[SAMPLES];
    unsigned sample_count;
    struct status_estimate estimate;
    struct quarantine_share share;
    struct log_cause share_cause;
    bool was_most;   /* quarantine_share_now.most at the last tick */
    bool share_said; /* its beginning was logged, and its end was not yet */
    struct pulse_view writer_pulse;
    struct pulse_view gate_pulse;

    char told[STATUS_TEXT_SIZE]; /* the last STATUS= */
    int64_t written_ms;          /* the last status file; monotonic */
    const char *written_state;
    struct own_file file;
    struct own_file metrics;
    struct told_file file_told;
    struct told_file metrics_told;

    int64_t catch_up_since_ms; /* 0: none */
    uint64_t catch_up_from;    /* messages received when it began */
    int64_t progress_ms;
    bool catch_up_waits; /* it was logged that nothing can arrive */
};

/* Sets the members that a reload can change. */
static void set_live(struct status_snapshot *snapshot, const struct config *config)
{
    snapshot->interval_ms = config->status.interval_ms;
    snapshot->min_free_bytes = config->database.min_free_mb * INT64_C(1048576);
}

static int make_room_for_granted(struct status_snapshot *snapshot, const struct config *config,
                                 unsigned session_count)
{
    for (unsigned i = 0; i < session_count; i++) {
        snapshot->granted[i] =
            calloc(config->sessions[i].filter_count, sizeof(*snapshot->granted[i]));
        if (snapshot->granted[i] == NULL) {
            return -ENOMEM;
        }
    }
    return 0;
}

int status_new(struct status **out, const struct config *config,
               const struct status_sources *sources)
{
    struct status *status = calloc(1, sizeof(*status));

    if (status == NULL) {
        return -ENOMEM;
    }
    status->config = config;
    status->sources = *sources;
    status->snapshot.started_ms = clock_wall_ms();
    set_live(&status->snapshot, config);
    own_file_init(&status->file, config->status.file, OWN_FILE_STATUS, STATUS_FILE_MODE);
    own_file_init(&status->metrics, config->status.metrics_file, OWN_FILE_METRICS,
                  STATUS_FILE_METRICS_MODE);
    status->written_ms = INT64_MIN / 2;
    pulse_view_begin(&status->writer_pulse, writer_pulse(sources->writer), clock_monotonic_ms());
    pulse_view_begin(&status->gate_pulse, gate_pulse(sources->gate), clock_monotonic_ms());
    status_estimate_init(&status->estimate);
    if (make_room_for_granted(&status->snapshot, config, sources->session_count) != 0) {
        status_free(status);
        return -ENOMEM;
    }
    *out = status;
    return 0;
}

void status_free(struct status *status)
{
    if (status == NULL) {
        return;
    }
    own_file_remove(&status->file);
    own_file_remove(&status->metrics);
    for (unsigned i = 0; i < CONFIG_SESSIONS_MAX; i++) {
        free(status->snapshot.granted[i]);
    }
    free(status);
}

void status_set_disk_wait(struct status *status, int64_t wait_ms)
{
    status->snapshot.disk_wait_ms = wait_ms;
}

void status_reload(struct status *status, const struct config *loaded)
{
    set_live(&status->snapshot, loaded);
    status->written_ms = INT64_MIN / 2;
}

/* --- looking ------------------------------------------------------------------------------- */

/* Describes the deletions that retention has announced and not begun. */
static void describe_waits(struct status_snapshot *now)
{
    char date[MOMENT_SIZE];
    size_t length = 0;

    now->waits[0] = '\0';
    now->waits_until_ms = 0;
    for (int i = 0; i < STORE_TABLES && length < sizeof(now->waits); i++) {
        const struct writer_wait *wait = &now->writer.waits[i];

        if (wait->rows > 0) {
            length += (size_t)snprintf(now->waits + length, sizeof(now->waits) - length,
                                       "%s%" PRId64 " row%s of %s from before %s",
                                       length > 0 ? ", " : "", wait->rows, plural_s(wait->rows),
                                       store_table_name((enum store_table)i),
                                       moment_iso(wait->before_ms, date));
            if (now->waits_until_ms == 0 || wait->until_ms < now->waits_until_ms) {
                now->waits_until_ms = wait->until_ms;
            }
        }
    }
}

static void look_at_rate(struct status *status)
{
    struct status_snapshot *now = &status->snapshot;
    const struct sample *oldest;
    unsigned at = status->sample_count % SAMPLES;
    int64_t elapsed_ms;

    status->samples[at] =
        (struct sample){.monotonic_ms = now->monotonic_ms, .received = now->writer.counts.received};
    status->sample_count++;
    oldest = status->sample_count < SAMPLES ? &status->samples[0]
                                            : &status->samples[status->sample_count % SAMPLES];
    elapsed_ms = now->monotonic_ms - oldest->monotonic_ms;
    now->rate_per_s = 0;
    if (elapsed_ms > 0) {
        now->rate_per_s =
            (double)(now->writer.counts.received - oldest->received) * 1000 / (double)elapsed_ms;
    }
}

/* Returns the time since the thread was last seen to make a step. */
static int64_t age_ms(struct pulse_view *view, int64_t now_ms)
{
    pulse_view_alive(view, now_ms, INT64_MAX);
    return now_ms - view->moved_ms;
}

static void look(struct status *status)
{
    struct status_snapshot *now = &status->snapshot;
    const struct status_sources *from = &status->sources;

    now->wall_ms = clock_wall_ms();
    now->monotonic_ms = clock_monotonic_ms();
    writer_status(from->writer, &now->writer);
    intake_pending(from->intake, &now->pending, &now->pending_bytes);
    now->session_count = from->session_count;
    now->subscribed = 0;
    now->unacknowledged = 0;
    for (unsigned i = 0; i < from->session_count; i++) {
        session_status(from->sessions[i], &now->sessions[i]);
        session_granted(from->sessions[i], now->granted[i]);
        gate_link_status(from->gate, i, &now->links[i]);
        now->unacknowledged += now->sessions[i].in_flight;
        now->subscribed += now->sessions[i].state == SESSION_SUBSCRIBED;
    }
    now->strangers = gate_strangers(from->gate);
    now->lag_ms = now->writer.newest_time_ms == 0 ? -1 : now->wall_ms - now->writer.newest_time_ms;
    if (now->lag_ms < -1) {
        now->lag_ms = 0; /* the clock of a tracker is ahead of ours */
    }
    now->quiet_ms =
        now->writer.last_message_ms == 0 ? -1 : now->wall_ms - now->writer.last_message_ms;
    if (now->quiet_ms < -1) {
        now->quiet_ms = 0; /* the clock was set back */
    }
    now->writer_age_ms = age_ms(&status->writer_pulse, now->monotonic_ms);
    now->gate_age_ms = age_ms(&status->gate_pulse, now->monotonic_ms);
    now->clock_least_ms = 0;
    now->clock_behind = wall_is_behind(&now->clock_least_ms);
    describe_waits(now);
    look_at_rate(status);
    now->rates =
        status_estimate_rates(&status->estimate, now->monotonic_ms, now->writer.counts.received);
    status_certificates_look(&now->certificates, status->config, now->monotonic_ms);
}

/* Logs when most of the latest messages go to quarantine, and when that ends. */
static void look_at_quarantine(struct status *status)
{
    struct status_snapshot *now = &status->snapshot;
    struct quarantine_share_counts counts = {.received = now->writer.counts.received};

    memcpy(counts.quarantined, now->writer.quarantined, sizeof(counts.quarantined));
    now->latest = quarantine_share_look(&status->share, now->monotonic_ms, &counts);
    if (now->latest.most && !status->was_most) {
        status->share_said |= log_line_limited(
            &status->share_cause, LOG_ERR, NULL,
            "%" PRIu64 " of the latest %" PRIu64 " messages went to quarantine, most of them with "
            "the reason %s; `foxtrackrctl status` says how to look at them",
            now->latest.quarantined, now->latest.messages,
            foxtrackr_reason_name(now->latest.reason));
    } else if (!now->latest.most && status->share_said) {
        log_notice("at least half of the latest messages are understood again");
        status->share_said = false;
        log_cause_over(&status->share_cause);
    }
    status->was_most = now->latest.most;
}

/* Estimates the growth of the database, without catch-ups. */
static void look_at_growth(struct status *status)
{
    struct status_snapshot *now = &status->snapshot;

    now->growth =
        status_estimate_growth(&status->estimate, now->monotonic_ms, now->catching_up,
                               now->writer.used_bytes, now->writer.free_bytes, now->min_free_bytes);
}

/* --- a catch-up ---------------------------------------------------------------------------- */

static void begin_catch_up(struct status *status)
{
    const struct status_snapshot *now = &status->snapshot;

    status->catch_up_since_ms = now->monotonic_ms;
    status->catch_up_from = now->writer.counts.received;
    status->progress_ms = now->monotonic_ms + PROGRESS_FIRST_MS - PROGRESS_PERIOD_MS;
    status->catch_up_waits = false;
    status_estimate_catch_up_begin(&status->estimate, now->monotonic_ms, now->lag_ms);
}

static void end_catch_up(struct status *status)
{
    const struct status_snapshot *now = &status->snapshot;
    char took[DURATION_SIZE];

    if (now->monotonic_ms - status->catch_up_since_ms >= PROGRESS_FIRST_MS) {
        log_info("caught up: %" PRIu64 " message%s in %s",
                 now->writer.counts.received - status->catch_up_from,
                 plural_s((int64_t)(now->writer.counts.received - status->catch_up_from)),
                 duration_text(now->monotonic_ms - status->catch_up_since_ms, took));
    }
    status->catch_up_since_ms = 0;
}

/* Returns true while messages could arrive: a session is connected, and the writer runs. */
static bool may_arrive(const struct status_snapshot *now)
{
    for (unsigned i = 0; i < now->session_count; i++) {
        if (now->sessions[i].connected_since_ms != 0) {
            return now->writer.state == WRITER_RUNNING;
        }
    }
    return false;
}

/* The most messages in flight of all sessions together, in the last seconds: the window. */
static uint64_t in_flight_peak(const struct status_snapshot *now)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < now->session_count; i++) {
        sum += now->sessions[i].in_flight_peak;
    }
    return sum;
}

static void tell_progress(struct status *status)
{
    const struct status_snapshot *now = &status->snapshot;
    char lag[DURATION_SIZE];
    char left[DURATION_SIZE];
    bool known = now->catch_up.left_ms >= 0;

    status->progress_ms = now->monotonic_ms;
    log_info("catching up: %.0f messages a second, at most %" PRIu64 " in flight, readings are %s "
             "old%s%s%s",
             now->rate_per_s, in_flight_peak(now), duration_text(now->lag_ms, lag),
             known ? "; about " : "", known ? duration_text(now->catch_up.left_ms, left) : "",
             known ? " left" : "");
}

static void follow_catch_up(struct status *status)
{
    struct status_snapshot *now = &status->snapshot;
    /* Silence ends a catch-up only while messages could arrive: all sessions subscribed, the writer
     * running. */
    bool flowing = now->writer.state == WRITER_RUNNING && now->subscribed == now->session_count;

    if (status->catch_up_since_ms == 0) {
        if (now->lag_ms > CATCH_UP_LAG_MS && now->rate_per_s >= 1 &&
            now->quiet_ms < CAUGHT_UP_QUIET_MS) {
            begin_catch_up(status);
        }
    } else if (now->lag_ms < CAUGHT_UP_LAG_MS || (flowing && now->quiet_ms > CAUGHT_UP_QUIET_MS)) {
        end_catch_up(status);
    }
    now->catching_up = status->catch_up_since_ms != 0;
    if (now->catching_up) {
        now->catch_up = status_estimate_catch_up(&status->estimate, now->monotonic_ms, now->lag_ms);
        if (!may_arrive(now)) {
            now->catch_up.left_ms = -1;
        }
    }
}

/* --- telling ------------------------------------------------------------------------------- */

/* Says that a file cannot be written, and once that it can again. */
static void tell_written(struct told_file *told, const char *key, const char *path, int rc,
                         const char *problem)
{
    if (rc != 0) {
        log_line_limited(&told->cause, LOG_WARNING, NULL, "%s %s: %s; going on without it", key,
                         path, problem);
    } else if (told->failed) {
        log_notice("%s %s: is written again", key, path);
        log_cause_over(&told->cause);
    }
    told->failed = rc != 0;
}

/* Logs how a catch-up goes on; while nothing can arrive, once that it waits. */
static void tell_catch_up(struct status *status)
{
    const struct status_snapshot *now = &status->snapshot;

    if (!now->catching_up || now->monotonic_ms - status->progress_ms < PROGRESS_PERIOD_MS) {
        return;
    }
    if (may_arrive(now)) {
        if (now->rate_per_s >= 0.5) {
            tell_progress(status);
            status->catch_up_waits = false;
        }
    } else if (!status->catch_up_waits) {
        log_info("the catch-up waits: %s", now->state);
        status->catch_up_waits = true;
    }
}

static void write_files(struct status *status)
{
    const struct config *config = status->config;

    if (config->status.file != NULL) {
        tell_written(&status->file_told, "status.file", config->status.file,
                     status_file_write_json(&status->file, config, &status->snapshot),
                     status->file.problem);
    }
    if (config->status.metrics_file != NULL) {
        tell_written(&status->metrics_told, "status.metrics_file", config->status.metrics_file,
                     status_file_write_metrics(&status->metrics, config, &status->snapshot),
                     status->metrics.problem);
    }
}

void status_tick(struct status *status)
{
    struct status_snapshot *now = &status->snapshot;

    look(status);
    follow_catch_up(status);
    look_at_growth(status);
    look_at_quarantine(status);
    status_words_describe(now, status->config);
    tell_catch_up(status);
    if (strcmp(now->text, status->told) != 0) {
        snprintf(status->told, sizeof(status->told), "%s", now->text);
        sd_notifyf(0, "STATUS=%s", now->text);
    }
    if (now->state != status->written_state ||
        now->monotonic_ms - status->written_ms >= now->interval_ms) {
        status->written_state = now->state;
        status->written_ms = now->monotonic_ms;
        pulse_wait_begin(); /* the files may be on a slow disk */
        write_files(status);
        pulse_wait_end();
    }
}

bool status_all_subscribed(const struct status *status)
{
    return status->snapshot.session_count > 0 &&
           status->snapshot.subscribed == status->snapshot.session_count;
}

const struct writer_status *status_writer(const struct status *status)
{
    return &status->snapshot.writer;
}

void status_notify_ready(const struct status *status)
{
    sd_notifyf(0, "READY=1\nSTATUS=%s", status->snapshot.text);
}
