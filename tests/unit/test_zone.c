/* Goal: the days of a time zone are those of its clocks, and each is one piece of time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/zone.h"

#define DAY_MS INT64_C(86400000)

static int64_t day_of(const struct zone *zone, int64_t time_ms)
{
    for (int i = 0; i < zone->count; i++) {
        if (time_ms < zone->offsets[i].until_ms)
            return (time_ms + zone->offsets[i].offset_ms) / DAY_MS;
    }
    fail_msg("no offset for %lld", (long long)time_ms);
    return 0;
}

static void assert_days_are_those_of_the_clock(const char *name, int differ_most)
{
    struct zone zone;
    int64_t before = 0;
    int differ = 0;

    assert_int_equal(zone_read(name, &zone), 0);
    assert_string_equal(zone.name, name);
    assert_true(zone.offsets[0].from_ms == INT64_MIN);
    assert_true(zone.offsets[zone.count - 1].until_ms == INT64_MAX);
    setenv("TZ", name, 1);
    tzset();
    for (time_t time = 1262304000; time < 1893456000; time += 900) {
        struct tm local;
        char text[16];
        char expected[16];
        int64_t day = day_of(&zone, time * INT64_C(1000));
        time_t utc = (time_t)(day * 86400);

        assert_non_null(localtime_r(&time, &local));
        strftime(expected, sizeof(expected), "%F", &local);
        assert_non_null(gmtime_r(&utc, &local));
        strftime(text, sizeof(text), "%F", &local);
        differ += strcmp(text, expected) != 0;
        assert_true(day >= before);
        before = day;
    }
    unsetenv("TZ");
    tzset();
    assert_in_range(differ, 0, differ_most);
    zone_clear(&zone);
}

static void test_days_of_zones(void **state)
{
    (void)state;
    assert_days_are_those_of_the_clock("UTC", 0);
    assert_days_are_those_of_the_clock("Europe/Zurich", 0);
    assert_days_are_those_of_the_clock("America/New_York", 0);
    assert_days_are_those_of_the_clock("Asia/Kathmandu", 0);
    assert_days_are_those_of_the_clock("Australia/Lord_Howe", 0);
    assert_days_are_those_of_the_clock("Pacific/Apia", 0);
    /* Put back from 00:00 to 23:00 once a year: the second evening hour is of the new day. */
    assert_days_are_those_of_the_clock("America/Asuncion", 4 * 20);
}

static void test_the_zone_of_the_process_stays(void **state)
{
    struct zone zone;
    time_t time = 1700000000;
    struct tm local;

    (void)state;
    setenv("TZ", "Asia/Tokyo", 1);
    tzset();
    assert_int_equal(zone_read("Europe/Zurich", &zone), 0);
    assert_string_equal(getenv("TZ"), "Asia/Tokyo");
    assert_non_null(localtime_r(&time, &local));
    assert_int_equal(local.tm_gmtoff, 9 * 3600);
    unsetenv("TZ");
    tzset();
    zone_clear(&zone);
}

static void test_an_unknown_zone_is_told(void **state)
{
    (void)state;
    assert_null(zone_problem("UTC"));
    assert_null(zone_problem("Europe/Zurich"));
    assert_non_null(zone_problem("Europe/Zurick"));
    assert_non_null(zone_problem(""));
    assert_non_null(zone_problem("/etc/localtime"));
    assert_non_null(zone_problem("../zoneinfo/UTC"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_days_of_zones),
        cmocka_unit_test(test_the_zone_of_the_process_stays),
        cmocka_unit_test(test_an_unknown_zone_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
