/*
 * Keeps malformed and unexpected packets from Paho's parsers.
 *
 * Paho 1.3 trusts the lengths in a packet. A SUBACK without return codes, for one, makes Paho free
 * a pointer that it never set, whose value the broker chooses by the packets it sent before. And
 * Paho takes any acknowledgement with the identifier of a SUBSCRIBE for the answer to it. Here each
 * packet is checked (mqtt/paho/packet.c) before Paho parses it. A refused packet is a read error to
 * Paho: it closes the connection, and nothing of the packet is acknowledged.
 *
 * Four calls of Paho's are redirected, for TLS and plain TCP alike:
 *  - MQTTPacket_Factory() reads the first byte and the one to four bytes of the remaining length
 *    with WebSocket_getch(), byte by byte, and the rest with one WebSocket_getdata(). When the rest
 *    is not there yet, Paho begins again with the first byte, which it has kept. The header is
 *    judged before the rest is read, so before memory is allocated for it. All bytes of the
 *    remaining length are read when Paho asks for the first of them, because those of a large
 *    PUBLISH are replaced: mqtt/paho/shorten.c reads the rest of it.
 *  - MQTTPacket_send() gives a packet to WebSocket_putdatas(): the fixed header, and the rest.
 *    Which answer the broker owes is noted before the packet is written. The protocol level of
 *    CONNECT is the version by which the broker's packets are checked.
 *  - MQTTAsync_closeOnly() ends a connection with WebSocket_close(). After that a new connection
 *    may get its place.
 *
 * In MQTT 5 a CONNACK and a DISCONNECT say more than Paho hands on: they are kept until
 * mqtt/client_connect.c takes them. Paho does not see
 *  - a CONNACK as of MQTT 3.1.1: Paho would take its code 0 for a session of MQTT 5;
 *  - a Server Keep Alive of 0, with which Paho 1.3.14 sends no PINGREQ, so that a dead connection
 *    is never noticed;
 *  - a Server Keep Alive longer than ours, after which Paho 1.3.14 would send PINGREQ.
 *
 * In the last two cases Paho reads the keep alive of our CONNECT instead: both sides may send more
 * often than they must. Paho 1.3.12 heeds no Server Keep Alive, so a shorter one is for the caller
 * of mqtt/client.c to act on.
 *
 * A packet that Paho gets has few properties (mqtt_properties_thin()).
 *
 * Must never happen: Paho parses an unchecked packet, or one of which it takes too much memory or
 * time.
 *
 * Relies on: the sequence of calls above; their return values; the beginning of Paho's struct
 * PacketBuffers. Proved on Paho 1.3.12-1 (Debian 12) and 1.3.14-2 (Debian 13). Checked when the
 * program is built: mqtt/paho/adapt finds the calls in MQTTPacket.c.o, and mqtt/paho/probe.c sees
 * that a malformed packet is refused here, and that SUBSCRIBE is noted.
 *
 * Threads. Only Paho's receive thread reads packets, one at a time, so the position within a packet
 * is kept by thread. Paho's other thread may send a request meanwhile: `exchange` allows that. The
 * assignment of places to connections, and problems, are under a mutex: Paho may tell of the end of
 * a connection on its other thread.
 */
#include "mqtt/paho/check_internal.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "mqtt/paho/calls_internal.h"
#include "mqtt/paho/cork_internal.h"
#include "mqtt/paho/shorten_internal.h"

#define COMPLETE     0    /* TCPSOCKET_COMPLETE, */
#define SOCKET_ERROR (-1) /* SOCKET_ERROR of Paho's Socket.h */
#define HEADER_BYTES 5    /* the first byte, and up to four of the remaining length */

/* Four times the connections that a configuration may have. A connection that has ended gives its
 * place to a new one. With more connections than places the oldest loses its own, and its next
 * packet is refused. */
#define PLACES 64

/* Paho's own, with void for its types. */
int WebSocket_getch(void *net, char *byte);
char *WebSocket_getdata(void *net, size_t bytes, size_t *actual);
int WebSocket_putdatas(void *net, char **header, size_t *header_length, struct paho_buffers *rest);
void WebSocket_close(void *net, int status, const char *reason);

/* The state of a connection. */
struct place {
    _Atomic(const void *) connection; /* NULL: free */
    struct mqtt_exchange exchange;
    struct paho_shorten shorten; /* under Paho's lock */
    atomic_uint pieces;          /* that were read of large packets */
    /* Under the mutex. */
    bool has_ended;
    uint64_t since;                         /* the place was given, or the connection has ended */
    char problem[MQTT_PACKET_PROBLEM_SIZE]; /* "" or what was wrong with a packet */
    struct mqtt_answer answer;
};

