/*
 * Retention and roll-ups. Either roll-ups go with their readings, or they outlive them.
 *
 * With their readings: the transaction that deletes readings deletes the roll-ups of the days that
 * are gone, and makes that of the day that is cut anew.
 *
 * Outliving them (rollup_days): readings are deleted in whole days, and only of days that are
 * rolled up. rollup_state.battery_gone_ms and temperature_gone_ms say up to when; a reading that
 * comes later for such a day is stored, and deleted by the next pass, but changes no roll-up:
 * adding the few readings that are left would destroy it. Roll-ups are deleted from the oldest day
 * on.
 */
#include "store/sqlite/rollup_internal.h"

#include "base/clock.h"
#include "store/sqlite/sqlite_internal.h"

#define STEP_ROWS 1000 /* upper bound on the roll-ups of one statement: about a millisecond */
#define BUDGET_US 5000 /* for the day that is cut */

int rollup_may_expire(struct store *store, struct store_expiry *expiry, int64_t deadline_us,
                      bool *ready)
{
    static const enum store_table of[ROLLUP_TABLES] = {STORE_BATTERY, STORE_TEMPERATURE};
    struct rollup *rollup = &store->rollup;
    bool more = false;
    bool changed = false;
    int result = rollup_load(store);

    *ready = true;
    if (result != STORE_OK || !expiry->keep_rollups) {
        return result;
    }
    result = rollup_clean(store, deadline_us, &more);
    *ready = !more;
    for (int i = 0; i < ROLLUP_TABLES && result == STORE_OK && *ready; i++) {
        int64_t *cutoff_ms = &expiry->cutoff_ms[of[i]];
        int64_t until_ms = rollup->state.from_ms;
        struct rollup_day day;

        if (*cutoff_ms == STORE_KEEP || until_ms == ROLLUP_NEVER_MS) {
            *cutoff_ms = STORE_KEEP;
            continue;
        }
        rollup_day_of(rollup, *cutoff_ms < until_ms ? *cutoff_ms : until_ms, &day);
        *cutoff_ms = day.from_ms;
        changed |= day.from_ms > rollup->state.gone_ms[i];
        rollup->state.gone_ms[i] =
            day.from_ms > rollup->state.gone_ms[i] ? day.from_ms : rollup->state.gone_ms[i];
    }
    return result == STORE_OK && changed ? rollup_write_state(store) : result;
}

/* Rolls the first day that is left up anew; one with many readings is noted for idle time. */
static int make_cut_day(struct store *store, enum rollup_table table, int64_t device,
                        const struct rollup_day *day)
{
    int64_t boundary_ms = rollup_boundary(&store->rollup, device);
    bool made = false;
    int result = rollup_add(store, table, device, day,
                            day->until_ms < boundary_ms ? day->until_ms : boundary_ms,
                            clock_monotonic_us() + BUDGET_US, &made);

    if (result == STORE_OK) {
        result = made ? rollup_put(store, table) : rollup_mark(store, table, device, day);
    }
    return result == STORE_OK && made && table == ROLLUP_BATTERY
               ? rollup_trend_changed(store, device)
               : result;
}

int rollup_expired(struct store *store, enum rollup_table table, int64_t device, int64_t cutoff_ms,
                   bool finished)
{
    static const enum store_statement forget[ROLLUP_TABLES] = {STATEMENT_BATTERY_DAYS_DELETE,
                                                               STATEMENT_TEMPERATURE_DAYS_DELETE};
    struct rollup *rollup = &store->rollup;
    struct rollup_day day = {.day = INT64_MAX};
    int64_t first_ms = INT64_MAX;
    int64_t boundary_ms;
    bool marked = false;
    int result = rollup_first(store, table, device, INT64_MIN, &first_ms);

    rollup_forget_part(rollup, table, device, INT64_MIN);
    if (result != STORE_OK) {
        return result;
    }
    boundary_ms = rollup_boundary(rollup, device);
    if (first_ms < boundary_ms) { /* else no reading is left that a roll-up could have */
        rollup_day_of(rollup, first_ms, &day);
    }
    {
        const struct store_value values[] = {store_integer(device), store_integer(day.day)};

        result = store_execute(store, forget[table], values, 2);
    }
    if (result == STORE_OK && sqlite3_changes(store->db) > 0) {
        struct rollup_day last;

        rollup_day_of(rollup, cutoff_ms, &last); /* no later day has lost a roll-up */
        result = rollup_forget_sums_until(store, last.day);
        if (result == STORE_OK && table == ROLLUP_BATTERY) {
            result = rollup_trend_changed(store, device);
        }
    }
    if (result != STORE_OK || first_ms >= boundary_ms || day.from_ms >= cutoff_ms) {
        return result; /* of the first day that is left no reading was deleted */
    }
    if (!finished) {
        return rollup_mark(store, table, device, &day);
    }
    result = rollup_is_marked(store, table, device, day.day, &marked);
    return result == STORE_OK && !marked ? make_cut_day(store, table, device, &day) : result;
}

