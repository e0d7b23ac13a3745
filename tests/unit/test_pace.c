/* When a batch waits for one more message, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pace.h"

#define COMMIT_US 400

static void it_waits_for_what_went_round_last_time(void **state)
{
    struct pace pace = {0};

    (void)state;
    assert_int_equal(pace_wait_us(&pace, 1), 0); /* nothing is known yet */
    pace_note(&pace, 3, 17, 20, COMMIT_US);
    assert_int_equal(pace_wait_us(&pace, 17), COMMIT_US / 4);
    assert_int_equal(pace_wait_us(&pace, 19), COMMIT_US / 4);
    assert_int_equal(pace_wait_us(&pace, 20), 0);
    pace_note(&pace, 20, 0, 20, COMMIT_US);
    assert_int_equal(pace_wait_us(&pace, 19), COMMIT_US / 4);
}

/* One message now and then is never delayed; a burst that ends costs the next one wait. */
static void a_wait_in_vain_is_not_repeated(void **state)
{
    struct pace pace = {0};

    (void)state;
    pace_note(&pace, 20, 0, 20, COMMIT_US);
    assert_true(pace_wait_us(&pace, 1) > 0);
    pace_note(&pace, 1, 0, 20, COMMIT_US);
    assert_int_equal(pace_wait_us(&pace, 1), 0);
}

static void a_large_window_is_not_waited_for(void **state)
{
    struct pace pace = {0};

    (void)state;
    assert_true(pace_lockstep(&pace));
    pace_note(&pace, PACE_LOCKSTEP_MAX, 0, 20, COMMIT_US);
    assert_true(pace_lockstep(&pace));
    pace_note(&pace, PACE_LOCKSTEP_MAX, 1, 20, COMMIT_US);
    assert_false(pace_lockstep(&pace));
    assert_int_equal(pace_wait_us(&pace, 1), 0);

    /* Few at a time, but of many: it is the broker that is slow. */
    pace_note(&pace, 20, 0, PACE_LOCKSTEP_MAX + 1, COMMIT_US);
    assert_false(pace_lockstep(&pace));
}

static void on_a_slow_disk_the_wait_is_bounded(void **state)
{
    struct pace pace = {0};

    (void)state;
    pace_note(&pace, 20, 0, 20, 30 * INT64_C(1000000));
    assert_int_equal(pace_wait_us(&pace, 1), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_waits_for_what_went_round_last_time),
        cmocka_unit_test(a_wait_in_vain_is_not_repeated),
        cmocka_unit_test(a_large_window_is_not_waited_for),
        cmocka_unit_test(on_a_slow_disk_the_wait_is_bounded),
    };

    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
