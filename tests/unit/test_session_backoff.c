/*
 * When a session tries again, when it does not, and how it ends: the backoff, the pause while
 * nothing can be written, and a stop at every place where a session may be.
 */
#include "session_fixture.h"

#include <errno.h>
#include <semaphore.h>

#define FIRST_MS  1000
#define LAST_MS   120000
#define DOUBLINGS 10 /* 1 s to 120 s, and twice more */
#define STABLE_MS 30000

/* The full time of the nth delay, from 0. A delay is between half of that and all of it. */
static int full_ms(int number)
{
    int ms = FIRST_MS;

    for (int i = 0; i < number && ms < LAST_MS; i++) {
        ms *= 2;
    }
    return ms < LAST_MS ? ms : LAST_MS;
}

/* The session backs off for the nth time; `since_ms`: a moment before. */
static void assert_backs_off(struct fixture *fixture, int number, int64_t since_ms)
{
    int wait_ms = wait_backoff(fixture);

    assert_true(wait_ms <= full_ms(number));
    assert_true(status_of(fixture).retry_at_ms - since_ms >= full_ms(number) / 2);
}

static void refuse_connects(int count)
{
    for (int i = 0; i < count; i++) {
        fake_mqtt_answer(FAKE_REFUSED);
    }
}

/* --- the backoff ---------------------------------------------------------------------------- */

static void it_grows_to_its_limit(void **state)
{
    struct fixture *fixture = *state;
    int64_t since_ms = clock_monotonic_ms();

    refuse_connects(DOUBLINGS);
    fixture_begin(fixture);
    for (int i = 0; i < DOUBLINGS; i++) {
        assert_backs_off(fixture, i, since_ms);
        since_ms = clock_monotonic_ms();
        retry(fixture);
    }
    wait_subscribed(fixture);
}

/* A connection that is lost at once again does not begin the backoff anew; one that lasts does. */
static void a_connection_that_lasts_resets_it(void **state)
{
    struct fixture *fixture = *state;
    int64_t since_ms;

    refuse_connects(2);
    fixture_begin(fixture);
    for (int i = 0; i < 2; i++) {
        wait_backoff(fixture);
        retry(fixture);
    }
    wait_subscribed(fixture);
    since_ms = clock_monotonic_ms();
    fake_mqtt_lose(FAKE_BY_BROKER);
    assert_backs_off(fixture, 2, since_ms);
    retry_subscribed(fixture);
    shifted_clock_pass(STABLE_MS + 1);
    since_ms = clock_monotonic_ms();
    fake_mqtt_lose(FAKE_BY_BROKER);
    assert_backs_off(fixture, 0, since_ms);
}

/* A connection that the daemon has cut, because the database takes nothing, is no fault of the
 * broker. */
static void a_connection_that_the_daemon_cuts_resets_it(void **state)
{
    struct fixture *fixture = *state;

    refuse_connects(3);
    fixture_begin(fixture);
    for (int i = 0; i < 3; i++) {
        wait_backoff(fixture);
        retry(fixture);
    }
    wait_subscribed(fixture);
    for (int i = 0; i < 3; i++) {
        int64_t since_ms = clock_monotonic_ms();

        sever_link(fixture);
        fake_mqtt_lose(FAKE_BY_DAEMON);
        assert_backs_off(fixture, 0, since_ms);
        retry_subscribed(fixture);
    }
}

static void it_ends_when_its_time_is_over(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    refuse_connects(1);
    fixture_begin(fixture);
    wait_backoff(fixture);
    fake_mqtt_pass_time();
    wait_subscribed(fixture);
    assert_conversation(fixture, REFUSED_CONNECTION KEPT_CONNECTION LEAVES);
}

/* A late report of the old connection's loss, or a pause: it goes on with the time that is left. */
static void nothing_else_ends_it(void **state)
{
    struct fixture *fixture = *state;
    int64_t until_ms;

    refuse_connects(1);
    fixture_begin(fixture);
    wait_backoff(fixture);
    until_ms = status_of(fixture).retry_at_ms;
    fake_mqtt_lose(FAKE_LATE);
    wait_backoff(fixture);
    session_set_paused(fixture->session, true, "no space");
    wait_backoff(fixture);
    session_set_paused(fixture->session, false, "");
    wait_backoff(fixture);
    assert_int_equal(status_of(fixture).retry_at_ms, until_ms);
    assert_conversation(fixture, REFUSED_CONNECTION);
}

