/*
 * Every packet is checked before Paho parses it: see mqtt/paho/check.c. Only mqtt/client.c and
 * what else links Paho include this. The functions are weak: NULL in a program that is linked with
 * the shared library, where nothing is checked.
 */
#ifndef MQTT_PAHO_CHECK_INTERNAL_H
#define MQTT_PAHO_CHECK_INTERNAL_H

#include <stdbool.h>

#include "mqtt/mqtt.h"
#include "mqtt/paho/packet_internal.h"

/* The answers of a broker on one connection. */
struct mqtt_answer {
    bool connect_sent; /* CONNECT was given to the socket, behind the TLS handshake */
    bool has_connack;
    bool has_disconnect;
    /* Good, or old. A Server Keep Alive is the one that holds: as asked, where the broker's is 0 or
     * longer. */
    struct mqtt_connack connack;
    struct mqtt_disconnect disconnect;
};

/* The connection that the calling thread has read from or closed last, once, for comparison only;
 * NULL: none, or one on which no CONNECT was written. Within a callback of Paho's about a
 * connection this is that connection. */
const void *paho_check_connection(void) __attribute__((weak));

/* Take the problem of a refused packet of this connection, once. Returns false when there is none.
 * Any thread. */
bool paho_check_take(const void *connection, char problem[MQTT_PACKET_PROBLEM_SIZE])
    __attribute__((weak));

/* Take the answers that came on this connection since its CONNECT, each once; connect_sent stays.
 * Returns false when the connection is not known. Any thread. */
bool paho_check_take_answer(const void *connection, struct mqtt_answer *out) __attribute__((weak));

/* Returns true when the packet that the calling thread has read last is a PUBREL of MQTT 5. */
bool paho_check_reads_pubrel_of_5(void) __attribute__((weak));

/*
 * Put the message into *message for which the packet stands that the calling thread has read last,
 * where it stands for one (mqtt/paho/shorten.c); `id` is its packet identifier, 0 with QoS 0. The
 * memory is good until the thread reads on. Returns false when *message is not of that packet:
 * nothing that comes from Paho then is what it seems to be.
 */
bool paho_check_restore(struct paho_message *message, unsigned id) __attribute__((weak));

/* A number that changes when more of a large packet has come on this connection. Any thread. */
unsigned paho_check_pieces(const void *connection) __attribute__((weak));

#endif
