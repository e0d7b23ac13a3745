/*
 * Roll-ups in a store: the numbers that the views have to have, added up from the readings by plain
 * SQL, and means to put readings in and to roll them up.
 */
#ifndef ROLLUP_FIXTURE_H
#define ROLLUP_FIXTURE_H

#include "store_fixture.h"

#include "store/upkeep.h"

#define HOUR_MS  INT64_C(3600000)
#define DAY_MS   (24 * HOUR_MS)
#define FIRST_MS INT64_C(1699747200000) /* 2023-11-12 00:00 UTC */
#define DAYS     7
#define SLOW     2 /* so many checks are slow */

/* The day of a reading's time, without rollup_state. */
#define DAY_OF(time)                                                                               \
    "((" time " + (SELECT offset_ms FROM day_offsets WHERE from_ms <= " time                       \
    " AND until_ms > " time ")) / 86400000)"

/* The first moment of a day. */
#define BEGIN_OF(day)                                                                              \
    "(SELECT max(from_ms, " day " * 86400000 - offset_ms) FROM day_offsets"                        \
    " WHERE until_ms > " day " * 86400000 - offset_ms ORDER BY from_ms LIMIT 1)"

#define DIFFERENCES(a, b)                                                                          \
    "SELECT (SELECT count(*) FROM (" a " EXCEPT " b ")) || ' ' || (SELECT count(*) FROM (" b       \
    " EXCEPT " a "))"

static const char days_of_battery[] = DIFFERENCES(
    "SELECT device, device_id, day, readings, round(voltage_v_min, 6), round(voltage_v_avg, 6),"
    " round(voltage_v_max, 6), round(level_pct_min, 6), round(level_pct_avg, 6),"
    " round(level_pct_max, 6), first_ms, last_ms, day_utc = date(day_ms / 1000, 'unixepoch'),"
    " day_ms FROM battery_daily",
    "SELECT device, device_id, date(n * 86400, 'unixepoch'), count(*),"
    " round(min(voltage_v), 6), round(avg(voltage_v), 6), round(max(voltage_v), 6),"
    " round(min(level_pct), 6), round(avg(level_pct), 6), round(max(level_pct), 6),"
    " min(time_ms), max(time_ms), 1, " BEGIN_OF("n") " FROM (SELECT *, " DAY_OF(
        "time_ms") " AS n FROM all_battery JOIN devices USING (device))"
                   " GROUP BY device, device_id, n");

static const char days_of_temperature[] =
    DIFFERENCES("SELECT device, day, readings, round(celsius_min, 6), round(celsius_avg, 6),"
                " round(celsius_max, 6), first_ms, last_ms, day_ms FROM temperature_daily",
                "SELECT device, date(n * 86400, 'unixepoch'), count(*),"
                " round(min(celsius), 6), round(avg(celsius), 6), round(max(celsius), 6),"
                " min(time_ms), max(time_ms), " BEGIN_OF("n") " FROM (SELECT *, " DAY_OF(
                    "time_ms") " AS n FROM all_temperature) GROUP BY device, n");

/* Pieces with another first or last level than their readings. */
static const char levels[] =
    "SELECT count(*) FROM battery_pieces AS p WHERE readings > 1 AND level_pct_count > 0"
    " AND (level_pct_first, level_pct_last) IS NOT ((SELECT level_pct FROM all_battery"
    " WHERE device = p.device AND time_ms BETWEEN p.first_ms AND p.last_ms AND level_pct IS NOT "
    "NULL"
    " ORDER BY time_ms LIMIT 1), (SELECT level_pct FROM all_battery"
    " WHERE device = p.device AND time_ms BETWEEN p.first_ms AND p.last_ms AND level_pct IS NOT "
    "NULL"
    " ORDER BY time_ms DESC LIMIT 1))";

/* The pauses of each device and day that is rolled up, by the readings themselves. */
#define PAUSES(table)                                                                              \
    "(SELECT q.device, " DAY_OF("time_ms") " AS day, max(pause) AS pause FROM (SELECT device,"     \
                                           " time_ms, time_ms - lag(time_ms) OVER (PARTITION BY "  \
                                           "device ORDER BY time_ms) AS pause"                     \
                                           " FROM " table ") AS q JOIN rollup_state AS s"          \
                                           " WHERE time_ms < iif(q.device <= s.device, "           \
                                           "s.until_ms, s.from_ms) GROUP BY 1, 2)"

