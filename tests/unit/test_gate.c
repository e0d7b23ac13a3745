/* The gate, between a scripted Paho and a scripted broker, with a scripted durable counter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "gate/link_internal.h"
#include "gate_fixture.h"

#define DESCRIPTORS 64

/* --- who may come in ----------------------------------------------------------------------- */

static void refuses_a_wrong_token(void **state)
{
    struct fixture *fixture = *state;
    char basic[128];
    int fd = connect_to(authority(fixture->gate, 0, basic));

    offer_broker(fixture, 0);
    write_text(fd, "CONNECT " TARGET " HTTP/1.1\r\nProxy-authorization: Basic czA6eA==\r\n\r\n");
    assert_reads(fd, "HTTP/1.1 407");
    close(fd);
    fd = connect_to(authority(fixture->gate, 0, basic));
    write_text(fd, "CONNECT " TARGET " HTTP/1.1\r\n\r\n");
    assert_reads(fd, "HTTP/1.1 407");
    close(fd);
    assert_reads_nothing(fixture->broker);
}

/* Another process, with the token even: opens connections to the gate, asks on the last one and
 * returns whether that was closed without an answer. */
static bool stranger_is_refused(struct fixture *fixture, int count)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        char byte;
        int fd = -1;

        for (int i = 0; i < count; i++) {
            char basic[128];

            fd = socket(AF_INET, SOCK_STREAM, 0);
            if (connect_loopback(fd, authority(fixture->gate, 0, basic)) == 0) {
                dprintf(fd, "CONNECT %s HTTP/1.1\r\nProxy-authorization: Basic %s\r\n\r\n", TARGET,
                        basic);
            }
        }
        _exit(read(fd, &byte, 1) > 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void another_process_takes_nothing(void **state)
{
    struct fixture *fixture = *state;

    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(gate_strangers(fixture->gate), 0);
    offer_broker(fixture, 0);
    assert_true(stranger_is_refused(fixture, 100));
    assert_int_equal(gate_strangers(fixture->gate), 100);
    fixture->paho = send_request(fixture, 0, TARGET);
    assert_reads(fixture->paho, "HTTP/1.1 200 Connection established\r\n\r\n");
    assert_true(stranger_is_refused(fixture, 1));
    write_text(fixture->paho, "still open");
    assert_reads(fixture->broker, "still open");
}

/* Requests of this process that never come make way for one that does. */
static void silent_requests_make_way(void **state)
{
    struct fixture *fixture = *state;
    char basic[128];
    int silent[40];

    for (size_t i = 0; i < 40; i++) {
        silent[i] = connect_to(authority(fixture->gate, 0, basic));
    }
    open_link(fixture);
    for (size_t i = 0; i < 40; i++) {
        close(silent[i]);
    }
}

static void refuses_another_target(void **state)
{
    struct fixture *fixture = *state;
    int fd;

    offer_broker(fixture, 0);
    fd = send_request(fixture, 0, "elsewhere.example:8883");
    assert_reads(fd, "HTTP/1.1 403");
    assert_reads_nothing(fixture->broker);
    close(fd);
}

static void refuses_without_a_broker(void **state)
{
    struct fixture *fixture = *state;
    int fd = send_request(fixture, 0, TARGET);

    assert_reads(fd, "HTTP/1.1 502");
    close(fd);
}

static void refuses_what_is_no_request(void **state)
{
    struct fixture *fixture = *state;
    char basic[128];
    int fd = connect_to(authority(fixture->gate, 0, basic));

    write_text(fd, "GET / HTTP/1.1\r\n\r\n");
    assert_reads(fd, "HTTP/1.1 400");
    close(fd);
}

static void a_token_opens_its_own_session_only(void **state)
{
    struct fixture *fixture = *state;
    struct gate_link_status status;

    offer_broker(fixture, 1);
    fixture->paho = send_request(fixture, 1, TARGET);
    assert_reads(fixture->paho, "HTTP/1.1 200");
    gate_link_status(fixture->gate, 1, &status);
    assert_true(status.open);
    assert_int_equal(status.opened, 1);
    gate_link_status(fixture->gate, 0, &status);
    assert_false(status.open);
    assert_int_equal(status.opened, 0);
}

/* --- the rule ------------------------------------------------------------------------------ */

static void passes_at_once_when_nothing_is_pending(void **state)
{
    struct fixture *fixture = *state;

    open_link(fixture);
    write_text(fixture->paho, "connect");
    assert_reads(fixture->broker, "connect");
    write_text(fixture->broker, "connack");
    assert_reads(fixture->paho, "connack");
}

static void holds_until_durable(void **state)
{
    struct fixture *fixture = *state;

    open_link(fixture);
    atomic_store(&fixture->watermark.taken, 5);
    write_text(fixture->paho, "ack of 5");
    assert_reads_nothing(fixture->broker);
    make_durable(fixture, 4);
    assert_reads_nothing(fixture->broker);
    make_durable(fixture, 5);
    assert_reads(fixture->broker, "ack of 5");
}

static bool holds_six_bytes(void *context)
{
    struct fixture *fixture = context;
    struct gate_link_status status;

    gate_link_status(fixture->gate, 0, &status);
    return status.held_bytes == 6;
}

static void lets_out_each_byte_with_its_own_message(void **state)
{
    struct fixture *fixture = *state;

    open_link(fixture);
    atomic_store(&fixture->watermark.taken, 1);
    write_text(fixture->paho, "one");
    unit_wait(holds_bytes, fixture, "the first bytes to be held");
    atomic_store(&fixture->watermark.taken, 2);
    write_text(fixture->paho, "two");
    unit_wait(holds_six_bytes, fixture, "the second bytes to be held");
    make_durable(fixture, 1);
    assert_reads(fixture->broker, "one");
    assert_reads_nothing(fixture->broker);
    make_durable(fixture, 2);
    assert_reads(fixture->broker, "two");
}

static void never_holds_what_comes_from_the_broker(void **state)
{
    struct fixture *fixture = *state;

    open_link(fixture);
    atomic_store(&fixture->watermark.taken, 9);
    write_text(fixture->broker, "publish");
    assert_reads(fixture->paho, "publish");
}

/* --- leaving ------------------------------------------------------------------------------- */

#define HELD_MS 30

static bool has_held_for_a_while(void *context)
{
    struct fixture *fixture = context;
    struct gate_link_status status;

    gate_link_status(fixture->gate, 0, &status);
    return status.ending.held_ms >= HELD_MS;
}

static void severed_nothing_more_leaves(void **state)
{
    struct fixture *fixture = *state;
    struct gate_link_status status;

    open_link(fixture);
    atomic_store(&fixture->watermark.taken, 1);
    write_text(fixture->paho, "ack");
    unit_wait(holds_bytes, fixture, "the bytes to be held");
    gate_sever(fixture->gate, 0, "the disk is full");
    make_durable(fixture, 1); /* would have let it out */
    assert_reads_end(fixture->broker);
    assert_reads_end(fixture->paho);
    gate_link_status(fixture->gate, 0, &status);
    assert_false(status.open);
    assert_string_equal(status.ending.reason, "the disk is full");
}

/* How long bytes have waited for a commit when the broker ends the link is kept, and who ended it.
 */
static void a_broker_that_loses_patience_with_what_is_held(void **state)
{
    struct fixture *fixture = *state;
    struct gate_link_status status;

    open_link(fixture);
    atomic_store(&fixture->watermark.taken, 1);
    write_text(fixture->paho, "ack");
    unit_wait(holds_bytes, fixture, "the bytes to be held");
    unit_wait(has_held_for_a_while, fixture, "time to pass");
    close(fixture->broker);
    fixture->broker = -1;
    assert_reads_end(fixture->paho);
    gate_link_status(fixture->gate, 0, &status);
    assert_int_equal(status.ending.closer, LINK_CLOSED_BY_BROKER);
    assert_true(status.ending.held_ms >= HELD_MS);
    assert_true(status.ending.silent_ms >= HELD_MS);
}

/* Sent bytes are no longer held, and a sever records that the daemon ended the link. */
static void what_has_left_is_not_held(void **state)
{
    struct fixture *fixture = *state;
    struct gate_link_status status;

    open_link(fixture);
    atomic_store(&fixture->watermark.taken, 1);
    write_text(fixture->paho, "ack");
    unit_wait(has_held_for_a_while, fixture, "time to pass");
    make_durable(fixture, 1);
    assert_reads(fixture->broker, "ack");
    gate_link_status(fixture->gate, 0, &status);
    assert_int_equal(status.ending.held_ms, 0);
    assert_int_equal(status.ending.closer, LINK_CLOSED_BY_NOBODY);
    gate_sever(fixture->gate, 0, "the disk is full");
    assert_reads_end(fixture->paho);
    gate_link_status(fixture->gate, 0, &status);
    assert_int_equal(status.ending.closer, LINK_CLOSED_BY_DAEMON);
}

static void severing_one_session_leaves_the_other(void **state)
{
    struct fixture *fixture = *state;

    open_link(fixture);
    gate_sever(fixture->gate, 1, "not this one");
    write_text(fixture->paho, "still here");
    assert_reads(fixture->broker, "still here");
    gate_sever_all(fixture->gate, "all of them");
    assert_reads_end(fixture->broker);
}

static void after_paho_closes_the_rest_still_leaves_when_it_may(void **state)
{
    struct fixture *fixture = *state;

    open_link(fixture);
    atomic_store(&fixture->watermark.taken, 1);
    write_text(fixture->paho, "ack, disconnect");
    unit_wait(holds_bytes, fixture, "the bytes to be held");
    close(fixture->paho);
    fixture->paho = -1;
    assert_reads_nothing(fixture->broker);
    assert_int_equal(gate_open_links(fixture->gate), 1);
    make_durable(fixture, 1);
    assert_reads(fixture->broker, "ack, disconnect");
    assert_reads_end(fixture->broker);
}

static bool no_links(void *context)
{
    struct fixture *fixture = context;

    return gate_open_links(fixture->gate) == 0;
}

static void a_broker_that_closes_ends_the_link_and_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct gate_link_status status;

    open_link(fixture);
    write_text(fixture->broker, "last");
    close(fixture->broker);
    fixture->broker = -1;
    assert_reads(fixture->paho, "last");
    assert_reads_end(fixture->paho);
    unit_wait(no_links, fixture, "the link to be closed");
    gate_link_status(fixture->gate, 0, &status);
    assert_non_null(strstr(status.ending.reason, "broker"));
}

