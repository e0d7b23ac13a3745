/* Goal: the survey of retention allows deletions only by a clock that is confirmed, and makes large
 * ones wait an hour. */
#include "store_fixture.h"

#include "base/wall.h"
#include "clock_fixture.h"
#include "pipeline/writer_survey_internal.h"

static int64_t no_time(void)
{
    return 0; /* a chunk is never over */
}

static int set_up(void **state)
{
    clock_reset();
    wall_begin(0);
    return fixture_make_open(state);
}

static int tear_down(void **state)
{
    wall_begin(0);
    return fixture_remove(state);
}

static void survey_all(struct writer_survey *survey, struct fixture *fixture,
                       const struct writer_limits *limits)
{
    const struct store_chunk chunk = {.clock_us = no_time, .budget_us = 1};

    writer_survey_begin(survey);
    while (survey->phase != WRITER_SURVEY_DONE) {
        assert_int_equal(writer_survey_step(survey, fixture->store, limits, &chunk), STORE_OK);
    }
}

static void put_received_at(struct fixture *fixture, const char *device, int64_t first_ms,
                            int count, int64_t received_ms)
{
    begin(fixture);
    for (int i = 0; i < count; i++) {
        struct foxtrackr_message message = battery(device, first_ms + i, 3.7);

        put_received(fixture, &message, received_ms);
    }
    commit(fixture);
}

static void put_readings(struct fixture *fixture, const char *device, int64_t first_ms, int count)
{
    put_received_at(fixture, device, first_ms, count, clocks.wall_ms);
}

/* Each table has its own limit, and 0 is none. */
static void test_cutoffs(void **state)
{
    struct fixture *fixture = *state;
    const struct writer_limits limits = {.retention_days = {30, 0, 7, 400}};
    struct writer_survey survey = {0};

    put_readings(fixture, "a", clocks.wall_ms - 10, 3);
    put_readings(fixture, "b", clocks.wall_ms - 1000, 3);
    survey_all(&survey, fixture, &limits);
    assert_int_equal(survey.cutoff_ms[0], clocks.wall_ms - 8 - 30 * CLOCK_DAY_MS);
    assert_int_equal(survey.cutoff_ms[1], STORE_KEEP);
    assert_int_equal(survey.cutoff_ms[2], clocks.wall_ms - 8 - 7 * CLOCK_DAY_MS);
    assert_int_equal(survey.cutoff_ms[3], clocks.wall_ms - 8 - 400 * CLOCK_DAY_MS);
}

/* A clock that is behind deletes nothing, whatever the readings say. */
static void test_a_clock_that_is_behind(void **state)
{
    struct fixture *fixture = *state;
    const struct writer_limits limits = {.retention_days = {1, 1, 1, 1}};
    struct writer_survey survey = {0};

    put_readings(fixture, "a", clocks.wall_ms - 100 * CLOCK_DAY_MS, 2);
    put_readings(fixture, "a", clocks.wall_ms, 3);
    put_readings(fixture, "b", clocks.wall_ms, 3);
    wall_begin(clocks.wall_ms + 1);
    survey_all(&survey, fixture, &limits);
    for (int i = 0; i < STORE_TABLES; i++) {
        assert_int_equal(survey.cutoff_ms[i], STORE_KEEP);
    }
    clocks.wall_ms += 1; /* it is set right */
    survey_all(&survey, fixture, &limits);
    assert_int_equal(survey.cutoff_ms[STORE_BATTERY], clocks.wall_ms - CLOCK_DAY_MS);
}

/* A single device that agrees with the clock confirms it after an uninterrupted hour, or together
 * with a second device. */
static void test_an_hour_alone(void **state)
{
    struct fixture *fixture = *state;
    const struct writer_limits limits = {.retention_days = {30, 30, 30, 30}};
    const int64_t old_ms = clocks.wall_ms - 700 * CLOCK_DAY_MS;
    struct writer_survey survey = {0};

    put_readings(fixture, "old", old_ms, 1);
    put_readings(fixture, "alone", clocks.wall_ms, 1);
    survey_all(&survey, fixture, &limits);
    assert_int_equal(survey.cutoff_ms[STORE_MESSAGES], old_ms - 30 * CLOCK_DAY_MS);
    clock_pass(CLOCK_HOUR_MS - 1);
    survey_all(&survey, fixture, &limits);
    assert_int_equal(survey.cutoff_ms[STORE_MESSAGES], old_ms - 30 * CLOCK_DAY_MS);
    clock_pass(2 * CLOCK_DAY_MS); /* now no device agrees: the hour begins anew */
    survey_all(&survey, fixture, &limits);
    assert_int_equal(survey.alone_since_ms, 0);
    assert_int_equal(survey.cutoff_ms[STORE_MESSAGES], old_ms - 30 * CLOCK_DAY_MS);
    put_readings(fixture, "alone", clocks.wall_ms, 1);
    survey_all(&survey, fixture, &limits);
    assert_int_equal(survey.cutoff_ms[STORE_MESSAGES], old_ms - 30 * CLOCK_DAY_MS);
    clock_pass(CLOCK_HOUR_MS);
    survey_all(&survey, fixture, &limits);
    assert_int_equal(survey.cutoff_ms[STORE_MESSAGES],
                     clocks.wall_ms - CLOCK_HOUR_MS - 30 * CLOCK_DAY_MS);

    put_readings(fixture, "second", clocks.wall_ms, 1);
    survey_all(&survey, fixture, &limits);
    assert_int_equal(survey.alone_since_ms, 0);
    assert_int_equal(survey.cutoff_ms[STORE_MESSAGES], clocks.wall_ms - 30 * CLOCK_DAY_MS);
}

