/*
 * Acknowledgements written together: a client over TLS that calls mqtt/paho/cork.c as Paho does,
 * and what its peer reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mqtt/paho/calls_internal.h"
#include "mqtt/paho/cork_internal.h"
#include "tls_pair.h"
#include "unit_wait.h"

#define ACK   4
#define MANY  20 /* more connections than have a cork each */
#define FLOOD 20000

static int tear_down(void **state)
{
    paho_cork_set_relay(NULL);
    return tls_fixture_remove(state);
}

/* A PUBREC for packet `id`, written as Paho writes it. */
static void acknowledge(SSL *ssl, unsigned id)
{
    const unsigned char packet[ACK] = {0x50, 2, (unsigned char)(id >> 8), (unsigned char)id};

    assert_int_equal(paho_cork_write(ssl, packet, ACK), ACK);
}

static void assert_nothing_written(const struct tls_pair *connection)
{
    char byte;

    assert_int_equal(SSL_read(connection->peer, &byte, 1), -1);
}

/* The peer has the acknowledgements of `count` packets from `first` on, in one TLS record. */
static void assert_written(const struct tls_pair *connection, unsigned first, unsigned count)
{
    unsigned char bytes[2 * PAHO_CORK_ACKS * ACK];

    assert_int_equal(SSL_read(connection->peer, bytes, sizeof(bytes)), count * ACK);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(bytes[i * ACK + 2] << 8 | bytes[i * ACK + 3], first + i);
    }
}

/* --- when they leave ----------------------------------------------------------------------- */

static void they_leave_together_when_there_is_nothing_to_read(void **state)
{
    const struct tls_fixture *fixture = *state;

    for (unsigned id = 1; id <= 5; id++) {
        acknowledge(fixture->one.paho, id);
    }
    assert_nothing_written(&fixture->one);
    tls_wait_for_more(fixture);
    assert_written(&fixture->one, 1, 5);
    tls_wait_for_more(fixture);
    assert_nothing_written(&fixture->one);
}

static void they_stay_while_there_is_more_to_read(void **state)
{
    const struct tls_fixture *fixture = *state;
    struct pollfd fd = {.fd = fixture->other[0], .events = POLLIN};

    assert_int_equal(write(fixture->other[1], "x", 1), 1);
    acknowledge(fixture->one.paho, 1);
    assert_int_equal(paho_cork_poll(&fd, 1, 1000), 1);
    assert_nothing_written(&fixture->one);
    /* But not for ever, if nothing that is to be acknowledged comes of it. */
    for (int i = 0; i < 100; i++) {
        assert_int_equal(paho_cork_poll(&fd, 1, 1000), 1);
    }
    assert_written(&fixture->one, 1, 1);
}

static void many_do_not_wait(void **state)
{
    const struct tls_fixture *fixture = *state;

    for (unsigned id = 1; id < 2 * PAHO_CORK_ACKS; id++) {
        acknowledge(fixture->one.paho, id);
    }
    assert_written(&fixture->one, 1, PAHO_CORK_ACKS);
    assert_nothing_written(&fixture->one);
    tls_wait_for_more(fixture);
    assert_written(&fixture->one, PAHO_CORK_ACKS + 1, PAHO_CORK_ACKS - 1);
}

static void another_packet_leaves_after_them(void **state)
{
    const struct tls_fixture *fixture = *state;
    const unsigned char ping[] = {0xC0, 0};
    const unsigned char suback[ACK] = {0x90, 2, 0, 1}; /* four bytes, and none of the three */
    unsigned char bytes[16];

    acknowledge(fixture->one.paho, 7);
    assert_int_equal(paho_cork_write(fixture->one.paho, ping, sizeof(ping)), sizeof(ping));
    assert_written(&fixture->one, 7, 1);
    assert_int_equal(SSL_read(fixture->one.peer, bytes, sizeof(bytes)), sizeof(ping));
    assert_memory_equal(bytes, ping, sizeof(ping));
    assert_int_equal(paho_cork_write(fixture->one.paho, suback, ACK), ACK);
    assert_int_equal(SSL_read(fixture->one.peer, bytes, sizeof(bytes)), ACK);
}

