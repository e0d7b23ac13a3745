/* Goal: the schedule of retention sets the size of the next chunk and its time, and what may be
 * deleted. */
#include "store_fixture.h"

#include <inttypes.h>

#include "base/clock.h"
#include "pipeline/writer_expire_internal.h"

#define DAY_MS INT64_C(86400000)

/* Returns the time of a chunk on a disk with `us_a_page` and a fixed time for a sync. */
static int64_t disk(int pages, int64_t us_a_page)
{
    return 500 + pages * us_a_page;
}

static void test_the_limit_follows_the_disk(void **state)
{
    static const int64_t us_a_page[] = {5, 20, 100, 1000};
    int limit = 32;

    (void)state;
    for (size_t i = 0; i < sizeof(us_a_page) / sizeof(us_a_page[0]); i++) {
        int64_t longest_us = 0;

        for (int chunk = 0; chunk < 30; chunk++) {
            int64_t took_us = disk(limit, us_a_page[i]);

            limit = writer_expire_adapt(limit, true, took_us);
            if (chunk >= 10) { /* it has learned */
                longest_us = took_us > longest_us ? took_us : longest_us;
            }
        }
        assert_true(longest_us <= 12000);
    }
    assert_true(limit >= 4); /* something is always done */
    limit = writer_expire_adapt(4, true, 1000000);
    assert_int_equal(limit, 4);
    /* A chunk that was stopped by its time is no reason for more pages. */
    assert_int_equal(writer_expire_adapt(64, false, 100), 64);
}

/* Does chunks, and waits between them, until the pass is over. */
static void finish_pass(struct writer_expire *expire, struct store *store,
                        const struct writer_limits *limits)
{
    struct store_expired out;

    do {
        while (writer_expire_wait_ms(expire, 1) > 0) {
        }
        assert_int_equal(writer_expire_chunk(expire, store, limits, &out), STORE_OK);
    } while (!out.done);
}

/* Does the chunks of a survey, which delete nothing. */
static void finish_survey(struct writer_expire *expire, struct store *store,
                          const struct writer_limits *limits)
{
    struct store_expired out;

    do {
        while (writer_expire_wait_ms(expire, 1) > 0) {
        }
        assert_int_equal(writer_expire_chunk(expire, store, limits, &out), STORE_OK);
        assert_int_equal(out.rows[STORE_BATTERY], 0);
    } while (expire->surveying);
}

static void put_readings(struct fixture *fixture, const char *device, int64_t first_ms, int count)
{
    begin(fixture);
    for (int i = 0; i < count; i++) {
        struct foxtrackr_message message = battery(device, first_ms + i, 3.7);

        put_received(fixture, &message, message.time_ms);
    }
    commit(fixture);
}

static void test_chunks_rest_and_passes_end(void **state)
{
    struct fixture *fixture = *state;
    struct writer_limits limits = {.retention_days = {1, 0, 0, 0}};
    struct store_expired out;
    struct writer_expire expire;
    int64_t begun_us;

    put_readings(fixture, "a", 1, 500);
    put_readings(fixture, "a", clock_wall_ms() - 500, 500);
    writer_expire_init(&expire);
    assert_int_equal(writer_expire_wait_ms(&expire, 500), 0); /* the first pass begins at once */
    expire.limit_pages = 1;
    finish_survey(&expire, fixture->store, &limits);
    while (writer_expire_wait_ms(&expire, 1) > 0) {
    }
    expire.limit_pages = 1;
    begun_us = clock_monotonic_us();
    assert_int_equal(writer_expire_chunk(&expire, fixture->store, &limits, &out), STORE_OK);
    assert_int_equal(out.rows[STORE_BATTERY], 64);
    assert_false(out.done);
    /* Three times as long as it took, from its end. */
    assert_true(expire.rest_until_us > begun_us);
    finish_pass(&expire, fixture->store, &limits);
    assert_look(fixture, "SELECT count(*) FROM battery", "500");
    assert_look(fixture, "SELECT min(time_ms) > 500 FROM battery", "1");
    assert_int_equal(writer_expire_wait_ms(&expire, 500), 500); /* minutes, in fact */
    writer_expire_restart(&expire, true);
    assert_int_equal(writer_expire_wait_ms(&expire, 500), 0);
    limits.retention_days[STORE_BATTERY] = 0;
    finish_survey(&expire, fixture->store, &limits);
    assert_int_equal(expire.pass.keep_free_percent, 0);
    assert_true(expire.rest_until_us <=
                clock_monotonic_us()); /* nobody waits for an acknowledgement */
}

