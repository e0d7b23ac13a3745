/*
 * A session that was made with MQTT 3.1.1: before the daemon goes over to MQTT 5 it asks the
 * broker, with another client identifier, whether it speaks it. None of the answers, and no end of
 * the question, changes what is known of the session's fate.
 */
#include "session_protocol.h"

#define WEEK_MS INT64_C(604800000)

/* --- a session that was made with 3.1.1 ------------------------------------------------------- */

/* The question leaves nothing on record, and the session is as certain as before. */
static void a_known_session_is_asked_about_first(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_AUTO);
    fake_mqtt_answer(FAKE_NEW);
    begin_and_return(fixture);
    assert_int_equal(status_of(fixture).connects, 2);
    assert_conversation(fixture, "ASK DISCONNECT " KEPT_5 KEPT_5 LEAVES);
    assert_on_record(fixture, 5, 7);
}

static void assert_question_is_no_gap(struct fixture *fixture, enum fake_answer answer)
{
    know_with(fixture, CONFIG_AUTO);
    fake_mqtt_answer(answer);
    begin_and_return(fixture);
    assert_conversation(fixture, "ASK " KEPT_CONNECTION KEPT_CONNECTION LEAVES);
    assert_on_record(fixture, 4, 7);
    assert_int_equal(logged(fixture, "see the table gaps"), 0);
}

static void a_question_may_be_closed(void **state)
{
    assert_question_is_no_gap(*state, FAKE_CLOSED);
}

static void a_question_may_be_refused(void **state)
{
    assert_question_is_no_gap(*state, FAKE_VERSION);
}

static void a_question_may_be_answered_as_of_old(void **state)
{
    assert_question_is_no_gap(*state, FAKE_OLD);
}

/* A broker that knows its clients by their ids denies the question in MQTT 5. Whether it would keep
 * the session then is not known, so it is not risked. */
static void a_question_may_be_denied(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_AUTO);
    fake_mqtt_answer(FAKE_REFUSED);
    begin_and_return(fixture);
    assert_int_equal(status_of(fixture).protocol, 4);
    assert_int_equal(status_of(fixture).protocol_doubt, PROTOCOL_NOT_KNOWN);
    assert_conversation(fixture, "ASK " KEPT_CONNECTION KEPT_CONNECTION LEAVES);
    assert_on_record(fixture, 4, 7);
    assert_int_equal(logged(fixture, "notice c: whether the broker keeps a session of MQTT 5 is "
                                     "not known"),
                     1);
}

/* Both clients are denied, as by a wrong password. That says nothing of MQTT 5: the next attempt
 * asks again. */
static void a_denied_client_is_no_answer(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_AUTO);
    fake_mqtt_answer(FAKE_REFUSED);
    fake_mqtt_answer(FAKE_REFUSED);
    fixture_begin(fixture);
    wait_backoff(fixture);
    retry_subscribed(fixture);
    assert_conversation(fixture, "ASK " REFUSED_CONNECTION "ASK DISCONNECT " KEPT_5 LEAVES);
    assert_int_equal(logged(fixture, "is not known"), 0);
}

/* The daemon's own session would end with its connection, and what the broker has kept. */
static void a_broker_that_would_not_keep_the_session_is_not_asked_for_5(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_AUTO);
    fake_mqtt_set_expiry(0);
    begin_and_return(fixture);
    assert_conversation(fixture, "ASK DISCONNECT " KEPT_CONNECTION KEPT_CONNECTION LEAVES);
    assert_on_record(fixture, 4, 7);
    assert_int_equal(logged(fixture, "notice c: the broker speaks MQTT 5, and keeps no session"),
                     1);
}

/* The attempt ends, as it would for a CONNECT without an answer; nothing is uncertain. */
static void a_question_without_an_answer_is_asked_again(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_AUTO);
    fake_mqtt_answer(FAKE_SILENT);
    begin_and_fail(fixture, "no answer to CONNECT");
    retry_subscribed(fixture);
    assert_conversation(fixture, "ASK ASK DISCONNECT " KEPT_5 LEAVES);
}

/* An uncertain session stays so through a question. */
static void a_question_does_not_settle_an_earlier_connect(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_AUTO);
    fixture_doubt(fixture);
    begin_subscribed(fixture);
    assert_conversation(fixture,
                        "ASK DISCONNECT " CONNECTS_5 "settled(c,uncertain,7) " SUBSCRIBES LEAVES);
}

