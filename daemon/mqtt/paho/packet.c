/*
 * Checks every packet of the broker before the MQTT library parses it.
 *
 * A library that trusts a malformed packet reads beyond its end, frees a pointer that it has not
 * set, or acknowledges a message that it could not hand over. Every packet that the daemon can get
 * has a fixed length or a least one, so a few comparisons tell the malformed ones (MQTT 3.1.1 §2.2,
 * §3.2 to §3.13).
 *
 * A well-formed packet at the wrong time is refused, too (§4.8). Paho looks for the request that an
 * acknowledgement answers by the packet identifier alone. So a PUBACK or an UNSUBACK would complete
 * a SUBSCRIBE that the broker never granted, and with a QoS that nobody has set: the daemon would
 * wait for messages that never come. Hence
 *
 *  - the first packet is CONNACK, and no other one is (§3.2); bytes of some other protocols are
 *    recognised in its place, because a wrong port is a common mistake;
 *  - SUBACK and UNSUBACK carry the identifier of the request without an answer (§3.8.4, §3.10.4);
 *  - PUBACK, PUBREC and PUBCOMP never come, because this client publishes nothing.
 *
 * The following is let through, because closing the connection would do more harm:
 *
 *  - An odd topic (empty, a wildcard, NUL, no UTF-8; §1.5.3, §4.7.1) or payload. The broker would
 *    send the message again at every connection. It goes into quarantine with every byte.
 *  - A PUBREL for an unknown identifier: the handshake of an earlier connection (§4.4).
 *  - A PINGRESP that was not asked for, reserved flag bits of the fixed header, a remaining length
 *    with more bytes than needed (§2.2.3 allows it), session present beside a refusal: no parser
 *    looks at them, and nothing is acknowledged or lost by them.
 */
#include "mqtt/paho/packet_internal.h"

#include <stdbool.h>
#include <stdio.h>

#define TYPE(first) ((unsigned)(first) >> 4)
#define QOS(first)  (((unsigned)(first) >> 1) & 3)

#define OTHER_PORT "set broker.host and broker.port to the broker's MQTT listener"

/* Offset of the protocol level in a CONNECT, behind the protocol name (§3.1.2). */
#define CONNECT_LEVEL 6

enum {
    CONNECT = 1,
    CONNACK = 2,
    PUBLISH = 3,
    PUBACK = 4,
    PUBREC = 5,
    PUBREL = 6,
    PUBCOMP = 7,
    SUBSCRIBE = 8,
    SUBACK = 9,
    UNSUBSCRIBE = 10,
    UNSUBACK = 11,
    PINGRESP = 13,
    TYPES = 16,
};

/* Packets whose length is fixed. SUBACK: a packet identifier and one return code, for the one
 * filter of its SUBSCRIBE. */
static const struct {
    const char *name;
    size_t length;
} fixed[TYPES] = {
    [CONNACK] = {"CONNACK", 2},   [PUBACK] = {"PUBACK", 2},     [PUBREC] = {"PUBREC", 2},
    [PUBREL] = {"PUBREL", 2},     [PUBCOMP] = {"PUBCOMP", 2},   [SUBACK] = {"SUBACK", 3},
    [UNSUBACK] = {"UNSUBACK", 2}, [PINGRESP] = {"PINGRESP", 0},
};

static const char *name_of(unsigned char first)
{
    const char *name = TYPE(first) == PUBLISH ? "PUBLISH" : fixed[TYPE(first)].name;

    return name != NULL ? name : "packet";
}

static enum mqtt_packet_result malformed(unsigned char first, const char *reason, char *problem)
{
    snprintf(problem, MQTT_PACKET_PROBLEM_SIZE, "the broker sent a malformed %s (%s)",
             name_of(first), reason);
    return MQTT_PACKET_E_MALFORMED;
}

/* Refuses a well-formed packet at the wrong time. */
static enum mqtt_packet_result misplaced(unsigned char first, const char *reason, char *problem)
{
    snprintf(problem, MQTT_PACKET_PROBLEM_SIZE, "the broker sent a %s %s", name_of(first), reason);
    return MQTT_PACKET_E_MALFORMED;
}

