/* Goal: messages of quarantine whose time lay in the future are judged again when their time has
 * come, by a clock that is believed. */
#include "store_fixture.h"

#include <inttypes.h>

#include "base/wall.h"
#include "clock_fixture.h"
#include "foxtrackr.h"
#include "pipeline/writer_rejudge_internal.h"

#define MAX_FUTURE_MS CLOCK_HOUR_MS
#define SETTLE_MS     (10 * CLOCK_SECOND_MS)

static struct foxtrackr_fields *fields;

static struct writer_limits limits_of_test(void)
{
    return (struct writer_limits){.fields = fields, .max_future_ms = MAX_FUTURE_MS};
}

static int set_up(void **state)
{
    clock_reset();
    clocks.synchronised = true;
    return foxtrackr_fields_new(&fields) == 0 ? fixture_make_open(state) : -1;
}

static int tear_down(void **state)
{
    foxtrackr_fields_free(fields);
    fields = NULL;
    clocks.each_look_ms = 0;
    return fixture_remove(state);
}

/* Quarantines a message that arrives now and has the time claimed_ms. */
static void put_claim(struct fixture *fixture, int64_t claimed_ms)
{
    const struct foxtrackr_problem problem = {.reason = FOXTRACKR_E_TIME, .detail = "future"};
    struct store_packet whole;
    char body[200];

    snprintf(body, sizeof(body),
             "{\"messageType\":1,\"deviceId\":\"1\",\"version\":3,\"timeMs\":%" PRId64
             ",\"battery\":{\"voltage\":3}}",
             claimed_ms);
    whole = packet(body);
    whole.received_ms = clocks.wall_ms;
    begin(fixture);
    assert_int_equal(store_quarantine(fixture->store, &problem, &whole), STORE_OK);
    commit(fixture);
}

/* Does all chunks of a pass; returns their number. */
static int do_pass(struct writer_rejudge *rejudge, struct fixture *fixture, uint64_t quarantined)
{
    const struct writer_limits limits = limits_of_test();
    int parts = 0;

    do {
        assert_int_equal(writer_rejudge_chunk(rejudge, fixture->store, &limits, quarantined),
                         STORE_OK);
        parts++;
    } while (rejudge->active);
    return parts;
}

/* A pass is due at the start, and when a message becomes due; not more often than once a minute. */
static void test_when_a_pass_is_due(void **state)
{
    struct fixture *fixture = *state;
    struct writer_rejudge rejudge;

    writer_rejudge_init(&rejudge);
    assert_true(writer_rejudge_due(&rejudge, 0));
    assert_int_equal(do_pass(&rejudge, fixture, 0), 1);
    assert_false(writer_rejudge_due(&rejudge, 0));
    clock_pass(10 * CLOCK_DAY_MS);
    assert_false(writer_rejudge_due(&rejudge, 0)); /* there is none that would become due */

    put_claim(fixture, clocks.wall_ms + MAX_FUTURE_MS + 3 * CLOCK_MINUTE_MS);
    assert_true(writer_rejudge_due(&rejudge, 1)); /* a new one: when is it due? */
    do_pass(&rejudge, fixture, 1);
    assert_int_equal(rejudge.next_due_ms, clocks.wall_ms + 3 * CLOCK_MINUTE_MS);
    assert_false(writer_rejudge_due(&rejudge, 2)); /* another one, within the minute */
    clock_pass(CLOCK_MINUTE_MS - 1);
    assert_false(writer_rejudge_due(&rejudge, 2));
    clock_pass(1);
    assert_true(writer_rejudge_due(&rejudge, 2));
    assert_false(writer_rejudge_due(&rejudge, 1));
    clock_pass(2 * CLOCK_MINUTE_MS - 1);
    assert_false(writer_rejudge_due(&rejudge, 1));
    clock_pass(1);
    assert_true(writer_rejudge_due(&rejudge, 1)); /* its time has come */
    do_pass(&rejudge, fixture, 1);
    assert_look(fixture, "SELECT count(*) FROM quarantine", "0");
}

/* Messages whose time has come become rows, once; the others stay, and the first of them sets the
 * time of the next pass. */
