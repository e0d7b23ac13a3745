/*
 * A batch of the writer: the items that the ring holds become rows, one COMMIT makes them durable,
 * and only then writer_publish() lets their acknowledgements go. A batch ends when the ring is
 * empty; waiting for the rest of a small window brought too little (tests/bench/README.md).
 */
#include "pipeline/writer_internal.h"

#include <sched.h>
#include <string.h>

#include "base/clock.h"
#include "base/wall.h"
#include "store/upkeep.h"

#define LOCKSTEP_MOST 64U /* messages in flight */

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

/* --- items --------------------------------------------------------------------------------- */

void writer_limits_clear(struct writer_limits *limits)
{
    foxtrackr_fields_free(limits->fields);
    config_views_free(limits->views);
    limits->fields = NULL;
    limits->views = NULL;
}

void writer_take_limits(struct writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    if (writer->limits_changed) {
        writer_limits_clear(&writer->limits);
        writer->limits = writer->next_limits;
        writer->next_limits.fields = NULL;
        writer->next_limits.views = NULL;
        writer->views_due = true;
        writer->views_ms = 0;
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
    int result =
        store_sort_in(writer->parts.store, writer->lockstep, writer_batch_limit(writer), &wait_us);

    if (result == STORE_OK) {
        batch->ended = intake_next(writer->parts.intake, item, wait_us);
    }
    if (batch->ended == INTAKE_E_CLOSED && writer->closed_ms == 0) {
        writer->closed_ms = clock_monotonic_ms();
    }
    return result;
}

/* Apply `first` and what follows it, up to the limit, as one transaction; without it, some messages
 * that wait in the store and what has come by then. It ends when nothing more has come. */
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
        batch->ended = intake_next(writer->parts.intake, &item, 0);
    }
    if (result == STORE_OK) {
        result = writer_apply_finish(writer->apply, wall_now_ms());
    }
    return result;
}

/* --- the commit ---------------------------------------------------------------------------- */

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

/*
 * In lockstep no message comes before the broker has answered the acknowledgements, and the
 * writer's other work is not urgent. So yield to the process that they have woken, often a broker
 * on this machine that would otherwise wait for this processor.
 */
static void let_others_go_on(const struct writer *writer)
{
    if (writer->lockstep) {
        sched_yield();
    }
}

/*
 * Called with the batch on disk and not published yet. While all messages in flight fit into one
 * commit, they are handled in lockstep. A window that was larger of late is not small because the
 * broker uses only a part of it at a time.
 */
static void choose_lockstep(struct writer *writer, const struct batch *batch)
{
    const struct watermark *watermark = writer->parts.watermark;
    uint64_t arrived =
        atomic_load(&watermark->taken) - atomic_load(&watermark->durable) - batch->messages;

    writer->lockstep =
        batch->messages + arrived <= LOCKSTEP_MOST && batch->in_flight <= LOCKSTEP_MOST;
    gate_set_lockstep(writer->parts.gate, writer->lockstep);
}

bool writer_write_batch(struct writer *writer, const struct intake_item *first)
{
    struct batch batch;
    int64_t begun_us = 0;
    int64_t commit_us;
    int result;

    writer_take_limits(writer); /* again: messages after a reload follow the new limits */
    result = apply_batch(writer, first, &batch);
    if (result == STORE_OK) {
        gate_before_commit(writer->parts.gate);
        begun_us = clock_monotonic_us();
        result = store_commit(writer->parts.store);
    }
    if (result != STORE_OK) {
        return writer_batch_failed(writer, result);
    }
    commit_us = clock_monotonic_us() - begun_us;
    if (batch.messages > 0) {
        choose_lockstep(writer, &batch);
        writer_publish(writer);
        let_others_go_on(writer);
    }
    note_commit(writer, batch.messages, commit_us);
    writer_unstall(writer);
    return true;
}
