/*
 * Which version of MQTT is chosen: a table of conversations with a broker. Each step says how the
 * last CONNECT, or question, went; the next choice is compared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "session/session.h"

#define WEEK_MS INT64_C(604800000)
#define NOW_MS  INT64_C(1700000000000)
#define STEPS   12

#define AUTO  CONFIG_AUTO, true
#define KNOWN true

/*
 * A conversation, step by step. Choices: 5, 4, and ? for a question. Results, each after the choice
 * that it belongs to: a accepted, d denied, r refused (the version), c closed, s silent,
 * u accepted and useless, o other. After a question whose answer says which, the version of the
 * CONNECT that follows in the same attempt stands; > stands before a version that is tried in the
 * same attempt after a CONNECT. "w" lets a week pass.
 */
struct conversation {
    const char *name;
    enum config_protocol configured;
    bool can_5;
    bool known;
    int remembered;
    int64_t asked_ms;
    const char *expected;
};

static const struct conversation conversations[] = {
    {"3.1.1 is configured", CONFIG_MQTT_3_1_1, true, KNOWN, 5, NOW_MS, "4a 4r 4c 4s 4"},
    {"5 is configured", CONFIG_MQTT_5, true, KNOWN, 4, NOW_MS, "5a 5r 5c 5c 5s 5s 5"},
    {"5 cannot be spoken", CONFIG_MQTT_5, false, KNOWN, 5, NOW_MS, "4a 4r 4"},
    {"auto, and 5 cannot be spoken", CONFIG_AUTO, false, KNOWN, 5, NOW_MS, "4a 4r 4c 4"},

    /* a new broker: with the session's own client id at once */
    {"a new broker of 5", AUTO, false, 0, 0, "5a 5a w 5a 5"},
    {"a new broker of 3.1.1", AUTO, false, 0, 0, "5r >4a 4a 4o 4a w ?r 4a 4"},
    {"a new broker that closes", AUTO, false, 0, 0, "5c >4a 4a 4c 4a w ?c 4a 4"},
    {"a new broker that closes on everything", AUTO, false, 0, 0, "5c >4c 5c >4c 5"},
    {"a new broker that does not let us in", AUTO, false, 0, 0, "5d 5d 5a 5"},
    {"a new broker that denies in 5, and closes then", AUTO, false, 0, 0, "5d 5c 5c >4a 4"},
    {"a new broker that denies in 3.1.1", AUTO, false, 0, 0, "5r >4d 5r >4a 4"},
    {"a new broker that cannot be reached", AUTO, false, 0, 0, "5o 5o 5o 5a 5"},
    {"a new broker that does not answer", AUTO, false, 0, 0, "5s 5s 4s 5s 4a 4"},
    {"a new broker that keeps no sessions of 5", AUTO, false, 0, 0, "5u >4a 4a w ?u 4a 4"},
    {"a new broker that stops keeping sessions of 5", AUTO, false, 0, 0, "5a 5u >4a 4a 4"},
    {"a new broker of 5 alone that keeps none", AUTO, false, 0, 0, "5u >4r 4r >5u 4r >5u 4"},

    /* a session that was made with 3.1.1 by an earlier foxtrackrd */
    {"a known session at a broker of 5", AUTO, KNOWN, 0, 0, "?a 5a 5a w 5"},
    {"a known session, the other client is denied", AUTO, KNOWN, 0, 0,
     "?d 4a 4a w ?d 4a w ?a 5a 5"},
    {"a known session, both clients are denied", AUTO, KNOWN, 0, 0, "?d 4d ?d 4d ?a 5a 5"},
    {"a known session, denied where 3.1.1 is refused", AUTO, KNOWN, 0, 0, "?d 4r >5a 5"},
    {"a known session, denied and then lost", AUTO, KNOWN, 0, 0, "?d 4a 4c 4o 4a w ?d 4a 4"},
    {"a known session at a broker of 3.1.1", AUTO, KNOWN, 0, 0, "?r 4a 4a w ?r 4a 4"},
    {"a known session that 5 would end", AUTO, KNOWN, 0, 0, "?u 4a 4a w ?u 4a w ?a 5a 5"},
    {"a known session at a broker that closes", AUTO, KNOWN, 0, 0, "?c 4a 4a w ?a 5a 5"},
    {"a known session, and nobody there", AUTO, KNOWN, 0, 0, "?o ?o ?r 4a 4"},
    {"a known session, and no answer", AUTO, KNOWN, 0, 0, "?s ?s 4s ?s 4a 4"},
    {"a known session that is closed after the answer", AUTO, KNOWN, 0, 0, "?a 5c 5c >4a 4"},
    {"a known session that is denied after the answer", AUTO, KNOWN, 0, 0, "?a 5d 5a 5"},
    {"a known session that 3.1.1 does not reach", AUTO, KNOWN, 0, 0, "?c 4c ?c 4o ?a 5a 5"},

    /* on record */
    {"5 is remembered", AUTO, KNOWN, 5, 1, "5a 5"},
    {"5 is remembered, and refused", AUTO, KNOWN, 5, NOW_MS, "5r >4a 4a 4"},
    {"5 is remembered, and closed once", AUTO, KNOWN, 5, NOW_MS, "5c 5a 5c 5a 5"},
    {"5 is remembered, and closed twice", AUTO, KNOWN, 5, NOW_MS, "5c 5c >4a 4a 4"},
    {"5 is remembered, and nothing works", AUTO, KNOWN, 5, NOW_MS, "5c 5c >4c 5c >4c 5a 5"},
    {"5 is remembered, and there is no answer", AUTO, KNOWN, 5, NOW_MS, "5s 5s 5s 5"},
    {"3.1.1 is remembered", AUTO, KNOWN, 4, NOW_MS, "4a 4s 4s 4s 4c 4c 4o 4"},
    {"3.1.1 is remembered, and refused", AUTO, KNOWN, 4, NOW_MS, "4r >5a 5"},
    {"3.1.1 is remembered, and nothing works", AUTO, KNOWN, 4, NOW_MS, "4r >5r 4r >5r 4"},
    {"3.1.1 is remembered for almost a week", AUTO, KNOWN, 4, NOW_MS - WEEK_MS + 1, "4a 4"},
    {"3.1.1 is remembered for a week", AUTO, KNOWN, 4, NOW_MS - WEEK_MS, "?a 5a 5"},
    {"3.1.1 is remembered of the future", AUTO, KNOWN, 4, NOW_MS + 1, "?r 4a 4"},
    {"3.1.1 is remembered, and 5 was never asked for", AUTO, KNOWN, 4, 0, "?r 4a 4"},
    {"3.1.1 is remembered, the question fails", AUTO, KNOWN, 4, 0, "?o ?o ?d 4a 4"},
    {"3.1.1 is remembered, the question is not answered", AUTO, KNOWN, 4, 0, "?s 4a w ?s 4"},
};

