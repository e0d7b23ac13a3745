/*
 * The properties in the packets of an MQTT 5 broker: see mqtt/paho/properties.c. Pure; any thread.
 */
#ifndef MQTT_PAHO_PROPERTIES_INTERNAL_H
#define MQTT_PAHO_PROPERTIES_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MQTT_PROPERTIES_TEXT_SIZE 128

/* The types of packets, as in their first byte (MQTT 5 §2.1.2). */
enum mqtt_packet_type {
    MQTT_CONNECT = 1,
    MQTT_CONNACK = 2,
    MQTT_PUBLISH = 3,
    MQTT_PUBACK = 4,
    MQTT_PUBREC = 5,
    MQTT_PUBREL = 6,
    MQTT_PUBCOMP = 7,
    MQTT_SUBSCRIBE = 8,
    MQTT_SUBACK = 9,
    MQTT_UNSUBSCRIBE = 10,
    MQTT_UNSUBACK = 11,
    MQTT_PINGRESP = 13,
    MQTT_DISCONNECT = 14,
    MQTT_PACKET_TYPES = 16,
};

/* The properties that this program looks at, with what MQTT 5 says when one is absent. Texts are as
 * the broker sent them, but end before a NUL and are cut at their size. */
struct mqtt_properties {
    bool has_session_expiry;
    uint32_t session_expiry_s;
    bool has_receive_maximum;
    unsigned receive_maximum;
    bool has_server_keepalive;
    unsigned server_keepalive_s;
    size_t server_keepalive_at; /* where its two bytes are: offset from the start of the block */
    bool has_topic_alias;
    bool shared_available;
    bool wildcard_available;
    unsigned maximum_qos;
    char reason[MQTT_PROPERTIES_TEXT_SIZE]; /* Reason String; "": none */
    char server[MQTT_PROPERTIES_TEXT_SIZE]; /* Server Reference; "": none */
};

/*
 * Set *size to the length of the block of properties that begins at `at`, with the one to four
 * bytes that announce its length. Returns false when the block does not end within `length` bytes.
 */
bool mqtt_properties_size(const unsigned char *at, size_t length, size_t *size);

/*
 * Check the block of properties of a packet of this type, and read it. Returns NULL, and sets *out
 * and *size (see above), when every property ends within the block, is known, belongs into such a
 * packet, and is there once where it may be there once. Otherwise returns what is wrong, a phrase
 * that lives for ever.
 */
const char *mqtt_properties_read(enum mqtt_packet_type packet, const unsigned char *at,
                                 size_t length, struct mqtt_properties *out, size_t *size);

/*
 * Put a few user properties in the place of all user properties and Subscription Identifiers of a
 * block that mqtt_properties_read() found good. Its length stays, and the other properties, which
 * may move to its front.
 */
void mqtt_properties_thin(unsigned char *at, size_t length);

/* The position within a block of properties that comes in parts. */
struct mqtt_properties_walk {
    enum mqtt_packet_type packet;
    size_t left; /* bytes of the block that have not come */
    /* Of the present property. */
    size_t skip;       /* bytes of its value that have not come */
    unsigned variable; /* bytes that its integer of variable length may have yet */
    unsigned lengths;  /* bytes of the lengths of its data that have not come */
    unsigned high;     /* the last bytes of a length */
    uint64_t seen;     /* a bit for each identifier that was there */
};

/* Begin a block of `length` bytes, without those that announce its length, in such a packet. */
void mqtt_properties_begin(struct mqtt_properties_walk *walk, enum mqtt_packet_type packet,
                           size_t length);

/* Check the next bytes, at most walk->left. Returns NULL, or what mqtt_properties_read() says of
 * such a block. After that the walk is over. */
const char *mqtt_properties_walk(struct mqtt_properties_walk *walk, const unsigned char *bytes,
                                 size_t count);

/* Returns true when a Topic Alias has come. */
bool mqtt_properties_has_alias(const struct mqtt_properties_walk *walk);

#endif
