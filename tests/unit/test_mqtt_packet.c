/* The packets that a broker may send, and when: those that are let through, and the sentence about
 * those that are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "mqtt/paho/packet_internal.h"

/* A packet without its remaining length, and a part of what is said of it; NULL: it is good. */
struct packet {
    unsigned char first;
    const char *body;
    size_t length;
    const char *said;
};

static void check(const struct packet *packet)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE] = "";
    enum mqtt_packet_result result =
        mqtt_packet_check_header(MQTT_3_1_1, packet->first, packet->length, problem);

    if (result == MQTT_PACKET_OK && packet->length > 0) {
        result =
            mqtt_packet_check_body(MQTT_3_1_1, packet->first, (const unsigned char *)packet->body,
                                   packet->length, problem);
    }
    if (packet->said == NULL) {
        assert_string_equal(problem, "");
        assert_int_equal(result, MQTT_PACKET_OK);
    } else {
        assert_int_equal(result, MQTT_PACKET_E_MALFORMED);
        assert_non_null(strstr(problem, packet->said));
        assert_int_equal(strncmp(problem, "the broker sent a ", 18), 0);
    }
}

#define BYTES(literal) (literal), sizeof(literal) - 1

static void good_packets(void **state)
{
    static const struct packet packets[] = {
        {0x20, BYTES("\0\0"), NULL},
        {0x20, BYTES("\1\0"), NULL},
        {0x20, BYTES("\0\5"), NULL}, /* refused, and well-formed */
        {0x30, BYTES("\0\3a/b"), NULL},
        {0x30, BYTES("\0\0"), NULL}, /* no topic: a message, for quarantine */
        {0x3D, BYTES("\0\3a/b\0\1payload"), NULL},
        {0x32, BYTES("\0\3a/b\xff\xff"), NULL},
        {0x20, BYTES("\1\5"), NULL}, /* refused: session present does not count */
        {0x2F, BYTES("\0\0"), NULL}, /* with reserved flags of the fixed header */
        {0x30, BYTES("\0\3a/#"), NULL},
        {0x34, BYTES("\0\3a\0b\0\1"), NULL},
        {0x34, BYTES("\0\1\xff\0\1"), NULL},
        {0x38, BYTES("\0\3a/b"), NULL}, /* DUP with QoS 0 */
        {0x62, BYTES("\0\1"), NULL},
        {0x60, BYTES("\1\0"), NULL}, /* without its reserved flag */
        {0x90, BYTES("\0\1\0"), NULL},
        {0x90, BYTES("\0\1\2"), NULL},
        {0x90, BYTES("\0\1\x80"), NULL},
        {0xB0, BYTES("\0\1"), NULL},
        {0xD0, BYTES(""), NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
        check(&packets[i]);
    }
}

static void malformed_packets(void **state)
{
    static const struct packet packets[] = {
        {0x20, BYTES(""), "malformed CONNACK (its length is 0, not 2)"},
        {0x20, BYTES("\0"), "CONNACK"},
        {0x20, BYTES("\0\0\0"), "its length is 3, not 2"},
        {0x20, BYTES("\2\0"), "reserved flags"},
        {0x30, BYTES(""), "malformed PUBLISH (too short"},
        {0x30, BYTES("\0"), "too short"},
        {0x32, BYTES("\0\0\0"), "too short"},
        {0x36, BYTES("\0\3a/b\0\1"), "its QoS is 3"},
        {0x30, BYTES("\0\4a/b"), "its topic is longer than the packet"},
        {0x30,
         BYTES("\xff\xff"
               "abc"),
         "its topic is longer than the packet"},
        {0x32, BYTES("\0\3a/b\1"), "its topic is longer than the packet"},
        {0x34, BYTES("\0\3a/b\0\0x"), "its packet identifier is 0"},
        {0x40, BYTES("\0\1"), "PUBACK although nothing was published to it"},
        {0x50, BYTES("\0\1"), "PUBREC although nothing was published to it"},
        {0x70, BYTES("\0\1"), "PUBCOMP although nothing was published to it"},
        {0x40, BYTES("\1"), "malformed PUBACK"},
        {0x50, BYTES(""), "malformed PUBREC"},
        {0x62, BYTES("\0\0"), "malformed PUBREL (its packet identifier is 0)"},
        {0x62, BYTES("\0\1\0"), "malformed PUBREL"},
        {0x70, BYTES("\1"), "malformed PUBCOMP"},
        {0x90, BYTES("\0\1"), "malformed SUBACK (its length is 2, not 3)"},
        {0x90, BYTES("\0\1\2\2"), "malformed SUBACK"},
        {0x90, BYTES("\0\1\3"), "return code"},
        {0x90, BYTES("\0\1\x7F"), "return code"},
        {0x20, BYTES("\0\x84\0"),
         "its length is 3, not 2: MQTT 5 has such answers; allow version 3.1.1"},
        {0x90, BYTES("\0\0\2"), "packet identifier is 0"},
        {0xB0, BYTES("\1"), "malformed UNSUBACK"},
        {0xB0, BYTES("\0\1\0"), "malformed UNSUBACK"},
        {0xD0, BYTES("x"), "malformed PINGRESP"},
        {0x00, BYTES(""), "type 0, which no broker sends"},
        {0x10, BYTES("\0\4MQTT"), "type 1,"},
        {0x82, BYTES("\0\1"), "type 8,"},
        {0xA2, BYTES("\0\1"), "type 10,"},
        {0xC0, BYTES(""), "type 12,"},
        {0xE0, BYTES(""), "type 14,"},
        {0xF0, BYTES(""), "type 15,"},
    };
    char problem[MQTT_PACKET_PROBLEM_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
        check(&packets[i]);
    }
    mqtt_packet_endless_length(0x30, problem);
    assert_string_equal(problem, "the broker sent a malformed PUBLISH (its remaining length has "
                                 "more than four bytes)");
}

/* 256 MiB are refused by the header alone, but for a PUBLISH, which may be as long. */
static void lengths_are_judged_before_the_rest_is_there(void **state)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE];

    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        bool is_publish = first >> 4 == 3 && (first >> 1 & 3) != 3;

        assert_int_equal(
            mqtt_packet_check_header(MQTT_3_1_1, (unsigned char)first, 268435455, problem),
            is_publish ? MQTT_PACKET_OK : MQTT_PACKET_E_MALFORMED);
    }
}

