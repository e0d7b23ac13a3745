/*
 * The CONNACK that accepts a connection is handed over before the messages that come right behind
 * it, and only to a caller that waits for it. With MQTT 3.1.1, and with MQTT 5 where it is spoken,
 * against a broker that plays a list of steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "mqtt/mqtt.h"
#include "step_broker.h"
#include "unit_wait.h"

#define WAIT_MS     60000
#define KEEPALIVE_S 60

int real_poll(struct pollfd *fds, nfds_t count, int timeout_ms) __asm__("__real_poll");
int short_poll(struct pollfd *fds, nfds_t count, int timeout_ms) __asm__("__wrap_poll");

/* Paho's receive thread waits for a second at a time, and does not see a new connection before. */
int short_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    return real_poll(fds, count, timeout_ms > 20 ? 20 : timeout_ms);
}

/* --- the client ------------------------------------------------------------------------------ */

static enum paho_version version;
static struct step_broker broker;
static struct paho *paho;
static char problem[PAHO_PROBLEM_SIZE];
static struct paho_answer answer;

/* Of Paho's receive thread. */
static atomic_uint messages;
static atomic_uint accepted;
static unsigned messages_before; /* the last acceptance */
static struct paho_answer handed_over;
static bool stops; /* the acceptance stops the client, and takes its time */
static bool has_taken_its_time;

static void take_answer(void *context, const struct paho_answer *said)
{
    assert_ptr_equal(context, &broker);
    messages_before = messages;
    handed_over = *said;
    accepted++;
    if (stops) {
        paho_stop(paho);
        real_poll(NULL, 0, 200); /* a paho_connect() that does not wait returns meanwhile */
        has_taken_its_time = true;
    }
}

static void take_message(void *context, const struct paho_message *message)
{
    (void)message;
    assert_ptr_equal(context, &broker);
    messages++;
}

static void take_release(void *context)
{
    (void)context;
}

static struct paho_options options_of(const char *client_id)
{
    return (struct paho_options){.uri = broker.uri,
                                 .client_id = client_id,
                                 .version = version,
                                 .keepalive_s = KEEPALIVE_S,
                                 .connect_timeout_s = 30,
                                 .receive_maximum = 10,
                                 .session_expiry_s = 3600};
}

static struct paho *make_client(const char *client_id)
{
    const struct paho_handler handler = {.accepted = take_answer,
                                         .message = take_message,
                                         .released = take_release,
                                         .context = &broker};
    const struct paho_options options = options_of(client_id);
    struct paho *made;

    assert_int_equal(paho_new(&made, &options, &handler), 0);
    return made;
}

static int connect_with(const struct step *steps, size_t count)
{
    const struct paho_options options = options_of("id-x");

    messages = accepted = 0;
    step_broker_begin(&broker, steps, count, false);
    return paho_connect(paho, &options, &answer, problem);
}

#define CONNECT_WITH(steps) connect_with((steps), sizeof(steps) / sizeof((steps)[0]))

static void end(void)
{
    paho_disconnect(paho, WAIT_MS);
    step_broker_join(&broker);
}

/* CONNACK with session present, and a message with QoS 0 in the same segment. */
static const struct step of_3_1_1[] = {ANSWER(0x10, "\x20\2\1\0\x30\4\0\1tx"),
                                       ANSWER(0x82, "\x90\3ID\2")};
static const struct step of_5[] = {ANSWER(0x10, "\x20\3\1\0\0\x30\5\0\1t\0x"),
                                   ANSWER(0x82, "\x90\4ID\0\2")};

static int connect_to_a_backlog(void)
{
    return version == PAHO_MQTT_5 ? CONNECT_WITH(of_5) : CONNECT_WITH(of_3_1_1);
}

static bool has_message(void *context)
{
    (void)context;
    return messages > 0;
}

/* --- tests ----------------------------------------------------------------------------------- */