/* No pause of a roll-up is longer. */
#define PAUSE_MOST                                                                                 \
    "coalesce(pause_max_ms, 2 * (last_after_ms - first_after_ms) / (readings - 1), 0)"

/* A pause is longer than the roll-up of the day in which it ends says; days that are to be made
 * anew may still change the day after them. */
#define TOO_SHORT(table, type)                                                                     \
    "SELECT count(*) FROM " PAUSES(table) " AS p JOIN " table "_days USING (device, day)"          \
                                          " WHERE p.pause > " PAUSE_MOST " AND (SELECT " table     \
                                          "_gone_ms = -9223372036854775808 FROM rollup_state)"     \
                                          " AND NOT EXISTS (SELECT 1 FROM rollup_dirty AS x"       \
                                          " WHERE x.type = '" type "' AND x.device = p.device)"

static const char battery_pauses[] = TOO_SHORT("battery", "bat");
static const char temperature_pauses[] = TOO_SHORT("temperature", "temp");

/* The readings of both types, as rows of one kind. */
#define ALL_READINGS                                                                               \
    "(SELECT device, time_ms, 1 AS b, level_pct, voltage_v, 0 AS t, NULL AS celsius"               \
    " FROM all_battery UNION ALL SELECT device, time_ms, 0, NULL, NULL, 1, celsius"                \
    " FROM all_temperature)"

#define DAILY_COLUMNS                                                                              \
    "day, devices, battery_readings, round(level_pct_min, 6), round(level_pct_avg, 6),"            \
    " round(voltage_v_min, 6), temperature_readings, round(celsius_min, 6),"                       \
    " round(celsius_avg, 6), round(celsius_max, 6)"

#define DAILY_SUMS                                                                                 \
    "date(" DAY_OF("time_ms") " * 86400, 'unixepoch') AS d, count(DISTINCT device), sum(b),"       \
                              " round(min(level_pct), 6), round(avg(level_pct), 6),"               \
                              " round(min(voltage_v), 6), sum(t), round(min(celsius), 6),"         \
                              " round(avg(celsius), 6), round(max(celsius), 6)"

/* Otherwise they look at every day until today. */
#define IN_THE_TEST " WHERE day_ms < 1700500000000"

static const char fleet_daily[] =
    DIFFERENCES("SELECT " DAILY_COLUMNS " FROM fleet_daily" IN_THE_TEST,
                "SELECT " DAILY_SUMS " FROM " ALL_READINGS " GROUP BY d");

static const char group_daily[] =
    DIFFERENCES("SELECT group_name, " DAILY_COLUMNS " FROM group_daily" IN_THE_TEST,
                "SELECT group_name, " DAILY_SUMS " FROM " ALL_READINGS
                " JOIN device_groups USING (device) GROUP BY group_name, d");