/* A reload reaches sessions that do not wait, too; it is not kept for a backoff to come. */
static void a_connected_session_does_not_keep_a_retry(void **state)
{
    struct fixture *fixture = *state;

    begin_subscribed(fixture);
    session_retry_now(fixture->session);
    wait_subscribed(fixture);
    fake_mqtt_lose(FAKE_BY_BROKER);
    wait_backoff(fixture);
    assert_int_equal(status_of(fixture).connects, 1);
}

/* --- the pause ------------------------------------------------------------------------------ */

static void a_pause_does_not_cut_a_connection(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    begin_subscribed(fixture);
    session_set_paused(fixture->session, true, "no space");
    wait_subscribed(fixture);
    session_set_paused(fixture->session, false, "");
    wait_subscribed(fixture);
    assert_conversation(fixture, KEPT_CONNECTION LEAVES);
}

static void a_paused_session_does_not_connect(void **state)
{
    struct fixture *fixture = *state;
    int lookups;

    refuse_connects(1);
    fixture_begin(fixture);
    wait_backoff(fixture);
    lookups = fake_broker_lookups();
    session_set_paused(fixture->session, true, "no space");
    wait_backoff(fixture);
    retry(fixture);
    assert_int_equal(fake_mqtt_next_wait(), -1);
    assert_state(fixture, SESSION_PAUSED, "no space");
    session_set_paused(fixture->session, true, "locked"); /* the same pause: nothing to wake for */
    session_retry_now(fixture->session);                  /* and this does not end it */
    assert_int_equal(fake_mqtt_next_wait(), -1);
    assert_state(fixture, SESSION_PAUSED, "locked");
    assert_int_equal(fake_broker_lookups(), lookups);
    session_set_paused(fixture->session, false, "");
    wait_subscribed(fixture);
    assert_int_equal(fake_broker_lookups(), lookups + 1);
}

/* --- a stop --------------------------------------------------------------------------------- */

/* The session ends within `limit_ms`, which is far below the time that it would wait. */
static void stop_within(struct fixture *fixture, int limit_ms)
{
    struct session *session = fixture->session;

    session_stop_begin(session);
    assert_true(session_stop_finish(session, clock_monotonic_ms() + limit_ms));
    fixture->session = NULL;
}

static void a_connected_session_leaves_with_disconnect(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    begin_subscribed(fixture);
    stop_within(fixture, UNIT_WAIT_MS);
    assert_conversation(fixture, KEPT_CONNECTION LEAVES);
}

/* A long one: the session must not look at the clock until its time is over. */
static void a_stop_ends_the_backoff(void **state)
{
    struct fixture *fixture = *state;

    refuse_connects(DOUBLINGS);
    fixture_begin(fixture);
    while (wait_backoff(fixture) < 2 * UNIT_WAIT_MS) {
        retry(fixture);
    }
    stop_within(fixture, UNIT_WAIT_MS);
    fixture_end(fixture);
    assert_null(strstr(fake_mqtt_notes(), "DISCONNECT")); /* there was no connection */
}

static void a_stop_ends_the_pause(void **state)
{
    struct fixture *fixture = *state;

    refuse_connects(1);
    fixture_begin(fixture);
    wait_backoff(fixture);
    session_set_paused(fixture->session, true, "no space");
    wait_backoff(fixture);
    retry(fixture);
    fake_mqtt_next_wait();
    assert_state(fixture, SESSION_PAUSED, "no space");
    stop_within(fixture, UNIT_WAIT_MS);
    assert_conversation(fixture, REFUSED_CONNECTION);
}

static bool has_looked_up(void *context)
{
    (void)context;
    return fake_broker_lookups() > 0;
}

/* The address does not answer, and the session would wait for it for 10 seconds. */
static void a_stop_ends_the_dial(void **state)
{
    struct fixture *fixture = *state;

    fake_broker_hang(0);
    fixture_begin(fixture);
    unit_wait(has_looked_up, NULL, "a dial");
    stop_within(fixture, 5000);
    assert_conversation(fixture, "");
    assert_int_equal(logged(fixture, "warning"), 0); /* a stop is no problem to tell */
}

static bool has_noted(void *context)
{
    return strstr(fake_mqtt_notes(), context) != NULL;
}

