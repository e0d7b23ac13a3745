/* What a broker may send: the packets that are let through, and the sentence about those that are
 * not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "mqtt_packet.h"

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
        mqtt_packet_check_header(packet->first, packet->length, problem);

    if (result == MQTT_PACKET_OK && packet->length > 0) {
        result = mqtt_packet_check_body(packet->first, (const unsigned char *)packet->body,
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

#define PACKET(first, body, said)                                                                  \
    {                                                                                              \
        first, body, sizeof(body) - 1, said                                                        \
    }

static void good_packets(void **state)
{
    static const struct packet packets[] = {
        PACKET(0x20, "\0\0", NULL),
        PACKET(0x20, "\1\0", NULL),
        PACKET(0x20, "\0\5", NULL), /* refused, and well-formed */
        PACKET(0x30, "\0\3a/b", NULL),
        PACKET(0x30, "\0\0", NULL), /* no topic: a message, for quarantine */
        PACKET(0x3D, "\0\3a/b\0\1payload", NULL),
        PACKET(0x32, "\0\3a/b\xff\xff", NULL),
        PACKET(0x40, "\0\1", NULL),
        PACKET(0x50, "\0\1", NULL),
        PACKET(0x62, "\0\1", NULL),
        PACKET(0x60, "\1\0", NULL), /* without its reserved flag */
        PACKET(0x70, "\0\1", NULL),
        PACKET(0x90, "\0\1\0", NULL),
        PACKET(0x90, "\0\1\2", NULL),
        PACKET(0x90, "\0\1\x80", NULL),
        PACKET(0xB0, "\0\1", NULL),
        PACKET(0xD0, "", NULL),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
        check(&packets[i]);
    }
}

static void malformed_packets(void **state)
{
    static const struct packet packets[] = {
        PACKET(0x20, "", "malformed CONNACK (its length is 0, not 2)"),
        PACKET(0x20, "\0", "CONNACK"),
        PACKET(0x20, "\0\0\0", "its length is 3, not 2"),
        PACKET(0x20, "\2\0", "reserved flags"),
        PACKET(0x30, "", "malformed PUBLISH (too short"),
        PACKET(0x30, "\0", "too short"),
        PACKET(0x32, "\0\0\0", "too short"),
        PACKET(0x36, "\0\3a/b\0\1", "its QoS is 3"),
        PACKET(0x30, "\0\4a/b", "its topic is longer than the packet"),
        PACKET(0x30,
               "\xff\xff"
               "abc",
               "its topic is longer than the packet"),
        PACKET(0x32, "\0\3a/b\1", "its topic is longer than the packet"),
        PACKET(0x34, "\0\3a/b\0\0x", "its packet identifier is 0"),
        PACKET(0x40, "\1", "malformed PUBACK"),
        PACKET(0x50, "", "malformed PUBREC"),
        PACKET(0x62, "\0\0", "malformed PUBREL (its packet identifier is 0)"),
        PACKET(0x62, "\0\1\0", "malformed PUBREL"),
        PACKET(0x70, "\1", "malformed PUBCOMP"),
        PACKET(0x90, "\0\1", "malformed SUBACK (its length is 2, not 3)"),
        PACKET(0x90, "\0\1\2\2", "malformed SUBACK"),
        PACKET(0x90, "\0\1\3", "return code"),
        PACKET(0x90, "\0\1\x7F", "return code"),
        PACKET(0x20, "\0\x84\0",
               "its length is 3, not 2: MQTT 5 has such answers; allow version 3.1.1"),
        PACKET(0x90, "\0\0\2", "packet identifier is 0"),
        PACKET(0xB0, "\1", "malformed UNSUBACK"),
        PACKET(0xB0, "\0\1\0", "malformed UNSUBACK"),
        PACKET(0xD0, "x", "malformed PINGRESP"),
        PACKET(0x00, "", "type 0, which no broker sends"),
        PACKET(0x10, "\0\4MQTT", "type 1,"),
        PACKET(0x82, "\0\1", "type 8,"),
        PACKET(0xA2, "\0\1", "type 10,"),
        PACKET(0xC0, "", "type 12,"),
        PACKET(0xE0, "", "type 14,"),
        PACKET(0xF0, "", "type 15,"),
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

        assert_int_equal(mqtt_packet_check_header((unsigned char)first, 268435455, problem),
                         is_publish ? MQTT_PACKET_OK : MQTT_PACKET_E_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_packets),
        cmocka_unit_test(malformed_packets),
        cmocka_unit_test(lengths_are_judged_before_the_rest_is_there),
    };

    return cmocka_run_group_tests_name("mqtt_packet", tests, NULL, NULL);
}
