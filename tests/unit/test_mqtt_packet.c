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

static void check(enum mqtt_version version, const struct packet *packet)
{
    const unsigned char *body = (const unsigned char *)packet->body;
    char problem[MQTT_PACKET_PROBLEM_SIZE] = "";
    enum mqtt_packet_result result =
        mqtt_packet_check_header(version, packet->first, packet->length, problem);

    if (result == MQTT_PACKET_OK && packet->length > 0) {
        result = mqtt_packet_check_body(version, packet->first, body, packet->length, problem);
    }
    if (packet->said == NULL) {
        assert_string_equal(problem, "");
        assert_int_equal(result, MQTT_PACKET_OK);
    } else {
        assert_int_equal(result, MQTT_PACKET_E_MALFORMED);
        if (strstr(problem, packet->said) == NULL) {
            fail_msg("\"%s\" does not have \"%s\"", problem, packet->said);
        }
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
        check(MQTT_3_1_1, &packets[i]);
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
         "its length is 3, not 2: MQTT 5 has such answers; set broker.protocol = auto"},
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
        check(MQTT_3_1_1, &packets[i]);
    }
    mqtt_packet_endless_length(0x30, problem);
    assert_string_equal(problem, "the broker sent a malformed PUBLISH (its remaining length has "
                                 "more than four bytes)");
}

