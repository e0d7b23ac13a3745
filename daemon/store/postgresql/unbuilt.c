/*
 * Operations that are not built yet. Those that a batch needs answer as if there were nothing to
 * do; all others fail with a sentence.
 */
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

static int unbuilt(struct store *store, const char *what)
{
    return pg_refuse(store, STORE_FATAL, "%s: %s is not built yet for PostgreSQL", store->shown,
                     what);
}

int postgresql_find_out(struct store *store, struct store_found *out)
{
    (void)store;
    *out = (struct store_found){0};
    return STORE_OK;
}

bool postgresql_sorts_in(const struct store *store)
{
    (void)store;
    return false;
}

int postgresql_sort_in(struct store *store, bool idle, uint64_t most, int64_t *wait_us)
{
    (void)store;
    (void)idle;
    (void)most;
    *wait_us = -1;
    return STORE_OK;
}

uint64_t postgresql_waiting(const struct store *store)
{
    (void)store;
    return 0;
}

int postgresql_idle(struct store *store, int *again_ms)
{
    (void)store;
    *again_ms = 1000;
    return STORE_OK;
}

int postgresql_shrink(struct store *store)
{
    (void)store;
    return STORE_OK;
}

int postgresql_version_of_others(struct store *store, int64_t *version)
{
    (void)store;
    *version = 0;
    return STORE_OK;
}

int postgresql_expire(struct store *store, struct store_expiry *expiry,
                      const struct store_chunk *chunk, struct store_expired *out)
{
    (void)chunk;
    for (int table = 0; table < STORE_TABLES; table++) {
        if (expiry->cutoff_ms[table] != STORE_KEEP) {
            return unbuilt(store, "retention");
        }
    }
    *out = (struct store_expired){.done = true};
    return STORE_OK;
}

int postgresql_survey_count(struct store *store, struct store_tally *tally,
                            const struct store_chunk *chunk)
{
    (void)store;
    (void)chunk;
    tally->done = true; /* nothing is old: expire() refuses what is */
    return STORE_OK;
}
