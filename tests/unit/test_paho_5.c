/*
 * The client with MQTT 5, against a broker that plays a list of steps for each connection, first
 * over TCP and then over TLS. One client makes all connections, so that each test also shows that
 * nothing of the connections before is left. In MQTT 5 Paho has holes that mqtt/ closes;
 * mqtt/paho/check.c and mqtt/client_connect.c name them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <MQTTAsync.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mqtt/mqtt.h"
#include "step_broker.h"

#define KEEPALIVE_S 60
#define EXPIRY_S    604800
#define WINDOW      1000
#define WAIT_MS     60000

int real_poll(struct pollfd *fds, nfds_t count, int timeout_ms) __asm__("__real_poll");
int short_poll(struct pollfd *fds, nfds_t count, int timeout_ms) __asm__("__wrap_poll");

/* Paho's receive thread waits for a second at a time, and does not see a new connection before. */
int short_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    return real_poll(fds, count, timeout_ms > 20 ? 20 : timeout_ms);
}

int real_disconnected(MQTTAsync handle, void *context,
                      MQTTAsync_disconnected *callback) __asm__("__real_MQTTAsync_setDisconnected");
int spy_disconnected(MQTTAsync handle, void *context,
                     MQTTAsync_disconnected *callback) __asm__("__wrap_MQTTAsync_setDisconnected");

static MQTTAsync_disconnected *on_disconnected;
static atomic_bool is_held; /* Paho's receive thread waits in the callback */
static sem_t may_go_on;

static void hold_disconnected(void *context, MQTTProperties *properties, enum MQTTReasonCodes code)
{
    on_disconnected(context, properties, code);
    if (is_held) {
        sem_wait(&may_go_on);
    }
}

int spy_disconnected(MQTTAsync handle, void *context, MQTTAsync_disconnected *callback)
{
    on_disconnected = callback;
    return real_disconnected(handle, context, hold_disconnected);
}

/* --- the client ------------------------------------------------------------------------------ */

static bool tls;
static struct step_broker broker;
static struct paho *paho;
static char problem[PAHO_PROBLEM_SIZE];
static struct paho_answer answer;
static unsigned messages;
static unsigned releases;
static char last_payload[32];

static void take_message(void *context, const struct paho_message *message)
{
    (void)context;
    messages++;
    snprintf(last_payload, sizeof(last_payload), "%.*s", (int)message->payload_length,
             (const char *)message->payload);
}

static void take_release(void *context)
{
    (void)context;
    releases++;
}

static struct paho_options options_of(enum paho_version version)
{
    return (struct paho_options){.uri = broker.uri,
                                 .tls = tls,
                                 .ca_file = broker.ca_file,
                                 .client_id = "id-x",
                                 .version = version,
                                 .keepalive_s = KEEPALIVE_S,
                                 .connect_timeout_s = 30,
                                 .receive_maximum = WINDOW,
                                 .session_expiry_s = EXPIRY_S};
}

static void end(void)
{
    paho_disconnect(paho, WAIT_MS);
    step_broker_join(&broker);
}

/* Connects to a broker that plays `steps`. The result is paho_connect()'s. */
static int connect_with(enum paho_version version, const struct step *steps, size_t count)
{
    const struct paho_options options = options_of(version);

    step_broker_begin(&broker, steps, count, false);
    return paho_connect(paho, &options, &answer, problem);
}

#define STEPS_OF(steps)     (steps), sizeof(steps) / sizeof((steps)[0])
#define CONNECT_WITH(steps) connect_with(PAHO_MQTT_5, STEPS_OF(steps))

static void assert_says(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" does not have \"%s\"", text, part);
    }
}

/* --- CONNECT --------------------------------------------------------------------------------- */

static const struct step accepting[] = {ANSWER(0x10, "\x20\3\0\0\0")};
static const struct step resuming[] = {ANSWER(0x10, "\x20\3\1\0\0")};

/* Clean Start is off. The properties are Session Expiry Interval and Receive Maximum, and no
 * Maximum Packet Size, with which a broker drops messages in silence. */
