/*
 * The direct way of readings: COPY into the table itself. The server then neither looks for a row
 * before it inserts one nor keeps a copy in `stage`, and takes half the time for a row. COPY has
 * no ON CONFLICT: one row that is there already ends the transaction.
 *
 * The direct way is taken only while all rows are likely to be new: after NEW_ROWS rows of which
 * none was there, over this connection. It is never taken in a transaction that holds anything
 * else. When a row was there, the transaction is rolled back, the rows of the round go
 * through `stage`, and NEW_ROWS are counted anew: a fleet whose readings come twice (a device in a
 * group) keeps to `stage` and leaves no error in the server's log.
 *
 * Rows are sorted by their keys, as in the statements of the other way: daemons that write the same
 * readings wait for each other, and never in a circle.
 */
#include <stdlib.h>

#include "store/postgresql/batch_internal.h"
#include "store/postgresql/copy_internal.h"
#include "store/postgresql/postgresql_internal.h"

#ifndef NEW_ROWS /* the campaigns take fewer: tests/faults/faults.mk */
#define NEW_ROWS 10000
#endif

#define BATTERY                                                                                    \
    "COPY battery (device, time_ms, message_type, received_ms, extra, voltage_v, level_pct)"       \
    " FROM STDIN (FORMAT binary)"
#define TEMPERATURE                                                                                \
    "COPY temperature (device, time_ms, message_type, received_ms, extra, celsius)"                \
    " FROM STDIN (FORMAT binary)"

static const struct {
    const char *first, *next; /* in a transaction that begins with it, and in an open one */
    int reals;
} kinds[BATCH_KINDS] = {
    [BATCH_BATTERY] = {PG_BEGIN "; " BATTERY, BATTERY, 2},
    [BATCH_TEMPERATURE] = {PG_BEGIN "; " TEMPERATURE, TEMPERATURE, 1},
};

bool batch_is_direct(const struct store *store)
{
    return store->new_rows >= NEW_ROWS && !store->in_transaction &&
           store->batch->sent[BATCH_MESSAGES] == 0;
}

void batch_note_new(struct store *store, const int64_t inserted[BATCH_KINDS])
{
    const uint32_t *sent = store->batch->sent;
    bool all = true;

    for (int kind = 0; kind < BATCH_KINDS; kind++) {
        all = all && inserted[kind] == sent[kind];
        store->new_rows += sent[kind];
    }
    store->new_rows = all ? store->new_rows : 0;
}

static int compare(const void *one, const void *other, void *batch)
{
    const struct batch_key *keys = ((const struct pg_batch *)batch)->keys;
    const struct batch_key *a = &keys[*(const uint32_t *)one];
    const struct batch_key *b = &keys[*(const uint32_t *)other];

    if (a->device != b->device) {
        return a->device < b->device ? -1 : 1;
    }
    return a->time_ms < b->time_ms ? -1 : a->time_ms > b->time_ms;
}

/* Sets `order` to the keys of a kind, sorted. Returns their number. */
static size_t sort(struct pg_batch *batch, enum batch_kind kind, uint32_t *order)
{
    size_t count = 0;

    for (uint32_t key = batch->round; key < batch->key_count; key++) {
        if (batch->keys[key].kind == kind) {
            order[count++] = key;
        }
    }
    qsort_r(order, count, sizeof(*order), compare, batch);
    return count;
}

static void put_row(struct copy *copy, const struct pg_batch *batch, const struct batch_key *key)
{
    const struct batch_message *message = &batch->messages[key->message];
    const struct batch_part *part = &message->parts[key->part];
    int reals = kinds[key->kind].reals;
    const struct judge_value *extra = &part->values[reals];

    copy_row(copy, (int16_t)(5 + reals));
    copy_int8(copy, key->device);
    copy_int8(copy, key->time_ms);
    copy_int8(copy, message->message_type);
    copy_int8(copy, message->packet.received_ms);
    copy_bytes(copy, extra->null ? NULL : extra->bytes, extra->length);
    for (int i = 0; i < reals; i++) {
        copy_real(copy, &part->values[i]);
    }
}

/* Copies the rows of a kind into its table. *all: the server has taken each of them. */
static int copy_kind(struct store *store, enum batch_kind kind, uint32_t *order, bool *all)
{
    struct pg_batch *batch = store->batch;
    size_t count = sort(batch, kind, order);
    struct copy *copy;
    int64_t rows;
    int result =
        copy_begin(store, store->in_transaction ? kinds[kind].next : kinds[kind].first, &copy);

    for (size_t i = 0; i < count && result == STORE_OK; i++) {
        put_row(copy, batch, &batch->keys[order[i]]);
    }
    if (copy != NULL) {
        result = copy_end(copy, &rows);
        *all = result == STORE_OK && rows == (int64_t)count;
    }
    return result;
}

/* Undoes the transaction, which holds nothing but rows of this round, and takes the other way. */
static int go_back(struct store *store)
{
    int result = pg_simple(store, "ROLLBACK", "store readings in another way", NULL);

    store->new_rows = 0;
    if (result == STORE_OK) {
        store->in_transaction = false;
        store->batch->way = BATCH_STAGED;
        result = batch_stage_rows(store);
    }
    return result;
}

int batch_store_direct(struct store *store)
{
    const struct pg_batch *batch = store->batch;
    uint32_t *order = malloc((batch->key_count - batch->round) * sizeof(*order));
    int result = STORE_OK;
    bool all = true;

    if (order == NULL) {
        return pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown);
    }
    store->direct = true;
    store->was_there = false;
    for (int kind = BATCH_BATTERY; kind <= BATCH_TEMPERATURE && all && result == STORE_OK; kind++) {
        if (batch->sent[kind] > 0) {
            result = copy_kind(store, (enum batch_kind)kind, order, &all);
        }
    }
    store->direct = false;
    free(order);
    if (store->db != NULL && (store->was_there || (result == STORE_OK && !all))) {
        return go_back(store);
    }
    return result;
}
