/*
 * The survey before a pass of retention: the newest readings, and how many rows a cutoff would
 * delete. Both are found in steps of a few milliseconds, by seeks and short scans of the primary
 * keys, which begin with (device, time_ms).
 *
 * The rows to delete are counted one by one; deleting them reads the same pages anyway. The rows
 * that stay are counted only up to that number, because the only question is "more than half?". So
 * the cost depends on the work of the pass: a few seeks for each device if there is little,
 * whatever the size of the tables. Rows that share the last millisecond of a step may be missed:
 * the number is for messages only.
 */
#include <string.h>

#include "store/sqlite/sqlite_internal.h"
#include "store/store.h"

#define STEP_ROWS 512

/* A reading that is further ahead of its arrival than this says that one of two clocks is wrong. */
#define AHEAD_MS INT64_C(86400000)

static const enum store_statement counts[STORE_TABLES] = {
    [STORE_BATTERY] = STATEMENT_BATTERY_COUNT,
    [STORE_TEMPERATURE] = STATEMENT_TEMPERATURE_COUNT,
    [STORE_MESSAGES] = STATEMENT_MESSAGES_COUNT,
    [STORE_QUARANTINE] = STATEMENT_QUARANTINE_COUNT,
};

#define COLUMNS 3

/* Reads the columns of a statement's only row; a NULL, and a column that it does not have, give 0.
 */
static int read_columns(struct store *store, enum store_statement id,
                        const struct store_value *values, int count, int64_t out[COLUMNS])
{
    sqlite3_stmt *statement = store->statements[id];
    bool row = false;
    int result = store_step(store, id, values, count, &row);

    memset(out, 0, COLUMNS * sizeof(out[0]));
    for (int i = 0; result == STORE_OK && row && i < sqlite3_column_count(statement); i++) {
        out[i] = sqlite3_column_int64(statement, i);
    }
    store_reset(store, id);
    return result;
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

int sqlite_survey_newest(struct store *store, struct store_newest *newest,
                         const struct store_chunk *chunk)
{
    int64_t deadline_us = chunk->clock_us() + chunk->budget_us;
    int result = STORE_OK;

    do {
        const struct store_value values[] = {store_integer(newest->device),
                                             store_integer(newest->until_ms),
                                             store_integer(AHEAD_MS)};
        int64_t found[COLUMNS];

        result = read_columns(store, STATEMENT_SURVEY_DEVICE, values, 3, found);
        if (result != STORE_OK) {
            return result;
        }
        if (found[0] == 0) {
            newest->done = true;
            break;
        }
        newest->device = found[0];
        if (found[2] != 0) {
            note_device(newest, found[1]);
        }
    } while (chunk->clock_us() < deadline_us);

    if (newest->done && newest->devices == 1) {
        struct store_value value = store_integer(newest->first_ms);
        int64_t found[COLUMNS];

        result = read_columns(store, STATEMENT_SURVEY_BEFORE, &value, 1, found);
        newest->before_ms = found[0];
    } else if (newest->done && newest->devices == 0) {
        int64_t found[COLUMNS];

        result = read_columns(store, STATEMENT_SURVEY_QUARANTINE, NULL, 0, found);
        newest->first_ms = found[0];
        newest->before_ms = found[0];
    }
    return result;
}

/* Counts up to STEP_ROWS rows of `device` from `from_ms` to before `to_ms`, and notes the last one,
 * behind which the next step goes on. */
static int count_step(struct store *store, struct store_tally *tally, int64_t device, int64_t to_ms,
                      int64_t *rows)
{
    const struct store_value values[] = {store_integer(device), store_integer(tally->from_ms),
                                         store_integer(to_ms), store_integer(STEP_ROWS)};
    int64_t found[COLUMNS];
    int result = read_columns(store, counts[tally->table], values, 4, found);

    *rows = found[0];
    tally->from_ms = found[1] + 1;
    return result;
}

/* Begins with the next device; *more is false when there is none. */
static int next_device(struct store *store, struct store_tally *tally, bool *more)
{
    const struct store_value value = store_integer(tally->device);
    int64_t found[COLUMNS] = {0};
    int result = STORE_OK;

    if (tally->table == STORE_QUARANTINE) {
        found[0] = tally->device == 0; /* treated like a table with one device */
    } else {
        result = read_columns(store, STATEMENT_DEVICE_NEXT, &value, 1, found);
    }
    tally->device = found[0];
    tally->from_ms = tally->of_kept ? tally->cutoff_ms : INT64_MIN;
    *more = found[0] != 0;
    return result;
}

/* Continues with the rows that stay, or ends. */
static void end_part(struct store_tally *tally)
{
    tally->done = tally->of_kept || tally->old_rows == 0;
    tally->of_kept = true;
    tally->device = 0;
    tally->in_device = false;
}

int sqlite_survey_count(struct store *store, struct store_tally *tally,
                        const struct store_chunk *chunk)
{
    int64_t deadline_us = chunk->clock_us() + chunk->budget_us;
    int result = STORE_OK;

    while (result == STORE_OK && !tally->done && chunk->clock_us() < deadline_us) {
        int64_t *sum = tally->of_kept ? &tally->kept_rows : &tally->old_rows;
        bool more = true;
        int64_t rows = 0;

        if (!tally->in_device) {
            result = next_device(store, tally, &more);
            tally->in_device = more;
        }
        if (result == STORE_OK && !more) {
            end_part(tally);
            continue;
        }
        if (result == STORE_OK) {
            result = count_step(store, tally, tally->device,
                                tally->of_kept ? INT64_MAX : tally->cutoff_ms, &rows);
        }
        if (result == STORE_OK) {
            *sum += rows;
            tally->in_device = rows == STEP_ROWS;
            tally->done = tally->of_kept && tally->kept_rows >= tally->old_rows;
        }
    }
    return result;
}

int sqlite_newest_ms(struct store *store, int64_t *newest_ms)
{
    int64_t found[COLUMNS];
    int result = read_columns(store, STATEMENT_NEWEST_RECEIVED, NULL, 0, found);

    if (result == STORE_OK) {
        *newest_ms = found[0] > found[1] ? found[0] : found[1];
    }
    return result;
}