/* Retention counts from the newest reading where that is older than the clock. */
static void test_what_the_clock_alone_calls_old_stays(void **state)
{
    struct fixture *fixture = *state;
    const struct writer_limits limits = {.retention_days = {365, 365, 365, 365}};
    struct writer_expire expire;

    put_readings(fixture, "a", clock_wall_ms() - 730 * DAY_MS, 100);
    put_readings(fixture, "b", clock_wall_ms() - 731 * DAY_MS, 100);
    writer_expire_init(&expire);
    finish_pass(&expire, fixture->store, &limits);
    assert_look(fixture, "SELECT count(*) FROM battery", "200");
    /* One device that agrees with the clock does not make the others' readings old. */
    put_readings(fixture, "c", clock_wall_ms(), 300);
    writer_expire_restart(&expire, false);
    finish_pass(&expire, fixture->store, &limits);
    assert_look(fixture, "SELECT count(*) FROM battery", "500");
    /* After an hour it does. */
    expire.survey.alone_since_ms -= 3600000;
    writer_expire_restart(&expire, false);
    finish_pass(&expire, fixture->store, &limits);
    assert_look(fixture, "SELECT count(*) FROM battery", "300");
}

static void test_where_retention_counts_from(void **state)
{
    const int64_t now = INT64_C(1800000000000);
    const int64_t hour = 3600000;
    const struct {
        struct store_newest newest;
        int64_t alone_ms, basis_ms;
    } cases[] = {
        {{0}, 0, INT64_MIN},
        /* One device: it agrees, it is ahead, it does not agree. */
        {{.devices = 1, .first_ms = now - hour, .before_ms = 5}, 0, now - hour},
        {{.devices = 1, .first_ms = now + hour, .before_ms = 5}, 0, now},
        {{.devices = 1, .first_ms = now - 2 * DAY_MS, .before_ms = 5}, 0, 5},
        {{.devices = 1, .first_ms = now - 2 * DAY_MS, .before_ms = 0}, 0, INT64_MIN},
        /* Two that agree. */
        {{.devices = 9, .first_ms = now, .second_ms = now - hour}, 0, now},
        {{.devices = 9, .first_ms = now - 1, .second_ms = now - hour}, 0, now - 1},
        {{.devices = 9, .first_ms = now + hour, .second_ms = now - hour}, 0, now},
        /* One that agrees, alone: after an hour. */
        {{.devices = 9, .first_ms = now, .second_ms = now - 700 * DAY_MS}, 0, now - 700 * DAY_MS},
        {{.devices = 9, .first_ms = now, .second_ms = now - 700 * DAY_MS}, hour, now},
        /* None: the newest does not count. */
        {{.devices = 9, .first_ms = now - 36 * DAY_MS, .second_ms = now - 700 * DAY_MS},
         0,
         now - 700 * DAY_MS},
        /* Readings of the future agree with nothing, however many devices have them. */
        {{.devices = 9, .first_ms = now + 700 * DAY_MS, .second_ms = now + 2 * DAY_MS},
         hour,
         INT64_MIN},
        {{.devices = 9, .first_ms = now + 700 * DAY_MS, .second_ms = 5}, hour, 5},
        {{.devices = 9, .first_ms = now + 2 * DAY_MS, .second_ms = 0}, hour, INT64_MIN},
        {{.devices = 1, .first_ms = now + 2 * DAY_MS, .before_ms = 5}, hour, 5},
        /* With quarantine alone nothing confirms our own clock, which has written its times. */
        {{.devices = 0, .first_ms = now - 700 * DAY_MS, .before_ms = now - 700 * DAY_MS},
         0,
         INT64_MIN},
        {{.devices = 0, .first_ms = now, .before_ms = now}, hour, INT64_MIN},
    };

    const struct store_newest quarantine_alone = {.first_ms = now - 700 * DAY_MS,
                                                  .before_ms = now - 700 * DAY_MS};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t basis_ms = writer_survey_basis(&cases[i].newest, now, cases[i].alone_ms, false);

        if (basis_ms != cases[i].basis_ms) {
            fail_msg("case %zu: %" PRId64 " and not %" PRId64, i, basis_ms, cases[i].basis_ms);
        }
    }
    /* Unless it is synchronised. */
    assert_int_equal(writer_survey_basis(&quarantine_alone, now, 0, true), now - 700 * DAY_MS);
}

/* Deleting more than half of a table waits an hour, which neither a reload nor lack of space
 * shortens. */
