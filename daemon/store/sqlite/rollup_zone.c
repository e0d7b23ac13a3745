/*
 * The time zone of the roll-ups. The daemon brings it into the database when it opens that: with
 * another zone, or with other offsets for days that are rolled up (the tz database has changed),
 * the roll-ups are deleted and made anew in idle time. Until then the views read the readings.
 *
 * Roll-ups that have outlived their readings cannot be made anew. So the table day_offsets keeps
 * its rows up to the last day whose readings are gone, of either table, and has the other zone's
 * from there on: the days before, their roll-ups and the calendar stay as they are.
 */
#include "store/sqlite/rollup_internal.h"

#include <string.h>

#include "base/log.h"
#include "base/moment.h"
#include "store/sqlite/sqlite_internal.h"

static int same_name(struct store *store, const char *name, bool *same)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_ROLLUP_ZONE];
    bool row = false;
    int result = store_step(store, STATEMENT_ROLLUP_ZONE, NULL, 0, &row);

    *same = false;
    if (result == STORE_OK && row && sqlite3_column_text(statement, 0) != NULL) {
        *same = strcmp((const char *)sqlite3_column_text(statement, 0), name) == 0;
    }
    store_reset(store, STATEMENT_ROLLUP_ZONE);
    return result;
}

/* Returns true when the offsets before until_ms are the same. */
static bool same_offsets(const struct rollup *rollup, const struct zone *zone, int64_t until_ms)
{
    int count = rollup->offset_count < zone->count ? rollup->offset_count : zone->count;

    for (int i = 0; i < count; i++) {
        const struct zone_offset *a = &rollup->offsets[i];
        const struct zone_offset *b = &zone->offsets[i];

        if (a->from_ms >= until_ms && b->from_ms >= until_ms) {
            return true;
        }
        if (a->from_ms != b->from_ms || a->offset_ms != b->offset_ms) {
            return false;
        }
    }
    return rollup->offset_count == zone->count ||
           (rollup->offset_count > count ? rollup->offsets[count].from_ms >= until_ms
                                         : zone->offsets[count].from_ms >= until_ms);
}

static int put_offsets(struct store *store, const struct zone *zone)
{
    int result = store_execute(store, STATEMENT_ROLLUP_OFFSETS_CLEAR, NULL, 0);

    for (int i = 0; i < zone->count && result == STORE_OK; i++) {
        const struct store_value values[] = {store_integer(zone->offsets[i].from_ms),
                                             store_integer(zone->offsets[i].until_ms),
                                             store_integer(zone->offsets[i].offset_ms)};

        result = store_execute(store, STATEMENT_ROLLUP_OFFSET_ADD, values, 3);
    }
    return result;
}

/* Returns the begin of the first day that can be made anew; ROLLUP_NEVER_MS: all can. */
static int64_t kept_until(const struct rollup_state *state)
{
    int64_t until_ms = ROLLUP_NEVER_MS;

    for (int i = 0; i < ROLLUP_TABLES; i++) {
        until_ms = state->gone_ms[i] > until_ms ? state->gone_ms[i] : until_ms;
    }
    return until_ms;
}

/* Deletes roll-ups, calendar and marks from a day on. Without a condition SQLite drops a table's
 * pages without reading them. */
static int begin_anew(struct store *store, int64_t from_ms)
{
    static const enum store_statement all[] = {
        STATEMENT_BATTERY_DAYS_CLEAR, STATEMENT_TEMPERATURE_DAYS_CLEAR,
        STATEMENT_ROLLUP_CALENDAR_CLEAR, STATEMENT_ROLLUP_UNMARK_ALL};
    static const enum store_statement some[] = {
        STATEMENT_BATTERY_DAYS_FROM, STATEMENT_TEMPERATURE_DAYS_FROM,
        STATEMENT_ROLLUP_CALENDAR_FROM, STATEMENT_ROLLUP_UNMARK_FROM};
    struct rollup_state *state = &store->rollup.state;
    struct rollup_day day;
    int result = STORE_OK;

    rollup_day_of(&store->rollup, from_ms, &day);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && result == STORE_OK; i++) {
        const struct store_value value = store_integer(day.day);

        result = from_ms == ROLLUP_NEVER_MS ? store_execute(store, all[i], NULL, 0)
                                            : store_execute(store, some[i], &value, 1);
    }
    if (result == STORE_OK) {
        result = rollup_trim_sums(store, INT64_MAX);
    }
    if (result == STORE_OK) {
        result = store_execute(store, STATEMENT_TREND_CLEAR, NULL, 0);
    }
    state->device = 0;
    state->from_ms = from_ms;
    state->until_ms = from_ms;
    return result;
}

static int change(struct store *store, const struct zone *zone, bool anew)
{
    const struct store_value name = store_text(zone->name);
    struct rollup_state state;
    int result = anew ? begin_anew(store, kept_until(&store->rollup.state)) : STORE_OK;

    state = store->rollup.state;
    if (result == STORE_OK) {
        result = put_offsets(store, zone);
    }
    if (result == STORE_OK) {
        result = store_execute(store, STATEMENT_ROLLUP_SET_ZONE, &name, 1);
    }
    rollup_forget(&store->rollup);
    if (result == STORE_OK) {
        result = rollup_load(store);
    }
    store->rollup.state = state;
    return result == STORE_OK ? rollup_write_state(store) : result;
}

/* Changes the days, in a transaction, unless they are those of `zone` already. */
static int set_days(struct store *store, const struct zone *zone)
{
    const struct rollup *rollup = &store->rollup;
    int64_t kept_ms = kept_until(&rollup->state);
    int64_t until_ms = rollup->state.until_ms > rollup->state.from_ms ? rollup->state.until_ms
                                                                      : rollup->state.from_ms;
    char moment[MOMENT_SIZE];
    bool same = false;
    bool anew;
    int result = same_name(store, zone->name, &same);

    if (result != STORE_OK || (same && same_offsets(rollup, zone, INT64_MAX))) {
        return result;
    }
    anew = !same || !same_offsets(rollup, zone, until_ms);
    result = store_execute(store, STATEMENT_BEGIN, NULL, 0);
    if (result == STORE_OK) {
        result = change(store, zone, anew);
    }
    if (result == STORE_OK) {
        result = store_execute(store, STATEMENT_COMMIT, NULL, 0);
    }
    if (result != STORE_OK && !sqlite3_get_autocommit(store->db)) {
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    }
    if (result == STORE_OK && anew && kept_ms != ROLLUP_NEVER_MS) {
        log_notice("database: days are those of %s from %s on; the days before, whose readings "
                   "are deleted, stay as they are",
                   zone->name, moment_iso(kept_ms, moment));
    }
    rollup_forget(&store->rollup);
    store->rollup.work = (struct rollup_work){0};
    return result;
}

int rollup_set_zone(struct store *store, const struct zone *zone)
{
    const struct rollup *rollup = &store->rollup;
    struct zone wanted;
    int result = rollup_load(store);

    if (result != STORE_OK) {
        return result;
    }
    if (zone_join(rollup->offsets, rollup->offset_count, kept_until(&rollup->state), zone,
                  &wanted) < 0) {
        return store_refuse(store, STORE_E_RETRY, "out of memory");
    }
    result = set_days(store, &wanted);
    zone_clear(&wanted);
    return result;
}