static void quiesced_it_reads_nothing_from_the_broker(void **state)
{
    struct fixture *fixture = *state;

    open_link(fixture);
    gate_quiesce(fixture->gate);
    write_text(fixture->paho, "ack"); /* read after the gate came round: it is quiesced now */
    assert_reads(fixture->broker, "ack");
    write_text(fixture->broker, "publish");
    assert_reads_nothing(fixture->paho);
    write_text(fixture->paho, "disconnect");
    assert_reads(fixture->broker, "disconnect");
}

static void a_new_link_replaces_the_old_one(void **state)
{
    struct fixture *fixture = *state;
    int old_broker;
    int old_paho;

    open_link(fixture);
    old_broker = fixture->broker;
    old_paho = fixture->paho;
    open_link(fixture);
    assert_reads_end(old_broker);
    assert_reads_end(old_paho);
    write_text(fixture->paho, "new");
    assert_reads(fixture->broker, "new");
    close(old_broker);
    close(old_paho);
}

/* More than every buffer on the way holds, in both directions, unharmed and in order. */
static void relays_more_than_it_can_hold(void **state)
{
    struct fixture *fixture = *state;
    static uint8_t sent[3 * 1024 * 1024];
    static uint8_t got[sizeof(sent)];
    size_t out = 0;
    size_t in = 0;

    for (size_t i = 0; i < sizeof(sent); i++) {
        sent[i] = (uint8_t)(i * 31 + i / 251);
    }
    open_link(fixture);
    while (in < sizeof(sent)) {
        ssize_t n =
            out < sizeof(sent) ? send(fixture->broker, sent + out, sizeof(sent) - out, 0) : 0;

        if (n > 0) {
            out += (size_t)n;
        }
        assert_true(n >= 0 || errno == EAGAIN);
        if (readable_within(fixture->paho, n > 0 ? 0 : UNIT_WAIT_MS)) {
            n = recv(fixture->paho, got + in, sizeof(got) - in, 0);
            assert_true(n > 0);
            in += (size_t)n;
        }
    }
    assert_memory_equal(sent, got, sizeof(sent));
}

