/*
 * Learns how often each device usually reports: the median time between two successive readings of
 * its newest ones. A median does not care for pauses as long as they are the minority. A device may
 * send several readings at a time: intervals shorter than a tenth of the one that nine of ten do
 * not exceed do not count. Learnt once a day. A new device may begin with a burst, so it is learnt
 * anew in each cycle, until INTERVALS_MOST intervals are there. The view usual_intervals has the
 * same rule for devices of which nothing is learnt.
 */
#include "store/sqlite/rollup_internal.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/wall.h"
#include "store/sqlite/sqlite_internal.h"

#define INTERVALS_MOST  51
#define INTERVALS_LEAST 4
#define LEARN_AGAIN_MS  INT64_C(72000000) /* 20 hours: less than a day, so that a day has one */

static const struct {
    const char *type;
    enum store_statement newest;
} tables[ROLLUP_TABLES] = {
    [ROLLUP_BATTERY] = {"bat", STATEMENT_BATTERY_NEWEST},
    [ROLLUP_TEMPERATURE] = {"temp", STATEMENT_TEMPERATURE_NEWEST},
};

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

/* Reads the intervals between the newest readings. */
static int read_intervals(struct store *store, enum rollup_table table, int64_t device,
                          int64_t intervals[INTERVALS_MOST], int *count)
{
    const struct store_value values[] = {store_integer(device), store_integer(INTERVALS_MOST + 1)};
    enum store_statement id = tables[table].newest;
    int64_t later_ms = 0;
    int readings = 0;
    bool row = false;
    int result = store_step(store, id, values, 2, &row);

    while (result == STORE_OK && row && readings <= INTERVALS_MOST) {
        int64_t time_ms = sqlite3_column_int64(store->statements[id], 0);

        if (readings > 0) {
            intervals[readings - 1] = later_ms - time_ms;
        }
        later_ms = time_ms;
        readings++;
        result = store_step(store, id, NULL, 0, &row);
    }
    store_reset(store, id);
    *count = readings > 0 ? readings - 1 : 0;
    return result;
}

/* The row of device_habits. */
struct habit {
    int64_t usual_ms;
    int64_t intervals; /* 0: there is none, or it is too old */
};

static int read_habit(struct store *store, enum rollup_table table, int64_t device, int64_t now_ms,
                      struct habit *habit)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_HABIT_FIND];
    const struct store_value values[] = {store_integer(device), store_text(tables[table].type)};
    bool row = false;
    int result = store_step(store, STATEMENT_HABIT_FIND, values, 2, &row);

    *habit = (struct habit){0};
    if (result == STORE_OK && row) {
        int64_t age_ms = now_ms - sqlite3_column_int64(statement, 0);

        habit->usual_ms = sqlite3_column_int64(statement, 1);
        habit->intervals =
            age_ms >= 0 && age_ms < LEARN_AGAIN_MS ? sqlite3_column_int64(statement, 2) : 0;
    }
    store_reset(store, STATEMENT_HABIT_FIND);
    return result;
}

/* The median of sorted intervals without those inside a burst. */
static int64_t usual_of(const int64_t *intervals, int count)
{
    int64_t long_ms = intervals[(count - 1) * 9 / 10];
    int first = 0;

    while (intervals[first] < (long_ms + 9) / 10) {
        first++;
    }
    return intervals[first + (count - first - 1) / 2];
}

static int learn(struct store *store, enum rollup_table table, int64_t device, int64_t now_ms)
{
    int64_t intervals[INTERVALS_MOST];
    struct habit habit;
    int64_t usual_ms;
    int count = 0;
    int result = read_habit(store, table, device, now_ms, &habit);

    if (result == STORE_OK && habit.intervals < INTERVALS_MOST) {
        result = read_intervals(store, table, device, intervals, &count);
    }
    if (result != STORE_OK || count < INTERVALS_LEAST) {
        return result;
    }
    qsort(intervals, (size_t)count, sizeof(intervals[0]), compare);
    usual_ms = usual_of(intervals, count);
    if (usual_ms == habit.usual_ms && count == habit.intervals) {
        return STORE_OK; /* nothing to write */
    }
    {
        const struct store_value values[] = {store_integer(device), store_text(tables[table].type),
                                             store_integer(usual_ms), store_integer(count),
                                             store_integer(now_ms)};

        return store_execute(store, STATEMENT_HABIT_PUT, values, 5);
    }
}

int rollup_learn(struct store *store, int64_t deadline_us, bool *done)
{
    struct rollup_work *work = &store->rollup.work;
    int64_t now_ms = wall_now_ms();
    int64_t device = 0;
    int result;

    do {
        result = store_next_device(store, work->device, &device);
        for (int i = 0; i < ROLLUP_TABLES && result == STORE_OK && device != 0; i++) {
            result = learn(store, (enum rollup_table)i, device, now_ms);
        }
        if (result == STORE_OK && device != 0) {
            result = rollup_learn_trend(store, device);
        }
        work->device = device;
    } while (result == STORE_OK && device != 0 && clock_monotonic_us() < deadline_us);
    *done = device == 0;
    return result;
}
