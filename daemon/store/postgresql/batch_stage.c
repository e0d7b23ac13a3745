/* Copies the rows of a round into `stage`, from where statements store what is new
 * (batch_judge.c). */
#include "store/postgresql/batch_internal.h"
#include "store/postgresql/copy_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define COLUMNS 12
#define INTO    "COPY pg_temp.stage FROM STDIN (FORMAT binary)"

/* The columns a, b and doc, and those of messages. */
static void put_values(struct copy *copy, const struct batch_message *message,
                       const struct batch_part *part)
{
    static const struct judge_value none = {.null = true};
    const struct judge_value *document =
        part->kind == BATCH_MESSAGES ? NULL : &part->values[part->count - 1];

    copy_real(copy, part->kind == BATCH_MESSAGES ? &none : &part->values[0]);
    copy_real(copy, part->kind == BATCH_BATTERY ? &part->values[1] : &none);
    if (document == NULL) {
        copy_bytes(copy, message->packet.payload, message->packet.payload_length);
    } else {
        copy_bytes(copy, document->null ? NULL : document->bytes, document->length);
    }
}

static void put_row(struct copy *copy, const struct pg_batch *batch, uint32_t index)
{
    const struct batch_key *key = &batch->keys[index];
    const struct batch_message *message = &batch->messages[key->message];
    bool other = key->kind == BATCH_MESSAGES;

    copy_row(copy, COLUMNS);
    copy_int4(copy, (int32_t)index);
    copy_int2(copy, (int16_t)key->kind);
    copy_int8(copy, key->device);
    copy_int8(copy, key->time_ms);
    put_values(copy, message, &message->parts[key->part]);
    copy_int8(copy, message->message_type);
    copy_int8(copy, message->packet.received_ms);
    copy_text(copy, other ? message->type : NULL);
    copy_text(copy, other ? message->version : NULL);
    copy_bytes(copy, other ? key->digest : NULL, DIGEST_SIZE);
}

int batch_stage_rows(struct store *store)
{
    const struct pg_batch *batch = store->batch;
    struct copy *copy;
    int64_t rows;
    int result = copy_begin(store, store->in_transaction ? INTO : PG_BEGIN "; " INTO, &copy);

    for (uint32_t key = batch->round; key < batch->key_count && result == STORE_OK; key++) {
        put_row(copy, batch, key);
    }
    return copy != NULL ? copy_end(copy, &rows) : result;
}
