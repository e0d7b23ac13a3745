/* The monthly partitions that are known to exist. */
#ifndef STORE_POSTGRESQL_MONTHS_INTERNAL_H
#define STORE_POSTGRESQL_MONTHS_INTERNAL_H

#include <stdint.h>

struct pg_months;
struct store;

struct pg_months *months_new(void);
void months_free(struct pg_months *months); /* NULL is allowed */
void months_clear(struct pg_months *months);

/* Make sure that there is a partition for a row of `table` (battery, temperature or messages) with
 * this time, in the open transaction. */
int months_need(struct store *store, const char *table, int64_t time_ms);

/* Make the months from now_ms (wall clock) to two months later, in transactions of their own. */
int months_ahead(struct store *store, int64_t now_ms);

#endif
