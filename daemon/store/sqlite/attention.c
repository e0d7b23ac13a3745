/*
 * Counts the devices that need attention, some at a time. Each device is one statement that goes by
 * seeks in the primary keys, however many devices and readings there are.
 *
 * The views silent_devices and temperature_excursions read all devices, and whole histories; here
 * the newest readings of one device are enough. The rules are the same, and a test compares the
 * counts. A battery is low by the limit that is closest: the device's own, else the highest of its
 * groups', else the highest of those for all.
 *
 * The statement reads a view and the table `limits`, which people may change. So it is compiled for
 * each chunk, and not with the daemon's own statements when the database is opened: a view that is
 * gone leaves the devices uncounted, and messages go on.
 */
#include "store/sqlite/attention_internal.h"

#include <errno.h>

#include "store/sqlite/sqlite_internal.h"

/* A fault of a view, or of `limits`, is none of the database. */
static int failed(struct store *store)
{
    if ((sqlite3_errcode(store->db) & 0xff) == SQLITE_ERROR) {
        return store_refuse(store, STORE_E_RETRY, "%s: cannot count the devices: %s", store->path,
                            sqlite3_errmsg(store->db));
    }
    return store_fail(store, "count the devices");
}

static int look_at(struct store *store, sqlite3_stmt *statement, int64_t device,
                   struct store_attention *pass)
{
    int code;

    errno = 0;
    sqlite3_bind_int64(statement, 1, device);
    sqlite3_bind_int64(statement, 2, STORE_LEVEL_LOW_PCT);
    sqlite3_bind_int64(statement, 3, pass->now_ms);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        pass->device = device;
        pass->devices++;
        pass->silent += sqlite3_column_int64(statement, 0);
        pass->low += sqlite3_column_int64(statement, 1);
        pass->excursions += sqlite3_column_int64(statement, 2);
    }
    code = code == SQLITE_ROW || code == SQLITE_DONE ? STORE_OK : failed(store);
    sqlite3_reset(statement); /* its code repeats the step's */
    return code;
}

static int look_at_some(struct store *store, sqlite3_stmt *statement, struct store_attention *pass,
                        const struct store_chunk *chunk)
{
    int64_t deadline_us = chunk->clock_us() + chunk->budget_us;

    do {
        int64_t device = 0;
        int result = store_next_device(store, pass->device, &device);

        if (result == STORE_OK && device != 0) {
            result = look_at(store, statement, device, pass);
        }
        if (result != STORE_OK) {
            return result;
        }
        pass->done = device == 0;
    } while (!pass->done && chunk->clock_us() < deadline_us);
    return STORE_OK;
}

int sqlite_attention(struct store *store, struct store_attention *pass,
                     const struct store_chunk *chunk)
{
    sqlite3_stmt *statement = NULL;
    int result;

    errno = 0;
    if (sqlite3_prepare_v2(store->db, STORE_ATTENTION, -1, &statement, NULL) != SQLITE_OK) {
        return failed(store);
    }
    result = look_at_some(store, statement, pass, chunk);
    sqlite3_finalize(statement);
    return result;
}
