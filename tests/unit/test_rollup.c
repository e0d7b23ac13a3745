/*
 * Goal: whatever happens in whatever order, the views of days are those of the readings alone.
 *
 * A generator with a seed picks what happens next: readings of any time, also by another program; a
 * part of the work on roll-ups, rolled back or not; retention; another time zone; a restart. After
 * each, the views are compared with the same numbers added up from the readings by plain SQL.
 */
#include <limits.h>

#include "store_fixture.h"

#include "store/upkeep.h"

#define HOUR_MS  INT64_C(3600000)
#define DAY_MS   (24 * HOUR_MS)
#define FIRST_MS INT64_C(1699747200000) /* 2023-11-12 00:00 UTC */
#define DAYS     7
#define DEVICES  4
#define STEPS    150

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

static const char battery_daily[] = DIFFERENCES(
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

static const char temperature_daily[] = DIFFERENCES(
    "SELECT device, day, readings, round(celsius_min, 6), round(celsius_avg, 6),"
    " round(celsius_max, 6), first_ms, last_ms, day_ms FROM temperature_daily",
    "SELECT device, date(n * 86400, 'unixepoch'), count(*),"
    " round(min(celsius), 6), round(avg(celsius), 6), round(max(celsius), 6),"
    " min(time_ms), max(time_ms), " BEGIN_OF("n") " FROM (SELECT *, " DAY_OF(
        "time_ms") " AS n FROM all_temperature) GROUP BY device, n");

/* The steps between levels, those inside of pieces and those between them. */
static const char steps[] = DIFFERENCES(
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

static void execute(const struct fixture *fixture, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static uint64_t generator;

static int64_t any(int64_t below)
{
    generator = generator * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)((generator >> 33) % (uint64_t)below);
}

static void check(const struct fixture *fixture, const char *after, int step)
{
    static const struct {
        const char *name;
        const char *sql;
    } all[] = {{"battery_daily", battery_daily},
               {"temperature_daily", temperature_daily},
               {"steps", steps},
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

/* --- what may happen ------------------------------------------------------------------------- */

static void put_any(struct store *store)
{
    static const char *const names[DEVICES] = {"a", "b", "c", "d"};
    struct foxtrackr_message message = battery(
        names[any(DEVICES)], FIRST_MS + any(DAYS * 24 * 60) * 60000, 3.0 + (double)any(100) / 100);
    struct store_packet whole = packet("{}");
    enum store_outcome outcome;

    message.level_pct = any(5) == 0 ? NAN : (double)any(1000) / 10;
    message.voltage_v = any(7) == 0 ? NAN : message.voltage_v;
    message.has_temperature = any(2) == 0;
    message.celsius = any(6) == 0 ? NAN : (double)any(300) / 10;
    message.has_battery = !message.has_temperature || any(2) == 0;
    assert_int_equal(store_message(store, &message, &whole, &outcome), STORE_OK);
}

static const char *receive(struct fixture *fixture)
{
    bool taken_back = any(4) == 0;

    begin(fixture);
    for (int64_t i = any(8); i >= 0; i--)
        put_any(fixture->store);
    if (!taken_back)
        commit(fixture);
    else
        assert_int_equal(store_rollback(fixture->store), STORE_OK);
    return taken_back ? "readings, rolled back" : "readings";
}

/* As foxtrackrctl replay does. */
static const char *receive_beside(struct fixture *fixture)
{
    const struct store_options options = {
        .path = fixture->path, .busy_timeout_ms = 20, .beside = true};
    struct store *store = NULL;

    assert_int_equal(store_open(&options, &store, fixture->problem, sizeof(fixture->problem)),
                     STORE_OK);
    assert_int_equal(store_begin(store), STORE_OK);
    put_any(store);
    put_any(store);
    assert_int_equal(store_commit(store), STORE_OK);
    assert_int_equal(store_close(store), STORE_OK);
    return "readings by another program";
}

/* One device, or one day to make anew. */
static const char *roll_up(struct fixture *fixture)
{
    struct store *store = fixture->store;
    struct rollup_work *work = &store->rollup.work;
    int before = store->wal_pages;
    bool clean = any(3) == 0;
    bool ignored = false;

    if (any(3) == 0)
        work->target_ms = FIRST_MS + any(DAYS * 24) * HOUR_MS;
    assert_int_equal(store_chunk_begin(store), STORE_OK);
    assert_int_equal(rollup_load(store), STORE_OK);
    for (int64_t i = any(6); i >= 0; i--)
        assert_int_equal(clean ? rollup_clean(store, INT64_MIN, &ignored)
                               : rollup_advance(store, INT64_MIN, &ignored),
                         STORE_OK);
    if (any(5) == 0) {
        assert_int_equal(store_rollback(store), STORE_OK);
        *work = (struct rollup_work){.target_ms = work->target_ms};
        return "a part of the work, rolled back";
    }
    assert_int_equal(store_chunk_commit(store, before), STORE_OK);
    return clean ? "days made anew" : "a part of a step";
}

static int64_t no_time(void)
{
    static int64_t time_us;

    return time_us++;
}

static bool kept; /* roll-ups outlive their readings */

static const char *expire(struct fixture *fixture)
{
    const struct store_chunk chunk = {
        .budget_us = 3, .limit_pages = 1000, .now_ms = NOW_MS, .clock_us = no_time};
    int64_t cutoff_ms = FIRST_MS + any(DAYS * 6) * HOUR_MS;
    int64_t other_ms = any(3) == 0 ? FIRST_MS + any(DAYS * 6) * HOUR_MS : cutoff_ms;
    struct store_expiry pass = {.cutoff_ms = {cutoff_ms, other_ms, STORE_KEEP, STORE_KEEP},
                                .keep_rollups = kept,
                                .rollup_cutoff_ms = STORE_KEEP,
                                .keep_free_percent = 25};
    struct store_expired out;

    for (int64_t i = any(12); i >= 0; i--)
        assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_OK);
    return "retention";
}

/* Offsets change in the middle of the days of the test. */
static const char *change_zone(struct fixture *fixture)
{
    struct zone_offset offsets[3] = {
        {INT64_MIN, FIRST_MS + 2 * DAY_MS + HOUR_MS, 2 * HOUR_MS},
        {FIRST_MS + 2 * DAY_MS + HOUR_MS, FIRST_MS + 5 * DAY_MS, HOUR_MS},
        {FIRST_MS + 5 * DAY_MS, INT64_MAX, 2 * HOUR_MS}};
    struct zone zone = {.name = "Test/Zone", .offsets = offsets, .count = 3};

    switch (any(3)) {
    case 0:
        offsets[0] = (struct zone_offset){INT64_MIN, INT64_MAX, 0};
        zone.count = 1;
        snprintf(zone.name, sizeof(zone.name), "UTC");
        break;
    case 1: /* the same zone with other data */
        offsets[2].offset_ms = 5 * HOUR_MS + HOUR_MS / 2;
        break;
    default:
        break;
    }
    assert_int_equal(rollup_set_zone(fixture->store, &zone), STORE_OK);
    return "another zone";
}

static const char *restart(struct fixture *fixture)
{
    int64_t target_ms = fixture->store->rollup.work.target_ms;

    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    assert_int_equal(store_run_begin(fixture->store, "t", NOW_MS), STORE_OK);
    fixture->store->rollup.work.target_ms = target_ms;
    return "a restart";
}

/* Makes the tables with which the views are compared: the readings, or those that ever came in time
 * for their roll-up. */
static void make_reference(const struct fixture *fixture)
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

static void run_from(struct fixture *fixture, uint64_t seed)
{
    generator = seed;
    make_reference(fixture);
    for (int step = 0; step < STEPS; step++) {
        int64_t which = any(100);
        const char *what = which < 30   ? receive(fixture)
                           : which < 82 ? roll_up(fixture)
                           : which < 88 ? receive_beside(fixture)
                           : which < 94 ? expire(fixture)
                           : which < 97 ? restart(fixture)
                                        : change_zone(fixture);

        check(fixture, what, step);
    }
}

static void test_views_are_those_of_the_readings(void **state)
{
    run_from(*state, 1);
}

static void test_with_another_seed(void **state)
{
    run_from(*state, 20261130);
}

static void test_rollups_outlive_their_readings(void **state)
{
    kept = true;
    run_from(*state, 7);
    kept = false;
    assert_look(*state, "SELECT battery_gone_ms <> temperature_gone_ms FROM rollup_state", "1");
    assert_look(*state,
                "SELECT count(*) > 0 FROM (SELECT device, time_ms FROM all_battery"
                " EXCEPT SELECT device, time_ms FROM battery)",
                "1");
}

static void put_at(struct store *store, const char *name, int64_t time_ms)
{
    struct foxtrackr_message message = battery(name, time_ms, 3.5);
    struct store_packet whole = packet("{}");
    enum store_outcome outcome;

    assert_int_equal(store_message(store, &message, &whole, &outcome), STORE_OK);
}

/* Rolls up to the target in one go. */
static void roll_up_to(struct store *store, int64_t target_ms)
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

/* Days whose readings are gone keep their zone; the others get the other one, `hours` from UTC. */
static void change_zone_of_kept_days(struct fixture *fixture, int hours)
{
    static const char days_before[] =
        "SELECT group_concat(day || ' ' || day_ms || ' ' || readings || ' ' || last_ms)"
        " FROM (SELECT * FROM battery_daily WHERE day < '2023-11-15' ORDER BY day)";
    static const char expected[] = "2023-11-12 1699747200000 24 1699830000000,"
                                   "2023-11-13 1699833600000 24 1699916400000,"
                                   "2023-11-14 1699920000000 24 1700002800000";
    const struct store_chunk chunk = {
        .budget_us = 1000000, .limit_pages = 1000, .now_ms = NOW_MS, .clock_us = no_time};
    struct zone_offset offset = {INT64_MIN, INT64_MAX, hours * HOUR_MS};
    const struct zone zone = {.name = "Test/Zone", .offsets = &offset, .count = 1};
    struct store *store = fixture->store;
    struct store_expiry pass = {
        .cutoff_ms = {FIRST_MS + 3 * DAY_MS, STORE_KEEP, STORE_KEEP, STORE_KEEP},
        .keep_rollups = true,
        .rollup_cutoff_ms = STORE_KEEP,
        .keep_free_percent = 25};
    struct store_expired out = {0};

    kept = true;
    make_reference(fixture);
    kept = false;
    begin(fixture);
    for (int i = 0; i < 6 * 24; i++)
        put_at(store, "a", FIRST_MS + i * HOUR_MS);
    commit(fixture);
    roll_up_to(store, FIRST_MS + 5 * DAY_MS);
    for (int i = 0; i < 100 && !out.done; i++)
        assert_int_equal(store_expire(store, &pass, &chunk, &out), STORE_OK);
    assert_look(fixture, "SELECT count(*) FROM battery", "72");
    assert_look(fixture, days_before, expected);

    assert_int_equal(rollup_set_zone(store, &zone), STORE_OK);
    assert_look(fixture, days_before, expected);
    check(fixture, "another zone", hours);
    /* A reading of a day that is gone changes nothing, and one of a later day does. */
    begin(fixture);
    put_at(store, "a", FIRST_MS + 3 * DAY_MS - 1);
    put_at(store, "a", FIRST_MS + 3 * DAY_MS + 1);
    commit(fixture);
    check(fixture, "late readings", hours);
    roll_up_to(store, FIRST_MS + 5 * DAY_MS);
    assert_look(fixture, days_before, expected);
    check(fixture, "days of another zone", hours);
    assert_look(fixture, "SELECT count(*) > 1 FROM battery_days WHERE day > 19675", "1");
    assert_int_equal(rollup_set_zone(store, &zone), STORE_OK); /* at the next start */
    assert_look(fixture, "SELECT count(*) > 1 FROM battery_days WHERE day > 19675", "1");
    assert_look(fixture, "SELECT count(*) || ' ' || abs(total(offset_ms)) FROM day_offsets",
                "2 18000000.0");
}

static void test_days_that_are_gone_keep_their_zone(void **state)
{
    change_zone_of_kept_days(*state, 5);
}

static void test_also_with_a_zone_to_the_west(void **state)
{
    change_zone_of_kept_days(*state, -5);
}

/* Retention deletes all that is rolled up of a day; later readings of the day are not yet. */
static void test_retention_passes_the_boundary(void **state)
{
    const struct store_chunk chunk = {
        .budget_us = 1000, .limit_pages = 1000, .now_ms = NOW_MS, .clock_us = no_time};
    struct fixture *fixture = *state;
    int64_t cutoff_ms = FIRST_MS + 20 * HOUR_MS;
    struct store_expiry pass = {.cutoff_ms = {cutoff_ms, cutoff_ms, STORE_KEEP, STORE_KEEP},
                                .rollup_cutoff_ms = STORE_KEEP,
                                .keep_free_percent = 25};
    struct store_expired out = {0};

    make_reference(fixture);
    begin(fixture);
    put_at(fixture->store, "a", FIRST_MS + HOUR_MS);
    put_at(fixture->store, "a", FIRST_MS + 21 * HOUR_MS);
    commit(fixture);
    roll_up_to(fixture->store, FIRST_MS + 12 * HOUR_MS);
    check(fixture, "a roll-up of half a day", 0);
    for (int i = 0; i < 100 && !out.done; i++) {
        assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_OK);
        check(fixture, "retention", i);
    }
    assert_true(out.done);
    assert_look(fixture, "SELECT count(*) FROM battery", "1");
}

/* On a disk that is nearly full the space is left to messages. */
static void test_nothing_begins_without_room(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    int again_ms = INT_MAX;

    generator = 4;
    begin(fixture);
    put_any(store);
    commit(fixture);
    store->rollup.work.caught_up = true;
    store->free_bytes = INT64_C(64) * 1024 * 1024 - 1;
    assert_int_equal(rollup_idle(store, true, &again_ms), STORE_OK);
    assert_int_equal(store->rollup.work.phase, ROLLUP_RESTS);
    store->free_bytes++;
    assert_int_equal(rollup_idle(store, true, &again_ms), STORE_OK);
    assert_int_not_equal(store->rollup.work.phase, ROLLUP_RESTS);
}

static void test_everything_is_rolled_up_in_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    int before = store->wal_pages;
    bool done = false;

    generator = 3;
    make_reference(fixture);
    begin(fixture);
    for (int i = 0; i < 300; i++)
        put_any(store);
    commit(fixture);
    store->rollup.work.target_ms = FIRST_MS + (DAYS - 1) * DAY_MS + 5 * HOUR_MS;
    for (int i = 0; i < 1000 && !done; i++) {
        assert_int_equal(store_chunk_begin(store), STORE_OK);
        assert_int_equal(rollup_load(store), STORE_OK);
        assert_int_equal(rollup_advance(store, INT64_MIN, &done), STORE_OK);
        assert_int_equal(store_chunk_commit(store, before), STORE_OK);
    }
    assert_true(done);
    check(fixture, "all steps", 0);
    assert_look(fixture,
                "SELECT (SELECT total(readings) FROM battery_days) = (SELECT count(*) FROM battery"
                " WHERE time_ms < (SELECT from_ms FROM rollup_state))",
                "1");
    assert_look(fixture, "SELECT count(*) FROM calendar", "7");
}

/* A device that begins with a burst is learnt anew while it is new, by the rule of the view. */
static void test_habits_of_a_new_device(void **state)
{
    static const char view[] =
        "SELECT count(*) FROM device_habits WHERE intervals = (SELECT count(*) - 1 FROM battery)"
        " AND usual_ms = (SELECT pause_ms FROM (SELECT pause_ms, row_number() OVER (ORDER BY"
        " pause_ms) AS k, count(*) OVER () AS n FROM (SELECT time_ms - lag(time_ms) OVER"
        " (ORDER BY time_ms) AS pause_ms FROM (SELECT time_ms FROM battery"
        " ORDER BY time_ms DESC LIMIT 52)) WHERE pause_ms IS NOT NULL) WHERE k = (n + 1) / 2)";
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    bool done = false;
    int changes;

    for (int i = 0; i < 52; i++) {
        begin(fixture);
        put_at(store, "a", FIRST_MS + (i < 4 ? i * 10000 : i * HOUR_MS + i % 7));
        assert_int_equal(rollup_learn(store, INT64_MAX, &done), STORE_OK);
        changes = sqlite3_total_changes(store->db);
        assert_int_equal(rollup_learn(store, INT64_MAX, &done), STORE_OK);
        assert_int_equal(sqlite3_total_changes(store->db), changes); /* nothing new to write */
        commit(fixture);
        assert_look(fixture, view, i < 4 ? "0" : "1");
        if (i == 10) /* not the ten seconds of the burst */
            assert_look(fixture, "SELECT usual_ms / 100000 FROM device_habits", "36");
    }
    /* Now it is known, and is learnt once a day. */
    begin(fixture);
    put_at(store, "a", FIRST_MS + 52 * HOUR_MS);
    changes = sqlite3_total_changes(store->db);
    assert_int_equal(rollup_learn(store, INT64_MAX, &done), STORE_OK);
    assert_int_equal(sqlite3_total_changes(store->db), changes);
    commit(fixture);
}

static void put_beside(struct fixture *fixture, const char *name, int64_t time_ms)
{
    const struct store_options options = {
        .path = fixture->path, .busy_timeout_ms = 20, .beside = true};
    struct store *store = NULL;

    assert_int_equal(store_open(&options, &store, fixture->problem, sizeof(fixture->problem)),
                     STORE_OK);
    assert_int_equal(store_begin(store), STORE_OK);
    put_at(store, name, time_ms);
    assert_int_equal(store_commit(store), STORE_OK);
    assert_int_equal(store_close(store), STORE_OK);
}

/* The boundary jumps over days without readings. In the middle of the step before, when device `a`
 * has been passed, it gets a reading in one of these days. */
static void jump_with_a_reading_between(struct fixture *fixture, bool beside)
{
    struct store *store = fixture->store;
    bool done = false;

    make_reference(fixture);
    begin(fixture);
    put_at(store, "a", FIRST_MS);
    put_at(store, "b", FIRST_MS);
    put_at(store, "a", FIRST_MS + 6 * DAY_MS);
    commit(fixture);
    store->rollup.work.target_ms = FIRST_MS + 6 * DAY_MS + 12 * HOUR_MS;
    for (int call = 0; call < 100 && !done; call++) {
        int before = store->wal_pages;

        assert_int_equal(store_chunk_begin(store), STORE_OK);
        assert_int_equal(rollup_load(store), STORE_OK);
        assert_int_equal(rollup_advance(store, INT64_MIN, &done), STORE_OK);
        assert_int_equal(store_chunk_commit(store, before), STORE_OK);
        if (store->rollup.state.device == 1 && store->rollup.state.from_ms == FIRST_MS) {
            if (beside) {
                put_beside(fixture, "a", FIRST_MS + 3 * DAY_MS);
            } else {
                begin(fixture);
                put_at(store, "a", FIRST_MS + 3 * DAY_MS);
                commit(fixture);
            }
        }
        check(fixture, "a part of a step", call);
    }
    assert_true(done);
    assert_look(fixture, "SELECT count(*) FROM battery WHERE time_ms % 86400000 = 0", "4");
}

static void test_a_reading_in_a_gap_is_not_jumped_over(void **state)
{
    jump_with_a_reading_between(*state, false);
}

static void test_nor_is_one_of_another_program(void **state)
{
    jump_with_a_reading_between(*state, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_views_are_those_of_the_readings, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(test_with_another_seed, fixture_make_open, fixture_remove),
        cmocka_unit_test_setup_teardown(test_rollups_outlive_their_readings, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(test_days_that_are_gone_keep_their_zone, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(test_also_with_a_zone_to_the_west, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(test_a_reading_in_a_gap_is_not_jumped_over,
                                        fixture_make_open, fixture_remove),
        cmocka_unit_test_setup_teardown(test_nor_is_one_of_another_program, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(test_retention_passes_the_boundary, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(test_habits_of_a_new_device, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(test_nothing_begins_without_room, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(test_everything_is_rolled_up_in_the_end, fixture_make_open,
                                        fixture_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
