/*
 * The writer: one thread, and the only one that uses the store.
 *
 *     take what the intake holds → rows → COMMIT → writer_publish() → the gate lets go
 *
 * Batches need no timer: a batch is made of the messages that came during the last commit, so a
 * quiet broker gets its acknowledgement after one fsync, and for a busy one a whole in-flight
 * window shares an fsync.
 *
 * The items of a batch stay in the ring until they are durable. When the disk refuses them (full,
 * locked, read-only), the writer rolls back, severs every link so that no acknowledgement can
 * leave, makes the intake refuse, and applies the same items again with backoff. Rows are
 * idempotent, so a commit that took effect despite an error does no harm. When the disk cannot be
 * trusted any more, the thread ends in WRITER_FATAL, and the process with it. A stop does not wait
 * for such a disk: there is one more attempt, unless space is known to be short, and then the items
 * are left to the broker.
 *
 * In a catch-up the store may keep messages aside on disk, in the same transactions and under the
 * same rule: on disk is on disk. Each batch then begins with sorting some of them into their tables
 * (store_sort_in()).
 *
 * The work between batches (checking the disk, deleting old rows) is in pipeline/writer_chores.c.
 */
#include "pipeline/pipeline.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/plural.h"
#include "base/pulse.h"
#include "base/wall.h"
#include "pipeline/writer_apply_internal.h"
#include "pipeline/writer_internal.h"
#include "store/upkeep.h"

#define IDLE_WAIT_MS     500
#define STOP_SORTING_MS  1000
#define BACKOFF_FIRST_MS 1000
#define BACKOFF_LAST_MS  30000

/* --- status -------------------------------------------------------------------------------- */

static void set_state(struct writer *writer, enum writer_state state, const char *reason)
{
    pthread_mutex_lock(&writer->mutex);
    writer->status.state = state;
    snprintf(writer->status.reason, sizeof(writer->status.reason), "%s", reason);
    pthread_mutex_unlock(&writer->mutex);
}

static enum writer_state state_of(struct writer *writer)
{
    enum writer_state state;

    pthread_mutex_lock(&writer->mutex);
    state = writer->status.state;
    pthread_mutex_unlock(&writer->mutex);
    return state;
}

static void note_commit(struct writer *writer, uint64_t messages, int64_t took_us)
{
    struct writer_status *status = &writer->status;
    int64_t newest_ms = writer_apply_newest_ms(writer->apply);
    struct store_counts counts;

    writer_apply_end(writer->apply, true);
    store_counts(writer->parts.store, &counts);
    pthread_mutex_lock(&writer->mutex);
    status->commits++;
    if (messages > 0) {
        status->last_batch = messages;
    }
    status->in_inbox = store_waiting(writer->parts.store);
    status->last_commit_us = took_us;
    status->commits_us += took_us;
    status->last_commit_ms = clock_wall_ms();
    if (counts.received != status->counts.received) {
        status->last_message_ms = status->last_commit_ms;
    }
    status->counts = counts;
    writer_note_entries(writer);
    if (newest_ms != 0) {
        status->newest_time_ms =
            recent_maximum(&writer->newest_reading, clock_monotonic_ms(), newest_ms);
    }
    memcpy(status->quarantined, writer_apply_quarantined(writer->apply),
           sizeof(status->quarantined));
    pthread_mutex_unlock(&writer->mutex);
}

/* --- the rule ------------------------------------------------------------------------------ */

/*
 * The transaction that holds every item read so far is on disk: only now may their
 * acknowledgements leave. Nothing else in this program raises `durable`.
 */
static void writer_publish(struct writer *writer)
{
    uint64_t number = intake_release(writer->parts.intake);

    atomic_store(&writer->parts.watermark->durable, number);
    gate_release(writer->parts.gate);
}

/* --- when the disk does not take it ---------------------------------------------------------- */

/* Severs all links; `reason` becomes the reason that their sessions report. */
static void cut_links(struct writer *writer, const char *problem, const char *reason)
{
    char why[GATE_REASON_SIZE];

    snprintf(why, sizeof(why), "%s: %.200s", problem, reason);
    gate_sever_all(writer->parts.gate, why);
}

