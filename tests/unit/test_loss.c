/*
 * Every way in which a connection can end has its cause and its sentence, and only the broker's own
 * doing is put down to the broker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "session/session.h"

#define KEEPALIVE_S 60
#define HALF_MS     30000 /* of a keep alive */

struct ending {
    const char *name;
    enum link_closer closer;
    const char *reason;
    int64_t silent_ms;
    int64_t held_ms;
    const char *complaint;
    bool in_clear;
    bool unchecked;
    enum loss_cause cause;
    const char *says;
};

static struct loss_facts facts_of(const struct ending *ending)
{
    struct loss_facts facts = {
        .link = {.opened = 7,
                 .ending = {.closer = ending->closer,
                            .silent_ms = ending->silent_ms,
                            .held_ms = ending->held_ms}},
        .complaint = ending->complaint,
        .packets_checked = !ending->unchecked,
        .tls = !ending->in_clear,
        .keepalive_s = KEEPALIVE_S,
    };

    if (ending->reason != NULL) {
        strcpy(facts.link.ending.reason, ending->reason);
    }
    return facts;
}

#define BROKER LINK_CLOSED_BY_BROKER, "the broker closed the connection"
#define CUT    LINK_CLOSED_BY_DAEMON, "the database is not writable: disk is full"
#define PAHO   LINK_CLOSED_BY_PAHO, NULL
#define NOBODY LINK_CLOSED_BY_NOBODY, NULL
#define BAD    "the broker sent a malformed SUBACK"