static void good_packets_of_5(void **state)
{
    static const struct packet packets[] = {
        {0x20, BYTES("\0\0\0"), NULL},
        {0x20, BYTES("\1\0\0"), NULL},
        {0x20, BYTES("\0\x87\0"), NULL},
        {0x20, BYTES("\0\x87\5\x1F\0\2no"), NULL},
        {0x20, BYTES("\0\0\3\x21\0\1"), NULL},
        {0x20, BYTES("\1\x80\0"), NULL}, /* refused: session present does not count */
        {0x30, BYTES("\0\3a/b\0"), NULL},
        {0x30, BYTES("\0\0\0"), NULL}, /* no topic: a message, for quarantine */
        {0x3D, BYTES("\0\3a/b\0\1\0payload"), NULL},
        {0x32, BYTES("\0\3a/b\xff\xff\0"), NULL},
        {0x34, BYTES("\0\3a/b\0\1\5\2\0\0\0\1payload"), NULL},
        {0x34, BYTES("\0\3a/b\0\1\2\1\1"), NULL},
        {0x62, BYTES("\0\1"), NULL},
        {0x62, BYTES("\0\1\x92"), NULL},
        {0x62, BYTES("\0\1\0\0"), NULL},
        {0x62, BYTES("\0\1\x92\5\x1F\0\2no"), NULL},
        {0x90, BYTES("\0\1\0\0"), NULL},
        {0x90, BYTES("\0\1\0\2"), NULL},
        {0x90, BYTES("\0\1\0\x8F"), NULL},
        {0x90, BYTES("\0\1\5\x1F\0\2no\x87"), NULL},
        {0xB0, BYTES("\0\1\0\0"), NULL},
        {0xB0, BYTES("\0\1\0\x11"), NULL},
        {0xB0, BYTES("\0\1\0\x80"), NULL},
        {0xD0, BYTES(""), NULL},
        {0xE0, BYTES(""), NULL},
        {0xE0, BYTES("\x8B"), NULL},
        {0xE0, BYTES("\x8E\0"), NULL},
        {0xE0, BYTES("\x9C\7\x1C\0\4here"), NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
        check(MQTT_5, &packets[i]);
    }
}

static void malformed_packets_of_5(void **state)
{
    static const struct packet packets[] = {
        {0x20, BYTES(""), "malformed CONNACK (its length is 0, not 2 to 262144)"},
        {0x20, BYTES("\0"), "its length is 1"},
        {0x20, BYTES("\2\0\0"), "reserved flags"},
        {0x20, BYTES("\0\0\1"), "its properties are longer than the packet"},
        {0x20, BYTES("\0\0\0x"), "it goes on behind its properties"},
        {0x20, BYTES("\0\0\3\x21\0\0"), "its Receive Maximum is 0"},
        {0x20, BYTES("\0\0\2\1\0"), "malformed CONNACK (it has a property of another packet)"},
        {0x30, BYTES("\0\0"), "malformed PUBLISH (too short"},
        {0x34, BYTES("\0\0\0\1"), "too short"},
        {0x36, BYTES("\0\3a/b\0\1\0"), "its QoS is 3"},
        {0x30, BYTES("\0\3a/b"), "its properties are longer than the packet"},
        {0x30, BYTES("\0\4a/b"), "its topic is longer than the packet"},
        {0x34, BYTES("\0\3a/b\0\0\0x"), "its packet identifier is 0"},
        {0x34, BYTES("\0\3a/b\0\1"), "its properties are longer than the packet"},
        {0x34, BYTES("\0\3a/b\0\1\2\1"), "its properties are longer than the packet"},
        {0x34, BYTES("\0\3a/b\0\1\3\x23\0\1x"), "it has a Topic Alias, and none was allowed"},
        {0x34, BYTES("\0\0\0\1\3\x23\0\1x"), "it has a Topic Alias"},
        {0x34, BYTES("\0\3a/b\0\1\2\x77\0"), "it has an unknown property"},
        {0x40, BYTES("\0\1"), "PUBACK although nothing was published to it"},
        {0x50, BYTES("\0\1\x10\0"), "PUBREC although nothing was published to it"},
        {0x70, BYTES("\0\1\0"), "PUBCOMP although nothing was published to it"},
        {0x62, BYTES("\0\0"), "malformed PUBREL (its packet identifier is 0)"},
        {0x62, BYTES("\0"), "malformed PUBREL"},
        {0x62, BYTES("\0\1\0\1"), "its properties are longer than the packet"},
        {0x62, BYTES("\0\1\0\0\0"), "it goes on behind its properties"},
        {0x90, BYTES("\0\1\2"), "malformed SUBACK (its length is 3, not 4 to 262144)"},
        {0x90, BYTES("\0\1\1\2"), "malformed SUBACK"},
        {0x90, BYTES("\0\1\0\2\2"), "another number of reason codes than 1"},
        {0x90, BYTES("\0\1\3\x1F\0\0"), "another number of reason codes than 1"},
        {0x90, BYTES("\0\1\0\3"), "reason code"},
        {0x90, BYTES("\0\0\0\2"), "packet identifier is 0"},
        {0xB0, BYTES("\0\1"), "malformed UNSUBACK"},
        {0xB0, BYTES("\0\1\0\1"), "reason code"},
        {0xB0, BYTES("\0\1\0\0\0"), "another number of reason codes than 1"},
        {0xB0, BYTES("\0\0\0\0"), "packet identifier is 0"},
        {0xD0, BYTES("x"), "malformed PINGRESP (its length is 1, not 0)"},
        {0xE0, BYTES("\x8B\1"), "malformed DISCONNECT (its properties are longer"},
        {0xE0, BYTES("\x8B\0\0"), "malformed DISCONNECT (it goes on behind"},
        {0xE0, BYTES("\x8B\3\x21\0\1"), "it has a property of another packet"},
        {0x00, BYTES(""), "type 0, which no broker sends"},
        {0x10, BYTES("\0\4MQTT"), "type 1,"},
        {0x82, BYTES("\0\1"), "type 8,"},
        {0xA2, BYTES("\0\1"), "type 10,"},
        {0xC0, BYTES(""), "type 12,"},
        {0xF0, BYTES("\x18\0"), "type 15,"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
        check(MQTT_5, &packets[i]);
    }
}

static void an_answer_of_3_1_1_is_told_apart(void **state)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE] = "";
    struct mqtt_connack connack;

    (void)state;
    for (unsigned code = 0; code < 6; code++) {
        const unsigned char body[] = {0, (unsigned char)code};

        assert_int_equal(mqtt_packet_check_header(MQTT_5, 0x20, 2, problem), MQTT_PACKET_OK);
        assert_int_equal(mqtt_packet_check_body(MQTT_5, 0x20, body, 2, problem), MQTT_PACKET_E_OLD);
        assert_non_null(strstr(problem, "the broker answered CONNECT as MQTT 3.1.1 does"));
        mqtt_packet_read_connack(body, 2, &connack);
        assert_true(connack.is_old);
        assert_int_equal(connack.code, code);
        assert_true(connack.properties.shared_available);
    }
}

static void answers_are_read(void **state)
{
    static const unsigned char accepted[] = "\1\0\5\x11\0\0\0\7";
    static const unsigned char gone[] = "\x9D\7\x1C\0\4here";
    struct mqtt_connack connack;
    struct mqtt_disconnect disconnect;

    (void)state;
    mqtt_packet_read_connack(accepted, sizeof(accepted) - 1, &connack);
    assert_true(connack.session_present);
    assert_false(connack.is_old);
    assert_int_equal(connack.code, 0);
    assert_int_equal(connack.properties.session_expiry_s, 7);
    mqtt_packet_read_connack((const unsigned char *)"\0\x87\0", 3, &connack);
    assert_false(connack.session_present);
    assert_int_equal(connack.code, 0x87);
    mqtt_packet_read_disconnect(gone, sizeof(gone) - 1, &disconnect);
    assert_int_equal(disconnect.code, 0x9D);
    assert_string_equal(disconnect.properties.server, "here");
    mqtt_packet_read_disconnect(gone, 1, &disconnect);
    assert_int_equal(disconnect.code, 0x9D);
    assert_string_equal(disconnect.properties.server, "");
    mqtt_packet_read_disconnect(NULL, 0, &disconnect);
    assert_int_equal(disconnect.code, 0);
}