/* A thread's position within a packet. */
struct reader {
    const void *connection;
    struct place *place; /* of the connection */
    unsigned char header[HEADER_BYTES];
    size_t count; /* bytes of the header that were read */
    size_t given; /* bytes of it that Paho has */
    size_t length;
    unsigned last;                        /* type of the last whole packet */
    const struct mqtt_cut_message *whole; /* for which the last packet stands; NULL: none */
};

static _Thread_local struct reader reader;
static _Thread_local const void *last; /* for paho_check_connection() */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct place places[PLACES];
static uint64_t events; /* places given, and connections ended */

/* NULL: it has none. */
static struct place *find(const void *connection)
{
    for (int i = 0; i < PLACES; i++) {
        if (atomic_load_explicit(&places[i].connection, memory_order_acquire) == connection) {
            return &places[i];
        }
    }
    return NULL;
}

/* Under the mutex: the place for a new connection. A free one; else that of the connection that has
 * ended first; else that of the oldest. */
static struct place *choose(void)
{
    struct place *best = &places[0];

    for (struct place *place = places; place < places + PLACES; place++) {
        if (atomic_load_explicit(&place->connection, memory_order_relaxed) == NULL) {
            return place;
        }
        if (place->has_ended != best->has_ended ? place->has_ended : place->since < best->since) {
            best = place;
        }
    }
    return best;
}

/* Returns the place of a connection, or gives it one. */
static struct place *place_of(const void *connection)
{
    struct place *place = find(connection);

    if (place != NULL) {
        return place;
    }
    pthread_mutex_lock(&mutex);
    place = find(connection);
    if (place == NULL) {
        place = choose();
        mqtt_exchange_reset(&place->exchange);
        paho_shorten_end(&place->shorten);
        place->has_ended = false;
        place->since = ++events;
        place->problem[0] = '\0';
        place->answer = (struct mqtt_answer){0};
        atomic_store(&place->connection, connection);
    }
    pthread_mutex_unlock(&mutex);
    return place;
}

/* Keeps a problem until paho_check_take(). */
static void complain(const void *connection, const char *problem)
{
    struct place *place = place_of(connection);

    pthread_mutex_lock(&mutex);
    snprintf(place->problem, sizeof(place->problem), "%s", problem);
    pthread_mutex_unlock(&mutex);
}

const void *paho_check_connection(void)
{
    const void *connection = last;

    last = NULL;
    return connection;
}

bool paho_check_take(const void *connection, char problem[MQTT_PACKET_PROBLEM_SIZE])
{
    struct place *place;
    bool is_known;

    if (connection == NULL) {
        return false;
    }
    pthread_mutex_lock(&mutex);
    place = find(connection);
    is_known = place != NULL && place->problem[0] != '\0';
    if (is_known) {
        snprintf(problem, MQTT_PACKET_PROBLEM_SIZE, "%s", place->problem);
        place->problem[0] = '\0';
    }
    pthread_mutex_unlock(&mutex);
    return is_known;
}

bool paho_check_take_answer(const void *connection, struct mqtt_answer *out)
{
    struct place *place;

    if (connection == NULL) {
        return false;
    }
    pthread_mutex_lock(&mutex);
    place = find(connection);
    if (place != NULL) {
        *out = place->answer;
        place->answer = (struct mqtt_answer){.connect_sent = out->connect_sent};
    }
    pthread_mutex_unlock(&mutex);
    return place != NULL;
}

bool paho_check_reads_pubrel_of_5(void)
{
    return reader.last == MQTT_PUBREL && mqtt_exchange_version(&reader.place->exchange) == MQTT_5;
}

/* Selects the place of the connection that the thread reads from now. */
static void turn_to(const void *connection)
{
    last = connection;
    if (reader.place == NULL || reader.connection != connection ||
        atomic_load_explicit(&reader.place->connection, memory_order_relaxed) != connection) {
        reader.connection = connection;
        reader.place = place_of(connection);
    }
}

/* Takes one byte of the remaining length (MQTT 3.1.1 §2.2.3), the last one of the header so far.
 * Returns false when the packet is refused. */
static bool take_length_byte(const void *connection, unsigned char byte)
{
    struct mqtt_exchange *exchange = &reader.place->exchange;
    unsigned char first = reader.header[0];
    char problem[MQTT_PACKET_PROBLEM_SIZE];

    reader.length |= (size_t)(byte & 0x7F) << 7 * (reader.count - 2);
    if ((byte & 0x80) == 0) {
        if ((reader.count > 2 ||
             mqtt_exchange_check_protocol(exchange, first, byte, problem) == MQTT_PACKET_OK) &&
            mqtt_packet_check_header(mqtt_exchange_version(exchange), first, reader.length,
                                     problem) == MQTT_PACKET_OK &&
            mqtt_exchange_check_header(exchange, first, problem) == MQTT_PACKET_OK) {
            return true;
        }
    } else if (reader.count < HEADER_BYTES) {
        return true;
    } else {
        mqtt_packet_endless_length(first, problem);
    }
    complain(connection, problem);
    return false;
}

