/*
 * Writes rows into `stage` by COPY in binary (the format is in PostgreSQL's manual, "COPY", Binary
 * Format): a header, for each row the number of its columns, for each column its length, -1 for
 * NULL, and its bytes; -1 at the end. Numbers are in network order. json is its text.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgresql/batch_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define BUFFER_SIZE 65536
#define COLUMNS     12
#define DOING       "copy readings"

static const char header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0"; /* its last NUL counts: 19 bytes */

struct copy {
    struct store *store;
    int result;
    size_t used;
    char buffer[BUFFER_SIZE];
};

static void flush(struct copy *copy)
{
    if (copy->result == STORE_OK && copy->used > 0) {
        copy->result = pg_put_copy(copy->store, copy->buffer, copy->used, DOING);
    }
    copy->used = 0;
}

static void put(struct copy *copy, const void *bytes, size_t length)
{
    if (BUFFER_SIZE - copy->used < length) {
        flush(copy);
    }
    if (length > BUFFER_SIZE) { /* a large payload */
        if (copy->result == STORE_OK) {
            copy->result = pg_put_copy(copy->store, bytes, length, DOING);
        }
        return;
    }
    memcpy(copy->buffer + copy->used, bytes, length);
    copy->used += length;
}

static void put_int2(struct copy *copy, int16_t value)
{
    uint16_t order = htobe16((uint16_t)value);

    put(copy, &order, sizeof(order));
}

static void put_int4(struct copy *copy, int32_t value)
{
    uint32_t order = htobe32((uint32_t)value);

    put(copy, &order, sizeof(order));
}

static void column_bytes(struct copy *copy, const void *bytes, size_t length)
{
    put_int4(copy, bytes != NULL ? (int32_t)length : -1);
    if (bytes != NULL) {
        put(copy, bytes, length);
    }
}

static void column_int2(struct copy *copy, int16_t value)
{
    put_int4(copy, 2);
    put_int2(copy, value);
}

static void column_int4(struct copy *copy, int32_t value)
{
    put_int4(copy, 4);
    put_int4(copy, value);
}

static void column_int8(struct copy *copy, int64_t value)
{
    uint64_t order = htobe64((uint64_t)value);

    column_bytes(copy, &order, sizeof(order));
}

static void column_real(struct copy *copy, const struct judge_value *value)
{
    uint64_t bits;

    memcpy(&bits, &value->real, sizeof(bits));
    bits = htobe64(bits);
    column_bytes(copy, value->null ? NULL : &bits, sizeof(bits));
}

static void column_text(struct copy *copy, const char *text)
{
    column_bytes(copy, text, text != NULL ? strlen(text) : 0);
}

/* The columns a, b and doc, and those of messages. */
static void put_values(struct copy *copy, const struct batch_message *message,
                       const struct batch_part *part)
{
    static const struct judge_value none = {.null = true};
    const struct judge_value *document =
        part->kind == BATCH_MESSAGES ? NULL : &part->values[part->count - 1];

    column_real(copy, part->kind == BATCH_MESSAGES ? &none : &part->values[0]);
    column_real(copy, part->kind == BATCH_BATTERY ? &part->values[1] : &none);
    if (document == NULL) {
        column_bytes(copy, message->packet.payload, message->packet.payload_length);
    } else {
        column_bytes(copy, document->null ? NULL : document->bytes, document->length);
    }
}

static void put_row(struct copy *copy, const struct pg_batch *batch, uint32_t index)
{
    const struct batch_key *key = &batch->keys[index];
    const struct batch_message *message = &batch->messages[key->message];
    bool other = key->kind == BATCH_MESSAGES;

    put_int2(copy, COLUMNS);
    column_int4(copy, (int32_t)index);
    column_int2(copy, (int16_t)key->kind);
    column_int8(copy, key->device);
    column_int8(copy, key->time_ms);
    put_values(copy, message, &message->parts[key->part]);
    column_int8(copy, message->message_type);
    column_int8(copy, message->packet.received_ms);
    column_text(copy, other ? message->type : NULL);
    column_text(copy, other ? message->version : NULL);
    column_bytes(copy, other ? key->digest : NULL, DIGEST_SIZE);
}

/* Sends the command and waits for the server's consent: libpq takes no data before it. */
static int begin(struct store *store)
{
    const char *sql = store->in_transaction ? "COPY pg_temp.stage FROM STDIN (FORMAT binary)"
                                            : PG_BEGIN "; COPY pg_temp.stage FROM STDIN (FORMAT "
                                                       "binary)";
    PGresult *answer = NULL;
    int result = STORE_OK;

    if (store->db == NULL || PQsendQuery(store->db, sql) != 1) {
        return pg_fail(store, NULL, DOING);
    }
    while (result == STORE_OK && PQresultStatus(answer) != PGRES_COPY_IN) {
        PQclear(answer);
        result = pg_result(store, DOING, &answer);
        if (result == STORE_OK && PQresultStatus(answer) == PGRES_COMMAND_OK) {
            store->in_transaction = true;
        } else if (result == STORE_OK && PQresultStatus(answer) != PGRES_COPY_IN) {
            result = pg_fail(store, answer, DOING);
        }
    }
    PQclear(answer);
    return result;
}

static int end(struct copy *copy)
{
    struct store *store = copy->store;

    put_int2(copy, -1);
    flush(copy);
    if (copy->result == STORE_OK && PQputCopyEnd(store->db, NULL) != 1) {
        copy->result = pg_fail(store, NULL, DOING);
    }
    return copy->result == STORE_OK ? pg_results(store, DOING, NULL) : copy->result;
}

int batch_copy_rows(struct store *store, uint32_t from_key)
{
    struct copy *copy = malloc(sizeof(*copy));
    int result = copy != NULL ? begin(store) : STORE_E_RETRY;

    if (copy == NULL) {
        return pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown);
    }
    copy->store = store;
    copy->result = result;
    copy->used = 0;
    if (result == STORE_OK) {
        put(copy, header, sizeof(header));
        for (uint32_t key = from_key; key < store->batch->key_count; key++) {
            put_row(copy, store->batch, key);
        }
        result = end(copy);
    }
    free(copy);
    return result;
}
