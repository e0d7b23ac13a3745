/*
 * Writes rows by COPY in binary (the format is in PostgreSQL's manual, "COPY", Binary Format): a
 * header, for each row the number of its columns, for each column its length, -1 for NULL, and its
 * bytes; -1 at the end. Numbers are in network order. json is its text.
 */
#include "store/postgresql/copy_internal.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgresql/postgresql_internal.h"

#define BUFFER_SIZE 65536
#define DOING       "copy readings"

static const char header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0"; /* its last NUL counts: 19 bytes */

struct copy {
    struct store *store;
    int result;
    bool consented;
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

void copy_bytes(struct copy *copy, const void *bytes, size_t length)
{
    put_int4(copy, bytes != NULL ? (int32_t)length : -1);
    if (bytes != NULL) {
        put(copy, bytes, length);
    }
}

void copy_int2(struct copy *copy, int16_t value)
{
    put_int4(copy, 2);
    put_int2(copy, value);
}

void copy_int4(struct copy *copy, int32_t value)
{
    put_int4(copy, 4);
    put_int4(copy, value);
}

void copy_int8(struct copy *copy, int64_t value)
{
    uint64_t order = htobe64((uint64_t)value);

    copy_bytes(copy, &order, sizeof(order));
}

void copy_real(struct copy *copy, const struct judge_value *value)
{
    uint64_t bits;

    memcpy(&bits, &value->real, sizeof(bits));
    bits = htobe64(bits);
    copy_bytes(copy, value->null ? NULL : &bits, sizeof(bits));
}

void copy_text(struct copy *copy, const char *text)
{
    copy_bytes(copy, text, text != NULL ? strlen(text) : 0);
}

void copy_row(struct copy *copy, int16_t columns)
{
    put_int2(copy, columns);
}

/* --- the command --------------------------------------------------------------------------- */

/* Reads the answers up to the server's consent. */
static int await_consent(struct store *store)
{
    PGresult *answer = NULL;
    int result = STORE_OK;

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

int copy_begin(struct store *store, const char *sql, struct copy **out)
{
    struct copy *copy = malloc(sizeof(*copy));

    *out = copy;
    if (copy == NULL) {
        return pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown);
    }
    copy->store = store;
    copy->used = 0;
    if (store->db == NULL || PQsendQuery(store->db, sql) != 1) {
        copy->result = pg_fail(store, NULL, DOING);
    } else {
        copy->result = await_consent(store);
    }
    copy->consented = copy->result == STORE_OK;
    put(copy, header, sizeof(header));
    return copy->result;
}

/* Sends the end, and reads the number of rows. */
static int finish(struct copy *copy, int64_t *rows)
{
    PGresult *answer = NULL;
    int result;

    put_int2(copy, -1);
    flush(copy);
    if (copy->result == STORE_OK && PQputCopyEnd(copy->store->db, NULL) != 1) {
        copy->result = pg_fail(copy->store, NULL, DOING);
    }
    if (copy->result != STORE_OK) {
        return copy->result;
    }
    result = pg_results(copy->store, DOING, &answer);
    *rows = result == STORE_OK ? pg_touched(answer) : 0;
    PQclear(answer);
    return result;
}

int copy_end(struct copy *copy, int64_t *rows)
{
    int result;

    *rows = 0;
    if (copy == NULL) {
        return STORE_OK;
    }
    result = copy->consented ? finish(copy, rows) : copy->result;
    free(copy);
    return result;
}
