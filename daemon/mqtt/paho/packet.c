/*
 * Checks every packet of the broker before the MQTT library parses it.
 *
 * A library that trusts a malformed packet reads beyond its end, frees a pointer that it has not
 * set, or acknowledges a message that it could not hand over. In MQTT 3.1.1 every packet that the
 * daemon can get has a fixed length or a least one, so a few comparisons tell the malformed ones
 * (§2.2, §3.2 to §3.13). In MQTT 5 a packet ends in reason codes and properties
 * (mqtt/paho/properties.c); each part must end where the packet ends.
 *
 * Refused in MQTT 5 although Paho 1.3 would take them:
 *
 *  - A CONNACK of two bytes, which is the answer of a broker that speaks MQTT 3.1.1 only. Paho
 *    takes its code 0 for a session of MQTT 5, and frees properties that it has not set.
 *  - A Receive Maximum of 0 (§3.2.2.3.3): Paho would never send a SUBSCRIBE.
 *  - A PUBLISH with a Topic Alias. We allow none (§3.3.2.3.4), and Paho would deliver the message
 *    with the topic that the packet has, which is empty as a rule.
 *  - AUTH: we never send an Authentication Method (§4.12), and Paho does not free the packet.
 *
 * The following is let through, because closing the connection would do more harm:
 *
 *  - An odd topic (empty, a wildcard, NUL, no UTF-8; §1.5.3, §4.7.1) or payload. The broker would
 *    send the message again at every connection. It goes into quarantine with every byte.
 *  - A PUBREL for an unknown identifier: the handshake of an earlier connection (§4.4).
 *  - A PINGRESP that was not asked for, reserved flag bits of the fixed header, a remaining length
 *    with more bytes than needed (§2.2.3 allows it), session present beside a refusal, an unknown
 *    reason code of a refusal: no parser looks at them, and nothing is acknowledged or lost by
 * them.
 */
#include "mqtt/paho/packet_internal.h"

#include <stdbool.h>
#include <stdio.h>

#define TYPE(first) ((unsigned)(first) >> 4)
#define QOS(first)  (((unsigned)(first) >> 1) & 3)

#define PUBLISH_MOST 268435455U /* the greatest remaining length of all (§2.2.3) */
#define OTHERS_MOST  262144U    /* 256 KiB; MQTT 5: more is refused before memory is taken for it */
#define REFUSES      0x80U      /* the first of the reason codes that refuse (MQTT 5 §2.4) */
#define NOT_FOUND    0x11U      /* UNSUBACK: there was no such subscription */

static const char *const names[MQTT_PACKET_TYPES] = {
    [MQTT_CONNACK] = "CONNACK",       [MQTT_PUBLISH] = "PUBLISH",   [MQTT_PUBACK] = "PUBACK",
    [MQTT_PUBREC] = "PUBREC",         [MQTT_PUBREL] = "PUBREL",     [MQTT_PUBCOMP] = "PUBCOMP",
    [MQTT_SUBACK] = "SUBACK",         [MQTT_UNSUBACK] = "UNSUBACK", [MQTT_PINGRESP] = "PINGRESP",
    [MQTT_DISCONNECT] = "DISCONNECT",
};

/* The types that a broker sends, and the least and the greatest remaining length of each. SUBACK
 * has one code, for the one filter of its SUBSCRIBE. */
struct lengths {
    bool is_known;
    size_t least;
    size_t most;
};

static const struct lengths lengths_3_1_1[MQTT_PACKET_TYPES] = {
    [MQTT_CONNACK] = {true, 2, 2},  [MQTT_PUBLISH] = {true, 2, PUBLISH_MOST},
    [MQTT_PUBACK] = {true, 2, 2},   [MQTT_PUBREC] = {true, 2, 2},
    [MQTT_PUBREL] = {true, 2, 2},   [MQTT_PUBCOMP] = {true, 2, 2},
    [MQTT_SUBACK] = {true, 3, 3},   [MQTT_UNSUBACK] = {true, 2, 2},
    [MQTT_PINGRESP] = {true, 0, 0},
};

