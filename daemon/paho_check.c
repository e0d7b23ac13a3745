/*
 * No malformed packet reaches Paho's parsers.
 *
 * Paho 1.3 believes the lengths in a packet. A SUBACK without return codes, for one, makes it free
 * a pointer that it has never set, and whose value the broker chooses by what it sent before. So
 * each packet is looked at (mqtt_packet.c) before Paho parses it, and a malformed one is a read
 * error to Paho: it closes the connection, and nothing of the packet is acknowledged.
 *
 * As with paho_cork.c the linker puts these functions in front of two that Paho calls (--wrap):
 * MQTTPacket_Factory() reads the first byte and the one to four bytes of the remaining length with
 * WebSocket_getch(), byte by byte, and the rest with one WebSocket_getdata(); both for TLS and
 * plain TCP. When the rest is not there yet, Paho begins again with the first byte, which it has
 * kept. The header is judged before the rest is read, so before there is memory for it.
 *
 * Threads. Only Paho's receive thread reads packets, one at a time, so where it is within a packet
 * is kept by thread. Problems are kept by connection under a mutex: Paho may tell of the end of a
 * connection on its other thread.
 */
#include "paho_check.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define COMPLETE      0    /* TCPSOCKET_COMPLETE, */
#define SOCKET_ERROR  (-1) /* SOCKET_ERROR of Paho's Socket.h */
#define LENGTH_BYTES  4
#define PROBLEMS_KEPT 16

int check_getch(void *net, char *byte) __asm__("__wrap_WebSocket_getch");
char *check_getdata(void *net, size_t bytes, size_t *actual) __asm__("__wrap_WebSocket_getdata");
int real_getch(void *net, char *byte) __asm__("__real_WebSocket_getch");
char *real_getdata(void *net, size_t bytes, size_t *actual) __asm__("__real_WebSocket_getdata");

/* Where this thread is within a packet. */
struct reader {
    const void *connection;
    int count; /* bytes of the header so far */
    unsigned char first;
    size_t length;
};

/* What was wrong with a packet. */
struct complaint {
    const void *connection; /* NULL: free */
    char problem[MQTT_PACKET_PROBLEM_SIZE];
};

static _Thread_local struct reader reader;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct complaint complaints[PROBLEMS_KEPT];
static unsigned next_complaint;

static struct complaint *find(const void *connection)
{
    for (int i = 0; i < PROBLEMS_KEPT; i++) {
        if (complaints[i].connection == connection) {
            return &complaints[i];
        }
    }
    return NULL;
}

/* Keep a problem until it is taken; with too many, in the place of the oldest. */
static void complain(const void *connection, const char *problem)
{
    struct complaint *complaint;

    pthread_mutex_lock(&mutex);
    complaint = find(connection);
    if (complaint == NULL) {
        complaint = &complaints[next_complaint++ % PROBLEMS_KEPT];
    }
    complaint->connection = connection;
    snprintf(complaint->problem, sizeof(complaint->problem), "%s", problem);
    pthread_mutex_unlock(&mutex);
}

const void *paho_check_connection(void)
{
    return reader.connection;
}

bool paho_check_take(const void *connection, char problem[MQTT_PACKET_PROBLEM_SIZE])
{
    struct complaint *complaint;

    if (connection == NULL) {
        return false;
    }
    pthread_mutex_lock(&mutex);
    complaint = find(connection);
    if (complaint != NULL) {
        snprintf(problem, MQTT_PACKET_PROBLEM_SIZE, "%s", complaint->problem);
        complaint->connection = NULL;
    }
    pthread_mutex_unlock(&mutex);
    return complaint != NULL;
}

/* One byte of the remaining length (MQTT 3.1.1 §2.2.3). False: the header is malformed. */
static bool take_length_byte(const void *connection, unsigned char byte)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE];

    reader.length |= (size_t)(byte & 0x7F) << 7 * (reader.count - 1);
    if ((byte & 0x80) == 0) {
        if (mqtt_packet_check_header(reader.first, reader.length, problem) == MQTT_PACKET_OK) {
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

int check_getch(void *net, char *byte)
{
    int result = real_getch(net, byte);

    reader.connection = net;
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

char *check_getdata(void *net, size_t bytes, size_t *actual)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE];
    char *data = real_getdata(net, bytes, actual);

    reader.count = 0;
    if (bytes > 0 && data != NULL && *actual >= bytes &&
        mqtt_packet_check_body(reader.first, (const unsigned char *)data, bytes, problem) !=
            MQTT_PACKET_OK) {
        complain(net, problem);
        data = NULL;
    }
    return data;
}