/* Sets *day to the oldest roll-up; INT64_MAX: there is none. */
static int oldest(struct store *store, enum rollup_table table, int64_t *day)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_ROLLUP_OLDEST];
    bool row = false;
    int result = store_step(store, STATEMENT_ROLLUP_OLDEST, NULL, 0, &row);

    *day = INT64_MAX;
    if (result == STORE_OK && row && sqlite3_column_type(statement, (int)table) != SQLITE_NULL) {
        *day = sqlite3_column_int64(statement, (int)table);
    }
    store_reset(store, STATEMENT_ROLLUP_OLDEST);
    return result;
}

/* Returns the day before which roll-ups of a table are deleted. */
static int64_t first_kept(const struct rollup *rollup, enum rollup_table table,
                          const struct store_expiry *expiry)
{
    int64_t until_ms = rollup->state.gone_ms[table];
    struct rollup_day day;

    if (expiry->keep_rollups && expiry->rollup_cutoff_ms < until_ms) {
        until_ms = expiry->rollup_cutoff_ms;
    }
    if (until_ms == ROLLUP_NEVER_MS) {
        return INT64_MIN;
    }
    rollup_day_of(rollup, until_ms, &day);
    return day.day;
}

int rollup_expire(struct store *store, const struct store_expiry *expiry, bool *more, int *rows)
{
    static const enum store_statement forget[ROLLUP_TABLES] = {STATEMENT_BATTERY_DAY_CLEAR,
                                                               STATEMENT_TEMPERATURE_DAY_CLEAR};
    struct rollup *rollup = &store->rollup;
    int64_t first = INT64_MAX;
    int result = rollup_load(store);

    *more = false;
    *rows = 0;
    for (int i = 0; i < ROLLUP_TABLES && result == STORE_OK && !*more; i++) {
        int64_t day;

        result = oldest(store, (enum rollup_table)i, &day);
        if (result == STORE_OK && day < first_kept(rollup, (enum rollup_table)i, expiry)) {
            const struct store_value values[] = {store_integer(day), store_integer(STEP_ROWS)};

            result = store_execute(store, forget[i], values, 2);
            *rows = sqlite3_changes(store->db);
            *more = true;
            if (result == STORE_OK) {
                result = rollup_forget_sum(store, day);
            }
            if (result == STORE_OK && i == ROLLUP_BATTERY) {
                result = rollup_trends_changed(store, day);
            }
        }
        first = day < first ? day : first;
    }
    if (result != STORE_OK || *more) {
        return result;
    }
    if (!expiry->keep_rollups && (rollup->state.gone_ms[ROLLUP_BATTERY] != ROLLUP_NEVER_MS ||
                                  rollup->state.gone_ms[ROLLUP_TEMPERATURE] != ROLLUP_NEVER_MS)) {
        rollup->state.gone_ms[ROLLUP_BATTERY] = ROLLUP_NEVER_MS;
        rollup->state.gone_ms[ROLLUP_TEMPERATURE] = ROLLUP_NEVER_MS;
        result = rollup_write_state(store);
        *rows = 1;
    }
    if (result == STORE_OK && first != INT64_MAX) {
        const struct store_value value = store_integer(first);

        result = store_execute(store, STATEMENT_ROLLUP_CALENDAR_TRIM, &value, 1);
        *rows += sqlite3_changes(store->db);
        if (result == STORE_OK) {
            result = rollup_trim_sums(store, first);
        }
    }
    return result;
}
