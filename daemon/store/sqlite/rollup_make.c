/*
 * Adds up the readings of a device and day.
 *
 * The rows are read in the order of time, and added in that order, so that a sum is the same double
 * as that of SQLite's sum() over the same readings. Two successive levels make a step. A rise of
 * RECHARGE_PCT or more is a recharge; every other step says something of the discharge. A step
 * between two days belongs to neither: who needs it compares the last level of one roll-up with the
 * first of the next.
 *
 * Rows are small, because there may be many: a number that follows from others is NULL, and costs
 * nothing. The view battery_pieces fills it in.
 */
#include "store/sqlite/rollup_internal.h"

#include <math.h>
#include <string.h>

#include "store/sqlite/sqlite_internal.h"

#define RECHARGE_PCT  5.0
#define FIRST_COLUMNS 9  /* with which both tables begin */
#define LEVEL_COLUMNS 15 /* of battery_days, which follow */

/* Of the values of a column. */
struct values {
    int64_t count;
    double min;
    double sum;
    double max;
};

struct sums {
    int64_t readings;
    int64_t first_ms;
    int64_t last_ms;
    int64_t pause_max_ms;
    struct values first; /* of the first column: volts, or degrees */
    struct values level;
    double level_first;
    double level_last;
    int64_t level_first_ms;
    int64_t level_last_ms;
    double drop_pct;
    int64_t drop_ms;
    double rise_pct;
    int64_t rise_ms;
    int64_t recharges;
    double recharge_pct;
    int64_t recharged_ms;
};

static const struct {
    enum store_statement first;
    enum store_statement read;
    enum store_statement put;
} tables[ROLLUP_TABLES] = {
    [ROLLUP_BATTERY] = {STATEMENT_BATTERY_FIRST, STATEMENT_BATTERY_FROM, STATEMENT_BATTERY_DAY_PUT},
    [ROLLUP_TEMPERATURE] = {STATEMENT_TEMPERATURE_FIRST, STATEMENT_TEMPERATURE_FROM,
                            STATEMENT_TEMPERATURE_DAY_PUT},
};

static void add_value(struct values *values, double value)
{
    values->min = values->count == 0 || value < values->min ? value : values->min;
    values->max = values->count == 0 || value > values->max ? value : values->max;
    values->sum = values->count == 0 ? value : values->sum + value;
    values->count++;
}

static void add_step(struct sums *sums, double level, int64_t time_ms)
{
    double rise = level - sums->level_last;
    int64_t took_ms = time_ms - sums->level_last_ms;

    if (rise >= RECHARGE_PCT) {
        sums->recharges++;
        sums->recharge_pct += rise;
        sums->recharged_ms = time_ms;
    } else if (rise > 0) {
        sums->rise_pct += rise;
        sums->rise_ms += took_ms;
    } else {
        sums->drop_pct -= rise;
        sums->drop_ms += took_ms;
    }
}

static void add_level(struct sums *sums, double level, int64_t time_ms)
{
    if (sums->level.count == 0) {
        sums->level_first = level;
        sums->level_first_ms = time_ms;
    } else {
        add_step(sums, level, time_ms);
    }
    add_value(&sums->level, level);
    sums->level_last = level;
    sums->level_last_ms = time_ms;
}

/* Adds the statement's row: time, value, and of a battery the level. */
static void add_row(struct sums *sums, sqlite3_stmt *statement, int64_t time_ms)
{
    if (sums->readings == 0) {
        sums->first_ms = time_ms;
    } else if (time_ms - sums->last_ms > sums->pause_max_ms) {
        sums->pause_max_ms = time_ms - sums->last_ms;
    }
    sums->readings++;
    sums->last_ms = time_ms;
    if (sqlite3_column_type(statement, 1) != SQLITE_NULL) {
        add_value(&sums->first, sqlite3_column_double(statement, 1));
    }
    if (sqlite3_column_count(statement) > 2 && sqlite3_column_type(statement, 2) != SQLITE_NULL) {
        add_level(sums, sqlite3_column_double(statement, 2), time_ms);
    }
}

