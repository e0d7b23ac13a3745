/* Records of sessions and subscriptions belong to a broker and a client id. */
#include "store_fixture.h"

#include "memory_engine.h"

#define CLIENT "id-a-01"

/* Close what is open, and open the database as a daemon does whose broker this is. */
static struct store *open_for(struct fixture *fixture, const char *broker)
{
    const struct store_options options = {
        .path = fixture->path, .broker = broker, .durability = STORE_FULL, .busy_timeout_ms = 20};

    if (fixture->store != NULL) {
        fixture_close(fixture);
    }
    assert_int_equal(store_open(&options, &fixture->store, fixture->problem, 512), STORE_OK);
    assert_int_equal(store_begin(fixture->store), STORE_OK);
    return fixture->store;
}

static void assert_session(struct store *store, bool known, bool uncertain, bool elsewhere)
{
    struct store_session session;

    assert_int_equal(store_session_find(store, CLIENT, &session), STORE_OK);
    assert_int_equal(session.known, known);
    assert_int_equal(session.uncertain, uncertain);
    assert_int_equal(session.elsewhere, elsewhere);
}

static int collect(void *context, const char *filter, int qos)
{
    char *text = context;

    snprintf(text + strlen(text), 32, "%s=%d ", filter, qos);
    return strcmp(filter, "stop") == 0 ? 7 : 0;
}

static void assert_subscriptions(struct store *store, const char *expected)
{
    char text[128] = "";

    assert_int_equal(store_subscriptions(store, CLIENT, collect, text), STORE_OK);
    assert_string_equal(text, expected);
}

static void each_broker_has_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = open_for(fixture, "north:8883");

    assert_int_equal(store_session_established(store, CLIENT, STORE_GAP_NONE, NULL, 100), STORE_OK);
    assert_int_equal(store_session_durable(store, CLIENT, 150), STORE_OK);
    assert_int_equal(store_subscribed(store, CLIENT, "n/#", 2, 100), STORE_OK);
    assert_int_equal(store_commit(store), STORE_OK);

    store = open_for(fixture, "south:8883");
    assert_session(store, false, false, true);
    assert_subscriptions(store, "");
    assert_int_equal(store_session_connecting(store, CLIENT), STORE_OK);
    assert_session(store, false, true, true);
    assert_int_equal(store_session_established(store, CLIENT, STORE_GAP_MOVED, NULL, 300),
                     STORE_OK);
    assert_int_equal(store_subscribed(store, CLIENT, "s/#", 1, 300), STORE_OK);
    assert_int_equal(store_session_durable(store, CLIENT, 350), STORE_OK);
    assert_session(store, true, false, false);
    assert_int_equal(store_commit(store), STORE_OK);
    assert_look(
        fixture,
        "SELECT json_group_array(json_array(last_durable_ms, resumed_ms, reason)) FROM gaps",
        "[[150,300,\"broker changed\"]]");

    /* Back again: everything is as it was left, and a loss begins where this one was last heard. */
    store = open_for(fixture, "north:8883");
    assert_session(store, true, false, true);
    assert_subscriptions(store, "n/#=2 ");
    assert_int_equal(store_session_settled(store, CLIENT, STORE_GAP_MOVED, NULL, 390), STORE_OK);
    assert_session(store, true, false, false);
    assert_subscriptions(store, "n/#=2 "); /* the session is the one of before */
    assert_int_equal(store_session_established(store, CLIENT, STORE_GAP_LOST, NULL, 400), STORE_OK);
    assert_subscriptions(store, "");
    assert_int_equal(store_commit(store), STORE_OK);
    assert_look(fixture, "SELECT last_durable_ms FROM gaps WHERE reason = 'session lost'", "150");
    /* The clock that wrote the time of the last data was ahead: that is not known any more. */
    store = open_for(fixture, "north:8883");
    assert_int_equal(store_session_durable(store, CLIENT, 900), STORE_OK);
    assert_int_equal(store_session_established(store, CLIENT, STORE_GAP_LOST, NULL, 500), STORE_OK);
    assert_int_equal(store_commit(store), STORE_OK);
    assert_look(fixture, "SELECT last_durable_ms IS NULL FROM gaps WHERE resumed_ms = 500", "1");

    store = open_for(fixture, "south:8883");
    assert_subscriptions(store, "s/#=1 ");
    assert_int_equal(store_unsubscribed(store, CLIENT, "s/#"), STORE_OK);
    assert_subscriptions(store, "");
    assert_int_equal(store_commit(store), STORE_OK);
}