static void test_what_a_pass_moves(void **state)
{
    struct fixture *fixture = *state;
    const int64_t first_ms = clocks.wall_ms + MAX_FUTURE_MS;
    struct writer_rejudge rejudge;
    struct store_summary summary;

    for (int i = 0; i < 5; i++) {
        put_claim(fixture, first_ms + (i + 1) * CLOCK_HOUR_MS);
    }
    assert_int_equal(store_summary(fixture->store, &summary), STORE_OK);
    writer_rejudge_init(&rejudge);
    do_pass(&rejudge, fixture, 5);
    assert_int_equal(rejudge.moved_all, 0);
    assert_int_equal(rejudge.next_due_ms, clocks.wall_ms + CLOCK_HOUR_MS);
    clock_pass(2 * CLOCK_HOUR_MS);
    assert_true(writer_rejudge_due(&rejudge, 5));
    do_pass(&rejudge, fixture, 5);
    assert_int_equal(rejudge.moved_all, 2);
    assert_int_equal(rejudge.next_due_ms, clocks.wall_ms + CLOCK_HOUR_MS);
    assert_look(fixture, "SELECT count(*) FROM battery", "2");
    assert_look(fixture, "SELECT count(*) FROM quarantine", "3");
    assert_int_equal(store_quarantine_entries(fixture->store), 3);
    clock_pass(3 * CLOCK_HOUR_MS);
    do_pass(&rejudge, fixture, 5);
    assert_int_equal(rejudge.moved_all, 5);
    assert_int_equal(rejudge.next_due_ms, INT64_MAX);
    assert_look(fixture, "SELECT count(*) FROM battery", "5");
    assert_look(fixture, "SELECT count(*) FROM quarantine", "0");
    assert_look(fixture, "SELECT received FROM runs", "5"); /* they were counted when they came */
}

/* Slewing the clock does not count as setting it; setting it makes a pass due, even during a pass.
 */
static void test_the_clock_is_set(void **state)
{
    struct fixture *fixture = *state;
    struct writer_rejudge rejudge;

    writer_rejudge_init(&rejudge);
    do_pass(&rejudge, fixture, 0);
    for (int i = 0; i < 20; i++) { /* 10 s in all */
        clocks.wall_ms += 500;
        assert_false(writer_rejudge_due(&rejudge, 0));
    }
    clocks.wall_ms += CLOCK_SECOND_MS;
    assert_false(writer_rejudge_due(&rejudge, 0)); /* it may be set back in a moment */
    clock_pass(SETTLE_MS);
    assert_true(writer_rejudge_due(&rejudge, 0));
    assert_false(rejudge.restamps); /* less than an hour */
    do_pass(&rejudge, fixture, 0);
    assert_false(writer_rejudge_due(&rejudge, 0));
    clocks.wall_ms -= CLOCK_DAY_MS;
    assert_false(writer_rejudge_due(&rejudge, 0));
    clock_pass(SETTLE_MS);
    assert_true(writer_rejudge_due(&rejudge, 0));
    assert_false(rejudge.restamps); /* backwards: nothing came too early */

    rejudge.active = true; /* a pass that has begun and rests */
    rejudge.rest_until = clocks.monotonic_ms + CLOCK_SECOND_MS;
    assert_false(writer_rejudge_due(&rejudge, 0));
    clocks.wall_ms += CLOCK_HOUR_MS - 1;
    assert_false(writer_rejudge_due(&rejudge, 0));
    assert_false(rejudge.active); /* it begins anew */
    clock_pass(SETTLE_MS);
    assert_true(writer_rejudge_due(&rejudge, 0));
    assert_false(rejudge.restamps);
}

/* If the clock is set forward by an hour or more, messages that arrived since it was last set count
 * as arrived now. */
static void test_the_clock_was_behind(void **state)
{
    struct fixture *fixture = *state;
    const int64_t start_ms = clocks.wall_ms;
    struct writer_rejudge rejudge;
    char now[24];

    put_claim(fixture, start_ms + 1000 * CLOCK_DAY_MS); /* of the run before: its time was right */
    clock_pass(CLOCK_MINUTE_MS);
    writer_rejudge_init(&rejudge);
    do_pass(&rejudge, fixture, 1);
    for (int i = 0; i < 250; i++) { /* more than one transaction corrects */
        clock_pass(1);
        put_claim(fixture, start_ms + (1001 + i) * CLOCK_DAY_MS);
    }
    clocks.wall_ms += 30 * CLOCK_DAY_MS;
    assert_false(writer_rejudge_due(&rejudge, 251));
    assert_true(rejudge.restamps);
    /* The clock is set again before the correction is done: it still begins at the first wrong
     * time.
     */
    clock_pass(CLOCK_MINUTE_MS);
    put_claim(fixture, start_ms + 2000 * CLOCK_DAY_MS);
    clocks.wall_ms += CLOCK_DAY_MS;
    assert_false(writer_rejudge_due(&rejudge, 252));
    clock_pass(SETTLE_MS);
    assert_true(writer_rejudge_due(&rejudge, 252));
    assert_int_equal(rejudge.from_ms, start_ms + CLOCK_MINUTE_MS);
    assert_true(do_pass(&rejudge, fixture, 252) > 3);
    assert_false(rejudge.restamps);
    snprintf(now, sizeof(now), "%" PRId64, clocks.wall_ms);
    assert_look(fixture, "SELECT min(last_received_ms) FROM quarantine", "1800000000000");
    assert_look(fixture, "SELECT max(last_received_ms) FROM quarantine", now);
    assert_look(fixture, "SELECT count(*) FROM quarantine WHERE last_received_ms = 1800000000000",
                "1");
    assert_look(fixture, "SELECT count(DISTINCT last_received_ms) FROM quarantine", "2");
    assert_look(fixture, "SELECT count(DISTINCT first_received_ms) FROM quarantine", "252");
}

