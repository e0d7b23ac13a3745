/* Goal: the devices that need attention are counted by the rules of the views that name them, and a
 * device costs the same however many others and how many readings there are. */
#include "store_fixture.h"

#include <inttypes.h>

#include "base/clock.h"

#define HOUR_MS INT64_C(3600000)

static const struct store_chunk whole = {.budget_us = INT64_C(1) << 40,
                                         .clock_us = clock_monotonic_us};

static struct store_attention count(struct fixture *fixture)
{
    struct store_attention pass = {.now_ms = clock_wall_ms()};

    do {
        if (store_attention(fixture->store, &pass, &whole) != STORE_OK)
            fail_msg("%s", store_error(fixture->store));
    } while (!pass.done);
    return pass;
}

static int64_t number(struct fixture *fixture, const char *sql)
{
    return strtoll(look(fixture, sql), NULL, 10);
}

/* Adds devices 1 to `count`, named d1 to d<count>. */
static void add_devices(struct fixture *fixture, int how_many)
{
    char sql[256];

    snprintf(sql, sizeof(sql),
             "INSERT INTO devices (device, family, device_id, first_seen_ms)"
             " SELECT value, 'f', 'd' || value, 1 FROM (WITH RECURSIVE n (value) AS (SELECT 1"
             " UNION ALL SELECT value + 1 FROM n WHERE value < %d) SELECT value FROM n)",
             how_many);
    look(fixture, sql);
}

/* Adds `how_many` hourly readings of a device, the last of them `ago_h` hours ago. The level is
 * `level` and the temperature `celsius`. */
static void add_readings(struct fixture *fixture, int device, int how_many, int ago_h, double level,
                         double celsius)
{
    int64_t last_ms = clock_wall_ms() - ago_h * HOUR_MS;
    char sql[512];

    for (int is_battery = 0; is_battery < 2; is_battery++) {
        snprintf(sql, sizeof(sql),
                 "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                 " INSERT INTO %s (device, time_ms, %s, message_type, received_ms)"
                 " SELECT %d, %" PRId64 " - i * 3600000, %f, 1, 1 FROM n",
                 how_many - 1, is_battery ? "battery" : "temperature",
                 is_battery ? "level_pct" : "celsius", device, last_ms,
                 is_battery ? level : celsius);
        look(fixture, sql);
    }
}

static void an_empty_database_needs_no_attention(void **state)
{
    struct store_attention pass = count(*state);

    assert_true(pass.done);
    assert_int_equal(pass.devices + pass.silent + pass.low + pass.excursions, 0);
}

/* People may change views: the devices are not counted then, and messages are stored all the same.
 */
static void a_view_that_is_gone_stops_no_message(void **state)
{
    const struct store_chunk chunk = {.budget_us = 1000000, .clock_us = clock_monotonic_us};
    struct fixture *fixture = *state;
    struct store_attention pass = {.now_ms = clock_wall_ms()};

    add_devices(fixture, 1);
    look(fixture, "DROP VIEW usual_intervals");
    assert_int_equal(store_attention(fixture->store, &pass, &chunk), STORE_E_RETRY);
    assert_non_null(strstr(store_error(fixture->store), "usual_intervals"));
    assert_int_equal(store_begin(fixture->store), STORE_OK);
    assert_int_equal(store_commit(fixture->store), STORE_OK);
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), STORE_OK);
}

static void the_silent_are_counted(void **state)
{
    struct fixture *fixture = *state;
    struct store_attention pass;

    add_devices(fixture, 3);
    add_readings(fixture, 1, 20, 0, 50, 20);
    add_readings(fixture, 2, 20, 2, 50, 20); /* late, but for less than two and a half intervals */
    add_readings(fixture, 3, 20, 3, 50, 20);
    pass = count(fixture);
    assert_int_equal(pass.devices, 3);
    assert_int_equal(pass.silent, 1);
    assert_look(fixture, "SELECT group_concat(device_id) FROM silent_devices", "d3");
    /* By what the daemon has learnt of it, it is late only. */
    look(fixture, "INSERT INTO device_habits (device, type, usual_ms, intervals, learnt_ms)"
                  " VALUES (3, 'bat', 7200000, 50, 1), (3, 'temp', 7200000, 50, 1)");
    assert_int_equal(count(fixture).silent, 0);
}

