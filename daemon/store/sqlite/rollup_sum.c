/*
 * Adds up the roll-ups of a day: over the whole fleet, in fleet_days, and by group, in group_days.
 * A month of ten thousand devices is then thirty rows in place of 600,000.
 *
 * Only days that end before the boundary are added up, when none of their roll-ups is to be made
 * anew. Whoever writes or deletes a roll-up deletes the day's row in fleet_days in the same
 * transaction (rollup_forget_sum()), and so do triggers when a device joins a group: the views then
 * read the roll-ups of the day, until it has been added up anew here.
 *
 * A day is added up some devices at a time. Its row says how far it has come, so that a chunk needs
 * nothing in memory, and the views leave it out until it is complete. Rows of group_days count only
 * where the row of fleet_days says that they are there.
 */
#include "store/sqlite/rollup_internal.h"

#include "base/clock.h"
#include "store/sqlite/sqlite_internal.h"

/* A day that is not added up, or not completely. */
struct sum {
    int64_t day;
    int64_t device; /* the last one that is added; 0: nothing is done yet */
    bool begun;
    bool grouped;
};

static int find(struct store *store, struct sum *sum, bool *found)
{
    const struct store_value value = store_integer(store->rollup.state.from_ms);
    sqlite3_stmt *statement = store->statements[STATEMENT_SUM_NEXT];
    int result = store_step(store, STATEMENT_SUM_NEXT, &value, 1, found);

    if (result == STORE_OK && *found) {
        sum->day = sqlite3_column_int64(statement, 0);
        sum->begun = sqlite3_column_type(statement, 1) != SQLITE_NULL;
        sum->device = sqlite3_column_int64(statement, 1);
        sum->grouped = sqlite3_column_int(statement, 2) != 0;
    }
    store_reset(store, STATEMENT_SUM_NEXT);
    return result;
}

static int begin(struct store *store, const struct sum *sum)
{
    const struct store_value value = store_integer(sum->day);
    int result = store_execute(store, STATEMENT_GROUP_DAY_CLEAR, &value, 1);

    return result == STORE_OK ? store_execute(store, STATEMENT_SUM_BEGIN, &value, 1) : result;
}

/* Sets *last to the last of the devices that are added next; 0: there is no further one. */
static int find_last(struct store *store, int64_t after, int64_t *last)
{
    const struct store_value value = store_integer(after);
    bool row = false;
    int result = store_step(store, STATEMENT_SUM_DEVICES, &value, 1, &row);

    *last = result == STORE_OK && row
                ? sqlite3_column_int64(store->statements[STATEMENT_SUM_DEVICES], 0)
                : 0;
    store_reset(store, STATEMENT_SUM_DEVICES);
    return result;
}

static int add(struct store *store, const struct sum *sum)
{
    struct store_value values[] = {store_integer(sum->day), store_integer(sum->device),
                                   store_integer(0)};
    int64_t last;
    int result = find_last(store, sum->device, &last);

    if (result == STORE_OK && last == 0) {
        return store_execute(store, STATEMENT_SUM_END, values, 1);
    }
    values[2] = store_integer(last);
    if (result == STORE_OK) {
        result = store_execute(store, STATEMENT_SUM_FLEET, values, 3);
    }
    if (result == STORE_OK && sum->grouped) {
        result = store_execute(store, STATEMENT_SUM_GROUPS, values, 3);
    }
    return result;
}

int rollup_sum(struct store *store, int64_t deadline_us, bool *done)
{
    struct sum sum = {0};
    bool found = false;
    int result;

    do {
        result = find(store, &sum, &found);
        if (result == STORE_OK && found) {
            result = sum.begun ? add(store, &sum) : begin(store, &sum);
        }
    } while (result == STORE_OK && found && clock_monotonic_us() < deadline_us);
    *done = !found;
    return result;
}

int rollup_forget_sum(struct store *store, int64_t day)
{
    const struct store_value value = store_integer(day);

    return store_execute(store, STATEMENT_SUM_FORGET, &value, 1);
}

int rollup_forget_sums_until(struct store *store, int64_t day)
{
    const struct store_value value = store_integer(day);

    return store_execute(store, STATEMENT_SUM_FORGET_UNTIL, &value, 1);
}

int rollup_trim_sums(struct store *store, int64_t day)
{
    const struct store_value value = store_integer(day - 1);
    int result = store_execute(store, STATEMENT_SUM_FORGET_UNTIL, &value, 1);

    return result == STORE_OK ? store_execute(store, STATEMENT_GROUP_DAYS_TRIM, &value, 1) : result;
}
