/* Operations for which this engine has nothing to do: it has no inbox, and no file of its own that
 * could be replaced or could give space back. */
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

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

int postgresql_shrink(struct store *store)
{
    (void)store;
    return STORE_OK;
}
