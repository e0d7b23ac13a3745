/* The state of retention between two chunks; expire.c has the design. */
#ifndef STORE_POSTGRESQL_EXPIRE_INTERNAL_H
#define STORE_POSTGRESQL_EXPIRE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#define PG_PARTITION_SIZE 64 /* NAMEDATALEN */

/* Begins the name of a month that is detached and waits to be dropped. The name of the month
 * follows. */
#define PG_EXPIRED_PREFIX "foxtrackr_expired_"

struct pg_expire {
    char counted[PG_PARTITION_SIZE]; /* the detached month that is counted; "": none */
    int64_t page;                    /* its pages before this one are counted */
    int64_t rows;                    /* in them */
    char held[PG_PARTITION_SIZE];    /* a month of this pass that somebody reads; "": none */
    bool skip[3];                    /* no more months of this table in this pass */
};

#endif
