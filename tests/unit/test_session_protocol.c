/*
 * The version of MQTT at a broker that speaks 5, 3.1.1, or both: which CONNECTs leave for a session
 * that is new, or was made with MQTT 5; what a CONNACK of MQTT 5 says of expiry, keep alive and
 * window; and the DISCONNECT of a broker.
 */
#include "session_protocol.h"

#define USELESS_5 CONNECTS_5 "settled(c,none,0) DISCONNECT "

static void use_auto(struct fixture *fixture)
{
    fixture->config.broker.protocol = CONFIG_AUTO;
}

/* --- as configured --------------------------------------------------------------------------- */

static void mqtt_5_is_used_as_configured(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_MQTT_5);
    fake_mqtt_answer(FAKE_VERSION);
    begin_and_fail(fixture, "does not speak this version");
    retry_subscribed(fixture);
    assert_int_equal(status_of(fixture).protocol, 5);
    assert_int_equal(status_of(fixture).session_expiry_s, 604800);
    assert_conversation(fixture, CONNECTS_5 "settled(c,none,0) " KEPT_5 LEAVES);
    assert_int_equal(logged(fixture, "with MQTT 5, the broker has kept the session"), 1);
}

static void auto_without_mqtt_5_is_3_1_1(void **state)
{
    struct fixture *fixture = *state;

    use_auto(fixture);
    fake_mqtt_speak_5(false);
    fixture_know(fixture);
    fake_mqtt_speak_5(false);
    begin_subscribed(fixture);
    assert_conversation(fixture, KEPT_CONNECTION LEAVES);
    assert_int_equal(logged(fixture, "with MQTT 3.1.1, the broker"), 1);
}

/* --- a new database ------------------------------------------------------------------------- */

static void a_new_session_begins_with_mqtt_5(void **state)
{
    struct fixture *fixture = *state;

    use_auto(fixture);
    fake_mqtt_answer(FAKE_NEW);
    begin_and_return(fixture);
    assert_conversation(fixture, FIRST_5 KEPT_5 LEAVES);
    assert_on_record(fixture, 5, 7);
}

/* A broker that says no: the other version at once, and next time the one that worked. */
static void a_new_session_goes_back_to_3_1_1(void **state)
{
    struct fixture *fixture = *state;

    use_auto(fixture);
    fake_mqtt_answer(FAKE_VERSION);
    fake_mqtt_answer(FAKE_NEW);
    begin_and_return(fixture);
    assert_last_error(fixture, "the broker closed the connection"); /* the loss, nothing before */
    assert_conversation(fixture,
                        CONNECTS_5 "settled(c,none,0) " FIRST_CONNECTION KEPT_CONNECTION LEAVES);
    assert_on_record(fixture, 4, 7);
}

static void a_broker_that_speaks_neither_is_called_so(void **state)
{
    struct fixture *fixture = *state;

    use_auto(fixture);
    fake_mqtt_answer(FAKE_VERSION);
    fake_mqtt_answer(FAKE_VERSION);
    begin_and_fail(fixture, "speaks neither MQTT 5 nor 3.1.1");
}

/* One that closes the connection without a word has no session of ours yet: no gap. */
static void a_close_at_a_new_session_is_no_gap(void **state)
{
    struct fixture *fixture = *state;

    use_auto(fixture);
    fake_mqtt_answer(FAKE_CLOSED);
    fake_mqtt_answer(FAKE_KEPT);
    begin_subscribed(fixture);
    assert_conversation(fixture, CONNECTS_5 CONNECTS "settled(c,none,7) " SUBSCRIBES_ANEW LEAVES);
    assert_on_record(fixture, 4, 7);
}

/* Where nothing is let in, both are tried in each attempt, and nothing is remembered. */
static void nothing_is_remembered_of_failures(void **state)
{
    struct fixture *fixture = *state;

    use_auto(fixture);
    for (int i = 0; i < 4; i++) {
        fake_mqtt_answer(FAKE_CLOSED);
    }
    begin_and_fail(fixture, "another protocol than MQTT 3.1.1 at this port");
    retry(fixture);
    wait_backoff(fixture);
    assert_conversation(fixture, CONNECTS_5 CONNECTS CONNECTS_5 CONNECTS);
    assert_on_record(fixture, 0, 0);
}

/* --- the keep alive -------------------------------------------------------------------------- */

