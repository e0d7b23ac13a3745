/*
 * The batch's entries for quarantine. They are sent with the commit, sorted by their key and with
 * equal keys merged: a statement cannot change a row twice, and daemons that keep the same messages
 * wait for each other in one order.
 */
#include <stdlib.h>
#include <string.h>

#include "store/postgresql/batch_internal.h"
#include "store/postgresql/postgresql_internal.h"
#include "store/quarantine_key.h"

int batch_quarantine(struct store *store, const struct foxtrackr_problem *problem,
                     const struct store_packet *packet, bool again)
{
    struct batch_entry *entry = batch_add_entry(store->batch);
    const char *detail = batch_copy(store->batch, problem->detail, strlen(problem->detail));

    if (entry == NULL || detail == NULL || quarantine_key(packet, entry->digest) < 0) {
        return pg_refuse(store, STORE_E_RETRY,
                         "%s: cannot put a message into quarantine: out of memory", store->shown);
    }
    entry->packet = *packet;
    entry->order = store->batch->entry_count;
    entry->reason = problem->reason;
    entry->detail = detail;
    entry->again = again;
    return STORE_OK;
}

/* By key, and within a key by arrival. */
static int by_key(const void *first, const void *second)
{
    const struct batch_entry *one = first;
    const struct batch_entry *other = second;
    int order = memcmp(one->digest, other->digest, DIGEST_SIZE);

    return order != 0 ? order : (one->order > other->order) - (one->order < other->order);
}

enum { KEY, TOPIC, TOPIC_BYTES, PAYLOAD, REASON, DETAIL, FIRST, LAST, TIMES, COLUMNS };

static void begin(struct pg_array arrays[COLUMNS])
{
    static const enum pg_array_type types[COLUMNS] = {ARRAY_BYTEA, ARRAY_TEXT, ARRAY_BYTEA,
                                                      ARRAY_BYTEA, ARRAY_TEXT, ARRAY_TEXT,
                                                      ARRAY_INT8,  ARRAY_INT8, ARRAY_INT8};

    for (int i = 0; i < COLUMNS; i++) {
        array_begin(&arrays[i], types[i]);
    }
}

/* Adds the entries of one key. `counted` of them have not been counted before. */
static void add(struct pg_array arrays[COLUMNS], const struct batch_entry *entries, uint32_t count,
                uint32_t counted)
{
    const struct batch_entry *last = &entries[count - 1];
    const struct store_packet *packet = &last->packet;
    bool text = quarantine_topic_is_text(packet->topic, packet->topic_length);
    const char *topic = packet->topic_length > 0 ? packet->topic : "";
    const char *reason = foxtrackr_reason_name(last->reason);

    array_bytes(&arrays[KEY], last->digest, DIGEST_SIZE);
    array_bytes(&arrays[TOPIC], text ? topic : NULL, packet->topic_length);
    array_bytes(&arrays[TOPIC_BYTES], text ? NULL : topic, packet->topic_length);
    array_bytes(&arrays[PAYLOAD], packet->payload_length > 0 ? packet->payload : "",
                packet->payload_length);
    array_bytes(&arrays[REASON], reason, strlen(reason));
    array_bytes(&arrays[DETAIL], last->detail, strlen(last->detail));
    array_int8(&arrays[FIRST], entries->packet.received_ms);
    array_int8(&arrays[LAST], packet->received_ms);
    array_int8(&arrays[TIMES], counted > 0 ? counted : count);
}

static int send(struct store *store, enum pg_statement id, struct pg_array arrays[COLUMNS])
{
    struct pg_args args = {.count = 0};
    PGresult *answer = NULL;
    int result;

    for (int i = 0; i < COLUMNS; i++) {
        if (!array_arg(&arrays[i], &args)) {
            return pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown);
        }
    }
    result = pg_run(store, id, &args, &answer);
    if (result == STORE_OK && id == PG_QUARANTINE_ADD && PQntuples(answer) != arrays[KEY].count) {
        result = batch_refuse_missing(store, "quarantine");
    }
    for (int row = 0; result == STORE_OK && row < PQntuples(answer); row++) {
        if (store->entries >= 0 && store->entries < STORE_QUARANTINE_COUNTED) {
            store->entries += pg_int4(answer, row, 0); /* 1: a new entry */
        }
    }
    PQclear(answer);
    return result;
}

/* Sends the keys of which a message is to be counted, or those of which none is. */
static int send_some(struct store *store, bool again)
{
    struct pg_batch *batch = store->batch;
    const struct batch_entry *entries = batch->entries;
    uint32_t keys = 0;

    begin(batch->arrays);
    for (uint32_t from = 0, to = 0; from < batch->entry_count; from = to) {
        uint32_t counted = 0;

        for (to = from; to < batch->entry_count &&
                        memcmp(entries[to].digest, entries[from].digest, DIGEST_SIZE) == 0;
             to++) {
            counted += !entries[to].again;
        }
        if ((counted == 0) == again) {
            add(batch->arrays, &entries[from], to - from, counted);
            keys++;
        }
    }
    return keys == 0 ? STORE_OK
                     : send(store, again ? PG_QUARANTINE_AGAIN : PG_QUARANTINE_ADD, batch->arrays);
}

int batch_send_quarantine(struct store *store)
{
    struct pg_batch *batch = store->batch;
    int result;

    if (batch->entry_count == 0) {
        return STORE_OK;
    }
    qsort(batch->entries, batch->entry_count, sizeof(*batch->entries), by_key);
    result = batch_transaction(store);
    if (result == STORE_OK) {
        result = send_some(store, false);
    }
    return result == STORE_OK ? send_some(store, true) : result;
}
