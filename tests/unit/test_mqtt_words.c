/*
 * Every return code has a sentence that says what it means and names what the operator can change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "mqtt/words_internal.h"

#define KEEPALIVE_S 4321
#define CLIENT_ID   "id-of-nineteen-char"

static const struct paho_options of_3_1_1 = {
    .client_id = CLIENT_ID, .keepalive_s = KEEPALIVE_S, .version = PAHO_MQTT_3_1_1};
static const struct paho_options of_5 = {
    .client_id = CLIENT_ID, .keepalive_s = KEEPALIVE_S, .version = PAHO_MQTT_5};

/* Texts that a sentence must contain. */
struct expected {
    int code;
    const char *words[4];
};

static void assert_words(const char *sentence, const struct expected *expected)
{
    for (size_t i = 0; i < 4 && expected->words[i] != NULL; i++) {
        if (strstr(sentence, expected->words[i]) == NULL) {
            fail_msg("0x%02X: \"%s\" has no \"%s\"", (unsigned)expected->code, sentence,
                     expected->words[i]);
        }
    }
}

static void every_connack(void **state)
{
    static const struct expected cases[] = {
        {1, {"does not speak MQTT 3.1.1", "broker.protocol = auto", "broker.port"}},
        {2,
         {"client id or the keep alive", "19 characters", "session.client_id",
          "keep alive of 4321 s: broker.keepalive"}},
        {3, {"unavailable", "tries again"}},
        {4, {"bad user name or password", "broker.username"}},
        {5, {"not authorised", "broker.username", "client id"}},
        {6, {"unknown code 6", "log"}},
        {127, {"unknown code 127"}},
        {0x80, {"0x80 of MQTT 5 (unspecified error)", "log"}},
        {0x81, {"(malformed packet)"}},
        {0x82, {"(protocol error)"}},
        {0x83, {"(implementation specific error)"}},
        {0x84, {"(unsupported protocol version)", "does not speak MQTT 3.1.1", "broker.port"}},
        {0x85, {"client id or the keep alive", "session.client_id", "broker.keepalive"}},
        {0x86, {"(bad user name or password)", "broker.username"}},
        {0x87, {"(not authorised)", "broker.username"}},
        {0x88, {"(server unavailable)"}},
        {0x89, {"(server busy)"}},
        {0x8A, {"(banned)", "operator"}},
        {0x8C, {"(bad authentication method)", "broker.username"}},
        {0x90, {"(topic name invalid)"}},
        {0x95, {"(packet too large)"}},
        {0x97, {"(quota exceeded)", "limit"}},
        {0x99, {"(payload format invalid)"}},
        {0x9A, {"(retain not supported)"}},
        {0x9B, {"(QoS not supported)", "session.qos"}},
        {0x9C, {"(use another server)", "broker.host"}},
        {0x9D, {"(server moved)", "broker.host"}},
        {0x9F, {"(connection rate exceeded)", "tries again"}},
        {0xFF, {"code 0xFF of MQTT 5: ", "log"}},
    };
    char sentence[MQTT_WORDS_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mqtt_words_connack(cases[i].code, "", &of_3_1_1, sentence);
        assert_words(sentence, &cases[i]);
    }
}

static void a_refused_version_5(void **state)
{
    static const struct expected cases[] = {
        {1, {"does not speak MQTT 5", "broker.protocol", "broker.port"}},
        {0x84, {"does not speak MQTT 5", "broker.protocol", "broker.port"}},
    };
    char sentence[MQTT_WORDS_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mqtt_words_connack(cases[i].code, "", &of_5, sentence);
        assert_words(sentence, &cases[i]);
    }
}

static void every_disconnect(void **state)
{
    static const struct expected cases[] = {
        {0x00, {"the broker ended the connection"}},
        {0x80, {"does not name", "log"}},
        {0x81, {"malformed", "log"}},
        {0x82, {"broke the protocol", "log"}},
        {0x83, {"does not accept", "log"}},
        {0x87, {"not authorised", "broker.username"}},
        {0x89, {"busy"}},
        {0x8B, {"the broker is shutting down"}},
        {0x8D, {"keep alive"}},
        {0x8E, {"session taken over: another client uses this client id"}},
        {0x8F, {"session.filters"}},
        {0x90, {"topic", "log"}},
        {0x93, {"window", "log"}},
        {0x95, {"too large", "log"}},
        {0x96, {"too much", "operator"}},
        {0x97, {"quota", "operator"}},
        {0x98, {"operator", "rule"}},
        {0x9B, {"session.qos"}},
        {0x9C, {"another server", "broker.host"}},
        {0x9D, {"moved", "broker.host"}},
        {0x9E, {"$share/", "session.filters"}},
        {0x9F, {"no more connections"}},
        {0xA0, {"connects again"}},
        {0xA1, {"subscription identifiers"}},
        {0xA2, {"wildcards", "session.filters"}},
        {0x84, {"unknown code 0x84", "log"}},
    };
    char sentence[MQTT_WORDS_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mqtt_words_disconnect(cases[i].code, "", "", sentence);
        assert_words(sentence, &cases[i]);
        assert_null(strchr(sentence, '"'));
    }
}

