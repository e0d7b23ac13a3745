/*
 * Goal: the work on roll-ups keeps its promises where they meet other things: a time zone,
 * retention and its boundary, readings that come meanwhile, another program's lock, a full disk.
 * tests/unit/test_rollup.c has all of it in a random order.
 */
#include <limits.h>

#include "migrations.h"
#include "rollup_fixture.h"

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

    make_reference(fixture, true);
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
    /* A part of the first day, with the other zone's offset: the day began with the one before. */
    roll_up_to(store, FIRST_MS + 3 * DAY_MS + 8 * HOUR_MS);
    check(fixture, "a part of a day of another zone", hours);
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

    make_reference(fixture, false);
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

static int count_ten(void *context)
{
    *(int *)context += 10;
    return 0;
}

/* Battery readings are kept for days, temperatures for years: what is deleted of the former does
 * not look at each day of the calendar. */
static void test_retention_seeks_no_day_without_roll_ups(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    int steps = 0;

    begin(fixture);
    put_at(store, "a", FIRST_MS);
    put_at(store, "a", FIRST_MS + 2 * DAY_MS);
    commit(fixture);
    roll_up_to(store, FIRST_MS + 3 * DAY_MS);
    execute(fixture, "INSERT INTO calendar WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL"
                     " SELECT i + 1 FROM n WHERE i < 3000) SELECT (SELECT min(day) FROM calendar)"
                     " - i, '', 0, 0, '' FROM n");
    execute(fixture, "DELETE FROM battery WHERE time_ms = (SELECT min(time_ms) FROM battery)");
    begin(fixture);
    sqlite3_progress_handler(store->db, 10, count_ten, &steps);
    assert_int_equal(rollup_expired(store, ROLLUP_BATTERY, 1, FIRST_MS + DAY_MS, true), STORE_OK);
    sqlite3_progress_handler(store->db, 0, NULL, NULL);
    commit(fixture);
    assert_look(fixture, "SELECT group_concat(day) FROM battery_days", "19675");
    assert_true(steps < 3000);
}

/* A day of a large fleet is not deleted at once: an acknowledgement would wait for it. */
static void test_old_roll_ups_are_deleted_in_parts(void **state)
{
    const struct store_expiry pass = {.keep_rollups = false, .rollup_cutoff_ms = STORE_KEEP};
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    int64_t deleted = 0;
    bool more = true;

    execute(fixture, "INSERT INTO temperature_days WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL"
                     " SELECT i + 1 FROM n WHERE i < 2500)"
                     " SELECT 19000 + i % 2, i, 1, 0, 0, NULL, 0, NULL, NULL, NULL FROM n");
    execute(fixture, "UPDATE rollup_state SET temperature_gone_ms = 19673 * 86400000,"
                     " from_ms = 19673 * 86400000, until_ms = 19673 * 86400000");
    begin(fixture);
    rollup_forget(&store->rollup);
    for (int i = 0; i < 100 && more; i++) {
        int rows = 0;

        assert_int_equal(rollup_expire(store, &pass, &more, &rows), STORE_OK);
        assert_in_range(rows, 0, 1000);
        deleted += rows;
    }
    commit(fixture);
    assert_false(more);
    assert_in_range(deleted, 2500, 2501); /* and rollup_state */
    assert_look(fixture, "SELECT count(*) FROM temperature_days", "0");
}

/* On a disk that is nearly full the space is left to messages. */
static void test_nothing_begins_without_room(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    int again_ms = INT_MAX;

    begin(fixture);
    put_at(store, "a", FIRST_MS);
    commit(fixture);
    store->rollup.work.caught_up = true;
    store->free_bytes = INT64_C(64) * 1024 * 1024 - 1;
    assert_int_equal(rollup_idle(store, true, &again_ms), STORE_OK);
    assert_int_equal(store->rollup.work.phase, ROLLUP_RESTS);
    store->free_bytes++;
    assert_int_equal(rollup_idle(store, true, &again_ms), STORE_OK);
    assert_int_not_equal(store->rollup.work.phase, ROLLUP_RESTS);
}

