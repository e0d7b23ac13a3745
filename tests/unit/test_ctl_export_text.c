/* Goal: the texts of an export are written by hand as the C library would write them. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "ctl/export_text_internal.h"

#define DAY_MS INT64_C(86400000)

static struct export_date date = {.day = INT64_MIN};

static const char *moment(int64_t time_ms)
{
    static char text[64];

    *export_put_moment(text, &date, time_ms) = '\0';
    return text;
}

static void check_moment(int64_t time_ms)
{
    time_t seconds = (time_t)((time_ms - (time_ms % 1000 + 1000) % 1000) / 1000);
    char expected[64];
    char rest[16];
    struct tm utc;

    assert_non_null(gmtime_r(&seconds, &utc));
    assert_true(strftime(rest, sizeof(rest), "%m-%dT%H:%M:%S", &utc) > 0);
    snprintf(expected, sizeof(expected), "%04d-%s.%03dZ", utc.tm_year + 1900, rest,
             (int)((time_ms % 1000 + 1000) % 1000));
    assert_string_equal(moment(time_ms), expected);
}

static void test_moments(void **state)
{
    static const int64_t none[] = {INT64_MIN, INT64_MIN + 1, INT64_MAX, INT64_C(253402300800000),
                                   INT64_C(-62167219200001)};

    (void)state;
    assert_string_equal(moment(0), "1970-01-01T00:00:00.000Z");
    assert_string_equal(moment(-1), "1969-12-31T23:59:59.999Z");
    assert_string_equal(moment(INT64_C(253402300799999)), "9999-12-31T23:59:59.999Z");
    assert_string_equal(moment(INT64_C(-62167219200000)), "0000-01-01T00:00:00.000Z");
    for (int64_t day = -719528; day <= 2932896; day += 97)
        check_moment(day * DAY_MS + (day * 7919 % 86400000 + 86400000) % 86400000);
    for (int64_t day = 10957; day < 10957 + 1500;
         day++) /* every day from 2000 on, for four years */
        check_moment(day * DAY_MS + 1);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_string_equal(moment(none[i]), "");
}

static void test_integers(void **state)
{
    static const int64_t numbers[] = {0, 1, -1, 9, 10, -10, 123456789, INT64_MAX, INT64_MIN};
    char text[32];
    char expected[32];

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        *export_put_integer(text, numbers[i]) = '\0';
        snprintf(expected, sizeof(expected), "%" PRId64, numbers[i]);
        assert_string_equal(text, expected);
    }
}

static void test_texts(void **state)
{
    static const struct {
        const char *text;
        const char *csv;
        const char *json;
    } cases[] = {
        {"", "\"\"", "\"\""},
        {"a b", "a b", "\"a b\""},
        {"a,b", "\"a,b\"", "\"a,b\""},
        {"\"", "\"\"\"\"", "\"\\\"\""},
        {"a\nb", "\"a\nb\"", "\"a\\nb\""},
        {"a\r", "\"a\r\"", "\"a\\u000D\""},
        {"\\\x1f\x7f", "\\\x1f\x7f", "\"\\\\\\u001F\x7f\""},
    };
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        *export_put_csv_text(text, cases[i].text, strlen(cases[i].text)) = '\0';
        assert_string_equal(text, cases[i].csv);
        *export_put_json_text(text, cases[i].text, strlen(cases[i].text)) = '\0';
        assert_string_equal(text, cases[i].json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
