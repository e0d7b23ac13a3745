/*
 * Records that OpenSSL has read before Paho asks for them: a client over TLS that calls
 * mqtt/paho/ahead.c and mqtt/paho/cork.c as Paho does, and a peer that makes a record of every
 * packet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mqtt/paho/calls_internal.h"
#include "mqtt/paho/cork_internal.h"
#include "tls_pair.h"

#define PACKETS   100
#define MANY      20 /* more connections than are read ahead */
#define LIMIT_MS  20000
#define IN_A_ROW  64 /* packets that are read without a look at others, at most */
#define RAW_SIZE  4096
#define NO_TIME   0
#define SOME_TIME 1

static void send_packets(const struct tls_pair *pair, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        const unsigned char packet = (unsigned char)i;

        assert_int_equal(SSL_write(pair->peer, &packet, 1), 1);
    }
}

/* Reads a packet as Paho does; returns true when more can be read without waiting. */
static bool read_packet(const struct tls_pair *pair, unsigned number)
{
    unsigned char packet;

    assert_int_equal(paho_ahead_read(pair->paho, &packet, 1), 1);
    assert_int_equal(packet, number % 256);
    return paho_ahead_pending(pair->paho) > 0;
}

static void assert_nothing_to_read(const struct tls_pair *pair)
{
    unsigned char packet;

    assert_int_equal(paho_ahead_read(pair->paho, &packet, 1), -1);
    assert_int_equal(SSL_get_error(pair->paho, -1), SSL_ERROR_WANT_READ);
}

static bool socket_is_empty(const struct tls_pair *pair)
{
    char byte;

    return recv(pair->paho_fd, &byte, 1, MSG_PEEK) < 0;
}

/* Returns true when poll() reports the connection as readable. */
static bool is_ready(const struct tls_pair *pair, int timeout_ms)
{
    struct pollfd fd = {.fd = pair->paho_fd, .events = POLLIN};
    int ready = paho_cork_poll(&fd, 1, timeout_ms);

    assert_int_equal(ready, fd.revents != 0);
    return fd.revents == POLLIN;
}

/* --- what was read ahead ---------------------------------------------------------------------- */

static void one_read_brings_many_packets(void **state)
{
    const struct tls_fixture *fixture = *state;

    send_packets(&fixture->one, 0, 10);
    assert_true(read_packet(&fixture->one, 0));
    assert_true(socket_is_empty(&fixture->one));
    for (unsigned i = 1; i < 9; i++) {
        assert_true(read_packet(&fixture->one, i));
    }
    assert_false(read_packet(&fixture->one, 9));
    assert_false(is_ready(&fixture->one, SOME_TIME));
}

/* Paho does not ask after a packet without content, or the first part of a long one. */
static void a_poll_finds_what_is_not_in_the_socket(void **state)
{
    const struct tls_fixture *fixture = *state;

    send_packets(&fixture->one, 0, 3);
    read_packet(&fixture->one, 0);
    assert_true(socket_is_empty(&fixture->one));
    assert_true(is_ready(&fixture->one, LIMIT_MS));
    read_packet(&fixture->one, 1);
    assert_true(is_ready(&fixture->one, LIMIT_MS));
    read_packet(&fixture->one, 2);
    assert_false(is_ready(&fixture->one, SOME_TIME));
}

/* If a part of a record were reported as readable, Paho would poll in a busy loop. */
static void a_part_of_a_record_is_nothing_to_read(void **state)
{
    const struct tls_fixture *fixture = *state;
    const struct tls_pair *one = &fixture->one;
    unsigned char raw[RAW_SIZE];
    int between[2];
    ssize_t size;
    ssize_t first;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, between), 0);
    SSL_set_fd(one->peer, between[0]);
    send_packets(one, 0, 1);
    first = read(between[1], raw, sizeof(raw));
    send_packets(one, 1, 1);
    size = first + read(between[1], raw + first, sizeof(raw) - (size_t)first);
    assert_true(first > 0 && size > first);

    assert_int_equal(write(one->peer_fd, raw, (size_t)size - 1), size - 1);
    read_packet(one, 0);
    is_ready(one, NO_TIME);
    assert_nothing_to_read(one);
    assert_false(is_ready(one, SOME_TIME));
    assert_int_equal(write(one->peer_fd, raw + size - 1, 1), 1);
    assert_true(is_ready(one, LIMIT_MS));
    assert_false(read_packet(one, 1));
    close(between[0]);
    close(between[1]);
}