void writer_fail(struct writer *writer, const char *reason)
{
    log_error("database: %s", reason);
    cut_links(writer, "the database failed", reason);
    intake_set_stalled(writer->parts.intake, true);
    set_state(writer, WRITER_FATAL, reason);
}

void writer_stall(struct writer *writer, const char *reason)
{
    const struct log_fields fields = {.id = LOG_ID_STALLED};
    char text[WRITER_REASON_SIZE];

    snprintf(text, sizeof(text), "%s", reason);
    cut_links(writer, "the database takes nothing", text);
    intake_set_stalled(writer->parts.intake, true);
    writer->backoff_ms = writer->backoff_ms == 0 ? BACKOFF_FIRST_MS : 2 * writer->backoff_ms;
    if (writer->backoff_ms > BACKOFF_LAST_MS) {
        writer->backoff_ms = BACKOFF_LAST_MS;
    }
    pthread_mutex_lock(&writer->mutex);
    writer->status.retry_at_ms = clock_monotonic_ms() + writer->backoff_ms;
    pthread_mutex_unlock(&writer->mutex);
    set_state(writer, WRITER_STALLED, text);
    if (log_line_limited(&writer->stall_cause, LOG_ERR, &fields,
                         "database: %s; no message is taken or acknowledged until it works again",
                         text)) {
        writer->stall_said = true;
    }
}

bool writer_leave(struct writer *writer)
{
    if (!intake_wait_closed(writer->parts.intake, 0)) {
        return false;
    }
    writer_expire_say(&writer->expire);
    set_state(writer, WRITER_LEFT, "");
    return true;
}

/* Leaves the state "stalled"; logged if the stall was: see note_connected() in
 * session/session.c. */
static void unstall(struct writer *writer)
{
    const struct log_fields fields = {.id = LOG_ID_RESUMED};

    writer->backoff_ms = 0;
    if (state_of(writer) == WRITER_STALLED) {
        intake_set_stalled(writer->parts.intake, false);
        set_state(writer, WRITER_RUNNING, "");
        log_line_fields(writer->stall_said ? LOG_NOTICE : LOG_DEBUG, &fields,
                        "database: works again, going on");
        writer->stall_said = false;
        log_cause_over(&writer->stall_cause);
    }
}

/* After a failed batch: rolls back, and stalls or fails. Returns false when the thread has to
 * end. */
static bool batch_failed(struct writer *writer, int result)
{
    struct store *store = writer->parts.store;
    char reason[WRITER_REASON_SIZE];

    snprintf(reason, sizeof(reason), "%s",
             result == WRITER_APPLY_E_MEMORY ? "out of memory" : store_error(store));
    intake_rewind(writer->parts.intake);
    writer_apply_end(writer->apply, false);
    writer->summary_due = true; /* a failed commit may have taken effect */
    if (result > 0 && store_rollback(store) == STORE_OK) {
        writer_stall(writer, reason);
        return !writer_leave(writer);
    }
    writer_fail(writer, result > 0 ? store_error(store) : reason);
    return false;
}

/* --- a batch ------------------------------------------------------------------------------- */

static void take_new_limits(struct writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    if (writer->limits_changed) {
        foxtrackr_fields_free(writer->limits.fields);
        writer->limits = writer->next_limits;
        writer->next_limits.fields = NULL;
        writer->limits_changed = false;
        writer_expire_restart(&writer->expire, writer->for_space);
    }
    pthread_mutex_unlock(&writer->mutex);
}

/* The result of a batch. */
struct batch {
    uint64_t messages;
    uint64_t in_flight; /* the most that a session had */
    int ended;          /* INTAKE_OK, or the reason why there is no further item */
};

/* Sort waiting messages into their tables first. New messages arrive while this runs: in lockstep
 * after a while, otherwise there are some already. */
