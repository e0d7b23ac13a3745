/*
 * The version of MQTT at a broker that speaks 5, 3.1.1, or both: which CONNECTs leave, and that
 * none of them changes what is known of the session's fate when it is only a question. Then what a
 * CONNACK of MQTT 5 says of expiry and keep alive, and the DISCONNECT of a broker.
 */
#include "session_fixture.h"

#define CONNECTS_5 "connecting(c) CONNECT5 "
#define FIRST_5    CONNECTS_5 "established(c,none,7) " SUBSCRIBES_ANEW
#define KEPT_5     CONNECTS_5 "settled(c,none,7) " SUBSCRIBES
#define USELESS_5  CONNECTS_5 "settled(c,none,0) DISCONNECT "
#define WEEK_MS    INT64_C(604800000)

static void use_auto(struct fixture *fixture)
{
    fixture->config.broker.protocol = CONFIG_AUTO;
}

/* Puts on record which version was accepted, and when MQTT 5 was asked for. */
static void remember_protocol(struct fixture *fixture, int version, int64_t asked_ms)
{
    const struct store_protocol protocol = {.version = version, .asked_ms = asked_ms};

    assert_int_equal(store_begin(fixture->store), STORE_OK);
    assert_int_equal(store_session_settled(fixture->store, CLIENT, STORE_GAP_NONE, &protocol, 1),
                     STORE_OK);
    assert_int_equal(store_commit(fixture->store), STORE_OK);
    fake_mqtt_begin(fixture->store);
}

static void assert_on_record(struct fixture *fixture, int version, int64_t asked_ms)
{
    struct store_session record;

    assert_int_equal(store_session_find(fixture->store, CLIENT, &record), STORE_OK);
    assert_int_equal(record.protocol.version, version);
    assert_int_equal(record.protocol.asked_ms, asked_ms);
}

/* The session is on record, without the version of MQTT that it was made with. */
static void know_with(struct fixture *fixture, enum config_protocol protocol)
{
    fixture->config.broker.protocol = protocol;
    fixture_know(fixture);
}

/* The session connects, loses the connection, and connects again. */
static void begin_and_return(struct fixture *fixture)
{
    begin_subscribed(fixture);
    lose_and_return(fixture);
}

/* The first attempt fails; `says` is a part of its reason. */
static void begin_and_fail(struct fixture *fixture, const char *says)
{
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, says);
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

/* So may one whose answer was of MQTT 3.1.1. */
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