/* The hour is counted by the monotonic clock, to the millisecond, and for each table by itself. */
static void test_an_announced_hour(void **state)
{
    struct fixture *fixture = *state;
    struct writer_limits limits = {.retention_days = {30, 30, 30, 30}};
    struct writer_survey survey = {0};
    struct writer_wait waits[STORE_TABLES];
    const int64_t begun_ms = clocks.monotonic_ms;
    int64_t cutoff_ms;

    put_readings(fixture, "a", clocks.wall_ms - 100 * CLOCK_DAY_MS, 30);
    put_readings(fixture, "b", clocks.wall_ms, 29);
    put_readings(fixture, "c", clocks.wall_ms, 1); /* half is not more than half */
    survey_all(&survey, fixture, &limits);
    assert_int_equal(writer_survey_next_ms(&survey, 5000), 5000);
    put_readings(fixture, "a", clocks.wall_ms - 90 * CLOCK_DAY_MS, 1);
    assert_false(survey.holds[STORE_BATTERY].held);
    survey_all(&survey, fixture, &limits);
    cutoff_ms = clocks.wall_ms + 28 - 30 * CLOCK_DAY_MS;
    assert_true(survey.holds[STORE_BATTERY].held);
    assert_int_equal(survey.cutoff_ms[STORE_BATTERY], STORE_KEEP);
    assert_true(survey.cutoff_ms[STORE_TEMPERATURE] != STORE_KEEP);
    writer_survey_waits(&survey, waits);
    assert_int_equal(waits[STORE_BATTERY].rows, 31);
    assert_in_range(waits[STORE_BATTERY].before_ms, cutoff_ms - 28, cutoff_ms);
    assert_int_equal(waits[STORE_BATTERY].until_ms, begun_ms + CLOCK_HOUR_MS);
    assert_int_equal(waits[STORE_TEMPERATURE].until_ms, 0);

    assert_int_equal(writer_survey_next_ms(&survey, 2 * CLOCK_HOUR_MS), CLOCK_HOUR_MS);
    clock_pass(CLOCK_HOUR_MS - 1);
    assert_int_equal(writer_survey_next_ms(&survey, 2 * CLOCK_HOUR_MS), 1);
    survey_all(&survey, fixture, &limits);
    assert_int_equal(survey.cutoff_ms[STORE_BATTERY], STORE_KEEP);
    clock_pass(1);
    assert_int_equal(writer_survey_next_ms(&survey, 2 * CLOCK_HOUR_MS), 0);
    survey_all(&survey, fixture, &limits);
    assert_true(survey.cutoff_ms[STORE_BATTERY] != STORE_KEEP);
    assert_int_equal(writer_survey_next_ms(&survey, 2 * CLOCK_HOUR_MS), 2 * CLOCK_HOUR_MS);
    writer_survey_waits(&survey, waits);
    assert_int_equal(waits[STORE_BATTERY].rows, 0);

    /* No limit any more: what was announced is forgotten. */
    limits.retention_days[STORE_BATTERY] = 0;
    survey_all(&survey, fixture, &limits);
    assert_false(survey.holds[STORE_BATTERY].held);
}

/* If the clock jumps ahead within the hour, the deletion announced then waits an hour of its own.
 */
static void test_a_jump_within_the_hour(void **state)
{
    struct fixture *fixture = *state;
    const struct writer_limits limits = {.retention_days = {30, 30, 30, 30}};
    struct writer_survey survey = {0};

    put_readings(fixture, "a", clocks.wall_ms - 100 * CLOCK_DAY_MS, 40);
    put_readings(fixture, "b", clocks.wall_ms, 10);
    put_readings(fixture, "c", clocks.wall_ms, 10);
    survey_all(&survey, fixture, &limits);
    assert_true(survey.holds[STORE_BATTERY].held);
    clock_pass(CLOCK_HOUR_MS / 2);
    clocks.wall_ms += 60 * CLOCK_DAY_MS; /* and devices that share its fault */
    put_readings(fixture, "b", clocks.wall_ms, 1);
    put_readings(fixture, "c", clocks.wall_ms, 1);
    survey_all(&survey, fixture, &limits);
    assert_int_equal(survey.holds[STORE_BATTERY].since_ms, clocks.monotonic_ms);
    assert_int_equal(survey.holds[STORE_BATTERY].rows, 60);
    clock_pass(CLOCK_HOUR_MS / 2); /* the first hour would be over */
    survey_all(&survey, fixture, &limits);
    assert_int_equal(survey.cutoff_ms[STORE_BATTERY], STORE_KEEP);
}