static void the_answer_is_handed_over_before_the_messages(void **state)
{
    int granted = -1;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(connect_to_a_backlog(), PAHO_OK);
        assert_int_equal(accepted, 1);
        unit_wait(has_message, NULL, "a message");
        assert_int_equal(messages_before, 0);
        assert_true(answer.session_present && handed_over.session_present);
        assert_int_equal(handed_over.keepalive_s, KEEPALIVE_S);
        assert_int_equal(handed_over.session_expiry_s, version == PAHO_MQTT_5 ? 3600 : 0);
        assert_int_equal(paho_subscribe(paho, "a", 2, &granted, problem), PAHO_OK);
        end();
        assert_int_equal(accepted, 1);
    }
}

static void a_refusal_is_not_handed_over(void **state)
{
    static const struct step refusing_3_1_1[] = {ANSWER(0x10, "\x20\2\0\5")};
    static const struct step refusing_5[] = {ANSWER(0x10, "\x20\3\0\x87\0")};

    (void)state;
    assert_int_equal(version == PAHO_MQTT_5 ? CONNECT_WITH(refusing_5)
                                            : CONNECT_WITH(refusing_3_1_1),
                     PAHO_E_REFUSED);
    end();
    assert_int_equal(accepted, 0);
}

/* Of two clients, one fails to reach its broker, on the thread that has read a packet of the other
 * one last. That is not its connection. */
static void an_attempt_takes_nothing_of_another_client(void **state)
{
    struct paho *other = make_client("id-y");
    struct paho_options options = options_of("id-y");
    int granted = -1;

    (void)state;
    options.uri = "tcp://127.0.0.1:1";
    assert_int_equal(connect_to_a_backlog(), PAHO_OK);
    unit_wait(has_message, NULL, "a message");
    assert_int_equal(paho_connect(other, &options, &answer, problem), PAHO_E_FAILED);
    assert_false(paho_sent_connect(other));
    assert_int_equal(paho_subscribe(paho, "a", 2, &granted, problem), PAHO_OK);
    assert_int_equal(paho_sent_connect(paho), paho_checks_packets());
    end();
    paho_free(other);
}

/* --- a stop, the last tests of a client ------------------------------------------------------- */

/* The handler has the answer: paho_connect() returns it. */
static void an_acceptance_is_waited_for(void **state)
{
    (void)state;
    stops = true;
    has_taken_its_time = false;
    assert_int_equal(connect_to_a_backlog(), PAHO_OK);
    stops = false;
    assert_true(has_taken_its_time);
    unit_wait(has_message, NULL, "a message");
    end();
    assert_int_equal(accepted, 1);
}

/* The client is stopped: paho_connect() has returned when the answer comes. */
static void a_connect_that_is_given_up_is_not_accepted(void **state)
{
    (void)state;
    assert_int_equal(connect_to_a_backlog(), PAHO_E_FAILED);
    unit_wait(has_message, NULL, "a message, which comes after the answer");
    end();
    assert_int_equal(accepted, 0);
}

static int set_up(void **state)
{
    (void)state;
    step_broker_open(&broker, false);
    paho = make_client("id-x");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    paho_free(paho);
    step_broker_close(&broker);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_is_handed_over_before_the_messages),
        cmocka_unit_test(a_refusal_is_not_handed_over),
        cmocka_unit_test(an_attempt_takes_nothing_of_another_client),
        cmocka_unit_test(an_acceptance_is_waited_for),
        cmocka_unit_test(a_connect_that_is_given_up_is_not_accepted),
    };
    int failed;

    log_open(LOG_TARGET_STDERR, NULL, LOG_CRIT, problem, sizeof(problem));
    paho_library_init();
    version = PAHO_MQTT_3_1_1;
    failed = cmocka_run_group_tests_name("acceptance, MQTT 3.1.1", tests, set_up, tear_down);
    if (paho_speaks_5()) {
        version = PAHO_MQTT_5;
        failed += cmocka_run_group_tests_name("acceptance, MQTT 5", tests, set_up, tear_down);
    }
    return failed;
}