static void a_lasting_session_is_asked_for(void **state)
{
    static const char connect[] = "\x10\x19\0\4MQTT\5\0\0\x3C"
                                  "\x08\x11\0\x09\x3A\x80\x21\3\xE8"
                                  "\0\4id-x";

    (void)state;
    assert_int_equal(CONNECT_WITH(resuming), PAHO_OK);
    end();
    assert_memory_equal(broker.seen, connect, sizeof(connect) - 1);
    assert_true(answer.session_present);
    assert_int_equal(answer.session_expiry_s, EXPIRY_S);
    assert_int_equal(answer.keepalive_s, KEEPALIVE_S);
    assert_true(answer.has_shared && answer.has_wildcards);
    /* DISCONNECT does not end the session: its reason code is 0, and it has no properties. */
    assert_int_equal(broker.seen[sizeof(connect) - 1], 0xE0);
    for (size_t i = sizeof(connect) + 1; i < broker.seen_length; i++) {
        assert_int_equal(broker.seen[i], 0);
    }
}

static void a_clean_session_ends_with_the_connection(void **state)
{
    struct paho_options options = options_of(PAHO_MQTT_5);

    (void)state;
    step_broker_begin(&broker, STEPS_OF(accepting), false);
    options.clean_session = true;
    options.session_expiry_s = 0;
    assert_int_equal(paho_connect(paho, &options, &answer, problem), PAHO_OK);
    end();
    assert_int_equal(broker.seen[9], 2);
    assert_memory_equal(broker.seen + 12, "\x08\x11\0\0\0\0\x21\3\xE8", 9);
    assert_false(answer.session_present);
    assert_int_equal(answer.session_expiry_s, 0);
}

/* Whether the broker keeps sessions can only be learned where one is asked for. It ends with
 * DISCONNECT, which has Session Expiry Interval 0. */
static void a_clean_session_that_lasts_is_ended(void **state)
{
    static const char disconnect[] = "\xE0\7\0\5\x11\0\0\0\0";
    static const struct step granting_none[] = {ANSWER(0x10, "\x20\x08\0\0\5\x11\0\0\0\0")};
    struct paho_options options = options_of(PAHO_MQTT_5);

    (void)state;
    options.clean_session = true;
    options.session_expiry_s = 60;
    step_broker_begin(&broker, STEPS_OF(accepting), false);
    assert_int_equal(paho_connect(paho, &options, &answer, problem), PAHO_OK);
    end();
    assert_int_equal(broker.seen[9], 2);
    assert_memory_equal(broker.seen + 12, "\x08\x11\0\0\0\x3C\x21\3\xE8", 9);
    assert_memory_equal(broker.seen + 27, disconnect, sizeof(disconnect) - 1);
    assert_int_equal(answer.session_expiry_s, 60);
    step_broker_begin(&broker, STEPS_OF(granting_none), false);
    assert_int_equal(paho_connect(paho, &options, &answer, problem), PAHO_OK);
    end();
    assert_int_equal(answer.session_expiry_s, 0);
}

static void the_broker_may_grant_less(void **state)
{
    static const struct step steps[] = {ANSWER(0x10, "\x20\x0F\0\0\x0C"
                                                     "\x11\0\0\x0E\x10"
                                                     "\x13\0\x14"
                                                     "\x28\0"
                                                     "\x2A\0")};

    (void)state;
    assert_int_equal(CONNECT_WITH(steps), PAHO_OK);
    end();
    assert_int_equal(answer.session_expiry_s, 3600);
    assert_int_equal(answer.keepalive_s, 20);
    assert_false(answer.has_shared);
    assert_false(answer.has_wildcards);
}

/* With 0 nothing would tell of a dead connection, and with more it would be told of late. */
static void the_keepalive_is_at_most_the_one_asked_for(void **state)
{
    static const struct step none[] = {ANSWER(0x10, "\x20\6\0\0\3\x13\0\0")};
    static const struct step longer[] = {ANSWER(0x10, "\x20\6\0\0\3\x13\xFF\xFF")};

    (void)state;
    assert_int_equal(CONNECT_WITH(none), PAHO_OK);
    end();
    assert_int_equal(answer.keepalive_s, KEEPALIVE_S);
    assert_int_equal(CONNECT_WITH(longer), PAHO_OK);
    end();
    assert_int_equal(answer.keepalive_s, KEEPALIVE_S);
}

static void a_refusal_has_the_brokers_reason(void **state)
{
    static const struct step steps[] = {ANSWER(0x10, "\x20\x0E\0\x87\x0B\x1F\0\x08"
                                                     "no\033[1m!!")};

    (void)state;
    assert_int_equal(CONNECT_WITH(steps), PAHO_E_REFUSED);
    end();
    assert_says(problem, "0x87 of MQTT 5 (not authorised)");
    assert_says(problem, "it says \"no\\x1b[1m!!\"");
    assert_true(paho_sent_connect(paho));
}