/* Gives Paho the header of the stand-in. */
static void show_stand_in(const struct paho_shorten *shorten)
{
    memcpy(reader.header, shorten->header, PAHO_SHORTEN_HEADER);
    reader.count = PAHO_SHORTEN_HEADER;
}

/* Puts the beginning of the next packet's header into `reader`: the first byte from the connection;
 * or, while a large PUBLISH is being read, the whole header of its stand-in, without reading. Frees
 * a large PUBLISH that is complete. Returns COMPLETE, or another result of WebSocket_getch(). */
static int begin_header(void *net)
{
    struct paho_shorten *shorten;
    char byte;
    int result;

    reader.whole = NULL;
    turn_to(net);
    shorten = &reader.place->shorten;
    if (shorten->is_whole) {
        paho_shorten_end(shorten);
    }
    if (shorten->cut != NULL) {
        show_stand_in(shorten);
        return COMPLETE;
    }
    result = WebSocket_getch(net, &byte);
    if (result == COMPLETE) {
        reader.header[0] = (unsigned char)byte;
        reader.count = 1;
        reader.length = 0;
    }
    return result;
}

/* Reads the whole of the remaining length. */
static int read_length(void *net)
{
    struct paho_shorten *shorten = &reader.place->shorten;
    char byte;

    do {
        int result = WebSocket_getch(net, &byte);

        if (result != COMPLETE) {
            return result; /* the next read begins with the first byte again */
        }
        reader.header[reader.count++] = (unsigned char)byte;
        if (!take_length_byte(net, (unsigned char)byte)) {
            return SOCKET_ERROR;
        }
    } while (((unsigned char)byte & 0x80) != 0);
    if (paho_shorten_applies(reader.header[0], reader.length)) {
        paho_shorten_begin(shorten, mqtt_exchange_version(&reader.place->exchange),
                           reader.header[0], reader.length);
        show_stand_in(shorten);
    }
    return COMPLETE;
}

int paho_check_getch(void *net, char *byte)
{
    int result = COMPLETE;

    if (reader.given == 0) {
        result = begin_header(net);
    } else if (reader.given == reader.count) {
        result = read_length(net);
    }
    if (result == COMPLETE) {
        *byte = (char)reader.header[reader.given++];
    } else {
        reader.given = 0;
    }
    return result;
}

/* Replaces a Server Keep Alive that Paho must not heed by the one that CONNECT asked for. `connack`
 * is of `body`. */
static void set_keepalive(unsigned char *body, struct mqtt_connack *connack)
{
    unsigned asked_s = mqtt_exchange_keepalive_s(&reader.place->exchange);
    struct mqtt_properties *properties = &connack->properties;
    unsigned char *at = body + 2 + properties->server_keepalive_at;

    if (properties->has_server_keepalive && asked_s > 0 &&
        (properties->server_keepalive_s == 0 || properties->server_keepalive_s > asked_s)) {
        at[0] = (unsigned char)(asked_s >> 8);
        at[1] = (unsigned char)asked_s;
        properties->server_keepalive_s = asked_s;
    }
}

/* Keeps what a CONNACK or a DISCONNECT says. Paho has not parsed it yet. */
static void keep_answer(unsigned char *body, size_t length)
{
    struct mqtt_answer *answer = &reader.place->answer;
    struct mqtt_connack connack;
    struct mqtt_disconnect disconnect;

    if (reader.last == MQTT_CONNACK) {
        mqtt_packet_read_connack(body, length, &connack);
        set_keepalive(body, &connack);
        pthread_mutex_lock(&mutex);
        answer->has_connack = true;
        answer->connack = connack;
        pthread_mutex_unlock(&mutex);
    } else if (reader.last == MQTT_DISCONNECT) {
        mqtt_packet_read_disconnect(body, length, &disconnect);
        pthread_mutex_lock(&mutex);
        answer->has_disconnect = true;
        answer->disconnect = disconnect;
        pthread_mutex_unlock(&mutex);
    }
}

