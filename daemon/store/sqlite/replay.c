/*
 * Replay: parses messages again that were not accepted when they came.
 *
 * Reading and parsing happen outside of any transaction, a few messages at a time. Then those that
 * change something are written in transactions that hold the daemon up for about REPLAY_HOLD_MS,
 * and a pause follows in which it gets its turn: it asks every millisecond. Such a short
 * transaction mostly ends before the scheduler preempts it, which on a busy machine would make the
 * daemon wait. It is not synced: the daemon's next commit, or the checkpoint at the end, syncs it
 * too; after an earlier power failure the messages are back where they were.
 *
 * Exactly once, however the process ends: the rows of a message appear in the transaction that
 * removes it from its old place, so it is in exactly one of the two places. Rows are idempotent, so
 * that two replays at once, or one after the other, do no harm either. A message that was removed
 * while we parsed it is left alone.
 *
 * A message is judged by the clock of now and not of its arrival: a time that lay in the future
 * then was perhaps right, and our clock behind. Its rows say received_ms = first_received_ms. The
 * daemon itself does so with those whose time has come (store/sqlite/rejudge.c). A message that
 * stays for another reason than before has been judged anew: its last_received_ms becomes that
 * moment, from which retention counts, because the clock of its arrival may have been wrong.
 *
 * `runs` does not change: it counts the results at the messages' arrival.
 *
 * This file has the walk, the batches and their transactions. replay_item.c has what happens to one
 * message, replay_extra.c the rows whose extra has columns by now.
 */
#include "store/sqlite/replay_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

#define BATCH_BYTES ((size_t)4 * 1024 * 1024)

/* --- batches and their transactions --------------------------------------------------------- */

void replay_batch_clear(struct replay_batch *batch)
{
    for (int i = 0; i < batch->count; i++) {
        replay_item_clear(&batch->items[i]);
    }
    batch->count = 0;
    batch->bytes = 0;
}

bool replay_batch_changes(const struct replay_batch *batch)
{
    for (int i = 0; i < batch->count; i++) {
        if (batch->items[i].verdict != REPLAY_KEEP) {
            return true;
        }
    }
    return false;
}

/* Writes the batch, in as many transactions as its length needs. */
static int write_batch(struct store *store, const struct replay_batch *batch,
                       struct store_replay *replay)
{
    bool dry = replay->dry_run || !replay_batch_changes(batch);
    int result = STORE_OK;
    int at = 0;

    while (at < batch->count && result == STORE_OK) {
        struct store_replay change = *replay;
        int64_t begun_ms;
        size_t bytes = 0;
        int next = at;

        result = dry ? STORE_OK : store_transaction_begin(store);
        begun_ms = clock_monotonic_ms(); /* waiting for our turn holds nobody up */
        while (result == STORE_OK && next < batch->count &&
               (dry || (next - at < REPLAY_HOLD_ROWS && bytes < REPLAY_HOLD_BYTES &&
                        clock_monotonic_ms() - begun_ms < REPLAY_HOLD_MS))) {
            result = replay_write_item(store, &batch->items[next], &change);
            bytes += batch->items[next].verdict == REPLAY_KEEP
                         ? 0
                         : batch->items[next].packet.payload_length;
            next++;
        }
        if (result == STORE_OK && !dry) {
            result = replay_commit(store);
        } else if (!dry) {
            replay_undo(store);
        }
        if (result == STORE_OK) {
            *replay = change;
            at = next;
        }
    }
    return result;
}

int replay_commit(struct store *store)
{
    const struct timespec pause = {.tv_nsec = REPLAY_PAUSE_MS * 1000000L};
    int result = store_transaction_commit(store);

    if (result == STORE_OK) {
        nanosleep(&pause, NULL);
    } else {
        replay_undo(store);
    }
    return result;
}

void replay_undo(struct store *store)
{
    char why[STORE_ERROR_SIZE];

    /* Keep the sentence of the first error, not of the rollback. */
    snprintf(why, sizeof(why), "%s", store->error);
    (void)store_transaction_rollback(store);
    snprintf(store->error, sizeof(store->error), "%s", why);
}

/* --- the walk ------------------------------------------------------------------------------ */

bool replay_go_on(struct store *store, const struct store_watcher *watcher, const char *what,
                  int64_t done, int64_t total)
{
    if (watcher->progress(watcher->context, what, STORE_ROWS, done, total)) {
        return true;
    }
    store_refuse(store, STORE_E_STOPPED, "stopped; run it again to go on");
    return false;
}

static int fill_batch(struct store *store, const struct store_replay *replay, replay_read_fn read,
                      struct replay_cursor *cursor, struct replay_batch *batch, bool *end)
{
    int result = STORE_OK;

    while (result == STORE_OK && !*end && batch->count < REPLAY_BATCH_ITEMS &&
           batch->bytes < BATCH_BYTES) {
        struct replay_item *item = &batch->items[batch->count];

        *item = (struct replay_item){.verdict = REPLAY_KEEP};
        result = read(store, replay, cursor, item, end);
        if (!*end) {
            batch->count++; /* also with a failure: what it holds is freed */
            batch->bytes += item->packet.topic_length + item->packet.payload_length;
        }
    }
    return result;
}

static int walk(struct store *store, struct store_replay *replay, replay_read_fn read,
                const char *what, int64_t total, const struct store_watcher *watcher)
{
    struct replay_batch *batch = calloc(1, sizeof(*batch));
    struct replay_cursor cursor = {0};
    bool end = false;
    int64_t done = 0;
    int result = STORE_OK;

    if (batch == NULL) {
        return replay_no_memory(store);
    }
    while (result == STORE_OK && !end) {
        if (!replay_go_on(store, watcher, what, done, total)) {
            result = STORE_E_STOPPED;
            break;
        }
        result = fill_batch(store, replay, read, &cursor, batch, &end);
        if (result == STORE_OK) {
            result = write_batch(store, batch, replay);
        }
        done += batch->count;
        replay_batch_clear(batch);
    }
    free(batch);
    return result;
}

/* Counts the messages to replay, for the watcher. */
static int count_work(struct store *store, const struct store_replay *replay, int64_t *quarantine,
                      int64_t *messages)
{
    const struct store_value value =
        store_text(replay->reason == 0 ? "" : foxtrackr_reason_name(replay->reason));
    bool row = false;
    int result = store_step(store, STATEMENT_REPLAY_COUNT, &value, 1, &row);

    if (result == STORE_OK) {
        *quarantine = sqlite3_column_int64(store->statements[STATEMENT_REPLAY_COUNT], 0);
        *messages = sqlite3_column_int64(store->statements[STATEMENT_REPLAY_COUNT], 1);
    }
    store_reset(store, STATEMENT_REPLAY_COUNT);
    return result;
}

int sqlite_replay(struct store *store, struct store_replay *replay,
                  const struct store_watcher *watcher)
{
    int64_t quarantine = 0;
    int64_t messages = 0;
    int result = count_work(store, replay, &quarantine, &messages);

    if (result == STORE_OK) {
        result = walk(store, replay, replay_read_quarantined, "quarantine", quarantine, watcher);
    }
    if (result == STORE_OK && replay->reason == 0) {
        result = walk(store, replay, replay_read_message, "messages", messages, watcher);
    }
    if (result == STORE_OK && replay->reason == 0) {
        result = replay_extras(store, replay, watcher);
    }
    /* Closing would do it as well, but could not tell why it fails. */
    if (result == STORE_OK && !replay->dry_run && store_checkpoint(store) == STORE_FATAL) {
        result = STORE_FATAL;
    }
    return result;
}