static void a_broker_of_3_1_1_is_recognised(void **state)
{
    static const struct step refusing[] = {ANSWER(0x10, "\x20\2\0\1")};
    static const struct step refusing_5[] = {ANSWER(0x10, "\x20\3\0\x84\0")};
    static const struct step ignoring[] = {ANSWER(0x10, "\x20\2\0\0")};

    (void)state;
    assert_int_equal(CONNECT_WITH(refusing), PAHO_E_VERSION);
    end();
    assert_says(problem, "does not speak MQTT 5");
    assert_int_equal(CONNECT_WITH(refusing_5), PAHO_E_VERSION);
    end();
    assert_says(problem, "does not speak MQTT 5");
    assert_int_equal(CONNECT_WITH(ignoring), PAHO_E_OLD_ANSWER);
    end();
    assert_says(problem, "as if it were one of MQTT 3.1.1");
    assert_int_equal(connect_with(PAHO_MQTT_3_1_1, STEPS_OF(refusing)), PAHO_E_VERSION);
    end();
    assert_says(problem, "does not speak MQTT 3.1.1");
}

/* Paho cannot go back to MQTT 5 with one client of its own. */
static void the_version_changes_from_connection_to_connection(void **state)
{
    static const struct step of_3_1_1[] = {ANSWER(0x10, "\x20\2\1\0"), ANSWER(0x82, "\x90\3ID\2")};
    static const struct step of_5[] = {ANSWER(0x10, "\x20\3\1\0\0"), ANSWER(0x82, "\x90\4ID\0\2")};
    int granted = -1;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(i % 2 == 0 ? connect_with(PAHO_MQTT_3_1_1, STEPS_OF(of_3_1_1))
                                    : connect_with(PAHO_MQTT_5, STEPS_OF(of_5)),
                         PAHO_OK);
        assert_int_equal(paho_subscribe(paho, "a", 2, &granted, problem), PAHO_OK);
        assert_int_equal(granted, 2);
        end();
        assert_int_equal(broker.seen[8], i % 2 == 0 ? 4 : 5);
        assert_true(answer.session_present);
    }
}

static void whether_connect_was_sent_is_known(void **state)
{
    static const struct step hanging_up[] = {ANSWER(0x10, "")};
    struct paho_options options = options_of(PAHO_MQTT_5);

    (void)state;
    step_broker_begin(&broker, STEPS_OF(hanging_up), true);
    assert_int_equal(paho_connect(paho, &options, &answer, problem), PAHO_E_FAILED);
    end();
    assert_true(paho_sent_connect(paho));
    /* The next one does not come so far. */
    options.uri = tls ? "ssl://127.0.0.1:1" : "tcp://127.0.0.1:1";
    assert_int_equal(paho_connect(paho, &options, &answer, problem), PAHO_E_FAILED);
    assert_false(paho_sent_connect(paho));
    assert_int_equal(CONNECT_WITH(accepting), PAHO_OK);
    assert_true(paho_sent_connect(paho));
    end();
}

/* The certificate is for another name. */
static void nothing_is_sent_before_the_handshake(void **state)
{
    struct paho_options options = options_of(PAHO_MQTT_5);
    char other[sizeof(broker.uri)];

    (void)state;
    if (!tls) {
        skip();
    }
    snprintf(other, sizeof(other), "ssl://127.0.0.1%s", strrchr(broker.uri, ':'));
    options.uri = other;
    step_broker_begin(&broker, STEPS_OF(accepting), false);
    assert_int_equal(paho_connect(paho, &options, &answer, problem), PAHO_E_FAILED);
    end();
    assert_false(paho_sent_connect(paho));
    assert_int_equal(broker.seen_length, 0);
}

/* --- subscriptions ---------------------------------------------------------------------------- */