static void every_end_of_a_connection(void **state)
{
    static const struct ending cases[] = {
        {"another client, a restart", BROKER, 5, 0, NULL, false, false, LOSS_BROKER,
         "connection lost: the broker closed the connection"},
        {"the same, while a commit runs", BROKER, 5, 20, NULL, false, false, LOSS_BROKER,
         "connection lost: the broker closed the connection"},
        {"a reset", LINK_CLOSED_BY_BROKER, "Connection reset by peer", 5, 0, NULL, false, false,
         LOSS_BROKER, "connection lost: Connection reset by peer"},
        {"close_notify, read before the end of the stream", PAHO, 2, 0, NULL, false, false,
         LOSS_BROKER, "connection lost: the broker ended the TLS connection"},
        {"the same, and the gate has not seen it", NOBODY, 2, 0, NULL, false, false, LOSS_BROKER,
         "connection lost: the broker ended the TLS connection"},
        {"the network", LINK_CLOSED_BY_NETWORK, "No route to host", 90000, 0, NULL, false, false,
         LOSS_NETWORK, "connection lost: No route to host"},
        {"no answer to PINGREQ", PAHO, 90000, 0, NULL, false, false, LOSS_SILENCE,
         "connection lost: no answer from the broker for 1 min 30 s"},
        {"the same, and the gate has not seen it", NOBODY, 90000, 0, NULL, true, false,
         LOSS_SILENCE, "no answer from the broker for 1 min 30 s"},
        {"no space, locked", CUT, 5, 0, NULL, false, false, LOSS_DAEMON,
         "connection cut by foxtrackrd: the database is not writable: disk is full"},
        {"no space after a slow commit", CUT, 5, 90000, NULL, false, false, LOSS_DAEMON,
         "connection cut by foxtrackrd: the database"},
        {"a broker that does not read", LINK_CLOSED_BY_DAEMON, "the broker does not read", 5, 0,
         NULL, false, false, LOSS_DAEMON, "connection cut by foxtrackrd: the broker does not read"},
        {"a broker's patience with a slow disk", BROKER, 90000, HALF_MS, NULL, false, false,
         LOSS_SLOW_DISK, "nothing could be sent to the broker for 30 s, because a commit waited"},
        {"Paho's patience with a slow disk", PAHO, 90000, 60000, NULL, false, false, LOSS_SLOW_DISK,
         "nothing could be sent to the broker for 1 min"},
        {"a malformed packet", PAHO, 2, 0, BAD, false, false, LOSS_PACKET,
         "connection closed: the broker sent a malformed SUBACK; nothing of that packet"},
        {"a malformed packet before the end", BROKER, 2, 0, BAD, false, false, LOSS_PACKET,
         "connection closed: the broker sent a malformed SUBACK"},
        {"ended, or a malformed packet, shared library, TLS", PAHO, 2, 0, NULL, false, true,
         LOSS_BROKER,
         "connection lost: the broker ended the TLS connection, or sent what the MQTT library"},
        {"a malformed packet, shared library, in clear", PAHO, 2, 0, NULL, true, true, LOSS_PACKET,
         "connection closed: the MQTT library did not take"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loss_facts facts = facts_of(&cases[i]);
        char problem[LOSS_TEXT_SIZE];
        enum loss_cause cause = loss_of_connection(&facts, problem);

        if (cause != cases[i].cause || strstr(problem, cases[i].says) == NULL) {
            fail_msg("%s: %s: %s", cases[i].name, loss_cause_name(cause), problem);
        }
    }
}

static void every_connect_without_an_answer(void **state)
{
    static const struct ending cases[] = {
        {"closed, TLS", BROKER, 5, 0, NULL, false, false, LOSS_BROKER,
         "without an answer to CONNECT: it speaks another protocol"},
        {"closed, in clear", BROKER, 5, 0, NULL, true, false, LOSS_BROKER,
         "expects TLS here (broker.tls)"},
        {"close_notify", PAHO, 5, 0, NULL, false, false, LOSS_BROKER, "without an answer"},
        {"silence", PAHO, 30000, 0, NULL, false, false, LOSS_SILENCE, "no answer to CONNECT"},
        {"the network", LINK_CLOSED_BY_NETWORK, "No route to host", 9, 0, NULL, false, false,
         LOSS_NETWORK, "no answer to CONNECT; No route to host"},
        {"no space", CUT, 5, 0, NULL, false, false, LOSS_DAEMON,
         "foxtrackrd cut the connection before the answer to CONNECT: the database is not "
         "writable"},
        {"a slow disk", PAHO, 30000, 29000, NULL, false, false, LOSS_SLOW_DISK,
         "CONNECT could not be sent for 29 s, because a commit"},
        {"a malformed CONNACK", PAHO, 5, 0, BAD, false, false, LOSS_PACKET, "no answer to CONNECT"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loss_facts facts = facts_of(&cases[i]);
        char problem[LOSS_TEXT_SIZE];
        enum loss_cause cause = loss_of_connect(&facts, "no answer to CONNECT", problem);

        if (cause != cases[i].cause || strstr(problem, cases[i].says) == NULL) {
            fail_msg("%s: %s: %s", cases[i].name, loss_cause_name(cause), problem);
        }
    }
}

/* A broker of MQTT 5 names the cause by DISCONNECT. */
static void a_disconnect_is_the_cause(void **state)
{
    static const struct {
        struct ending ending;
        int code;
    } cases[] = {
        {{"closed by the broker", BROKER, 5, 0, NULL, false, false, LOSS_BROKER,
          "connection lost: the broker is shutting down"},
         0x8B},
        {{"Paho first", PAHO, 90000, 0, NULL, true, false, LOSS_BROKER,
          "connection lost: the broker is shutting down"},
         0x8B},
        {{"not yet seen by the gate", NOBODY, 5, 0, NULL, false, false, LOSS_BROKER,
          "connection lost: the broker is shutting down"},
         0x8B},
        {{"held by a commit", BROKER, 5, HALF_MS, NULL, false, false, LOSS_BROKER,
          "connection lost: the broker is shutting down"},
         0x8B},
        {{"because of a commit", BROKER, 5, HALF_MS, NULL, false, false, LOSS_SLOW_DISK,
          "nothing could be sent to the broker for 30 s"},
         0x8D},
        {{"keep alive timeout", BROKER, 5, 0, NULL, false, false, LOSS_BROKER,
          "connection lost: the broker is shutting down"},
         0x8D},
        {{"severed", CUT, 5, 0, NULL, false, false, LOSS_DAEMON, "the database is not writable"},
         0x8B},
        {{"before a malformed packet", PAHO, 5, 0, BAD, false, false, LOSS_PACKET, BAD}, 0x8B},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loss_facts facts = facts_of(&cases[i].ending);
        char problem[LOSS_TEXT_SIZE];
        enum loss_cause cause;

        facts.disconnect = "the broker is shutting down";
        facts.disconnect_code = cases[i].code;
        cause = loss_of_connection(&facts, problem);
        if (cause != cases[i].ending.cause || strstr(problem, cases[i].ending.says) == NULL) {
            fail_msg("%s: %s: %s", cases[i].ending.name, loss_cause_name(cause), problem);
        }
    }
}

/* The end of an earlier link is not the cause of an attempt that never had a link. */
static void a_connect_that_never_had_a_link(void **state)
{
    static const struct ending ended = {"", BROKER, 5, 0, NULL, false, false, LOSS_SILENCE, ""};
    static const struct ending refused = {"",
                                          LINK_CLOSED_BY_DAEMON,
                                          "no file descriptor is free",
                                          0,
                                          0,
                                          NULL,
                                          false,
                                          false,
                                          LOSS_DAEMON,
                                          ""};
    struct loss_facts facts = facts_of(&ended);
    char problem[LOSS_TEXT_SIZE];

    (void)state;
    facts.opened_before = facts.link.opened;
    assert_int_equal(loss_of_connect(&facts, "no answer", problem), LOSS_SILENCE);
    assert_string_equal(problem, "no answer");
    facts = facts_of(&refused);
    facts.opened_before = facts.link.opened;
    assert_int_equal(loss_of_connect(&facts, "no answer", problem), LOSS_DAEMON);
    assert_non_null(strstr(problem, "no file descriptor is free"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_end_of_a_connection),
        cmocka_unit_test(a_disconnect_is_the_cause),
        cmocka_unit_test(every_connect_without_an_answer),
        cmocka_unit_test(a_connect_that_never_had_a_link),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