/* --- when a packet may come ------------------------------------------------------------------ */

enum who { OURS, BROKERS };

/* A packet of either side, without its remaining length. */
struct step {
    enum who who;
    unsigned char first;
    const char *body;
    size_t length;
    const char *said; /* a part of what is said of it; NULL: it is good */
};

#define CONNECT     OURS, 0x10, BYTES("\0\4MQTT\4\2\0\5\0\1x"), NULL
#define SUBSCRIBE_1 OURS, 0x82, BYTES("\0\1\0\1#\2"), NULL
#define ACCEPTED    BROKERS, 0x20, BYTES("\0\0"), NULL
#define STEPS_MAX   8

static const struct conversation {
    const char *name;
    struct step steps[STEPS_MAX];
} conversations[] = {
    {"as it should be",
     {{CONNECT},
      {ACCEPTED},
      {OURS, 0xA2, BYTES("\xff\xff\0\1x"), NULL},
      {SUBSCRIBE_1},
      {BROKERS, 0x30, BYTES("\0\1x"), NULL},
      {BROKERS, 0xB0, BYTES("\xff\xff"), NULL},
      {BROKERS, 0x90, BYTES("\0\1\2"), NULL},
      {BROKERS, 0x62, BYTES("\0\7"), NULL}}},
    {"PINGRESP unasked", {{CONNECT}, {ACCEPTED}, {BROKERS, 0xD0, BYTES(""), NULL}}},
    {"PUBLISH first", {{CONNECT}, {BROKERS, 0x34, BYTES("\0\1x\0\1"), "PUBLISH before a CONNACK"}}},
    {"PUBREL first", {{CONNECT}, {BROKERS, 0x62, BYTES("\0\1"), "PUBREL before a CONNACK"}}},
    {"SUBACK first", {{CONNECT}, {BROKERS, 0x90, BYTES("\0\1\2"), "SUBACK before a CONNACK"}}},
    {"PINGRESP first", {{CONNECT}, {BROKERS, 0xD0, BYTES(""), "PINGRESP before a CONNACK"}}},
    {"PUBLISH after a refusal",
     {{CONNECT},
      {BROKERS, 0x20, BYTES("\0\5"), NULL},
      {BROKERS, 0x30, BYTES("\0\1x"), "PUBLISH before a CONNACK that accepts"}}},
    {"CONNACK twice",
     {{CONNECT},
      {ACCEPTED},
      {BROKERS, 0x20, BYTES("\0\0"), "CONNACK a second time on one connection"}}},
    {"the next connection begins anew",
     {{CONNECT},
      {ACCEPTED},
      {SUBSCRIBE_1},
      {CONNECT},
      {BROKERS, 0x90, BYTES("\0\1\2"), "SUBACK before a CONNACK"},
      {ACCEPTED},
      {BROKERS, 0x90, BYTES("\0\1\2"), "although no SUBSCRIBE waits"}}},
    {"SUBACK twice",
     {{CONNECT},
      {ACCEPTED},
      {SUBSCRIBE_1},
      {BROKERS, 0x90, BYTES("\0\1\2"), NULL},
      {BROKERS, 0x90, BYTES("\0\1\2"),
       "SUBACK with packet identifier 1 although no SUBSCRIBE waits"}}},
    {"SUBACK for another",
     {{CONNECT},
      {ACCEPTED},
      {SUBSCRIBE_1},
      {BROKERS, 0x90, BYTES("\0\2\2"), "SUBACK with packet identifier 2, the SUBSCRIBE has 1"},
      {BROKERS, 0x90, BYTES("\0\1\2"), NULL}}},
    {"UNSUBACK for a SUBSCRIBE",
     {{CONNECT},
      {ACCEPTED},
      {SUBSCRIBE_1},
      {BROKERS, 0xB0, BYTES("\0\1"),
       "UNSUBACK with packet identifier 1 although no UNSUBSCRIBE waits"}}},
    {"SUBACK for an UNSUBSCRIBE",
     {{CONNECT},
      {ACCEPTED},
      {OURS, 0xA2, BYTES("\0\1\0\1x"), NULL},
      {BROKERS, 0x90, BYTES("\0\1\2"), "although no SUBSCRIBE waits"}}},
    {"PUBREC and PUBCOMP of ours are no requests",
     {{CONNECT},
      {ACCEPTED},
      {OURS, 0x50, BYTES("\0\1"), NULL},
      {OURS, 0x70, BYTES("\0\1"), NULL},
      {BROKERS, 0x90, BYTES("\0\1\2"), "although no SUBSCRIBE waits"}}},
};

