/*
 * Arrays in PostgreSQL's binary form (array_recv() in arrayfuncs.c): dimensions, "has a NULL", type
 * of the elements, length and lower bound of the dimension, then for each element its length, -1
 * for NULL, and its bytes. All numbers are in network order.
 */
#include "store/postgresql/arrays_internal.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgresql/postgresql_internal.h"

#define HEADER_SIZE 20
#define FIRST_SIZE  256

static void put(struct pg_array *array, const void *bytes, size_t length)
{
    if (!array->failed && array->size - array->used < length) {
        size_t size = array->size > 0 ? array->size : FIRST_SIZE;
        char *grown;

        while (size - array->used < length) {
            size *= 2;
        }
        grown = realloc(array->bytes, size);
        array->failed = grown == NULL;
        array->bytes = grown != NULL ? grown : array->bytes;
        array->size = grown != NULL ? size : array->size;
    }
    if (!array->failed && length > 0) {
        memcpy(array->bytes + array->used, bytes, length);
        array->used += length;
    }
}

static void put_int4(struct pg_array *array, int32_t value)
{
    uint32_t order = htobe32((uint32_t)value);

    put(array, &order, sizeof(order));
}

void array_begin(struct pg_array *array, enum pg_array_type type)
{
    array->used = 0;
    array->count = 0;
    array->has_null = false;
    array->failed = false;
    put_int4(array, 1);
    put_int4(array, 0);
    put_int4(array, (int32_t)type);
    put_int4(array, 0);
    put_int4(array, 1);
}

void array_bytes(struct pg_array *array, const void *bytes, size_t length)
{
    array->count++;
    if (bytes == NULL) {
        array->has_null = true;
        put_int4(array, -1);
        return;
    }
    put_int4(array, (int32_t)length);
    put(array, bytes, length);
}

void array_int8(struct pg_array *array, int64_t value)
{
    uint64_t order = htobe64((uint64_t)value);

    array_bytes(array, &order, sizeof(order));
}

bool array_arg(struct pg_array *array, struct pg_args *args)
{
    uint32_t has_null = htobe32(array->has_null ? 1 : 0);
    uint32_t count = htobe32((uint32_t)array->count);

    if (array->failed) {
        return false;
    }
    memcpy(array->bytes + 4, &has_null, sizeof(has_null));
    memcpy(array->bytes + 12, &count, sizeof(count));
    pg_arg_bytes(args, array->bytes, array->used);
    return true;
}

void array_free(struct pg_array *array)
{
    free(array->bytes);
    *array = (struct pg_array){0};
}
