/*
 * The broker's subscriptions become those of the configuration: every filter is asked for at every
 * connection, what the broker does not grant is asked for again, and what is not configured any
 * more is unsubscribed. What the broker has answered is on record.
 */
#include "session_fixture.h"

#define RETRY_FIRST_MS 2000
#define RETRY_LAST_MS  120000

/* --- refused, or granted below what was asked ----------------------------------------------- */

/* The other filter is subscribed all the same, and is not asked for again. */
static void a_refused_filter_is_asked_for_again(void **state)
{
    struct fixture *fixture = *state;

    fake_mqtt_answer(FAKE_NEW);
    fake_mqtt_grant("a/#", FAKE_REFUSES);
    fixture_begin(fixture);
    assert_int_equal(wait_partial(fixture), RETRY_FIRST_MS);
    assert_state(fixture, SESSION_PARTIAL, "the broker refuses a/#");
    assert_last_error(fixture, "the broker refuses a/#");
    assert_granted(fixture, SESSION_NOT_GRANTED, 2);
    assert_true(status_of(fixture).connected_since_ms > 0);
    fake_mqtt_pass_time();
    assert_int_equal(wait_partial(fixture), 2 * RETRY_FIRST_MS);
    fake_mqtt_grant("a/#", 2);
    fake_mqtt_pass_time();
    wait_subscribed(fixture);
    assert_granted(fixture, 2, 2);
    assert_conversation(fixture, CONNECTS "established(c,none,7) "
                                          "SUBSCRIBE(a/#,2) SUBSCRIBE(b/#,2) "
                                          "subscribed(c,b/#,2,7) SUBSCRIBE(a/#,2) "
                                          "SUBSCRIBE(a/#,2) subscribed(c,a/#,2,7) " LEAVES);
}

static void a_lower_qos_is_recorded_and_asked_for_again(void **state)
{
    struct fixture *fixture = *state;

    fake_mqtt_answer(FAKE_NEW);
    fake_mqtt_grant("b/#", 1);
    fixture_begin(fixture);
    assert_int_equal(wait_partial(fixture), RETRY_FIRST_MS);
    assert_state(fixture, SESSION_PARTIAL, "the broker grants QoS 1 for b/#, asked was 2");
    assert_granted(fixture, 2, 1);
    fake_mqtt_pass_time();
    wait_partial(fixture); /* the same answer is no second record */
    fake_mqtt_grant("b/#", 2);
    fake_mqtt_pass_time();
    wait_subscribed(fixture);
    assert_granted(fixture, 2, 2);
    assert_conversation(fixture, CONNECTS "established(c,none,7) "
                                          "SUBSCRIBE(a/#,2) subscribed(c,a/#,2,7) "
                                          "SUBSCRIBE(b/#,2) subscribed(c,b/#,1,7) "
                                          "SUBSCRIBE(b/#,2) "
                                          "SUBSCRIBE(b/#,2) subscribed(c,b/#,2,7) " LEAVES);
}

static void every_refused_filter_is_told(void **state)
{
    struct fixture *fixture = *state;

    fake_mqtt_grant("a/#", FAKE_REFUSES);
    fake_mqtt_grant("b/#", 1);
    fixture_begin(fixture);
    wait_partial(fixture);
    assert_state(fixture, SESSION_PARTIAL,
                 "the broker refuses a/#; the broker grants QoS 1 for b/#, asked was 2");
}

/* Six filters, of which three have room in the reason. */
static void filters_without_room_are_counted(void **state)
{
    static char filters[6][200];
    static char *pointers[6];
    struct fixture *fixture = *state;

    for (int i = 0; i < 6; i++) {
        memset(filters[i], 'a' + i, sizeof(filters[i]) - 1);
        pointers[i] = filters[i];
        fake_mqtt_grant(filters[i], FAKE_REFUSES);
    }
    fixture->config.sessions[0].filters = pointers;
    fixture->config.sessions[0].filter_count = 6;
    fixture_begin(fixture);
    wait_partial(fixture);
    assert_state(fixture, SESSION_PARTIAL, filters[2]);
    assert_state(fixture, SESSION_PARTIAL, "ccc; and 3 more");
    assert_null(strstr(status_of(fixture).reason, "ddd"));
}

static void the_time_between_two_requests_grows_to_its_limit(void **state)
{
    struct fixture *fixture = *state;
    int wait_ms = 0;

    fake_mqtt_grant("a/#", FAKE_REFUSES);
    fixture_begin(fixture);
    for (int expected_ms = RETRY_FIRST_MS; expected_ms < RETRY_LAST_MS; expected_ms *= 2) {
        wait_ms = wait_partial(fixture);
        assert_int_equal(wait_ms, expected_ms);
        fake_mqtt_pass_time();
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(wait_partial(fixture), RETRY_LAST_MS);
        fake_mqtt_pass_time();
    }
    wait_partial(fixture);
}

