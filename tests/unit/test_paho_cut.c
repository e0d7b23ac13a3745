/*
 * A PUBLISH in parts gives the message that the whole packet has, and is refused for the same
 * reason, however it is divided: compared with mqtt_packet_check_body() and a reading of the whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "mqtt/paho/cut_internal.h"

#define LARGE 70000 /* more than the four pieces of 16383 bytes */

struct packet {
    enum mqtt_version version;
    unsigned char first;
    const char *bytes; /* behind the remaining length */
    size_t length;
};

#define PACKET(version, first, literal)                                                            \
    {                                                                                              \
        version, first, literal, sizeof(literal) - 1                                               \
    }

static const struct packet packets[] = {
    PACKET(MQTT_3_1_1, 0x34, "\0\3a/b\0\7payload"),
    PACKET(MQTT_3_1_1, 0x3C, "\0\3a/b\xff\xffpayload"),
    PACKET(MQTT_3_1_1, 0x32, "\0\3a/b\0\7p"),
    PACKET(MQTT_3_1_1, 0x30, "\0\3a/bpayload"),
    PACKET(MQTT_3_1_1, 0x30, "\0\0"),
    PACKET(MQTT_3_1_1, 0x34, "\0\0\0\1"),
    PACKET(MQTT_3_1_1, 0x34, "\0\3a/b\0\7"),
    PACKET(MQTT_5, 0x34, "\0\3a/b\0\7\0payload"),
    PACKET(MQTT_5, 0x32, "\0\3a/b\0\7\2\1\1payload"),
    PACKET(MQTT_5, 0x30, "\0\3a/b\0payload"),
    PACKET(MQTT_5, 0x30, "\0\0\0"),
    PACKET(MQTT_5, 0x34,
           "\0\3a/b\0\7\x1D\2\0\0\0\1\x0B\xff\x7f\3\0\2ct\x26\0\1k\0\1v\x26\0\0\0\0payload"),
    PACKET(MQTT_5, 0x34, "\0\3a/b\0\7\x82\0\1\1payload"),
    /* Refused. */
    PACKET(MQTT_3_1_1, 0x34, "\0\3a/b\0\0payload"),
    PACKET(MQTT_3_1_1, 0x34, "\0\3a/b\0"),
    PACKET(MQTT_3_1_1, 0x34,
           "\xff\xff"
           "abcdef"),
    PACKET(MQTT_3_1_1, 0x30, "\0\7abcdef"),
    PACKET(MQTT_5, 0x34, "\0\3a/b\0\0\0payload"),
    PACKET(MQTT_5, 0x34, "\0\3a/b\0\7"),
    PACKET(MQTT_5, 0x34, "\0\3a/b\0\7\x80"),
    PACKET(MQTT_5, 0x34, "\0\3a/b\0\7\x80\x80\x80\x80\0p"),
    PACKET(MQTT_5, 0x34, "\0\3a/b\0\7\3\1\1"),
    PACKET(MQTT_5, 0x34, "\0\3a/b\0\7\3\x23\0\1payload"),
    PACKET(MQTT_5, 0x34, "\0\3a/b\0\7\4\1\1\1\1payload"),
    PACKET(MQTT_5, 0x34, "\0\3a/b\0\7\2\x11\1payload"),
    PACKET(MQTT_5, 0x34, "\0\3a/b\0\7\4\3\0\2cpayload"),
    PACKET(MQTT_5, 0x34, "\0\3a/b\0\7\3\x26\0\0payload"),
    PACKET(MQTT_5, 0x34, "\0\3a/b\0\7\1\1payload"),
};

#define COUNT (sizeof(packets) / sizeof(packets[0]))

/* The message of a good packet. */
static struct mqtt_cut_message read_whole(const struct packet *packet, uint8_t digest[DIGEST_SIZE])
{
    const unsigned char *bytes = (const unsigned char *)packet->bytes;
    size_t at = 2 + ((size_t)bytes[0] << 8 | bytes[1]);
    struct mqtt_cut_message out = {.qos = packet->first >> 1 & 3,
                                   .topic = packet->bytes + 2,
                                   .topic_length = at - 2,
                                   .digest = digest};
    size_t properties = 0;

    if (out.qos > 0) {
        out.id = (unsigned)bytes[at] << 8 | bytes[at + 1];
        at += 2;
    }
    if (packet->version == MQTT_5) {
        assert_true(mqtt_properties_size(bytes + at, packet->length - at, &properties));
        at += properties;
    }
    out.payload = packet->bytes + at;
    out.full_length = packet->length - at;
    assert_int_equal(digest_sha256(out.payload, out.full_length, NULL, 0, digest), 0);
    return out;
}

/* Feeds the first `first` bytes, and then `part` at a time, each from memory of its own. */
static enum mqtt_packet_result feed(struct mqtt_cut *cut, const struct packet *packet, size_t first,
                                    size_t part, char *problem)
{
    enum mqtt_packet_result result = MQTT_PACKET_OK;
    size_t some = first;

    for (size_t at = 0; at < packet->length && result == MQTT_PACKET_OK; at += some, some = part) {
        unsigned char *copy;

        some = some < packet->length - at ? some : packet->length - at;
        copy = malloc(some > 0 ? some : 1);
        assert_non_null(copy);
        memcpy(copy, packet->bytes + at, some);
        assert_int_equal(mqtt_cut_left(cut), packet->length - at);
        result = mqtt_cut_feed(cut, copy, some, problem);
        free(copy);
    }
    return result;
}

