/*
 * Goal: retention drops the months that are old as a whole and deletes the rows of others, counts
 * each row once, also when a daemon ends in between or another one works; and months are made
 * before they are needed.
 */
#include "pg_fixture.h"

#include "base/clock.h"
#include "store/postgresql/expire_internal.h"
#include "store/retention.h"
#include "store/upkeep.h"

#define DAY_MS INT64_C(86400000)

/* 2026-05-11 12:00, in a month that has a partition of its own. */
#define CUTOFF INT64_C(1778500800000)

static const struct store_chunk chunk = {
    .budget_us = 1000000, .limit_pages = 8, .now_ms = PG_NOW_MS, .clock_us = clock_monotonic_us};

static const struct store_chunk short_chunk = {
    .budget_us = 1, .limit_pages = 1, .now_ms = PG_NOW_MS, .clock_us = clock_monotonic_us};

/* 120 devices with readings once in six days from 2009 on, one of them with one every ten minutes
 * of three weeks; messages and quarantine with fewer. */
static void fill(struct pg_fixture *fixture)
{
    pg_look(fixture->super, "SET ROLE foxtrackrd"); /* the owner of what is made here */
    pg_look(fixture->super, "INSERT INTO devices (family, device_id, first_seen_ms)"
                            " SELECT 'foxtrackr', 'd' || n, 0 FROM generate_series(1, 120) AS n");
    /* The partitions of a database that was made in November 2026. */
    pg_look(fixture->super,
            "DO $$ DECLARE n text; BEGIN FOR n IN SELECT name FROM foxtrackr_partitions LOOP"
            " EXECUTE 'DROP TABLE ' || n; END LOOP;"
            " FOREACH n IN ARRAY ARRAY['battery', 'temperature', 'messages'] LOOP"
            " EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (MINVALUE) TO"
            " (1761955200000)', n || '_before', n); PERFORM foxtrackr_add_month(n,"
            " (extract(epoch FROM m) * 1000)::int8) FROM generate_series(timestamptz '2025-11-15',"
            " '2026-09-15', '1 month') AS m; END LOOP; END $$");
    pg_look(fixture->super,
            "INSERT INTO battery SELECT device, 1763000000000 + n * 518400000::int8, 3.7,"
            " NULL, 1, NULL, 1 FROM devices, generate_series(0, 50) AS n");
    pg_look(fixture->super, "INSERT INTO battery SELECT 1, 1200000000000 + device, 3.7, NULL, 1,"
                            " NULL, 1 FROM devices");
    pg_look(fixture->super, "INSERT INTO battery SELECT 7, 1777600000000 + n * 600000::int8, 3.7,"
                            " NULL, 1, NULL, 1 FROM generate_series(1, 3000) AS n"
                            " ON CONFLICT DO NOTHING");
    pg_look(fixture->super,
            "INSERT INTO messages SELECT device, 'gps', 1770000000000 + n * 777000000::int8,"
            " '3.0', 1, '{}', '\\x00', 1 FROM devices, generate_series(0, 20) AS n");
    pg_look(fixture->super,
            "INSERT INTO quarantine SELECT int4send(n), 't', NULL, '', 'json', '', 1,"
            " 1778000000000 + n * 1000000::int8, 1 FROM generate_series(1, 1000) AS n");
}

static int64_t number(struct pg_fixture *fixture, const char *sql)
{
    return strtoll(pg_look(fixture->super, sql), NULL, 10);
}

static int64_t rows_of(struct pg_fixture *fixture, const char *table, const char *condition)
{
    char sql[256];

    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s WHERE %s %lld", table, condition,
             (long long)CUTOFF);
    return number(fixture, sql);
}

static struct store_expiry a_pass(void)
{
    return (struct store_expiry){.cutoff_ms = {CUTOFF, CUTOFF, CUTOFF, CUTOFF}};
}

/* Does chunks until the end of the pass; returns their number. */
static int run_pass(struct store *store, struct store_expiry pass, const struct store_chunk *limits,
                    uint64_t sums[STORE_TABLES])
{
    struct store_expired out = {.done = false};
    int chunks = 0;

    while (!out.done) {
        if (store_expire(store, &pass, limits, &out) != STORE_OK) {
            fail_msg("%s", store_error(store));
        }
        for (int i = 0; i < STORE_TABLES; i++) {
            sums[i] += out.rows[i];
        }
        assert_true(++chunks < 10000);
    }
    return chunks;
}

#define EXPIRED_OF(table)                                                                          \
    "SELECT coalesce(sum(row_count), 0) FROM expired WHERE table_name = '" table "'"