static bool is_taken(struct mqtt_exchange *exchange, const struct step *step, char *problem)
{
    const unsigned char *body = (const unsigned char *)step->body;

    if (step->who == OURS) {
        mqtt_exchange_sent(exchange, step->first, body, step->length);
        return true;
    }
    return mqtt_exchange_check_header(exchange, step->first, problem) == MQTT_PACKET_OK &&
           mqtt_exchange_check_body(exchange, step->first, body, problem) == MQTT_PACKET_OK;
}

static void packets_come_when_they_may(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++) {
        const struct conversation *conversation = &conversations[i];
        struct mqtt_exchange exchange = {0};

        for (int j = 0; j < STEPS_MAX && conversation->steps[j].body != NULL; j++) {
            const struct step *step = &conversation->steps[j];
            char problem[MQTT_PACKET_PROBLEM_SIZE] = "";
            bool taken = is_taken(&exchange, step, problem);

            if (taken != (step->said == NULL) ||
                (!taken && (strncmp(problem, "the broker sent a ", 18) != 0 ||
                            strstr(problem, step->said) == NULL))) {
                fail_msg("%s, step %d: \"%s\"", conversation->name, j, problem);
            }
        }
    }
}

/* Two bytes in the place of a CONNACK; the same bytes may be a packet's later. */
static void other_protocols_are_named(void **state)
{
    static const struct {
        const char *bytes;
        const char *said; /* NULL: may be MQTT */
    } cases[] = {
        {"HT", "a web server answers at this port, or a websocket listener: set broker.host"},
        {"SS", "an SSH server answers at this port"},
        {"22", "a mail or FTP server answers at this port"},
        {"\x15\3", "the broker expects TLS at this port: set broker.tls = yes"},
        {"\x20\2", NULL},
        {"\x15\2", NULL},
        {"TH", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const unsigned char *bytes = (const unsigned char *)cases[i].bytes;
        char problem[MQTT_PACKET_PROBLEM_SIZE] = "";
        struct mqtt_exchange exchange = {0};

        assert_int_equal(mqtt_exchange_check_protocol(&exchange, bytes[0], bytes[1], problem),
                         cases[i].said != NULL ? MQTT_PACKET_E_MALFORMED : MQTT_PACKET_OK);
        if (cases[i].said == NULL) {
            assert_string_equal(problem, "");
        } else {
            assert_non_null(strstr(problem, cases[i].said));
        }
        atomic_store(&exchange.is_accepted, true);
        assert_int_equal(mqtt_exchange_check_protocol(&exchange, bytes[0], bytes[1], problem),
                         MQTT_PACKET_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_packets),
        cmocka_unit_test(malformed_packets),
        cmocka_unit_test(lengths_are_judged_before_the_rest_is_there),
        cmocka_unit_test(packets_come_when_they_may),
        cmocka_unit_test(other_protocols_are_named),
    };

    return cmocka_run_group_tests_name("mqtt_packet", tests, NULL, NULL);
}
