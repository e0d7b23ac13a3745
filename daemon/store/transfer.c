/* Passes the functions of store/transfer.h on to the engine into which rows are moved. */
#include "store/transfer.h"

#include "store/engine.h"

static const struct store_transfer *transfer_of(const struct store *store)
{
    const struct store_handle *handle = (const void *)store;

    return handle->engine->transfer;
}

int store_transfer_begin(struct store *store, const char *origin, int64_t *finished_ms)
{
    return transfer_of(store)->begin(store, origin, finished_ms);
}

int store_transfer_position(struct store *store, const char *table, struct store_position *out)
{
    return transfer_of(store)->position(store, table, out);
}

int store_transfer_batch(struct store *store, const char *table, const char *const *columns)
{
    return transfer_of(store)->batch(store, table, columns);
}

int store_transfer_row(struct store *store, const struct store_cell *cells)
{
    return transfer_of(store)->row(store, cells);
}

int store_transfer_end(struct store *store, const struct store_position *position)
{
    return transfer_of(store)->end(store, position);
}

int store_transfer_finish(struct store *store, int64_t now_ms)
{
    return transfer_of(store)->finish(store, now_ms);
}