static void they_leave_when_asked(void **state)
{
    const struct tls_fixture *fixture = *state;

    acknowledge(fixture->one.paho, 1);
    paho_cork_flush();
    assert_written(&fixture->one, 1, 1);
    paho_cork_flush();
    assert_nothing_written(&fixture->one);
}

static void *poll_and_flush(void *argument)
{
    struct pollfd fd = {.fd = *(const int *)argument, .events = POLLIN};

    paho_cork_poll(&fd, 1, 1);
    paho_cork_flush();
    return NULL;
}

/* Another thread does not write acknowledgements that Paho's receive thread is gathering. */
static void another_thread_leaves_them_alone(void **state)
{
    struct tls_fixture *fixture = *state;
    pthread_t thread;

    acknowledge(fixture->one.paho, 1);
    assert_int_equal(pthread_create(&thread, NULL, poll_and_flush, fixture->other), 0);
    pthread_join(thread, NULL);
    assert_nothing_written(&fixture->one);
    tls_wait_for_more(fixture);
    assert_written(&fixture->one, 1, 1);
}

static void *acknowledge_without_waiting(void *argument)
{
    acknowledge(argument, 1);
    return NULL;
}

/* If Paho waited in another way than by poll(), gathered acknowledgements would never be written.
 */
static void a_thread_that_never_waits_writes_at_once(void **state)
{
    const struct tls_fixture *fixture = *state;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, acknowledge_without_waiting, fixture->one.paho),
                     0);
    pthread_join(thread, NULL);
    assert_written(&fixture->one, 1, 1);
}

/* The kernel must not delay the next write until this one is acknowledged (TCP_NODELAY). */
static void a_connection_sends_at_once(void **state)
{
    const struct tls_fixture *fixture = *state;
    const unsigned char connect[] = {0x10, 0};
    SSL *ssl = SSL_new(fixture->client);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int at_once = 0;
    socklen_t size = sizeof(at_once);

    SSL_set_fd(ssl, fd);
    SSL_set_connect_state(ssl);
    assert_true(paho_cork_write(ssl, connect, sizeof(connect)) <=
                0); /* there is nobody to talk to */
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, &size), 0);
    assert_int_not_equal(at_once, 0);
    paho_cork_free(ssl);
    close(fd);
}

/* --- who hears of it ------------------------------------------------------------------------- */

/* Records of the relay's calls. */
struct heard {
    const struct tls_pair *connection;
    unsigned written;
    unsigned in_vain; /* told, and nothing was there for the peer */
    char order[16];   /* w: written, p: polled without, P: with time */
    struct pollfd *fds;
    int answer;
};

static void hear_written(void *context)
{
    struct heard *heard = context;
    struct pollfd peer = {.fd = heard->connection->peer_fd, .events = POLLIN};

    heard->written++;
    heard->in_vain += poll(&peer, 1, 0) != 1;
    strcat(heard->order, "w");
}

static int hear_poll(void *context, struct pollfd *fds, nfds_t count, int timeout_ms)
{
    struct heard *heard = context;

    assert_int_equal(count, 1);
    heard->fds = fds;
    strcat(heard->order, timeout_ms == 0 ? "p" : "P");
    return heard->answer;
}

static struct heard heard;
static const struct paho_relay relay = {hear_written, hear_poll, &heard};

static void hear(const struct tls_pair *connection)
{
    heard = (struct heard){.connection = connection};
    paho_cork_set_relay(&relay);
}

static void whatever_is_written_is_told(void **state)
{
    const struct tls_fixture *fixture = *state;
    const unsigned char ping[] = {0xC0, 0};
    unsigned char bytes[2 * PAHO_CORK_ACKS * ACK];

    hear(&fixture->one);
    for (unsigned id = 1; id < PAHO_CORK_ACKS; id++) {
        acknowledge(fixture->one.paho, id);
    }
    assert_int_equal(heard.written, 0);
    acknowledge(fixture->one.paho, PAHO_CORK_ACKS);
    assert_int_equal(heard.written, 1);
    assert_written(&fixture->one, 1, PAHO_CORK_ACKS);

    acknowledge(fixture->one.paho, 1);
    paho_cork_flush();
    assert_int_equal(heard.written, 2);
    paho_cork_flush();
    assert_int_equal(heard.written, 2);
    assert_written(&fixture->one, 1, 1);

    assert_int_equal(paho_cork_write(fixture->one.paho, ping, sizeof(ping)), sizeof(ping));
    assert_int_equal(heard.written, 3);
    assert_int_equal(SSL_read(fixture->one.peer, bytes, sizeof(bytes)), sizeof(ping));
    assert_int_equal(heard.in_vain, 0);
}

