/*
 * Refuses well-formed packets of the broker at the wrong time (MQTT 3.1.1 §4.8, MQTT 5 §4.13).
 *
 * Paho looks for the request that an acknowledgement answers by the packet identifier alone. So an
 * UNSUBACK would complete a SUBSCRIBE that the broker never granted, and with a QoS that nobody has
 * set: the daemon would wait for messages that never come. Hence
 *
 *  - the first packet is CONNACK, and no other one is (§3.2); bytes of some other protocols are
 *    recognised in its place, because a wrong port is a common mistake;
 *  - SUBACK and UNSUBACK carry the identifier of the request without an answer (§3.8.4, §3.10.4).
 *
 * Must never happen: Paho gets an acknowledgement that it did not ask for. (PUBACK, PUBREC and
 * PUBCOMP never come, because this client publishes nothing: mqtt/paho/packet.c.)
 */
#include <stdbool.h>
#include <stdio.h>

#include "mqtt/paho/packet_internal.h"

#define TYPE(first) ((unsigned)(first) >> 4)

#define OTHER_PORT "set broker.host and broker.port to the broker's MQTT listener"

/* Offsets of the protocol level and the keep alive in a CONNECT, behind the protocol name (§3.1.2).
 */
#define CONNECT_LEVEL     6
#define CONNECT_KEEPALIVE 8

static enum mqtt_packet_result misplaced(unsigned char first, const char *reason, char *problem)
{
    snprintf(problem, MQTT_PACKET_PROBLEM_SIZE, "the broker sent a %s %s", mqtt_packet_name(first),
             reason);
    return MQTT_PACKET_E_MALFORMED;
}

enum mqtt_version mqtt_exchange_version(struct mqtt_exchange *exchange)
{
    return atomic_load_explicit(&exchange->version, memory_order_relaxed) == MQTT_5 ? MQTT_5
                                                                                    : MQTT_3_1_1;
}

unsigned mqtt_exchange_keepalive_s(struct mqtt_exchange *exchange)
{
    return atomic_load_explicit(&exchange->keepalive_s, memory_order_relaxed);
}

void mqtt_exchange_reset(struct mqtt_exchange *exchange)
{
    atomic_store(&exchange->version, 0);
    atomic_store(&exchange->keepalive_s, 0);
    atomic_store(&exchange->is_accepted, false);
    atomic_store(&exchange->subscribe, 0);
    atomic_store(&exchange->unsubscribe, 0);
}

void mqtt_exchange_sent(struct mqtt_exchange *exchange, unsigned char first,
                        const unsigned char *body, size_t length)
{
    unsigned id = length >= 2 ? mqtt_packet_integer(body) : 0;

    switch (TYPE(first)) {
    case MQTT_CONNECT:
        mqtt_exchange_reset(exchange);
        if (length >= CONNECT_KEEPALIVE + 2) {
            atomic_store(&exchange->version, body[CONNECT_LEVEL]);
            atomic_store(&exchange->keepalive_s, mqtt_packet_integer(body + CONNECT_KEEPALIVE));
        }
        break;
    case MQTT_SUBSCRIBE:
        atomic_store(&exchange->subscribe, id);
        break;
    case MQTT_UNSUBSCRIBE:
        atomic_store(&exchange->unsubscribe, id);
        break;
    default:
        break;
    }
}

enum mqtt_packet_result mqtt_exchange_check_protocol(struct mqtt_exchange *exchange,
                                                     unsigned char first, unsigned char second,
                                                     char problem[MQTT_PACKET_PROBLEM_SIZE])
{
    static const struct {
        unsigned char bytes[2];
        const char *said;
    } others[] = {
        {{'H', 'T'}, "a web server answers at this port, or a websocket listener: " OTHER_PORT},
        {{'S', 'S'}, "an SSH server answers at this port: " OTHER_PORT},
        {{'2', '2'}, "a mail or FTP server answers at this port: " OTHER_PORT},
        {{0x15, 3}, "the broker expects TLS at this port: set broker.tls = yes"},
    };

    if (atomic_load_explicit(&exchange->is_accepted, memory_order_relaxed)) {
        return MQTT_PACKET_OK;
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (first == others[i].bytes[0] && second == others[i].bytes[1]) {
            snprintf(problem, MQTT_PACKET_PROBLEM_SIZE, "%s", others[i].said);
            return MQTT_PACKET_E_MALFORMED;
        }
    }
    return MQTT_PACKET_OK;
}

enum mqtt_packet_result mqtt_exchange_check_header(struct mqtt_exchange *exchange,
                                                   unsigned char first,
                                                   char problem[MQTT_PACKET_PROBLEM_SIZE])
{
    bool is_accepted = atomic_load_explicit(&exchange->is_accepted, memory_order_relaxed);

    if (!is_accepted && TYPE(first) != MQTT_CONNACK) {
        return misplaced(first, "before a CONNACK that accepts the connection", problem);
    }
    if (is_accepted && TYPE(first) == MQTT_CONNACK) {
        return misplaced(first, "a second time on one connection", problem);
    }
    return MQTT_PACKET_OK;
}

/* An answer to the request with this identifier, once. */
static enum mqtt_packet_result answers(atomic_uint *request, unsigned char first, unsigned id,
                                       const char *name, char *problem)
{
    unsigned asked = atomic_load(request);
    char reason[80];

    if (id == asked) {
        atomic_store(request, 0);
        return MQTT_PACKET_OK;
    }
    if (asked == 0) {
        snprintf(reason, sizeof(reason), "with packet identifier %u although no %s waits for it",
                 id, name);
    } else {
        snprintf(reason, sizeof(reason), "with packet identifier %u, the %s has %u", id, name,
                 asked);
    }
    return misplaced(first, reason, problem);
}

enum mqtt_packet_result mqtt_exchange_check_body(struct mqtt_exchange *exchange,
                                                 unsigned char first, const unsigned char *body,
                                                 char problem[MQTT_PACKET_PROBLEM_SIZE])
{
    switch (TYPE(first)) {
    case MQTT_CONNACK:
        atomic_store(&exchange->is_accepted, body[1] == 0);
        return MQTT_PACKET_OK;
    case MQTT_SUBACK:
        return answers(&exchange->subscribe, first, mqtt_packet_integer(body), "SUBSCRIBE",
                       problem);
    case MQTT_UNSUBACK:
        return answers(&exchange->unsubscribe, first, mqtt_packet_integer(body), "UNSUBSCRIBE",
                       problem);
    default:
        return MQTT_PACKET_OK;
    }
}
