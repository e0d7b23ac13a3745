/*
 * The end of a connection: its cause is told and counted, and connections that end soon, again and
 * again, are told as such. Then the records that the intake refuses: without them nothing goes on.
 */
#include "session_fixture.h"

#define STABLE_MS       30000
#define WRITER_RETRY_MS 1000 /* after its first failure */
#define TAKEN_OVER      "does another client use this client id?"

/* From one connection to the next. */
static void lose_and_retry(struct fixture *fixture, enum fake_loss how)
{
    wait_subscribed(fixture);
    fake_mqtt_lose(how);
    wait_backoff(fixture);
    retry(fixture);
}

static void a_loss_is_counted_by_its_cause(void **state)
{
    struct fixture *fixture = *state;

    begin_subscribed(fixture);
    fake_mqtt_lose(FAKE_BY_BROKER);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "the broker closed the connection");
    assert_int_equal(status_of(fixture).connected_since_ms, 0);
    retry_subscribed(fixture);
    fake_mqtt_lose(FAKE_BY_SILENCE);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "no answer from the broker for 1 min");
    retry_subscribed(fixture);
    fake_mqtt_lose(FAKE_BY_COMPLAINT);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "the broker sent a malformed PUBLISH");
    retry_subscribed(fixture);
    sever_link(fixture);
    fake_mqtt_lose(FAKE_BY_DAEMON);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "connection cut by foxtrackrd: the test cuts it");
    assert_last_error(fixture, "the test cuts it");
    for (int cause = 0; cause < LOSS_CAUSES; cause++) {
        bool happened = cause == LOSS_BROKER || cause == LOSS_SILENCE || cause == LOSS_PACKET ||
                        cause == LOSS_DAEMON;

        assert_int_equal(losses(fixture, (enum loss_cause)cause), happened);
    }
}

/* A CONNECT without an answer ends no connection; its sentence names the same causes. */
static void a_malformed_connack_is_told(void **state)
{
    struct fixture *fixture = *state;

    fake_mqtt_answer(FAKE_MALFORMED);
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "the broker sent a malformed CONNACK");
    assert_int_equal(losses(fixture, LOSS_PACKET), 0);
}

/* --- again and again ------------------------------------------------------------------------ */

static void the_third_short_life_hints_at_another_client(void **state)
{
    struct fixture *fixture = *state;

    fixture_begin(fixture);
    for (int i = 0; i < 2; i++) {
        lose_and_retry(fixture, FAKE_BY_BROKER);
        assert_null(strstr(status_of(fixture).last_error, TAKEN_OVER));
    }
    wait_subscribed(fixture);
    fake_mqtt_lose(FAKE_BY_BROKER);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING,
                 "the broker closed the connection soon after it was made, again and again");
    assert_state(fixture, SESSION_WAITING, TAKEN_OVER);
}

/* Two short lives, something else, and two more. */
static void assert_no_hint(struct fixture *fixture, void (*something)(struct fixture *fixture))
{
    for (int i = 0; i < 2; i++) {
        lose_and_retry(fixture, FAKE_BY_BROKER);
    }
    something(fixture);
    for (int i = 0; i < 2; i++) {
        lose_and_retry(fixture, FAKE_BY_BROKER);
    }
    wait_subscribed(fixture);
    fixture_end(fixture);
    assert_int_equal(logged(fixture, TAKEN_OVER), 0);
}

static void be_malformed(struct fixture *fixture)
{
    lose_and_retry(fixture, FAKE_BY_COMPLAINT);
}

static void last_long(struct fixture *fixture)
{
    wait_subscribed(fixture);
    shifted_clock_pass(STABLE_MS);
    fake_mqtt_lose(FAKE_BY_BROKER);
    wait_backoff(fixture);
    retry(fixture);
}

static void be_refused(struct fixture *fixture)
{
    wait_backoff(fixture);
    retry(fixture);
}

static void another_cause_is_no_hint(void **state)
{
    fixture_begin(*state);
    assert_no_hint(*state, be_malformed);
}

static void a_long_life_is_no_hint(void **state)
{
    fixture_begin(*state);
    assert_no_hint(*state, last_long);
}

static void an_unreachable_broker_is_no_hint(void **state)
{
    fake_mqtt_answer(FAKE_KEPT);
    fake_mqtt_answer(FAKE_KEPT);
    fake_mqtt_answer(FAKE_REFUSED);
    fixture_begin(*state);
    assert_no_hint(*state, be_refused);
}

