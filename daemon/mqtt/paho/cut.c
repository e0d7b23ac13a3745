/*
 * Takes a PUBLISH in parts, and keeps the beginning of its payload, its length and its digest.
 *
 * An MQTT packet may have 256 MiB (MQTT 3.1.1 §2.2.3), and a message of which the database keeps
 * the first bytes alone (parser.max_payload) need not be in memory as a whole. The parts of the
 * packet come one after the other (§3.3): the length of the topic, the topic, the packet identifier
 * unless the QoS is 0, in MQTT 5 the length of the properties and the properties, the payload. A
 * part may end anywhere between the bytes that are fed.
 *
 * Nothing is kept of the properties, as of those of every other message; they are checked like
 * those of a whole packet.
 *
 * Must never happen: a cut takes a packet that mqtt_packet_check_body() refuses, or the other way
 * round; or more than the struct, a topic and `limit` bytes is in memory. Memory is taken before
 * the first byte comes.
 */
#include "mqtt/paho/cut_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"

#define TOPIC_MAX      65535U /* §1.5.3: its length has two bytes */
#define VARIABLE_BYTES 4      /* MQTT 5 §1.5.5 */

enum phase { TOPIC_LENGTH, TOPIC, IDENTIFIER, PROPERTIES_LENGTH, PROPERTIES, PAYLOAD };

struct mqtt_cut {
    enum mqtt_version version;
    unsigned char first;
    size_t left;  /* bytes of the packet that have not come */
    size_t limit; /* bytes of the payload that are kept at most */
    enum phase phase;
    unsigned bytes; /* of the present number that have come */
    size_t number;  /* their value so far */
    struct mqtt_properties_walk properties;
    struct digest sum;
    uint8_t digest[DIGEST_SIZE];
    unsigned id;
    size_t topic_length;
    size_t topic_got;
    size_t payload_got; /* and kept */
    size_t full_length;
    char *payload;
    char topic[TOPIC_MAX];
};

static unsigned qos_of(const struct mqtt_cut *cut)
{
    return cut->first >> 1 & 3;
}

struct mqtt_cut *mqtt_cut_new(enum mqtt_version version, unsigned char first, size_t length,
                              size_t limit)
{
    struct mqtt_cut *cut = malloc(sizeof(*cut));

    if (cut == NULL) {
        return NULL;
    }
    /* Not the topic: most of it is never used. */
    memset(cut, 0, offsetof(struct mqtt_cut, topic));
    cut->version = version;
    cut->first = first;
    cut->left = length;
    cut->limit = limit < length ? limit : length;
    cut->payload = malloc(cut->limit > 0 ? cut->limit : 1);
    if (cut->payload == NULL || digest_begin(&cut->sum) != 0) {
        mqtt_cut_free(cut);
        return NULL;
    }
    return cut;
}

void mqtt_cut_free(struct mqtt_cut *cut)
{
    if (cut == NULL) {
        return;
    }
    digest_free(&cut->sum);
    free(cut->payload);
    free(cut);
}

size_t mqtt_cut_left(const struct mqtt_cut *cut)
{
    return cut->left;
}

static void turn_to(struct mqtt_cut *cut, enum phase phase)
{
    cut->phase = phase;
    cut->bytes = 0;
    cut->number = 0;
    if (phase == PAYLOAD) {
        cut->full_length = cut->left;
    }
}

/* The topic and the packet identifier are complete. */
static void turn_to_properties(struct mqtt_cut *cut)
{
    turn_to(cut, cut->version == MQTT_5 ? PROPERTIES_LENGTH : PAYLOAD);
}

static void turn_to_identifier(struct mqtt_cut *cut)
{
    if (qos_of(cut) > 0) {
        turn_to(cut, IDENTIFIER);
    } else {
        turn_to_properties(cut);
    }
}

/* The functions below take one byte, which `left` no longer counts. They return NULL, or what is
 * wrong. */

static const char *take_topic_length(struct mqtt_cut *cut, unsigned char byte)
{
    cut->number = cut->number << 8 | byte;
    if (++cut->bytes < 2) {
        return NULL;
    }
    cut->topic_length = cut->number;
    if (cut->left < cut->topic_length + (qos_of(cut) > 0 ? 2 : 0)) {
        return "its topic is longer than the packet";
    }
    if (cut->topic_length > 0) {
        turn_to(cut, TOPIC);
    } else {
        turn_to_identifier(cut);
    }
    return NULL;
}

static const char *take_identifier(struct mqtt_cut *cut, unsigned char byte)
{
    cut->number = cut->number << 8 | byte;
    if (++cut->bytes < 2) {
        return NULL;
    }
    if (cut->number == 0) {
        return "its packet identifier is 0";
    }
    cut->id = (unsigned)cut->number;
    turn_to_properties(cut);
    return NULL;
}

