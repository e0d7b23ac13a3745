/*
 * Adds up the readings of a device and day.
 *
 * The rows are read in the order of time, and added in that order, so that a sum is the same double
 * as that of SQLite's sum() over the same readings.
 *
 * The pause is an upper bound: no pause that ends on the day is longer. The pause before the
 * day's first reading is one of them, so that a view that looks for gaps reads no other row. Older
 * readings that arrive later make that pause shorter, which needs no change; or they begin a pause
 * that was not known, which rollup_note_pause() adds when their day is made anew.
 *
 * A day may have millions of readings, and a chunk of idle work has a few milliseconds. So a day is
 * added up some readings at a time, in memory alone (work.parts), and its row is written with the
 * last of them. A reading that is stored meanwhile, before the last one that is added, begins the
 * day anew (rollup_forget_part()), and so does a change by another program.
 *
 * Rows are small, because there may be many: a number that follows from others is NULL, and costs
 * nothing. The view battery_pieces fills it in. What a device measures in thousandths of a volt, or
 * hundredths of a degree, is stored in these, as whole numbers: one to three bytes instead of
 * eight. The columns that people read are calculated from them (0013_small_rollups.sql).
 */
#include "store/sqlite/rollup_internal.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "store/sqlite/sqlite_internal.h"

#define FIRST_COLUMNS 5    /* with which both tables begin, but for those that are calculated */
#define LEVEL_COLUMNS 6    /* of battery_days, which follow */
#define LAST_COLUMNS  5    /* of both */
#define STEP_ROWS     1000 /* some hundred microseconds */
#define DAY_MS        INT64_C(86400000)

#define PACKED_LIMIT 1e6  /* values from here on stay as they are; so no integer overflows */
#define SUM_ERROR    1e-9 /* more than additions round away, less than verify compares */

static const struct {
    enum store_statement first;
    enum store_statement before;
    enum store_statement read;
    enum store_statement put;
    enum store_statement pause;
    double parts; /* of a volt or a degree, in which values are packed */
} tables[ROLLUP_TABLES] = {
    [ROLLUP_BATTERY] = {STATEMENT_BATTERY_FIRST, STATEMENT_BATTERY_BEFORE, STATEMENT_BATTERY_FROM,
                        STATEMENT_BATTERY_DAY_PUT, STATEMENT_BATTERY_DAY_PAUSE, 1000},
    [ROLLUP_TEMPERATURE] = {STATEMENT_TEMPERATURE_FIRST, STATEMENT_TEMPERATURE_BEFORE,
                            STATEMENT_TEMPERATURE_FROM, STATEMENT_TEMPERATURE_DAY_PUT,
                            STATEMENT_TEMPERATURE_DAY_PAUSE, 100},
};

static void add_value(struct rollup_values *values, double value)
{
    values->min = values->count == 0 || value < values->min ? value : values->min;
    values->max = values->count == 0 || value > values->max ? value : values->max;
    values->sum = values->count == 0 ? value : values->sum + value;
    values->count++;
}

static void add_level(struct rollup_sums *sums, double level)
{
    if (sums->level.count == 0) {
        sums->level_first = level;
    }
    add_value(&sums->level, level);
    sums->level_last = level;
}

static void add_pause(struct rollup_sums *sums, int64_t pause_ms)
{
    sums->pause_max_ms = pause_ms > sums->pause_max_ms ? pause_ms : sums->pause_max_ms;
    sums->paused = true;
}

/* Adds the statement's row: time, value, and of a battery the level. */
static void add_row(struct rollup_sums *sums, sqlite3_stmt *statement, int64_t time_ms)
{
    if (sums->readings == 0) {
        sums->first_ms = time_ms;
    } else {
        add_pause(sums, time_ms - sums->last_ms);
    }
    sums->readings++;
    sums->last_ms = time_ms;
    if (sqlite3_column_type(statement, 1) != SQLITE_NULL) {
        add_value(&sums->first, sqlite3_column_double(statement, 1));
    }
    if (sqlite3_column_count(statement) > 2 && sqlite3_column_type(statement, 2) != SQLITE_NULL) {
        add_level(sums, sqlite3_column_double(statement, 2));
    }
}

static struct store_value null_unless(bool there, struct store_value value)
{
    return there ? value : store_real(NAN);
}

/* A number of values; NULL: each reading has one. */
static struct store_value count_of(const struct rollup_values *values,
                                   const struct rollup_sums *sums)
{
    return null_unless(values->count < sums->readings, store_integer(values->count));
}

/* The longest pause; NULL: it is no longer than twice the mean. */
static struct store_value pause_of(const struct rollup_sums *sums)
{
    int64_t usual_ms =
        sums->readings > 1 ? 2 * (sums->last_ms - sums->first_ms) / (sums->readings - 1) : 0;

    return null_unless(sums->paused && sums->pause_max_ms > usual_ms,
                       store_integer(sums->pause_max_ms));
}

/* Sets lowest, sum and highest: as whole parts of the unit, the last two above the lowest, if all
 * three are such to the last bit (the sum: but for what additions round away); otherwise as they
 * are. */
static void pack(struct store_value packed[3], const struct rollup_values *values, double parts)
{
    bool known = values->count > 0;
    bool small = known && fabs(values->min) < PACKED_LIMIT && fabs(values->max) < PACKED_LIMIT;
    int64_t min = small ? llround(values->min * parts) : 0;
    int64_t sum = small ? llround(values->sum * parts) : 0;
    int64_t max = small ? llround(values->max * parts) : 0;

    if (small && (double)min / parts == values->min && (double)max / parts == values->max &&
        fabs((double)sum / parts - values->sum) < SUM_ERROR) {
        packed[0] = store_integer(min);
        packed[1] = store_integer(sum - min * values->count);
        packed[2] = store_integer(max - min);
    } else {
        packed[0] = null_unless(known, store_real(values->min));
        packed[1] = null_unless(known, store_real(values->sum));
        packed[2] = null_unless(known, store_real(values->max));
    }
}

