/*
 * Verifies the roll-ups: that each says what its readings say, and that every reading is in a
 * roll-up or is read by the views itself.
 *
 * All of them are compared, and no sample: a sample would miss the few days that somebody has
 * changed by hand, and reading every reading once more costs about as much as the check of the
 * file's integrity, which reads them too.
 */
#include "store/sqlite/verify_internal.h"

#include <errno.h>

#include "base/plural.h"

enum { ROLLUPS, WRONG, PIECES, READINGS, NUMBERS };

/* How far the readings of a device are rolled up. */
#define BOUNDARY "iif(r.device <= s.device, s.until_ms, s.from_ms)"

/* Counts the roll-ups of a table, those that differ, the readings in the pieces, and the readings.
 * Roll-ups that have outlived their readings cannot be compared. */
#define COMPARE(table, gone, own, raw)                                                             \
    "SELECT (SELECT count(*) FROM " table "_days), (SELECT count(*) FROM rollup_state AS s"        \
    " CROSS JOIN calendar AS c ON c.from_ms >= s." gone " CROSS JOIN " table "_days AS r"          \
    " ON r.day = c.day WHERE (r.readings, c.from_ms + r.first_after_ms, c.from_ms + "              \
    "r.last_after_ms, " own ") IS NOT"                                                             \
    " (SELECT count(*), min(b.time_ms), max(b.time_ms), " raw " FROM " table " AS b"               \
    " WHERE b.device = r.device AND b.time_ms >= c.from_ms"                                        \
    " AND b.time_ms < min(c.until_ms, " BOUNDARY "))),"                                            \
    " (SELECT total(readings) FROM " table "_pieces), (SELECT iif(s." gone                         \
    " = -9223372036854775808, (SELECT count(*) FROM " table "), -1) FROM rollup_state AS s)"

static const char *const battery_sql =
    COMPARE("battery", "battery_gone_ms",
            "r.voltage_v_min, round(r.voltage_v_sum, 6), r.voltage_v_max, r.level_pct_min,"
            " round(r.level_pct_sum, 6), r.level_pct_max",
            "min(b.voltage_v), round(sum(b.voltage_v), 6), max(b.voltage_v), min(b.level_pct),"
            " round(sum(b.level_pct), 6), max(b.level_pct)");

static const char *const temperature_sql = COMPARE(
    "temperature", "temperature_gone_ms", "r.celsius_min, round(r.celsius_sum, 6), r.celsius_max",
    "min(b.celsius), round(sum(b.celsius), 6), max(b.celsius)");

static void tell(struct verify *verify, const int64_t *battery, const int64_t *temperature)
{
    int64_t rollups = battery[ROLLUPS] + temperature[ROLLUPS];
    int64_t wrong = battery[WRONG] + temperature[WRONG];

    if (wrong > 0) {
        verify_tell(verify, "roll-ups", false,
                    "%lld of %lld differ from their readings: somebody changed one or the other; "
                    "UPDATE rollup_state SET zone = '' lets the next start of foxtrackrd make them "
                    "anew",
                    (long long)wrong, (long long)rollups);
    } else if ((battery[READINGS] >= 0 && battery[PIECES] != battery[READINGS]) ||
               (temperature[READINGS] >= 0 && temperature[PIECES] != temperature[READINGS])) {
        verify_tell(verify, "roll-ups", false,
                    "the views by day have %lld of battery and %lld of temperature, and the "
                    "tables %lld and %lld: somebody changed them; UPDATE rollup_state SET zone = "
                    "'' lets the next start of foxtrackrd make the roll-ups anew",
                    (long long)battery[PIECES], (long long)temperature[PIECES],
                    (long long)battery[READINGS], (long long)temperature[READINGS]);
    } else {
        verify_tell(verify, "roll-ups", true, "%lld day%s of devices %s their readings say",
                    (long long)rollups, plural_s(rollups),
                    plural(rollups, "says what", "say what"));
    }
}

/* Runs all statements in one read transaction, because the daemon keeps writing. */
int verify_rollups(struct verify *verify)
{
    sqlite3 *db = verify->store->db;
    int64_t battery[NUMBERS] = {0};
    int64_t temperature[NUMBERS] = {0};
    bool good = false;
    int result;

    errno = 0;
    if (sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
        return verify_sql_failed(verify, "roll-ups");
    }
    result = verify_read_numbers(verify, "roll-ups", battery_sql, battery, NUMBERS, &good);
    if (result == STORE_OK && good) {
        result =
            verify_read_numbers(verify, "roll-ups", temperature_sql, temperature, NUMBERS, &good);
    }
    if (result == STORE_OK && good) {
        tell(verify, battery, temperature);
        result = verify_sums(verify);
    }
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return result;
}