/* The broker's shorter keep alive: another connection at once, without a loss. */
static void a_shorter_keep_alive_is_taken(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.broker.protocol = CONFIG_MQTT_5;
    fake_mqtt_set_keepalive(3);
    fake_mqtt_answer(FAKE_NEW);
    begin_subscribed(fixture);
    assert_int_equal(fake_mqtt_keepalive_s(), 3);
    assert_int_equal(status_of(fixture).connects, 2);
    assert_last_error(fixture, "");
    for (int cause = 0; cause < LOSS_CAUSES; cause++) {
        assert_int_equal(losses(fixture, (enum loss_cause)cause), 0);
    }
    assert_conversation(fixture, CONNECTS_5 "established(c,none,7) DISCONNECT " CONNECTS_5
                                            "settled(c,none,7) " SUBSCRIBES_ANEW LEAVES);
    assert_int_equal(logged(fixture, "wants a keep alive of 3 s: connecting again"), 1);
}

/* The keep alive holds for the next connections too. A broker that asks for less each time waits a
 * turn. */
static void a_keep_alive_is_kept(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_MQTT_5);
    fake_mqtt_set_keepalive(20);
    begin_and_return(fixture);
    assert_int_equal(fake_mqtt_keepalive_s(), 20);
    assert_conversation(fixture, CONNECTS_5 "settled(c,none,7) DISCONNECT " KEPT_5 KEPT_5 LEAVES);
}

/* --- the expiry ------------------------------------------------------------------------------ */

static void a_shorter_expiry_is_a_warning_once(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_MQTT_5);
    fake_mqtt_set_expiry(3600);
    begin_and_return(fixture);
    fixture_end(fixture);
    assert_int_equal(
        logged(fixture, "warning c: the broker keeps the session for 1 h 0 min, asked was 7 d"), 1);
}

/* A new session has nothing in it yet: MQTT 3.1.1 at once, and nothing is lost. */
static void a_session_that_is_not_kept_goes_back_to_3_1_1(void **state)
{
    struct fixture *fixture = *state;

    use_auto(fixture);
    fake_mqtt_set_expiry(0);
    fake_mqtt_answer(FAKE_NEW);
    fake_mqtt_answer(FAKE_NEW);
    begin_and_return(fixture);
    assert_int_equal(status_of(fixture).protocol_doubt, PROTOCOL_NOT_KEPT);
    assert_conversation(fixture, USELESS_5 FIRST_CONNECTION KEPT_CONNECTION LEAVES);
    assert_int_equal(logged(fixture, "notice c: the broker speaks MQTT 5, and keeps no session"),
                     1);
    assert_int_equal(logged(fixture, "is lost"), 0);
    assert_on_record(fixture, 4, 7);
}

/* In the next life too, which begins with what is on record. */
static void a_session_that_is_not_kept_is_remembered(void **state)
{
    struct fixture *fixture = *state;

    use_auto(fixture);
    fake_mqtt_set_expiry(0);
    fake_mqtt_answer(FAKE_NEW);
    fake_mqtt_answer(FAKE_NEW);
    begin_subscribed(fixture);
    assert_conversation(fixture, USELESS_5 FIRST_CONNECTION LEAVES);
    assert_on_record(fixture, 4, 7);
    fake_mqtt_begin(fixture->store);
    begin_subscribed(fixture);
    assert_int_equal(status_of(fixture).protocol_doubt, PROTOCOL_EARLIER);
    assert_conversation(fixture, KEPT_CONNECTION LEAVES);
}

/* The broker has lost the session, and keeps none of MQTT 5 any more: the loss is told once. */
static void a_lost_session_goes_back_to_3_1_1(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_AUTO);
    remember_protocol(fixture, 5, 1);
    fake_mqtt_set_expiry(0);
    fake_mqtt_answer(FAKE_NEW);
    fake_mqtt_answer(FAKE_NEW);
    begin_subscribed(fixture);
    assert_conversation(fixture, USELESS_5 LOST_CONNECTION LEAVES);
    assert_int_equal(logged(fixture, "err c: the broker has lost the session"), 1);
}

/* Where the broker refuses MQTT 3.1.1, a session that it does not keep is better than none. */
static void a_broker_of_5_alone_is_used_without_a_kept_session(void **state)
{
    struct fixture *fixture = *state;

    use_auto(fixture);
    fake_mqtt_set_expiry(0);
    fake_mqtt_answer(FAKE_NEW);
    fake_mqtt_answer(FAKE_VERSION);
    begin_and_fail(fixture, "does not speak this version");
    fake_mqtt_answer(FAKE_VERSION);
    fake_mqtt_answer(FAKE_NEW);
    retry_subscribed(fixture);
    assert_conversation(fixture, USELESS_5 REFUSED_CONNECTION REFUSED_CONNECTION FIRST_5 LEAVES);
    assert_int_equal(logged(fixture, "err c: the broker keeps no session of MQTT 5"), 1);
}

/* A session that is there has a queue, which would be lost with the connection. */
static void a_session_that_is_there_is_not_left(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_AUTO);
    remember_protocol(fixture, 5, 1);
    fake_mqtt_set_expiry(0);
    fake_mqtt_answer(FAKE_KEPT);
    fake_mqtt_answer(FAKE_NEW);
    begin_and_return(fixture);
    assert_conversation(fixture, KEPT_5 LOST_CONNECTION LEAVES);
    assert_int_equal(logged(fixture, "err c: the broker keeps no session of MQTT 5"), 1);
}