static enum protocol_result result_of(char letter)
{
    switch (letter) {
    case 'a':
        return PROTOCOL_ACCEPTED;
    case 'd':
        return PROTOCOL_DENIED;
    case 'r':
        return PROTOCOL_REFUSED;
    case 'c':
        return PROTOCOL_CLOSED;
    case 's':
        return PROTOCOL_SILENT;
    case 'u':
        return PROTOCOL_USELESS;
    default:
        return PROTOCOL_OTHER;
    }
}

struct talk {
    struct session_protocol protocol;
    bool known;
    int64_t now_ms;
    char said[128];
};

static void say(struct talk *talk, char letter)
{
    size_t length = strlen(talk->said);

    assert_true(length + 1 < sizeof(talk->said));
    talk->said[length] = letter;
    talk->said[length + 1] = '\0';
}

static char letter_of(enum paho_version version)
{
    return version == PAHO_MQTT_5 ? '5' : '4';
}

/* One CONNECT, its result, and perhaps another one. `results` is what is left of the script's
 * letters; returns what is left then. */
static const char *send_connect(struct talk *talk, enum paho_version version, const char *results)
{
    for (int tries = 0;; tries++) {
        char letter = *results;

        say(talk, letter_of(version));
        if (letter == '\0') {
            return results;
        }
        say(talk, letter);
        results++;
        talk->known = talk->known || letter == 'a';
        if (!session_protocol_note(&talk->protocol, version, result_of(letter), talk->now_ms) ||
            tries > 0) {
            return results;
        }
        version = version == PAHO_MQTT_5 ? PAHO_MQTT_3_1_1 : PAHO_MQTT_5;
        say(talk, ' ');
        say(talk, '>');
    }
}

