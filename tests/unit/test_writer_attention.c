/* Goal: the devices that need attention are counted often enough, never for long at a time, and not
 * while the clock is not believed. */
#include "store_fixture.h"

#include "base/wall.h"
#include "clock_fixture.h"
#include "pipeline/writer_attention_internal.h"

static int set_up(void **state)
{
    clock_reset();
    return fixture_make_open(state);
}

static int tear_down(void **state)
{
    clocks.each_look_ms = 0;
    return fixture_remove(state);
}

static void add_devices(struct fixture *fixture, int count)
{
    char sql[200];

    snprintf(sql, sizeof(sql),
             "INSERT INTO devices (family, device_id, first_seen_ms) WITH RECURSIVE n (i) AS"
             " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT 'f', i, 1 FROM n",
             count);
    look(fixture, sql);
}

/* Does all chunks of a pass; returns their number. */
static int do_pass(struct writer_attention *attention, struct fixture *fixture, uint64_t received)
{
    int chunks = 0;

    do {
        assert_int_equal(writer_attention_chunk(attention, fixture->store, received), STORE_OK);
        chunks++;
    } while (attention->active);
    return chunks;
}

static void test_when_a_pass_is_due(void **state)
{
    struct writer_attention attention;

    add_devices(*state, 50);
    writer_attention_init(&attention);
    assert_true(writer_attention_due(&attention, false, 0)); /* at the start */
    do_pass(&attention, *state, 0);
    assert_true(attention.known);
    assert_int_equal(attention.last.devices, 50);
    assert_false(writer_attention_due(&attention, true, 1000));
    clock_pass(10 * CLOCK_SECOND_MS);
    assert_false(writer_attention_due(&attention, true, 0));
    assert_false(writer_attention_due(&attention, true, 4));
    assert_true(writer_attention_due(&attention, true, 5)); /* a tenth as many as devices */
    assert_false(writer_attention_due(&attention, false, 50));
    writer_attention_want(&attention);
    assert_true(writer_attention_due(&attention, true, 0)); /* another program's change */
    assert_false(writer_attention_due(&attention, false, 0));
    clock_pass(290 * CLOCK_SECOND_MS - 1);
    assert_false(writer_attention_due(&attention, false, 1000));
    clock_pass(1);
    assert_true(writer_attention_due(&attention, false, 0)); /* however many messages come */
    do_pass(&attention, *state, 50);
    clock_pass(10 * CLOCK_SECOND_MS);
    assert_false(writer_attention_due(&attention, true, 54));
    assert_true(writer_attention_due(&attention, true, 55));
}

/* In a database without devices the first message makes a difference, and nothing else does. */
static void test_an_empty_database(void **state)
{
    struct writer_attention attention;

    writer_attention_init(&attention);
    assert_int_equal(do_pass(&attention, *state, 0), 1);
    assert_int_equal(attention.last.devices, 0);
    clock_pass(10 * CLOCK_SECOND_MS);
    assert_false(writer_attention_due(&attention, true, 0));
    assert_true(writer_attention_due(&attention, true, 1));
}

/* A chunk ends when its time is over, and rests nine times as long. */
static void test_chunks_rest(void **state)
{
    struct fixture *fixture = *state;
    struct writer_attention attention;
    int64_t begun_ms = clocks.monotonic_ms;
    int64_t took_ms;

    add_devices(fixture, 50);
    writer_attention_init(&attention);
    clocks.each_look_ms = 2;
    assert_int_equal(writer_attention_chunk(&attention, fixture->store, 0), STORE_OK);
    clocks.each_look_ms = 0;
    took_ms = clocks.monotonic_ms - begun_ms;
    assert_true(attention.active && !attention.known);
    assert_true(took_ms <= 20);
    assert_true(attention.pass.devices >= 1 && attention.pass.devices <= 3);
    assert_false(writer_attention_due(&attention, true, 0));
    assert_int_equal(writer_attention_wait_ms(&attention, 1), 1);
    assert_true(writer_attention_wait_ms(&attention, 1000) >= 8 * took_ms / 2);
    clock_pass(9 * took_ms);
    assert_true(writer_attention_due(&attention, false, 0)); /* an active pass goes on */
    assert_int_equal(writer_attention_wait_ms(&attention, 1000), 0);
    clocks.each_look_ms = 2;
    assert_true(do_pass(&attention, fixture, 0) > 10);
    clocks.each_look_ms = 0;
    assert_int_equal(attention.last.devices, 50);
    assert_int_equal(writer_attention_wait_ms(&attention, 1000), 1000);
}

/* By a clock that is behind nobody is silent. */
static void test_a_clock_that_is_behind(void **state)
{
    struct writer_attention attention;

    (void)state;
    writer_attention_init(&attention);
    wall_begin(clocks.wall_ms + CLOCK_DAY_MS);
    assert_true(wall_is_behind(NULL));
    assert_false(writer_attention_due(&attention, true, 1000));
    wall_begin(0);
    assert_true(writer_attention_due(&attention, true, 0));
}

static int stop_it(void *context)
{
    (void)context;
    return 1;
}

/* A pass that fails is tried again when the next one is due; the last counts stay. */
static void test_a_pass_that_fails(void **state)
{
    struct fixture *fixture = *state;
    struct writer_attention attention;

    add_devices(fixture, 2);
    writer_attention_init(&attention);
    do_pass(&attention, fixture, 0);
    clock_pass(5 * CLOCK_MINUTE_MS);
    sqlite3_progress_handler(fixture->store->db, 1, stop_it, NULL);
    assert_int_not_equal(writer_attention_chunk(&attention, fixture->store, 0), STORE_OK);
    sqlite3_progress_handler(fixture->store->db, 0, NULL, NULL);
    assert_false(attention.active);
    assert_int_equal(attention.last.devices, 2);
    assert_false(writer_attention_due(&attention, true, 1));
    clock_pass(5 * CLOCK_MINUTE_MS);
    assert_true(writer_attention_due(&attention, true, 0));
    do_pass(&attention, fixture, 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_when_a_pass_is_due),     test(test_an_empty_database), test(test_chunks_rest),
        test(test_a_clock_that_is_behind), test(test_a_pass_that_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
