/*
 * The check in front of Paho's reads and writes (mqtt/paho/check.c), without Paho.
 */
#include "paho_stand_in.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PLACES 64 /* as many connections are told apart */

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
    for (size_t i = 0; i < PLACES + 1; i++) {
        end_connection(&nets[i]);
    }
}

static struct net lasting;

/* A place is free again when its connection has ended, and not before. */
static void others_come_and_go(void **state)
{
    static struct net others[200];
    char problem[MQTT_PACKET_PROBLEM_SIZE];

    (void)state;
    accept_connection(&lasting);
    for (size_t i = 0; i < 200; i++) {
        accept_connection(&others[i]);
        end_connection(&others[i]);
    }
    ARRIVE(&lasting, "\x30\4\0\1xy");
    assert_read(&lasting, 4);
    /* The complaint about a connection can be taken after its end, until as many others have ended.
     */
    accept_connection(&others[0]);
    ARRIVE(&others[0], "\x36\7");
    assert_int_equal(read_packet(&others[0], &(size_t){0}), SOCKET_ERROR);
    end_connection(&others[0]);
    end_connection(&others[0]);
    for (size_t i = 1; i < 10; i++) {
        accept_connection(&others[i]);
        end_connection(&others[i]);
    }
    assert_complaint(&others[0], "its QoS is 3");
    end_connection(&lasting);
    end_connection(&others[199]); /* which has no place any more */
    assert_false(paho_check_take(&others[199], problem));
}

/* A connection whose CONNECT is not yet written says nothing of one that was in its memory. */
static void nothing_is_left_of_an_earlier_connection(void **state)
{
    static struct net net;
    struct mqtt_answer answer;
    char problem[MQTT_PACKET_PROBLEM_SIZE];

    (void)state;
    accept_connection_5(&net);
    ARRIVE(&net, "\xe0\1\x8B");
    assert_read(&net, 1);
    ARRIVE(&net, "\x36\7");
    assert_int_equal(read_packet(&net, &(size_t){0}), SOCKET_ERROR);
    end_connection(&net);
    accept_connection(&net);
    assert_true(paho_check_take_answer(&net, &answer));
    assert_true(answer.has_connack && !answer.has_disconnect);
    assert_false(paho_check_take(&net, problem));
    ARRIVE(&net, "\xe0\0"); /* MQTT 3.1.1 again */
    assert_refused(&net, "type 14");
    end_connection(&net);
}

/* A callback of Paho's is about the connection that its thread has read from or closed last. */
static void a_callback_is_about_the_last_connection(void **state)
{
    static struct net one;
    static struct net other;

    (void)state;
    accept_connection(&one);
    accept_connection(&other);
    assert_ptr_equal(paho_check_connection(), &other);
    assert_null(paho_check_connection()); /* once */
    end_connection(&one);
    assert_ptr_equal(paho_check_connection(), &one);
    /* The connection to a proxy fails; the memory had another connection. */
    accept_connection(&other);
    end_connection(&one);
    assert_null(paho_check_connection());
    end_connection(&other);
    assert_ptr_equal(paho_check_connection(), &other);
}

static void answers_of_5_are_kept(void **state)
{
    static struct net net;
    struct mqtt_answer answer;

    (void)state;
    assert_false(paho_check_take_answer(NULL, &answer));
    assert_false(paho_check_take_answer(&answer, &answer));
    connect_5(&net, 5);
    assert_true(paho_check_take_answer(&net, &answer));
    assert_true(answer.connect_sent && !answer.has_connack && !answer.has_disconnect);
    ARRIVE(&net, "\x20\x0D\1\0\x0A\x11\0\0\x0E\x10\x1F\0\2hm");
    assert_read(&net, 13);
    assert_true(paho_check_take_answer(&net, &answer));
    assert_true(answer.connect_sent && answer.has_connack && !answer.has_disconnect);
    assert_true(answer.connack.session_present && !answer.connack.is_old);
    assert_int_equal(answer.connack.properties.session_expiry_s, 3600);
    assert_string_equal(answer.connack.properties.reason, "hm");
    assert_true(paho_check_take_answer(&net, &answer));
    assert_true(answer.connect_sent && !answer.has_connack);
    ARRIVE(&net, "\xe0\0");
    assert_read(&net, 0);
    assert_true(paho_check_take_answer(&net, &answer));
    assert_true(answer.has_disconnect);
    assert_int_equal(answer.disconnect.code, 0);
    ARRIVE(&net, "\xe0\1\x8E");
    assert_read(&net, 1);
    end_connection(&net);
    assert_true(paho_check_take_answer(&net, &answer));
    assert_true(answer.has_disconnect);
    assert_int_equal(answer.disconnect.code, 0x8E);
}

