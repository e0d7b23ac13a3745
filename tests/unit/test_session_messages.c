/*
 * The way of a message from the client into the intake: counted, acknowledged after its commit, and
 * not acknowledged at all when the intake refuses it. The messages here are malformed, and end in
 * quarantine: that is as good a place as any.
 */
#include "session_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define TOPIC        "a/topic"
#define PEAK_KEPT_MS 10000

/* Of a topic so long that the intake has room for two such messages. */
#define LONG_TOPIC 60000
#define ROOM       2
#define FLOOD      4

static void deliver(int qos)
{
    fake_mqtt_deliver(TOPIC, "{", 1, qos);
}

/* A connected session whose subscriptions are on record. */
static struct fixture *connected(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    begin_subscribed(fixture);
    return fixture;
}

/* --- taken ---------------------------------------------------------------------------------- */

static void an_acknowledgement_follows_the_commit(void **state)
{
    struct fixture *fixture = connected(state);

    deliver(2);
    assert_true(fake_mqtt_arrives());
    deliver(1);
    assert_true(fake_mqtt_arrives());
    assert_int_equal(status_of(fixture).received, 2);
    assert_conversation(fixture, KEPT_CONNECTION
                        "?topic durable(c) PUBREC ?topic durable(c) PUBACK " LEAVES);
}

static void messages_in_flight_are_counted(void **state)
{
    struct fixture *fixture = connected(state);

    for (int i = 0; i < 3; i++) {
        deliver(2);
    }
    deliver(1); /* has no second half */
    deliver(0);
    assert_int_equal(status_of(fixture).in_flight, 3);
    assert_int_equal(status_of(fixture).in_flight_peak, 3);
    assert_int_equal(status_of(fixture).received, 5);
    for (int left = 2; left >= 0; left--) {
        fake_mqtt_release();
        assert_int_equal(status_of(fixture).in_flight, left);
    }
    fake_mqtt_release(); /* of an earlier connection */
    assert_int_equal(status_of(fixture).in_flight, 0);
    assert_int_equal(status_of(fixture).in_flight_peak, 3);
}

/* The broker waits for one handshake of it. */
static void a_message_that_comes_again_is_in_flight_once(void **state)
{
    struct fixture *fixture = connected(state);

    deliver(2);
    fake_mqtt_repeat("a/b", "x", 1);
    assert_int_equal(status_of(fixture).received, 2);
    assert_int_equal(status_of(fixture).in_flight, 1);
    assert_int_equal(status_of(fixture).in_flight_peak, 1);
    fake_mqtt_release();
    assert_int_equal(status_of(fixture).in_flight, 0);
}

static void the_peak_is_that_of_the_last_seconds(void **state)
{
    struct fixture *fixture = connected(state);

    for (int i = 0; i < 3; i++) {
        deliver(2);
    }
    for (int i = 0; i < 3; i++) {
        fake_mqtt_release();
    }
    shifted_clock_set_wall(SHIFTED_WALL_MS + PEAK_KEPT_MS);
    deliver(2);
    assert_int_equal(status_of(fixture).in_flight_peak, 3);
    shifted_clock_set_wall(SHIFTED_WALL_MS + PEAK_KEPT_MS + 1);
    deliver(2);
    assert_int_equal(status_of(fixture).in_flight_peak, 2);
}

/* The broker sends them again. */
static void nothing_is_in_flight_after_a_loss(void **state)
{
    struct fixture *fixture = connected(state);

    deliver(2);
    assert_true(fake_mqtt_arrives());
    fake_mqtt_lose(FAKE_BY_BROKER);
    wait_backoff(fixture);
    assert_int_equal(status_of(fixture).in_flight, 0);
    assert_int_equal(status_of(fixture).received, 1);
}

/* --- refused -------------------------------------------------------------------------------- */

