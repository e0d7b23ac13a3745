/*
 * Goal: a packet that is let through has every part that Paho's parsers read, and no byte beyond
 * the packet is looked at to find that out. The first byte of an input is the version of MQTT.
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
    case 14: /* DISCONNECT */
        return 0;
    default:
        return 2;
    }
}

/* --- as Paho's MQTTProperties_read() does ----------------------------------------------------- */

static size_t paho_variable(const unsigned char *at, size_t left, size_t *value)
{
    size_t count = 0;

    *value = 0;
    do {
        FUZZ_CHECK(count < left && count < 4);
        *value |= (size_t)(at[count] & 0x7F) << 7 * count;
    } while ((at[count++] & 0x80) != 0);
    return count;
}

static size_t paho_data(const unsigned char *at, size_t left)
{
    FUZZ_CHECK(left >= 2 && left - 2 >= two_bytes(at));
    return 2 + (size_t)two_bytes(at);
}

static size_t paho_property(const unsigned char *at, size_t left)
{
    static const char bytes_1[] = {0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A, 0};
    static const char bytes_2[] = {0x13, 0x21, 0x22, 0x23, 0};
    static const char bytes_4[] = {0x02, 0x11, 0x18, 0x27, 0};
    static const char data[] = {0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0};
    size_t number;
    size_t size;
    int id;

    FUZZ_CHECK(left >= 1 && at[0] != 0);
    id = at[0];
    if (strchr(bytes_1, id) != NULL) {
        size = 1;
    } else if (strchr(bytes_2, id) != NULL) {
        size = 2;
    } else if (strchr(bytes_4, id) != NULL) {
        size = 4;
    } else if (strchr(data, id) != NULL) {
        size = paho_data(at + 1, left - 1);
    } else if (id == 0x0B) {
        size = paho_variable(at + 1, left - 1, &number);
    } else {
        FUZZ_CHECK(id == 0x26);
        size = paho_data(at + 1, left - 1);
        size += paho_data(at + 1 + size, left - 1 - size);
    }
    FUZZ_CHECK(left - 1 >= size);
    return 1 + size;
}

/* Returns the length of the properties, with the bytes that announce it. */
static size_t paho_properties(const unsigned char *at, size_t left)
{
    size_t announced;
    size_t first = paho_variable(at, left, &announced);
    size_t read = 0;

    FUZZ_CHECK(announced <= left - first);
    while (read < announced) {
        read += paho_property(at + first + read, left - first - read);
    }
    FUZZ_CHECK(read == announced); /* Paho counts down to exactly 0 */
    return first + announced;
}

static void check_5(unsigned char first, const unsigned char *body, size_t length)
{
    size_t before = least_length(first, body, length);

    switch (first >> 4) {
    case 2: /* CONNACK */
        FUZZ_CHECK(2 + paho_properties(body + 2, length - 2) == length);
        break;
    case 3: /* PUBLISH */
        paho_properties(body + before, length - before);
        break;
    case 6: /* PUBREL */
        FUZZ_CHECK(length < 4 || 3 + paho_properties(body + 3, length - 3) == length);
        break;
    case 9: /* SUBACK and UNSUBACK, with one reason code */
    case 11:
        FUZZ_CHECK(2 + paho_properties(body + 2, length - 2) + 1 == length);
        break;
    case 14: /* DISCONNECT */
        FUZZ_CHECK(length < 2 || 1 + paho_properties(body + 1, length - 1) == length);
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE] = "";
    enum mqtt_packet_result result;
    enum mqtt_version version;
    unsigned char *bytes;
    size_t length;

    if (size < 2) {
        return 0;
    }
    version = data[0] == 5 ? MQTT_5 : MQTT_3_1_1;
    length = size - 2;
    bytes = (unsigned char *)fuzz_copy(data + 2, length);
    result = mqtt_packet_check_header(version, data[1], length, problem);
    if (result == MQTT_PACKET_OK && length > 0) {
        result = mqtt_packet_check_body(version, data[1], bytes, length, problem);
    }
    if (result == MQTT_PACKET_OK) {
        FUZZ_CHECK(problem[0] == '\0');
        FUZZ_CHECK(length >= least_length(data[1], bytes, length));
        if (version == MQTT_5) {
            check_5(data[1], bytes, length);
        }
    } else {
        FUZZ_CHECK(strncmp(problem, "the broker ", 11) == 0);
        FUZZ_CHECK(strlen(problem) < MQTT_PACKET_PROBLEM_SIZE - 1);
    }
    free(bytes);
    return 0;
}
