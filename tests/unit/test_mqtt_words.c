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
        {1, {"does not speak MQTT 3.1.1", "at the broker", "broker.port"}},
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
        mqtt_words_connack(cases[i].code, CLIENT_ID, KEEPALIVE_S, sentence);
        assert_words(sentence, &cases[i]);
    }
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
        mqtt_words_connack(code, filter, 65535, sentence);
        assert_true(strlen(sentence) > 20 && strlen(sentence) < MQTT_WORDS_SIZE - 1);
    }
    for (int code = 0x80; code < 256; code++) {
        mqtt_words_suback(code, filter, sentence);
        assert_true(strlen(sentence) > 20 && strlen(sentence) < MQTT_WORDS_SIZE - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_connack),
        cmocka_unit_test(every_suback),
        cmocka_unit_test(every_code_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