/* A new connection asks for everything, and at the first pace. */
static void a_loss_while_a_filter_is_refused_begins_anew(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fake_mqtt_grant("a/#", FAKE_REFUSES);
    fixture_begin(fixture);
    wait_partial(fixture);
    fake_mqtt_lose(FAKE_BY_BROKER);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "the broker closed the connection");
    assert_int_equal(losses(fixture, LOSS_BROKER), 1);
    retry(fixture);
    assert_int_equal(wait_partial(fixture), RETRY_FIRST_MS);
    assert_granted(fixture, SESSION_NOT_GRANTED, 2);
    assert_conversation(fixture, KEPT_CONNECTION KEPT_CONNECTION LEAVES);
}

/* --- no answer ------------------------------------------------------------------------------ */

static void pass_a_minute(void *context)
{
    (void)context;
    shifted_clock_pass(60000);
}

/* The connection is given up: the broker may have anything. What was granted on it counts no more.
 * The request names the reason better than the silence does. */
static void an_unanswered_subscribe_ends_the_connection(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fake_mqtt_grant("b/#", FAKE_UNANSWERED);
    fake_mqtt_before_answer("SUBSCRIBE(b", pass_a_minute, NULL);
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "no answer to SUBSCRIBE to b/#");
    assert_int_equal(losses(fixture, LOSS_SILENCE), 1);
    fake_mqtt_grant("b/#", 2);
    retry_subscribed(fixture);
    assert_conversation(fixture, KEPT_CONNECTION LEAVES KEPT_CONNECTION LEAVES);
}

/* The broker's end of the connection is the answer, and no sign of another client. */
static void an_end_in_place_of_suback_is_told_with_its_filter(void **state)
{
    struct fixture *fixture = *state;

    fake_mqtt_grant("b/#", FAKE_UNANSWERED);
    fake_mqtt_before_answer("SUBSCRIBE(b", fake_mqtt_hang_up, NULL);
    fixture_begin(fixture);
    for (int i = 0; i < 3; i++) {
        wait_backoff(fixture);
        assert_state(fixture, SESSION_WAITING,
                     "no answer to SUBSCRIBE to b/#: the broker ended the connection instead");
        fake_mqtt_before_answer("SUBSCRIBE(b", fake_mqtt_hang_up, NULL);
        retry(fixture);
    }
    wait_backoff(fixture);
    assert_int_equal(losses(fixture, LOSS_BROKER), 4);
    assert_int_equal(logged(fixture, "does another client use this client id"), 0);
}

/* --- shared ---------------------------------------------------------------------------------- */

static void a_shared_subscription_is_warned_of_once(void **state)
{
    struct fixture *fixture = *state;
    static char shared[] = "$share/fox/a/#";
    static char *filters[] = {shared};

    fixture->config.sessions[0].filters = filters;
    fixture->config.sessions[0].filter_count = 1;
    begin_subscribed(fixture);
    lose_and_return(fixture);
    fixture_end(fixture);
    assert_int_equal(logged(fixture, "$share/fox/a/# is a shared subscription"), 1);
}

static void others_are_not_warned_of(void **state)
{
    struct fixture *fixture = *state;

    begin_subscribed(fixture);
    assert_int_equal(logged(fixture, "shared subscription"), 0);
}

/* --- not configured any more ---------------------------------------------------------------- */

/* Before the others are subscribed, and once: it is forgotten on record, and by the session. */
static void a_removed_filter_is_unsubscribed_once(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fixture_remember(fixture, "old/#", 2);
    begin_subscribed(fixture);
    lose_and_return(fixture);
    fixture_end(fixture);
    begin_subscribed(fixture);
    assert_conversation(
        fixture,
        CONNECTS "settled(c,none,7) UNSUBSCRIBE(old/#) "
                 "unsubscribed(c,old/#) " SUBSCRIBES KEPT_CONNECTION LEAVES KEPT_CONNECTION LEAVES);
    assert_int_equal(logged(fixture, "unsubscribed from old/#"), 1);
}

static void an_unanswered_unsubscribe_is_repeated(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fixture_remember(fixture, "old/#", 2);
    fake_mqtt_grant("old/#", FAKE_UNANSWERED);
    fake_mqtt_before_answer("UNSUBSCRIBE", pass_a_minute, NULL);
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "no answer to UNSUBSCRIBE from old/#");
    fake_mqtt_grant("old/#", 2);
    retry_subscribed(fixture);
    assert_conversation(fixture, CONNECTS "settled(c,none,7) UNSUBSCRIBE(old/#) " LEAVES CONNECTS
                                          "settled(c,none,7) UNSUBSCRIBE(old/#) "
                                          "unsubscribed(c,old/#) " SUBSCRIBES LEAVES);
}