static int sort_some(struct writer *writer, struct intake_item *item, struct batch *batch)
{
    int64_t wait_us = 0;
    int result = store_sort_in(writer->parts.store, pace_lockstep(&writer->pace),
                               writer_batch_limit(writer), &wait_us);

    if (result == STORE_OK) {
        batch->ended = intake_next(writer->parts.intake, item, wait_us);
    }
    if (batch->ended == INTAKE_E_CLOSED && writer->closed_ms == 0) {
        writer->closed_ms = clock_monotonic_ms();
    }
    return result;
}

/* Takes the next item from the ring; waits up to the pace's gathering time when the ring is
 * empty. */
static int next_item(struct writer *writer, struct intake_item *item, struct batch *batch)
{
    int64_t wait_us = pace_wait_us(&writer->pace, batch->messages);
    int result = STORE_OK;

    batch->ended = intake_next(writer->parts.intake, item, 0);
    if (batch->ended == INTAKE_E_EMPTY && wait_us > 0) {
        result = store_flush(writer->parts.store);
        if (result == STORE_OK) {
            batch->ended = intake_next(writer->parts.intake, item, wait_us);
        }
    }
    return result;
}

/* Apply `first` and what follows it, up to the limit, as one transaction; without it, some messages
 * that wait in the store and what has come by then. It ends when nothing more has come, and
 * base/pace.c does not expect more in a moment. */
static int apply_batch(struct writer *writer, const struct intake_item *first, struct batch *batch)
{
    struct store *store = writer->parts.store;
    struct intake_item item = first != NULL ? *first : (struct intake_item){0};
    uint64_t limit = writer_batch_limit(writer);
    int result = store_begin(store);

    *batch = (struct batch){.ended = INTAKE_OK};
    if (result == STORE_OK && first == NULL) {
        result = sort_some(writer, &item, batch);
    }
    while (result == STORE_OK && batch->ended == INTAKE_OK) {
        result = writer_apply_item(writer->apply, &item);
        writer->summary_due |=
            item.kind == INTAKE_ESTABLISHED || item.kind == INTAKE_SETTLED; /* may have added a
                                                                             * gap */
        pulse_beat();
        batch->messages++;
        batch->in_flight = item.in_flight > batch->in_flight ? item.in_flight : batch->in_flight;
        if (result != STORE_OK || batch->messages >= limit ||
            atomic_load(&writer->limits_changed)) {
            break;
        }
        result = next_item(writer, &item, batch);
    }
    if (result == STORE_OK) {
        result = writer_apply_finish(writer->apply, wall_now_ms());
    }
    return result;
}

/*
 * In lockstep no message comes before the broker has answered the acknowledgements, and the
 * writer's other work is not urgent. So yield to the process that they have woken, often a broker
 * on this machine that would otherwise wait for this processor.
 */
static void let_others_go_on(const struct writer *writer)
{
    if (pace_lockstep(&writer->pace)) {
        sched_yield();
    }
}

/* Called with the batch on disk and not published yet: its numbers set the pace of the next
 * batch. */
static void set_pace(struct writer *writer, const struct batch *batch, int64_t commit_us)
{
    const struct watermark *watermark = writer->parts.watermark;
    uint64_t arrived =
        atomic_load(&watermark->taken) - atomic_load(&watermark->durable) - batch->messages;

    pace_note(&writer->pace, batch->messages, arrived, batch->in_flight, commit_us);
    gate_set_lockstep(writer->parts.gate, pace_lockstep(&writer->pace));
}

static bool write_batch(struct writer *writer, const struct intake_item *first)
{
    struct batch batch;
    int64_t begun_us = 0;
    int64_t commit_us;
    int result;

    take_new_limits(writer); /* again: messages after a reload follow the new limits */
    result = apply_batch(writer, first, &batch);
    if (result == STORE_OK) {
        gate_before_commit(writer->parts.gate);
        begun_us = clock_monotonic_us();
        result = store_commit(writer->parts.store);
    }
    if (result != STORE_OK) {
        return batch_failed(writer, result);
    }
    commit_us = clock_monotonic_us() - begun_us;
    if (batch.messages > 0) {
        set_pace(writer, &batch, commit_us);
        writer_publish(writer);
        let_others_go_on(writer);
    }
    note_commit(writer, batch.messages, commit_us);
    unstall(writer);
    return true;
}