/* One attempt, as session/address.c makes it. */
static const char *attempt(struct talk *talk, const char *results)
{
    struct protocol_choice choice =
        session_protocol_choose(&talk->protocol, talk->known, talk->now_ms);

    if (choice.is_question) {
        char letter = *results;

        assert_int_equal(choice.version, PAHO_MQTT_5);
        say(talk, '?');
        if (letter == '\0') {
            return results;
        }
        say(talk, letter);
        results++;
        if (!session_protocol_answered(&talk->protocol, result_of(letter), talk->now_ms,
                                       &choice.version)) {
            return results;
        }
        say(talk, ' ');
    }
    return send_connect(talk, choice.version, results);
}

/* The letters of the results, and w. */
static void take_script(const char *expected, char script[128])
{
    size_t length = 0;

    for (; *expected != '\0'; expected++) {
        if (strchr("adrcsuow", *expected) != NULL) {
            script[length++] = *expected;
        }
    }
    script[length] = '\0';
}

static void converse(const struct conversation *conversation)
{
    struct talk talk = {
        .protocol = {.configured = conversation->configured, .can_5 = conversation->can_5},
        .known = conversation->known,
        .now_ms = NOW_MS};
    char script[128];
    const char *results = script;

    take_script(conversation->expected, script);
    session_protocol_remember(&talk.protocol, conversation->remembered, conversation->asked_ms);
    for (bool ended = false; !ended;) {
        if (talk.said[0] != '\0') {
            say(&talk, ' ');
        }
        if (*results == 'w') {
            say(&talk, 'w');
            talk.now_ms += WEEK_MS;
            results++;
            continue;
        }
        ended = *results == '\0';
        results = attempt(&talk, results);
    }
    if (strcmp(talk.said, conversation->expected) != 0) {
        fail_msg("%s: \"%s\", expected \"%s\"", conversation->name, talk.said,
                 conversation->expected);
    }
}

static void the_version_follows_the_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++) {
        converse(&conversations[i]);
    }
}

/* The record has the version that was accepted, and when MQTT 5 was asked for. */
static void an_accepted_version_is_remembered(void **state)
{
    struct session_protocol protocol = {.configured = CONFIG_AUTO, .can_5 = true};
    enum paho_version version;

    (void)state;
    session_protocol_note(&protocol, PAHO_MQTT_5, PROTOCOL_REFUSED, NOW_MS);
    assert_int_equal(protocol.remembered, 0);
    assert_int_equal(protocol.asked_ms, NOW_MS);
    session_protocol_note(&protocol, PAHO_MQTT_3_1_1, PROTOCOL_ACCEPTED, NOW_MS + 1);
    assert_int_equal(protocol.remembered, 4);
    assert_int_equal(protocol.asked_ms, NOW_MS);
    assert_true(session_protocol_answered(&protocol, PROTOCOL_CLOSED, NOW_MS + 2, &version));
    assert_int_equal(version, PAHO_MQTT_3_1_1);
    assert_int_equal(protocol.asked_ms, NOW_MS + 2);
    assert_true(session_protocol_answered(&protocol, PROTOCOL_ACCEPTED, NOW_MS + 3, &version));
    assert_int_equal(version, PAHO_MQTT_5);
    assert_int_equal(protocol.remembered, 4);
    session_protocol_note(&protocol, PAHO_MQTT_5, PROTOCOL_ACCEPTED, NOW_MS + 4);
    assert_int_equal(protocol.remembered, 5);
    assert_int_equal(protocol.asked_ms, NOW_MS + 4);
}

/* The client that asks is denied. That is an answer, for a week, when the session's own client is
 * not denied too. */
static void a_denied_question_leaves_a_doubt(void **state)
{
    struct session_protocol protocol = {.configured = CONFIG_AUTO, .can_5 = true};
    const int64_t later_ms = NOW_MS + WEEK_MS;
    enum paho_version version;

    (void)state;
    session_protocol_remember(&protocol, 4, NOW_MS);
    assert_int_equal(protocol.doubt, PROTOCOL_EARLIER);
    assert_true(session_protocol_answered(&protocol, PROTOCOL_DENIED, later_ms, &version));
    assert_int_equal(version, PAHO_MQTT_3_1_1);
    assert_int_equal(protocol.doubt, PROTOCOL_NOT_KNOWN);
    session_protocol_note(&protocol, PAHO_MQTT_3_1_1, PROTOCOL_DENIED, later_ms + 1);
    assert_int_equal(protocol.asked_ms, NOW_MS);
    session_protocol_note(&protocol, PAHO_MQTT_3_1_1, PROTOCOL_ACCEPTED, later_ms + 2);
    assert_int_equal(protocol.asked_ms, later_ms + 2);
    session_protocol_note(&protocol, PAHO_MQTT_3_1_1, PROTOCOL_ACCEPTED, later_ms + 3);
    assert_int_equal(protocol.asked_ms, later_ms + 2);
    assert_int_equal(protocol.doubt, PROTOCOL_NOT_KNOWN);
    assert_true(session_protocol_answered(&protocol, PROTOCOL_USELESS, later_ms, &version));
    assert_int_equal(protocol.doubt, PROTOCOL_NOT_KEPT);
    assert_true(session_protocol_answered(&protocol, PROTOCOL_REFUSED, later_ms, &version));
    assert_int_equal(protocol.doubt, PROTOCOL_NOT_TAKEN);
    session_protocol_note(&protocol, PAHO_MQTT_5, PROTOCOL_USELESS, later_ms);
    assert_int_equal(protocol.doubt, PROTOCOL_NOT_KEPT);
    session_protocol_note(&protocol, PAHO_MQTT_5, PROTOCOL_ACCEPTED, later_ms);
    assert_int_equal(protocol.doubt, PROTOCOL_NO_DOUBT);
}

