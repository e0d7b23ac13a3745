/*
 * The way of a few rows into `stage`: as arrays of an INSERT, which goes in one round trip with
 * BEGIN and the statements that store them. COPY takes two of its own, because the server must
 * consent before libpq takes the data. For many rows COPY is the cheaper way at both ends.
 */
#include <endian.h>
#include <string.h>

#include "store/postgresql/batch_internal.h"
#include "store/postgresql/postgresql_internal.h"

#ifndef FEW_ROWS /* the campaigns take fewer: tests/faults/faults.mk */
#define FEW_ROWS 40
#endif
#define BYTES_MAX 65536 /* of JSON */

enum { K, KIND, DEVICE, TIME, A, B, DOC, MESSAGE_TYPE, RECEIVED, TYPE, VERSION, DIGEST, COLUMNS };

/* Sets the JSON of a key's row: extra, or the payload. NULL: none. */
static const void *document(const struct pg_batch *batch, const struct batch_key *key,
                            size_t *length)
{
    const struct batch_message *message = &batch->messages[key->message];
    const struct batch_part *part = &message->parts[key->part];
    const struct judge_value *extra = &part->values[part->count > 0 ? part->count - 1 : 0];

    if (key->kind == BATCH_MESSAGES) {
        *length = message->packet.payload_length;
        return message->packet.payload;
    }
    *length = extra->length;
    return extra->null ? NULL : extra->bytes;
}

bool batch_is_few(const struct pg_batch *batch)
{
    size_t bytes = 0;

    if (batch->key_count - batch->round > FEW_ROWS) {
        return false;
    }
    for (uint32_t i = batch->round; i < batch->key_count; i++) {
        size_t length = 0;

        bytes += document(batch, &batch->keys[i], &length) != NULL ? length : 0;
    }
    return bytes <= BYTES_MAX;
}

static void add_real(struct pg_array *array, const struct judge_value *value)
{
    uint64_t bits;

    memcpy(&bits, &value->real, sizeof(bits));
    bits = htobe64(bits);
    array_bytes(array, value->null ? NULL : &bits, sizeof(bits));
}

static void add_text(struct pg_array *array, const char *text)
{
    array_bytes(array, text, text != NULL ? strlen(text) : 0);
}

static void add_row(struct pg_batch *batch, uint32_t index)
{
    static const struct judge_value none = {.null = true};
    const struct batch_key *key = &batch->keys[index];
    const struct batch_message *message = &batch->messages[key->message];
    const struct judge_value *values = message->parts[key->part].values;
    bool other = key->kind == BATCH_MESSAGES;
    struct pg_array *arrays = batch->arrays;
    size_t length = 0;
    const void *doc = document(batch, key, &length);

    array_int8(&arrays[K], index);
    array_int8(&arrays[KIND], (int64_t)key->kind);
    array_int8(&arrays[DEVICE], key->device);
    array_int8(&arrays[TIME], key->time_ms);
    add_real(&arrays[A], other ? &none : &values[0]);
    add_real(&arrays[B], key->kind == BATCH_BATTERY ? &values[1] : &none);
    array_bytes(&arrays[DOC], doc, length);
    array_int8(&arrays[MESSAGE_TYPE], message->message_type);
    array_int8(&arrays[RECEIVED], message->packet.received_ms);
    add_text(&arrays[TYPE], other ? message->type : NULL);
    add_text(&arrays[VERSION], other ? message->version : NULL);
    array_bytes(&arrays[DIGEST], other ? key->digest : NULL, DIGEST_SIZE);
}

int batch_few_send(struct store *store)
{
    static const enum pg_array_type types[COLUMNS] = {
        [K] = ARRAY_INT8,    [KIND] = ARRAY_INT8,         [DEVICE] = ARRAY_INT8,
        [TIME] = ARRAY_INT8, [A] = ARRAY_FLOAT8,          [B] = ARRAY_FLOAT8,
        [DOC] = ARRAY_TEXT,  [MESSAGE_TYPE] = ARRAY_INT8, [RECEIVED] = ARRAY_INT8,
        [TYPE] = ARRAY_TEXT, [VERSION] = ARRAY_TEXT,      [DIGEST] = ARRAY_BYTEA,
    };
    struct pg_batch *batch = store->batch;
    struct pg_args args = {.count = 0};
    bool failed = false;
    int result = store->in_transaction ? STORE_OK : pg_send_sql(store, PG_BEGIN);

    for (int i = 0; i < COLUMNS; i++) {
        array_begin(&batch->arrays[i], types[i]);
    }
    for (uint32_t i = batch->round; i < batch->key_count; i++) {
        add_row(batch, i);
    }
    for (int i = 0; i < COLUMNS; i++) {
        failed = !array_arg(&batch->arrays[i], &args) || failed;
    }
    if (result == STORE_OK && failed) {
        result = pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown);
    }
    return result == STORE_OK ? pg_send(store, PG_STAGE, &args) : result;
}

int batch_few_expect(struct store *store)
{
    int result = STORE_OK;

    if (!store->in_transaction) {
        result = pg_expect(store, "begin a batch", NULL);
        store->in_transaction = result == STORE_OK;
    }
    return result == STORE_OK ? pg_expect(store, pg_doing(PG_STAGE), NULL) : result;
}