/*
 * No descriptor is free: a connection that waited in the queue would wake the gate's thread without
 * end. It is turned away at once, the session learns why, and later everything is as before.
 */
/* Make the peer of a socket one that does not read. Returns the bytes that took. */
static size_t fill(int fd)
{
    static const char bytes[4096];
    size_t filled = 0;
    ssize_t sent;

    while ((sent = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) {
        filled += (size_t)sent;
    }
    return filled;
}

static bool has_ended(void *context)
{
    struct gate_link_status status;

    gate_link_status(((struct fixture *)context)->gate, 0, &status);
    return status.ending.closer != LINK_CLOSED_BY_NOBODY;
}

/* Every buffer between the broker and Paho is full when the broker closes, so its end is not read.
 * Paho, which has found the end of TLS among the bytes before, closes first. */
static void a_broker_that_closes_behind_unread_bytes_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct pollfd broker;
    struct gate_link_status status;

    open_link(fixture);
    broker = (struct pollfd){.fd = fixture->broker, .events = POLLOUT};
    do {
        fill(fixture->broker);
    } while (poll(&broker, 1, QUIET_MS) == 1);
    assert_int_equal(shutdown(fixture->broker, SHUT_WR), 0);
    close(fixture->paho);
    fixture->paho = -1;
    unit_wait(has_ended, fixture, "the end of the link");
    gate_link_status(fixture->gate, 0, &status);
    assert_int_equal(status.ending.closer, LINK_CLOSED_BY_BROKER);
    assert_string_equal(status.ending.reason, "the broker closed the connection");
}