/* Sets the columns of battery_days that are about levels; returns how many they are. */
static int set_levels(struct store_value *values, const struct rollup_sums *sums)
{
    bool level = sums->level.count > 0;
    const struct store_value levels[LEVEL_COLUMNS] = {
        count_of(&sums->level, sums),
        null_unless(level, store_real(sums->level.min)),
        null_unless(level, store_real(sums->level.sum)),
        null_unless(level, store_real(sums->level.max)),
        null_unless(level && sums->level_first < sums->level.max, store_real(sums->level_first)),
        null_unless(level && sums->level_last > sums->level.min, store_real(sums->level_last)),
    };

    memcpy(values, levels, sizeof(levels));
    return LEVEL_COLUMNS;
}

static int put(struct store *store, enum rollup_table table, int64_t device,
               const struct rollup_day *day, const struct rollup_sums *sums)
{
    struct store_value values[FIRST_COLUMNS + LEVEL_COLUMNS + LAST_COLUMNS] = {
        store_integer(day->day),       store_integer(device),
        store_integer(sums->readings), store_integer(sums->first_ms - day->from_ms),
        count_of(&sums->first, sums),
    };
    int count = FIRST_COLUMNS;

    if (table == ROLLUP_BATTERY) {
        count += set_levels(&values[count], sums);
    }
    values[count++] = pause_of(sums);
    values[count++] = store_integer(DAY_MS - (sums->last_ms - day->from_ms));
    pack(&values[count], &sums->first, tables[table].parts);
    count += 3;
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

/* Adds the pause before the first reading, if there is an earlier one. */
static int add_pause_before(struct store *store, enum rollup_table table, int64_t device,
                            struct rollup_sums *sums)
{
    const struct store_value values[] = {store_integer(device), store_integer(sums->first_ms)};
    enum store_statement id = tables[table].before;
    bool row = false;
    int result = store_step(store, id, values, 2, &row);

    if (result == STORE_OK && row && sqlite3_column_type(store->statements[id], 0) != SQLITE_NULL) {
        add_pause(sums, sums->first_ms - sqlite3_column_int64(store->statements[id], 0));
    }
    store_reset(store, id);
    return result;
}

int rollup_note_pause(struct store *store, enum rollup_table table, int64_t device,
                      int64_t first_ms)
{
    struct rollup_day day;

    rollup_day_of(&store->rollup, first_ms, &day);
    {
        const struct store_value values[] = {store_integer(device), store_integer(day.day),
                                             store_integer(first_ms)};

        return store_execute(store, tables[table].pause, values, 3);
    }
}

void rollup_forget_part(struct rollup *rollup, enum rollup_table table, int64_t device,
                        int64_t from_ms)
{
    struct rollup_part *part = &rollup->work.parts[table];

    if (part->begun && part->device == device &&
        (part->done ? from_ms < part->until_ms
                    : part->sums.readings > 0 && from_ms <= part->sums.last_ms)) {
        part->begun = false;
    }
}

/* Begins a part anew, unless it goes on. */
static void begin_part(const struct store *store, struct rollup_part *part, int64_t device,
                       const struct rollup_day *day, int64_t until_ms)
{
    if (part->begun && part->device == device && part->day.from_ms == day->from_ms &&
        part->until_ms == until_ms && part->foreign_writes == store->foreign_writes) {
        return;
    }
    *part = (struct rollup_part){.begun = true,
                                 .device = device,
                                 .day = *day,
                                 .until_ms = until_ms,
                                 .next_ms = INT64_MAX,
                                 .foreign_writes = store->foreign_writes};
}

int rollup_add(struct store *store, enum rollup_table table, int64_t device,
               const struct rollup_day *day, int64_t until_ms, int64_t deadline_us, bool *done)
{
    struct rollup_part *part = &store->rollup.work.parts[table];
    int step_rows = store->rollup.step_rows > 0 ? store->rollup.step_rows : STEP_ROWS;
    enum store_statement id = tables[table].read;
    sqlite3_stmt *statement = store->statements[id];
    bool row = false;
    int result = STORE_OK;

    begin_part(store, part, device, day, until_ms);
    if (!part->done) {
        bool first = part->sums.readings == 0;
        const struct store_value values[] = {
            store_integer(device), store_integer(first ? day->from_ms : part->sums.last_ms + 1)};

        result = store_step(store, id, values, 2, &row);
    }
    for (int i = 1; result == STORE_OK && !part->done; i++) {
        int64_t time_ms = row ? sqlite3_column_int64(statement, 0) : INT64_MAX;

        if (time_ms >= until_ms) {
            part->next_ms = time_ms;
            part->done = true;
            break;
        }
        add_row(&part->sums, statement, time_ms);
        if (i % step_rows == 0 && clock_monotonic_us() >= deadline_us) {
            break;
        }
        result = store_step(store, id, NULL, 0, &row);
    }
    store_reset(store, id);
    *done = part->done;
    return result;
}

int rollup_put(struct store *store, enum rollup_table table)
{
    struct rollup_part *part = &store->rollup.work.parts[table];
    int result;

    part->begun = false;
    part->done = false;
    if (part->sums.readings == 0) {
        return STORE_OK;
    }
    result = add_pause_before(store, table, part->device, &part->sums);
    if (result == STORE_OK) {
        result = put(store, table, part->device, &part->day, &part->sums);
    }
    return result == STORE_OK ? rollup_forget_sum(store, part->day.day) : result;
}
