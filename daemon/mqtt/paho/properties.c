/*
 * Reads the properties of MQTT 5 (§2.2.2) before Paho does.
 *
 * Paho 1.3 reads the value of a property without looking where the packet ends, counts down the
 * rest of the block below zero when a property is longer than the block, and frees the same array
 * twice when it gives up. So a block reaches Paho only when every property in it is whole. A
 * property that is not known, or that does not belong into such a packet, or that comes twice, is a
 * protocol error of the broker (§2.2.2.2).
 *
 * The values are not judged here. A topic, a text that is no UTF-8 or a Payload Format Indicator of
 * 7 harms nobody, and the broker would send such a message again at every connection.
 *
 * User properties and Subscription Identifiers may come any number of times, 50,000 in a message of
 * 250 KiB, and every broker passes on a publisher's. Paho enlarges its array by ten places at a
 * time and copies it each time, twice a message: seconds, under the lock that all sessions need.
 * This program uses neither, so mqtt_properties_thin() puts a few in the place of many.
 *
 * A block that comes in parts, and of which nothing is kept, is judged in the same way, byte by
 * byte (mqtt_properties_walk()).
 *
 * Must never happen: a byte beyond the block is read, or a block is called good that Paho's
 * MQTTProperties_read() reads otherwise.
 */
#include "mqtt/paho/properties_internal.h"

#include <string.h>

#define VARIABLE_BYTES 4 /* the most that an integer of variable length has (§1.5.5) */

/* A user property: its identifier, and a name and a value with the two bytes of their lengths. */
#define PAIR_LEAST ((size_t)5)
#define TEXT_MOST  ((size_t)65535)
#define PAIR_MOST  (PAIR_LEAST + 2 * TEXT_MOST)

enum id {
    SUBSCRIPTION_IDENTIFIER = 0x0B,
    SESSION_EXPIRY = 0x11,
    SERVER_KEEPALIVE = 0x13,
    SERVER_REFERENCE = 0x1C,
    REASON_STRING = 0x1F,
    RECEIVE_MAXIMUM = 0x21,
    TOPIC_ALIAS = 0x23,
    MAXIMUM_QOS = 0x24,
    USER_PROPERTY = 0x26,
    WILDCARD_AVAILABLE = 0x28,
    SHARED_AVAILABLE = 0x2A,
    IDS,
};

enum form { UNKNOWN, BYTE, TWO_BYTES, FOUR_BYTES, VARIABLE, DATA, PAIR };

#define IN(type) (1U << MQTT_##type)
#define ACKS     (IN(CONNACK) | IN(PUBREL) | IN(SUBACK) | IN(UNSUBACK) | IN(DISCONNECT))

/* Text is DATA: both begin with a length of two bytes. */
static const struct {
    enum form form;
    unsigned packets;
} known[IDS] = {
    [0x01] = {BYTE, IN(PUBLISH)},       /* Payload Format Indicator */
    [0x02] = {FOUR_BYTES, IN(PUBLISH)}, /* Message Expiry Interval */
    [0x03] = {DATA, IN(PUBLISH)},       /* Content Type */
    [0x08] = {DATA, IN(PUBLISH)},       /* Response Topic */
    [0x09] = {DATA, IN(PUBLISH)},       /* Correlation Data */
    [SUBSCRIPTION_IDENTIFIER] = {VARIABLE, IN(PUBLISH)},
    [SESSION_EXPIRY] = {FOUR_BYTES, IN(CONNACK) | IN(DISCONNECT)},
    [0x12] = {DATA, IN(CONNACK)}, /* Assigned Client Identifier */
    [SERVER_KEEPALIVE] = {TWO_BYTES, IN(CONNACK)},
    [0x15] = {DATA, IN(CONNACK)}, /* Authentication Method */
    [0x16] = {DATA, IN(CONNACK)}, /* Authentication Data */
    [0x1A] = {DATA, IN(CONNACK)}, /* Response Information */
    [SERVER_REFERENCE] = {DATA, IN(CONNACK) | IN(DISCONNECT)},
    [REASON_STRING] = {DATA, ACKS},
    [RECEIVE_MAXIMUM] = {TWO_BYTES, IN(CONNACK)},
    [0x22] = {TWO_BYTES, IN(CONNACK)}, /* Topic Alias Maximum */
    [TOPIC_ALIAS] = {TWO_BYTES, IN(PUBLISH)},
    [MAXIMUM_QOS] = {BYTE, IN(CONNACK)},
    [0x25] = {BYTE, IN(CONNACK)}, /* Retain Available */
    [USER_PROPERTY] = {PAIR, ACKS | IN(PUBLISH)},
    [0x27] = {FOUR_BYTES, IN(CONNACK)}, /* Maximum Packet Size */
    [WILDCARD_AVAILABLE] = {BYTE, IN(CONNACK)},
    [0x29] = {BYTE, IN(CONNACK)}, /* Subscription Identifiers Available */
    [SHARED_AVAILABLE] = {BYTE, IN(CONNACK)},
};

