/*
 * A PUBLISH that is too large to be kept, taken while it comes: see mqtt/paho/cut.c. Pure; a
 * cut is for one thread at a time.
 */
#ifndef MQTT_PAHO_CUT_INTERNAL_H
#define MQTT_PAHO_CUT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mqtt/paho/packet_internal.h"

struct mqtt_cut;

/* The message of a whole PUBLISH, as slices of the cut. */
struct mqtt_cut_message {
    int qos;
    unsigned id; /* packet identifier; QoS 0: 0 */
    const char *topic;
    size_t topic_length;
    const char *payload; /* the first payload_length bytes */
    size_t payload_length;
    size_t full_length;
    const uint8_t *digest; /* SHA-256 of all full_length bytes */
};

/*
 * Begin a PUBLISH by its first byte and its remaining length (bytes), which
 * mqtt_packet_check_header() found good. At most `limit` bytes of its payload are kept. Returns
 * NULL when there is no memory; otherwise the cut is for mqtt_cut_free().
 */
struct mqtt_cut *mqtt_cut_new(enum mqtt_version version, unsigned char first, size_t length,
                              size_t limit);

/* NULL is allowed. */
void mqtt_cut_free(struct mqtt_cut *cut);

/* The bytes of the packet that have not come. */
size_t mqtt_cut_left(const struct mqtt_cut *cut);

/* Take the next bytes, at most mqtt_cut_left() of them. Judges them as mqtt_packet_check_body()
 * judges the packet, and returns as it does. After MQTT_PACKET_E_MALFORMED the cut is for
 * mqtt_cut_free() alone. */
enum mqtt_packet_result mqtt_cut_feed(struct mqtt_cut *cut, const unsigned char *bytes,
                                      size_t count, char problem[MQTT_PACKET_PROBLEM_SIZE]);

/* Sets *out when all bytes have come and none was refused; once. Its memory is the cut's. Returns
 * 0, or -1 when OpenSSL has failed (out of memory). */
int mqtt_cut_end(struct mqtt_cut *cut, struct mqtt_cut_message *out);

#endif
