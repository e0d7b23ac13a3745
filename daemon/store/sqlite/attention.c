/*
 * Counts the devices that need attention, some at a time. Each device is one statement that goes by
 * seeks in the primary keys, however many devices and readings there are.
 *
 * The views silent_devices and temperature_excursions read all devices, and whole histories; here
 * the newest readings of one device are enough. The rules are the same, and a test compares the
 * counts. A battery is low by the limit that is closest: the device's own, else the highest of its
 * groups', else the highest of those for all.
 */
#include "store/sqlite/sqlite_internal.h"

/* Sets *device to the next one; 0: there is none. */
static int next_device(struct store *store, int64_t *device)
{
    const struct store_value value = store_integer(*device);
    bool row = false;
    int result = store_step(store, STATEMENT_DEVICE_NEXT, &value, 1, &row);

    if (result == STORE_OK) {
        *device = row ? sqlite3_column_int64(store->statements[STATEMENT_DEVICE_NEXT], 0) : 0;
    }
    store_reset(store, STATEMENT_DEVICE_NEXT);
    return result;
}

static int look_at(struct store *store, int64_t device, struct store_attention *pass)
{
    const struct store_value values[] = {store_integer(device), store_integer(STORE_LEVEL_LOW_PCT),
                                         store_integer(pass->now_ms)};
    sqlite3_stmt *statement = store->statements[STATEMENT_ATTENTION];
    bool row = false;
    int result = store_step(store, STATEMENT_ATTENTION, values, 3, &row);

    if (result == STORE_OK && row) {
        pass->device = device;
        pass->devices++;
        pass->silent += sqlite3_column_int64(statement, 0);
        pass->low += sqlite3_column_int64(statement, 1);
        pass->excursions += sqlite3_column_int64(statement, 2);
    }
    store_reset(store, STATEMENT_ATTENTION);
    return result;
}

int sqlite_attention(struct store *store, struct store_attention *pass,
                     const struct store_chunk *chunk)
{
    int64_t deadline_us = chunk->clock_us() + chunk->budget_us;

    do {
        int64_t device = pass->device;
        int result = next_device(store, &device);

        if (result == STORE_OK && device != 0) {
            result = look_at(store, device, pass);
        }
        if (result != STORE_OK) {
            return result;
        }
        pass->done = device == 0;
    } while (!pass->done && chunk->clock_us() < deadline_us);
    return STORE_OK;
}