static void rows_without_a_broker_get_the_configured_one(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = open_for(fixture, "");

    assert_int_equal(store_session_established(store, CLIENT, STORE_GAP_NONE, NULL, 100), STORE_OK);
    assert_int_equal(store_subscribed(store, CLIENT, "a/#", 2, 100), STORE_OK);
    assert_int_equal(store_commit(store), STORE_OK);

    store = open_for(fixture, "north:8883");
    assert_session(store, true, false, false);
    assert_subscriptions(store, "a/#=2 ");
    assert_int_equal(store_commit(store), STORE_OK);
    assert_look(fixture, "SELECT group_concat(broker) FROM sessions", "north:8883");
    assert_look(fixture, "SELECT group_concat(broker) FROM subscriptions", "north:8883");
}

static void assert_gaps(const struct fixture *fixture, const char *expected)
{
    assert_look(fixture,
                "SELECT json_group_array(json_array(last_durable_ms, resumed_ms)) FROM"
                " (SELECT * FROM gaps WHERE client_id = '" CLIENT "' ORDER BY resumed_ms)",
                expected);
}

static void lose(struct fixture *fixture, int64_t now_ms)
{
    begin(fixture);
    assert_int_equal(
        store_session_established(fixture->store, CLIENT, STORE_GAP_LOST, NULL, now_ms), STORE_OK);
    /* Applied again after a commit that failed and took effect all the same. */
    assert_int_equal(
        store_session_established(fixture->store, CLIENT, STORE_GAP_LOST, NULL, now_ms), STORE_OK);
    commit(fixture);
}

/* A broker that ends the connection at SUBSCRIBE: one row covers all sessions without a
 * subscription, from the last data to the last of them. */
static void sessions_without_a_subscription_share_a_gap(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture);
    assert_int_equal(store_session_established(fixture->store, CLIENT, STORE_GAP_NONE, NULL, 100),
                     STORE_OK);
    assert_int_equal(
        store_session_established(fixture->store, "id-b-01", STORE_GAP_LOST, NULL, 200), STORE_OK);
    commit(fixture);
    lose(fixture, 200);
    assert_gaps(fixture, "[[100,200]]");
    lose(fixture, 300);
    lose(fixture, 400);
    assert_gaps(fixture, "[[100,400]]");
    assert_look(fixture, "SELECT resumed_ms FROM gaps WHERE client_id = 'id-b-01'", "200");
    lose(fixture, 350); /* the clock was put back */
    assert_gaps(fixture, "[[null,350],[100,400]]");
}

/* Whatever may have kept a message for us: the loss has a row of its own. */
static void a_session_that_may_have_kept_a_message_has_its_own_gap(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;

    begin(fixture);
    assert_int_equal(store_session_established(store, CLIENT, STORE_GAP_NONE, NULL, 100), STORE_OK);
    commit(fixture);
    lose(fixture, 200);
    begin(fixture); /* a subscription on record */
    assert_int_equal(store_subscribed(store, CLIENT, "a/#", 0, 210), STORE_OK);
    commit(fixture);
    lose(fixture, 300);
    assert_gaps(fixture, "[[100,200],[200,300]]");
    begin(fixture); /* data */
    assert_int_equal(store_session_durable(store, CLIENT, 310), STORE_OK);
    commit(fixture);
    lose(fixture, 400);
    assert_gaps(fixture, "[[100,200],[200,300],[310,400]]");
    begin(fixture); /* a gap of another kind is between them */
    assert_int_equal(store_session_established(store, CLIENT, STORE_GAP_MOVED, NULL, 500),
                     STORE_OK);
    commit(fixture);
    lose(fixture, 600);
    assert_gaps(fixture, "[[100,200],[200,300],[310,400],[310,500],[310,600]]");
}