/* --- a round ------------------------------------------------------------------------------- */

/* While stalled with an empty ring: tries an empty commit. */
static bool probe(struct writer *writer)
{
    int result = store_begin(writer->parts.store);

    if (result == STORE_OK) {
        result = store_commit(writer->parts.store);
    }
    if (result != STORE_OK) {
        return batch_failed(writer, result);
    }
    unstall(writer);
    return true;
}

/* Waits for the end of a stall's backoff. Returns true when it is over, or a stop ends it early. */
static bool backoff_over(struct writer *writer)
{
    int64_t left_ms;

    pthread_mutex_lock(&writer->mutex);
    left_ms = writer->status.state == WRITER_STALLED
                  ? writer->status.retry_at_ms - clock_monotonic_ms()
                  : 0;
    pthread_mutex_unlock(&writer->mutex);
    if (left_ms <= 0) {
        return true;
    }
    left_ms = left_ms < IDLE_WAIT_MS ? left_ms : IDLE_WAIT_MS;
    return intake_wait_closed(writer->parts.intake, (int)left_ms);
}

/* Be the store's pipeline. False ends the thread. */
static bool attach(struct writer *writer)
{
    int result = writer_apply_attach(writer->apply);

    if (result != STORE_OK) {
        return batch_failed(writer, result);
    }
    writer->attached = true;
    return true;
}

/* Returns true when messages of the inbox are to be sorted in now. During a stop this is limited to
 * STOP_SORTING_MS. */
static bool sorts(struct writer *writer)
{
    return store_sorts_in(writer->parts.store) && state_of(writer) != WRITER_STALLED &&
           (writer->closed_ms == 0 || clock_monotonic_ms() - writer->closed_ms < STOP_SORTING_MS);
}

/* A batch that also sorts some messages in. At the end of a catch-up the room of those that
 * waited is free: what rows to come do not need of it soon goes back to the file system, with a
 * pass of retention.
 */
static bool sort_with_batch(struct writer *writer)
{
    bool goes_on = write_batch(writer, NULL);

    if (goes_on && !store_sorts_in(writer->parts.store)) {
        writer_expire_restart(&writer->expire, writer->for_space);
    }
    return goes_on;
}

/* Ends the writer: all items are on disk. */
static void end(struct writer *writer)
{
    uint64_t left = store_waiting(writer->parts.store);

    if (left > 0) {
        log_notice("%" PRIu64 " %s in the inbox of the database: the next start sorts %s", left,
                   plural((int64_t)left, "message stays", "messages stay"),
                   plural((int64_t)left, "it into its table", "them into their tables"));
    }
    writer_expire_say(&writer->expire);
    set_state(writer, WRITER_ENDED, "");
}

/* How long the thread waits for messages at most. */
static int idle_wait_ms(const struct writer *writer)
{
    return writer->idle_again_ms < IDLE_WAIT_MS ? writer->idle_again_ms : IDLE_WAIT_MS;
}

/* One round; false ends the thread. */
static bool round_once(struct writer *writer)
{
    struct intake_item item;

    take_new_limits(writer);
    pulse_beat();
    if (!writer->for_space && !backoff_over(writer)) {
        return true;
    }
    if (!writer_look_at_space(writer)) {
        return false;
    }
    if (!writer_space_left(writer)) {
        return writer_wait_for_space(writer);
    }
    writer_end_wait_for_space(writer);
    if (!writer_look_at_content(writer, false)) {
        return false;
    }
    if (!writer->attached) {
        return attach(writer);
    }
    if (sorts(writer)) {
        return sort_with_batch(writer) && writer_delete_old(writer);
    }
    switch (
        intake_next(writer->parts.intake, &item,
                    state_of(writer) == WRITER_STALLED
                        ? 0
                        : INT64_C(1000) * writer_chores_wait_ms(writer, idle_wait_ms(writer)))) {
    case INTAKE_OK:
        return write_batch(writer, &item) && writer_delete_old(writer);
    case INTAKE_E_CLOSED:
        end(writer);
        return false;
    default:
        return state_of(writer) == WRITER_STALLED
                   ? probe(writer)
                   : writer_idle(writer) && writer_look_at_content(writer, true) &&
                         writer_delete_old(writer);
    }
}

