/* Rows for COPY in binary. One thread, as store/store.h. */
#ifndef STORE_POSTGRESQL_COPY_INTERNAL_H
#define STORE_POSTGRESQL_COPY_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "store/judge.h"

struct store;

/* An open COPY. The first failure stays in it, and everything after it does nothing. */
struct copy;

/*
 * Send `sql`, which ends with a COPY ... FROM STDIN (FORMAT binary) and may begin with PG_BEGIN,
 * and wait for the server's consent: libpq takes no data before it. Sets in_transaction when the
 * BEGIN was answered. *out is for copy_end(), which must be called, also after a failure; NULL with
 * STORE_E_RETRY when memory is out.
 */
int copy_begin(struct store *store, const char *sql, struct copy **out);

/* Begin a row of so many columns; then one call a column. NULL becomes NULL. */
void copy_row(struct copy *copy, int16_t columns);
void copy_int2(struct copy *copy, int16_t value);
void copy_int4(struct copy *copy, int32_t value);
void copy_int8(struct copy *copy, int64_t value);
void copy_real(struct copy *copy, const struct judge_value *value);
void copy_text(struct copy *copy, const char *text);
void copy_bytes(struct copy *copy, const void *bytes, size_t length);

/* End the COPY, free it, and set *rows to the number of rows that the server has taken. NULL does
 * nothing. Returns STORE_OK, or the first failure. */
int copy_end(struct copy *copy, int64_t *rows);

#endif