static const char TOO_LONG[] = "a property is longer than the properties";

static uint32_t big_endian(const unsigned char *at, size_t bytes)
{
    uint32_t value = 0;

    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

/* An integer of variable length (§1.5.5). Returns the number of its bytes; 0: it does not end. */
static size_t variable(const unsigned char *at, size_t length, size_t *value)
{
    *value = 0;
    for (size_t i = 0; i < length && i < VARIABLE_BYTES; i++) {
        *value |= (size_t)(at[i] & 0x7F) << 7 * i;
        if ((at[i] & 0x80) == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* The length of data with the two bytes in front of it; 0: it does not end within `length`. */
static size_t data_size(const unsigned char *at, size_t length)
{
    size_t size = length < 2 ? 0 : 2 + (size_t)big_endian(at, 2);

    return size <= length ? size : 0;
}

/* The length of a value; 0: it does not end within `length`. */
static size_t value_size(enum form form, const unsigned char *at, size_t length)
{
    size_t number;
    size_t first;
    size_t second;

    switch (form) {
    case BYTE:
        return length >= 1 ? 1 : 0;
    case TWO_BYTES:
        return length >= 2 ? 2 : 0;
    case FOUR_BYTES:
        return length >= 4 ? 4 : 0;
    case VARIABLE:
        return variable(at, length, &number);
    case DATA:
        return data_size(at, length);
    case PAIR:
        first = data_size(at, length);
        second = first > 0 ? data_size(at + first, length - first) : 0;
        return second > 0 ? first + second : 0;
    default:
        return 0;
    }
}

/* Copies text, and no part of a character at its end. */
static void keep_text(char out[MQTT_PROPERTIES_TEXT_SIZE], const unsigned char *at, size_t size)
{
    size_t length = size - 2;

    if (length >= MQTT_PROPERTIES_TEXT_SIZE) {
        length = MQTT_PROPERTIES_TEXT_SIZE - 1;
        while (length > 0 && (at[2 + length] & 0xC0) == 0x80) {
            length--;
        }
    }
    memcpy(out, at + 2, length);
    out[length] = '\0';
}

static void keep(enum id id, const unsigned char *at, size_t size, struct mqtt_properties *out)
{
    switch (id) {
    case SESSION_EXPIRY:
        out->has_session_expiry = true;
        out->session_expiry_s = big_endian(at, size);
        break;
    case SERVER_KEEPALIVE:
        out->has_server_keepalive = true;
        out->server_keepalive_s = big_endian(at, size);
        break;
    case RECEIVE_MAXIMUM:
        out->has_receive_maximum = true;
        out->receive_maximum = big_endian(at, size);
        break;
    case TOPIC_ALIAS:
        out->has_topic_alias = true;
        break;
    case MAXIMUM_QOS:
        out->maximum_qos = at[0];
        break;
    case WILDCARD_AVAILABLE:
        out->wildcard_available = at[0] != 0;
        break;
    case SHARED_AVAILABLE:
        out->shared_available = at[0] != 0;
        break;
    case REASON_STRING:
        keep_text(out->reason, at, size);
        break;
    case SERVER_REFERENCE:
        keep_text(out->server, at, size);
        break;
    default:
        break;
    }
}

static bool may_repeat(unsigned id)
{
    return id == USER_PROPERTY || id == SUBSCRIPTION_IDENTIFIER;
}

/* Notes a property of a packet in *seen. NULL, or what is wrong with its being there. */
static const char *judge_id(enum mqtt_packet_type packet, unsigned id, uint64_t *seen)
{
    if (id >= IDS || known[id].form == UNKNOWN) {
        return "it has an unknown property";
    }
    if ((known[id].packets >> packet & 1) == 0) {
        return "it has a property of another packet";
    }
    if ((*seen >> id & 1) != 0 && !may_repeat(id)) {
        return "it has a property twice";
    }
    *seen |= UINT64_C(1) << id;
    return NULL;
}

bool mqtt_properties_size(const unsigned char *at, size_t length, size_t *size)
{
    size_t behind;
    size_t first = variable(at, length, &behind);

    if (first == 0 || behind > length - first) {
        return false;
    }
    *size = first + behind;
    return true;
}

const char *mqtt_properties_read(enum mqtt_packet_type packet, const unsigned char *at,
                                 size_t length, struct mqtt_properties *out, size_t *size)
{
    struct mqtt_properties read = {
        .shared_available = true, .wildcard_available = true, .maximum_qos = 2};
    uint64_t seen = 0;
    size_t number;
    size_t end;

    if (!mqtt_properties_size(at, length, &end)) {
        return "its properties are longer than the packet";
    }
    for (size_t next = variable(at, length, &number), value; next < end; next += value) {
        unsigned id = at[next++];
        const char *reason = judge_id(packet, id, &seen);

        if (reason != NULL) {
            return reason;
        }
        value = value_size(known[id].form, at + next, end - next);
        if (value == 0) {
            return TOO_LONG;
        }
        keep((enum id)id, at + next, value, &read);
        if (id == SERVER_KEEPALIVE) {
            read.server_keepalive_at = next;
        }
    }
    *out = read;
    *size = end;
    return NULL;
}

/* --- fewer ---------------------------------------------------------------------------------- */

/* Writes a user property of so many bytes. */
static void put_pair(unsigned char *at, size_t size)
{
    size_t text = size - PAIR_LEAST;
    size_t name = text < TEXT_MOST ? text : TEXT_MOST;
    unsigned char *value = at + 3 + name;

    memset(at, 'x', size);
    at[0] = USER_PROPERTY;
    at[1] = (unsigned char)(name >> 8);
    at[2] = (unsigned char)name;
    value[0] = (unsigned char)((text - name) >> 8);
    value[1] = (unsigned char)(text - name);
}

/* Fills `size` bytes, PAIR_LEAST or more, with as few user properties as there may be. */
static void put_pairs(unsigned char *at, size_t size)
{
    while (size > 0) {
        size_t some = size < PAIR_MOST ? size : PAIR_MOST;

        if (some < size && size - some < PAIR_LEAST) {
            some -= PAIR_LEAST;
        }
        put_pair(at, some);
        at += some;
        size -= some;
    }
}

/* The length of the property that begins at `at`, with its identifier. */
static size_t property_size(const unsigned char *at, size_t length)
{
    return 1 + value_size(known[at[0]].form, at + 1, length - 1);
}

void mqtt_properties_thin(unsigned char *at, size_t length)
{
    size_t number;
    size_t first = variable(at, length, &number);
    size_t end = first + number;
    size_t repeated = 0;
    size_t kept = first;

    for (size_t next = first; next < end; next += property_size(at + next, end - next)) {
        repeated += may_repeat(at[next]) ? property_size(at + next, end - next) : 0;
    }
    if (repeated < PAIR_LEAST) {
        return; /* two Subscription Identifiers at most */
    }
    for (size_t next = first, size; next < end; next += size) {
        size = property_size(at + next, end - next);
        if (!may_repeat(at[next])) {
            memmove(at + kept, at + next, size);
            kept += size;
        }
    }
    put_pairs(at + kept, end - kept);
}

/* --- in parts -------------------------------------------------------------------------------- */

/* The identifier of a property: what comes behind it. */
static const char *walk_id(struct mqtt_properties_walk *walk, unsigned id)
{
    const char *reason = judge_id(walk->packet, id, &walk->seen);

    if (reason != NULL) {
        return reason;
    }
    switch (known[id].form) {
    case BYTE:
        walk->skip = 1;
        break;
    case TWO_BYTES:
        walk->skip = 2;
        break;
    case FOUR_BYTES:
        walk->skip = 4;
        break;
    case VARIABLE:
        walk->variable = VARIABLE_BYTES;
        break;
    default:
        walk->lengths = known[id].form == PAIR ? 4 : 2;
        break;
    }
    return NULL;
}

/* A byte that is no part of a value whose length is known. */
static const char *walk_byte(struct mqtt_properties_walk *walk, unsigned char byte)
{
    if (walk->variable > 0) {
        walk->variable = (byte & 0x80) != 0 ? walk->variable - 1 : 0;
        return (byte & 0x80) != 0 && walk->variable == 0 ? TOO_LONG : NULL;
    }
    if (walk->lengths == 0) {
        return walk_id(walk, byte);
    }
    walk->lengths--;
    walk->high = walk->high << 8 | byte;
    if (walk->lengths % 2 == 0) {
        walk->skip = walk->high & 0xFFFF;
    }
    return NULL;
}

void mqtt_properties_begin(struct mqtt_properties_walk *walk, enum mqtt_packet_type packet,
                           size_t length)
{
    *walk = (struct mqtt_properties_walk){.packet = packet, .left = length};
}

const char *mqtt_properties_walk(struct mqtt_properties_walk *walk, const unsigned char *bytes,
                                 size_t count)
{
    const char *reason = NULL;
    size_t at = 0;

    while (at < count && reason == NULL) {
        size_t some = walk->skip < count - at ? walk->skip : count - at;

        if (some > 0) {
            walk->skip -= some;
        } else {
            some = 1;
            reason = walk_byte(walk, bytes[at]);
        }
        at += some;
        walk->left -= some;
        if (reason == NULL && (walk->skip > walk->left ||
                               (walk->left == 0 && (walk->variable > 0 || walk->lengths > 0)))) {
            reason = TOO_LONG;
        }
    }
    return reason;
}

bool mqtt_properties_has_alias(const struct mqtt_properties_walk *walk)
{
    return (walk->seen >> TOPIC_ALIAS & 1) != 0;
}