/* Notes one CONNECT of MQTT 5 of a daemon that remembers `remembered`. Returns the doubt after it.
 */
static enum protocol_doubt doubt_after(int remembered, enum protocol_result result)
{
    struct session_protocol protocol = {.configured = CONFIG_AUTO, .can_5 = true};

    session_protocol_remember(&protocol, remembered, NOW_MS);
    session_protocol_note(&protocol, PAHO_MQTT_5, result, NOW_MS);
    return protocol.doubt;
}

/* Every use of MQTT 3.1.1 that the daemon has chosen has a reason, also after a restart. */
static void a_choice_of_3_1_1_has_a_reason(void **state)
{
    struct session_protocol protocol = {.configured = CONFIG_MQTT_3_1_1, .can_5 = true};

    (void)state;
    assert_int_equal(doubt_after(0, PROTOCOL_REFUSED), PROTOCOL_NOT_TAKEN);
    assert_int_equal(doubt_after(0, PROTOCOL_CLOSED), PROTOCOL_NOT_TAKEN);
    assert_int_equal(doubt_after(0, PROTOCOL_SILENT), PROTOCOL_NOT_TAKEN);
    assert_int_equal(doubt_after(5, PROTOCOL_CLOSED), PROTOCOL_NO_DOUBT);
    assert_int_equal(doubt_after(5, PROTOCOL_USELESS), PROTOCOL_NOT_KEPT);
    assert_int_equal(doubt_after(4, PROTOCOL_OTHER), PROTOCOL_EARLIER);
    session_protocol_remember(&protocol, 4, NOW_MS);
    assert_int_equal(protocol.doubt, PROTOCOL_NO_DOUBT);
    for (int doubt = PROTOCOL_NOT_TAKEN; doubt <= PROTOCOL_EARLIER; doubt++) {
        assert_string_not_equal(session_protocol_reason((enum protocol_doubt)doubt), "");
    }
}

/* An answer of long ago to a daemon that was free to choose. */
static void a_configured_version_is_no_answer(void **state)
{
    struct session_protocol protocol = {.configured = CONFIG_MQTT_3_1_1, .can_5 = true};

    (void)state;
    session_protocol_remember(&protocol, 4, NOW_MS);
    session_protocol_note(&protocol, PAHO_MQTT_3_1_1, PROTOCOL_ACCEPTED, NOW_MS);
    assert_int_equal(protocol.asked_ms, 0);
    protocol = (struct session_protocol){.configured = CONFIG_AUTO};
    session_protocol_remember(&protocol, 4, NOW_MS);
    assert_int_equal(protocol.asked_ms, 0);
    protocol = (struct session_protocol){.configured = CONFIG_MQTT_5, .can_5 = true};
    session_protocol_remember(&protocol, 4, 1);
    session_protocol_note(&protocol, PAHO_MQTT_5, PROTOCOL_ACCEPTED, NOW_MS);
    assert_int_equal(protocol.asked_ms, NOW_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_follows_the_answers),
        cmocka_unit_test(an_accepted_version_is_remembered),
        cmocka_unit_test(a_denied_question_leaves_a_doubt),
        cmocka_unit_test(a_choice_of_3_1_1_has_a_reason),
        cmocka_unit_test(a_configured_version_is_no_answer),
    };

    return cmocka_run_group_tests_name("the version of MQTT", tests, NULL, NULL);
}