/* --- others have their turn ------------------------------------------------------------------- */

static void others_have_their_turn(void **state)
{
    const struct tls_fixture *fixture = *state;
    unsigned in_a_row = 0;
    unsigned turns = 0;

    send_packets(&fixture->one, 0, PACKETS);
    for (unsigned i = 0; i < PACKETS; i++) {
        if (read_packet(&fixture->one, i)) {
            in_a_row++;
            assert_true(in_a_row < IN_A_ROW);
        } else if (i + 1 < PACKETS) {
            assert_true(is_ready(&fixture->one, LIMIT_MS));
            in_a_row = 0;
            turns++;
        }
    }
    assert_true(turns > 0);
    assert_true(turns < PACKETS / 10); /* or it is worth little */
}

/* A broker may put many packets into one record: its turn is no longer than with as many records.
 */
static void a_long_record_is_no_longer_turn(void **state)
{
    const struct tls_fixture *fixture = *state;
    unsigned char packets[PACKETS];
    unsigned in_a_row = 0;

    for (unsigned i = 0; i < PACKETS; i++) {
        packets[i] = (unsigned char)i;
    }
    assert_int_equal(SSL_write(fixture->one.peer, packets, PACKETS), PACKETS);
    for (unsigned i = 0; i < PACKETS; i++) {
        if (read_packet(&fixture->one, i)) {
            in_a_row++;
            assert_true(in_a_row < IN_A_ROW);
        } else if (i + 1 < PACKETS) {
            assert_true(socket_is_empty(&fixture->one));
            assert_true(is_ready(&fixture->one, LIMIT_MS));
            in_a_row = 0;
        }
    }
    assert_false(is_ready(&fixture->one, SOME_TIME));
}

static void another_that_is_ready_is_found_too(void **state)
{
    const struct tls_fixture *fixture = *state;
    struct pollfd fds[] = {{.fd = fixture->other[0], .events = POLLIN},
                           {.fd = fixture->one.paho_fd, .events = POLLIN}};

    send_packets(&fixture->one, 0, 2);
    read_packet(&fixture->one, 0);
    assert_int_equal(paho_cork_poll(fds, 2, LIMIT_MS), 1);
    assert_int_equal(fds[0].revents, 0);
    assert_int_equal(fds[1].revents, POLLIN);

    assert_int_equal(write(fixture->other[1], "x", 1), 1);
    assert_int_equal(paho_cork_poll(fds, 2, LIMIT_MS), 2);
    assert_int_equal(fds[0].revents, POLLIN);

    /* And what is in the socket besides is not counted twice. */
    send_packets(&fixture->one, 2, 1);
    assert_int_equal(paho_cork_poll(fds, 2, LIMIT_MS), 2);
}

/* A poll() that does not ask for reading does not report bytes that were read ahead. */
static void who_wants_to_write_does_not_hear_of_it(void **state)
{
    const struct tls_fixture *fixture = *state;
    struct pollfd fd = {.fd = fixture->one.paho_fd, .events = POLLPRI};

    send_packets(&fixture->one, 0, 2);
    read_packet(&fixture->one, 0);
    assert_int_equal(paho_cork_poll(&fd, 1, SOME_TIME), 0);
}

