/*
 * Goal: a packet that is let through has every part that Paho's parsers read, and no byte beyond
 * the packet is looked at to find that out.
 */
#include "fuzz.h"
#include "mqtt/paho/packet_internal.h"

static unsigned two_bytes(const unsigned char *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* The number of bytes that Paho reads of a packet of this type without a check. */
static size_t least_length(unsigned char first, const unsigned char *body, size_t length)
{
    switch (first >> 4) {
    case 3: /* PUBLISH */
        FUZZ_CHECK(length >= 2);
        return 2U + two_bytes(body) + ((first & 6) != 0 ? 2 : 0);
    case 9: /* SUBACK */
        return 3;
    case 13: /* PINGRESP */
        return 0;
    default:
        return 2;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE] = "";
    char *bytes;
    size_t length;

    if (size < 1) {
        return 0;
    }
    length = size - 1;
    bytes = fuzz_copy(data + 1, length);
    if (mqtt_packet_check_header(MQTT_3_1_1, data[0], length, problem) == MQTT_PACKET_OK &&
        (length == 0 || mqtt_packet_check_body(MQTT_3_1_1, data[0], (const unsigned char *)bytes,
                                               length, problem) == MQTT_PACKET_OK)) {
        FUZZ_CHECK(problem[0] == '\0');
        FUZZ_CHECK(length >= least_length(data[0], (const unsigned char *)bytes, length));
    } else {
        FUZZ_CHECK(strncmp(problem, "the broker sent a ", 18) == 0);
        FUZZ_CHECK(strlen(problem) < MQTT_PACKET_PROBLEM_SIZE - 1);
    }
    free(bytes);
    return 0;
}
