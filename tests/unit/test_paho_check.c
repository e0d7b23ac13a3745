/*
 * The check in front of Paho's reads and writes, without Paho: this file defines the three
 * functions that mqtt/paho/check.c calls, and calls it as MQTTPacket_Factory() and
 * MQTTPacket_send() do. A connection is a list of bytes, some of which are there already.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>

#include "mqtt/paho/calls_internal.h"
#include "mqtt/paho/check_internal.h"

#define COMPLETE     0
#define INTERRUPTED  (-22) /* TCPSOCKET_INTERRUPTED */
#define SOCKET_ERROR (-1)
#define BYTES_MAX    512
#define PLACES       64 /* as many connections are told apart */

struct net {
    unsigned char bytes[BYTES_MAX];
    size_t count;     /* that are there */
    size_t at;        /* the next one to read */
    size_t packet_at; /* where the packet begins: Paho keeps what it has of one that is not whole */
    size_t asked;     /* by the last getdata */
    unsigned written;
};

int WebSocket_getch(struct net *net, char *byte);
char *WebSocket_getdata(struct net *net, size_t bytes, size_t *actual);
int WebSocket_putdatas(struct net *net, char **header, size_t *length, struct paho_buffers *rest);

/* --- what is behind the check ----------------------------------------------------------------- */

int WebSocket_getch(struct net *net, char *byte)
{
    if (net->at == net->count) {
        net->at = net->packet_at;
        return INTERRUPTED;
    }
    *byte = (char)net->bytes[net->at++];
    return COMPLETE;
}

/* As Paho's: memory, with as much of the packet as is there; NULL only for zero bytes. */
char *WebSocket_getdata(struct net *net, size_t bytes, size_t *actual)
{
    char *data = (char *)net->bytes + net->at;

    net->asked = bytes;
    *actual = net->count - net->at < bytes ? net->count - net->at : bytes;
    if (*actual < bytes) {
        net->at = net->packet_at;
    } else {
        net->at += bytes;
        net->packet_at = net->at;
    }
    return bytes > 0 ? data : NULL;
}

int WebSocket_putdatas(struct net *net, char **header, size_t *length, struct paho_buffers *rest)
{
    (void)header;
    (void)length;
    (void)rest;
    net->written++;
    return COMPLETE;
}

/* --- what is in front of it ------------------------------------------------------------------- */

static void arrive(struct net *net, const char *bytes, size_t length)
{
    assert_true(net->count + length <= BYTES_MAX);
    memcpy(net->bytes + net->count, bytes, length);
    net->count += length;
}

#define ARRIVE(net, bytes) arrive(net, bytes, sizeof(bytes) - 1)

/* MQTTPacket_Factory(): COMPLETE for a whole packet, with the length of its rest. */
static int read_packet(struct net *net, size_t *length)
{
    unsigned shift = 0;
    size_t actual;
    char *data;
    char byte;
    int rc = paho_check_getch(net, &byte);

    *length = 0;
    do {
        if (rc != COMPLETE) {
            return rc;
        }
        rc = paho_check_getch(net, &byte);
        *length |= (size_t)((unsigned char)byte & 0x7F) << shift;
        shift += 7;
    } while (rc != COMPLETE || ((unsigned char)byte & 0x80) != 0);
    data = paho_check_getdata(net, *length, &actual);
    if (*length > 0 && data == NULL) {
        return SOCKET_ERROR;
    }
    return actual < *length ? INTERRUPTED : COMPLETE;
}

static void assert_read(struct net *net, size_t length)
{
    size_t found;

    assert_int_equal(read_packet(net, &found), COMPLETE);
    assert_int_equal(found, length);
}

static void send_packet(struct net *net, unsigned char first, const char *body, size_t length)
{
    char header[2] = {(char)first, (char)length};
    char *header_at = header;
    size_t header_length = sizeof(header);
    char copy[BYTES_MAX];
    char *bodies[] = {body != NULL ? copy : NULL};
    struct paho_buffers rest = {.count = 1, .buffers = bodies, .lengths = &length};
    unsigned before = net->written;

    if (body != NULL) {
        memcpy(copy, body, length);
    }
    assert_int_equal(paho_check_putdatas(net, &header_at, &header_length, &rest), COMPLETE);
    assert_int_equal(net->written, before + 1);
}

#define SEND(net, first, body) send_packet(net, first, body, sizeof(body) - 1)

static void assert_complaint(const struct net *net, const char *part)
{
    char problem[MQTT_PACKET_PROBLEM_SIZE] = "";

    assert_true(paho_check_take(net, problem));
    if (strstr(problem, part) == NULL) {
        fail_msg("\"%s\" does not have \"%s\"", problem, part);
    }
    assert_false(paho_check_take(net, problem)); /* once */
}

