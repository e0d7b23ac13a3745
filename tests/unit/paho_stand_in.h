/*
 * Paho on both sides of mqtt/paho/check.c: the four functions that the check calls, and the calls
 * of MQTTPacket_Factory(), MQTTPacket_send() and MQTTAsync_closeOnly() to it. A connection is a
 * list of bytes, some of which are there already.
 */
#ifndef PAHO_STAND_IN_H
#define PAHO_STAND_IN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mqtt/paho/calls_internal.h"
#include "packet_reader.h"

#define BYTES_MAX 512

struct net {
    unsigned char bytes[BYTES_MAX];
    size_t count;     /* that are there */
    size_t at;        /* the next one to read */
    size_t packet_at; /* where the packet begins: Paho keeps what it has of one that is not whole */
    size_t asked;     /* by the last getdata */
    unsigned written;
    unsigned closed;
};

/* Let these bytes of the broker's arrive. */
void arrive(struct net *net, const char *bytes, size_t length);
#define ARRIVE(net, bytes) arrive(net, bytes, sizeof(bytes) - 1)

/* As MQTTPacket_Factory(): COMPLETE for a whole packet, with the length of its rest. */
int read_packet(struct net *net, size_t *length);

/* Read a whole packet with so long a rest. */
void assert_read(struct net *net, size_t length);

/* As MQTTPacket_send(). `body`: NULL for none. */
void send_packet(struct net *net, unsigned char first, const char *body, size_t length);
#define SEND(net, first, body) send_packet(net, first, body, sizeof(body) - 1)

/* The complaint about a connection, once, or a packet that is refused for it: a part of the text.
 */
void assert_complaint(const struct net *net, const char *part);
void assert_refused(struct net *net, const char *part);

/* CONNECT and a CONNACK that accepts it, in MQTT 3.1.1; CONNECT in MQTT 5; and both. */
void accept_connection(struct net *net);
void connect_5(struct net *net, unsigned char keepalive_s);
void accept_connection_5(struct net *net);

/* As MQTTAsync_closeOnly(). */
void end_connection(struct net *net);

#endif
