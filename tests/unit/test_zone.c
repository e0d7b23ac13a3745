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
#include <unistd.h>

#include "base/zone.h"

#define DAY_MS INT64_C(86400000)

#define HOUR_MS INT64_C(3600000)

static int64_t day_of(const struct zone *zone, int64_t time_ms)
{
    return zone_day_of(zone->offsets, zone->count, time_ms);
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
        if (day != before) {
            int64_t begin_ms = zone_day_begin(zone.offsets, zone.count, day);

            assert_true(begin_ms <= time * INT64_C(1000));
            assert_int_equal(day_of(&zone, begin_ms), day);
            assert_true(day_of(&zone, begin_ms - 1) < day);
        }
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

static void put_file(const char *path, const char *content)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Tables of the tz database lie beside its zones: the C library would take UTC for them. */
static void test_another_file_is_no_zone(void **state)
{
    char directory[] = "/tmp/foxtrackrd-zones-XXXXXX";
    char path[64];

    (void)state;
    assert_non_null(mkdtemp(directory));
    setenv("TZDIR", directory, 1);
    snprintf(path, sizeof(path), "%s/tzdata.zi", directory);
    put_file(path, "# version 2026a\n");
    assert_non_null(zone_problem("tzdata.zi"));
    put_file(path, "TZ");
    assert_non_null(zone_problem("tzdata.zi"));
    put_file(path, "TZif2");
    assert_null(zone_problem("tzdata.zi"));
    unlink(path);
    assert_non_null(zone_problem("tzdata.zi"));
    unsetenv("TZDIR");
    rmdir(directory);
}

static void assert_same(const struct zone *a, const struct zone *b)
{
    assert_int_equal(a->count, b->count);
    for (int i = 0; i < a->count; i++) {
        assert_true(a->offsets[i].from_ms == b->offsets[i].from_ms);
        assert_true(a->offsets[i].until_ms == b->offsets[i].until_ms);
        assert_true(a->offsets[i].offset_ms == b->offsets[i].offset_ms);
    }
}

/* Joins two zones at the begin of the first one's day of a time. */
static void assert_joined(const struct zone *before, const struct zone *after, int64_t time_ms)
{
    struct zone joined;
    struct zone again;
    int64_t day = day_of(before, time_ms);
    int64_t from_ms = zone_day_begin(before->offsets, before->count, day);
    int64_t last = day_of(before, from_ms - 2 * DAY_MS);

    assert_int_equal(zone_join(before->offsets, before->count, from_ms, after, &joined), 0);
    assert_string_equal(joined.name, after->name);
    for (int64_t at_ms = from_ms - 2 * DAY_MS; at_ms < from_ms + 4 * DAY_MS; at_ms += 900000) {
        int64_t found = day_of(&joined, at_ms);

        assert_true(found >= last);
        if (at_ms < from_ms)
            assert_int_equal(found, day_of(before, at_ms));
        else
            assert_int_equal(found, day_of(after, at_ms) > day ? day_of(after, at_ms) : day);
        if (found != last) {
            assert_true(zone_day_begin(joined.offsets, joined.count, found) <= at_ms);
            assert_true(zone_day_begin(joined.offsets, joined.count, found) > at_ms - 900000);
        }
        last = found;
    }
    assert_int_equal(zone_day_begin(joined.offsets, joined.count, day), from_ms);
    for (int days = 0; days < 400; days += 7) {
        int64_t later_ms = zone_day_begin(joined.offsets, joined.count, day + days);

        assert_int_equal(zone_join(joined.offsets, joined.count, later_ms, after, &again), 0);
        assert_same(&joined, &again);
        zone_clear(&again);
    }
    zone_clear(&joined);
}

static void test_days_until_a_time_are_kept(void **state)
{
    static const char *const names[] = {"UTC",          "Europe/Zurich",    "America/New_York",
                                        "Pacific/Apia", "America/Asuncion", "Pacific/Kiritimati"};
    enum { COUNT = sizeof(names) / sizeof(names[0]) };
    struct zone zones[COUNT];
    struct zone joined;

    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(zone_read(names[i], &zones[i]), 0);
    for (size_t i = 0; i < COUNT * COUNT; i++) {
        const struct zone *before = &zones[i / COUNT];
        const struct zone *after = &zones[i % COUNT];

        assert_joined(before, after, INT64_C(1301200000000));
        assert_joined(before, after, INT64_C(1325160000000)); /* Apia has no 2011-12-30 */
        for (int n = 1; n < before->count && n < 20; n++)     /* days on which clocks are set */
            assert_joined(before, after, before->offsets[n].from_ms);
        for (int n = 1; n < after->count && n < 20; n++)
            assert_joined(before, after, after->offsets[n].from_ms);
        assert_int_equal(zone_join(before->offsets, before->count, INT64_MIN, after, &joined), 0);
        assert_same(after, &joined);
        zone_clear(&joined);
    }
    for (size_t i = 0; i < COUNT; i++)
        zone_clear(&zones[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_days_of_zones),
        cmocka_unit_test(test_the_zone_of_the_process_stays),
        cmocka_unit_test(test_an_unknown_zone_is_told),
        cmocka_unit_test(test_another_file_is_no_zone),
        cmocka_unit_test(test_days_until_a_time_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