/* The relay may have more to read; it is polled before acknowledgements are written. */
static void the_relay_waits_in_place_of_poll(void **state)
{
    const struct tls_fixture *fixture = *state;
    struct pollfd fd = {.fd = fixture->other[0], .events = POLLIN};

    acknowledge(fixture->one.paho, 1);
    hear(&fixture->one);
    assert_int_equal(paho_cork_poll(&fd, 1, 1000), 0);
    assert_string_equal(heard.order, "pwP");
    assert_ptr_equal(heard.fds, &fd);
    assert_written(&fixture->one, 1, 1);

    acknowledge(fixture->one.paho, 2);
    heard.answer = 1;
    assert_int_equal(paho_cork_poll(&fd, 1, 1000), 1);
    assert_string_equal(heard.order, "pwPp");
    assert_nothing_written(&fixture->one);
    assert_int_equal(paho_cork_poll(&fd, 1, 0), 0); /* to look at something else is not to wait */
    assert_string_equal(heard.order, "pwPp");
    paho_cork_flush();
}

static void another_thread_waits_by_itself(void **state)
{
    struct tls_fixture *fixture = *state;
    pthread_t thread;

    acknowledge(fixture->one.paho, 1);
    hear(&fixture->one);
    assert_int_equal(pthread_create(&thread, NULL, poll_and_flush, fixture->other), 0);
    pthread_join(thread, NULL);
    assert_string_equal(heard.order, "");
}

/* --- several connections, and ones that end --------------------------------------------------- */

static void each_connection_has_its_own(void **state)
{
    const struct tls_fixture *fixture = *state;
    struct tls_pair more[MANY];

    for (unsigned i = 0; i < MANY; i++) {
        tls_connect(fixture->client, fixture->server, &more[i]);
        acknowledge(more[i].paho, 100 + i);
    }
    tls_wait_for_more(fixture);
    for (unsigned i = 0; i < MANY; i++) {
        assert_written(&more[i], 100 + i, 1);
        tls_close(&more[i]);
    }
}

static void what_waits_on_a_connection_ends_with_it(void **state)
{
    const struct tls_fixture *fixture = *state;
    struct tls_pair gone;
    struct tls_pair shut;

    tls_connect(fixture->client, fixture->server, &gone);
    tls_connect(fixture->client, fixture->server, &shut);
    acknowledge(gone.paho, 1);
    acknowledge(shut.paho, 2);
    acknowledge(fixture->one.paho, 3);
    tls_close(&gone);
    paho_cork_shutdown(shut.paho);
    tls_wait_for_more(fixture);
    assert_written(&fixture->one, 3, 1);
    assert_int_equal(SSL_read(shut.peer, &(char){0}, 1), 0); /* the end, and nothing before it */
    tls_close(&shut);
}

static void a_dead_connection_is_found_by_the_next_packet(void **state)
{
    struct tls_fixture *fixture = *state;
    const unsigned char ping[] = {0xC0, 0};

    close(fixture->one.peer_fd);
    fixture->one.peer_fd = -1;
    acknowledge(fixture->one.paho, 1);
    tls_wait_for_more(fixture);
    assert_true(paho_cork_write(fixture->one.paho, ping, sizeof(ping)) <= 0);
}

/* If TLS accepts no more bytes while TCP works, the broker would wait for ever for
 * acknowledgements: the connection is closed. */
static void a_connection_that_takes_no_acknowledgement_is_closed(void **state)
{
    const struct tls_fixture *fixture = *state;
    struct tls_pair mute;
    char byte;

    tls_connect(fixture->client, fixture->server, &mute);
    acknowledge(mute.paho, 1);
    acknowledge(fixture->one.paho, 2);
    paho_cork_shutdown(mute.paho);
    assert_int_equal(recv(mute.paho_fd, &byte, 1, MSG_DONTWAIT), -1);
    tls_wait_for_more(fixture);
    assert_int_equal(recv(mute.paho_fd, &byte, 1, MSG_DONTWAIT), 0);
    assert_written(&fixture->one, 2, 1);
    assert_nothing_written(&fixture->one);
    tls_close(&mute);
}

