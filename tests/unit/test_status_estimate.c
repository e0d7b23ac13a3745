/* The estimates of status: rates, catch-up, growth. The test passes the times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "status/estimate_internal.h"

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)
#define START_MS  INT64_C(123456789)
#define MIB       INT64_C(1048576)

#define assert_near(value, expected, tolerance)                                                    \
    assert_true(fabs((double)(value) - (double)(expected)) <= (tolerance))

static struct status_estimate estimate;

static int make(void **state)
{
    (void)state;
    status_estimate_init(&estimate);
    return 0;
}

static void a_series_keeps_its_period(void **state)
{
    struct series series = {.period_ms = 10};

    (void)state;
    assert_true(isnan(series_rate(&series, 100, 0, 5, 1)));
    series_add(&series, 0, 0);
    series_add(&series, 9, 1000); /* too soon: left out */
    assert_int_equal(series.count, 1);
    series_add(&series, 10, 20);
    assert_int_equal(series.count, 2);
    /* The youngest that is old enough: 20 at 10, not 0 at 0. */
    assert_near(series_rate(&series, 10, 0, 20, 30), 1000, 1e-9);
    /* A window that begins between two samples: 18 at 9. */
    assert_near(series_rate(&series, 11, 0, 20, 30), 12000.0 / 11, 1e-9);
    assert_near(series_rate(&series, 20, 0, 20, 30), 1500, 1e-9);
    /* No time has passed, or not enough of it. */
    assert_true(isnan(series_rate(&series, 0, 0, 10, 30)));
    assert_true(isnan(series_rate(&series, 11, 21, 20, 30)));
    series_clear(&series);
    assert_true(isnan(series_rate(&series, 1, 0, 20, 30)));
}

static void a_series_forgets_the_oldest(void **state)
{
    struct series series = {.period_ms = 1};

    (void)state;
    for (int64_t at = 0; at < 3 * SERIES_SIZE; at++) {
        series_add(&series, at, at < 2 * SERIES_SIZE ? -1000000 : at);
    }
    /* Only the last third is there: it rises by one each millisecond. */
    assert_near(
        series_rate(&series, INT64_MAX, 0, 3 * (int64_t)SERIES_SIZE, 3 * (int64_t)SERIES_SIZE),
        1000, 1e-9);
}

/* 10 messages a second for 20 minutes, then none for 2. */
static void rates_are_over_true_windows(void **state)
{
    struct status_rates rates = {0};
    int64_t at_ms = START_MS;
    uint64_t received = 0;

    (void)state;
    rates = status_estimate_rates(&estimate, at_ms, 0);
    assert_near(rates.over_1min_per_s, 0, 0);
    for (int i = 0; i < 20 * 60; i++) {
        at_ms += SECOND_MS;
        received += 10;
        rates = status_estimate_rates(&estimate, at_ms, received);
        assert_near(rates.over_15min_per_s, 10, 1e-9);
    }
    for (int i = 0; i < 2 * 60; i++) {
        at_ms += SECOND_MS;
        rates = status_estimate_rates(&estimate, at_ms, received);
    }
    assert_near(rates.over_1min_per_s, 0, 0);
    assert_near(rates.over_5min_per_s, 6, 1e-9);
    assert_near(rates.over_15min_per_s, 10 * 13.0 / 15, 1e-9);
    /* Exactly a minute after the flow has begun again, whenever that was. */
    for (int i = 0; i < 59; i++) {
        at_ms += SECOND_MS;
        received += 10;
        status_estimate_rates(&estimate, at_ms, received);
    }
    rates = status_estimate_rates(&estimate, at_ms + SECOND_MS, received + 10);
    assert_near(rates.over_1min_per_s, 10, 1e-9);
}

/* A status that is written late, after 3.7 s of a tick, tells the rate of the minute. */
static void rates_are_exact_between_samples(void **state)
{
    struct status_rates rates = {0};
    int64_t at_ms = START_MS;

    (void)state;
    for (uint64_t i = 0; i < 500; i++) {
        rates = status_estimate_rates(&estimate, at_ms, i < 100 ? 0 : 37 * (i - 100));
        at_ms += 3700;
    }
    assert_near(rates.over_1min_per_s, 10, 1e-9);
    assert_near(rates.over_15min_per_s, 10, 1e-9);
}