static void assert_message(struct mqtt_cut *cut, const struct packet *packet, size_t limit)
{
    struct mqtt_cut_message message;
    uint8_t digest[DIGEST_SIZE];
    struct mqtt_cut_message whole = read_whole(packet, digest);
    size_t kept = whole.full_length < limit ? whole.full_length : limit;

    assert_int_equal(mqtt_cut_left(cut), 0);
    assert_int_equal(mqtt_cut_end(cut, &message), 0);
    assert_int_equal(message.qos, whole.qos);
    assert_int_equal(message.id, whole.id);
    assert_int_equal(message.topic_length, whole.topic_length);
    assert_memory_equal(message.topic, whole.topic, whole.topic_length);
    assert_int_equal(message.full_length, whole.full_length);
    assert_int_equal(message.payload_length, kept);
    assert_memory_equal(message.payload, whole.payload, kept);
    assert_memory_equal(message.digest, digest, DIGEST_SIZE);
}

/* Divided so, with that limit: judged as the whole packet is. */
static void check(const struct packet *packet, size_t limit, size_t first, size_t part)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE] = "";
    char expected[MQTT_PACKET_PROBLEM_SIZE] = "";
    struct mqtt_cut *cut = mqtt_cut_new(packet->version, packet->first, packet->length, limit);

    assert_non_null(cut);
    assert_int_equal(feed(cut, packet, first, part, problem),
                     mqtt_packet_check_body(packet->version, packet->first,
                                            (const unsigned char *)packet->bytes, packet->length,
                                            expected));
    assert_string_equal(problem, expected);
    if (expected[0] == '\0') {
        assert_message(cut, packet, limit);
    }
    mqtt_cut_free(cut);
}

static void small_packets_in_all_parts(void **state)
{
    static const size_t limits[] = {0, 1, 3, 1000};

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t limit = 0; limit < sizeof(limits) / sizeof(limits[0]); limit++) {
            for (size_t first = 1; first <= packets[i].length; first++) {
                check(&packets[i], limits[limit], first, packets[i].length);
                check(&packets[i], limits[limit], first, 1);
                check(&packets[i], limits[limit], first, 2);
                check(&packets[i], limits[limit], first, 3);
            }
        }
    }
}

/* Interrupted in every phase: topic, properties and payload are longer than a piece. */
static void large_packets_in_pieces(void **state)
{
    static const size_t parts[] = {1, 2, 3, 16383, 16384, LARGE};
    static char bytes[3 * LARGE];
    size_t length = 2 + 65535;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(i * 31 + i / 251);
    }
    memcpy(bytes, "\xff\xff", 2);                /* the longest topic */
    memcpy(bytes + length, "\1\2\x8A\xC0\4", 5); /* an identifier, and 65546 bytes of properties */
    length += 5;
    memcpy(bytes + length, "\2\0\0\0\7\x09\xff\xff", 8);
    length += 8 + 65535;
    memcpy(bytes + length, "\1\1\1", 3); /* the second one is behind the properties */
    length += LARGE;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const struct packet packet = {MQTT_5, 0x34, bytes, length};
        const struct packet other = {MQTT_3_1_1, 0x32, bytes, length};

        check(&packet, 20000, parts[i], parts[i]);
        check(&other, 3 * LARGE, parts[i], parts[i]);
        check(&other, 0, parts[i], parts[i]);
    }
}

/* Packets made at random, nearly all of them good up to a point. */
static void random_packets(void **state)
{
    unsigned char bytes[64];

    (void)state;
    srand(20261130);
    for (int round = 0; round < 200000; round++) {
        size_t length = 5 + (size_t)rand() % (sizeof(bytes) - 5);
        struct packet packet = {rand() % 4 == 0 ? MQTT_3_1_1 : MQTT_5,
                                (unsigned char)(0x30 | (rand() % 3) << 1), (const char *)bytes,
                                length};

        for (size_t i = 0; i < length; i++) {
            static const unsigned char likely[] = {0, 0, 0, 1, 2, 3, 8, 9, 0x0B, 0x26, 0x23, 0x80};

            bytes[i] =
                rand() % 8 == 0 ? (unsigned char)rand() : likely[(size_t)rand() % sizeof(likely)];
        }
        bytes[0] = 0;
        bytes[1] = (unsigned char)(rand() % 5);
        check(&packet, (size_t)rand() % 20, 1 + (size_t)rand() % length, 1 + (size_t)rand() % 9);
    }
}

static void nothing_to_free(void **state)
{
    struct mqtt_cut *cut = mqtt_cut_new(MQTT_5, 0x34, 268435455, 10);

    (void)state;
    assert_non_null(cut);
    mqtt_cut_free(cut);
    mqtt_cut_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_packets_in_all_parts),
        cmocka_unit_test(large_packets_in_pieces),
        cmocka_unit_test(random_packets),
        cmocka_unit_test(nothing_to_free),
    };

    return cmocka_run_group_tests_name("paho_cut", tests, NULL, NULL);
}