/* The rest of a packet is there. Returns false when Paho must not see it. */
static bool take_rest(const void *connection, unsigned char *body, size_t length)
{
    enum mqtt_version version = mqtt_exchange_version(&reader.place->exchange);
    unsigned char first = reader.header[0];
    char problem[MQTT_PACKET_PROBLEM_SIZE];
    enum mqtt_packet_result result = MQTT_PACKET_OK;

    reader.last = first >> 4;
    if (length > 0) {
        result = mqtt_packet_check_body(version, first, body, length, problem);
    }
    if (result == MQTT_PACKET_OK && length > 0) {
        result = mqtt_exchange_check_body(&reader.place->exchange, first, body, problem);
    }
    if (result == MQTT_PACKET_E_MALFORMED) {
        complain(connection, problem);
    } else {
        keep_answer(body, length);
    }
    if (result == MQTT_PACKET_OK && version == MQTT_5 && length > 0) {
        mqtt_packet_thin(first, body, length);
    }
    return result == MQTT_PACKET_OK;
}

/* Reads on in a large PUBLISH. Paho gets its stand-in when all of it has come. */
static char *read_shortened(void *net, size_t bytes, size_t *actual)
{
    struct paho_shorten *shorten = &reader.place->shorten;
    char problem[MQTT_PACKET_PROBLEM_SIZE];

    *actual = 0;
    switch (paho_shorten_read(shorten, net, &reader.place->pieces, problem)) {
    case PAHO_SHORTEN_PART:
        return shorten->stand_in;
    case PAHO_SHORTEN_WHOLE:
        if (bytes != shorten->stand_in_length ||
            !take_rest(net, (unsigned char *)shorten->stand_in, bytes)) {
            return NULL;
        }
        reader.whole = &shorten->message;
        *actual = bytes;
        return shorten->stand_in;
    default:
        if (problem[0] != '\0') {
            complain(net, problem);
        }
        return NULL;
    }
}

char *paho_check_getdata(void *net, size_t bytes, size_t *actual)
{
    bool is_whole;
    char *data;

    reader.given = 0;
    if (reader.place->shorten.cut != NULL) {
        return read_shortened(net, bytes, actual);
    }
    data = WebSocket_getdata(net, bytes, actual);
    is_whole = bytes == 0 || (data != NULL && *actual >= bytes);
    return is_whole && !take_rest(net, (unsigned char *)data, bytes) ? NULL : data;
}

bool paho_check_restore(struct paho_message *message, unsigned id)
{
    const struct mqtt_cut_message *whole = reader.whole;

    if (paho_shorten_is_stand_in(message->topic, message->topic_length) != (whole != NULL)) {
        return false;
    }
    if (whole == NULL) {
        return true;
    }
    message->topic = whole->topic;
    message->topic_length = whole->topic_length;
    message->payload = whole->payload;
    message->payload_length = whole->payload_length;
    message->full_length = whole->full_length;
    message->digest = whole->digest;
    return message->qos == whole->qos && id == whole->id;
}

unsigned paho_check_pieces(const void *connection)
{
    struct place *place = connection != NULL ? find(connection) : NULL;

    return place != NULL ? atomic_load(&place->pieces) : 0;
}

/* CONNECT is about to be written. */
static void begin(struct place *place)
{
    paho_shorten_end(&place->shorten);
    pthread_mutex_lock(&mutex);
    place->has_ended = false;
    place->since = ++events;
    place->problem[0] = '\0';
    place->answer = (struct mqtt_answer){.connect_sent = true};
    pthread_mutex_unlock(&mutex);
}

int paho_check_putdatas(void *net, char **header, size_t *header_length, struct paho_buffers *rest)
{
    const char *body = "";
    size_t length = 0;

    if (rest->count > 0 && rest->buffers[0] != NULL) {
        body = rest->buffers[0];
        length = rest->lengths[0];
    }
    if (*header_length > 0) {
        struct place *place = place_of(net);
        unsigned char first = (unsigned char)(*header)[0];

        mqtt_exchange_sent(&place->exchange, first, (const unsigned char *)body, length);
        if (first >> 4 == MQTT_CONNECT) {
            begin(place);
        }
    }
    return WebSocket_putdatas(net, header, header_length, rest);
}

void paho_check_close(void *net, int status, const char *reason)
{
    struct place *place;

    if (reader.connection == net) {
        reader.whole = NULL;
    }
    pthread_mutex_lock(&mutex);
    place = find(net);
    last = NULL;
    if (place != NULL) {
        paho_shorten_end(&place->shorten);
    }
    if (place != NULL && !place->has_ended) {
        place->has_ended = true;
        place->since = ++events;
        last = net;
    }
    pthread_mutex_unlock(&mutex);
    if (paho_cork_note_close != NULL) {
        paho_cork_note_close();
    }
    WebSocket_close(net, status, reason);
}