static void subscriptions_are_remembered_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    char text[128] = "";

    begin(fixture);
    assert_int_equal(store_subscribed(store, CLIENT, "z/#", 2, 1), STORE_OK);
    assert_int_equal(store_subscribed(store, CLIENT, "a/#", 2, 1), STORE_OK);
    assert_int_equal(store_subscribed(store, "id-b-01", "b/#", 2, 1), STORE_OK);
    assert_int_equal(store_subscribed(store, CLIENT, "a/#", 1, 2), STORE_OK);
    assert_int_equal(store_subscribed(store, CLIENT, "gone", 1, 2), STORE_OK);
    assert_int_equal(store_unsubscribed(store, CLIENT, "gone"), STORE_OK);
    commit(fixture);
    assert_int_equal(store_subscriptions(store, CLIENT, collect, text), STORE_OK);
    assert_string_equal(text, "a/#=1 z/#=2 ");

    begin(fixture);
    assert_int_equal(store_subscribed(store, CLIENT, "stop", 0, 2), STORE_OK);
    commit(fixture);
    text[0] = '\0';
    assert_int_equal(store_subscriptions(store, CLIENT, collect, text), 7);
    assert_string_equal(text, "a/#=1 stop=0 ");
    text[0] = '\0'; /* a walk that was ended leaves no statement open */
    assert_int_equal(store_subscriptions(store, "nobody", collect, text), STORE_OK);
    assert_string_equal(text, "");
}

static void sessions_and_gaps(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;

    assert_session(store, false, false, false);
    begin(fixture);
    assert_int_equal(store_session_connecting(store, CLIENT), STORE_OK);
    assert_session(store, false, true, false);
    assert_int_equal(store_session_settled(store, CLIENT, STORE_GAP_NONE, NULL, 0),
                     STORE_OK); /* refused */
    assert_session(store, false, false, false);
    assert_int_equal(store_session_established(store, CLIENT, STORE_GAP_NONE, NULL, 100), STORE_OK);
    assert_session(store, true, false, false);
    assert_int_equal(store_subscribed(store, CLIENT, "a/#", 2, 100), STORE_OK);
    assert_int_equal(store_session_connecting(store, CLIENT), STORE_OK);
    assert_session(store, true, true, false);
    assert_int_equal(store_session_settled(store, CLIENT, STORE_GAP_NONE, NULL, 150),
                     STORE_OK); /* kept: not new */
    commit(fixture);
    assert_look(fixture,
                "SELECT json_array(established_ms, last_durable_ms, connecting)"
                " FROM sessions",
                "[100,null,0]");
    assert_look(fixture, "SELECT count(*) FROM gaps", "0");

    begin(fixture); /* lost before any data: the gap begins where the session did */
    assert_int_equal(store_session_established(store, CLIENT, STORE_GAP_LOST, NULL, 200), STORE_OK);
    assert_int_equal(store_session_durable(store, CLIENT, 250), STORE_OK);
    assert_int_equal(store_session_durable(store, CLIENT, 300), STORE_OK);
    assert_int_equal(store_session_established(store, CLIENT, STORE_GAP_UNCERTAIN, NULL, 400),
                     STORE_OK);
    assert_int_equal(store_session_durable(store, "id-b-01", 500), STORE_OK);
    assert_int_equal(store_session_established(store, "id-c-01", STORE_GAP_LOST, NULL, 600),
                     STORE_OK);
    commit(fixture);
    assert_look(fixture, "SELECT json_array(established_ms, last_durable_ms) FROM sessions",
                "[400,300]");
    assert_look(
        fixture,
        "SELECT json_group_array(json_array(client_id, last_durable_ms, resumed_ms, reason))"
        " FROM gaps",
        "[[\"id-a-01\",100,200,\"session lost\"],"
        "[\"id-a-01\",300,400,\"session uncertain\"],"
        "[\"id-c-01\",null,600,\"session lost\"]]");
    assert_look(fixture, "SELECT count(*) FROM subscriptions", "0"); /* a new session has none */
}

