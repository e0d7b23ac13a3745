/*
 * The records of CONNECT and of the broker's answer to it, in their order: the first is on disk
 * before CONNECT leaves, the second before the SUBSCRIBE that depends on it. A session that the
 * broker has lost, or may have lost, has a gap; no other session has one.
 */
#include "session_fixture.h"

#include <sched.h>
#include <stdatomic.h>

static void the_first_session_has_no_gap(void **state)
{
    struct fixture *fixture = *state;

    fake_mqtt_answer(FAKE_NEW);
    begin_subscribed(fixture);
    assert_false(status_of(fixture).session_present);
    assert_int_equal(status_of(fixture).connects, 1);
    assert_true(status_of(fixture).connected_since_ms > 0);
    assert_granted(fixture, 2, 2);
    assert_last_error(fixture, "");
    assert_conversation(fixture, FIRST_CONNECTION LEAVES);
    assert_int_equal(logged(fixture, "connected to broker.test"), 1);
    assert_int_equal(logged(fixture, "the broker has a session"), 0);
}

static void a_kept_session_goes_on(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    begin_subscribed(fixture);
    assert_true(status_of(fixture).session_present);
    assert_last_error(fixture, "");
    assert_conversation(fixture, KEPT_CONNECTION LEAVES);
}

/* The subscriptions of the old session are forgotten, and each new one is recorded. */
static void a_lost_session_is_a_gap(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fake_mqtt_answer(FAKE_NEW);
    begin_subscribed(fixture);
    assert_last_error(fixture, "the broker has lost the session");
    assert_conversation(fixture, LOST_CONNECTION LEAVES);
    assert_int_equal(logged(fixture, "see the table gaps"), 1);
}

/* In the same life of the daemon: once, and the session after it is as good as any. */
static void a_session_lost_later_is_one_gap(void **state)
{
    struct fixture *fixture = *state;

    fake_mqtt_answer(FAKE_NEW);
    fake_mqtt_answer(FAKE_NEW);
    fake_mqtt_answer(FAKE_KEPT);
    fixture_begin(fixture);
    for (int i = 0; i < 2; i++) {
        wait_subscribed(fixture);
        fake_mqtt_lose(FAKE_BY_BROKER);
        wait_backoff(fixture);
        retry(fixture);
    }
    wait_subscribed(fixture);
    assert_conversation(fixture, FIRST_CONNECTION LOST_CONNECTION KEPT_CONNECTION LEAVES);
}

static void a_session_that_only_the_broker_knows_is_said(void **state)
{
    struct fixture *fixture = *state;

    begin_subscribed(fixture);
    assert_conversation(fixture, CONNECTS "settled(c,none,7) " SUBSCRIBES_ANEW LEAVES);
    assert_int_equal(logged(fixture, "notice c: the broker has a session"), 1);
}

/* The disk of the old database may not be mounted. */
static void a_session_that_a_new_database_meets_is_a_warning(void **state)
{
    struct fixture *fixture = *state;

    fixture->database_is_new = true;
    begin_subscribed(fixture);
    fixture_end(fixture);
    assert_int_equal(logged(fixture, "warning c: the broker has a session"), 1);
    assert_int_equal(logged(fixture, "the disk with its database may not be mounted"), 1);
}

/* A database of PostgreSQL is on no disk of this machine. */
static void a_session_that_a_new_database_at_a_server_meets_is_a_warning(void **state)
{
    struct fixture *fixture = *state;

    fixture->database_is_new = true;
    fixture->config.database.engine = CONFIG_POSTGRESQL;
    begin_subscribed(fixture);
    fixture_end(fixture);
    assert_int_equal(logged(fixture, "warning c: the broker has a session"), 1);
    assert_int_equal(logged(fixture, "database.uri may name another database"), 1);
    assert_int_equal(logged(fixture, "mounted"), 0);
}

/* --- a CONNECT without an answer ------------------------------------------------------------- */

/* The daemon ended between CONNECT and the record of the answer. */
static void an_answer_that_is_not_on_record_is_uncertain(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fixture_doubt(fixture);
    begin_subscribed(fixture);
    assert_last_error(fixture, "a CONNECT was not answered before");
    lose_and_return(fixture);
    assert_conversation(fixture, UNCERTAIN_CONNECTION KEPT_CONNECTION LEAVES);
}

/* The broker's word that it has no session is certain. */
static void an_uncertain_session_that_is_gone_is_lost(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fixture_doubt(fixture);
    fake_mqtt_answer(FAKE_NEW);
    begin_subscribed(fixture);
    assert_conversation(fixture, LOST_CONNECTION LEAVES);
}

