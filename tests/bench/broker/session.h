/*
 * A durable session: its part of the messages, and what is in flight. Nothing is stored of a
 * message but its number, and every step takes constant time.
 */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message.h"

#define SESSION_CLIENT_ID_SIZE 128
#define SESSION_WINDOW_MAX     65535 /* every packet identifier */

enum in_flight { FLIGHT_FREE, FLIGHT_SENT, FLIGHT_RELEASED };

struct connection;

struct session {
    char client_id[SESSION_CLIENT_ID_SIZE]; /* "": not taken yet */
    struct connection *carrier;             /* NULL: the client is away */
    const struct message_plan *plan;
    struct delivery delivery;
    bool subscribed;
    uint64_t next; /* number of the next message that was never sent */
    uint64_t end;  /* one past the last */
    uint64_t acknowledged;
    uint64_t resent;
    unsigned window;

    /* By packet identifier: 1 to `window`, or larger since the window was larger. */
    uint64_t numbers[SESSION_WINDOW_MAX + 1];
    uint8_t states[SESSION_WINDOW_MAX + 1];
    uint16_t free_ids[SESSION_WINDOW_MAX]; /* a ring: the longest free goes first */
    unsigned free_first;
    unsigned free_count;
    unsigned beyond; /* in flight with an identifier above `window` */

    /* Packet identifiers to send again after a reconnection, oldest message first. */
    uint16_t again[SESSION_WINDOW_MAX];
    unsigned again_first;
    unsigned again_count;
};

/* Give the session the messages from `first` to before `end`. */
void session_init(struct session *session, const struct message_plan *plan, uint64_t first,
                  uint64_t end);

/*
 * The client has connected, with the version of MQTT and with the window that it has from now on, 1
 * to SESSION_WINDOW_MAX. What is in flight is sent again, even if it is more than the window.
 */
void session_connected(struct session *session, bool mqtt_5, unsigned window);

/* Write packets to send now, PUBLISH or PUBREL again, while there is window and room. Returns their
 * length. */
size_t session_send(struct session *session, uint8_t *out, size_t room);

/* PUBACK, PUBREC or PUBCOMP for a packet identifier. Writes what it has to be answered with (at
 * most 4 bytes) and returns the length; *acknowledged tells whether a message is through. */
size_t session_answer(struct session *session, uint8_t type, uint16_t packet_id, uint8_t *out,
                      bool *acknowledged);

#endif