/* MQTT 5. The other filters are subscribed meanwhile. */
static void a_refused_unsubscribe_is_told_and_repeated(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fixture_remember(fixture, "old/#", 2);
    fake_mqtt_grant("old/#", FAKE_REFUSES);
    fixture_begin(fixture);
    wait_partial(fixture);
    assert_state(fixture, SESSION_PARTIAL,
                 "the broker refuses UNSUBSCRIBE from old/#, so its messages still come");
    fake_mqtt_grant("old/#", 2);
    fake_mqtt_pass_time();
    wait_subscribed(fixture);
    assert_conversation(fixture, CONNECTS "settled(c,none,7) UNSUBSCRIBE(old/#) " SUBSCRIBES
                                          "UNSUBSCRIBE(old/#) unsubscribed(c,old/#) " LEAVES);
}

static void a_new_session_has_nothing_to_unsubscribe(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fixture_remember(fixture, "old/#", 2);
    fake_mqtt_answer(FAKE_NEW);
    begin_subscribed(fixture);
    assert_conversation(fixture, LOST_CONNECTION LEAVES);
}

/* --- what was remembered -------------------------------------------------------------------- */

/* And remembered from then on. */
static void another_qos_than_remembered_is_recorded(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fixture_remember(fixture, "a/#", 1);
    begin_subscribed(fixture);
    lose_and_return(fixture);
    assert_conversation(fixture, CONNECTS "settled(c,none,7) "
                                          "SUBSCRIBE(a/#,2) subscribed(c,a/#,2,7) "
                                          "SUBSCRIBE(b/#,2) " KEPT_CONNECTION LEAVES);
    assert_int_equal(logged(fixture, "subscribed to a/# with QoS 2"), 1);
    assert_int_equal(logged(fixture, "subscribed again to a/# with QoS 2"), 1);
    assert_int_equal(logged(fixture, "subscribed again to b/# with QoS 2"), 2);
}

/* --- the intake refuses --------------------------------------------------------------------- */

/* An answer that is not on record counts for nothing: the connection ends, and all is asked anew.
 */
static void a_subscription_that_cannot_be_recorded_is_asked_for_again(void **state)
{
    struct fixture *fixture = *state;

    fake_mqtt_answer(FAKE_NEW);
    fake_mqtt_before_answer("SUBSCRIBE(b", refuse_intake, fixture);
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "cut by foxtrackrd: the database is not writable");
    assert_int_equal(losses(fixture, LOSS_DAEMON), 1);
    allow_intake(fixture);
    retry_subscribed(fixture);
    assert_conversation(fixture, CONNECTS "established(c,none,7) "
                                          "SUBSCRIBE(a/#,2) subscribed(c,a/#,2,7) "
                                          "SUBSCRIBE(b/#,2) " LEAVES CONNECTS "settled(c,none,7) "
                                          "SUBSCRIBE(a/#,2) "
                                          "SUBSCRIBE(b/#,2) subscribed(c,b/#,2,7) " LEAVES);
}

static void an_unsubscribe_that_cannot_be_recorded_is_repeated(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fixture_remember(fixture, "old/#", 2);
    fake_mqtt_before_answer("UNSUBSCRIBE", refuse_intake, fixture);
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_int_equal(losses(fixture, LOSS_DAEMON), 1);
    allow_intake(fixture);
    retry_subscribed(fixture);
    assert_conversation(fixture, CONNECTS "settled(c,none,7) UNSUBSCRIBE(old/#) " LEAVES CONNECTS
                                          "settled(c,none,7) UNSUBSCRIBE(old/#) "
                                          "unsubscribed(c,old/#) " SUBSCRIBES LEAVES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(a_refused_filter_is_asked_for_again),
        SESSION_TEST(a_lower_qos_is_recorded_and_asked_for_again),
        SESSION_TEST(every_refused_filter_is_told),
        SESSION_TEST(filters_without_room_are_counted),
        SESSION_TEST(the_time_between_two_requests_grows_to_its_limit),
        SESSION_TEST(a_loss_while_a_filter_is_refused_begins_anew),
        SESSION_TEST(an_unanswered_subscribe_ends_the_connection),
        SESSION_TEST(an_end_in_place_of_suback_is_told_with_its_filter),
        SESSION_TEST(a_shared_subscription_is_warned_of_once),
        SESSION_TEST(others_are_not_warned_of),
        SESSION_TEST(a_removed_filter_is_unsubscribed_once),
        SESSION_TEST(an_unanswered_unsubscribe_is_repeated),
        SESSION_TEST(a_refused_unsubscribe_is_told_and_repeated),
        SESSION_TEST(a_new_session_has_nothing_to_unsubscribe),
        SESSION_TEST(another_qos_than_remembered_is_recorded),
        SESSION_TEST(a_subscription_that_cannot_be_recorded_is_asked_for_again),
        SESSION_TEST(an_unsubscribe_that_cannot_be_recorded_is_repeated),
    };

    return cmocka_run_group_tests_name("a session's subscriptions", tests, NULL, NULL);
}