/* Acknowledgements are written when everything has been read, as without reading ahead. */
static void acknowledgements_leave_then(void **state)
{
    const struct tls_fixture *fixture = *state;
    const unsigned char pubrec[] = {0x50, 2, 0, 1};
    unsigned char got[sizeof(pubrec)];

    assert_false(is_ready(&fixture->one, SOME_TIME)); /* Paho's receive thread waits */
    send_packets(&fixture->one, 0, 2);
    read_packet(&fixture->one, 0);
    assert_int_equal(paho_cork_write(fixture->one.paho, pubrec, sizeof(pubrec)), sizeof(pubrec));
    assert_true(is_ready(&fixture->one, LIMIT_MS));
    assert_int_equal(SSL_read(fixture->one.peer, got, sizeof(got)), -1);
    read_packet(&fixture->one, 1);
    assert_false(is_ready(&fixture->one, SOME_TIME));
    assert_int_equal(SSL_read(fixture->one.peer, got, sizeof(got)), sizeof(got));
}

struct reader {
    const struct tls_pair *pair;
    bool is_ahead;
};

static void *read_without_waiting(void *argument)
{
    struct reader *reader = argument;

    reader->is_ahead = read_packet(reader->pair, 0) || socket_is_empty(reader->pair);
    return NULL;
}

/* If Paho waited in another way than by poll(), it would not find what was read ahead. */
static void a_thread_that_never_waits_reads_nothing_ahead(void **state)
{
    const struct tls_fixture *fixture = *state;
    struct reader reader = {.pair = &fixture->one};
    pthread_t thread;

    send_packets(&fixture->one, 0, 2);
    assert_int_equal(pthread_create(&thread, NULL, read_without_waiting, &reader), 0);
    pthread_join(thread, NULL);
    assert_false(reader.is_ahead);
    assert_true(is_ready(&fixture->one, LIMIT_MS));
    assert_false(read_packet(&fixture->one, 1));
}

/* --- where it ends ---------------------------------------------------------------------------- */

static void what_was_read_ahead_ends_with_the_connection(void **state)
{
    struct tls_fixture *fixture = *state;

    send_packets(&fixture->one, 0, 2);
    read_packet(&fixture->one, 0);
    paho_cork_free(fixture->one.paho);
    fixture->one.paho = NULL;
    assert_false(is_ready(&fixture->one, SOME_TIME));
}

/* Connections beyond those that are read ahead work as without reading ahead. */
static void many_connections(void **state)
{
    const struct tls_fixture *fixture = *state;
    struct tls_pair pairs[MANY];
    unsigned ahead = 0;

    for (int i = 0; i < MANY; i++) {
        tls_connect(fixture->client, fixture->server, &pairs[i]);
        send_packets(&pairs[i], 0, 3);
    }
    for (int i = 0; i < MANY; i++) {
        bool more = read_packet(&pairs[i], 0);

        assert_int_equal(more, socket_is_empty(&pairs[i]));
        ahead += more;
        assert_true(is_ready(&pairs[i], LIMIT_MS));
    }
    assert_true(ahead > 0 && ahead < MANY);
    for (int i = 0; i < MANY; i++) {
        read_packet(&pairs[i], 1);
        read_packet(&pairs[i], 2);
        assert_false(is_ready(&pairs[i], SOME_TIME));
        tls_close(&pairs[i]);
    }
    /* Their room is free again. */
    send_packets(&fixture->one, 0, 2);
    assert_true(read_packet(&fixture->one, 0));
}

#define TEST(function)                                                                             \
    cmocka_unit_test_setup_teardown(function, tls_fixture_make, tls_fixture_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_read_brings_many_packets),
        TEST(a_poll_finds_what_is_not_in_the_socket),
        TEST(a_part_of_a_record_is_nothing_to_read),
        TEST(others_have_their_turn),
        TEST(a_long_record_is_no_longer_turn),
        TEST(another_that_is_ready_is_found_too),
        TEST(who_wants_to_write_does_not_hear_of_it),
        TEST(acknowledgements_leave_then),
        TEST(a_thread_that_never_waits_reads_nothing_ahead),
        TEST(what_was_read_ahead_ends_with_the_connection),
        TEST(many_connections),
    };

    if (paho_cork_flush == NULL) {
        printf("skipped: this Paho is the shared library, which reads each by itself\n");
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("paho_ahead", tests, NULL, NULL);
}