static void assert_refused(struct net *net, const char *part)
{
    size_t length;

    assert_int_equal(read_packet(net, &length), SOCKET_ERROR);
    assert_ptr_equal(paho_check_connection(), net);
    assert_complaint(net, part);
}

static void accept_connection(struct net *net)
{
    *net = (struct net){0};
    SEND(net, 0x10, "\0\4MQTT\4\2\0\5\0\1x");
    ARRIVE(net, "\x20\2\0\0");
    assert_read(net, 2);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void good_packets_pass(void **state)
{
    static struct net net;
    char problem[MQTT_PACKET_PROBLEM_SIZE];

    (void)state;
    accept_connection(&net);
    SEND(&net, 0x82, "\0\1\0\1#\2");
    ARRIVE(&net, "\x90\3\0\1\2"
                 "\x34\6\0\1x\0\7y"
                 "\xd0\0"
                 "\x62\2\0\7");
    assert_read(&net, 3);
    SEND(&net, 0x50, "\0\7");
    assert_read(&net, 6);
    assert_read(&net, 0);
    assert_read(&net, 2);
    send_packet(&net, 0xC0, NULL, 0); /* PINGREQ: no bytes behind its header */
    send_packet(&net, 0x82, NULL, 0); /* without an identifier nothing answers it */
    ARRIVE(&net, "\x90\3\0\1\2");
    assert_refused(&net, "although no SUBSCRIBE waits");
    assert_false(paho_check_take(&net, problem));
    assert_false(paho_check_take(NULL, problem));
}

/* A packet may arrive in any two parts; Paho begins again with its first byte. */
static void arrives_in_parts(const char *packet, size_t whole, size_t rest)
{
    static struct net net;
    size_t length;

    for (size_t part = 0; part < whole; part++) {
        accept_connection(&net);
        SEND(&net, 0x82, "\0\1\0\1#\2");
        arrive(&net, packet, part);
        assert_int_equal(read_packet(&net, &length), INTERRUPTED);
        arrive(&net, packet + part, whole - part);
        assert_read(&net, rest);
    }
    accept_connection(&net);
    SEND(&net, 0x82, "\0\1\0\1#\2");
    for (size_t i = 0; i < whole; i++) {
        assert_int_equal(read_packet(&net, &length), INTERRUPTED);
        arrive(&net, packet + i, 1);
    }
    assert_read(&net, rest);
}

static void packets_arrive_in_parts(void **state)
{
    (void)state;
    arrives_in_parts("\x34\x86\0\0\1x\0\7y", 9, 6); /* its length in two bytes */
    arrives_in_parts("\x90\3\0\1\2", 5, 3);
}

static void bad_headers_are_refused_before_the_rest(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *said;
    } cases[] = {
        {"\x90\xff\xff\xff\x7f", 5, "malformed SUBACK (its length is 268435455, not 3)"},
        {"\x30\xff\xff\xff\xff", 5, "remaining length has more than four bytes"},
        {"\x36\7", 2, "its QoS is 3"},
        {"\xe0\0", 2, "type 14"},
        {"\x20\2", 2, "CONNACK a second time"},
        {"\x50\2", 2, "PUBREC although nothing was published"},
    };
    static struct net net;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        accept_connection(&net);
        net.asked = 0;
        arrive(&net, cases[i].bytes, cases[i].length);
        assert_refused(&net, cases[i].said);
        assert_int_equal(net.asked, 0);
    }
}

/* "SS" looks like a PUBREC of 83 bytes, "22" like a PUBLISH of 50 bytes with QoS 1. */
static void other_protocols_are_refused_by_two_bytes(void **state)
{
    static const struct {
        const char *bytes;
        const char *said;
    } cases[] = {
        {"HT", "a web server answers"},
        {"SS", "an SSH server answers"},
        {"22", "a mail or FTP server answers"},
        {"\x15\3", "expects TLS"},
    };
    static struct net net;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        net = (struct net){0};
        SEND(&net, 0x10, "\0\4MQTT\4\2\0\5\0\1x");
        arrive(&net, cases[i].bytes, 2);
        assert_refused(&net, cases[i].said);
        assert_int_equal(net.asked, 0);
    }
    /* A message of 50 bytes. */
    accept_connection(&net);
    ARRIVE(&net, "22\0\1x\0\7"
                 "123456789012345678901234567890123456789012345");
    assert_read(&net, 50);
}

