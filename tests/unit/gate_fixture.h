/* The gate, between a scripted Paho and a scripted broker, with a scripted durable counter. */
#ifndef GATE_FIXTURE_H
#define GATE_FIXTURE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate/gate.h"
#include "unit_wait.h"

#define TARGET       "broker.example:8883"
#define SESSIONS     2
#define QUIET_MS     50 /* how long nothing must come where nothing may come */
#define BUFFER_BYTES 4096

struct fixture {
    struct watermark watermark;
    struct gate *gate;
    int paho;   /* the socket that Paho would have */
    int broker; /* the broker's end */
};

/* --- the two peers ------------------------------------------------------------------------- */

/* The session's port and credentials, as Paho would make them of the authority. */
static inline unsigned short authority(struct gate *gate, unsigned session, char basic[128])
{
    char text[GATE_AUTHORITY_SIZE];
    char *at;

    gate_authority(gate, session, text);
    at = strchr(text, '@');
    assert_non_null(at);
    *at = '\0';
    EVP_EncodeBlock((unsigned char *)basic, (const unsigned char *)text, (int)strlen(text));
    return (unsigned short)atoi(strrchr(at + 1, ':') + 1);
}

static inline int connect_loopback(int fd, unsigned short port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    return connect(fd, (const struct sockaddr *)&address, sizeof(address));
}

static inline int connect_to(unsigned short port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect_loopback(fd, port), 0);
    return fd;
}

static inline bool readable_within(int fd, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, timeout_ms) == 1;
}

static inline void assert_reads(int fd, const char *expected)
{
    char buffer[BUFFER_BYTES];
    size_t length = strlen(expected);
    size_t got = 0;

    while (got < length) {
        ssize_t n;

        assert_true(readable_within(fd, UNIT_WAIT_MS));
        n = read(fd, buffer + got, length - got);
        assert_true(n > 0);
        got += (size_t)n;
    }
    assert_memory_equal(buffer, expected, length);
}

static inline void assert_reads_nothing(int fd)
{
    assert_false(readable_within(fd, QUIET_MS));
}

static inline void assert_reads_end(int fd)
{
    char byte;

    assert_true(readable_within(fd, UNIT_WAIT_MS));
    assert_true(read(fd, &byte, 1) <= 0);
}

static inline void write_text(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static inline void offer_broker(struct fixture *fixture, unsigned session)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    gate_offer(fixture->gate, session, pair[0]);
    fixture->broker = pair[1];
}

static inline int send_request(struct fixture *fixture, unsigned session, const char *target)
{
    char basic[128];
    char request[512];
    int fd = connect_to(authority(fixture->gate, session, basic));

    snprintf(request, sizeof(request),
             "CONNECT %s HTTP/1.1\r\nHost: broker\r\nProxy-authorization: Basic %s\r\n\r\n", target,
             basic);
    write_text(fd, request);
    return fd;
}

static inline void open_link(struct fixture *fixture)
{
    offer_broker(fixture, 0);
    fixture->paho = send_request(fixture, 0, TARGET);
    assert_reads(fixture->paho, "HTTP/1.1 200 Connection established\r\n\r\n");
}

static inline void make_durable(struct fixture *fixture, uint64_t number)
{
    atomic_store(&fixture->watermark.durable, number);
    gate_release(fixture->gate);
}

static inline int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    fixture->paho = fixture->broker = -1;
    assert_int_equal(gate_new(&fixture->gate, TARGET, SESSIONS, false, &fixture->watermark), 0);
    *state = fixture;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *fixture = *state;

    gate_free(fixture->gate);
    if (fixture->paho >= 0) {
        close(fixture->paho);
    }
    if (fixture->broker >= 0) {
        close(fixture->broker);
    }
    free(fixture);
    return 0;
}

static inline size_t held_bytes(struct fixture *fixture)
{
    struct gate_link_status status;

    gate_link_status(fixture->gate, 0, &status);
    return status.held_bytes;
}

static inline bool holds_bytes(void *context)
{
    struct fixture *fixture = context;
    struct gate_link_status status;

    gate_link_status(fixture->gate, 0, &status);
    return status.held_bytes > 0;
}

#define GATE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
