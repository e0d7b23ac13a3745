/*
 * The entries of quarantine that the daemon itself looks at again, each time in one short
 * transaction; pipeline/writer_rejudge.c decides when.
 *
 * sqlite_rejudge() parses entries with the reason `time` again once their time has come, by the
 * functions of replay. sqlite_restamp() corrects last_received_ms of entries that came while the
 * clock was behind.
 */
#include "store/sqlite/replay_internal.h"

#include <stdlib.h>
#include <string.h>

/* Times before 2010 are wrong in any case; the parser has the same limit. */
#define TIME_FIRST_MS INT64_C(1262304000000)

/* Reads the next entry with the reason `time`. Sets *there and `item` when its time has come by
 * replay->now_ms, and *end when there is no further entry. */
static int read_due(struct store *store, const struct store_replay *replay,
                    struct store_rejudge *pass, struct replay_item *item, bool *there, bool *end)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_REJUDGE_NEXT];
    const struct store_value value =
        store_bytes(false, pass->digest, pass->begun ? DIGEST_SIZE : 0);
    bool row = false;
    int result = store_step(store, STATEMENT_REJUDGE_NEXT, &value, 1, &row);

    *end = !row;
    *there = false;
    if (result == STORE_OK && row) {
        int64_t claimed_ms = sqlite3_column_int64(statement, 6);
        int64_t due_ms = claimed_ms - replay->max_future_ms;
        bool in_future = claimed_ms >= TIME_FIRST_MS && due_ms > sqlite3_column_int64(statement, 5);

        if (in_future && due_ms <= replay->now_ms) {
            *there = true;
            result = replay_take_quarantined(store, replay, statement, item);
        } else if (in_future && due_ms < pass->next_due_ms) {
            pass->next_due_ms = due_ms;
        }
        if (sqlite3_column_bytes(statement, 0) == DIGEST_SIZE) {
            memcpy(pass->digest, sqlite3_column_blob(statement, 0), DIGEST_SIZE);
        }
        pass->begun = true;
    }
    store_reset(store, STATEMENT_REJUDGE_NEXT);
    return result;
}

static int write_due(struct store *store, const struct replay_batch *batch,
                     struct store_replay *change)
{
    int result = store_transaction_begin(store);

    for (int i = 0; i < batch->count && result == STORE_OK; i++) {
        result = replay_write_item(store, &batch->items[i], change);
    }
    return result == STORE_OK ? store_transaction_commit(store) : result;
}

int sqlite_rejudge(struct store *store, struct store_rejudge *pass, bool *done)
{
    struct replay_batch *batch = calloc(1, sizeof(*batch));
    struct store_rejudge next = *pass;
    struct store_replay replay = {.fields = pass->fields,
                                  .max_future_ms = pass->max_future_ms,
                                  .now_ms = pass->now_ms,
                                  .restamp = true,
                                  .reason = FOXTRACKR_E_TIME};
    const struct store_replay_counts *counts = &replay.counts[FOXTRACKR_E_TIME];
    bool end = false;
    int result = STORE_OK;

    if (batch == NULL) {
        return replay_no_memory(store);
    }
    for (int looked = 0; result == STORE_OK && !end && looked < REPLAY_BATCH_ITEMS &&
                         batch->count < REPLAY_HOLD_ROWS && batch->bytes < REPLAY_HOLD_BYTES;
         looked++) {
        struct replay_item *item = &batch->items[batch->count];
        bool there = false;

        *item = (struct replay_item){.verdict = REPLAY_KEEP};
        result = read_due(store, &replay, &next, item, &there, &end);
        if (there) {
            batch->count++; /* also with a failure: what it holds is freed */
            batch->bytes += item->packet.topic_length + item->packet.payload_length;
        }
    }
    if (result == STORE_OK && replay_batch_changes(batch)) {
        result = write_due(store, batch, &replay);
    }
    replay_batch_clear(batch);
    free(batch);
    if (result == STORE_OK) {
        next.moved += counts->moved + counts->duplicate;
        *pass = next;
        *done = end;
    }
    return result;
}

int sqlite_restamp(struct store *store, int64_t from_ms, int64_t to_ms, int64_t now_ms, bool *done)
{
    const struct store_value values[] = {store_integer(from_ms), store_integer(to_ms),
                                         store_integer(now_ms), store_integer(REPLAY_HOLD_ROWS)};
    int changed = 0;
    int result = store_transaction_begin(store);

    if (result == STORE_OK) {
        result = store_execute(store, STATEMENT_REJUDGE_RESTAMP, values, 4);
        changed = sqlite3_changes(store->db);
    }
    if (result == STORE_OK) {
        result = store_transaction_commit(store);
    }
    if (result == STORE_OK) {
        *done = changed < REPLAY_HOLD_ROWS;
    }
    return result;
}
