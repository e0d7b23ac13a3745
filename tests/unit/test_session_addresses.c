/*
 * The addresses of a broker's name: in which order they are tried, for how long, and what is said
 * of those that fail. Then TLS, whose failure is explained by a second handshake.
 */
#include "session_fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALONE_S   30 /* for the answer to CONNECT, of a name with one address */
#define PATIENT_S 10 /* of each of several, at first */

/* "broker.test:port: ", or "127.0.0.number:port: ". */
static const char *prefix(const struct fixture *fixture, int address)
{
    static char text[64];

    if (address < 0) {
        snprintf(text, sizeof(text), FAKE_BROKER_HOST ":%d: ", fixture->config.broker.port);
    } else {
        snprintf(text, sizeof(text), "127.0.0.%d:%d: ", 1 + address, fixture->config.broker.port);
    }
    return text;
}

/* --- which ---------------------------------------------------------------------------------- */

/* A broker that does not listen at ::1 is ordinary. */
static void an_address_that_refuses_tcp_is_passed_over(void **state)
{
    struct fixture *fixture = *state;

    fake_broker_resolve(2);
    fake_broker_refuse(0);
    begin_subscribed(fixture);
    assert_last_error(fixture, "");
    assert_int_equal(logged(fixture, "the next address works"), 1);
    assert_int_equal(logged(fixture, "debug c: broker.test"), 1);
    fixture_end(fixture);
    assert_non_null(strstr(fake_mqtt_notes(), "connecting(c) CONNECT/1 settled"));
}

/* One that accepts and does not answer may be a broken broker. The next attempt begins with the one
 * that worked. */
static void an_address_that_does_not_answer_is_told(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fake_broker_resolve(2);
    fake_mqtt_answer(FAKE_CLOSED);
    begin_subscribed(fixture);
    assert_int_equal(logged(fixture, prefix(fixture, -1)), 1);
    assert_int_equal(logged(fixture, prefix(fixture, 0)), 1);
    assert_int_equal(logged(fixture, "warning c: broker.test"), 1);
    lose_and_return(fixture);
    assert_conversation(fixture, CONNECTS "connecting(c) CONNECT/1 settled(c,uncertain,7) "
                                          "SUBSCRIBE(a/#,2)/1 SUBSCRIBE(b/#,2)/1 "
                                          "connecting(c) CONNECT/1 settled(c,none,7) "
                                          "SUBSCRIBE(a/#,2)/1 SUBSCRIBE(b/#,2)/1 DISCONNECT/1 ");
}

/* A packet filter in the way costs two seconds, once, and is told. */
static void an_address_without_an_answer_is_overtaken(void **state)
{
    struct fixture *fixture = *state;
    char line[128];

    fixture_know(fixture);
    fake_broker_resolve(2);
    fake_broker_hang(0);
    begin_subscribed(fixture);
    assert_int_equal(logged(fixture, "does not answer yet, trying the next address"), 1);
    snprintf(line, sizeof(line), "%.40sno answer within 2 s", prefix(fixture, 0));
    assert_int_equal(logged(fixture, line), 1);
    assert_last_error(fixture, line);
    lose_and_return(fixture);
    assert_conversation(fixture, "connecting(c) CONNECT/1 settled(c,none,7) "
                                 "SUBSCRIBE(a/#,2)/1 SUBSCRIBE(b/#,2)/1 "
                                 "connecting(c) CONNECT/1 settled(c,none,7) "
                                 "SUBSCRIBE(a/#,2)/1 SUBSCRIBE(b/#,2)/1 DISCONNECT/1 ");
    assert_int_equal(logged(fixture, "does not answer yet"), 1);
}

/* An address that answers CONNECT, and then not SUBSCRIBE, is tried last. */
static void an_address_that_fails_later_is_tried_last(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fake_broker_resolve(2);
    fake_mqtt_grant("a/#", FAKE_UNANSWERED);
    fixture_begin(fixture);
    wait_backoff(fixture);
    fake_mqtt_grant("a/#", 2);
    retry_subscribed(fixture);
    assert_conversation(fixture, CONNECTS "settled(c,none,7) SUBSCRIBE(a/#,2) DISCONNECT "
                                          "connecting(c) CONNECT/1 settled(c,none,7) "
                                          "SUBSCRIBE(a/#,2)/1 SUBSCRIBE(b/#,2)/1 DISCONNECT/1 ");
}

