/*
 * The packets that a broker may send to a client that subscribes to one filter at a
 * time and never publishes: their types, the lengths of their parts, and the answers that the
 * client expects. Pure; mqtt_packet_*() on any thread.
 */
#ifndef MQTT_PAHO_PACKET_INTERNAL_H
#define MQTT_PAHO_PACKET_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "mqtt/paho/properties_internal.h"

#define MQTT_PACKET_PROBLEM_SIZE 160

enum mqtt_packet_result {
    MQTT_PACKET_OK = 0,
    MQTT_PACKET_E_MALFORMED = 1,
    MQTT_PACKET_E_OLD = 2, /* a CONNACK as of MQTT 3.1.1, for a CONNECT of MQTT 5 */
};

/* The numbers are the protocol levels of CONNECT (MQTT 3.1.1 §3.1.2.2, MQTT 5 §3.1.2.2). */
enum mqtt_version { MQTT_3_1_1 = 4, MQTT_5 = 5 };

/* Return the type of a packet in words, by its first byte: "CONNACK", or "packet" for one that no
 * broker sends to a client. */
const char *mqtt_packet_name(unsigned char first);

/* Return an integer of two bytes (MQTT 3.1.1 §1.5.2). */
static inline unsigned mqtt_packet_integer(const unsigned char *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/*
 * Judge a packet by its first byte and its remaining length (in bytes, as the broker has announced
 * it), before any of the rest is there. With MQTT_PACKET_E_MALFORMED `problem` is a sentence about
 * the broker, without a full stop; otherwise it is untouched.
 */
enum mqtt_packet_result mqtt_packet_check_header(enum mqtt_version version, unsigned char first,
                                                 size_t remaining_length,
                                                 char problem[MQTT_PACKET_PROBLEM_SIZE]);

/*
 * Judge the rest of a packet whose header was good: `length` bytes after the remaining length, all
 * of them. The payload of a PUBLISH is not looked at. Returns as mqtt_packet_check_header() does,
 * or MQTT_PACKET_E_OLD with a sentence about the broker.
 */
enum mqtt_packet_result mqtt_packet_check_body(enum mqtt_version version, unsigned char first,
                                               const unsigned char *body, size_t length,
                                               char problem[MQTT_PACKET_PROBLEM_SIZE]);

/* Let a packet of MQTT 5 that mqtt_packet_check_body() found good have few properties, in the same
 * number of bytes: see mqtt_properties_thin(). */
void mqtt_packet_thin(unsigned char first, unsigned char *body, size_t length);

/* A CONNACK. Without properties it has those that mqtt_properties_read() sets for an empty block.
 */
struct mqtt_connack {
    bool is_old; /* as of MQTT 3.1.1 */
    bool session_present;
    unsigned char code; /* 0: the connection is accepted */
    struct mqtt_properties properties;
};

/* A DISCONNECT of the broker's, which only MQTT 5 has. */
struct mqtt_disconnect {
    unsigned char code;
    struct mqtt_properties properties;
};

/* Read a CONNACK that mqtt_packet_check_body() found good or old. */
void mqtt_packet_read_connack(const unsigned char *body, size_t length, struct mqtt_connack *out);

/* Read a DISCONNECT that mqtt_packet_check_body() found good, or one without a body (length 0). */
void mqtt_packet_read_disconnect(const unsigned char *body, size_t length,
                                 struct mqtt_disconnect *out);

/* Say that a packet is malformed; `reason` is a phrase. */
void mqtt_packet_malformed(unsigned char first, const char *reason,
                           char problem[MQTT_PACKET_PROBLEM_SIZE]);

/* Say that the remaining length of a packet has more than four bytes. */
void mqtt_packet_endless_length(unsigned char first, char problem[MQTT_PACKET_PROBLEM_SIZE]);

/*
 * One connection: which answers the broker owes. All zero before the first CONNECT. One thread may
 * call mqtt_exchange_sent() while another calls the two that check.
 */
struct mqtt_exchange {
    atomic_uint version;     /* the protocol level of CONNECT; 0: none was sent */
    atomic_uint keepalive_s; /* of CONNECT */
    atomic_bool is_accepted; /* CONNACK came, with return code 0 */
    atomic_uint subscribe;   /* packet identifier of the SUBSCRIBE without an answer; 0: none */
    atomic_uint unsubscribe; /* the same for UNSUBSCRIBE */
};

/* The keep alive that the last CONNECT asked for, in seconds. */
unsigned mqtt_exchange_keepalive_s(struct mqtt_exchange *exchange);

/* Begin anew, as before the first CONNECT. While no other thread uses the exchange. */
void mqtt_exchange_reset(struct mqtt_exchange *exchange);

/* The version of the last CONNECT; MQTT 3.1.1 before the first one. */
enum mqtt_version mqtt_exchange_version(struct mqtt_exchange *exchange);

/*
 * Note a packet of the client's before it is written: its first byte, and the first `length` bytes
 * behind the remaining length, at least 10 of a CONNECT and 2 of a SUBSCRIBE or UNSUBSCRIBE.
 * CONNECT begins the exchange anew; a packet of another type changes nothing.
 */
void mqtt_exchange_sent(struct mqtt_exchange *exchange, unsigned char first,
                        const unsigned char *body, size_t length);

/*
 * Before a CONNACK, judge the first two bytes that come from the other end: those of another
 * protocol are refused with a sentence that names it. Call this before mqtt_packet_check_header(),
 * to which they may look like a packet. Returns as that does.
 */
enum mqtt_packet_result mqtt_exchange_check_protocol(struct mqtt_exchange *exchange,
                                                     unsigned char first, unsigned char second,
                                                     char problem[MQTT_PACKET_PROBLEM_SIZE]);

/*
 * Judge whether a packet whose header was good may come at this point, by its first byte: before
 * any of the rest is there. Changes nothing. Returns as mqtt_packet_check_header() does.
 */
enum mqtt_packet_result mqtt_exchange_check_header(struct mqtt_exchange *exchange,
                                                   unsigned char first,
                                                   char problem[MQTT_PACKET_PROBLEM_SIZE]);

/*
 * Judge the rest of a packet that passed mqtt_packet_check_body(), and take it for the answer that
 * it is: the same answer a second time is refused. Returns as mqtt_packet_check_header() does.
 */
enum mqtt_packet_result mqtt_exchange_check_body(struct mqtt_exchange *exchange,
                                                 unsigned char first, const unsigned char *body,
                                                 char problem[MQTT_PACKET_PROBLEM_SIZE]);

#endif