/* 256 MiB are refused by the header alone, but for a PUBLISH, which may be as long. */
static void lengths_are_judged_before_the_rest_is_there(void **state)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE];

    (void)state;
    for (unsigned i = 0; i < 512; i++) {
        enum mqtt_version version = i < 256 ? MQTT_3_1_1 : MQTT_5;
        unsigned char first = (unsigned char)i;
        bool is_publish = first >> 4 == 3 && (first >> 1 & 3) != 3;

        assert_int_equal(mqtt_packet_check_header(version, first, 268435455, problem),
                         is_publish ? MQTT_PACKET_OK : MQTT_PACKET_E_MALFORMED);
        assert_int_equal(mqtt_packet_check_header(version, first, 262145, problem),
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
#define CONNECT_5   OURS, 0x10, BYTES("\0\4MQTT\5\0\0\5\0\0\1x"), NULL
#define ACCEPTED_5  BROKERS, 0x20, BYTES("\0\0\0"), NULL
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

static const struct conversation conversations_5[] = {
    {"MQTT 5 as it should be",
     {{CONNECT_5},
      {ACCEPTED_5},
      {OURS, 0x82, BYTES("\0\1\0\0\1#\2"), NULL},
      {BROKERS, 0x30, BYTES("\0\1x\0"), NULL},
      {BROKERS, 0x90, BYTES("\0\1\0\2"), NULL},
      {BROKERS, 0x62, BYTES("\0\7"), NULL},
      {BROKERS, 0xE0, BYTES("\x8B"), NULL}}},
    {"DISCONNECT first",
     {{CONNECT_5}, {BROKERS, 0xE0, BYTES("\x8B"), "DISCONNECT before a CONNACK that accepts"}}},
    {"DISCONNECT after a refusal",
     {{CONNECT_5},
      {BROKERS, 0x20, BYTES("\0\x87\0"), NULL},
      {BROKERS, 0xE0, BYTES("\x87"), "DISCONNECT before a CONNACK that accepts"}}},
    {"SUBACK of MQTT 5 for another",
     {{CONNECT_5},
      {ACCEPTED_5},
      {OURS, 0x82, BYTES("\0\1\0\0\1#\2"), NULL},
      {BROKERS, 0x90, BYTES("\0\2\0\2"), "SUBACK with packet identifier 2, the SUBSCRIBE has 1"}}},
    {"MQTT 3.1.1 after MQTT 5",
     {{CONNECT_5},
      {ACCEPTED_5},
      {CONNECT},
      {BROKERS, 0x20, BYTES("\0\0\0"), "its length is 3, not 2"},
      {ACCEPTED},
      {BROKERS, 0xE0, BYTES("\x8B"), "type 14"}}},
};

static bool is_taken(struct mqtt_exchange *exchange, const struct step *step, char *problem)
{
    const unsigned char *body = (const unsigned char *)step->body;

    if (step->who == OURS) {
        mqtt_exchange_sent(exchange, step->first, body, step->length);
        return true;
    }
    return mqtt_packet_check_header(mqtt_exchange_version(exchange), step->first, step->length,
                                    problem) == MQTT_PACKET_OK &&
           mqtt_exchange_check_header(exchange, step->first, problem) == MQTT_PACKET_OK &&
           mqtt_exchange_check_body(exchange, step->first, body, problem) == MQTT_PACKET_OK;
}

static void hold(const struct conversation *conversation)
{
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

static void packets_come_when_they_may(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++) {
        hold(&conversations[i]);
    }
    for (size_t i = 0; i < sizeof(conversations_5) / sizeof(conversations_5[0]); i++) {
        hold(&conversations_5[i]);
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
        cmocka_unit_test(good_packets_of_5),
        cmocka_unit_test(malformed_packets_of_5),
        cmocka_unit_test(an_answer_of_3_1_1_is_told_apart),
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(lengths_are_judged_before_the_rest_is_there),
        cmocka_unit_test(packets_come_when_they_may),
        cmocka_unit_test(other_protocols_are_named),
    };

    return cmocka_run_group_tests_name("mqtt_packet", tests, NULL, NULL);
}
