/*
 * A session whose broker is behind a proxy: what the proxy is asked, what becomes of a session that
 * the proxy lets down, and where the proxy is named. proxy_open() (linked with --wrap) is the
 * test's; the proxy's addresses are those of fake_broker.h, and behind them is its broker.
 */
#include "session_fixture.h"

#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#define BROKER_HOST "far.test"
#define BROKER_PORT 8883
#define ANSWERS     4
#define FORBIDS     "the proxy forbids it, the test says"

static char broker_host[] = BROKER_HOST;
static char proxy_host[] = FAKE_BROKER_HOST;
static char proxy_address[] = "127.0.0.1";
static char user[] = "me";
static char password[] = "hunter2";

/* The proxy's answers, and the requests that it got. */
static struct {
    enum proxy_result answers[ANSWERS]; /* PROXY_OK behind them */
    _Atomic int asked;
    enum proxy_kind kind;
    char question[64]; /* "user:password>host:port" */
} proxy;

enum proxy_result __wrap_proxy_open(int fd, const struct proxy *way, const char *host, int port,
                                    int timeout_ms, int stop_fd, char problem[PROXY_PROBLEM_SIZE]);

enum proxy_result __wrap_proxy_open(int fd, const struct proxy *way, const char *host, int port,
                                    int timeout_ms, int stop_fd, char problem[PROXY_PROBLEM_SIZE])
{
    int number = atomic_load(&proxy.asked);
    enum proxy_result answer = number < ANSWERS ? proxy.answers[number] : PROXY_OK;
    struct pollfd stop = {.fd = stop_fd, .events = POLLIN};

    (void)fd;
    (void)timeout_ms;
    proxy.kind = way->kind;
    snprintf(proxy.question, sizeof(proxy.question), "%s:%s>%s:%d",
             way->user != NULL ? way->user : "", way->password != NULL ? way->password : "", host,
             port);
    snprintf(problem, PROXY_PROBLEM_SIZE, "%s", answer == PROXY_E_REFUSED ? FORBIDS : "");
    atomic_fetch_add(&proxy.asked, 1);
    if (answer == PROXY_STOPPED) {
        poll(&stop, 1, -1);
    }
    return answer;
}

/* The fixture, with the broker behind a proxy. */
static int make(void **state)
{
    static struct config_proxy way;
    struct fixture *fixture;

    fixture_make(state);
    fixture = *state;
    memset(&proxy, 0, sizeof(proxy));
    way = (struct config_proxy){.host = proxy_host, .port = fixture->config.broker.port};
    fixture->config.broker.proxy = &way;
    fixture->config.broker.host = broker_host;
    fixture->config.broker.port = BROKER_PORT;
    return 0;
}

/* "far.test:8883 through the proxy broker.test:port", and what follows. */
static const char *route(const struct fixture *fixture, const char *format_end)
{
    static char text[256];

    snprintf(text, sizeof(text), BROKER_HOST ":%d through the proxy %s:%d%s", BROKER_PORT,
             fixture->config.broker.proxy->host, fixture->config.broker.proxy->port, format_end);
    return text;
}

static void the_proxy_is_asked_for_the_broker(void **state)
{
    struct fixture *fixture = *state;

    begin_subscribed(fixture);
    assert_int_equal(atomic_load(&proxy.asked), 1);
    assert_int_equal(proxy.kind, PROXY_HTTP);
    assert_string_equal(proxy.question, ":>far.test:8883");
    assert_int_equal(fake_broker_lookups(), 1);
    assert_int_equal(logged(fixture, route(fixture, " with MQTT 3.1.1, ")), 1);
    assert_last_error(fixture, "");
    fixture_end(fixture);

    fixture->config.broker.proxy->socks5 = true;
    fixture->config.broker.proxy->user = user;
    fixture->config.broker.proxy_password = password;
    begin_subscribed(fixture);
    assert_int_equal(proxy.kind, PROXY_SOCKS5);
    assert_string_equal(proxy.question, "me:hunter2>far.test:8883");
    assert_int_equal(logged(fixture, "hunter2"), 0);
}

/* Nothing was sent to the broker, so nothing goes on record, and no SUBSCRIBE follows later. */
static void a_refusal_leaves_the_session_as_it_was(void **state)
{
    struct fixture *fixture = *state;
    char port[64];
    char byte;
    int address;
    int fd;

    fixture_know(fixture);
    proxy.answers[0] = PROXY_E_REFUSED;
    fixture_begin(fixture);
    wait_backoff(fixture);
    snprintf(port, sizeof(port), ": 127.0.0.1:%d: " FORBIDS, fixture->config.broker.proxy->port);
    assert_state(fixture, SESSION_WAITING, route(fixture, port));
    assert_int_equal(logged(fixture, "warning c: far.test:8883 through the proxy"), 1);
    fd = fake_broker_accept(&address);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, &byte, 1), 0); /* closed */
    close(fd);
    retry_subscribed(fixture);
    assert_conversation(fixture, KEPT_CONNECTION LEAVES);
}

/* For the question whether the broker speaks MQTT 5, and for each version that is tried. */
static void each_connect_asks_the_proxy(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.broker.protocol = CONFIG_AUTO;
    fixture_know(fixture);
    fake_mqtt_answer(FAKE_KEPT);
    fake_mqtt_answer(FAKE_VERSION);
    begin_subscribed(fixture);
    assert_int_equal(atomic_load(&proxy.asked), 3);
    assert_conversation(
        fixture, "ASK DISCONNECT connecting(c) CONNECT5 settled(c,none,0) " KEPT_CONNECTION LEAVES);
}

