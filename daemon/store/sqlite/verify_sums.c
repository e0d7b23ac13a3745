/*
 * Verifies what is added up of the roll-ups: the days of the fleet and of groups, and how batteries
 * discharge. They are compared with the roll-ups, which verify_rollups.c compares with the
 * readings. Rows that do not count are left out: of a day that is being added up, and of a battery
 * that is to be learnt again.
 */
#include "store/sqlite/verify_internal.h"

#include "base/plural.h"
#include "store/sqlite/rollup_sums_internal.h"
#include "store/sqlite/rollup_trend_internal.h"

enum { ROWS, WRONG, NUMBERS };

/* A statement reads better in lines of its own. */
/* clang-format off */

/* The columns of fleet_days and group_days; without a table's name: those of STORE_SUMS_COLUMNS. */
#define COLUMNS(of)                                                                                \
    of "devices, " of "battery_readings, " of "level_pct_min, round(" of "level_pct_sum, 3), "     \
    of "level_pct_count, " of "voltage_v_min, " of "temperature_readings, " of "celsius_min, "     \
    "round(" of "celsius_sum, 3), " of "celsius_count, " of "celsius_max"

/* Whether a row `of` is the sum of the roll-ups. */
#define DIFFERS(of, condition)                                                                     \
    "(" COLUMNS(of) ") IS NOT (SELECT " COLUMNS("") " FROM (SELECT " STORE_SUMS_COLUMNS            \
    " FROM (" STORE_SUMS_DEVICE_DAYS(condition) ") AS r))"

#define OF_GROUP                                                                                   \
    "day = f.day AND device IN (SELECT device FROM device_groups WHERE group_name = g.group_name)"

static const char fleet_sql[] =
    "SELECT count(*), total(" DIFFERS("f.", "day = f.day") ")"
    " FROM fleet_days AS f WHERE f.device IS NULL";

static const char groups_sql[] =
    "SELECT count(*), total(" DIFFERS("g.", OF_GROUP) ")"
    " FROM fleet_days AS f CROSS JOIN group_days AS g ON g.day = f.day"
    " WHERE f.device IS NULL AND f.grouped";

/* A group without a row, but with a device that has a roll-up. */
static const char missing_sql[] =
    "SELECT count(*), total((SELECT total(devices) FROM group_days WHERE day = f.day)"
    " <> (SELECT count(*) FROM device_groups AS m"
    " WHERE EXISTS (SELECT 1 FROM battery_days WHERE day = f.day AND device = m.device)"
    " OR EXISTS (SELECT 1 FROM temperature_days WHERE day = f.day AND device = m.device)))"
    " FROM fleet_days AS f WHERE f.device IS NULL AND f.grouped";

#define TREND                                                                                      \
    "round(drop_7, 6), round(days_7, 6), round(drop_30, 6), round(days_30, 6),"                    \
    " round(readings, 6), recharges, recharges_7"

/* A battery is learnt up to the end of a day `d`. The day after is not in the calendar before an
 * hour of it is rolled up. */
static const char trends_sql[] =
    "SELECT count(*), total((SELECT json_array(" TREND ") FROM battery_trends WHERE device = t.device)"
    " <> (SELECT json_array(" TREND ") FROM (" STORE_TREND_SUMS("t.device", "(d.day + 1)") ")))"
    " FROM battery_trends AS t JOIN calendar AS d ON d.until_ms = t.until_ms WHERE NOT t.changed"
    " AND NOT EXISTS (SELECT 1 FROM rollup_dirty WHERE type = 'bat' AND device = t.device)";

/* clang-format on */

static void tell(struct verify *verify, const int64_t *fleet, const int64_t *groups,
                 const int64_t *trends)
{
    int64_t sums = fleet[ROWS] + groups[ROWS];
    int64_t wrong = fleet[WRONG] + groups[WRONG];

    if (wrong > 0) {
        verify_tell(verify, "sums of days", false,
                    "%lld of %lld of the fleet and of groups differ from the roll-ups: somebody "
                    "changed one or the other; DELETE FROM fleet_days lets foxtrackrd add them up "
                    "anew",
                    (long long)wrong, (long long)sums);
    } else if (trends[WRONG] > 0) {
        verify_tell(verify, "sums of days", false,
                    "%lld of %lld in battery_trends differ from the roll-ups: somebody changed one "
                    "or the other; DELETE FROM battery_trends lets foxtrackrd learn them anew",
                    (long long)trends[WRONG], (long long)trends[ROWS]);
    } else {
        verify_tell(
            verify, "sums of days", true,
            "%lld of the fleet and of groups, and the discharge of %lld batter%s, are those "
            "of the roll-ups",
            (long long)sums, (long long)trends[ROWS], plural(trends[ROWS], "y", "ies"));
    }
}

/* In the open transaction. */
int verify_sums(struct verify *verify)
{
    static const char *const statements[] = {fleet_sql, groups_sql, missing_sql, trends_sql};
    int64_t numbers[4][NUMBERS] = {{0}};
    bool good = true;
    int result = STORE_OK;

    for (int i = 0; i < 4 && result == STORE_OK && good; i++) {
        result =
            verify_read_numbers(verify, "sums of days", statements[i], numbers[i], NUMBERS, &good);
    }
    if (result == STORE_OK && good) {
        numbers[1][WRONG] += numbers[2][WRONG];
        tell(verify, numbers[0], numbers[1], numbers[3]);
    }
    return result;
}