/* A CONNACK of 2 bytes is judged with its body. */
static const struct lengths lengths_5[MQTT_PACKET_TYPES] = {
    [MQTT_CONNACK] = {true, 2, OTHERS_MOST}, [MQTT_PUBLISH] = {true, 3, PUBLISH_MOST},
    [MQTT_PUBACK] = {true, 2, OTHERS_MOST},  [MQTT_PUBREC] = {true, 2, OTHERS_MOST},
    [MQTT_PUBREL] = {true, 2, OTHERS_MOST},  [MQTT_PUBCOMP] = {true, 2, OTHERS_MOST},
    [MQTT_SUBACK] = {true, 4, OTHERS_MOST},  [MQTT_UNSUBACK] = {true, 4, OTHERS_MOST},
    [MQTT_PINGRESP] = {true, 0, 0},          [MQTT_DISCONNECT] = {true, 0, OTHERS_MOST},
};

const char *mqtt_packet_name(unsigned char first)
{
    const char *name = names[TYPE(first)];

    return name != NULL ? name : "packet";
}

static enum mqtt_packet_result malformed(unsigned char first, const char *reason, char *problem)
{
    snprintf(problem, MQTT_PACKET_PROBLEM_SIZE, "the broker sent a malformed %s (%s)",
             mqtt_packet_name(first), reason);
    return MQTT_PACKET_E_MALFORMED;
}

/* "its length is 1, not 2" */
static enum mqtt_packet_result wrong_length(unsigned char first, size_t length,
                                            const struct lengths *allowed, char *problem)
{
    char reason[112];

    if (allowed->least == allowed->most) {
        snprintf(reason, sizeof(reason), "its length is %zu, not %zu%s", length, allowed->most,
                 TYPE(first) == MQTT_CONNACK && length > allowed->most
                     ? ": MQTT 5 has such answers; set broker.protocol = auto"
                     : "");
    } else {
        snprintf(reason, sizeof(reason), "its length is %zu, not %zu to %zu", length,
                 allowed->least, allowed->most);
    }
    return malformed(first, reason, problem);
}

enum mqtt_packet_result mqtt_packet_check_header(enum mqtt_version version, unsigned char first,
                                                 size_t remaining_length,
                                                 char problem[MQTT_PACKET_PROBLEM_SIZE])
{
    unsigned type = TYPE(first);
    const struct lengths *allowed = version == MQTT_5 ? &lengths_5[type] : &lengths_3_1_1[type];

    if (!allowed->is_known) {
        snprintf(problem, MQTT_PACKET_PROBLEM_SIZE,
                 "the broker sent a packet of type %u, which no broker sends to a client", type);
        return MQTT_PACKET_E_MALFORMED;
    }
    if (type == MQTT_PUBLISH) {
        if (QOS(first) == 3) {
            return malformed(first, "its QoS is 3", problem);
        }
        if (remaining_length < allowed->least + (QOS(first) > 0 ? 2 : 0)) {
            return malformed(first, "too short for a topic and a packet identifier", problem);
        }
        return MQTT_PACKET_OK;
    }
    if (remaining_length < allowed->least || remaining_length > allowed->most) {
        return wrong_length(first, remaining_length, allowed, problem);
    }
    if (type == MQTT_PUBACK || type == MQTT_PUBREC || type == MQTT_PUBCOMP) {
        snprintf(problem, MQTT_PACKET_PROBLEM_SIZE,
                 "the broker sent a %s although nothing was published to it",
                 mqtt_packet_name(first));
        return MQTT_PACKET_E_MALFORMED;
    }
    return MQTT_PACKET_OK;
}

/* Checks the part of a PUBLISH that both versions have; MQTT_PACKET_OK sets *end to its length. */
static enum mqtt_packet_result check_topic(unsigned char first, const unsigned char *body,
                                           size_t length, size_t *end, char *problem)
{
    size_t topic_end = 2 + (size_t)mqtt_packet_integer(body);

    *end = topic_end + (QOS(first) > 0 ? 2 : 0);
    if (length < *end) {
        return malformed(first, "its topic is longer than the packet", problem);
    }
    if (QOS(first) > 0 && mqtt_packet_integer(body + topic_end) == 0) {
        return malformed(first, "its packet identifier is 0", problem);
    }
    return MQTT_PACKET_OK;
}