/* The proxy lets the question pass, and not the CONNECT after it, which is not sent. */
static void a_refusal_after_the_question_changes_nothing(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.broker.protocol = CONFIG_AUTO;
    fixture_know(fixture);
    proxy.answers[1] = PROXY_E_REFUSED;
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, FORBIDS);
    retry_subscribed(fixture);
    assert_conversation(
        fixture, "ASK DISCONNECT connecting(c) CONNECT5 settled(c,none,7) " SUBSCRIBES LEAVES);
}

static void an_address_is_not_written_twice(void **state)
{
    struct fixture *fixture = *state;

    fixture->config.broker.proxy->host = proxy_address;
    proxy.answers[0] = PROXY_E_REFUSED;
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, route(fixture, ": " FORBIDS));
}

static void an_ipv6_address_has_brackets(void **state)
{
    static char address[] = "fe80::1%lo";
    struct fixture *fixture = *state;
    char text[BROKER_ROUTE_SIZE];

    fixture->config.broker.proxy->host = address;
    fixture->config.broker.proxy->port = 3128;
    assert_string_equal(broker_route(&fixture->config, text),
                        "far.test:8883 through the proxy [fe80::1%lo]:3128");
    fixture->config.broker.proxy = NULL;
    assert_string_equal(broker_route(&fixture->config, text), "far.test:8883");
    assert_string_equal(broker_proxy_name(&fixture->config, text), "");
}

static void the_proxys_next_address_is_tried(void **state)
{
    struct fixture *fixture = *state;

    fixture_know(fixture);
    fake_broker_resolve(2);
    proxy.answers[0] = PROXY_E_REFUSED;
    begin_subscribed(fixture);
    assert_int_equal(atomic_load(&proxy.asked), 2);
    assert_last_error(fixture, FORBIDS);
    lose_and_return(fixture);
    assert_int_equal(atomic_load(&proxy.asked), 3);
    assert_conversation(fixture, "connecting(c) CONNECT/1 settled(c,none,7) "
                                 "SUBSCRIBE(a/#,2)/1 SUBSCRIBE(b/#,2)/1 "
                                 "connecting(c) CONNECT/1 settled(c,none,7) "
                                 "SUBSCRIBE(a/#,2)/1 SUBSCRIBE(b/#,2)/1 DISCONNECT/1 ");
}

static void a_proxy_that_does_not_listen_is_named(void **state)
{
    struct fixture *fixture = *state;

    fake_broker_refuse(0);
    fixture_begin(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "through the proxy");
    assert_state(fixture, SESSION_WAITING, "is the proxy running, and is the port in broker.proxy");
    fake_broker_resolve(0);
    retry(fixture);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "cannot resolve the host of broker.proxy, broker.test");
}

static void a_stop_ends_the_wait_for_a_proxy(void **state)
{
    struct fixture *fixture = *state;

    proxy.answers[0] = PROXY_STOPPED;
    fixture_begin(fixture);
    while (atomic_load(&proxy.asked) == 0) {
        sched_yield();
    }
    assert_conversation(fixture, "");
    assert_int_equal(logged(fixture, "warning"), 0);
}

/* The proxy is named where it may be the cause, and where foxtrackrd is the cause it is not. */
static void a_lost_connection_names_the_proxy(void **state)
{
    struct fixture *fixture = *state;
    char words[128];

    snprintf(words, sizeof(words),
             "connection lost: the broker closed the connection (or the cause is the proxy "
             "broker.test:%d in between)",
             fixture->config.broker.proxy->port);
    begin_subscribed(fixture);
    fake_mqtt_lose(FAKE_BY_BROKER);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, words);
    retry_subscribed(fixture);
    fake_mqtt_lose(FAKE_BY_SILENCE);
    wait_backoff(fixture);
    assert_state(fixture, SESSION_WAITING, "no answer from the broker");
    assert_state(fixture, SESSION_WAITING, "in between)");
    retry_subscribed(fixture);
    sever_link(fixture);
    fake_mqtt_lose(FAKE_BY_DAEMON);
    wait_backoff(fixture);
    assert_null(strstr(status_of(fixture).reason, "proxy"));
}

#define PROXY_TEST(test) cmocka_unit_test_setup_teardown(test, make, fixture_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROXY_TEST(the_proxy_is_asked_for_the_broker),
        PROXY_TEST(a_refusal_leaves_the_session_as_it_was),
        PROXY_TEST(each_connect_asks_the_proxy),
        PROXY_TEST(a_refusal_after_the_question_changes_nothing),
        PROXY_TEST(an_address_is_not_written_twice),
        PROXY_TEST(an_ipv6_address_has_brackets),
        PROXY_TEST(the_proxys_next_address_is_tried),
        PROXY_TEST(a_proxy_that_does_not_listen_is_named),
        PROXY_TEST(a_stop_ends_the_wait_for_a_proxy),
        PROXY_TEST(a_lost_connection_names_the_proxy),
    };

    return cmocka_run_group_tests_name("a session behind a proxy", tests, NULL, NULL);
}