static bool holds_much(void *context)
{
    return held_bytes(context) >= LINK_HELD_HIGH;
}

/* The bytes that Paho may write before the gate stops reading from the broker are taken at once,
 * also when the broker takes nothing; and then nothing more comes from the broker. */
static void a_broker_that_does_not_read_makes_nobody_wait(void **state)
{
    struct fixture *fixture = *state;
    static const char bytes[LINK_HELD_HIGH];
    struct gate_link_status status;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_true(fill(pair[0]) > 0);
    gate_offer(fixture->gate, 0, pair[0]);
    fixture->broker = pair[1];
    fixture->paho = send_request(fixture, 0, TARGET);
    assert_reads(fixture->paho, "HTTP/1.1 200 Connection established\r\n\r\n");
    write_text(fixture->broker, "a message");
    assert_reads(fixture->paho, "a message");

    assert_int_equal(send(fixture->paho, bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
    unit_wait(holds_much, fixture, "the acknowledgements to be held");
    write_text(fixture->broker, "another message");
    assert_reads_nothing(fixture->paho);
    gate_link_status(fixture->gate, 0, &status);
    assert_true(status.open);

    /* On a stop it is not waited for. */
    gate_quiesce(fixture->gate);
    assert_reads_end(fixture->paho);
    gate_link_status(fixture->gate, 0, &status);
    assert_non_null(strstr(status.ending.reason, "the broker does not read"));
}

static void without_a_descriptor_it_turns_away(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct gate_link_status status;
    struct rlimit before;
    struct rlimit tight;
    char basic[128];
    int fillers[DESCRIPTORS];
    int count = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    offer_broker(fixture, 0);
    address.sin_port = htons(authority(fixture->gate, 0, basic));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = (struct rlimit){.rlim_cur = DESCRIPTORS, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    while (count < DESCRIPTORS && (fillers[count] = dup(fd)) >= 0) {
        count++;
    }
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_reads_end(fd);
    gate_link_status(fixture->gate, 0, &status);
    assert_non_null(strstr(status.ending.reason, "no file descriptor"));

    while (count > 0) {
        close(fillers[--count]);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    close(fd);
    fixture->paho = send_request(fixture, 0, TARGET);
    assert_reads(fixture->paho, "HTTP/1.1 200 Connection established\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATE_TEST(refuses_a_wrong_token),
        GATE_TEST(another_process_takes_nothing),
        GATE_TEST(silent_requests_make_way),
        GATE_TEST(refuses_another_target),
        GATE_TEST(refuses_without_a_broker),
        GATE_TEST(refuses_what_is_no_request),
        GATE_TEST(a_token_opens_its_own_session_only),
        GATE_TEST(passes_at_once_when_nothing_is_pending),
        GATE_TEST(holds_until_durable),
        GATE_TEST(lets_out_each_byte_with_its_own_message),
        GATE_TEST(never_holds_what_comes_from_the_broker),
        GATE_TEST(severed_nothing_more_leaves),
        GATE_TEST(a_broker_that_loses_patience_with_what_is_held),
        GATE_TEST(what_has_left_is_not_held),
        GATE_TEST(severing_one_session_leaves_the_other),
        GATE_TEST(after_paho_closes_the_rest_still_leaves_when_it_may),
        GATE_TEST(a_broker_that_closes_ends_the_link_and_is_named),
        GATE_TEST(quiesced_it_reads_nothing_from_the_broker),
        GATE_TEST(a_new_link_replaces_the_old_one),
        GATE_TEST(relays_more_than_it_can_hold),
        GATE_TEST(a_broker_that_closes_behind_unread_bytes_is_named),
        GATE_TEST(a_broker_that_does_not_read_makes_nobody_wait),
        GATE_TEST(without_a_descriptor_it_turns_away),
    };

    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
