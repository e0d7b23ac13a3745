/*
 * The survey before a pass of retention: the newest readings, and how many rows a cutoff would
 * delete. Both go through the devices, some hundred a statement, by seeks and short scans of the
 * primary keys, which begin with (device, time_ms).
 *
 * Rows to delete are counted one by one, those that stay only up to that number, as SQLite's engine
 * does: the only question is "more than half?". Rows that share the last millisecond of a step may
 * be missed: the number is for messages only.
 */
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

/* A reading that is further ahead of its arrival than this says that one of two clocks is wrong. */
#define AHEAD_MS INT64_C(86400000)

#define STEP_ROWS    512
#define STEP_DEVICES 50

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

/* --- how many rows are old ------------------------------------------------------------------- */

/* Adds what a statement has counted. A device with STEP_ROWS may have more: the next step begins
 * there. *more is false when there were no devices. */
static void add_counts(struct store_tally *tally, const PGresult *found, bool *more)
{
    int64_t *sum = tally->of_kept ? &tally->kept_rows : &tally->old_rows;

    *more = PQntuples(found) > 0;
    for (int row = 0; row < PQntuples(found); row++) {
        int64_t rows = pg_int8(found, row, 1);

        *sum += rows;
        tally->device = pg_int8(found, row, 0);
        tally->in_device = rows == STEP_ROWS;
        if (tally->in_device) {
            tally->from_ms = pg_int8(found, row, 2) + 1;
            return;
        }
    }
}

static int count_step(struct store *store, struct store_tally *tally, bool *more)
{
    static const enum pg_statement counts[STORE_TABLES] = {
        [STORE_BATTERY] = PG_BATTERY_COUNT,
        [STORE_TEMPERATURE] = PG_TEMPERATURE_COUNT,
        [STORE_MESSAGES] = PG_MESSAGES_COUNT,
        [STORE_QUARANTINE] = PG_QUARANTINE_COUNT,
    };
    int64_t begin_ms = tally->of_kept ? tally->cutoff_ms : INT64_MIN;
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    int result;

    *more = false;
    if (tally->table == STORE_QUARANTINE && tally->device != 0 && !tally->in_device) {
        return STORE_OK; /* treated like a table with one device */
    }
    pg_arg_int8(&args, tally->in_device ? tally->device - 1 : tally->device);
    pg_arg_int8(&args, tally->in_device ? tally->from_ms : begin_ms);
    pg_arg_int8(&args, tally->of_kept ? INT64_MAX : tally->cutoff_ms);
    pg_arg_int8(&args, STEP_ROWS);
    pg_arg_int8(&args, tally->in_device ? 1 : STEP_DEVICES);
    result = read(store, counts[tally->table], &args, &found);
    if (result == STORE_OK) {
        add_counts(tally, found, more);
    }
    PQclear(found);
    return result;
}

int postgresql_survey_count(struct store *store, struct store_tally *tally,
                            const struct store_chunk *chunk)
{
    int64_t deadline_us = chunk->clock_us() + chunk->budget_us;
    struct store_tally next = *tally;
    int result = STORE_OK;

    do {
        bool more = false;

        result = count_step(store, &next, &more);
        if (result == STORE_OK && !more) {
            next.done = next.of_kept || next.old_rows == 0;
            next.of_kept = true;
            next.device = 0;
            next.in_device = false;
        } else if (result == STORE_OK) {
            next.done = next.of_kept && next.kept_rows >= next.old_rows;
        }
    } while (result == STORE_OK && !next.done && chunk->clock_us() < deadline_us);
    if (result == STORE_OK) {
        *tally = next;
    }
    return result;
}
