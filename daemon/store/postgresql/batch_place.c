/* Places the rows of a batch: finds the distinct keys, makes the months that are missing, and
 * chooses how a row for each new key goes to the server. */
#include "store/postgresql/batch_internal.h"
#include "store/postgresql/months_internal.h"
#include "store/postgresql/postgresql_internal.h"

static const char *const tables[BATCH_KINDS] = {"battery", "temperature", "messages"};

static int place_message(struct store *store, uint32_t index)
{
    struct pg_batch *batch = store->batch;
    struct batch_message *message = &batch->messages[index];
    int result = STORE_OK;

    for (int i = 0; i < message->part_count && result == STORE_OK; i++) {
        struct batch_part *part = &message->parts[i];
        bool is_new = false;

        part->key = batch_find(batch, message, part->kind, &is_new);
        if (part->key == BATCH_NONE) {
            return pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown);
        }
        if (is_new) {
            batch->keys[part->key].message = index;
            batch->keys[part->key].part = i;
            batch->sent[part->kind]++;
            result = months_need(store, tables[part->kind], message->time_ms);
        }
    }
    return result;
}

/* Chooses how the rows of this round go to the server. Those that are staged go there now. */
static int choose_way(struct store *store)
{
    struct pg_batch *batch = store->batch;

    if (batch_is_few(batch)) {
        batch->way = BATCH_FEW;
    } else if (batch_is_direct(store)) {
        batch->way = BATCH_DIRECT;
    } else {
        batch->way = BATCH_STAGED;
        return batch_stage_rows(store);
    }
    return STORE_OK;
}

int batch_place(struct store *store)
{
    struct pg_batch *batch = store->batch;
    int result = STORE_OK;

    if (batch->placed == batch->message_count) {
        return STORE_OK;
    }
    batch->round = batch->key_count;
    while (batch->placed < batch->message_count && result == STORE_OK) {
        result = place_message(store, batch->placed);
        batch->placed += result == STORE_OK;
    }
    if (result == STORE_OK && batch->key_count > batch->round) {
        result = choose_way(store);
    }
    return result;
}
