/* Goal: --since and --until are read strictly, in UTC, and whatever is none of the forms is refused
 * with a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "ctl/moment_internal.h"

#define NOW_MS INT64_C(1795219200000) /* 2026-11-21 00:00:00 */
#define DAY_MS INT64_C(86400000)

static char problem[CTL_MOMENT_PROBLEM_SIZE];

static int64_t parsed(const char *text)
{
    int64_t time_ms = -1;

    if (ctl_moment_parse(text, NOW_MS, &time_ms, problem) != 0)
        fail_msg("%s", problem);
    return time_ms;
}

static void a_time_before_now(void **state)
{
    (void)state;
    assert_int_equal(parsed("now"), NOW_MS);
    assert_int_equal(parsed("0s"), NOW_MS);
    assert_int_equal(parsed("30s"), NOW_MS - 30000);
    assert_int_equal(parsed("45min"), NOW_MS - 45 * 60000);
    assert_int_equal(parsed("12h"), NOW_MS - DAY_MS / 2);
    assert_int_equal(parsed("30d"), NOW_MS - 30 * DAY_MS);
    assert_int_equal(parsed("4w"), NOW_MS - 28 * DAY_MS);
    assert_int_equal(parsed("999999999w"), NOW_MS - INT64_C(999999999) * 7 * DAY_MS);
}

static void a_date_and_a_time(void **state)
{
    const int64_t noon_ms = NOW_MS - 20 * DAY_MS + DAY_MS / 2; /* of 2026-11-01 */

    (void)state;
    assert_int_equal(parsed("2026-11-21"), NOW_MS);
    assert_int_equal(parsed("2026-11-01"), NOW_MS - 20 * DAY_MS);
    assert_int_equal(parsed("2024-02-29"), INT64_C(1709164800000));
    assert_int_equal(parsed("1970-01-01"), 0);
    assert_int_equal(parsed("2026-11-01T12:00"), noon_ms);
    assert_int_equal(parsed("2026-11-01 12:00"), noon_ms);
    assert_int_equal(parsed("2026-11-01T12:00:00"), noon_ms);
    assert_int_equal(parsed("2026-11-01T12:00:00Z"), noon_ms);
    assert_int_equal(parsed("2026-11-01T12:00:05.5Z"), noon_ms + 5500);
    assert_int_equal(parsed("2026-11-01T12:00:05.007Z"), noon_ms + 5007);
    assert_int_equal(parsed("2026-11-01T13:30+01:30"), noon_ms);
    assert_int_equal(parsed("2026-11-01T07:00:00-05:00"), noon_ms);
}

/* The machine's time zone is not asked. */
static void another_time_zone(void **state)
{
    (void)state;
    assert_int_equal(setenv("TZ", "America/New_York", 1), 0);
    tzset();
    assert_int_equal(parsed("2026-11-01T12:00:00"), NOW_MS - 20 * DAY_MS + DAY_MS / 2);
    assert_int_equal(unsetenv("TZ"), 0);
    tzset();
}

static void no_moment(void **state)
{
    static const char *const texts[] = {
        "",
        "d",
        "30",
        "30 d",
        "-30d",
        "+30d",
        "30d ",
        " 30d",
        "30D",
        "30m",
        "1.5h",
        "1h30min",
        "1000000000d",
        "99999999999999999999d",
        "yesterday",
        "Now",
        "2026",
        "2026-11",
        "2026-1-1",
        "2026-00-01",
        "2026-13-01",
        "2026-11-00",
        "2026-11-31",
        "2025-02-29",
        "2026-11-01T",
        "2026-11-01T12",
        "2026-11-01T24:00",
        "2026-11-01T12:60",
        "2026-11-01T12:00:60",
        "2026-11-01T12:00:00.",
        "2026-11-01T12:00:00.1234",
        "2026-11-01T12:00:00z",
        "2026-11-01T12:00:00+1",
        "2026-11-01T12:00:00+15:00",
        "2026-11-01T12:00:00+01:00Z",
        "2026-11-01T12:00:00Z ",
        "2026-11-01Z",
        "2026-11-01Q12:00",
        "26-11-01",
        "1795219200000",
    };
    int64_t time_ms = 77;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (ctl_moment_parse(texts[i], NOW_MS, &time_ms, problem) == 0)
            fail_msg("%s was taken", texts[i]);
        assert_int_equal(time_ms, 77);
        assert_non_null(strstr(problem, "is no moment; write"));
    }
}

static void a_long_text_is_cut(void **state)
{
    char text[1000];
    int64_t time_ms = 0;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(ctl_moment_parse(text, NOW_MS, &time_ms, problem), -1);
    assert_true(strlen(problem) < 220);
}

static void a_range(void **state)
{
    struct ctl_words words = {0};
    struct ctl_range range = {0};

    (void)state;
    assert_int_equal(ctl_range_parse(&words, NOW_MS, &range, problem), 0);
    assert_true(range.since_ms == INT64_MIN && range.until_ms == INT64_MAX);
    words.since = "7d";
    assert_int_equal(ctl_range_parse(&words, NOW_MS, &range, problem), 0);
    assert_true(range.since_ms == NOW_MS - 7 * DAY_MS && range.until_ms == INT64_MAX);
    words.until = "1d";
    assert_int_equal(ctl_range_parse(&words, NOW_MS, &range, problem), 0);
    assert_true(range.until_ms == NOW_MS - DAY_MS);
    words.since = NULL;
    assert_int_equal(ctl_range_parse(&words, NOW_MS, &range, problem), 0);
    assert_true(range.since_ms == INT64_MIN && range.until_ms == NOW_MS - DAY_MS);
}

static void a_range_that_is_none(void **state)
{
    static const struct {
        const char *since;
        const char *until;
        const char *says;
    } cases[] = {
        {"1d", "7d", "--since 1d is not before --until 7d"},
        {"1d", "1d", "--since 1d is not before --until 1d"},
        {"soon", NULL, "--since: soon is no moment"},
        {"1d", "late", "--until: late is no moment"},
    };
    struct ctl_range range = {1, 2};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct ctl_words words = {.since = cases[i].since, .until = cases[i].until};

        assert_int_equal(ctl_range_parse(&words, NOW_MS, &range, problem), -1);
        assert_non_null(strstr(problem, cases[i].says));
        assert_true(range.since_ms == 1 && range.until_ms == 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_before_now),    cmocka_unit_test(a_date_and_a_time),
        cmocka_unit_test(another_time_zone),    cmocka_unit_test(no_moment),
        cmocka_unit_test(a_long_text_is_cut),   cmocka_unit_test(a_range),
        cmocka_unit_test(a_range_that_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