/* The daemon cut the connection itself, so the address keeps its place. */
static void an_address_is_not_blamed_for_the_daemon(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fake_broker_resolve(2);
    fake_mqtt_grant("a/#", FAKE_UNANSWERED);
    fake_mqtt_before_answer("SUBSCRIBE", sever_link, fixture);
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "connection cut by foxtrackrd: the test cuts it");
    assert_int_equal(losses(fixture, LOSS_DAEMON), 1);
    fake_mqtt_grant("a/#", 2);
    retry_subscribed(fixture);
    assert_conversation(fixture,
                        CONNECTS "settled(c,none,7) SUBSCRIBE(a/#,2) " KEPT_CONNECTION LEAVES);
}

/* --- none of them --------------------------------------------------------------------------- */

static void every_failure_is_in_the_reason(void **state)
{
    struct fixture *fixture = *state;
    int port = fixture->config.broker.port;
    char expected[256];

    fake_broker_resolve(2);
    fake_broker_refuse(1);
    fake_mqtt_answer(FAKE_REFUSED);
    fixture_begin(fixture);
    wait_backoff(fixture);
    snprintf(expected, sizeof(expected),
             FAKE_BROKER_HOST ":%d: 127.0.0.1:%d: the broker does not let this client in; "
                              "127.0.0.2:%d: Connection refused (nothing listens there",
             port, port, port);
    assert_state(fixture, SESSION_WAITING, expected);
    assert_last_error(fixture, expected);
}

/* Of three reasons that are long, two have room. */
static void reasons_without_room_are_left_out(void **state)
{
    struct fixture *fixture = *state;

    fake_broker_resolve(3);
    for (int i = 0; i < 3; i++) {
        fake_mqtt_answer(FAKE_CLOSED);
    }
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, prefix(fixture, 1));
    assert_state(fixture, SESSION_WAITING, "its log tells which; ...");
    assert_null(strstr(status_of(fixture).reason, prefix(fixture, 2)));
}

static void an_address_in_the_configuration_is_not_named_twice(void **state)
{
    struct fixture *fixture = *state;
    static char host[] = "127.0.0.1";

    fixture->config.broker.host = host;
    fake_mqtt_answer(FAKE_REFUSED);
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_int_equal(strncmp(status_of(fixture).reason, "127.0.0.1:", strlen("127.0.0.1:")), 0);
    assert_null(strstr(status_of(fixture).reason + 1, "127.0.0.1:"));
    fixture_end(fixture);
}

static void a_name_that_is_not_known_is_told(void **state)
{
    struct fixture *fixture = *state;

    fake_broker_resolve(0);
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "cannot resolve broker.host broker.test: ");
    fake_broker_resolve(1);
    retry_subscribed(fixture);
}

/* --- how long ------------------------------------------------------------------------------- */

static void one_address_has_the_longest_patience(void **state)
{
    struct fixture *fixture = *state;

    begin_subscribed(fixture);
    assert_int_equal(fake_mqtt_connect_timeout_s(), ALONE_S);
}

/* A broker that is slow at each of its addresses is reached in the end. */
static void the_patience_with_several_grows(void **state)
{
    static const int expected_s[] = {PATIENT_S, 2 * PATIENT_S, 3 * PATIENT_S, ALONE_S};
    struct fixture *fixture = *state;

    fake_broker_resolve(2);
    for (int i = 0; i < 8; i++) {
        fake_mqtt_answer(FAKE_SILENT);
    }
    fixture_begin(fixture);
    for (int i = 0; i < 4; i++) {
        wait_backoff(fixture);
        assert_int_equal(fake_mqtt_connect_timeout_s(), expected_s[i]);
        retry(fixture);
    }
    wait_subscribed(fixture);
    fake_mqtt_answer(FAKE_SILENT);
    lose_and_return(fixture);
    assert_int_equal(fake_mqtt_connect_timeout_s(), PATIENT_S); /* one answer is enough for that */
}

