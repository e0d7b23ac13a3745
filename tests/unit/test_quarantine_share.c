/* Which part of the latest messages went to quarantine. Time is whatever the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "status/quarantine_share_internal.h"

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)

static struct quarantine_share share;
static struct quarantine_share_counts counts;
static int64_t now_ms;

static int begin(void **state)
{
    (void)state;
    memset(&share, 0, sizeof(share));
    memset(&counts, 0, sizeof(counts));
    now_ms = 123456789;
    quarantine_share_look(&share, now_ms, &counts);
    return 0;
}

/* A span in which `good` messages were understood and `bad` were not, for a reason. */
static struct quarantine_share_now pass(int64_t span_ms, unsigned good, int reason, unsigned bad)
{
    now_ms += span_ms;
    counts.received += good + bad;
    counts.quarantined[reason] += bad;
    return quarantine_share_look(&share, now_ms, &counts);
}

static void a_few_say_nothing(void **state)
{
    struct quarantine_share_now now = pass(SECOND_MS, 0, FOXTRACKR_E_JSON, 19);

    (void)state;
    assert_false(now.known);
    assert_false(now.most);
    now = pass(SECOND_MS, 0, FOXTRACKR_E_JSON, 1);
    assert_true(now.known && now.most);
    assert_int_equal(now.messages, 20);
    assert_int_equal(now.quarantined, 20);
    assert_int_equal(now.reason, FOXTRACKR_E_JSON);
}

static void half_is_not_most(void **state)
{
    struct quarantine_share_now now = pass(SECOND_MS, 50, FOXTRACKR_E_VERSION, 50);

    (void)state;
    assert_true(now.known);
    assert_false(now.most);
    now = pass(SECOND_MS, 0, FOXTRACKR_E_JSON, 1);
    assert_true(now.most);
    assert_int_equal(now.reason, FOXTRACKR_E_VERSION);
}

static void cleared_messages_are_no_trouble(void **state)
{
    struct quarantine_share_now now = pass(SECOND_MS, 10, FOXTRACKR_E_EMPTY, 1000);

    (void)state;
    assert_false(now.most);
    assert_int_equal(now.quarantined, 0);
}

/* A busy flow: what was before the last 15 minutes does not count, neither way. */
static void a_busy_flow_is_judged_by_its_last_minutes(void **state)
{
    struct quarantine_share_now now = {0};

    (void)state;
    for (int i = 0; i < 4 * 3600; i++) {
        now = pass(SECOND_MS, 100, FOXTRACKR_E_JSON, 0);
    }
    for (int i = 0; i < 8 * 60; i++) {
        now = pass(SECOND_MS, 0, FOXTRACKR_E_JSON, 100);
    }
    assert_true(now.most);
    assert_in_range(now.messages, 100 * 15 * 60, 100 * 16 * 60);
    for (int i = 0; i < 9 * 60; i++) {
        now = pass(SECOND_MS, 100, FOXTRACKR_E_JSON, 0);
    }
    assert_false(now.most);
}

/* One message an hour: the last twenty, and the quiet does not mend anything. */
static void a_slow_flow_is_judged_by_its_last_messages(void **state)
{
    struct quarantine_share_now now = {0};

    (void)state;
    for (int i = 0; i < 500; i++) {
        now = pass(HOUR_MS, 1, FOXTRACKR_E_JSON, 0);
    }
    assert_false(now.most);
    for (int i = 0; i < 10; i++) {
        now = pass(HOUR_MS, 0, FOXTRACKR_E_ENVELOPE, 1);
    }
    assert_false(now.most);
    now = pass(HOUR_MS, 0, FOXTRACKR_E_ENVELOPE, 1);
    assert_true(now.most);
    assert_in_range(now.messages, 20, 21);
    for (int i = 0; i < 100; i++) {
        now = pass(HOUR_MS, 0, FOXTRACKR_E_ENVELOPE, 0);
    }
    assert_true(now.most);
    for (int i = 0; i < 11; i++) {
        now = pass(HOUR_MS, 1, FOXTRACKR_E_ENVELOPE, 0);
    }
    assert_false(now.most);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_few_say_nothing, begin),
        cmocka_unit_test_setup(half_is_not_most, begin),
        cmocka_unit_test_setup(cleared_messages_are_no_trouble, begin),
        cmocka_unit_test_setup(a_busy_flow_is_judged_by_its_last_minutes, begin),
        cmocka_unit_test_setup(a_slow_flow_is_judged_by_its_last_messages, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