/* --- a full socket ------------------------------------------------------------------------- */

static atomic_bool was_full;

struct reader {
    const struct tls_pair *connection;
    unsigned count; /* acknowledgements that came in order */
};

/* Read only when the writer cannot go on. */
static void *read_when_full(void *argument)
{
    struct reader *reader = argument;
    const struct tls_pair *connection = reader->connection;
    struct pollfd peer = {.fd = connection->peer_fd, .events = POLLIN};
    struct pollfd paho = {.fd = connection->paho_fd, .events = POLLOUT};
    unsigned char ack[ACK];
    int got = 0;

    while (poll(&paho, 1, 0) == 1) {
        usleep(100);
    }
    atomic_store(&was_full, true);
    while (reader->count < FLOOD && poll(&peer, 1, UNIT_WAIT_MS) == 1) {
        while ((got = SSL_read(connection->peer, ack, ACK)) == ACK &&
               (unsigned)(ack[2] << 8 | ack[3]) == reader->count) {
            reader->count++;
        }
        if (got == ACK) {
            break; /* out of order */
        }
    }
    return NULL;
}

static void a_full_socket_makes_it_wait(void **state)
{
    struct tls_fixture *fixture = *state;
    struct reader reader = {.connection = &fixture->one};
    const int small = 4096;
    pthread_t thread;

    setsockopt(fixture->one.paho_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    assert_int_equal(pthread_create(&thread, NULL, read_when_full, &reader), 0);
    for (unsigned id = 0; id < FLOOD; id++) {
        acknowledge(fixture->one.paho, id);
    }
    tls_wait_for_more(fixture);
    pthread_join(thread, NULL);
    assert_true(atomic_load(&was_full));
    assert_int_equal(reader.count, FLOOD);
}

/* --- connections that are closed ------------------------------------------------------------ */

static void *close_one(void *unused)
{
    (void)unused;
    paho_cork_note_close();
    return NULL;
}

/* Paho's receive thread may still look for the socket of a connection that it has closed, until it
 * waits again. What another thread closes is none of this. */
static void a_closed_connection_settles_at_the_next_wait(void **state)
{
    const struct tls_fixture *fixture = *state;
    struct pollfd fd = {.fd = fixture->other[0], .events = POLLIN};
    pthread_t thread;

    assert_true(paho_cork_settled());
    paho_cork_note_close();
    assert_false(paho_cork_settled());
    assert_int_equal(paho_cork_poll(&fd, 1, 0), 0); /* no wait: within a write, say */
    assert_false(paho_cork_settled());
    tls_wait_for_more(fixture);
    assert_true(paho_cork_settled());
    paho_cork_note_close();
    assert_int_equal(paho_cork_usleep(1), 0); /* there is no other connection to wait for */
    assert_true(paho_cork_settled());
    assert_int_equal(pthread_create(&thread, NULL, close_one, NULL), 0);
    pthread_join(thread, NULL);
    assert_true(paho_cork_settled());
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, tls_fixture_make, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(they_leave_together_when_there_is_nothing_to_read),
        TEST(they_stay_while_there_is_more_to_read),
        TEST(many_do_not_wait),
        TEST(another_packet_leaves_after_them),
        TEST(they_leave_when_asked),
        TEST(another_thread_leaves_them_alone),
        TEST(a_thread_that_never_waits_writes_at_once),
        TEST(a_connection_sends_at_once),
        TEST(whatever_is_written_is_told),
        TEST(the_relay_waits_in_place_of_poll),
        TEST(another_thread_waits_by_itself),
        TEST(each_connection_has_its_own),
        TEST(what_waits_on_a_connection_ends_with_it),
        TEST(a_dead_connection_is_found_by_the_next_packet),
        TEST(a_connection_that_takes_no_acknowledgement_is_closed),
        TEST(a_full_socket_makes_it_wait),
        TEST(a_closed_connection_settles_at_the_next_wait),
    };

    if (paho_cork_flush == NULL) {
        printf("skipped: this Paho is the shared library, which writes each by itself\n");
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("paho_cork", tests, NULL, NULL);
}