/* Nothing was kept before the first CONNECT. */
static void a_first_session_is_never_uncertain(void **state)
{
    struct fixture *fixture = *state;

    fixture_doubt(fixture);
    begin_subscribed(fixture);
    assert_conversation(fixture, CONNECTS "settled(c,none,7) " SUBSCRIBES_ANEW LEAVES);
}

static void an_unanswered_connect_makes_the_next_answer_uncertain(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fake_mqtt_answer(FAKE_CLOSED);
    fake_mqtt_answer(FAKE_SILENT);
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "closed the connection without an answer to CONNECT");
    retry(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "no answer to CONNECT");
    retry_subscribed(fixture);
    assert_int_equal(status_of(fixture).connects, 1);
    assert_conversation(fixture, CONNECTS CONNECTS UNCERTAIN_CONNECTION LEAVES);
}

static bool has_connected(void *context)
{
    (void)context;
    return strstr(fake_mqtt_notes(), "CONNECT") != NULL;
}

/* And so is the first one of the next life: that is what the record is for. */
static void a_stop_during_connect_leaves_its_record(void **state)
{
    struct fixture *fixture = *state;
    struct store_session record;

    fixture_know(fixture);
    fake_mqtt_answer(FAKE_ABSENT);
    fixture_begin(fixture);
    unit_wait(has_connected, NULL, "a CONNECT at the broker");
    fixture_end(fixture);
    assert_int_equal(store_session_find(fixture->store, CLIENT, &record), STORE_OK);
    assert_true(record.known && record.uncertain);
    begin_subscribed(fixture);
    assert_conversation(fixture, CONNECTS UNCERTAIN_CONNECTION LEAVES);
}

/* --- the protocol --------------------------------------------------------------------------- */

static void assert_protocol(const struct fixture *fixture, int version, int64_t asked_ms)
{
    struct store_session record;

    assert_int_equal(store_session_find(fixture->store, CLIENT, &record), STORE_OK);
    assert_int_equal(record.protocol.version, version);
    assert_int_equal(record.protocol.asked_ms, asked_ms);
}

/* With a new session and with a kept one. With a version that is configured, MQTT 5 counts as not
 * asked for: when the version is free again it is asked for at once. */
static void the_protocol_is_recorded(void **state)
{
    const struct store_protocol known = {.version = 5, .asked_ms = 3};
    struct fixture *fixture = *state;
    struct session_status status;

    fake_mqtt_answer(FAKE_NEW);
    fixture_begin(fixture);
    wait_subscribed(fixture);
    status = status_of(fixture);
    assert_int_equal(status.protocol, 4);
    assert_int_equal(status.keepalive_s, 60);
    fixture_end(fixture);
    assert_protocol(fixture, 4, 0);

    assert_int_equal(store_begin(fixture->store), STORE_OK);
    assert_int_equal(store_session_settled(fixture->store, CLIENT, STORE_GAP_NONE, &known, 7),
                     STORE_OK);
    assert_int_equal(store_commit(fixture->store), STORE_OK);
    fake_mqtt_begin(fixture->store);
    fixture_begin(fixture);
    wait_subscribed(fixture);
    fixture_end(fixture);
    assert_protocol(fixture, 4, 0);
}

/* --- a refusal ------------------------------------------------------------------------------ */

/* MQTT 3.1.1 §3.2.2.3: a broker that refuses a CONNECT has changed nothing. */
static void a_refused_connect_has_changed_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct store_session record;

    fixture_know(fixture);
    fake_mqtt_answer(FAKE_REFUSED);
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "the broker does not let this client in");
    assert_int_equal(status_of(fixture).connects, 0);
    retry_subscribed(fixture);
    assert_conversation(fixture, REFUSED_CONNECTION KEPT_CONNECTION LEAVES);
    assert_int_equal(store_session_find(fixture->store, CLIENT, &record), STORE_OK);
    assert_true(record.known && !record.uncertain);
}

/* A refusal says nothing of the CONNECT before it, whose answer is still not known. */
static void a_refusal_does_not_settle_an_earlier_connect(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fixture_doubt(fixture);
    fake_mqtt_answer(FAKE_REFUSED);
    fixture_begin(fixture);
    wait_backoff(fixture);
    retry_subscribed(fixture);
    assert_conversation(fixture, CONNECTS UNCERTAIN_CONNECTION LEAVES);
}

/* --- another broker ------------------------------------------------------------------------- */