static void bad_bodies_are_refused(void **state)
{
    static struct net net;

    (void)state;
    accept_connection(&net);
    ARRIVE(&net, "\x34\5\0\1x\0\0");
    assert_refused(&net, "malformed PUBLISH (its packet identifier is 0)");
    accept_connection(&net);
    ARRIVE(&net, "\xb0\2\0\1");
    assert_refused(&net, "although no UNSUBSCRIBE waits for it");
    accept_connection(&net);
    SEND(&net, 0xA2, "\1\2\0\1x");
    ARRIVE(&net, "\xb0\2\1\2\xb0\2\1\2");
    assert_read(&net, 2);
    assert_refused(&net, "UNSUBACK with packet identifier 258");
}

/* A refused packet leaves nothing behind for the one after it. */
static void a_new_connection_in_the_same_memory_begins_anew(void **state)
{
    static struct net net;

    (void)state;
    accept_connection(&net);
    SEND(&net, 0x82, "\0\1\0\1#\2");
    ARRIVE(&net, "\x30\xff\xff\xff\xff");
    assert_refused(&net, "more than four bytes");
    net = (struct net){0};
    SEND(&net, 0x10, "\0\4MQTT\4\2\0\5\0\1x");
    ARRIVE(&net, "\x90\3\0\1\2");
    assert_refused(&net, "SUBACK before a CONNACK");
    accept_connection(&net);
    ARRIVE(&net, "\x30\4\0\1xy");
    assert_read(&net, 4);
}

static void connections_are_told_apart(void **state)
{
    static struct net one;
    static struct net other;
    size_t length;

    (void)state;
    accept_connection(&one);
    other = (struct net){0};
    SEND(&other, 0x10, "\0\4MQTT\4\2\0\5\0\1y");
    ARRIVE(&other, "\xd0\0");
    ARRIVE(&one, "\xd0\0");
    assert_int_equal(read_packet(&other, &length), SOCKET_ERROR);
    assert_read(&one, 0);
    assert_ptr_equal(paho_check_connection(), &one);
    assert_complaint(&other, "PINGRESP before a CONNACK");
    SEND(&one, 0x82, "\0\1\0\1#\2");
    accept_connection(&other);
    ARRIVE(&other, "\x90\3\0\1\2");
    ARRIVE(&one, "\x90\3\0\1\2");
    assert_refused(&other, "although no SUBSCRIBE waits for it");
    assert_read(&one, 3);
}

/* With more connections than places, the oldest are refused; nothing unchecked passes. */
static struct net nets[PLACES + 1];

static void *accept_many(void *unused)
{
    (void)unused;
    for (size_t i = 1; i < PLACES + 1; i++) {
        accept_connection(&nets[i]);
    }
    for (size_t i = 1; i < PLACES + 1; i++) {
        ARRIVE(&nets[i], "\x30\4\0\1xy");
        assert_read(&nets[i], 4);
    }
    return NULL;
}

static void more_connections_than_places(void **state)
{
    pthread_t thread;

    (void)state;
    accept_connection(&nets[0]);
    assert_int_equal(pthread_create(&thread, NULL, accept_many, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    ARRIVE(&nets[0], "\x30\4\0\1xy");
    assert_refused(&nets[0], "PUBLISH before a CONNACK");
}

/* The request is noted before it is written: the answer may come at once, on the other thread. */
#define ROUNDS 2000

static struct net ping_pong;
static pthread_barrier_t barrier;

static void *subscribe_often(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        SEND(&ping_pong, 0x82, "\0\1\0\1#\2");
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void requests_come_from_another_thread(void **state)
{
    pthread_t thread;

    (void)state;
    accept_connection(&ping_pong);
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, subscribe_often, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&barrier);
        ping_pong.count = ping_pong.at = ping_pong.packet_at = 0;
        ARRIVE(&ping_pong, "\x90\3\0\1\2");
        assert_read(&ping_pong, 3);
        pthread_barrier_wait(&barrier);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_barrier_destroy(&barrier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_packets_pass),
        cmocka_unit_test(packets_arrive_in_parts),
        cmocka_unit_test(bad_headers_are_refused_before_the_rest),
        cmocka_unit_test(other_protocols_are_refused_by_two_bytes),
        cmocka_unit_test(bad_bodies_are_refused),
        cmocka_unit_test(a_new_connection_in_the_same_memory_begins_anew),
        cmocka_unit_test(connections_are_told_apart),
        cmocka_unit_test(more_connections_than_places),
        cmocka_unit_test(requests_come_from_another_thread),
    };

    return cmocka_run_group_tests_name("paho_check", tests, NULL, NULL);
}
