/*
 * Keeps malformed and unexpected packets from Paho's parsers.
 *
 * Paho 1.3 trusts the lengths in a packet. A SUBACK without return codes, for one, makes Paho free
 * a pointer that it never set, whose value the broker chooses by the packets it sent before. And
 * Paho takes any acknowledgement with the identifier of a SUBSCRIBE for the answer to it. Here each
 * packet is checked (mqtt/paho/packet.c) before Paho parses it. A refused packet is a read error to
 * Paho: it closes the connection, and nothing of the packet is acknowledged.
 *
 * Three calls of Paho's are redirected, for TLS and plain TCP alike:
 *  - MQTTPacket_Factory() reads the first byte and the one to four bytes of the remaining length
 *    with WebSocket_getch(), byte by byte, and the rest with one WebSocket_getdata(). When the rest
 *    is not there yet, Paho begins again with the first byte, which it has kept. The header is
 *    judged before the rest is read, so before memory is allocated for it.
 *  - MQTTPacket_send() gives a packet to WebSocket_putdatas(): the fixed header, and the rest.
 *    Which answer the broker owes is noted before the packet is written.
 *
 * Must never happen: Paho parses an unchecked packet.
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

#define COMPLETE     0    /* TCPSOCKET_COMPLETE, */
#define SOCKET_ERROR (-1) /* SOCKET_ERROR of Paho's Socket.h */
#define LENGTH_BYTES 4

/* Four times the connections that a configuration may have. Beyond that the oldest connection loses
 * its place, and its next packet is refused. */
#define PLACES 64

/* Paho's own, with void for its types. */
int WebSocket_getch(void *net, char *byte);
char *WebSocket_getdata(void *net, size_t bytes, size_t *actual);
int WebSocket_putdatas(void *net, char **header, size_t *header_length, struct paho_buffers *rest);

/* The state of a connection. */
struct place {
    _Atomic(const void *) connection; /* NULL: free */
    struct mqtt_exchange exchange;
    char problem[MQTT_PACKET_PROBLEM_SIZE]; /* "" or what was wrong with a packet */
};

/* A thread's position within a packet. */
struct reader {
    const void *connection;
    struct place *place; /* of the connection */
    int count;           /* bytes of the header so far */
    unsigned char first;
    size_t length;
};

static _Thread_local struct reader reader;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct place places[PLACES];
static unsigned next_place;

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
        place = &places[next_place++ % PLACES];
        atomic_store(&place->exchange.version, 0);
        atomic_store(&place->exchange.is_accepted, false);
        atomic_store(&place->exchange.subscribe, 0);
        atomic_store(&place->exchange.unsubscribe, 0);
        place->problem[0] = '\0';
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
    return reader.connection;
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

/* Selects the place of the connection that the thread reads from now. */
static void turn_to(const void *connection)
{
    if (reader.place == NULL || reader.connection != connection ||
        atomic_load_explicit(&reader.place->connection, memory_order_relaxed) != connection) {
        reader.connection = connection;
        reader.place = place_of(connection);
    }
}

/* Takes one byte of the remaining length (MQTT 3.1.1 §2.2.3). Returns false when the packet is
 * refused. */
static bool take_length_byte(const void *connection, unsigned char byte)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE];

    reader.length |= (size_t)(byte & 0x7F) << 7 * (reader.count - 1);
    if ((byte & 0x80) == 0) {
        if ((reader.count > 1 || mqtt_exchange_check_protocol(&reader.place->exchange, reader.first,
                                                              byte, problem) == MQTT_PACKET_OK) &&
            mqtt_packet_check_header(mqtt_exchange_version(&reader.place->exchange), reader.first,
                                     reader.length, problem) == MQTT_PACKET_OK &&
            mqtt_exchange_check_header(&reader.place->exchange, reader.first, problem) ==
                MQTT_PACKET_OK) {
            return true;
        }
    } else if (++reader.count <= LENGTH_BYTES) {
        return true;
    } else {
        mqtt_packet_endless_length(reader.first, problem);
    }
    complain(connection, problem);
    return false;
}

int paho_check_getch(void *net, char *byte)
{
    int result = WebSocket_getch(net, byte);

    turn_to(net);
    if (result != COMPLETE) {
        reader.count = 0; /* the next read begins with the first byte again */
    } else if (reader.count == 0) {
        reader.first = (unsigned char)*byte;
        reader.length = 0;
        reader.count = 1;
    } else if (!take_length_byte(net, (unsigned char)*byte)) {
        reader.count = 0;
        result = SOCKET_ERROR;
    }
    return result;
}

char *paho_check_getdata(void *net, size_t bytes, size_t *actual)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE];
    char *data = WebSocket_getdata(net, bytes, actual);
    const unsigned char *body = (const unsigned char *)data;

    reader.count = 0;
    if (bytes > 0 && data != NULL && *actual >= bytes &&
        (mqtt_packet_check_body(mqtt_exchange_version(&reader.place->exchange), reader.first, body,
                                bytes, problem) != MQTT_PACKET_OK ||
         mqtt_exchange_check_body(&reader.place->exchange, reader.first, body, problem) !=
             MQTT_PACKET_OK)) {
        complain(net, problem);
        data = NULL;
    }
    return data;
}

int paho_check_putdatas(void *net, char **header, size_t *header_length, struct paho_buffers *rest)
{
    const char *body = rest->count > 0 ? rest->buffers[0] : NULL;

    if (*header_length > 0) {
        mqtt_exchange_sent(&place_of(net)->exchange, (unsigned char)(*header)[0],
                           (const unsigned char *)body, body != NULL ? rest->lengths[0] : 0);
    }
    return WebSocket_putdatas(net, header, header_length, rest);
}