/* While another program holds the lock, the writer is not woken for each try. */
static void test_a_lock_is_waited_for(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    sqlite3 *other = NULL;
    int again_ms = INT_MAX;

    begin(fixture);
    put_at(store, "a", FIRST_MS);
    commit(fixture);
    store->rollup.work.phase = ROLLUP_LEARNS;
    assert_int_equal(sqlite3_open(fixture->path, &other), SQLITE_OK);
    sqlite3_db_config(other, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(rollup_idle(store, true, &again_ms), STORE_OK);
    assert_int_equal(store->rollup.work.phase, ROLLUP_LEARNS);
    assert_int_equal(again_ms, 100);
    sqlite3_close(other);
    assert_int_equal(rollup_idle(store, true, &again_ms), STORE_OK);
    assert_int_not_equal(store->rollup.work.phase, ROLLUP_LEARNS);
}

/* A device that begins with a burst is learnt anew while it is new, by the rule of the view. */
static void test_habits_of_a_new_device(void **state)
{
    static const char view[] =
        "SELECT count(*) FROM device_habits WHERE intervals = (SELECT count(*) - 1 FROM battery)"
        " AND usual_ms = (SELECT pause_ms FROM (SELECT pause_ms, row_number() OVER (ORDER BY"
        " pause_ms) AS k, count(*) OVER () AS n FROM (SELECT pause_ms, max(iif(k = (n - 1) * 9 / 10"
        " + 1, pause_ms, 0)) OVER () AS long_ms FROM (SELECT pause_ms, row_number() OVER (ORDER BY"
        " pause_ms) AS k, count(*) OVER () AS n FROM (SELECT time_ms - lag(time_ms) OVER (ORDER BY"
        " time_ms) AS pause_ms FROM (SELECT time_ms FROM battery ORDER BY time_ms DESC LIMIT 52))"
        " WHERE pause_ms IS NOT NULL)) WHERE pause_ms * 10 >= long_ms) WHERE k = (n + 1) / 2)";
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

/* Three readings at a time, every half an hour: usual is the time from one burst to the next, as
 * learnt and as the view has it before. */
static void test_habits_of_bursts(void **state)
{
    static const char usual[] = "SELECT usual_ms FROM usual_intervals WHERE type = 'bat'";
    struct fixture *fixture = *state;
    bool done = false;

    begin(fixture);
    for (int i = 0; i < 60; i++) {
        put_at(fixture->store, "a", FIRST_MS + i / 3 * (HOUR_MS / 2) + i % 3 * 5000);
    }
    commit(fixture);
    assert_look(fixture, usual, "1790000");
    begin(fixture);
    assert_int_equal(rollup_learn(fixture->store, INT64_MAX, &done), STORE_OK);
    commit(fixture);
    assert_look(fixture, "SELECT usual_ms FROM device_habits", "1790000");
    assert_look(fixture, usual, "1790000");
}

static void put_beside(struct fixture *fixture, const char *name, int64_t time_ms)
{
    struct store *store = begin_beside(fixture);

    put_at(store, name, time_ms);
    commit_beside(store);
}

/* The boundary jumps over days without readings. In the middle of the step before, when device `a`
 * has been passed, it gets a reading in one of these days. */
static void jump_with_a_reading_between(struct fixture *fixture, bool beside)
{
    struct store *store = fixture->store;
    bool done = false;

    make_reference(fixture, false);
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

/* A part of the work, as little as there is. */
static bool work_a_little(struct fixture *fixture, bool clean)
{
    struct store *store = fixture->store;
    int before = store->wal_pages;
    bool flag = false;

    assert_int_equal(store_chunk_begin(store), STORE_OK);
    assert_int_equal(rollup_load(store), STORE_OK);
    assert_int_equal(clean ? rollup_clean(store, INT64_MIN, &flag)
                           : rollup_advance(store, INT64_MIN, &flag),
                     STORE_OK);
    assert_int_equal(store_chunk_commit(store, before), STORE_OK);
    return clean ? !flag : flag;
}

static void put_at_once(struct fixture *fixture, int64_t time_ms)
{
    begin(fixture);
    put_at(fixture->store, "a", time_ms);
    commit(fixture);
}

/* A day of very many readings takes many chunks, and the views are right between them. A reading
 * that comes meanwhile is in the roll-up, wherever it is in the day. */
static void test_a_large_day_is_rolled_up_in_parts(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    int calls = 0;

    make_reference(fixture, false);
    begin(fixture);
    for (int i = 0; i < 60; i++)
        put_at(store, "a", FIRST_MS + i * HOUR_MS / 3);
    put_at(store, "b", FIRST_MS + HOUR_MS);
    commit(fixture);
    store->rollup.step_rows = 5;
    store->rollup.work.target_ms = FIRST_MS + DAY_MS;
    while (!work_a_little(fixture, false) && calls < 200) {
        check(fixture, "a part of a day", 4 * ++calls);
        if (calls == 3)
            put_beside(fixture, "a", FIRST_MS + 2);
        if (calls == 9) /* before what is added up */
            put_at_once(fixture, FIRST_MS + 1);
        if (calls == 12) /* behind it */
            put_at_once(fixture, FIRST_MS + 23 * HOUR_MS);
    }
    assert_in_range(calls, 60 / 5 + 9, 199);
    check(fixture, "the day", 0);
    assert_look(fixture, "SELECT readings FROM battery_days WHERE device = 1", "63");

    put_at_once(fixture, FIRST_MS + 3);
    for (calls = 0; !work_a_little(fixture, true) && calls < 200;) {
        check(fixture, "a part of a day that is made anew", 4 * ++calls);
        if (calls == 3) /* of a device that would be first; the day that is begun goes on */
            put_beside(fixture, "b", FIRST_MS + 2);
    }
    assert_in_range(calls, 64 / 5 + 3, 199);
    check(fixture, "the day made anew", 0);
    assert_look(fixture, "SELECT group_concat(readings) FROM battery_days", "64,2");
}

/* Retention cuts a day of very many readings: what is left of it is rolled up in idle time. */
static void test_a_large_day_that_is_cut_is_left_to_idle_time(void **state)
{
    static const char rollups[] = "SELECT (SELECT count(*) FROM rollup_dirty) || ' ' ||"
                                  " (SELECT total(readings) FROM battery_days)";
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    int64_t cutoff_ms = FIRST_MS + HOUR_MS;

    put_at_once(fixture, FIRST_MS);
    put_at_once(fixture, FIRST_MS + 23 * HOUR_MS);
    roll_up_to(store, FIRST_MS + DAY_MS);
    execute(fixture, "DELETE FROM battery WHERE time_ms < 1699750800000"); /* the first hour */
    begin(fixture);
    assert_int_equal(rollup_expired(store, ROLLUP_BATTERY, 1, cutoff_ms, true), STORE_OK);
    commit(fixture);
    assert_look(fixture, rollups, "0 1.0");
    execute(fixture,
            "INSERT INTO battery (device, time_ms, message_type, received_ms)"
            " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL"
            " SELECT i + 1 FROM n WHERE i < 100000) SELECT 1, 1699760000000 + i, 1, 0 FROM n");
    begin(fixture);
    assert_int_equal(rollup_expired(store, ROLLUP_BATTERY, 1, cutoff_ms, true), STORE_OK);
    commit(fixture);
    assert_look(fixture, rollups, "1 0.0");
    while (!work_a_little(fixture, true))
        continue;
    assert_look(fixture, rollups, "0 100001.0");
}

/* Numbers that are whole parts take few bytes, others are as they were; all are read as they came.
 */
static void test_rows_are_packed(void **state)
{
    static const struct {
        double volts[3];
        const char *packed; /* types and numbers of the columns that are stored */
        const char *read;
    } days[] = {
        {{3.753, 3.7, 3.754}, "[3700,107,54]", "[3.7,11.207,3.754]"},
        {{-0.25, 0.001, -3}, "[-3000,5751,3001]", "[-3.0,-3.249,0.001]"},
        {{0, 0, 0}, "[0,0,0]", "[0.0,0.0,0.0]"},
        {{NAN, 3.7, NAN}, "[3700,0,0]", "[3.7,3.7,3.7]"},
        {{NAN, NAN, NAN}, "[null,null,null]", "[null,null,null]"},
        {{3.7535, 3.7, 3.8}, "[3.7,11.2535,3.8]", "[3.7,11.2535,3.8]"}, /* the sum is none */
        {{3.7, 3.71, 3.7001}, "[3.7,11.1101,3.71]", "[3.7,11.1101,3.71]"},
        {{3.6999, 3.7001, 3.71}, "[3.6999,11.11,3.71]", "[3.6999,11.11,3.71]"},
        {{3.7, 3.7101, 3.7099}, "[3.7,11.12,3.7101]", "[3.7,11.12,3.7101]"},
        {{1e6, 1, 1}, "[1.0,1000002.0,1000000.0]", "[1.0,1000002.0,1000000.0]"},
        {{-1e300, 1, 1}, "[-1.0e+300,-1.0e+300,1.0]", "[-1.0e+300,-1.0e+300,1.0]"},
    };
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    struct store_packet whole = packet("{}");
    enum store_outcome outcome;

    begin(fixture);
    for (size_t i = 0; i < 3 * sizeof(days) / sizeof(*days); i++) {
        const char device[] = {(char)('a' + i / 3), '\0'};
        struct foxtrackr_message message =
            battery(device, FIRST_MS + (int64_t)(i % 3) * HOUR_MS, days[i / 3].volts[i % 3]);

        assert_int_equal(store_message(store, &message, &whole, &outcome), STORE_OK);
    }
    commit(fixture);
    roll_up_to(store, FIRST_MS + DAY_MS);
    for (size_t i = 0; i < sizeof(days) / sizeof(*days); i++) {
        char sql[256];

        snprintf(sql, sizeof(sql),
                 "SELECT json_array(voltage_min_packed, voltage_sum_packed, voltage_max_packed)"
                 " FROM battery_days WHERE device = %zu",
                 i + 1);
        assert_look(fixture, sql, days[i].packed);
        snprintf(sql, sizeof(sql),
                 "SELECT json_array(voltage_v_min, voltage_v_sum, voltage_v_max)"
                 " FROM battery_days WHERE device = %zu AND last_after_ms = 7200000",
                 i + 1);
        assert_look(fixture, sql, days[i].read);
    }
}

/* --- a database of version 10 ---------------------------------------------------------------- */

/* Two devices: one reports every hour but for eleven over midnight, the other once a day. Four days
 * are rolled up, but for one of the first device. Of that device's days one has a sum that is no
 * whole number of millivolts, one such a highest and one such a lowest voltage. */
static const char version_10[] =
    "INSERT INTO devices VALUES (1, 'foxtrackr', 'a', 1), (2, 'foxtrackr', 'b', 1);"
    "INSERT INTO device_groups VALUES ('herd', 1, 1);"
    "CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n"
    " WHERE i < 143) SELECT i, 1699747200000 + i * 3600000 AS time_ms FROM n;"
    "INSERT INTO battery SELECT 1, time_ms, iif(i % 5 = 0, NULL, (35000 + 10 * i + CASE"
    " WHEN i IN (6, 47, 73) THEN 4 WHEN i IN (46, 72) THEN -4 ELSE 0 END) / 10000.0),"
    " iif(i % 7 = 3, NULL, 90.0 - i / 4), 1, NULL, 0 FROM n WHERE i NOT BETWEEN 20 AND 30"
    " UNION ALL SELECT 2, time_ms + 7, 3.25, 50.0, 1, NULL, 0 FROM n WHERE i % 24 = 12;"
    "INSERT INTO temperature SELECT device, time_ms, level_pct - 60, 1, NULL, 0 FROM battery;"
    "INSERT INTO calendar SELECT time_ms / 86400000, date(time_ms / 1000, 'unixepoch'), time_ms,"
    " time_ms + 86400000, date(time_ms / 1000, 'unixepoch') FROM n WHERE i % 24 = 0 AND i < 120;"
    "UPDATE rollup_state SET from_ms = 1700092800000, until_ms = 1700092800000, from_day = 19677,"
    " until_day = 19677;"
    "INSERT INTO rollup_dirty SELECT column1, 1, 19675, 1699920000000, 1700006400000"
    " FROM (VALUES ('bat'), ('temp'));"
    "CREATE TEMP VIEW b AS SELECT *, time_ms / 86400000 AS day, time_ms - lag(time_ms) OVER"
    " (PARTITION BY device, time_ms / 86400000 ORDER BY time_ms) AS pause FROM battery;"
    "INSERT INTO battery_days SELECT day, device, count(*), min(time_ms) - day * 86400000,"
    " max(time_ms) - day * 86400000, count(voltage_v), min(voltage_v), sum(voltage_v),"
    " max(voltage_v), count(level_pct), min(level_pct), sum(level_pct), max(level_pct), NULL, NULL,"
    " NULL, NULL, NULL, NULL, 0, 0, 0, 0, NULL, max(pause) FROM b"
    " WHERE day < 19677 AND (day <> 19675 OR device = 2) GROUP BY 1, 2;"
    "INSERT INTO temperature_days SELECT day, device, count(*), min(time_ms) - day * 86400000,"
    " max(time_ms) - day * 86400000, count(level_pct), min(level_pct - 60), sum(level_pct - 60),"
    " max(level_pct - 60), max(pause) FROM b"
    " WHERE day < 19677 AND (day <> 19675 OR device = 2) GROUP BY 1, 2";

static void make_version_10(const struct fixture *fixture)
{
    char path[sizeof(fixture->path) + 8];
    char sql[128];
    sqlite3 *db = NULL;

    snprintf(path, sizeof(path), "%s-wal", fixture->path);
    unlink(path);
    unlink(fixture->path);
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    for (int i = 0; i < 10; i++)
        assert_int_equal(sqlite3_exec(db, sqlite_migrations[i], NULL, NULL, NULL), SQLITE_OK);
    snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = 10",
             STORE_APPLICATION_ID);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    if (sqlite3_exec(db, version_10, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* The roll-ups of version 10 become those that this version makes; the views are right before the
 * daemon has done anything, and the new tables are filled in idle time. */
static void test_roll_ups_of_version_10_are_kept(void **state)
{
    static const char rollups[] =
        "SELECT group_concat(r, char(10)) FROM (SELECT json_array(day, device, readings,"
        " first_after_ms, last_before_ms, voltage_v_count, voltage_min_packed,"
        " voltage_sum_packed, voltage_max_packed, level_pct_count, level_pct_min, level_pct_sum, "
        "level_pct_max,"
        " level_pct_first, level_pct_last, pause_max_ms) AS r FROM battery_days WHERE day < 19677"
        " UNION ALL SELECT json_array(day, device, readings, first_after_ms, last_before_ms,"
        " celsius_count, celsius_min_packed, celsius_sum_packed, celsius_max_packed, pause_max_ms)"
        " FROM temperature_days WHERE day < 19677 ORDER BY r)";
    struct fixture *fixture = *state;
    char upgraded[16384];
    bool done = false;

    fixture_close(fixture);
    make_version_10(fixture);
    assert_int_equal(fixture_open(fixture), STORE_OK);
    make_reference(fixture, false);
    assert_look(fixture, "SELECT count(*) FROM fleet_days", "0");
    assert_look(fixture, "SELECT count(*) FROM battery_days", "7");
    check(fixture, "the upgrade", 0);

    while (!work_a_little(fixture, true))
        continue;
    check(fixture, "days made anew", 0);
    snprintf(upgraded, sizeof(upgraded), "%s", look(fixture, rollups));
    for (int before = fixture->store->wal_pages; !done;) {
        assert_int_equal(store_chunk_begin(fixture->store), STORE_OK);
        assert_int_equal(rollup_sum(fixture->store, INT64_MAX, &done), STORE_OK);
        assert_int_equal(store_chunk_commit(fixture->store, before), STORE_OK);
    }
    assert_look(fixture, "SELECT count(*) FROM fleet_days WHERE device IS NULL", "4");
    check(fixture, "days added up", 0);

    execute(fixture, "INSERT INTO rollup_dirty SELECT column1, device, day, from_ms, until_ms FROM"
                     " (VALUES ('bat'), ('temp')), battery_days JOIN calendar USING (day)");
    execute(fixture, "DELETE FROM battery_days");
    execute(fixture, "DELETE FROM temperature_days");
    while (!work_a_little(fixture, true))
        continue;
    assert_look(fixture, rollups, upgraded);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make_open, fixture_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_days_that_are_gone_keep_their_zone),
        TEST(test_also_with_a_zone_to_the_west),
        TEST(test_retention_passes_the_boundary),
        TEST(test_retention_seeks_no_day_without_roll_ups),
        TEST(test_old_roll_ups_are_deleted_in_parts),
        TEST(test_nothing_begins_without_room),
        TEST(test_a_lock_is_waited_for),
        TEST(test_habits_of_a_new_device),
        TEST(test_habits_of_bursts),
        TEST(test_a_reading_in_a_gap_is_not_jumped_over),
        TEST(test_nor_is_one_of_another_program),
        TEST(test_a_large_day_is_rolled_up_in_parts),
        TEST(test_a_large_day_that_is_cut_is_left_to_idle_time),
        TEST(test_rows_are_packed),
        TEST(test_roll_ups_of_version_10_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