/* The session would end with the connection, and what the broker has kept. */
static void a_session_that_is_not_kept_is_not_left_for_a_keep_alive(void **state)
{
    struct fixture *fixture = *state;

    know_with(fixture, CONFIG_MQTT_5);
    fake_mqtt_set_expiry(0);
    fake_mqtt_set_keepalive(3);
    begin_subscribed(fixture);
    assert_conversation(fixture, KEPT_5 LEAVES);
}

/* --- the window ------------------------------------------------------------------------------ */

static void a_larger_window_is_told_once(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.broker.protocol = CONFIG_MQTT_5;
    fixture->config.sessions[0].receive_maximum = 2;
    fixture_know(fixture);
    begin_subscribed(fixture);
    for (int i = 0; i < 2; i++) {
        fake_mqtt_deliver("a/topic", "{", 1, 2);
        assert_true(fake_mqtt_arrives());
    }
    assert_int_equal(logged(fixture, "session.receive_maximum asks for, 2"), 0);
    for (int i = 0; i < 2; i++) {
        fake_mqtt_deliver("a/topic", "{", 1, 2);
        assert_true(fake_mqtt_arrives());
    }
    fixture_end(fixture);
    assert_int_equal(logged(fixture, "session.receive_maximum asks for, 2"), 1);
}

/* --- DISCONNECT ------------------------------------------------------------------------------ */

static void a_disconnect_is_the_reason(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.broker.protocol = CONFIG_MQTT_5;
    fixture_begin(fixture);
    for (int i = 0; i < 3; i++) {
        wait_subscribed(fixture);
        fake_mqtt_disconnect(0x8B, "the broker is shutting down");
        wait_backoff(fixture);
        assert_string_equal(status_of(fixture).reason,
                            "connection lost: the broker is shutting down");
        retry(fixture);
    }
    wait_subscribed(fixture);
    assert_int_equal(losses(fixture, LOSS_BROKER), 3);
}

static void a_session_taken_over_is_told_at_once(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.broker.protocol = CONFIG_MQTT_5;
    begin_subscribed(fixture);
    fake_mqtt_disconnect(0x8E, "another client uses this client id");
    wait_backoff(fixture);
    assert_string_equal(status_of(fixture).reason,
                        "connection lost: another client uses this client id; each client needs an "
                        "id of its own (session.number)");
    assert_int_equal(losses(fixture, LOSS_BROKER), 1);
}

static void disconnect_instead_of_suback(void *context)
{
    (void)context;
    fake_mqtt_disconnect(0x87, "not authorised");
}

static void a_disconnect_in_place_of_an_answer_is_the_reason(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.broker.protocol = CONFIG_MQTT_5;
    fake_mqtt_grant("a/#", FAKE_UNANSWERED);
    fake_mqtt_before_answer("SUBSCRIBE", disconnect_instead_of_suback, NULL);
    begin_and_fail(fixture,
                   "no answer to SUBSCRIBE to a/#: the broker ended the connection instead: not "
                   "authorised");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(mqtt_5_is_used_as_configured),
        SESSION_TEST(auto_without_mqtt_5_is_3_1_1),
        SESSION_TEST(a_new_session_begins_with_mqtt_5),
        SESSION_TEST(a_new_session_goes_back_to_3_1_1),
        SESSION_TEST(a_broker_that_speaks_neither_is_called_so),
        SESSION_TEST(a_close_at_a_new_session_is_no_gap),
        SESSION_TEST(nothing_is_remembered_of_failures),
        SESSION_TEST(a_shorter_keep_alive_is_taken),
        SESSION_TEST(a_keep_alive_is_kept),
        SESSION_TEST(a_shorter_expiry_is_a_warning_once),
        SESSION_TEST(a_session_that_is_not_kept_goes_back_to_3_1_1),
        SESSION_TEST(a_session_that_is_not_kept_is_remembered),
        SESSION_TEST(a_lost_session_goes_back_to_3_1_1),
        SESSION_TEST(a_broker_of_5_alone_is_used_without_a_kept_session),
        SESSION_TEST(a_session_that_is_there_is_not_left),
        SESSION_TEST(a_session_that_is_not_kept_is_not_left_for_a_keep_alive),
        SESSION_TEST(a_larger_window_is_told_once),
        SESSION_TEST(a_disconnect_is_the_reason),
        SESSION_TEST(a_session_taken_over_is_told_at_once),
        SESSION_TEST(a_disconnect_in_place_of_an_answer_is_the_reason),
    };

    return cmocka_run_group_tests_name("the version of a session", tests, NULL, NULL);
}
