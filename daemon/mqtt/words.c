/*
 * Return codes in words. See mqtt/words_internal.h.
 *
 * MQTT 3.1.1 has the CONNACK codes 0 to 5 (§3.2.2.3) and the SUBACK codes 0, 1, 2 and 0x80
 * (§3.9.3). Brokers made for MQTT 5 also send its reason codes, from 0x80 on, to clients of 3.1.1.
 *
 * One code has several causes: CONNACK 2 is also how mosquitto refuses a keep alive above its
 * max_keepalive, and some brokers answer an unknown client id with 4 or 5. A sentence names all of
 * them, and for each the key of the configuration.
 */
#include "mqtt/words_internal.h"

#include <stdio.h>
#include <string.h>

#define MQTT5 0x80

#define OTHER_VERSION                                                                              \
    "the broker does not speak MQTT 3.1.1, the version that foxtrackrd speaks: allow "             \
    "version 3.1.1 (protocol level 4) at the broker, or set broker.host and broker.port "          \
    "to a listener that has it"
#define CREDENTIALS    "check broker.username and the password"
#define LOG_TELLS_MORE "the broker's log tells more"

/* A reason code of MQTT 5; without advice the broker's log is all there is. */
struct advice {
    int code;
    const char *name;
    const char *advice;
};

static const struct advice connack5[] = {
    {0x80, "unspecified error", NULL},
    {0x81, "malformed packet", NULL},
    {0x82, "protocol error", NULL},
    {0x83, "implementation specific error", NULL},
    {0x84, "unsupported protocol version", OTHER_VERSION},
    {0x86, "bad user name or password", CREDENTIALS},
    {0x87, "not authorised", CREDENTIALS ", and that the broker allows this client id"},
    {0x88, "server unavailable", "its operator knows more"},
    {0x89, "server busy", "foxtrackrd tries again, later each time"},
    {0x8A, "banned", "ask the broker's operator to allow this client"},
    {0x8C, "bad authentication method", CREDENTIALS},
    {0x90, "topic name invalid", NULL},
    {0x95, "packet too large", "the broker's limit is below a CONNECT"},
    {0x97, "quota exceeded", "ask the broker's operator to raise the limit for this client"},
    {0x99, "payload format invalid", NULL},
    {0x9A, "retain not supported", NULL},
    {0x9B, "QoS not supported", "set session.qos to what the broker has"},
    {0x9C, "use another server", "ask the broker's operator for it, and set broker.host"},
    {0x9D, "server moved", "ask the broker's operator where to, and set broker.host"},
    {0x9F, "connection rate exceeded", "foxtrackrd tries again, later each time"},
};

static const struct advice suback5[] = {
    {0x83, "implementation specific error", NULL},
    {0x87, "not authorised", "check its access list"},
    {0x8F, "topic filter invalid", "the broker does not allow this filter in session.filters"},
    {0x91, "packet identifier in use", "foxtrackrd asks again"},
    {0x97, "quota exceeded", "ask its operator to raise the limit, or set fewer session.filters"},
    {0x9E, "shared subscriptions not supported", "use a filter without $share/ in session.filters"},
    {0xA1, "subscription identifiers not supported", NULL},
    {0xA2, "wildcard subscriptions not supported",
     "name topics without + and # in session.filters"},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct advice *find(const struct advice *table, size_t count, int code)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].code == code) {
            return &table[i];
        }
    }
    return NULL;
}

/* A refused client id, or a refused keep alive: the broker says the same of both. */
static void rejected_identifier(const char *client_id, int keepalive_s, char *out)
{
    snprintf(out, MQTT_WORDS_SIZE,
             "the broker refuses the client id or the keep alive: the id has %zu characters, of "
             "which it may allow fewer or not all (Foxtrackr's begin with id-): session.given and "
             "session.number, or session.client_id; or it allows less than a keep alive of %d s: "
             "broker.keepalive",
             strlen(client_id), keepalive_s);
}

/* " (name of the code): advice" of MQTT 5 after `start`. */
static void add_advice(const char *start, const struct advice *found, char *out)
{
    snprintf(out, MQTT_WORDS_SIZE, "%s%s%s%s: %s", start, found != NULL ? " (" : "",
             found != NULL ? found->name : "", found != NULL ? ")" : "",
             found != NULL && found->advice != NULL ? found->advice : LOG_TELLS_MORE);
}

void mqtt_words_connack(int code, const char *client_id, int keepalive_s, char out[MQTT_WORDS_SIZE])
{
    static const char *const codes[] = {
        [1] = OTHER_VERSION,
        [3] = "the broker says it is unavailable: foxtrackrd tries again; its operator knows more",
        [4] = "bad user name or password: " CREDENTIALS,
        [5] = "not authorised: " CREDENTIALS ", and that the broker allows this client id",
    };
    char start[96];

    if (code == 2 || code == 0x85) {
        rejected_identifier(client_id, keepalive_s, out);
    } else if (code > 0 && code < (int)COUNT(codes)) {
        snprintf(out, MQTT_WORDS_SIZE, "%s", codes[code]);
    } else if (code >= MQTT5) {
        snprintf(start, sizeof(start),
                 "the broker refuses the connection with code 0x%02X of MQTT 5", (unsigned)code);
        add_advice(start, find(connack5, COUNT(connack5), code), out);
    } else {
        snprintf(out, MQTT_WORDS_SIZE,
                 "the broker refuses the connection with the unknown code %d: " LOG_TELLS_MORE,
                 code);
    }
}

void mqtt_words_suback(int code, const char *filter, char out[MQTT_WORDS_SIZE])
{
    char start[256];

    if (code == MQTT5) {
        snprintf(out, MQTT_WORDS_SIZE,
                 "the broker refuses the subscription to %.160s: check its access list", filter);
        return;
    }
    snprintf(start, sizeof(start),
             "the broker refuses the subscription to %.160s with code 0x%02X of MQTT 5", filter,
             (unsigned)code);
    add_advice(start, find(suback5, COUNT(suback5), code), out);
}