static inline void execute(const struct fixture *fixture, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* Makes the tables with which the views are compared: the readings, or (kept) those that ever came
 * in time for their roll-up. */
static inline void make_reference(const struct fixture *fixture, bool kept)
{
    if (!kept) {
        execute(fixture, "CREATE VIEW all_battery AS SELECT * FROM battery");
        execute(fixture, "CREATE VIEW all_temperature AS SELECT * FROM temperature");
        return;
    }
    execute(fixture, "CREATE TABLE all_battery AS SELECT * FROM battery");
    execute(fixture, "CREATE TABLE all_temperature AS SELECT * FROM temperature");
    execute(fixture, "CREATE TRIGGER battery_copied AFTER INSERT ON battery WHEN NEW.time_ms >="
                     " (SELECT battery_gone_ms FROM rollup_state) BEGIN INSERT INTO all_battery"
                     " SELECT * FROM battery WHERE device = NEW.device AND time_ms = NEW.time_ms;"
                     " END");
    execute(fixture, "CREATE TRIGGER temperature_copied AFTER INSERT ON temperature WHEN"
                     " NEW.time_ms >= (SELECT temperature_gone_ms FROM rollup_state) BEGIN"
                     " INSERT INTO all_temperature SELECT * FROM temperature"
                     " WHERE device = NEW.device AND time_ms = NEW.time_ms; END");
}

/* Compares the views with the reference. All on one connection, and the slow ones after each fourth
 * step: compiling the views takes most of the time. */
static inline void check(const struct fixture *fixture, const char *after, int step)
{
    static const struct {
        const char *name;
        const char *sql;
        const char *expected;
    } all[] = {
        {"fleet_daily", fleet_daily, "0 0"},
        {"group_daily", group_daily, "0 0"},
        {"battery_daily", days_of_battery, "0 0"},
        {"temperature_daily", days_of_temperature, "0 0"},
        {"levels", levels, "0"},
        {"battery_pauses", battery_pauses, "0"},
        {"temperature_pauses", temperature_pauses, "0"},
        {"dirty days with a roll-up",
         "SELECT count(*) FROM rollup_dirty JOIN battery_days USING (device, day)"
         " WHERE type = 'bat'",
         "0"},
        {"dirty days with a sum",
         "SELECT count(*) FROM rollup_dirty JOIN fleet_days AS f USING (day)"
         " WHERE f.device IS NULL",
         "0"},
        {"days that are not in the calendar",
         "SELECT count(*) FROM (SELECT day FROM battery_days UNION"
         " SELECT day FROM temperature_days) LEFT JOIN calendar USING (day) WHERE date IS NULL",
         "0"},
    };
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open_v2(fixture->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    for (size_t i = step % 4 == 0 ? 0 : SLOW; i < sizeof(all) / sizeof(all[0]); i++) {
        sqlite3_stmt *statement = NULL;
        const char *found;

        if (sqlite3_prepare_v2(db, all[i].sql, -1, &statement, NULL) != SQLITE_OK ||
            sqlite3_step(statement) != SQLITE_ROW)
            fail_msg("%s: %s", all[i].sql, sqlite3_errmsg(db));
        found = (const char *)sqlite3_column_text(statement, 0);
        if (found == NULL || strcmp(found, all[i].expected) != 0)
            fail_msg("%s: differs from the readings after step %d, %s: %s", all[i].name, step,
                     after, found);
        sqlite3_finalize(statement);
    }
    sqlite3_close(db);
}

static inline void put_at(struct store *store, const char *name, int64_t time_ms)
{
    struct foxtrackr_message message = battery(name, time_ms, 3.5);
    struct store_packet whole = packet("{}");
    enum store_outcome outcome;

    assert_int_equal(store_message(store, &message, &whole, &outcome), STORE_OK);
}

/* Begins a batch of another program, as foxtrackrctl replay does. For commit_beside(). */
static inline struct store *begin_beside(struct fixture *fixture)
{
    const struct store_options options = {
        .path = fixture->path, .busy_timeout_ms = 20, .beside = true};
    struct store *store = NULL;

    assert_int_equal(store_open(&options, &store, fixture->problem, sizeof(fixture->problem)),
                     STORE_OK);
    assert_int_equal(store_begin(store), STORE_OK);
    return store;
}

static inline void commit_beside(struct store *store)
{
    assert_int_equal(store_commit(store), STORE_OK);
    assert_int_equal(store_close(store), STORE_OK);
}

/* Rolls up to the target in one go. */
static inline void roll_up_to(struct store *store, int64_t target_ms)
{
    bool done = false;

    store->rollup.work.target_ms = target_ms;
    for (int i = 0; i < 1000 && !done; i++) {
        int before = store->wal_pages;

        assert_int_equal(store_chunk_begin(store), STORE_OK);
        assert_int_equal(rollup_load(store), STORE_OK);
        assert_int_equal(rollup_advance(store, INT64_MIN, &done), STORE_OK);
        assert_int_equal(store_chunk_commit(store, before), STORE_OK);
    }
    assert_true(done);
}

/* A clock for chunks: each look takes a microsecond. */
static inline int64_t no_time(void)
{
    static int64_t time_us;

    return time_us++;
}

#endif