/* Once: the second connection is to the same broker. */
static void another_broker_is_a_gap(void **state)
{
    struct fixture *fixture = *state;

    fixture->elsewhere = true;
    fake_mqtt_answer(FAKE_NEW);
    begin_subscribed(fixture);
    assert_last_error(fixture, "the broker is another one than before");
    lose_and_return(fixture);
    assert_conversation(fixture,
                        CONNECTS "established(c,moved,7) " SUBSCRIBES_ANEW KEPT_CONNECTION LEAVES);
    assert_int_equal(logged(fixture, "is another broker than before"), 1);
}

/* Back at a broker that has kept the session: the one in between may have kept messages too. */
static void another_broker_with_a_session_is_a_gap(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fixture->elsewhere = true;
    begin_subscribed(fixture);
    assert_conversation(fixture, CONNECTS "settled(c,moved,7) " SUBSCRIBES LEAVES);
}

/* --- the order ------------------------------------------------------------------------------ */

static _Atomic bool commit_may_end;

static void hold_commit(void *context)
{
    (void)context;
    while (!atomic_load(&commit_may_end)) {
        sched_yield();
    }
}

static bool waits_in_the_gate(void *context)
{
    struct gate_link_status link;

    gate_link_status(((struct fixture *)context)->gate, 0, &link);
    return link.held_bytes > 0;
}

static void deliver_one(void *context)
{
    (void)context;
    fake_mqtt_deliver("a/topic", "{", 1, 2);
    assert_true(fake_mqtt_arrives()); /* the acknowledgement, which the gate has let go */
}

/* A broker sends what it has kept right behind CONNACK. If the daemon dies after it has
 * acknowledged some of that, the next one must not take the session for uncertain. */
static void an_answer_is_on_record_before_the_first_message(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fake_mqtt_after_connack(deliver_one, NULL);
    begin_subscribed(fixture);
    assert_conversation(fixture,
                        CONNECTS "settled(c,none,7) ?topic durable(c) PUBREC " SUBSCRIBES LEAVES);
}

/* The gap is on disk before a message of the new session. */
static void a_loss_is_on_record_before_the_first_message(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fake_mqtt_answer(FAKE_NEW);
    fake_mqtt_after_connack(deliver_one, NULL);
    begin_subscribed(fixture);
    assert_conversation(fixture, CONNECTS
                        "established(c,lost,7) ?topic durable(c) PUBREC " SUBSCRIBES_ANEW LEAVES);
}

/* CONNECT is written while its record is being committed, and waits in the gate for that. */
static void connect_does_not_leave_before_its_record(void **state)
{
    struct fixture *fixture = *state;
    struct gate_link_status link;

    memory_watch_commits(fixture->store, hold_commit, NULL);
    fake_mqtt_answer(FAKE_NEW);
    fixture_begin(fixture);
    unit_wait(waits_in_the_gate, fixture, "a CONNECT that waits for a commit");
    gate_link_status(fixture->gate, 0, &link);
    assert_int_equal(link.to_broker_bytes, 0);
    assert_string_equal(fake_mqtt_notes(), "");
    atomic_store(&commit_may_end, true);
    wait_subscribed(fixture);
    assert_conversation(fixture, FIRST_CONNECTION LEAVES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(the_first_session_has_no_gap),
        SESSION_TEST(a_kept_session_goes_on),
        SESSION_TEST(a_lost_session_is_a_gap),
        SESSION_TEST(a_session_lost_later_is_one_gap),
        SESSION_TEST(a_session_that_only_the_broker_knows_is_said),
        SESSION_TEST(a_session_that_a_new_database_meets_is_a_warning),
        SESSION_TEST(a_session_that_a_new_database_at_a_server_meets_is_a_warning),
        SESSION_TEST(an_answer_that_is_not_on_record_is_uncertain),
        SESSION_TEST(an_uncertain_session_that_is_gone_is_lost),
        SESSION_TEST(a_first_session_is_never_uncertain),
        SESSION_TEST(an_unanswered_connect_makes_the_next_answer_uncertain),
        SESSION_TEST(a_stop_during_connect_leaves_its_record),
        SESSION_TEST(the_protocol_is_recorded),
        SESSION_TEST(a_refused_connect_has_changed_nothing),
        SESSION_TEST(a_refusal_does_not_settle_an_earlier_connect),
        SESSION_TEST(another_broker_is_a_gap),
        SESSION_TEST(another_broker_with_a_session_is_a_gap),
        SESSION_TEST(an_answer_is_on_record_before_the_first_message),
        SESSION_TEST(a_loss_is_on_record_before_the_first_message),
        SESSION_TEST(connect_does_not_leave_before_its_record),
    };

    return cmocka_run_group_tests_name("what a session puts on record", tests, NULL, NULL);
}
