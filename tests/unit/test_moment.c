/* Goal: a moment is written in UTC in each of the formats, whatever the time zone is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/moment.h"

#define NOON_MS INT64_C(1769860800123) /* 2026-01-31 12:00:00.123 */

static void test_formats(void **state)
{
    char text[MOMENT_SIZE];

    (void)state;
    assert_string_equal(moment_text(NOON_MS, text), "2026-01-31 12:00:00 UTC");
    assert_string_equal(moment_iso(NOON_MS, text), "2026-01-31T12:00:00Z");
    assert_string_equal(moment_iso_ms(NOON_MS, text), "2026-01-31T12:00:00.123Z");
    assert_string_equal(moment_iso_ms(NOON_MS - 116, text), "2026-01-31T12:00:00.007Z");
    assert_string_equal(moment_date(NOON_MS, text), "2026-01-31");
    assert_string_equal(moment_stamp(NOON_MS, text), "20260131T120000Z");
}

/* Only a sentence takes 0 for "not known": a file or a log may well be of 1970. */
static void test_epoch(void **state)
{
    char text[MOMENT_SIZE];

    (void)state;
    assert_string_equal(moment_text(0, text), "an unknown time");
    assert_string_equal(moment_text(1000, text), "1970-01-01 00:00:01 UTC");
    assert_string_equal(moment_iso(0, text), "1970-01-01T00:00:00Z");
    assert_string_equal(moment_iso_ms(0, text), "1970-01-01T00:00:00.000Z");
    assert_string_equal(moment_date(0, text), "1970-01-01");
    assert_string_equal(moment_stamp(0, text), "19700101T000000Z");
}

static void test_years_that_cannot_be_written(void **state)
{
    static const int64_t moments[] = {INT64_MIN, INT64_MAX};
    char text[MOMENT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        moment_text(moments[i], text);
        assert_true(strlen(text) < MOMENT_SIZE);
        assert_true(strlen(moment_iso(moments[i], text)) < MOMENT_SIZE);
        assert_true(strlen(moment_iso_ms(moments[i], text)) < MOMENT_SIZE);
        assert_true(strlen(moment_date(moments[i], text)) < MOMENT_SIZE);
        assert_true(strlen(moment_stamp(moments[i], text)) < MOMENT_SIZE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_epoch),
        cmocka_unit_test(test_years_that_cannot_be_written),
    };

    setenv("TZ", "Asia/Kolkata", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
