/* Declarations shared by the files of store/answers.h; their opening is in answers.c. */
#ifndef STORE_POSTGRESQL_ANSWERS_INTERNAL_H
#define STORE_POSTGRESQL_ANSWERS_INTERNAL_H

#include "store/answers.h"
#include "store/postgresql/postgresql_internal.h"

#define ANSWERS_VALUES_MAX 64
#define ANSWERS_DOING_SIZE 128

/* Open a query of this SQL; `values` are copied and become $1 and so on. *out is the caller's, for
 * store_query_close(). */
int pg_answers_open(struct store *store, const char *sql, const char *doing,
                    const struct store_cell *values, int count, struct store_query **out);

/* Let the server read all rows now, so that no transaction is open while they are fetched. */
int pg_answers_spool(struct store_query *query);

#endif