enum mqtt_packet_result mqtt_packet_check_header(enum mqtt_version version, unsigned char first,
                                                 size_t remaining_length,
                                                 char problem[MQTT_PACKET_PROBLEM_SIZE])
{
    unsigned type = TYPE(first);
    char reason[112];

    (void)version;

    if (type == PUBLISH) {
        if (QOS(first) == 3) {
            return malformed(first, "its QoS is 3", problem);
        }
        if (remaining_length < (QOS(first) > 0 ? 4U : 2U)) {
            return malformed(first, "too short for a topic and a packet identifier", problem);
        }
        return MQTT_PACKET_OK;
    }
    if (fixed[type].name == NULL) {
        snprintf(problem, MQTT_PACKET_PROBLEM_SIZE,
                 "the broker sent a packet of type %u, which no broker sends to a client", type);
        return MQTT_PACKET_E_MALFORMED;
    }
    if (remaining_length != fixed[type].length) {
        snprintf(reason, sizeof(reason), "its length is %zu, not %zu%s", remaining_length,
                 fixed[type].length,
                 type == CONNACK && remaining_length > fixed[type].length
                     ? ": MQTT 5 has such answers; allow version 3.1.1 at the broker"
                     : "");
        return malformed(first, reason, problem);
    }
    if (type == PUBACK || type == PUBREC || type == PUBCOMP) {
        return misplaced(first, "although nothing was published to it", problem);
    }
    return MQTT_PACKET_OK;
}

static unsigned two_bytes(const unsigned char *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static enum mqtt_packet_result check_publish(unsigned char first, const unsigned char *body,
                                             size_t length, char *problem)
{
    size_t topic_end = 2 + (size_t)two_bytes(body);

    if (length < topic_end + (QOS(first) > 0 ? 2 : 0)) {
        return malformed(first, "its topic is longer than the packet", problem);
    }
    if (QOS(first) > 0 && two_bytes(body + topic_end) == 0) {
        return malformed(first, "its packet identifier is 0", problem);
    }
    return MQTT_PACKET_OK;
}

enum mqtt_packet_result mqtt_packet_check_body(enum mqtt_version version, unsigned char first,
                                               const unsigned char *body, size_t length,
                                               char problem[MQTT_PACKET_PROBLEM_SIZE])
{
    (void)version;
    switch (TYPE(first)) {
    case PUBLISH:
        return check_publish(first, body, length, problem);
    case CONNACK:
        return (body[0] & 0xFE) == 0 ? MQTT_PACKET_OK
                                     : malformed(first, "its reserved flags are set", problem);
    case SUBACK:
        /* From 128 on the code is a refusal: 128 in MQTT 3.1.1, the others in MQTT 5. */
        if (body[2] > 2 && body[2] < 0x80) {
            return malformed(first, "its return code is none of 0, 1, 2 and 128 to 255", problem);
        }
        /* fall through */
    default:
        return length < 2 || two_bytes(body) != 0
                   ? MQTT_PACKET_OK
                   : malformed(first, "its packet identifier is 0", problem);
    }
}

void mqtt_packet_endless_length(unsigned char first, char problem[MQTT_PACKET_PROBLEM_SIZE])
{
    malformed(first, "its remaining length has more than four bytes", problem);
}

/* --- which answers were asked for ------------------------------------------------------------ */

enum mqtt_version mqtt_exchange_version(struct mqtt_exchange *exchange)
{
    return atomic_load_explicit(&exchange->version, memory_order_relaxed) == MQTT_5 ? MQTT_5
                                                                                    : MQTT_3_1_1;
}

void mqtt_exchange_sent(struct mqtt_exchange *exchange, unsigned char first,
                        const unsigned char *body, size_t length)
{
    unsigned id = length >= 2 ? two_bytes(body) : 0;

    switch (TYPE(first)) {
    case CONNECT:
        atomic_store(&exchange->version, length > CONNECT_LEVEL ? body[CONNECT_LEVEL] : 0);
        atomic_store(&exchange->is_accepted, false);
        atomic_store(&exchange->subscribe, 0);
        atomic_store(&exchange->unsubscribe, 0);
        break;
    case SUBSCRIBE:
        atomic_store(&exchange->subscribe, id);
        break;
    case UNSUBSCRIBE:
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

    if (!is_accepted && TYPE(first) != CONNACK) {
        return misplaced(first, "before a CONNACK that accepts the connection", problem);
    }
    if (is_accepted && TYPE(first) == CONNACK) {
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
    case CONNACK:
        atomic_store(&exchange->is_accepted, body[1] == 0);
        return MQTT_PACKET_OK;
    case SUBACK:
        return answers(&exchange->subscribe, first, two_bytes(body), "SUBSCRIBE", problem);
    case UNSUBACK:
        return answers(&exchange->unsubscribe, first, two_bytes(body), "UNSUBSCRIBE", problem);
    default:
        return MQTT_PACKET_OK;
    }
}