/* Its acknowledgement is written, and does not reach the broker: not one byte more does. */
static void a_refused_message_cuts_the_link(void **state)
{
    struct fixture *fixture = connected(state);

    refuse_intake(fixture);
    deliver(2);
    assert_false(fake_mqtt_arrives());
    fake_mqtt_lose(FAKE_BY_DAEMON);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "the database is not writable at the moment");
    assert_int_equal(status_of(fixture).received, 0);
    assert_int_equal(status_of(fixture).in_flight_peak, 0);
    assert_int_equal(status_of(fixture).refused_qos0, 0);
    assert_int_equal(losses(fixture, LOSS_DAEMON), 1);
    assert_conversation(fixture, KEPT_CONNECTION);
}

/* The broker does not send it again: that is said, and counted. */
static void a_refused_message_of_qos_0_is_told(void **state)
{
    struct fixture *fixture = connected(state);

    refuse_intake(fixture);
    deliver(0);
    deliver(0);
    fake_mqtt_lose(FAKE_BY_DAEMON);
    wait_backoff(fixture);
    assert_int_equal(status_of(fixture).refused_qos0, 2);
    assert_int_equal(status_of(fixture).received, 0);
    assert_int_equal(logged(fixture, "c: a QoS 0 message came while the database is not writable"),
                     1);
}

/* --- no room -------------------------------------------------------------------------------- */

static _Atomic bool commit_may_end;

static void hold_commit(void *context)
{
    (void)context;
    while (!atomic_load(&commit_may_end)) {
        sched_yield();
    }
}

/* Delivers more messages than the intake has room for, as Paho's receive thread. */
static void *flood(void *context)
{
    static char topic[LONG_TOPIC + 1];

    memset(topic, 't', LONG_TOPIC);
    for (int i = 0; i < FLOOD; i++) {
        fake_mqtt_deliver(topic, "{", 1, 2);
    }
    return context;
}

static bool is_full(void *context)
{
    uint64_t items;
    size_t bytes;

    intake_pending(((struct fixture *)context)->intake, &items, &bytes);
    return items == ROOM;
}

/* Holds the commits, and floods the intake until there is no room. */
static pthread_t fill(struct fixture *fixture)
{
    pthread_t thread;

    atomic_store(&commit_may_end, false);
    memory_watch_commits(fixture->store, hold_commit, NULL);
    assert_int_equal(pthread_create(&thread, NULL, flood, NULL), 0);
    unit_wait(is_full, fixture, "a full intake");
    return thread;
}

static void a_full_intake_blocks_until_the_next_commit(void **state)
{
    struct fixture *fixture = connected(state);
    pthread_t thread = fill(fixture);

    assert_true(status_of(fixture).received <= ROOM);
    atomic_store(&commit_may_end, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(status_of(fixture).received, FLOOD);
    for (int i = 0; i < FLOOD; i++) {
        assert_true(fake_mqtt_arrives());
    }
    assert_state(fixture, SESSION_SUBSCRIBED, "");
}

/* A message that waits for room is refused like one that comes later. */
static void a_stall_ends_the_wait_for_room(void **state)
{
    struct fixture *fixture = connected(state);
    pthread_t thread = fill(fixture);

    refuse_intake(fixture);
    assert_int_equal(pthread_join(thread, NULL), 0);
    atomic_store(&commit_may_end, true);
    fake_mqtt_lose(FAKE_BY_DAEMON);
    wait_backoff(fixture);
    assert_int_equal(status_of(fixture).received, ROOM);
    assert_int_equal(losses(fixture, LOSS_DAEMON), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(an_acknowledgement_follows_the_commit),
        SESSION_TEST(messages_in_flight_are_counted),
        SESSION_TEST(a_message_that_comes_again_is_in_flight_once),
        SESSION_TEST(the_peak_is_that_of_the_last_seconds),
        SESSION_TEST(nothing_is_in_flight_after_a_loss),
        SESSION_TEST(a_refused_message_cuts_the_link),
        SESSION_TEST(a_refused_message_of_qos_0_is_told),
        SESSION_TEST(a_full_intake_blocks_until_the_next_commit),
        SESSION_TEST(a_stall_ends_the_wait_for_room),
    };

    return cmocka_run_group_tests_name("the way of a message", tests, NULL, NULL);
}