static const char *take_properties_length(struct mqtt_cut *cut, unsigned char byte)
{
    cut->number |= (size_t)(byte & 0x7F) << 7 * cut->bytes;
    cut->bytes++;
    if ((byte & 0x80) != 0) {
        return cut->bytes < VARIABLE_BYTES && cut->left > 0
                   ? NULL
                   : "its properties are longer than the packet";
    }
    if (cut->number > cut->left) {
        return "its properties are longer than the packet";
    }
    mqtt_properties_begin(&cut->properties, MQTT_PUBLISH, cut->number);
    turn_to(cut, cut->number > 0 ? PROPERTIES : PAYLOAD);
    return NULL;
}

/* The functions below take what belongs to the present phase from the next `count` bytes, and
 * return how many those are: at least one. */

/* Counts at most `most` of `count` bytes as taken. */
static size_t count_taken(struct mqtt_cut *cut, size_t most, size_t count)
{
    size_t taken = most < count ? most : count;

    cut->left -= taken;
    return taken;
}

static size_t take_topic(struct mqtt_cut *cut, const unsigned char *bytes, size_t count)
{
    size_t taken = count_taken(cut, cut->topic_length - cut->topic_got, count);

    memcpy(cut->topic + cut->topic_got, bytes, taken);
    cut->topic_got += taken;
    if (cut->topic_got == cut->topic_length) {
        turn_to_identifier(cut);
    }
    return taken;
}

static size_t take_properties(struct mqtt_cut *cut, const unsigned char *bytes, size_t count,
                              const char **reason)
{
    size_t taken = count_taken(cut, cut->properties.left, count);

    *reason = mqtt_properties_walk(&cut->properties, bytes, taken);
    if (*reason == NULL && cut->properties.left == 0) {
        if (mqtt_properties_has_alias(&cut->properties)) {
            *reason = "it has a Topic Alias, and none was allowed";
        }
        turn_to(cut, PAYLOAD);
    }
    return taken;
}

static size_t take_payload(struct mqtt_cut *cut, const unsigned char *bytes, size_t count)
{
    size_t taken = count_taken(cut, count, count);
    size_t room = cut->limit - cut->payload_got;
    size_t kept = taken < room ? taken : room;

    memcpy(cut->payload + cut->payload_got, bytes, kept);
    cut->payload_got += kept;
    digest_update(&cut->sum, bytes, taken);
    return taken;
}

static size_t take(struct mqtt_cut *cut, const unsigned char *bytes, size_t count,
                   const char **reason)
{
    switch (cut->phase) {
    case TOPIC:
        return take_topic(cut, bytes, count);
    case PROPERTIES:
        return take_properties(cut, bytes, count, reason);
    case PAYLOAD:
        return take_payload(cut, bytes, count);
    case TOPIC_LENGTH:
        count_taken(cut, 1, count);
        *reason = take_topic_length(cut, bytes[0]);
        return 1;
    case IDENTIFIER:
        count_taken(cut, 1, count);
        *reason = take_identifier(cut, bytes[0]);
        return 1;
    default:
        count_taken(cut, 1, count);
        *reason = take_properties_length(cut, bytes[0]);
        return 1;
    }
}

enum mqtt_packet_result mqtt_cut_feed(struct mqtt_cut *cut, const unsigned char *bytes,
                                      size_t count, char problem[MQTT_PACKET_PROBLEM_SIZE])
{
    const char *reason = NULL;

    while (count > 0 && reason == NULL) {
        size_t taken = take(cut, bytes, count, &reason);

        bytes += taken;
        count -= taken;
    }
    /* In MQTT 5 the packet may end before its properties do. */
    if (reason == NULL && cut->left == 0 && cut->phase == PROPERTIES_LENGTH) {
        reason = "its properties are longer than the packet";
    }
    if (reason != NULL) {
        mqtt_packet_malformed(cut->first, reason, problem);
        return MQTT_PACKET_E_MALFORMED;
    }
    return MQTT_PACKET_OK;
}

int mqtt_cut_end(struct mqtt_cut *cut, struct mqtt_cut_message *out)
{
    if (digest_end(&cut->sum, cut->digest) != 0) {
        return -1;
    }
    *out = (struct mqtt_cut_message){
        .qos = (int)qos_of(cut),
        .id = cut->id,
        .topic = cut->topic,
        .topic_length = cut->topic_length,
        .payload = cut->payload,
        .payload_length = cut->payload_got,
        .full_length = cut->full_length,
        .digest = cut->digest,
    };
    return 0;
}