static enum mqtt_packet_result check_body_3_1_1(unsigned char first, const unsigned char *body,
                                                size_t length, char *problem)
{
    size_t end;

    switch (TYPE(first)) {
    case MQTT_PUBLISH:
        return check_topic(first, body, length, &end, problem);
    case MQTT_CONNACK:
        return (body[0] & 0xFE) == 0 ? MQTT_PACKET_OK
                                     : malformed(first, "its reserved flags are set", problem);
    case MQTT_SUBACK:
        /* From 128 on the code is a refusal: 128 in MQTT 3.1.1, the others in MQTT 5. */
        if (body[2] > 2 && body[2] < REFUSES) {
            return malformed(first, "its return code is none of 0, 1, 2 and 128 to 255", problem);
        }
        /* fall through */
    default:
        return length < 2 || mqtt_packet_integer(body) != 0
                   ? MQTT_PACKET_OK
                   : malformed(first, "its packet identifier is 0", problem);
    }
}

/* --- MQTT 5 ---------------------------------------------------------------------------------- */

/* Checks the properties at the end of a packet, and that `behind` bytes are behind them. */
static enum mqtt_packet_result check_end(unsigned char first, const unsigned char *at,
                                         size_t length, size_t behind,
                                         struct mqtt_properties *properties, char *problem)
{
    size_t size;
    const char *reason =
        mqtt_properties_read((enum mqtt_packet_type)TYPE(first), at, length, properties, &size);

    if (reason != NULL) {
        return malformed(first, reason, problem);
    }
    if (length - size != behind) {
        return malformed(first,
                         behind > 0 ? "it has another number of reason codes than 1"
                                    : "it goes on behind its properties",
                         problem);
    }
    return MQTT_PACKET_OK;
}

static enum mqtt_packet_result check_publish_5(unsigned char first, const unsigned char *body,
                                               size_t length, char *problem)
{
    struct mqtt_properties properties;
    enum mqtt_packet_result result;
    const char *reason;
    size_t end;

    result = check_topic(first, body, length, &end, problem);
    if (result != MQTT_PACKET_OK) {
        return result;
    }
    reason = mqtt_properties_read(MQTT_PUBLISH, body + end, length - end, &properties, &end);
    if (reason == NULL && properties.has_topic_alias) {
        reason = "it has a Topic Alias, and none was allowed";
    }
    return reason == NULL ? MQTT_PACKET_OK : malformed(first, reason, problem);
}

static enum mqtt_packet_result check_connack_5(unsigned char first, const unsigned char *body,
                                               size_t length, char *problem)
{
    struct mqtt_properties properties;
    enum mqtt_packet_result result;

    if (length == 2) {
        snprintf(problem, MQTT_PACKET_PROBLEM_SIZE,
                 "the broker answered CONNECT as MQTT 3.1.1 does, with code %u", body[1]);
        return MQTT_PACKET_E_OLD;
    }
    if ((body[0] & 0xFE) != 0) {
        return malformed(first, "its reserved flags are set", problem);
    }
    result = check_end(first, body + 2, length - 2, 0, &properties, problem);
    if (result == MQTT_PACKET_OK && properties.has_receive_maximum &&
        properties.receive_maximum == 0) {
        return malformed(first, "its Receive Maximum is 0", problem);
    }
    return result;
}

/* SUBACK and UNSUBACK: packet identifier, properties, one reason code. */
static enum mqtt_packet_result check_answer_5(unsigned char first, const unsigned char *body,
                                              size_t length, char *problem)
{
    struct mqtt_properties properties;
    unsigned code = body[length - 1];
    enum mqtt_packet_result result =
        check_end(first, body + 2, length - 2, 1, &properties, problem);

    if (result != MQTT_PACKET_OK) {
        return result;
    }
    if (TYPE(first) == MQTT_SUBACK && code > 2 && code < REFUSES) {
        return malformed(first, "its reason code is none of 0, 1, 2 and 128 to 255", problem);
    }
    if (TYPE(first) == MQTT_UNSUBACK && code != 0 && code != NOT_FOUND && code < REFUSES) {
        return malformed(first, "its reason code is none of 0, 17 and 128 to 255", problem);
    }
    return MQTT_PACKET_OK;
}