static void assert_protocol(struct store *store, int version, int64_t asked_ms)
{
    struct store_session session;

    assert_int_equal(store_session_find(store, CLIENT, &session), STORE_OK);
    assert_int_equal(session.protocol.version, version);
    assert_int_equal(session.protocol.asked_ms, asked_ms);
}

/* In an open batch of an engine, which is committed. */
static void remember_protocols(struct store *store)
{
    const struct store_protocol five = {.version = 5, .asked_ms = 90};
    const struct store_protocol three = {.version = 4};
    const struct store_protocol unknown = {.asked_ms = 80};

    assert_protocol(store, 0, 0);
    assert_int_equal(store_session_established(store, CLIENT, STORE_GAP_NONE, NULL, 100), STORE_OK);
    assert_protocol(store, 0, 0);
    assert_int_equal(store_session_settled(store, CLIENT, STORE_GAP_NONE, &five, 110), STORE_OK);
    assert_protocol(store, 5, 90);
    /* A refusal, and an answer whose version is not known, leave the record. */
    assert_int_equal(store_session_settled(store, CLIENT, STORE_GAP_NONE, NULL, 0), STORE_OK);
    assert_int_equal(store_session_settled(store, CLIENT, STORE_GAP_NONE, &unknown, 120), STORE_OK);
    assert_int_equal(store_session_established(store, CLIENT, STORE_GAP_NONE, NULL, 130), STORE_OK);
    assert_int_equal(store_session_durable(store, CLIENT, 140), STORE_OK);
    assert_protocol(store, 5, 90);
    /* A version is recorded together with its time. */
    assert_int_equal(store_session_established(store, CLIENT, STORE_GAP_NONE, &three, 150),
                     STORE_OK);
    assert_protocol(store, 4, 0);
    assert_int_equal(store_session_established(store, CLIENT, STORE_GAP_NONE, &five, 160),
                     STORE_OK);
    assert_int_equal(store_commit(store), STORE_OK);
    assert_protocol(store, 5, 90);
}

static void the_protocol_is_remembered(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = open_for(fixture, "north:8883");

    remember_protocols(store);
    assert_look(fixture, "SELECT json_array(protocol, protocol_asked_ms) FROM sessions", "[5,90]");
    store = open_for(fixture, "south:8883"); /* another broker may speak another version */
    assert_protocol(store, 0, 0);
    assert_int_equal(store_session_established(store, CLIENT, STORE_GAP_MOVED,
                                               &(struct store_protocol){.version = 4}, 300),
                     STORE_OK);
    assert_protocol(store, 4, 0);
    assert_int_equal(store_commit(store), STORE_OK);
    assert_look(fixture,
                "SELECT json_group_array(protocol_asked_ms) FROM"
                " (SELECT * FROM sessions ORDER BY protocol)",
                "[null,90]");
}

static void the_engine_in_memory_remembers_protocols_too(void **state)
{
    struct store *store = memory_store_new();

    (void)state;
    assert_non_null(store);
    assert_int_equal(store_begin(store), STORE_OK);
    remember_protocols(store);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sessions_without_a_subscription_share_a_gap,
                                        fixture_make_open, fixture_remove),
        cmocka_unit_test_setup_teardown(a_session_that_may_have_kept_a_message_has_its_own_gap,
                                        fixture_make_open, fixture_remove),
        cmocka_unit_test_setup_teardown(subscriptions_are_remembered_in_order, fixture_make_open,
                                        fixture_remove),
        cmocka_unit_test_setup_teardown(the_protocol_is_remembered, fixture_make, fixture_remove),
        cmocka_unit_test(the_engine_in_memory_remembers_protocols_too),
        cmocka_unit_test_setup_teardown(sessions_and_gaps, fixture_make_open, fixture_remove),
        cmocka_unit_test_setup_teardown(each_broker_has_its_own, fixture_make, fixture_remove),
        cmocka_unit_test_setup_teardown(rows_without_a_broker_get_the_configured_one, fixture_make,
                                        fixture_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