/* --- TLS ------------------------------------------------------------------------------------ */

static void use_tls(struct fixture *fixture, char *ca_file)
{
    fixture->config.broker.tls = true;
    fixture->config.broker.ca_file = ca_file;
}

static void stop_listening(void *context)
{
    (void)context;
    fake_broker_refuse(0);
}

/* CONNECT leaves after the handshake. No byte has come from the broker, so there was none. */
static void without_a_handshake_nothing_has_changed(void **state)
{
    struct fixture *fixture = *state;
    static char ca_file[] = "";

    use_tls(fixture, ca_file);
    fake_mqtt_answer(FAKE_CLOSED);
    fake_mqtt_before_answer("CONNECT", stop_listening, fixture); /* no second handshake either */
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "the broker closed the connection without an answer");
    assert_conversation(fixture, REFUSED_CONNECTION);
}

static void after_a_handshake_the_answer_is_uncertain(void **state)
{
    struct fixture *fixture = *state;
    static char ca_file[] = "";

    use_tls(fixture, ca_file);
    fake_mqtt_answer(FAKE_TLS_ALERT);
    fake_mqtt_before_answer("CONNECT", stop_listening, fixture);
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_conversation(fixture, CONNECTS);
}

/* The second handshake says why, and that there can have been no first one. */
static void a_handshake_that_is_refused_is_explained(void **state)
{
    struct fixture *fixture = *state;
    static char ca_file[] = "/nonexistent/ca.pem";

    use_tls(fixture, ca_file);
    fake_mqtt_answer(FAKE_TLS_ALERT);
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "/nonexistent/ca.pem");
    assert_conversation(fixture, REFUSED_CONNECTION);
}

/* Nothing is explained of a connection that the daemon has cut. */
static void a_cut_connection_is_not_dialled_again(void **state)
{
    struct fixture *fixture = *state;
    static char ca_file[] = "/nonexistent/ca.pem";

    use_tls(fixture, ca_file);
    fake_mqtt_answer(FAKE_CLOSED);
    fake_mqtt_before_answer("CONNECT", sever_link, fixture);
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "foxtrackrd cut the connection before the answer");
    assert_null(strstr(status_of(fixture).reason, "/nonexistent/ca.pem"));
}

/* --- the gate ------------------------------------------------------------------------------- */

/* Without the gate nothing holds acknowledgements back. Before a test has threads: it forks. */
static void a_client_past_the_gate_ends_the_process(void **state)
{
    struct fixture *fixture = *state;
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        alarm(UNIT_WAIT_MS / 1000);
        fake_mqtt_answer(FAKE_BYPASS);
        fixture_begin(fixture);
        fake_mqtt_next_wait();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_int_equal(logged(fixture, "Paho reached the broker without the gate"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(an_address_that_refuses_tcp_is_passed_over),
        SESSION_TEST(an_address_that_does_not_answer_is_told),
        SESSION_TEST(an_address_without_an_answer_is_overtaken),
        SESSION_TEST(an_address_that_fails_later_is_tried_last),
        SESSION_TEST(an_address_is_not_blamed_for_the_daemon),
        SESSION_TEST(every_failure_is_in_the_reason),
        SESSION_TEST(reasons_without_room_are_left_out),
        SESSION_TEST(an_address_in_the_configuration_is_not_named_twice),
        SESSION_TEST(a_name_that_is_not_known_is_told),
        SESSION_TEST(one_address_has_the_longest_patience),
        SESSION_TEST(the_patience_with_several_grows),
        SESSION_TEST(without_a_handshake_nothing_has_changed),
        SESSION_TEST(after_a_handshake_the_answer_is_uncertain),
        SESSION_TEST(a_handshake_that_is_refused_is_explained),
        SESSION_TEST(a_cut_connection_is_not_dialled_again),
        SESSION_TEST(a_client_past_the_gate_ends_the_process),
    };

    return cmocka_run_group_tests_name("the addresses of a broker", tests, NULL, NULL);
}