/* PUBREL and DISCONNECT behind their first `skip` bytes: a reason code and properties, of which
 * both or the latter may be left out (§3.6.2, §3.14.2). */
static enum mqtt_packet_result check_reason_5(unsigned char first, const unsigned char *body,
                                              size_t length, size_t skip, char *problem)
{
    struct mqtt_properties properties;

    return length < skip + 2
               ? MQTT_PACKET_OK
               : check_end(first, body + skip + 1, length - skip - 1, 0, &properties, problem);
}

static enum mqtt_packet_result check_body_5(unsigned char first, const unsigned char *body,
                                            size_t length, char *problem)
{
    unsigned type = TYPE(first);

    if ((type == MQTT_PUBREL || type == MQTT_SUBACK || type == MQTT_UNSUBACK) &&
        mqtt_packet_integer(body) == 0) {
        return malformed(first, "its packet identifier is 0", problem);
    }
    switch (type) {
    case MQTT_PUBLISH:
        return check_publish_5(first, body, length, problem);
    case MQTT_CONNACK:
        return check_connack_5(first, body, length, problem);
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        return check_answer_5(first, body, length, problem);
    case MQTT_PUBREL:
        return check_reason_5(first, body, length, 2, problem);
    case MQTT_DISCONNECT:
        return check_reason_5(first, body, length, 0, problem);
    default:
        return MQTT_PACKET_OK;
    }
}

enum mqtt_packet_result mqtt_packet_check_body(enum mqtt_version version, unsigned char first,
                                               const unsigned char *body, size_t length,
                                               char problem[MQTT_PACKET_PROBLEM_SIZE])
{
    return version == MQTT_5 ? check_body_5(first, body, length, problem)
                             : check_body_3_1_1(first, body, length, problem);
}

void mqtt_packet_thin(unsigned char first, unsigned char *body, size_t length)
{
    size_t properties;

    switch (TYPE(first)) {
    case MQTT_PUBLISH:
        properties = 2 + (size_t)mqtt_packet_integer(body) + (QOS(first) > 0 ? 2 : 0);
        break;
    case MQTT_CONNACK:
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        properties = 2;
        break;
    case MQTT_PUBREL:
        properties = 3; /* behind the reason code */
        break;
    case MQTT_DISCONNECT:
        properties = 1;
        break;
    default:
        return;
    }
    if (properties < length) {
        mqtt_properties_thin(body + properties, length - properties);
    }
}

void mqtt_packet_malformed(unsigned char first, const char *reason,
                           char problem[MQTT_PACKET_PROBLEM_SIZE])
{
    malformed(first, reason, problem);
}

void mqtt_packet_endless_length(unsigned char first, char problem[MQTT_PACKET_PROBLEM_SIZE])
{
    malformed(first, "its remaining length has more than four bytes", problem);
}

/* --- what a packet says ---------------------------------------------------------------------- */

/* The properties that begin at `from`; those of a packet without any if it ends before. */
static void read_properties(enum mqtt_packet_type type, const unsigned char *body, size_t length,
                            size_t from, struct mqtt_properties *out)
{
    static const unsigned char none[] = {0};
    size_t size;

    if (length > from) {
        mqtt_properties_read(type, body + from, length - from, out, &size);
    } else {
        mqtt_properties_read(type, none, sizeof(none), out, &size);
    }
}

void mqtt_packet_read_connack(const unsigned char *body, size_t length, struct mqtt_connack *out)
{
    *out = (struct mqtt_connack){
        .is_old = length == 2, .session_present = (body[0] & 1) != 0, .code = body[1]};
    read_properties(MQTT_CONNACK, body, length, 2, &out->properties);
}

void mqtt_packet_read_disconnect(const unsigned char *body, size_t length,
                                 struct mqtt_disconnect *out)
{
    *out = (struct mqtt_disconnect){.code = length > 0 ? body[0] : 0};
    read_properties(MQTT_DISCONNECT, body, length, 1, &out->properties);
}