static void test_a_pass(void **state)
{
    struct pg_fixture *fixture = *state;
    uint64_t sums[STORE_TABLES] = {0};
    int64_t old;
    int64_t kept;
    int64_t messages;

    fill(fixture);
    old = rows_of(fixture, "battery", "time_ms <");
    kept = rows_of(fixture, "battery", "time_ms >=");
    messages = rows_of(fixture, "messages", "time_ms <");
    assert_true(old > 3000 && kept > 1500 && messages > 1000);
    assert_true(run_pass(fixture->store, a_pass(), &chunk, sums) > 10); /* several chunks */
    assert_int_equal(sums[STORE_BATTERY], old);
    assert_int_equal(sums[STORE_MESSAGES], messages);
    assert_int_equal(rows_of(fixture, "battery", "time_ms <"), 0);
    assert_int_equal(rows_of(fixture, "battery", "time_ms >="), kept);
    assert_int_equal(rows_of(fixture, "messages", "time_ms <"), 0);
    assert_int_equal(rows_of(fixture, "quarantine", "last_received_ms <"), 0);
    assert_int_equal(number(fixture, EXPIRED_OF("battery")), old);
    assert_int_equal(number(fixture, EXPIRED_OF("messages")), messages);
    assert_int_equal(number(fixture, EXPIRED_OF("quarantine")), 500);
    assert_pg(fixture, "SELECT concat_ws(' ', before_ms, last_ms) FROM expired LIMIT 1",
              "1778500800000 1790000000000");
    /* The whole months are gone; the one that is cut stays, and that of everything older. */
    assert_pg(fixture,
              "SELECT string_agg(name, ' ' ORDER BY name) FROM foxtrackr_partitions"
              " WHERE parent = 'battery' AND coalesce(from_ms, 0) < 1785000000000",
              "battery_2026_05 battery_2026_06 battery_2026_07 battery_before");
    assert_pg(fixture, "SELECT count(*) FROM pg_class WHERE relname LIKE 'foxtrackr_expired%'",
              "0");
}

/* A start in the middle finds a month that is detached and not dropped. */
static void test_a_month_that_is_half_deleted(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store_expiry pass = a_pass();
    struct store_expired out = {.done = false};
    uint64_t sums[STORE_TABLES] = {0};
    int64_t old;

    fill(fixture);
    old = rows_of(fixture, "battery", "time_ms <");
    while (number(fixture, "SELECT count(*) FROM pg_class"
                           " WHERE relname LIKE 'foxtrackr_expired_battery_%'") == 0) {
        assert_int_equal(store_expire(fixture->store, &pass, &short_chunk, &out), STORE_OK);
        sums[STORE_BATTERY] += out.rows[STORE_BATTERY];
    }
    /* A late reading makes the month anew. */
    pg_look(fixture->super, "SELECT foxtrackr_add_month('battery', 1763000000000)");
    pg_look(fixture->super, "INSERT INTO battery VALUES (1, 1763000000000, 3.7, NULL, 1, NULL, 1)");
    *fixture->store->expire = (struct pg_expire){0}; /* a new process */
    run_pass(fixture->store, a_pass(), &chunk, sums);
    assert_int_equal(sums[STORE_BATTERY], old + 1);
    assert_int_equal(number(fixture, EXPIRED_OF("battery")), old + 1);
    assert_pg(fixture, "SELECT count(*) FROM pg_class WHERE relname LIKE 'foxtrackr_expired%'",
              "0");
}

/* A reader keeps the months; the rest of the pass is done, and its end says so. */
static void test_a_month_that_is_in_use(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store_expiry pass = a_pass();
    struct store_expired out = {.done = false};
    int result = STORE_OK;

    fill(fixture);
    pg_look(fixture->super, "BEGIN; SELECT count(*) FROM battery");
    while (result == STORE_OK && !out.done) {
        result = store_expire(fixture->store, &pass, &chunk, &out);
    }
    assert_int_equal(result, STORE_E_RETRY);
    assert_non_null(strstr(store_error(fixture->store), "battery_20"));
    assert_non_null(strstr(store_error(fixture->store), "another program reads"));
    assert_int_equal(store_rollback(fixture->store), STORE_OK);
    pg_look(fixture->super, "COMMIT");
    assert_int_equal(rows_of(fixture, "messages", "time_ms <"), 0);
    assert_true(rows_of(fixture, "battery", "time_ms <") > 0);
    run_pass(fixture->store, a_pass(), &chunk, out.rows);
    assert_int_equal(rows_of(fixture, "battery", "time_ms <"), 0);
}