/* A chunk is short and followed by a pause three times as long; after a long pass the next one
 * begins later. */
static void test_parts_rest(void **state)
{
    struct fixture *fixture = *state;
    const struct writer_limits limits = limits_of_test();
    struct writer_rejudge rejudge;
    int64_t begun_ms;
    int64_t took_ms;

    for (int i = 0; i < 250; i++) {
        put_claim(fixture, clocks.wall_ms + MAX_FUTURE_MS + 1 + i);
    }
    clock_pass(CLOCK_HOUR_MS);
    writer_rejudge_init(&rejudge);
    clocks.each_look_ms = 10;
    begun_ms = clocks.monotonic_ms;
    assert_int_equal(writer_rejudge_chunk(&rejudge, fixture->store, &limits, 250), STORE_OK);
    took_ms = clocks.monotonic_ms - begun_ms;
    clocks.each_look_ms = 0;
    assert_true(rejudge.active);
    assert_in_range(rejudge.rest_until, begun_ms + 2 * took_ms, begun_ms + 4 * took_ms);
    assert_look(fixture, "SELECT count(*) FROM battery", "100");
    assert_false(writer_rejudge_due(&rejudge, 250));
    clock_pass(rejudge.rest_until - clocks.monotonic_ms);
    assert_true(writer_rejudge_due(&rejudge, 250));
    clock_pass(2 * CLOCK_SECOND_MS);
    assert_int_equal(do_pass(&rejudge, fixture, 250), 2);
    assert_look(fixture, "SELECT count(*) FROM battery", "250");
    /* This pass took over two seconds: the next is not before a hundred times that. */
    assert_true(rejudge.pause_until >= clocks.monotonic_ms + 200 * CLOCK_SECOND_MS);
}

/* Retention waits for a pass that begins after it has asked. */
static void test_who_waits_for_a_pass(void **state)
{
    struct fixture *fixture = *state;
    struct writer_rejudge rejudge;
    int64_t asked_ms;

    writer_rejudge_init(&rejudge);
    do_pass(&rejudge, fixture, 0);
    assert_true(writer_rejudge_done_since(&rejudge, clocks.monotonic_ms));
    clock_pass(1);
    asked_ms = clocks.monotonic_ms;
    assert_false(writer_rejudge_done_since(&rejudge, asked_ms));
    assert_true(writer_rejudge_due(&rejudge, 0)); /* at once */
    do_pass(&rejudge, fixture, 0);
    assert_true(writer_rejudge_done_since(&rejudge, asked_ms));

    /* One that has begun before does not count. */
    clock_pass(CLOCK_MINUTE_MS);
    rejudge.active = true;
    rejudge.begun_ms = clocks.monotonic_ms - 1;
    assert_false(writer_rejudge_done_since(&rejudge, clocks.monotonic_ms));
    assert_false(rejudge.wanted);
    do_pass(&rejudge, fixture, 0);
    assert_false(writer_rejudge_done_since(&rejudge, clocks.monotonic_ms));
    assert_true(rejudge.wanted);
}

/* While another program locks the database nothing moves, and the next attempt is a minute later.
 */