/* Paho would free memory that it has not set, or take code 0 for a session of MQTT 5. */
static void an_answer_of_3_1_1_does_not_reach_paho(void **state)
{
    static struct net net;
    struct mqtt_answer answer;
    char problem[MQTT_PACKET_PROBLEM_SIZE];

    (void)state;
    for (unsigned char code = 0; code < 2; code++) {
        const char connack[] = {0x20, 2, 0, (char)code};

        connect_5(&net, 5);
        arrive(&net, connack, sizeof(connack));
        assert_int_equal(read_packet(&net, &(size_t){0}), SOCKET_ERROR);
        assert_false(paho_check_take(&net, problem));
        assert_true(paho_check_take_answer(&net, &answer));
        assert_true(answer.has_connack && answer.connack.is_old);
        assert_int_equal(answer.connack.code, code);
        ARRIVE(&net, "\xd0\0");
        assert_refused(&net, "PINGRESP before a CONNACK");
        end_connection(&net);
    }
}

static void paho_pings_as_often_as_it_must(void **state)
{
    static const struct {
        unsigned char asked;
        unsigned char server;
        unsigned char seen; /* by Paho */
    } cases[] = {{60, 20, 20}, {60, 60, 60}, {60, 61, 60}, {60, 0, 60}, {0, 20, 20}};
    static struct net net;
    struct mqtt_answer answer;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char connack[] = "\x20\x9\0\0\6\x21\0\x0A\x13\0\0";

        connack[10] = (char)cases[i].server;
        connect_5(&net, cases[i].asked);
        arrive(&net, connack, sizeof(connack) - 1);
        assert_read(&net, 9);
        assert_int_equal(net.bytes[9], 0);
        assert_int_equal(net.bytes[10], cases[i].seen);
        assert_int_equal(net.bytes[7], 10);
        assert_true(paho_check_take_answer(&net, &answer));
        assert_int_equal(answer.connack.properties.server_keepalive_s, cases[i].seen);
        end_connection(&net);
    }
}

static void packets_are_checked_by_the_version_of_connect(void **state)
{
    static struct net net;

    (void)state;
    accept_connection_5(&net);
    ARRIVE(&net, "\x34\7\0\1x\0\7\0y"
                 "\x62\2\0\7"
                 "\x34\x8\0\1x\0\7\3\x23\0");
    assert_read(&net, 7);
    assert_false(paho_check_reads_pubrel_of_5());
    assert_read(&net, 2);
    assert_true(paho_check_reads_pubrel_of_5());
    assert_refused(&net, "its properties are longer than the packet");
    end_connection(&net);
    accept_connection(&net);
    ARRIVE(&net, "\x62\2\0\7"
                 "\xb0\4\0\1\0\0");
    assert_read(&net, 2);
    assert_false(paho_check_reads_pubrel_of_5());
    assert_refused(&net, "malformed UNSUBACK (its length is 4, not 2)");
    end_connection(&net);
}

/* The topic, the identifiers, the reason codes and the payload stay where they are. */
static void paho_gets_few_properties(void **state)
{
    static struct net net;

    (void)state;
    connect_5(&net, 60);
    ARRIVE(&net, "\x20\x11\0\0\x0E\x26\0\0\0\0\x13\0\x14\x26\0\1x\0\0");
    assert_read(&net, 17);
    assert_memory_equal(net.bytes, "\x20\x11\0\0\x0E\x13\0\x14\x26\0\6xxxxxx\0\0", 19);
    SEND(&net, 0x82, "\0\1\0\0\1#\2");
    net.count = net.at = net.packet_at = 0;
    ARRIVE(&net, "\x90\x0E\0\1\x0A\x26\0\0\0\0\x26\0\0\0\0\2"
                 "\x34\x13\0\1x\0\7\x0A\x26\0\0\0\0\x26\0\0\0\0abc"
                 "\x62\x0E\0\7\0\x0A\x26\0\0\0\0\x26\0\0\0\0");
    assert_read(&net, 14);
    assert_read(&net, 19);
    assert_read(&net, 14);
    assert_memory_equal(net.bytes,
                        "\x90\x0E\0\1\x0A\x26\0\5xxxxx\0\0\2"
                        "\x34\x13\0\1x\0\7\x0A\x26\0\5xxxxx\0\0abc"
                        "\x62\x0E\0\7\0\x0A\x26\0\5xxxxx\0\0",
                        16 + 21 + 16);
    end_connection(&net);
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
        cmocka_unit_test(others_come_and_go),
        cmocka_unit_test(nothing_is_left_of_an_earlier_connection),
        cmocka_unit_test(a_callback_is_about_the_last_connection),
        cmocka_unit_test(answers_of_5_are_kept),
        cmocka_unit_test(an_answer_of_3_1_1_does_not_reach_paho),
        cmocka_unit_test(paho_pings_as_often_as_it_must),
        cmocka_unit_test(packets_are_checked_by_the_version_of_connect),
        cmocka_unit_test(paho_gets_few_properties),
        cmocka_unit_test(requests_come_from_another_thread),
    };

    return cmocka_run_group_tests_name("paho_check", tests, NULL, NULL);
}