static void test_more_than_half_waits(void **state)
{
    struct fixture *fixture = *state;
    struct writer_limits limits = {.retention_days = {30, 30, 30, 30}};
    struct writer_wait waits[STORE_TABLES];
    struct writer_expire expire;

    put_readings(fixture, "a", clock_wall_ms() - 100 * DAY_MS, 1100);
    put_readings(fixture, "a", clock_wall_ms() - 2000, 1099);
    writer_expire_init(&expire);
    finish_pass(&expire, fixture->store, &limits);
    assert_look(fixture, "SELECT count(*) FROM battery", "2199");
    writer_survey_waits(&expire.survey, waits);
    assert_int_equal(waits[STORE_BATTERY].rows, 1100);
    assert_int_equal(waits[STORE_TEMPERATURE].rows, 0);
    assert_true(waits[STORE_BATTERY].until_ms > clock_monotonic_ms() + 3590000);
    assert_true(expire.next_pass_ms <= clock_monotonic_ms() + 600000);

    expire.survey.holds[STORE_BATTERY].since_ms -= 3000000;
    for (int i = 0; i < 2; i++) { /* a reload, and want of space */
        writer_expire_restart(&expire, i == 1);
        finish_pass(&expire, fixture->store, &limits);
        assert_look(fixture, "SELECT count(*) FROM battery", "2199");
    }
    writer_survey_waits(&expire.survey, waits);
    assert_true(waits[STORE_BATTERY].until_ms < clock_monotonic_ms() + 600001);

    /* Another limit is another announcement. */
    expire.survey.holds[STORE_BATTERY].since_ms -= 3000000;
    limits.retention_days[STORE_BATTERY] = 29;
    writer_expire_restart(&expire, false);
    finish_pass(&expire, fixture->store, &limits);
    assert_look(fixture, "SELECT count(*) FROM battery", "2199");

    /* The hour is over. */
    expire.survey.holds[STORE_BATTERY].since_ms -= 3600000;
    writer_expire_restart(&expire, false);
    finish_pass(&expire, fixture->store, &limits);
    assert_look(fixture, "SELECT count(*) FROM battery", "1099");
    writer_survey_waits(&expire.survey, waits);
    assert_int_equal(waits[STORE_BATTERY].rows, 0);
}

/* Exactly half is deleted at once; an announcement that is no longer true ends; a cutoff that has
 * advanced faster than the monotonic clock is announced again. */
static void test_what_was_announced_must_hold(void **state)
{
    struct fixture *fixture = *state;
    const struct writer_limits limits = {.retention_days = {30, 30, 30, 30}};
    struct writer_expire expire;

    put_readings(fixture, "a", clock_wall_ms() - 100 * DAY_MS, 600);
    put_readings(fixture, "a", clock_wall_ms() - 1000, 599);
    writer_expire_init(&expire);
    finish_pass(&expire, fixture->store, &limits);
    assert_true(expire.survey.holds[STORE_BATTERY].held);
    /* As if the clock had been set two days ahead since then. */
    expire.survey.holds[STORE_BATTERY].since_ms -= 3600000;
    expire.survey.holds[STORE_BATTERY].cutoff_ms -= 2 * DAY_MS;
    writer_expire_restart(&expire, false);
    finish_pass(&expire, fixture->store, &limits);
    assert_look(fixture, "SELECT count(*) FROM battery", "1199");
    assert_true(expire.survey.holds[STORE_BATTERY].since_ms > clock_monotonic_ms() - 60000);

    put_readings(fixture, "b", clock_wall_ms(), 1);
    writer_expire_restart(&expire, false);
    finish_pass(&expire, fixture->store, &limits);
    assert_look(fixture, "SELECT count(*) FROM battery", "600");
    assert_false(expire.survey.holds[STORE_BATTERY].held);
}

/* While no messages are accepted for lack of space, a long WAL may be moved, and chunks may be
 * long.
 */
static void test_for_space_a_long_wal_moves(void **state)
{
    struct fixture *fixture = *state;
    struct writer_limits limits = {.retention_days = {0}};
    struct store_expired out;
    struct writer_expire expire;

    writer_expire_init(&expire);
    fixture->store->wal_pages = 3000;
    finish_pass(&expire, fixture->store, &limits);
    assert_int_equal(fixture->store->wal_pages, 3000);

    writer_expire_restart(&expire, true);
    finish_survey(&expire, fixture->store, &limits);
    expire.longest_us = 0;
    assert_int_equal(writer_expire_chunk(&expire, fixture->store, &limits, &out), STORE_OK);
    assert_int_equal(fixture->store->wal_pages, 0);
    assert_int_equal(expire.longest_us, 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, fixture_make_open, fixture_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_limit_follows_the_disk),
        test(test_chunks_rest_and_passes_end),
        test(test_what_the_clock_alone_calls_old_stays),
        cmocka_unit_test(test_where_retention_counts_from),
        test(test_more_than_half_waits),
        test(test_what_was_announced_must_hold),
        test(test_for_space_a_long_wal_moves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