static void test_a_pass_that_fails(void **state)
{
    struct fixture *fixture = *state;
    const struct writer_limits limits = limits_of_test();
    struct writer_rejudge rejudge;
    sqlite3 *other = NULL;

    put_claim(fixture, clocks.wall_ms + MAX_FUTURE_MS + 1);
    writer_rejudge_init(&rejudge);
    clock_pass(CLOCK_DAY_MS);
    assert_int_equal(sqlite3_open(fixture->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    clocks.each_look_ms = 1;
    assert_int_equal(writer_rejudge_chunk(&rejudge, fixture->store, &limits, 1), STORE_E_RETRY);
    clocks.each_look_ms = 0;
    store_rollback(fixture->store);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_false(rejudge.active);
    assert_int_equal(rejudge.moved_all, 0);
    assert_false(writer_rejudge_due(&rejudge, 1));
    clock_pass(CLOCK_MINUTE_MS);
    assert_true(writer_rejudge_due(&rejudge, 1));
    do_pass(&rejudge, fixture, 1);
    assert_look(fixture, "SELECT count(*) FROM battery", "1");
}

/* A clock that is ahead for a moment makes no rows, and moves no entry's time, synchronised or not.
 */
static void test_the_clock_jumps_and_comes_back(void **state)
{
    struct fixture *fixture = *state;
    const int64_t begin_ms = clocks.wall_ms;
    struct writer_rejudge rejudge;

    put_claim(fixture, clocks.wall_ms + 500 * CLOCK_DAY_MS);
    for (int synchronised = 0; synchronised < 2; synchronised++) {
        clocks.synchronised = synchronised == 1;
        writer_rejudge_init(&rejudge);
        (void)writer_rejudge_due(&rejudge, 1);
        clocks.wall_ms += 730 * CLOCK_DAY_MS;
        for (int i = 0; i < 9; i++) {
            assert_false(writer_rejudge_due(&rejudge, 1));
            clock_pass(CLOCK_SECOND_MS);
        }
        clocks.wall_ms -= 730 * CLOCK_DAY_MS;
        assert_false(writer_rejudge_due(&rejudge, 1));
        assert_false(rejudge.restamps);
        assert_int_equal(rejudge.since_ms,
                         begin_ms + synchronised * (9 * CLOCK_SECOND_MS + 2 * CLOCK_HOUR_MS));
        clock_pass(2 * CLOCK_HOUR_MS);
        assert_true(writer_rejudge_due(&rejudge, 1));
        do_pass(&rejudge, fixture, 1);
        assert_int_equal(rejudge.moved_all, 0);
    }
    assert_look(fixture,
                "SELECT count(*) FROM quarantine WHERE last_received_ms = "
                "first_received_ms AND reason = 'time'",
                "1");
}

/* A clock that is not synchronised is believed after an hour without being set, or when two devices
 * have agreed with it since it was last set. */
static void test_whom_to_believe(void **state)
{
    struct fixture *fixture = *state;
    struct writer_rejudge rejudge;

    clocks.synchronised = false;
    writer_rejudge_init(&rejudge);
    assert_false(writer_rejudge_due(&rejudge, 0));
    clock_pass(CLOCK_HOUR_MS - 1);
    assert_false(writer_rejudge_due(&rejudge, 0));
    clock_pass(1);
    assert_true(writer_rejudge_due(&rejudge, 0));
    do_pass(&rejudge, fixture, 0);

    rejudge.agreed_ms = clocks.monotonic_ms - 1; /* with the clock as it was */
    clocks.wall_ms += CLOCK_DAY_MS;
    assert_false(writer_rejudge_due(&rejudge, 0));
    clock_pass(SETTLE_MS);
    assert_false(writer_rejudge_due(&rejudge, 0));
    rejudge.agreed_ms = clocks.monotonic_ms - 1; /* and as it is */
    assert_true(writer_rejudge_due(&rejudge, 0));

    /* The pass that has begun stops where there is no agreement any more, and begins anew. */
    rejudge.active = true;
    rejudge.wanted = false;
    rejudge.agreed_ms = 0;
    assert_false(writer_rejudge_due(&rejudge, 0));
    assert_false(rejudge.active);
    clocks.synchronised = true;
    assert_true(writer_rejudge_due(&rejudge, 0));

    /* A clock that is behind goes by the newest time of the database, which may be wrong. */
    clocks.synchronised = false;
    wall_begin(clocks.wall_ms + CLOCK_DAY_MS);
    rejudge.agreed_ms = clocks.monotonic_ms;
    clock_pass(2 * CLOCK_HOUR_MS);
    assert_false(writer_rejudge_believes(&rejudge));
    wall_begin(0);
    assert_true(writer_rejudge_believes(&rejudge));
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_when_a_pass_is_due), test(test_what_a_pass_moves),
        test(test_the_clock_is_set),   test(test_the_clock_was_behind),
        test(test_parts_rest),         test(test_who_waits_for_a_pass),
        test(test_a_pass_that_fails),  test(test_the_clock_jumps_and_comes_back),
        test(test_whom_to_believe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