/* Retain Handling is 1: retained messages come with a new subscription only. */
static void subscriptions_are_made_and_ended(void **state)
{
    static const struct step steps[] = {
        ANSWER(0x10, "\x20\3\1\0\0"),   ANSWER(0x82, "\x90\4ID\0\1"),
        ANSWER(0x82, "\x90\4ID\0\x87"), ANSWER(0xA2, "\xB0\4ID\0\x11"),
        ANSWER(0xA2, "\xB0\4ID\0\x87"), ANSWER(0xA2, "\xB0\4ID\0\0"),
    };
    const unsigned char *subscribe = broker.seen + 27;
    int granted = -1;

    (void)state;
    assert_int_equal(CONNECT_WITH(steps), PAHO_OK);
    assert_int_equal(paho_subscribe(paho, "a/#", 2, &granted, problem), PAHO_OK);
    assert_int_equal(granted, 1);
    assert_int_equal(paho_subscribe(paho, "b/#", 2, &granted, problem), PAHO_E_REFUSED);
    assert_says(problem, "b/#");
    assert_says(problem, "0x87 of MQTT 5");
    assert_int_equal(paho_unsubscribe(paho, "a/#"), PAHO_OK);
    assert_int_equal(paho_unsubscribe(paho, "a/#"), PAHO_E_REFUSED);
    assert_int_equal(paho_unsubscribe(paho, "a/#"), PAHO_OK);
    end();
    assert_memory_equal(subscribe, "\x82\x09", 2);
    assert_memory_equal(subscribe + 4, "\0\0\3a/#\x12", 7);
}

/* --- the end of a connection ------------------------------------------------------------------ */

static void assert_lost(void)
{
    assert_int_equal(paho_wait(paho, WAIT_MS), PAHO_LOST);
}

static void the_broker_says_why_it_disconnects(void **state)
{
    static const struct step taken_over[] = {ANSWER(0x10, "\x20\3\1\0\0\xE0\1\x8E")};
    static const struct step moved[] = {ANSWER(0x10, "\x20\3\1\0\0"
                                                     "\xE0\x0D\x9D\x0B\x1C\0\4b:99\x1F\0\1x")};
    static const struct step silent[] = {ANSWER(0x10, "\x20\3\1\0\0\xE0\0")};
    char sentence[PAHO_PROBLEM_SIZE];
    int code = -1;

    (void)state;
    assert_int_equal(CONNECT_WITH(taken_over), PAHO_OK);
    assert_lost();
    assert_true(paho_disconnect_reason(paho, &code, sentence));
    assert_int_equal(code, 0x8E);
    assert_says(sentence, "another client uses this client id");
    assert_false(paho_disconnect_reason(paho, &code, sentence)); /* once */
    assert_false(paho_complaint(paho, sentence));
    end();

    assert_int_equal(CONNECT_WITH(moved), PAHO_OK);
    assert_lost();
    assert_true(paho_disconnect_reason(paho, &code, sentence));
    assert_int_equal(code, 0x9D);
    assert_says(sentence, "it names \"b:99\"; it says \"x\"");
    end();

    assert_int_equal(CONNECT_WITH(silent), PAHO_OK);
    assert_lost();
    assert_true(paho_disconnect_reason(paho, &code, sentence));
    assert_int_equal(code, 0);
    end();

    assert_int_equal(CONNECT_WITH(accepting), PAHO_OK);
    end();
    assert_false(paho_disconnect_reason(paho, &code, sentence));
}

/* A DISCONNECT in place of SUBACK ends the wait for it. */
static void a_request_ends_with_the_connection(void **state)
{
    static const struct step steps[] = {ANSWER(0x10, "\x20\3\1\0\0"), ANSWER(0x82, "\xE0\1\x98")};
    char sentence[PAHO_PROBLEM_SIZE];
    int granted;
    int code;

    (void)state;
    assert_int_equal(CONNECT_WITH(steps), PAHO_OK);
    assert_int_equal(paho_subscribe(paho, "a", 2, &granted, problem), PAHO_E_FAILED);
    assert_true(paho_disconnect_reason(paho, &code, sentence));
    assert_int_equal(code, 0x98);
    end();
}

/* Between the report of a DISCONNECT and the close that follows, Paho takes requests that it never
 * answers. */
static void the_end_is_not_waited_for(void **state)
{
    static const struct step steps[] = {ANSWER(0x10, "\x20\3\1\0\0\xE0\0")};
    int64_t lasted_ms;

    (void)state;
    is_held = true;
    assert_int_equal(CONNECT_WITH(steps), PAHO_OK);
    assert_lost();
    lasted_ms = -clock_monotonic_ms();
    paho_disconnect(paho, WAIT_MS);
    lasted_ms += clock_monotonic_ms();
    is_held = false;
    sem_post(&may_go_on);
    end();
    assert_true(lasted_ms < WAIT_MS / 2);
}