static void *run(void *argument)
{
    struct writer *writer = argument;

    pthread_setname_np(pthread_self(), "writer");
    pulse_attach(&writer->pulse);
    while (round_once(writer)) {
    }
    pthread_mutex_lock(&writer->mutex);
    writer->ended = true;
    pthread_cond_broadcast(&writer->ended_changed);
    pthread_mutex_unlock(&writer->mutex);
    return NULL;
}

/* --- the contract -------------------------------------------------------------------------- */

static void writer_free(struct writer *writer)
{
    writer_apply_free(writer->apply);
    pthread_cond_destroy(&writer->ended_changed);
    pthread_mutex_destroy(&writer->mutex);
    free(writer->database_path);
    free(writer);
}

/* Limits the time to now: a database may hold a time from a clock that was ahead. */
static int64_t last_message_until_now(int64_t last_message_ms)
{
    int64_t now_ms = wall_now_ms();

    return last_message_ms < now_ms ? last_message_ms : now_ms;
}

int writer_start(struct writer **out, const struct writer_parts *parts,
                 const struct writer_limits *limits, const char *database_path)
{
    struct writer *writer = calloc(1, sizeof(*writer));
    int rc = 0;

    if (writer == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&writer->mutex, NULL);
    clock_cond_init(&writer->ended_changed);
    writer->parts = *parts;
    writer->limits = *limits;
    writer->free_bytes = INT64_MAX;
    writer->space_checked_ms = INT64_MIN / 2;
    writer->idle_again_ms = IDLE_WAIT_MS;
    writer_expire_init(&writer->expire);
    writer_rejudge_init(&writer->rejudge);
    writer->summary_due = true;
    writer->status.last_message_ms = last_message_until_now(parts->last_message_ms);
    writer->database_path = strdup(database_path);
    writer->apply =
        writer_apply_new(parts->store, &writer->limits, parts->client_ids, parts->session_count);
    if (writer->database_path == NULL || writer->apply == NULL) {
        rc = -ENOMEM;
    } else {
        rc = -pthread_create(&writer->thread, NULL, run, writer);
    }
    if (rc != 0) {
        writer_free(writer);
        return rc;
    }
    *out = writer;
    return 0;
}

void writer_set_limits(struct writer *writer, const struct writer_limits *limits)
{
    pthread_mutex_lock(&writer->mutex);
    foxtrackr_fields_free(writer->next_limits.fields);
    writer->next_limits = *limits;
    writer->limits_changed = true;
    pthread_mutex_unlock(&writer->mutex);
}

const struct pulse *writer_pulse(const struct writer *writer)
{
    return &writer->pulse;
}

void writer_status(struct writer *writer, struct writer_status *out)
{
    pthread_mutex_lock(&writer->mutex);
    *out = writer->status;
    pthread_mutex_unlock(&writer->mutex);
}

enum writer_state writer_stop(struct writer *writer, int timeout_ms)
{
    const struct timespec deadline = clock_deadline(clock_monotonic_ms() + timeout_ms);
    enum writer_state state;
    bool ended;
    int rc = 0;

    pthread_mutex_lock(&writer->mutex);
    while (!writer->ended && rc == 0) {
        rc = pthread_cond_timedwait(&writer->ended_changed, &writer->mutex, &deadline);
    }
    ended = writer->ended;
    state = writer->status.state;
    pthread_mutex_unlock(&writer->mutex);
    if (!ended) {
        return WRITER_STALLED;
    }
    pthread_join(writer->thread, NULL);
    foxtrackr_fields_free(writer->limits.fields);
    foxtrackr_fields_free(writer->next_limits.fields);
    writer_free(writer);
    return state;
}