/* The readings pass a day in an hour: the lag shrinks by 23 of 24. */
static void the_time_left_follows_from_the_lag(void **state)
{
    int64_t at_ms = START_MS;
    int64_t lag_ms = 2 * DAY_MS;
    struct status_catch_up catch_up;

    (void)state;
    status_estimate_catch_up_begin(&estimate, at_ms, lag_ms);
    catch_up = status_estimate_catch_up(&estimate, at_ms + SECOND_MS, lag_ms - 23 * SECOND_MS);
    assert_int_equal(catch_up.left_ms, -1); /* too early to say */
    for (int i = 0; i < 3600; i++) {
        at_ms += SECOND_MS;
        lag_ms -= 23 * SECOND_MS;
        catch_up = status_estimate_catch_up(&estimate, at_ms, lag_ms);
    }
    assert_near(catch_up.done, 23.0 / 48, 0.001);
    assert_int_equal(catch_up.from_lag_ms, 2 * DAY_MS);
    assert_int_equal(catch_up.left_ms, 25 * HOUR_MS / 23);
}

static void a_catch_up_that_stands_still_has_no_end(void **state)
{
    struct status_catch_up catch_up = {0};
    int64_t lag_ms = DAY_MS;

    (void)state;
    status_estimate_catch_up_begin(&estimate, START_MS, lag_ms);
    for (int64_t passed_ms = SECOND_MS; passed_ms < MINUTE_MS; passed_ms += SECOND_MS) {
        lag_ms += SECOND_MS; /* nothing comes, time goes by */
        catch_up = status_estimate_catch_up(&estimate, START_MS + passed_ms, lag_ms);
    }
    assert_int_equal(catch_up.left_ms, -1);
    assert_near(catch_up.done, 0, 0);
    assert_int_equal(catch_up.from_lag_ms,
                     lag_ms); /* the largest seen is what is to be caught up */
    /* Another one begins without the memory of this one. */
    status_estimate_catch_up_begin(&estimate, START_MS + HOUR_MS, HOUR_MS);
    catch_up = status_estimate_catch_up(&estimate, START_MS + HOUR_MS + 4 * SECOND_MS, HOUR_MS / 2);
    assert_near(catch_up.done, 0.5, 1e-9);
    assert_int_equal(catch_up.left_ms, 4 * SECOND_MS);
}

static struct status_growth grow(int64_t after_ms, int64_t used_bytes, bool catching_up)
{
    return status_estimate_growth(&estimate, START_MS + after_ms, catching_up, used_bytes,
                                  1064 * MIB, 64 * MIB);
}

static void the_days_left_follow_from_the_growth(void **state)
{
    struct status_growth growth;

    (void)state;
    assert_false(grow(0, 0, false).known); /* the size is not known yet */
    assert_false(grow(0, 10 * MIB, false).known);
    growth = grow(HOUR_MS - 1, 11 * MIB, false);
    assert_false(growth.known); /* an hour is the least */
    assert_near(growth.days_left, -1, 0);
    growth = grow(DAY_MS, 20 * MIB, false);
    assert_true(growth.known);
    assert_near(growth.bytes_per_day, 10.0 * (double)MIB, 1);
    assert_near(growth.days_left, 100, 0.001); /* 64 MiB are not to be touched */
}

static void no_growth_has_no_end(void **state)
{
    struct status_growth growth;

    (void)state;
    grow(0, 10 * MIB, false);
    growth = grow(DAY_MS, 9 * MIB, false);
    assert_true(growth.known);
    assert_near(growth.days_left, -1, 0);
}

static void what_is_left_is_never_negative(void **state)
{
    struct status_growth growth;

    (void)state;
    grow(0, 10 * MIB, false);
    growth = status_estimate_growth(&estimate, START_MS + DAY_MS, false, 20 * MIB, MIB, 64 * MIB);
    assert_near(growth.days_left, 0, 0);
}

/* A backlog of a gigabyte is not what a day brings. */
static void a_catch_up_is_no_growth(void **state)
{
    struct status_growth growth;

    (void)state;
    grow(0, 10 * MIB, false);
    grow(MINUTE_MS, 10 * MIB, true);
    grow(2 * MINUTE_MS, 500 * MIB, true);
    grow(3 * MINUTE_MS, 1034 * MIB, true);
    growth = grow(DAY_MS, 1044 * MIB, false);
    assert_near(growth.bytes_per_day, 10.0 * (double)MIB, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_series_keeps_its_period),
        cmocka_unit_test(a_series_forgets_the_oldest),
        cmocka_unit_test_setup(rates_are_over_true_windows, make),
        cmocka_unit_test_setup(rates_are_exact_between_samples, make),
        cmocka_unit_test_setup(the_time_left_follows_from_the_lag, make),
        cmocka_unit_test_setup(a_catch_up_that_stands_still_has_no_end, make),
        cmocka_unit_test_setup(the_days_left_follow_from_the_growth, make),
        cmocka_unit_test_setup(no_growth_has_no_end, make),
        cmocka_unit_test_setup(what_is_left_is_never_negative, make),
        cmocka_unit_test_setup(a_catch_up_is_no_growth, make),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