/* Another daemon does a chunk at the moment. */
static void test_one_daemon_deletes(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store_expiry pass = a_pass();
    struct store_expired out;
    char sql[128];

    fill(fixture);
    snprintf(sql, sizeof(sql), "BEGIN; SELECT pg_advisory_xact_lock(%lld)",
             (long long)pg_lock_key("retention", "", ""));
    pg_look(fixture->super, sql);
    assert_int_equal(store_expire(fixture->store, &pass, &chunk, &out), STORE_OK);
    assert_true(out.later && !out.done);
    assert_int_equal(pass.table, 0);
    pg_look(fixture->super, "COMMIT");
    run_pass(fixture->store, a_pass(), &chunk, out.rows);
}

static void tally(struct pg_fixture *fixture, struct store_tally *out, int *steps)
{
    *steps = 0;
    while (!out->done) {
        assert_int_equal(store_survey_count(fixture->store, out, &short_chunk), STORE_OK);
        ++*steps;
    }
}

static void test_the_count_of_old_rows(void **state)
{
    struct pg_fixture *fixture = *state;
    struct store_tally battery = {.table = STORE_BATTERY, .cutoff_ms = CUTOFF};
    struct store_tally few = {.table = STORE_BATTERY, .cutoff_ms = INT64_C(1200000000005)};
    struct store_tally quarantine = {.table = STORE_QUARANTINE, .cutoff_ms = CUTOFF};
    struct store_tally none = {.table = STORE_TEMPERATURE, .cutoff_ms = CUTOFF};
    int steps;

    fill(fixture);
    tally(fixture, &battery, &steps);
    assert_true(steps > 5);
    assert_int_equal(battery.old_rows, rows_of(fixture, "battery", "time_ms <"));
    assert_int_equal(battery.kept_rows, rows_of(fixture, "battery", "time_ms >="));
    tally(fixture, &few, &steps); /* the others are not all counted */
    assert_int_equal(few.old_rows, 4);
    assert_true(few.kept_rows >= 4 && few.kept_rows < 4000);
    tally(fixture, &quarantine, &steps);
    assert_int_equal(quarantine.old_rows, 500);
    assert_int_equal(quarantine.kept_rows, 500);
    tally(fixture, &none, &steps);
    assert_int_equal(none.old_rows, 0);
}

static void test_months_ahead(void **state)
{
    struct pg_fixture *fixture = *state;
    int again_ms = 0;

    pg_look(fixture->super, "DO $$ DECLARE n text; BEGIN FOR n IN SELECT name FROM"
                            " foxtrackr_partitions WHERE until_ms > extract(epoch FROM now()) *"
                            " 1000 LOOP EXECUTE 'DROP TABLE ' || n; END LOOP; END $$");
    assert_int_equal(store_idle(fixture->store, &again_ms), STORE_OK);
    assert_true(again_ms > 0);
    assert_pg(fixture,
              "SELECT count(*) FROM foxtrackr_partitions, generate_series(0, 2) AS k WHERE"
              " from_ms = extract(epoch FROM date_trunc('month', now(), 'UTC')"
              " + k * interval '1 month') * 1000",
              "9");
    assert_int_equal(fixture->store->in_transaction, false);
    /* Not again within the hour. */
    pg_look(fixture->super, "DO $$ DECLARE n text; BEGIN FOR n IN SELECT name FROM"
                            " foxtrackr_partitions WHERE until_ms > extract(epoch FROM now()) *"
                            " 1000 LOOP EXECUTE 'DROP TABLE ' || n; END LOOP; END $$");
    assert_int_equal(store_idle(fixture->store, &again_ms), STORE_OK);
    assert_pg(fixture,
              "SELECT count(*) FROM foxtrackr_partitions WHERE"
              " until_ms > extract(epoch FROM now()) * 1000",
              "0");
    /* A table that has a month's name is no end of the daemon. */
    fixture->store->ahead_ms = 0;
    pg_look(fixture->super, "DO $$ BEGIN EXECUTE format('CREATE TABLE %I ()', 'battery_' ||"
                            " to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')); END $$");
    assert_int_equal(store_rollback(fixture->store), STORE_OK); /* reads the months again */
    assert_int_equal(store_idle(fixture->store, &again_ms), STORE_E_RETRY);
    assert_non_null(strstr(store_error(fixture->store), "rename that table"));
    assert_int_equal(store_begin(fixture->store), STORE_OK);
    assert_int_equal(store_commit(fixture->store), STORE_OK);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, pg_make_open, pg_remove)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        WITH(test_a_pass),
        WITH(test_a_month_that_is_half_deleted),
        WITH(test_a_month_that_is_in_use),
        WITH(test_one_daemon_deletes),
        WITH(test_the_count_of_old_rows),
        WITH(test_months_ahead),
    };

    (void)argc;
    pg_need_server(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