/* The closest limit holds: of the device, else of its groups, else of all; else 15 %. */
static void low_batteries_are_counted(void **state)
{
    struct fixture *fixture = *state;

    add_devices(fixture, 4);
    add_readings(fixture, 1, 3, 0, 14.9, 20);
    add_readings(fixture, 2, 3, 0, 15, 20);
    add_readings(fixture, 3, 3, 0, 30, 20);
    assert_int_equal(count(fixture).low, 1);
    look(fixture, "INSERT INTO device_groups VALUES ('herd', 2, 1), ('flock', 2, 1),"
                  " ('flock', 3, 1)");
    look(fixture, "INSERT INTO limits (level_pct_min) VALUES (20)");
    assert_int_equal(count(fixture).low, 2); /* 1 and 2 */
    look(fixture, "INSERT INTO limits (group_name, level_pct_min) VALUES ('flock', 40),"
                  " ('herd', 10)");
    assert_int_equal(count(fixture).low, 3);
    look(fixture, "INSERT INTO limits (device_id, level_pct_min) VALUES ('d3', 5), ('d1', 14.9)");
    assert_int_equal(count(fixture).low, 1); /* 2, by its group */
    /* A limit of temperatures alone says nothing about batteries. */
    look(fixture, "INSERT INTO limits (device_id, celsius_max) VALUES ('d2', 90)");
    assert_int_equal(count(fixture).low, 1);
    /* A reading without a level does not hide the one before it. */
    look(fixture, "INSERT INTO battery (device, time_ms, message_type, received_ms)"
                  " SELECT 2, max(time_ms) + 1, 1, 1 FROM battery");
    assert_int_equal(count(fixture).low, 1);
}

static void open_excursions_are_counted(void **state)
{
    struct fixture *fixture = *state;

    add_devices(fixture, 3);
    add_readings(fixture, 1, 5, 0, 50, 25); /* for four hours */
    add_readings(fixture, 2, 5, 0, 50, 20);
    assert_int_equal(count(fixture).excursions, 0);
    look(fixture, "INSERT INTO limits (celsius_max, duration_s) VALUES (25, 0)");
    assert_int_equal(count(fixture).excursions, 0); /* at the limit is not beyond it */
    look(fixture, "UPDATE limits SET celsius_max = 24");
    assert_int_equal(count(fixture).excursions, 1);
    look(fixture, "UPDATE limits SET duration_s = 4 * 3600");
    assert_int_equal(count(fixture).excursions, 1);
    look(fixture, "UPDATE limits SET duration_s = 5 * 3600");
    assert_int_equal(count(fixture).excursions, 0);
    look(fixture, "UPDATE limits SET duration_s = 0, celsius_max = NULL, celsius_min = 22");
    assert_int_equal(count(fixture).excursions, 1); /* 2 is too cold */
    look(fixture, "UPDATE limits SET device_id = 'd1'");
    assert_int_equal(count(fixture).excursions, 0);
    /* Back inside the limit, but not as far as the hysteresis. */
    look(fixture, "UPDATE limits SET device_id = NULL, celsius_min = NULL, celsius_max = 24,"
                  " hysteresis = 2");
    look(fixture, "INSERT INTO temperature (device, time_ms, celsius, message_type, received_ms)"
                  " SELECT 1, max(time_ms) + 1, 22.5, 1, 1 FROM temperature");
    assert_int_equal(count(fixture).excursions, 1);
    look(fixture, "INSERT INTO temperature (device, time_ms, celsius, message_type, received_ms)"
                  " SELECT 1, max(time_ms) + 1, 22, 1, 1 FROM temperature");
    assert_int_equal(count(fixture).excursions, 0);
}

