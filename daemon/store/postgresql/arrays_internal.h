/* Arrays as parameters of statements, in binary. */
#ifndef STORE_POSTGRESQL_ARRAYS_INTERNAL_H
#define STORE_POSTGRESQL_ARRAYS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_args;

/* The types of elements: their OIDs, which never change (pg_type.dat). */
enum pg_array_type { ARRAY_BYTEA = 17, ARRAY_INT8 = 20, ARRAY_TEXT = 25, ARRAY_FLOAT8 = 701 };

/* Zeroed before the first array_begin(). */
struct pg_array {
    char *bytes;
    size_t used, size;
    int32_t count;
    bool has_null;
    bool failed; /* out of memory */
};

/* Begin an array of one dimension; memory of the one before is used again. */
void array_begin(struct pg_array *array, enum pg_array_type type);

void array_int8(struct pg_array *array, int64_t value);
void array_bytes(struct pg_array *array, const void *bytes, size_t length); /* NULL becomes NULL */

/* Complete the array, and add it to the parameters, which borrow it. Returns false when memory was
 * out meanwhile. */
bool array_arg(struct pg_array *array, struct pg_args *args);

void array_free(struct pg_array *array);

#endif
