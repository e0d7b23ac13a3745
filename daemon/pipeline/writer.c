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
 * trusted any more, the thread ends in WRITER_FATAL, and the process with it; when another daemon
 * has taken the sessions, in WRITER_LOST. A stop does not wait for a disk that refuses: there is
 * one more attempt, unless space is known to be short, and then the items are left to the broker.
 *
 * In a catch-up the store may keep messages aside on disk, in the same transactions and under the
 * same rule: on disk is on disk. Each batch then begins with sorting some of them into their tables
 * (store_sort_in()).
 *
 * This file has the rounds of the thread, and its start and stop. A batch is in
 * pipeline/writer_batch.c, what happens when the disk does not take one in writer_stall.c, and the
 * work between batches (checking the disk, deleting old rows) in writer_chores.c.
 */
#include "pipeline/writer_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/plural.h"
#include "base/wall.h"
#include "store/take.h"
#include "store/upkeep.h"

#define IDLE_WAIT_MS    500
#define STOP_SORTING_MS 1000

/* --- a round ------------------------------------------------------------------------------- */

/* While stalled with an empty ring: tries an empty commit. */
static bool probe(struct writer *writer)
{
    int result = store_begin(writer->parts.store);

    if (result == STORE_OK) {
        result = store_commit(writer->parts.store);
    }
    if (result != STORE_OK) {
        return writer_batch_failed(writer, result);
    }
    writer_unstall(writer);
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
    store_beat(writer->parts.store); /* a holder that waits is not one that hangs */
    left_ms = left_ms < IDLE_WAIT_MS ? left_ms : IDLE_WAIT_MS;
    return intake_wait_closed(writer->parts.intake, (int)left_ms);
}

/* Be the store's pipeline. False ends the thread. */
static bool attach(struct writer *writer)
{
    int result = writer_apply_attach(writer->apply);

    if (result != STORE_OK) {
        return writer_batch_failed(writer, result);
    }
    writer->attached = true;
    return true;
}

/* Returns true when messages of the inbox are to be sorted in now. During a stop this is limited to
 * STOP_SORTING_MS. */
static bool sorts(struct writer *writer)
{
    return store_sorts_in(writer->parts.store) && writer_state_of(writer) != WRITER_STALLED &&
           (writer->closed_ms == 0 || clock_monotonic_ms() - writer->closed_ms < STOP_SORTING_MS);
}

/* A batch that also sorts some messages in. At the end of a catch-up the room of those that
 * waited is free: what rows to come do not need of it soon goes back to the file system, with a
 * pass of retention.
 */
static bool sort_with_batch(struct writer *writer)
{
    bool goes_on = writer_write_batch(writer, NULL);

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
    writer_set_state(writer, WRITER_ENDED, "");
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

    writer_take_limits(writer);
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
    if (!writer_look_at_content(writer, false) || !writer_look_at_views(writer)) {
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
                    writer_state_of(writer) == WRITER_STALLED
                        ? 0
                        : INT64_C(1000) * writer_chores_wait_ms(writer, idle_wait_ms(writer)))) {
    case INTAKE_OK:
        return writer_write_batch(writer, &item) && writer_delete_old(writer) &&
               writer_idle_though_busy(writer) && writer_look_at_devices(writer, false);
    case INTAKE_E_CLOSED:
        end(writer);
        return false;
    default:
        return writer_state_of(writer) == WRITER_STALLED
                   ? probe(writer)
                   : writer_idle(writer) && writer_look_at_content(writer, true) &&
                         writer_delete_old(writer) && writer_look_at_devices(writer, true);
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
    writer->lockstep = true;
    writer->free_bytes = INT64_MAX;
    writer->space_checked_ms = INT64_MIN / 2;
    writer->idle_again_ms = IDLE_WAIT_MS;
    writer->idle_ms = clock_monotonic_ms();
    writer_expire_init(&writer->expire);
    writer_rejudge_init(&writer->rejudge);
    writer_attention_init(&writer->attention);
    writer->summary_due = true;
    writer->views_due = true;
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
    writer_limits_clear(&writer->next_limits);
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
    writer_limits_clear(&writer->limits);
    writer_limits_clear(&writer->next_limits);
    writer_free(writer);
    return state;
}