/* A real CONNECT of MQTT 5 that was closed may have made a new session: that is a gap. */
static void a_lost_connect_of_5_makes_the_session_uncertain(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_AUTO);
    remember_protocol(fixture, 5, 1);
    fake_mqtt_answer(FAKE_CLOSED);
    fake_mqtt_answer(FAKE_CLOSED);
    begin_and_fail(fixture, "another protocol than MQTT 5 at this port");
    retry_subscribed(fixture);
    assert_conversation(fixture, CONNECTS_5 CONNECTS_5 UNCERTAIN_CONNECTION LEAVES);
    assert_on_record(fixture, 4, 7);
}

/* A CONNECT that was answered in the form of MQTT 3.1.1 may have made a new session, too. */
static void an_old_answer_makes_the_session_uncertain(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_AUTO);
    remember_protocol(fixture, 5, 1);
    fake_mqtt_answer(FAKE_OLD);
    fixture_begin(fixture);
    wait_backoff(fixture);
    retry_subscribed(fixture);
    assert_conversation(fixture, CONNECTS_5 CONNECTS_5 "settled(c,uncertain,7) " SUBSCRIBES LEAVES);
}

/* The broker was exchanged for one that does not have the other version. */
static void a_refused_version_has_changed_nothing(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_AUTO);
    remember_protocol(fixture, 4, 7);
    fake_mqtt_answer(FAKE_VERSION);
    begin_subscribed(fixture);
    assert_conversation(fixture, CONNECTS "settled(c,none,0) " KEPT_5 LEAVES);
}

static void after_a_week_it_is_asked_again(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_AUTO);
    remember_protocol(fixture, 4, 7);
    begin_and_return(fixture);
    shifted_clock_set_wall(7 + WEEK_MS);
    lose_and_return(fixture);
    fixture_end(fixture);
    assert_non_null(
        strstr(fake_mqtt_notes(), KEPT_CONNECTION KEPT_CONNECTION "ASK DISCONNECT " CONNECTS_5));
    assert_on_record(fixture, 5, 7 + WEEK_MS);
}

/* --- the question and the session's end ------------------------------------------------------ */

static bool has_asked(void *context)
{
    (void)context;
    return strstr(fake_mqtt_notes(), "ASK") != NULL;
}

static void a_stop_ends_the_question(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_AUTO);
    fake_mqtt_answer(FAKE_ABSENT);
    fixture_begin(fixture);
    unit_wait(has_asked, NULL, "a question");
    assert_conversation(fixture, "ASK ");
    assert_int_equal(logged(fixture, "warning"), 0);
}

static void deliver_a_message(void *context)
{
    (void)context;
    fake_mqtt_deliver("a/topic", "{", 1, 2);
}

/* Nothing stores a message that a broker sends to that client, so no PUBREC leaves. */
static void a_question_acknowledges_nothing(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_AUTO);
    fake_mqtt_answer(FAKE_NEW);
    fake_mqtt_after_connack(deliver_a_message, fixture);
    begin_subscribed(fixture);
    assert_conversation(fixture, "ASK " KEPT_5 LEAVES);
    assert_int_equal(logged(fixture, "notice c: the broker sent a message (QoS 2) to the client"),
                     1);
}

/* Without memory for a second client the attempt fails, and is made again. */
static void a_question_without_a_client_is_asked_later(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_AUTO);
    fake_mqtt_fail_question();
    begin_and_fail(fixture, "no memory to ask the broker for MQTT 5");
    retry_subscribed(fixture);
    assert_conversation(fixture, "ASK DISCONNECT " KEPT_5 LEAVES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(a_known_session_is_asked_about_first),
        SESSION_TEST(a_question_may_be_closed),
        SESSION_TEST(a_question_may_be_refused),
        SESSION_TEST(a_question_may_be_answered_as_of_old),
        SESSION_TEST(a_question_may_be_denied),
        SESSION_TEST(a_denied_client_is_no_answer),
        SESSION_TEST(a_broker_that_would_not_keep_the_session_is_not_asked_for_5),
        SESSION_TEST(a_question_without_an_answer_is_asked_again),
        SESSION_TEST(a_question_acknowledges_nothing),
        SESSION_TEST(a_question_does_not_settle_an_earlier_connect),
        SESSION_TEST(a_lost_connect_of_5_makes_the_session_uncertain),
        SESSION_TEST(an_old_answer_makes_the_session_uncertain),
        SESSION_TEST(a_refused_version_has_changed_nothing),
        SESSION_TEST(after_a_week_it_is_asked_again),
        SESSION_TEST(a_stop_ends_the_question),
        SESSION_TEST(a_question_without_a_client_is_asked_later),
    };

    return cmocka_run_group_tests_name("the question for MQTT 5", tests, NULL, NULL);
}
