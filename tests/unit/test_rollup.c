/*
 * Goal: whatever happens in whatever order, the views of days are those of the readings alone.
 *
 * A generator with a seed picks what happens next: readings of any time, also by another program; a
 * part of the work on roll-ups, rolled back or not; retention; devices that join groups; another
 * time zone; a restart. After each, the views are compared with the same numbers added up from the
 * readings by plain SQL.
 */
#include "rollup_fixture.h"

#define DEVICES 4
#define STEPS   100

static uint64_t generator;

static int64_t any(int64_t below)
{
    generator = generator * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)((generator >> 33) % (uint64_t)below);
}

/* --- what may happen ------------------------------------------------------------------------- */

/* Returns a temperature; a few are no whole number of hundredths. */
static double any_celsius(void)
{
    int64_t tenths = any(300) - 150;

    return (double)tenths / (tenths % 20 == 0 ? 30 : 10);
}

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
    message.celsius = any(6) == 0 ? NAN : any_celsius();
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
    struct store *store = begin_beside(fixture);

    put_any(store);
    put_any(store);
    commit_beside(store);
    return "readings by another program";
}

/* Devices join groups, and people take them out again. */
static const char *change_groups(struct fixture *fixture)
{
    char sql[192];

    snprintf(sql, sizeof(sql),
             any(3) > 0
                 ? "INSERT OR IGNORE INTO device_groups SELECT 'group %d', device, 0 FROM devices"
                   " WHERE device = %d"
                 : "DELETE FROM device_groups WHERE group_name = 'group %d' AND device = %d",
             (int)any(3), (int)any(DEVICES) + 1);
    execute(fixture, sql);
    return "another group";
}

/* A part of the devices of a day that is over, or its end. */
static const char *sum_up(struct fixture *fixture)
{
    struct store *store = fixture->store;
    int before = store->wal_pages;
    bool ignored = false;

    assert_int_equal(store_chunk_begin(store), STORE_OK);
    assert_int_equal(rollup_load(store), STORE_OK);
    for (int64_t i = any(12); i >= 0; i--)
        assert_int_equal(rollup_sum(store, INT64_MIN, &ignored), STORE_OK);
    if (any(5) == 0) {
        assert_int_equal(store_rollback(store), STORE_OK);
        return "days added up, rolled back";
    }
    assert_int_equal(store_chunk_commit(store, before), STORE_OK);
    return "days added up";
}

/* One device, or one day to make anew. */
static const char *roll_up(struct fixture *fixture)
{
    struct store *store = fixture->store;
    struct rollup_work *work = &store->rollup.work;
    int before = store->wal_pages;
    bool clean = any(3) == 0;
    bool ignored = false;

    store->rollup.step_rows = any(3) == 0 ? (int)any(3) + 1 : 0;
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

static bool kept;  /* roll-ups outlive their readings */
static int summed; /* steps after which a day was added up */
static int joined; /* how often the zone was changed after readings were gone */

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
    joined += fixture->store->rollup.state.gone_ms[ROLLUP_BATTERY] > FIRST_MS;
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

static void run_from(struct fixture *fixture, uint64_t seed)
{
    generator = seed;
    make_reference(fixture, kept);
    summed = 0;
    for (int step = 0; step < STEPS; step++) {
        int64_t which = any(100);
        const char *what = which < 26   ? receive(fixture)
                           : which < 62 ? roll_up(fixture)
                           : which < 80 ? sum_up(fixture)
                           : which < 84 ? change_groups(fixture)
                           : which < 88 ? receive_beside(fixture)
                           : which < 94 ? expire(fixture)
                           : which < 97 ? restart(fixture)
                                        : change_zone(fixture);

        check(fixture, what, step);
        summed += atoi(look(fixture, "SELECT count(*) FROM fleet_days WHERE device IS NULL")) > 0;
    }
    assert_true(summed > 0);
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
    joined = 0;
    run_from(*state, 7);
    roll_up_to(((struct fixture *)*state)->store, FIRST_MS + DAYS * DAY_MS);
    check(*state, "all steps", STEPS);
    for (int i = 0; i < 20; i++)
        check(*state, expire(*state), STEPS + i);
    change_zone(*state);
    check(*state, "another zone", STEPS);
    kept = false;
    assert_true(joined > 0);
    assert_look(*state,
                "SELECT count(*) > 0 FROM (SELECT device, time_ms FROM all_battery"
                " EXCEPT SELECT device, time_ms FROM battery)",
                "1");
}

static void test_everything_is_rolled_up_in_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    int before = store->wal_pages;
    bool done = false;

    generator = 3;
    make_reference(fixture, false);
    begin(fixture);
    for (int i = 0; i < 300; i++)
        put_any(fixture->store);
    commit(fixture);
    roll_up_to(fixture->store, FIRST_MS + (DAYS - 1) * DAY_MS + 5 * HOUR_MS);
    check(fixture, "all steps", 0);
    assert_look(fixture,
                "SELECT (SELECT total(readings) FROM battery_days) = (SELECT count(*) FROM battery"
                " WHERE time_ms < (SELECT from_ms FROM rollup_state))",
                "1");
    assert_look(fixture, "SELECT count(*) FROM calendar", "7");
    assert_look(fixture,
                "SELECT count(*) FROM " PAUSES(
                    "battery") " AS p JOIN battery_days"
                               " USING (device, day) WHERE p.pause IS NOT pause_max_ms"
                               " AND pause_max_ms IS NOT NULL",
                "0");
    for (done = false; !done;) {
        assert_int_equal(store_chunk_begin(store), STORE_OK);
        assert_int_equal(rollup_sum(store, INT64_MAX, &done), STORE_OK);
        assert_int_equal(store_chunk_commit(store, before), STORE_OK);
    }
    check(fixture, "all sums", 0);
    assert_look(fixture, "SELECT count(*) FROM fleet_days WHERE device IS NULL", "6");
}

/* A row a group and day: where nearly each device has a group of its own, the roll-ups of devices
 * are as few. */
static void test_too_many_groups_are_not_added_up(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    int before = store->wal_pages;
    bool done = false;

    make_reference(fixture, false);
    begin(fixture);
    put_at(store, "a", FIRST_MS);
    commit(fixture);
    execute(fixture, "INSERT INTO device_groups WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL"
                     " SELECT i + 1 FROM n WHERE i < 11) SELECT 'group ' || i, 1, 0 FROM n");
    roll_up_to(store, FIRST_MS + DAY_MS);
    assert_int_equal(store_chunk_begin(store), STORE_OK);
    assert_int_equal(rollup_sum(store, INT64_MAX, &done), STORE_OK);
    assert_int_equal(store_chunk_commit(store, before), STORE_OK);
    check(fixture, "sums", 0);
    assert_look(fixture, "SELECT grouped || ' ' || (device IS NULL) FROM fleet_days", "0 1");
    assert_look(fixture, "SELECT count(*) FROM group_days", "0");
    assert_look(fixture, "SELECT count(*) FROM group_daily", "11");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make_open, fixture_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_views_are_those_of_the_readings),  TEST(test_with_another_seed),
        TEST(test_rollups_outlive_their_readings),   TEST(test_everything_is_rolled_up_in_the_end),
        TEST(test_too_many_groups_are_not_added_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