/* As much as fits, on one line. */
static void a_brokers_own_words_are_quoted(void **state)
{
    char sentence[MQTT_WORDS_SIZE];
    char text[MQTT_WORDS_SIZE];

    (void)state;
    mqtt_words_disconnect(0x8B, "back\nat ten", "", sentence);
    assert_string_equal(sentence, "the broker is shutting down; it says \"back\\x0aat ten\"");
    mqtt_words_disconnect(0x9D, "", "b:1883", sentence);
    assert_non_null(strstr(sentence, "; it names \"b:1883\""));
    mqtt_words_connack(0x89, "later", &of_5, sentence);
    assert_non_null(strstr(sentence, "; it says \"later\""));
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    mqtt_words_disconnect(0x9D, text, text, sentence);
    assert_non_null(strstr(sentence, "...\"; it says \"xxx"));
    assert_string_equal(sentence + strlen(sentence) - 4, "...\"");
}

static void every_suback(void **state)
{
    static const struct expected cases[] = {
        {0x80, {"refuses the subscription to a/#", "access list"}},
        {0x83, {"to a/# with code 0x83 of MQTT 5 (implementation specific error)"}},
        {0x87, {"(not authorised)", "access list"}},
        {0x8F, {"(topic filter invalid)", "session.filters"}},
        {0x91, {"(packet identifier in use)"}},
        {0x97, {"(quota exceeded)", "session.filters"}},
        {0x9E, {"(shared subscriptions not supported)", "$share/"}},
        {0xA1, {"(subscription identifiers not supported)", "log"}},
        {0xA2, {"(wildcard subscriptions not supported)", "without + and #"}},
        {0x84, {"code 0x84 of MQTT 5: ", "log"}},
        {0xFF, {"code 0xFF of MQTT 5: ", "log"}},
    };
    char sentence[MQTT_WORDS_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mqtt_words_suback(cases[i].code, "a/#", sentence);
        assert_words(sentence, &cases[i]);
    }
}

/* Whatever the code and however long the filter: a whole sentence. */
static void every_code_fits(void **state)
{
    char filter[1024];
    char sentence[MQTT_WORDS_SIZE];

    (void)state;
    memset(filter, 'f', sizeof(filter) - 1);
    filter[sizeof(filter) - 1] = '\0';
    for (int code = 1; code < 256; code++) {
        for (int version = PAHO_MQTT_3_1_1; version <= (int)PAHO_MQTT_5; version++) {
            const struct paho_options options = {
                .client_id = filter, .keepalive_s = 65535, .version = (enum paho_version)version};

            mqtt_words_connack(code, "", &options, sentence);
            assert_true(strlen(sentence) > 20 && strlen(sentence) < MQTT_WORDS_SIZE - 1);
            mqtt_words_connack(code, filter, &options, sentence);
            assert_true(strlen(sentence) > 20 && strlen(sentence) < MQTT_WORDS_SIZE);
        }
        mqtt_words_disconnect(code, "", "", sentence);
        assert_true(strlen(sentence) > 20 && strlen(sentence) < MQTT_WORDS_SIZE - 1);
        mqtt_words_disconnect(code, filter, filter, sentence);
        assert_true(strlen(sentence) < MQTT_WORDS_SIZE);
    }
    for (int code = 0x80; code < 256; code++) {
        mqtt_words_suback(code, filter, sentence);
        assert_true(strlen(sentence) > 20 && strlen(sentence) < MQTT_WORDS_SIZE - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_connack),    cmocka_unit_test(a_refused_version_5),
        cmocka_unit_test(every_disconnect), cmocka_unit_test(a_brokers_own_words_are_quoted),
        cmocka_unit_test(every_suback),     cmocka_unit_test(every_code_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
