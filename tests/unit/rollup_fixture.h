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

/* The steps between levels, those inside of pieces and those between them. */
static const char level_steps[] = DIFFERENCES(
    "SELECT device, round(total(drop_pct), 6), sum(drop_ms), round(total(rise_pct), 6),"
    " total(recharges) FROM (SELECT device, drop_pct, drop_ms, rise_pct, recharges"
    " FROM battery_pieces WHERE level_pct_count > 0 UNION ALL"
    " SELECT device, iif(rise <= 0, -rise, 0), iif(rise <= 0, took, 0),"
    " iif(rise > 0 AND rise < 5, rise, 0), ifnull(rise >= 5, 0) FROM ("
    " SELECT device, level_pct_first - lag(level_pct_last) OVER d AS rise,"
    " ifnull(level_first_ms, first_ms) - lag(ifnull(level_last_ms, last_ms)) OVER d AS took"
    " FROM battery_pieces WHERE level_pct_count > 0"
    " WINDOW d AS (PARTITION BY device ORDER BY first_ms))) GROUP BY device",
    "SELECT device, round(total(iif(rise <= 0, -rise, 0)), 6), sum(iif(rise <= 0, took, 0)),"
    " round(total(iif(rise > 0 AND rise < 5, rise, 0)), 6), total(ifnull(rise >= 5, 0))"
    " FROM (SELECT device, level_pct - lag(level_pct) OVER d AS rise,"
    " time_ms - lag(time_ms) OVER d AS took FROM all_battery WHERE level_pct IS NOT NULL"
    " WINDOW d AS (PARTITION BY device ORDER BY time_ms)) GROUP BY device");

static const char pauses[] = DIFFERENCES(
    "SELECT device, max(pause) FROM (SELECT device, pause_max_ms AS pause FROM temperature_pieces"
    " UNION ALL SELECT device, first_ms - lag(last_ms) OVER (PARTITION BY device"
    " ORDER BY first_ms) FROM temperature_pieces) GROUP BY device",
    "SELECT device, max(pause) FROM (SELECT device, time_ms - lag(time_ms) OVER"
    " (PARTITION BY device ORDER BY time_ms) AS pause FROM all_temperature) GROUP BY device");

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

/* Compares the views with the reference. */
static inline void check(const struct fixture *fixture, const char *after, int step)
{
    static const struct {
        const char *name;
        const char *sql;
    } all[] = {{"battery_daily", days_of_battery},
               {"temperature_daily", days_of_temperature},
               {"steps", level_steps},
               {"pauses", pauses}};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        const char *found = look(fixture, all[i].sql);

        if (strcmp(found, "0 0") != 0)
            fail_msg("%s differs from the readings after step %d, %s: %s", all[i].name, step, after,
                     found);
    }
    assert_look(fixture,
                "SELECT count(*) FROM rollup_dirty JOIN battery_days USING (device, day)"
                " WHERE type = 'bat'",
                "0");
    assert_look(fixture,
                "SELECT count(*) FROM (SELECT day FROM battery_days UNION"
                " SELECT day FROM temperature_days) LEFT JOIN calendar USING (day)"
                " WHERE date IS NULL",
                "0");
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