/* --- what cannot be put on record ----------------------------------------------------------- */

/* Without a record of it no CONNECT is sent, to whichever address. */
static void without_a_record_there_is_no_connect(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fake_broker_resolve(2);
    fixture_begin_pipeline(fixture);
    refuse_intake(fixture);
    assert_int_equal(fixture_start_session(fixture), 0);
    wait_backoff(fixture);
    assert_string_equal(status_of(fixture).reason, "the database is not writable at the moment");
    assert_string_equal(fake_mqtt_notes(), "");
    allow_intake(fixture);
    retry_subscribed(fixture);
    assert_conversation(fixture, KEPT_CONNECTION LEAVES);
}

/* Nothing is subscribed on an answer that is not on record. */
static void an_answer_that_cannot_be_recorded_ends_the_connection(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fake_mqtt_before_answer("CONNECT", refuse_intake, fixture);
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "cut by foxtrackrd: the database is not writable");
    assert_int_equal(losses(fixture, LOSS_DAEMON), 1);
    allow_intake(fixture);
    retry_subscribed(fixture);
    assert_conversation(fixture, CONNECTS LEAVES KEPT_CONNECTION LEAVES);
}

/* The broker made a new session, which it has at the next connection: the old one is lost all the
 * same. */
static void a_loss_that_cannot_be_recorded_is_not_forgotten(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fake_mqtt_answer(FAKE_NEW);
    fake_mqtt_before_answer("CONNECT", refuse_intake, fixture);
    fixture_begin(fixture);
    wait_backoff(fixture);
    allow_intake(fixture);
    retry_subscribed(fixture);
    assert_conversation(fixture, CONNECTS LEAVES CONNECTS "settled(c,lost,7) " SUBSCRIBES LEAVES);
}

/* The flag stays on record then, and the next answer removes it. */
static void a_refusal_that_cannot_be_recorded_does_no_harm(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fake_mqtt_answer(FAKE_REFUSED);
    fake_mqtt_before_answer("CONNECT", refuse_intake, fixture);
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "the broker does not let this client in");
    allow_intake(fixture);
    retry_subscribed(fixture);
    assert_conversation(fixture, CONNECTS KEPT_CONNECTION LEAVES);
}

static enum writer_state writer_state_of(void *context)
{
    struct writer_status status;

    writer_status(((struct fixture *)context)->writer, &status);
    return status.state;
}

static bool writer_stalls(void *context)
{
    return writer_state_of(context) == WRITER_STALLED;
}

static bool writer_runs(void *context)
{
    return writer_state_of(context) == WRITER_RUNNING;
}

/* The writer's own stall cuts the link. The message is stored later, and not acknowledged: the
 * broker sends it again. */
static void a_stalled_writer_cuts_the_connection(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    begin_subscribed(fixture);
    memory_fail(fixture->store, MEMORY_COMMIT, 0, 1, STORE_E_RETRY);
    fake_mqtt_deliver("a/topic", "{", 1, 2);
    assert_false(fake_mqtt_arrives());
    fake_mqtt_lose(FAKE_BY_DAEMON);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING,
                 "cut by foxtrackrd: the database is not writable: the script says so");
    assert_int_equal(losses(fixture, LOSS_DAEMON), 1);
    unit_wait(writer_stalls, fixture, "the stall");
    shifted_clock_pass(WRITER_RETRY_MS);
    unit_wait(writer_runs, fixture, "the end of the stall");
    retry_subscribed(fixture);
    assert_conversation(fixture, KEPT_CONNECTION "?topic durable(c) " KEPT_CONNECTION LEAVES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(a_loss_is_counted_by_its_cause),
        SESSION_TEST(a_malformed_connack_is_told),
        SESSION_TEST(the_third_short_life_hints_at_another_client),
        SESSION_TEST(another_cause_is_no_hint),
        SESSION_TEST(a_long_life_is_no_hint),
        SESSION_TEST(an_unreachable_broker_is_no_hint),
        SESSION_TEST(without_a_record_there_is_no_connect),
        SESSION_TEST(an_answer_that_cannot_be_recorded_ends_the_connection),
        SESSION_TEST(a_loss_that_cannot_be_recorded_is_not_forgotten),
        SESSION_TEST(a_refusal_that_cannot_be_recorded_does_no_harm),
        SESSION_TEST(a_stalled_writer_cuts_the_connection),
    };

    return cmocka_run_group_tests_name("why a session's connection ends", tests, NULL, NULL);
}
