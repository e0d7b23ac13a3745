/*
 * Goal: a PUBLISH that comes in parts is judged as the whole packet is, gives the message that the
 * whole has, and no byte beyond a part is looked at.
 *
 * The input: a byte of which the lowest bit is the version and the next two are the QoS, a byte of
 * the payload that is kept, a byte of the length of each part, and the packet behind its header.
 */
#include "base/digest.h"
#include "fuzz.h"
#include "mqtt/paho/cut_internal.h"

#define HEAD 3

/* Where the payload begins in a packet that mqtt_packet_check_body() found good. */
static size_t payload_at(enum mqtt_version version, int qos, const unsigned char *body,
                         size_t length)
{
    size_t at = 2 + ((size_t)body[0] << 8 | body[1]) + (qos > 0 ? 2U : 0U);
    size_t properties = 0;

    if (version == MQTT_5) {
        FUZZ_CHECK(mqtt_properties_size(body + at, length - at, &properties));
    }
    return at + properties;
}

static void check_message(struct mqtt_cut *cut, enum mqtt_version version, int qos,
                          const unsigned char *body, size_t length, size_t limit)
{
    size_t at = payload_at(version, qos, body, length);
    size_t kept = length - at < limit ? length - at : limit;
    struct mqtt_cut_message message;
    uint8_t digest[DIGEST_SIZE];

    FUZZ_CHECK(mqtt_cut_left(cut) == 0);
    FUZZ_CHECK(mqtt_cut_end(cut, &message) == 0);
    FUZZ_CHECK(digest_sha256(body + at, length - at, NULL, 0, digest) == 0);
    FUZZ_CHECK(memcmp(message.digest, digest, DIGEST_SIZE) == 0);
    FUZZ_CHECK(message.qos == qos && (message.id > 0) == (qos > 0) && message.id <= 65535);
    FUZZ_CHECK(message.topic_length == ((size_t)body[0] << 8 | body[1]));
    FUZZ_CHECK(memcmp(message.topic, body + 2, message.topic_length) == 0);
    FUZZ_CHECK(message.full_length == length - at && message.payload_length == kept);
    FUZZ_CHECK(memcmp(message.payload, body + at, kept) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE] = "";
    char expected[MQTT_PACKET_PROBLEM_SIZE] = "";
    enum mqtt_packet_result result = MQTT_PACKET_OK;
    enum mqtt_version version;
    struct mqtt_cut *cut;
    unsigned char first;
    size_t length;
    size_t part;

    if (size < HEAD) {
        return 0;
    }
    version = (data[0] & 1) != 0 ? MQTT_5 : MQTT_3_1_1;
    first = (unsigned char)(0x30 | (data[0] & 6));
    length = size - HEAD;
    part = data[2] > 0 ? data[2] : length + 1;
    if (mqtt_packet_check_header(version, first, length, expected) != MQTT_PACKET_OK) {
        return 0;
    }
    cut = mqtt_cut_new(version, first, length, data[1]);
    FUZZ_CHECK(cut);
    for (size_t at = 0; at < length && result == MQTT_PACKET_OK; at += part) {
        size_t some = part < length - at ? part : length - at;
        char *copy = fuzz_copy(data + HEAD + at, some);

        result = mqtt_cut_feed(cut, (const unsigned char *)copy, some, problem);
        free(copy);
    }
    FUZZ_CHECK(result == mqtt_packet_check_body(version, first, data + HEAD, length, expected));
    FUZZ_CHECK(strcmp(problem, expected) == 0);
    if (result == MQTT_PACKET_OK) {
        check_message(cut, version, first >> 1 & 3, data + HEAD, length, data[1]);
    }
    mqtt_cut_free(cut);
    return 0;
}
