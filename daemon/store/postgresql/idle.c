/* The daemon's own work between batches: months are made ahead, so that the first message of a
 * month finds its partition. */
#include "base/clock.h"
#include "store/postgresql/months_internal.h"
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define AGAIN_MS  1000
#define AHEAD_MS  3600000
#define FAILED_MS 60000 /* then it is tried again */

int postgresql_idle(struct store *store, int *again_ms)
{
    int64_t now_ms = clock_monotonic_ms();
    int result;

    *again_ms = AGAIN_MS;
    if (store->link != PG_HOLDER || store->unknown ||
        (store->ahead_ms != 0 && now_ms - store->ahead_ms < AHEAD_MS)) {
        return STORE_OK; /* the next batch connects */
    }
    store->ahead_ms = now_ms;
    result = months_ahead(store, clock_wall_ms());
    if (result != STORE_OK) {
        store->ahead_ms = now_ms - AHEAD_MS + FAILED_MS;
        postgresql_rollback(store); /* keeps the sentence */
    }
    return result;
}