static struct store_value null_unless(bool there, struct store_value value)
{
    return there ? value : store_real(NAN);
}

/* Sets the columns of battery_days that are about levels; returns how many they are. */
static int set_levels(struct store_value *values, const struct sums *sums)
{
    bool level = sums->level.count > 0;
    bool rose = sums->rise_pct > 0 || sums->recharges > 0;
    const struct store_value levels[LEVEL_COLUMNS] = {
        store_integer(sums->level.count),
        null_unless(level, store_real(sums->level.min)),
        null_unless(level, store_real(sums->level.sum)),
        null_unless(level, store_real(sums->level.max)),
        null_unless(level && sums->level_first < sums->level.max, store_real(sums->level_first)),
        null_unless(level && sums->level_last > sums->level.min, store_real(sums->level_last)),
        null_unless(level && sums->level_first_ms != sums->first_ms,
                    store_integer(sums->level_first_ms)),
        null_unless(level && sums->level_last_ms != sums->last_ms,
                    store_integer(sums->level_last_ms)),
        null_unless(!level || rose, store_real(sums->drop_pct)),
        null_unless(!level || rose, store_integer(sums->drop_ms)),
        store_real(sums->rise_pct),
        store_integer(sums->rise_ms),
        store_integer(sums->recharges),
        store_real(sums->recharge_pct),
        null_unless(sums->recharges > 0, store_integer(sums->recharged_ms)),
    };

    memcpy(values, levels, sizeof(levels));
    return LEVEL_COLUMNS;
}

static int put(struct store *store, enum rollup_table table, int64_t device,
               const struct rollup_day *day, const struct sums *sums)
{
    bool known = sums->first.count > 0;
    struct store_value values[FIRST_COLUMNS + LEVEL_COLUMNS + 1] = {
        store_integer(day->day),
        store_integer(device),
        store_integer(sums->readings),
        store_integer(sums->first_ms - day->from_ms),
        store_integer(sums->last_ms - day->from_ms),
        store_integer(sums->first.count),
        null_unless(known, store_real(sums->first.min)),
        null_unless(known, store_real(sums->first.sum)),
        null_unless(known, store_real(sums->first.max)),
    };
    int count = FIRST_COLUMNS;

    if (table == ROLLUP_BATTERY) {
        count += set_levels(&values[count], sums);
    }
    values[count++] = null_unless(sums->readings > 1, store_integer(sums->pause_max_ms));
    return store_execute(store, tables[table].put, values, count);
}

int rollup_first(struct store *store, enum rollup_table table, int64_t device, int64_t from_ms,
                 int64_t *time_ms)
{
    const struct store_value values[] = {store_integer(device), store_integer(from_ms)};
    enum store_statement id = tables[table].first;
    bool row = false;
    int result = store_step(store, id, values, 2, &row);

    *time_ms = INT64_MAX;
    if (result == STORE_OK && row && sqlite3_column_type(store->statements[id], 0) != SQLITE_NULL) {
        *time_ms = sqlite3_column_int64(store->statements[id], 0);
    }
    store_reset(store, id);
    return result;
}

int rollup_make(struct store *store, enum rollup_table table, int64_t device,
                const struct rollup_day *day, int64_t until_ms, int64_t *next_ms)
{
    const struct store_value values[] = {store_integer(device), store_integer(day->from_ms)};
    enum store_statement id = tables[table].read;
    sqlite3_stmt *statement = store->statements[id];
    struct sums sums = {0};
    bool row = false;
    int result = store_step(store, id, values, 2, &row);

    *next_ms = INT64_MAX;
    while (result == STORE_OK && row) {
        int64_t time_ms = sqlite3_column_int64(statement, 0);

        if (time_ms >= until_ms) {
            *next_ms = time_ms;
            break;
        }
        add_row(&sums, statement, time_ms);
        result = store_step(store, id, NULL, 0, &row);
    }
    store_reset(store, id);
    if (result != STORE_OK || sums.readings == 0) {
        return result;
    }
    return put(store, table, device, day, &sums);
}
