/* The largest number of the last minute or so. Time is whatever the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/recent.h"

#define DAY_MS  INT64_C(86400000)
#define NOW_MS  INT64_C(1767225600000)
#define TICK_MS 1000

static void one_old_number_changes_nothing(void **state)
{
    struct recent recent = {0};

    (void)state;
    for (int64_t at_ms = 0; at_ms < 10 * RECENT_WINDOW_MS; at_ms += TICK_MS) {
        int64_t largest = recent_maximum(&recent, at_ms, NOW_MS + at_ms);

        assert_int_equal(largest, NOW_MS + at_ms);
        /* At every place of a window, its first included. */
        assert_int_equal(recent_maximum(&recent, at_ms, NOW_MS - DAY_MS), NOW_MS + at_ms);
    }
    /* The first number after a silence may be the old one. */
    assert_true(recent_maximum(&recent, 20 * RECENT_WINDOW_MS, NOW_MS - DAY_MS) >= NOW_MS);
}

static void old_numbers_that_go_on_are_believed(void **state)
{
    struct recent recent = {0};
    int64_t largest = 0;

    (void)state;
    recent_maximum(&recent, 0, NOW_MS);
    for (int64_t at_ms = TICK_MS; at_ms <= 2 * RECENT_WINDOW_MS; at_ms += TICK_MS) {
        largest = recent_maximum(&recent, at_ms, NOW_MS - DAY_MS);
    }
    assert_int_equal(largest, NOW_MS - DAY_MS);
}

static void the_first_number_is_the_largest(void **state)
{
    struct recent recent = {0};

    (void)state;
    assert_int_equal(recent_maximum(&recent, 5, 7), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_old_number_changes_nothing),
        cmocka_unit_test(old_numbers_that_go_on_are_believed),
        cmocka_unit_test(the_first_number_is_the_largest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