/* Readings with a time in the future, old or new ones, do not confirm a clock that is ahead. */
static void test_readings_of_the_future(void **state)
{
    struct fixture *fixture = *state;
    const struct writer_limits limits = {.retention_days = {30, 30, 30, 30}};
    const int64_t now_ms = clocks.wall_ms;
    struct writer_survey survey = {0};

    put_readings(fixture, "a", now_ms, 5);
    put_readings(fixture, "b", now_ms - 1000, 5);
    /* Readings of years from now, and of the time that the wrong clock will show. All were received
     * by the right clock: max_future was large, or they have left quarantine since. */
    put_received_at(fixture, "x", now_ms + 1800 * CLOCK_DAY_MS, 9, now_ms);
    put_received_at(fixture, "y", now_ms + 1801 * CLOCK_DAY_MS, 9, now_ms);
    put_received_at(fixture, "v", now_ms + 60 * CLOCK_DAY_MS, 9, now_ms);
    put_received_at(fixture, "w", now_ms + 60 * CLOCK_DAY_MS, 9, now_ms);
    survey_all(&survey, fixture, &limits);
    assert_int_equal(survey.cutoff_ms[STORE_BATTERY], now_ms - 30 * CLOCK_DAY_MS);

    for (int hours = 0; hours < 3; hours++) {
        clocks.wall_ms = now_ms + 60 * CLOCK_DAY_MS + hours * CLOCK_HOUR_MS;
        survey_all(&survey, fixture, &limits);
        assert_in_range(survey.cutoff_ms[STORE_BATTERY], 1, now_ms + 4 - 30 * CLOCK_DAY_MS);
        clocks.monotonic_ms += CLOCK_HOUR_MS;
    }
    /* Two devices whose readings arrive now, with the time of that clock, confirm it. */
    put_readings(fixture, "a", clocks.wall_ms, 1);
    put_readings(fixture, "b", clocks.wall_ms, 1);
    survey_all(&survey, fixture, &limits);
    assert_true(survey.holds[STORE_BATTERY].held ||
                survey.cutoff_ms[STORE_BATTERY] == clocks.wall_ms - 30 * CLOCK_DAY_MS);
}

/* With quarantine alone, whose times are those of our own clock, nothing is deleted unless the
 * clock is synchronised. */
static void test_quarantine_alone(void **state)
{
    struct fixture *fixture = *state;
    const struct writer_limits limits = {.retention_days = {30, 30, 30, 30}};
    const struct foxtrackr_problem problem = {.reason = FOXTRACKR_E_JSON, .detail = "no JSON"};
    const char *payloads[] = {"{", "{{", "{{{"};
    struct writer_survey survey = {0};

    begin(fixture);
    for (int i = 0; i < 3; i++) {
        struct store_packet whole = packet(payloads[i]);

        whole.received_ms = i == 0 ? clocks.wall_ms - 700 * CLOCK_DAY_MS : clocks.wall_ms;
        assert_int_equal(store_quarantine(fixture->store, &problem, &whole), STORE_OK);
    }
    commit(fixture);
    for (int i = 0; i < 3; i++) {
        survey_all(&survey, fixture, &limits);
        assert_int_equal(survey.cutoff_ms[STORE_QUARANTINE], STORE_KEEP);
        clock_pass(CLOCK_HOUR_MS);
    }
    clocks.synchronised = true;
    survey_all(&survey, fixture, &limits);
    assert_int_equal(survey.cutoff_ms[STORE_QUARANTINE],
                     clocks.wall_ms - 3 * CLOCK_HOUR_MS - 30 * CLOCK_DAY_MS);
}

/* If the clock is set during the survey, the pass deletes nothing. */
static void test_the_clock_is_set_meanwhile(void **state)
{
    struct fixture *fixture = *state;
    const struct writer_limits limits = {.retention_days = {30, 30, 30, 30}};
    const struct store_chunk chunk = {.clock_us = no_time, .budget_us = 1};
    struct writer_survey survey = {0};

    put_readings(fixture, "a", clocks.wall_ms, 5);
    put_readings(fixture, "b", clocks.wall_ms, 5);
    writer_survey_begin(&survey);
    clocks.wall_ms += CLOCK_HOUR_MS;
    while (survey.phase != WRITER_SURVEY_DONE) {
        assert_int_equal(writer_survey_step(&survey, fixture->store, &limits, &chunk), STORE_OK);
    }
    assert_int_equal(survey.cutoff_ms[STORE_BATTERY], STORE_KEEP);
    survey_all(&survey, fixture, &limits);
    assert_true(survey.cutoff_ms[STORE_BATTERY] != STORE_KEEP);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_cutoffs),
        test(test_a_clock_that_is_behind),
        test(test_an_hour_alone),
        test(test_an_announced_hour),
        test(test_a_jump_within_the_hour),
        test(test_readings_of_the_future),
        test(test_quarantine_alone),
        test(test_the_clock_is_set_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
