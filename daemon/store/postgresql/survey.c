/*
 * The survey of the newest readings, before a pass of retention: some hundred devices a statement,
 * by seeks of the primary keys, which begin with (device, time_ms).
 */
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

/* A reading that is further ahead of its arrival than this says that one of two clocks is wrong. */
#define AHEAD_MS INT64_C(86400000)

static int read(struct store *store, enum pg_statement id, const struct pg_args *args,
                PGresult **out)
{
    int result = store->in_transaction ? STORE_OK : pg_ready(store);

    *out = NULL;
    return result == STORE_OK ? pg_run(store, id, args, out) : result;
}

static void note_device(struct store_newest *newest, int64_t time_ms)
{
    newest->devices++;
    if (time_ms > newest->first_ms) {
        newest->second_ms = newest->first_ms;
        newest->first_ms = time_ms;
    } else if (time_ms > newest->second_ms) {
        newest->second_ms = time_ms;
    }
}

static int read_devices(struct store *store, struct store_newest *newest)
{
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    int result;

    pg_arg_int8(&args, newest->device);
    pg_arg_int8(&args, newest->until_ms);
    pg_arg_int8(&args, AHEAD_MS);
    result = read(store, PG_SURVEY_DEVICES, &args, &found);
    for (int row = 0; result == STORE_OK && row < PQntuples(found); row++) {
        newest->device = pg_int8(found, row, 0);
        if (pg_int4(found, row, 2) != 0) {
            note_device(newest, pg_int8(found, row, 1));
        }
    }
    newest->done = result == STORE_OK && PQntuples(found) == 0;
    PQclear(found);
    return result;
}

static int read_one(struct store *store, enum pg_statement id, const struct pg_args *args,
                    int64_t *value)
{
    PGresult *found = NULL;
    int result = read(store, id, args, &found);

    *value = result == STORE_OK && PQntuples(found) > 0 ? pg_int8(found, 0, 0) : 0;
    PQclear(found);
    return result;
}

int postgresql_survey_newest(struct store *store, struct store_newest *newest,
                             const struct store_chunk *chunk)
{
    int64_t deadline_us = chunk->clock_us() + chunk->budget_us;
    struct store_newest next = *newest;
    struct pg_args args = {.count = 0};
    int result;

    do {
        result = read_devices(store, &next);
    } while (result == STORE_OK && !next.done && chunk->clock_us() < deadline_us);
    if (result == STORE_OK && next.done && next.devices == 1) {
        pg_arg_int8(&args, next.first_ms);
        result = read_one(store, PG_SURVEY_BEFORE, &args, &next.before_ms);
    } else if (result == STORE_OK && next.done && next.devices == 0) {
        result = read_one(store, PG_SURVEY_QUARANTINE, &args, &next.first_ms);
        next.before_ms = next.first_ms;
    }
    if (result == STORE_OK) {
        *newest = next;
    }
    return result;
}
