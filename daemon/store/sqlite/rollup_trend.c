/*
 * Learns how each battery discharged on the last 30 days that are over, for the view battery_trend:
 * a few sums over pairs of days, so that the view needs no roll-up of any day. Learnt again when
 * another day is over, and when a day was rolled up anew since.
 */
#include "store/sqlite/rollup_internal.h"

#include "store/sqlite/sqlite_internal.h"

#define DAYS 32 /* older ones are in no row of battery_trends */

static int is_learnt(struct store *store, int64_t device, const struct rollup_day *day,
                     bool *learnt)
{
    const struct store_value values[] = {store_integer(device), store_integer(day->from_ms)};
    int result = store_step(store, STATEMENT_TREND_LEARNT, values, 2, learnt);

    store_reset(store, STATEMENT_TREND_LEARNT);
    return result;
}

int rollup_learn_trend(struct store *store, int64_t device)
{
    const struct rollup *rollup = &store->rollup;
    struct rollup_day day;
    bool learnt = false;
    int result;

    if (rollup->state.from_ms == ROLLUP_NEVER_MS) {
        return STORE_OK;
    }
    rollup_day_of(rollup, rollup->state.from_ms, &day);
    result = is_learnt(store, device, &day, &learnt);
    if (result == STORE_OK && !learnt) {
        const struct store_value values[] = {store_integer(device), store_integer(day.day),
                                             store_integer(day.from_ms)};

        result = store_execute(store, STATEMENT_TREND_LEARN, values, 3);
    }
    return result;
}

int rollup_trend_changed(struct store *store, int64_t device)
{
    const struct store_value value = store_integer(device);

    return store_execute(store, STATEMENT_TREND_CHANGED, &value, 1);
}

int rollup_trends_changed(struct store *store, int64_t day)
{
    struct rollup_day today;

    rollup_day_of(&store->rollup, store->rollup.state.from_ms, &today);
    return day < today.day - DAYS ? STORE_OK
                                  : store_execute(store, STATEMENT_TRENDS_CHANGED, NULL, 0);
}