/* With Receive Maximum 0 Paho would never send SUBSCRIBE; with a Topic Alias it would deliver a
 * message without its topic; of an AUTH it would free nothing. */
static void what_paho_cannot_take_ends_the_connection(void **state)
{
    static const struct step window[] = {ANSWER(0x10, "\x20\6\0\0\3\x21\0\0")};
    static const struct step alias[] = {ANSWER(0x10, "\x20\3\1\0\0\x34\x0A\0\1t\0\7\3\x23\0\1x")};
    static const struct step auth[] = {ANSWER(0x10, "\x20\3\1\0\0\xF0\0")};

    (void)state;
    messages = 0;
    assert_int_equal(CONNECT_WITH(window), PAHO_E_FAILED);
    assert_says(problem, "Receive Maximum is 0");
    end();
    assert_int_equal(CONNECT_WITH(alias), PAHO_OK);
    assert_lost();
    assert_true(paho_complaint(paho, problem));
    assert_says(problem, "PUBLISH");
    end();
    assert_int_equal(CONNECT_WITH(auth), PAHO_OK);
    assert_lost();
    assert_true(paho_complaint(paho, problem));
    assert_says(problem, "type 15");
    end();
    assert_int_equal(messages, 0);
}

/* --- messages --------------------------------------------------------------------------------- */

/* The second PUBLISH is the first one again, before its PUBREL. */
static void messages_are_handed_over_and_released(void **state)
{
    static const struct step steps[] = {
        ANSWER(0x10, "\x20\3\1\0\0\x34\x0A\0\1t\0\7\2\1\1xy"),
        ANSWER(0x50, "\x3C\x08\0\1t\0\7\0xy"),
        ANSWER(0x50, "\x62\2\0\7"),
        ANSWER(0x70, "\x30\5\0\1t\0z\xE0\1\x8B"),
    };

    (void)state;
    messages = releases = 0;
    assert_int_equal(CONNECT_WITH(steps), PAHO_OK);
    assert_lost();
    assert_int_equal(messages, 3);
    assert_int_equal(releases, 1);
    assert_string_equal(last_payload, "z");
    end();
}

/* ---------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    const struct paho_handler handler = {.message = take_message, .released = take_release};
    struct paho_options options;

    (void)state;
    step_broker_open(&broker, tls);
    options = options_of(PAHO_MQTT_5);
    assert_int_equal(paho_new(&paho, &options, &handler), 0);
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
        cmocka_unit_test(a_lasting_session_is_asked_for),
        cmocka_unit_test(a_clean_session_ends_with_the_connection),
        cmocka_unit_test(a_clean_session_that_lasts_is_ended),
        cmocka_unit_test(the_broker_may_grant_less),
        cmocka_unit_test(the_keepalive_is_at_most_the_one_asked_for),
        cmocka_unit_test(a_refusal_has_the_brokers_reason),
        cmocka_unit_test(a_broker_of_3_1_1_is_recognised),
        cmocka_unit_test(the_version_changes_from_connection_to_connection),
        cmocka_unit_test(whether_connect_was_sent_is_known),
        cmocka_unit_test(nothing_is_sent_before_the_handshake),
        cmocka_unit_test(subscriptions_are_made_and_ended),
        cmocka_unit_test(the_broker_says_why_it_disconnects),
        cmocka_unit_test(a_request_ends_with_the_connection),
        cmocka_unit_test(the_end_is_not_waited_for),
        cmocka_unit_test(what_paho_cannot_take_ends_the_connection),
        cmocka_unit_test(messages_are_handed_over_and_released),
    };

    int failed = 0;

    if (!paho_speaks_5()) {
        puts("skipped: Paho's shared library is not adapted, and is used with MQTT 3.1.1 only");
        return 0;
    }
    sem_init(&may_go_on, 0, 0);
    log_open(LOG_TARGET_STDERR, NULL, LOG_CRIT, problem, sizeof(problem));
    paho_library_init();
    for (int i = 0; i < 2; i++) {
        tls = i == 1;
        failed += cmocka_run_group_tests_name(tls ? "paho_5 with TLS" : "paho_5", tests, set_up,
                                              tear_down);
    }
    return failed;
}