/* Temperatures wander around limits at random: the count is that of the view. */
static void the_counts_are_those_of_the_views(void **state)
{
    struct fixture *fixture = *state;
    char sql[1024];

    look(fixture, "INSERT INTO devices (device, family, device_id, first_seen_ms) VALUES"
                  " (1, 'f', 'd1', 1), (2, 'f', 'd2', 1), (3, 'f', 'd3', 1), (4, 'f', 'd4', 1)");
    look(fixture, "INSERT INTO device_groups VALUES ('g', 1, 1), ('g', 2, 1), ('h', 2, 1)");
    for (int seed = 1; seed <= 60; seed++) {
        look(fixture, "DELETE FROM temperature");
        look(fixture, "DELETE FROM limits");
        snprintf(sql, sizeof(sql),
                 "WITH RECURSIVE n (i, z) AS (SELECT 0, %d UNION ALL"
                 " SELECT i + 1, (z * 1103515245 + 12345) %% 2147483648 FROM n WHERE i < 60)"
                 " INSERT INTO temperature (device, time_ms, celsius, message_type, received_ms)"
                 " SELECT 1 + i %% 4, %" PRId64 " - (60 - i) * 600000,"
                 " nullif(18 + z / 65536 %% 8, 24), 1, 1 FROM n",
                 seed * 7919, clock_wall_ms() - 30000 - seed % 4 * HOUR_MS);
        look(fixture, sql);
        snprintf(sql, sizeof(sql),
                 "INSERT INTO limits (group_name, device_id, celsius_min, celsius_max, duration_s,"
                 " hysteresis) VALUES (NULL, NULL, 19, 23, %d, %d), ('g', NULL, NULL, 21, %d, 1),"
                 " ('h', 'd2', 20, NULL, 0, 0), (NULL, 'd4', 20, 22, %d, 0.5)",
                 seed % 3 * 3000, seed % 4, seed % 5 * 1800, seed % 2 * 4000);
        look(fixture, sql);
        assert_int_equal(count(fixture).excursions,
                         number(fixture, "SELECT count(*) FROM temperature_excursions WHERE open"));
        assert_int_equal(count(fixture).silent,
                         number(fixture, "SELECT count(*) FROM silent_devices"));
    }
}

static int count_ten(void *context)
{
    *(int *)context += 10;
    return 0;
}

/* Returns how many steps of SQLite's machine the first device takes. */
static int steps_of_one(struct fixture *fixture)
{
    struct store_attention pass = {.now_ms = clock_wall_ms()};
    struct store_chunk one = whole;
    int steps = 0;

    one.budget_us = 0;
    sqlite3_progress_handler(fixture->store->db, 10, count_ten, &steps);
    assert_int_equal(store_attention(fixture->store, &pass, &one), STORE_OK);
    sqlite3_progress_handler(fixture->store->db, 0, NULL, NULL);
    assert_int_equal(pass.devices, 1);
    return steps;
}

static void a_device_costs_the_same_in_a_large_fleet(void **state)
{
    struct fixture *fixture = *state;
    int alone;

    look(fixture, "INSERT INTO limits (celsius_max) VALUES (24)");
    add_devices(fixture, 1);
    add_readings(fixture, 1, 100, 0, 50, 20);
    alone = steps_of_one(fixture);
    look(fixture, "DELETE FROM battery");
    look(fixture, "DELETE FROM temperature");
    look(fixture, "DELETE FROM devices");
    add_devices(fixture, 300);
    for (int device = 1; device <= 300; device += 13)
        add_readings(fixture, device, 3000, 0, 50, 20);
    assert_true(steps_of_one(fixture) < alone + alone / 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make_open, fixture_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_database_needs_no_attention),
        TEST(a_view_that_is_gone_stops_no_message),
        TEST(the_silent_are_counted),
        TEST(low_batteries_are_counted),
        TEST(open_excursions_are_counted),
        TEST(the_counts_are_those_of_the_views),
        TEST(a_device_costs_the_same_in_a_large_fleet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