/* The record of the CONNECT stays, for the next start. */
static void a_stop_ends_the_wait_for_connack(void **state)
{
    struct fixture *fixture = *state;

    fake_mqtt_answer(FAKE_ABSENT);
    fixture_begin(fixture);
    unit_wait(has_noted, "CONNECT", "a CONNECT");
    stop_within(fixture, UNIT_WAIT_MS);
    assert_conversation(fixture, CONNECTS);
}

static bool has_stopped(void *context)
{
    return status_of(context).state == SESSION_IDLE;
}

static sem_t stop_begun;

static void wait_for_stop(void *context)
{
    (void)context;
    sem_wait(&stop_begun);
}

/* A stop while the broker is asked for subscriptions: no backoff, no error. */
static void a_stop_while_subscribing_is_no_loss(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fake_mqtt_grant("a/#", FAKE_UNANSWERED);
    sem_init(&stop_begun, 0, 0);
    fake_mqtt_before_answer("SUBSCRIBE", wait_for_stop, NULL);
    fixture_begin(fixture);
    unit_wait(has_noted, "SUBSCRIBE", "a SUBSCRIBE");
    session_stop_begin(fixture->session);
    sem_post(&stop_begun);
    unit_wait(has_stopped, fixture, "the end of the session");
    assert_state(fixture, SESSION_IDLE, "stopped");
    for (int cause = 0; cause < LOSS_CAUSES; cause++) {
        assert_int_equal(losses(fixture, (enum loss_cause)cause), 0);
    }
    assert_conversation(fixture, CONNECTS "settled(c,none,7) SUBSCRIBE(a/#,2) " LEAVES);
    assert_int_equal(logged(fixture, "warning"), 0);
}

/* A thread that nothing can wake is left to the process, which ends without freeing the session. */
static void a_thread_that_hangs_is_not_waited_for(void **state)
{
    struct fixture *fixture = *state;

    fake_mqtt_answer(FAKE_STUCK);
    fixture_begin(fixture);
    unit_wait(has_noted, "CONNECT", "a CONNECT");
    session_stop_begin(fixture->session);
    assert_false(session_stop_finish(fixture->session, clock_monotonic_ms() + 1));
    fake_mqtt_unstick();
    stop_within(fixture, UNIT_WAIT_MS);
}

/* The library is told once, for all sessions, which host a certificate must name; and that no proxy
 * of the environment is used. */
static void the_library_is_prepared(void **state)
{
    struct fixture *fixture = *state;

    setenv("http_proxy", "http://127.0.0.1:9", 1);
    session_library_init(&fixture->config);
    assert_null(getenv("http_proxy"));
    assert_false(session_writes_at_once(&fixture->config));
    fixture->config.broker.tls = true;
    assert_true(session_writes_at_once(&fixture->config));
}

static void a_session_without_a_client_does_not_start(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fake_mqtt_fail_new();
    fixture_begin_pipeline(fixture);
    assert_int_equal(fixture_start_session(fixture), -ENOMEM);
    assert_null(fixture->session);
    assert_conversation(fixture, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(it_grows_to_its_limit),
        SESSION_TEST(a_connection_that_lasts_resets_it),
        SESSION_TEST(a_connection_that_the_daemon_cuts_resets_it),
        SESSION_TEST(it_ends_when_its_time_is_over),
        SESSION_TEST(nothing_else_ends_it),
        SESSION_TEST(a_connected_session_does_not_keep_a_retry),
        SESSION_TEST(a_pause_does_not_cut_a_connection),
        SESSION_TEST(a_paused_session_does_not_connect),
        SESSION_TEST(a_connected_session_leaves_with_disconnect),
        SESSION_TEST(a_stop_ends_the_backoff),
        SESSION_TEST(a_stop_ends_the_pause),
        SESSION_TEST(a_stop_ends_the_dial),
        SESSION_TEST(a_stop_ends_the_wait_for_connack),
        SESSION_TEST(a_stop_while_subscribing_is_no_loss),
        SESSION_TEST(a_thread_that_hangs_is_not_waited_for),
        SESSION_TEST(the_library_is_prepared),
        SESSION_TEST(a_session_without_a_client_does_not_start),
    };

    return cmocka_run_group_tests_name("when a session tries again, and ends", tests, NULL, NULL);
}
