/*
 * Codes in words. See mqtt/words_internal.h.
 *
 * MQTT 3.1.1 has the CONNACK codes 0 to 5 (§3.2.2.3) and the SUBACK codes 0, 1, 2 and 0x80
 * (§3.9.3). MQTT 5 has reason codes from 0x80 on (§2.4), which some brokers also send to clients of
 * MQTT 3.1.1; and only in MQTT 5 a broker says by DISCONNECT why it ends a connection (§3.14).
 *
 * One code has several causes: CONNACK 2 is also how mosquitto refuses a keep alive above its
 * max_keepalive, and some brokers answer an unknown client id with 4 or 5. A sentence names all of
 * them, and for each the key of the configuration.
 */
#include "mqtt/words_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/escape.h"

#define MQTT5       0x80
#define QUOTED_SIZE 136 /* the longest text of a broker in a sentence, after escaping */

#define OTHER_VERSION                                                                              \
    "the broker does not speak MQTT 3.1.1: set broker.protocol = auto, or allow version 3.1.1 "    \
    "(protocol level 4) at the broker, or set broker.host and broker.port to a listener that "     \
    "has it"
#define OTHER_VERSION_5                                                                            \
    "the broker does not speak MQTT 5: set broker.protocol = auto or 3.1.1, or set broker.host "   \
    "and broker.port to a listener that has it"
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

/* The reason that a broker gives, of itself or of us, when it disconnects. */
struct ending {
    int code;
    const char *sentence;
};

static const struct ending endings[] = {
    {0x00, "the broker ended the connection"},
    {0x80, "the broker ended the connection for a reason that it does not name: " LOG_TELLS_MORE},
    {0x81, "the broker says that a packet of foxtrackrd's was malformed: " LOG_TELLS_MORE},
    {0x82, "the broker says that foxtrackrd broke the protocol: " LOG_TELLS_MORE},
    {0x83, "the broker does not accept what foxtrackrd sent: " LOG_TELLS_MORE},
    {0x87, "the broker says that this client is not authorised: " CREDENTIALS
           ", and what the broker allows this client id"},
    {0x89, "the broker is too busy for this client"},
    {0x8B, "the broker is shutting down"},
    {0x8D, "the broker has heard nothing for one and a half keep alives"},
    {0x8E, "session taken over: another client uses this client id"},
    {0x8F, "the broker does not allow a filter: check session.filters"},
    {0x90, "the broker does not allow a topic: " LOG_TELLS_MORE},
    {0x93, "the broker says that its window was exceeded: " LOG_TELLS_MORE},
    {0x95, "the broker says that a packet of foxtrackrd's was too large: " LOG_TELLS_MORE},
    {0x96, "the broker says that foxtrackrd sends too much: ask its operator to raise the limit"},
    {0x97, "a quota at the broker is exceeded: ask its operator to raise it for this client"},
    {0x98, "the broker's operator, or a rule of the broker's, ended the connection"},
    {0x9B, "the broker does not have this QoS: set session.qos to what it has"},
    {0x9C, "the broker wants this client at another server for now: ask its operator, and set "
           "broker.host"},
    {0x9D, "the broker has moved: ask its operator where to, and set broker.host"},
    {0x9E, "the broker has no shared subscriptions: use a filter without $share/ in "
           "session.filters"},
    {0x9F, "the broker takes no more connections at the moment"},
    {0xA0, "the broker allows no longer connection: foxtrackrd connects again"},
    {0xA1, "the broker has no subscription identifiers: " LOG_TELLS_MORE},
    {0xA2, "the broker has no subscriptions with wildcards: name topics without + and # in "
           "session.filters"},
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

/* Appends a text of the broker's, if there is one and room for some of it. */
static void add_quoted(const char *before, const char *text, char *out)
{
    char quoted[QUOTED_SIZE];
    size_t used = strlen(out);
    size_t room = MQTT_WORDS_SIZE - 1 - used;
    size_t around = strlen(before) + 3; /* two quotes, and the end */

    if (text[0] != '\0' && room > around + 8) {
        escape_line(quoted, room - around < sizeof(quoted) ? room - around : sizeof(quoted), text);
        snprintf(out + used, room, "%s\"%s\"", before, quoted);
    }
}

void mqtt_words_connack(int code, const char *reason, const struct paho_options *options,
                        char out[MQTT_WORDS_SIZE])
{
    static const char *const codes[] = {
        [1] = OTHER_VERSION,
        [3] = "the broker says it is unavailable: foxtrackrd tries again; its operator knows more",
        [4] = "bad user name or password: " CREDENTIALS,
        [5] = "not authorised: " CREDENTIALS ", and that the broker allows this client id",
    };
    char start[96];

    if (options->version == PAHO_MQTT_5 && (code == 1 || code == 0x84)) {
        snprintf(out, MQTT_WORDS_SIZE, "%s", OTHER_VERSION_5);
    } else if (code == 2 || code == 0x85) {
        rejected_identifier(options->client_id, options->keepalive_s, out);
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
    add_quoted("; it says ", reason, out);
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

void mqtt_words_disconnect(int code, const char *reason, const char *server,
                           char out[MQTT_WORDS_SIZE])
{
    const char *sentence = NULL;

    for (size_t i = 0; i < COUNT(endings); i++) {
        if (endings[i].code == code) {
            sentence = endings[i].sentence;
        }
    }
    if (sentence != NULL) {
        snprintf(out, MQTT_WORDS_SIZE, "%s", sentence);
    } else {
        snprintf(out, MQTT_WORDS_SIZE,
                 "the broker ended the connection with the unknown code 0x%02X: " LOG_TELLS_MORE,
                 (unsigned)code);
    }
    add_quoted("; it names ", server, out);
    add_quoted("; it says ", reason, out);
}
