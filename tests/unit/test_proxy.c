/*
 * The conversation with a proxy, HTTP and SOCKS 5, with the test in the proxy's place: however an
 * answer is split, the bytes of the broker behind it are left alone; every refusal has its
 * sentence; and nothing lasts longer than it may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/net.h"

#define LONG_MS  60000 /* longer than a test may take */
#define SHORT_MS 50
#define SECRET   "hunter2"
#define HOST     "broker.test"
#define BROKER   "\x20\x02\x00\x00 the broker's bytes"

static const struct proxy http = {.kind = PROXY_HTTP};
static const struct proxy http_user = {.kind = PROXY_HTTP, .user = "me", .password = SECRET};
static const struct proxy http_named = {.kind = PROXY_HTTP, .user = "me"};
static const struct proxy socks = {.kind = PROXY_SOCKS5};
static const struct proxy socks_user = {.kind = PROXY_SOCKS5, .user = "me", .password = SECRET};
static const struct proxy socks_named = {.kind = PROXY_SOCKS5, .user = "me"};

/* A text with its length, which may hold NUL. */
#define BYTES(text) (text), sizeof(text) - 1

/* --- the two ends --------------------------------------------------------------------------- */

struct ends {
    int ours;
    int theirs;
};

static struct ends connect_ends(void)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    return (struct ends){fds[0], fds[1]};
}

static void close_ends(const struct ends *ends)
{
    close(ends->ours);
    close(ends->theirs);
}

static void say(const struct ends *ends, const char *bytes, size_t length)
{
    assert_int_equal(write(ends->theirs, bytes, length), length);
}

/* Takes the bytes that have come at an end and were not read. */
static size_t left_over(int fd, char *out, size_t size)
{
    ssize_t got = read(fd, out, size);

    return got > 0 ? (size_t)got : 0;
}

static void assert_left(int fd, const char *bytes, size_t length)
{
    char found[4096];

    assert_int_equal(left_over(fd, found, sizeof(found)), length);
    assert_memory_equal(found, bytes, length);
}

static enum proxy_result open_way(const struct ends *ends, const struct proxy *proxy,
                                  char problem[PROXY_PROBLEM_SIZE])
{
    strcpy(problem, "unset");
    return proxy_open(ends->ours, proxy, HOST, 8883, LONG_MS, -1, problem);
}

/* --- requests ------------------------------------------------------------------------------- */

#define OK_HTTP  "HTTP/1.1 200 OK\r\n\r\n"
#define OK_SOCKS "\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34"

static void assert_request(const struct proxy *proxy, const char *host, const char *answer,
                           size_t answer_length, const char *request, size_t length)
{
    struct ends ends = connect_ends();
    char problem[PROXY_PROBLEM_SIZE];

    say(&ends, answer, answer_length);
    assert_int_equal(proxy_open(ends.ours, proxy, host, 8883, LONG_MS, -1, problem), PROXY_OK);
    assert_left(ends.theirs, request, length);
    close_ends(&ends);
}

static void an_http_proxy_is_asked_for_the_broker(void **state)
{
    (void)state;
    assert_request(&http, HOST, BYTES(OK_HTTP),
                   BYTES("CONNECT broker.test:8883 HTTP/1.1\r\nHost: broker.test:8883\r\n\r\n"));
    assert_request(&http, "broker.test.", BYTES(OK_HTTP),
                   BYTES("CONNECT broker.test.:8883 HTTP/1.1\r\nHost: broker.test.:8883\r\n\r\n"));
    assert_request(&http, "fe80::1%lo", BYTES(OK_HTTP),
                   BYTES("CONNECT [fe80::1]:8883 HTTP/1.1\r\nHost: [fe80::1]:8883\r\n\r\n"));
    assert_request(&http_user, HOST, BYTES(OK_HTTP),
                   BYTES("CONNECT broker.test:8883 HTTP/1.1\r\nHost: broker.test:8883\r\n"
                         "Proxy-Authorization: Basic bWU6aHVudGVyMg==\r\n\r\n"));
    assert_request(&http_named, HOST, BYTES(OK_HTTP),
                   BYTES("CONNECT broker.test:8883 HTTP/1.1\r\nHost: broker.test:8883\r\n"
                         "Proxy-Authorization: Basic bWU6\r\n\r\n"));
}

static void a_socks_proxy_is_asked_for_the_broker(void **state)
{
    (void)state;
    assert_request(&socks, HOST, BYTES(OK_SOCKS),
                   BYTES("\x05\x01\x00\x05\x01\x00\x03\x0b" HOST "\x22\xb3"));
    assert_request(&socks, "192.0.2.7", BYTES(OK_SOCKS),
                   BYTES("\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x07\x22\xb3"));
    assert_request(&socks, "2001:db8::1", BYTES(OK_SOCKS),
                   BYTES("\x05\x01\x00\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00"
                         "\x00\x00\x00\x00\x01\x22\xb3"));
    /* The proxy may choose to ask for nothing. */
    assert_request(&socks_user, HOST, BYTES(OK_SOCKS),
                   BYTES("\x05\x02\x00\x02\x05\x01\x00\x03\x0b" HOST "\x22\xb3"));
    assert_request(
        &socks_user, HOST, BYTES("\x05\x02\x01\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34"),
        BYTES("\x05\x02\x00\x02\x01\x02me\x07" SECRET "\x05\x01\x00\x03\x0b" HOST "\x22\xb3"));
}

/* The longest user name, password and host fit. */
static void the_longest_texts_fit(void **state)
{
    static const struct proxy_kinds {
        enum proxy_kind kind;
        const char *answer;
        size_t length;
    } kinds[] = {{PROXY_HTTP, BYTES(OK_HTTP)},
                 {PROXY_SOCKS5, BYTES("\x05\x02\x01\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34")}};
    char text[PROXY_SECRET_MAX + 1];
    char host[254];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    memset(host, 'h', sizeof(host) - 1);
    host[sizeof(host) - 1] = '\0';
    for (size_t i = 0; i < 2; i++) {
        const struct proxy proxy = {.kind = kinds[i].kind, .user = text, .password = text};
        struct ends ends = connect_ends();
        char problem[PROXY_PROBLEM_SIZE];
        char sent[4096];
        size_t length;

        say(&ends, kinds[i].answer, kinds[i].length);
        assert_int_equal(proxy_open(ends.ours, &proxy, host, 65535, LONG_MS, -1, problem),
                         PROXY_OK);
        length = left_over(ends.theirs, sent, sizeof(sent));
        assert_non_null(memmem(sent, length, host, strlen(host)));
        if (kinds[i].kind == PROXY_HTTP) {
            assert_memory_equal(sent + length - 4, "\r\n\r\n", 4);
        }
        close_ends(&ends);
    }
}

/* Without a proxy nothing is sent and nothing read. */
static void without_a_proxy_nothing_happens(void **state)
{
    static const struct proxy none = {.kind = PROXY_NONE};
    struct ends ends = connect_ends();
    char problem[PROXY_PROBLEM_SIZE];

    (void)state;
    say(&ends, BYTES(BROKER));
    assert_int_equal(open_way(&ends, &none, problem), PROXY_OK);
    assert_left(ends.theirs, BYTES(""));
    assert_left(ends.ours, BYTES(BROKER));
    close_ends(&ends);
}

/* --- answers -------------------------------------------------------------------------------- */

static const struct answer {
    const struct proxy *proxy;
    const char *bytes;
    size_t length;
} good_answers[] = {
    {&http, BYTES(OK_HTTP)},
    {&http, BYTES("HTTP/1.0 200 Connection established\r\nProxy-agent: tinyproxy/1.11.1\r\n\r\n")},
    {&http, BYTES("HTTP/1.1 200\r\n\r\n")},
    {&http, BYTES("HTTP/1.1 299 \nContent-Length: 5\n\n")},
    {&http, BYTES("HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")},
    {&socks, BYTES(OK_SOCKS)},
    {&socks, BYTES("\x05\x00\x05\x00\x00\x03\x04gate\x12\x34")},
    {&socks, BYTES("\x05\x00\x05\x00\x00\x03\x00\x12\x34")},
    {&socks_user, BYTES("\x05\x02\x01\x00\x05\x00\x00\x04"
                        "0123456789abcdef\x12\x34")},
};

#define GOOD_ANSWERS (sizeof(good_answers) / sizeof(good_answers[0]))

/* Writes the answer in two pieces, the second when the first was read. */
struct writer {
    struct ends ends;
    const struct answer *answer;
    size_t split;
};

static void *write_pieces(void *argument)
{
    const struct writer *writer = argument;
    const struct answer *answer = writer->answer;
    int unread = 1;

    (void)!write(writer->ends.theirs, answer->bytes, writer->split);
    while (unread > 0 && ioctl(writer->ends.ours, FIONREAD, &unread) == 0) {
        sched_yield();
    }
    (void)!write(writer->ends.theirs, answer->bytes + writer->split,
                 answer->length - writer->split);
    (void)!write(writer->ends.theirs, BYTES(BROKER));
    return NULL;
}

static void every_split_leaves_the_brokers_bytes_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOOD_ANSWERS; i++) {
        for (size_t split = 0; split <= good_answers[i].length; split++) {
            struct writer writer = {connect_ends(), &good_answers[i], split};
            char problem[PROXY_PROBLEM_SIZE];
            pthread_t thread;

            assert_int_equal(pthread_create(&thread, NULL, write_pieces, &writer), 0);
            if (open_way(&writer.ends, good_answers[i].proxy, problem) != PROXY_OK) {
                fail_msg("answer %zu, split at %zu: %s", i, split, problem);
            }
            pthread_join(thread, NULL);
            assert_left(writer.ends.ours, BYTES(BROKER));
            close_ends(&writer.ends);
        }
    }
}

/* A proxy that closes somewhere in its answer has refused, with a sentence. */
static void every_beginning_of_an_answer_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOOD_ANSWERS; i++) {
        for (size_t length = 0; length < good_answers[i].length; length++) {
            struct ends ends = connect_ends();
            char problem[PROXY_PROBLEM_SIZE];

            say(&ends, good_answers[i].bytes, length);
            shutdown(ends.theirs, SHUT_WR);
            assert_int_equal(open_way(&ends, good_answers[i].proxy, problem), PROXY_E_REFUSED);
            assert_non_null(strstr(problem, "the proxy closed the connection"));
            close_ends(&ends);
        }
    }
}

static const struct refusal {
    const struct proxy *proxy;
    const char *bytes;
    size_t length;
    const char *says;
} refusals[] = {
    {&http,
     BYTES("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic "
           "realm=\"x\"\r\n\r\n<html>"),
     "demands a user name and a password (407 Proxy Authentication Required): write the user"},
    {&http_user, BYTES("HTTP/1.1 407 No\r\nproxy-authenticate:Basic realm=\"x\"\r\n\r\n"),
     "refuses the user me or the password (407 No): check broker.proxy"},
    {&http_user, BYTES("HTTP/1.0 401 Unauthorized\r\n\r\n"),
     "refuses the user me or the password (401 Unauthorized)"},
    {&http_named, BYTES("HTTP/1.1 407 No\r\n\r\n"), "no password is set: see broker.proxy_pass"},
    {&http_user,
     BYTES("HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: "
           "NTLM\r\n\r\n"),
     "demands authentication by Negotiate (407 No), and foxtrackrd knows Basic alone"},
    {&http_user,
     BYTES("HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: "
           "basic\r\n\r\n"),
     "refuses the user me or the password"},
    {&http, BYTES("HTTP/1.1 403 Forbidden\r\n\r\n"),
     "the proxy forbids a connection to broker.test:8883 (403 Forbidden): its operator"},
    {&http, BYTES("HTTP/1.1 502 Bad Gateway\r\n\r\n"),
     "the proxy has not reached the broker at broker.test:8883 (502 Bad Gateway): is the"},
    {&http, BYTES("HTTP/1.1 500 Unable to connect\r\n\r\n"), "(500 Unable to connect)"},
    {&http, BYTES("HTTP/1.1 504 \x1b[31mred\r\n\r\n"), "(504 \\x1b[31mred)"},
    {&http, BYTES("HTTP/1.1 405 Method Not Allowed\r\n\r\n"),
     "answers CONNECT with \"405 Method Not Allowed\": it may be a web server"},
    {&http, BYTES("HTTP/1.1 101 Switching\r\n\r\n"), "answers CONNECT with \"101 Switching\""},
    {&http, BYTES("SSH-2.0-OpenSSH_9.2p1\r\n"),
     "is no HTTP proxy (it sent \"SSH-2.0-OpenSSH_9.2p1"},
    {&http, BYTES("\x15\x03\x01\x00\x02\x02\x46"), "expects TLS"},
    {&http, BYTES("\x05\xff"), "a SOCKS proxy answers at broker.proxy: write socks5://"},
    {&http, BYTES("HTTP/1.1 2000 OK\r\n\r\n"), "is no HTTP proxy (it sent \"HTTP/1.1 2000 OK"},
    {&http, BYTES("HTTP/1.1  200 OK\r\n\r\n"), "is no HTTP proxy"},
    {&http, BYTES("HTTP/2 200 OK\r\n\r\n"), "is no HTTP proxy"},
    {&http, BYTES("HTTP/1.1 099 OK\r\n\r\n"), "is no HTTP proxy"},
    {&socks, BYTES("\x05\xff"), "demands a user name and a password, or refuses this machine"},
    {&socks, BYTES("\x05\x02"), "is no SOCKS 5 proxy"},
    {&socks_user, BYTES("\x05\xff"), "takes neither a user name with a password nor a client"},
    {&socks_user, BYTES("\x05\x02\x01\x01"), "refuses the user me or the password: check broker"},
    {&socks_named, BYTES("\x05\x02\x01\x01"), "no password is set: see broker.proxy_password_"},
    {&socks, BYTES("\x05\x00\x05\x01\x00\x01"), "has failed to connect to broker.test:8883"},
    {&socks, BYTES("\x05\x00\x05\x02\x00\x01"), "forbids a connection to broker.test:8883: its"},
    {&socks, BYTES("\x05\x00\x05\x03\x00\x01"), "no route to the network"},
    {&socks, BYTES("\x05\x00\x05\x04"), "does not reach the broker at broker.test:8883"},
    {&socks, BYTES("\x05\x00\x05\x05"), "nothing listens at broker.test:8883, the proxy says"},
    {&socks, BYTES("\x05\x00\x05\x06"), "in time"},
    {&socks, BYTES("\x05\x00\x05\x07"), "does not know the command"},
    {&socks, BYTES("\x05\x00\x05\x08"), "does not take the kind of address of broker.test:8883"},
    {&socks, BYTES("\x05\x00\x05\x09"), "the unknown code 9"},
    {&socks, BYTES("\x05\x00\x05\xff"), "the unknown code 255"},
    {&socks, BYTES("\x05\x00\x04\x00"), "is no SOCKS 5 proxy"},
    {&socks, BYTES("\x05\x00\x05\x00\x00\x02\x00\x00"), "is no SOCKS 5 proxy"},
    {&socks, BYTES("HTTP/1.1 400 Bad Request\r\n\r\n"), "an HTTP proxy or a web server answers"},
    {&socks, BYTES("\x15\x03\x01\x00\x02\x02\x46"), "expects TLS"},
};

static void every_refusal_has_its_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct ends ends = connect_ends();
        char problem[PROXY_PROBLEM_SIZE];
        enum proxy_result result;

        say(&ends, refusals[i].bytes, refusals[i].length);
        result = open_way(&ends, refusals[i].proxy, problem);
        if (result != PROXY_E_REFUSED || strstr(problem, refusals[i].says) == NULL) {
            fail_msg("%zu: %d: \"%s\" does not say \"%s\"", i, result, problem, refusals[i].says);
        }
        assert_null(strstr(problem, SECRET));
        close_ends(&ends);
    }
}

/* A proxy that closes the connection, by what it has heard before. */
static void a_proxy_that_closes_is_explained(void **state)
{
    static const struct refusal closed[] = {
        {&http, BYTES(""), "without an answer to CONNECT: it refuses this machine, or is a SOCKS"},
        {&http, BYTES("HTTP/1.1 200 OK\r\n"), "in the middle of its answer"},
        {&socks, BYTES(""), "without an answer: it refuses this machine, or is an HTTP proxy"},
        {&socks, BYTES("\x05"), "in the middle of its answer"},
        {&socks_user, BYTES("\x05\x02"), "when it got user name and password: check broker.proxy"},
        {&socks, BYTES("\x05\x00"), "instead of connecting to the broker"},
        {&socks, BYTES("\x05\x00\x05\x00\x00\x01\x7f"), "in the middle of its answer"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
        for (int reads = 0; reads < 2; reads++) {
            struct ends ends = connect_ends();
            char problem[PROXY_PROBLEM_SIZE];

            say(&ends, closed[i].bytes, closed[i].length);
            shutdown(ends.theirs, reads != 0 ? SHUT_WR : SHUT_RDWR);
            assert_int_equal(open_way(&ends, closed[i].proxy, problem), PROXY_E_REFUSED);
            /* One that reads nothing more is met while the next request is sent. */
            if (reads != 0 && strstr(problem, closed[i].says) == NULL) {
                fail_msg("%zu: \"%s\" does not say \"%s\"", i, problem, closed[i].says);
            }
            assert_non_null(strstr(problem, "the proxy closed the connection"));
            close_ends(&ends);
        }
    }
}

/* --- limits --------------------------------------------------------------------------------- */

/* Says a text again and again until the other end is closed. */
struct talker {
    int fd;
    const char *text;
};

static void *talk(void *argument)
{
    const struct talker *talker = argument;
    struct pollfd waiting = {.fd = talker->fd, .events = POLLOUT};
    size_t length = strlen(talker->text);

    for (;;) {
        if (send(talker->fd, talker->text, length, MSG_NOSIGNAL) < 0) {
            if (errno != EAGAIN) {
                return NULL;
            }
            poll(&waiting, 1, -1);
        }
    }
}

static void assert_too_long(const char *beginning, const char *text)
{
    struct ends ends = connect_ends();
    const struct talker talker = {ends.theirs, text};
    char problem[PROXY_PROBLEM_SIZE];
    pthread_t thread;

    say(&ends, beginning, strlen(beginning));
    assert_int_equal(pthread_create(&thread, NULL, talk, (void *)&talker), 0);
    assert_int_equal(open_way(&ends, &http, problem), PROXY_E_REFUSED);
    assert_non_null(strstr(problem, "longer than 16 KiB"));
    shutdown(ends.ours, SHUT_RDWR);
    pthread_join(thread, NULL);
    close_ends(&ends);
}

static void an_answer_has_a_greatest_length(void **state)
{
    (void)state;
    assert_too_long("HTTP/1.1 200 OK\r\n", "X: y\r\n");
    assert_too_long("HTTP/1.1 200 ", "xxxx");
    assert_too_long("HTTP/1.1 200 OK\r\nX: ", "xxxx");
    assert_too_long("", "HTTP/1.1 100 Continue\r\n\r\n");
}

/* So much of it is read, and then the proxy may close. */
static void the_greatest_length_is_kept(void **state)
{
    static const char header[] = "HTTP/1.1 200 OK\r\n";
    char answer[16384];

    (void)state;
    memset(answer, 'x', sizeof(answer));
    memcpy(answer, header, strlen(header));
    for (size_t less = 0; less < 2; less++) {
        struct ends ends = connect_ends();
        char problem[PROXY_PROBLEM_SIZE];

        say(&ends, answer, sizeof(answer) - less);
        shutdown(ends.theirs, SHUT_WR);
        assert_int_equal(open_way(&ends, &http, problem), PROXY_E_REFUSED);
        assert_non_null(strstr(problem, less == 0 ? "longer than 16 KiB" : "in the middle"));
        close_ends(&ends);
    }
}

/* A line that is longer than the buffer is one line. */
static void a_long_line_is_read_to_its_end(void **state)
{
    struct ends ends = connect_ends();
    char problem[PROXY_PROBLEM_SIZE];
    char line[3000];

    (void)state;
    memset(line, 'x', sizeof(line));
    say(&ends, BYTES("HTTP/1.1 200 OK\r\nX: "));
    say(&ends, line, sizeof(line));
    say(&ends, BYTES("\r\n\r\n" BROKER));
    assert_int_equal(open_way(&ends, &http, problem), PROXY_OK);
    assert_left(ends.ours, BYTES(BROKER));
    close_ends(&ends);
}

static void an_answer_has_to_come_in_time(void **state)
{
    static const struct refusal late[] = {
        {&http, BYTES(""), "did not connect to the broker at broker.test:8883 within 0 s"},
        {&http, BYTES("HTTP/1.1 200 OK\r\n"), "did not end its answer within 0 s"},
        {&socks, BYTES(""), "did not answer within 0 s"},
        {&socks_user, BYTES("\x05\x02"), "within 0 s"},
        {&socks, BYTES("\x05\x00"), "the broker does not answer the proxy"},
        {&socks, BYTES("\x05\x00\x05\x00"), "did not connect to the broker"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(late) / sizeof(late[0]); i++) {
        struct ends ends = connect_ends();
        char problem[PROXY_PROBLEM_SIZE];
        int64_t begun_ms = clock_monotonic_ms();

        say(&ends, late[i].bytes, late[i].length);
        assert_int_equal(proxy_open(ends.ours, late[i].proxy, HOST, 8883, SHORT_MS, -1, problem),
                         PROXY_E_REFUSED);
        assert_true(clock_monotonic_ms() - begun_ms >= SHORT_MS);
        if (strstr(problem, late[i].says) == NULL) {
            fail_msg("%zu: \"%s\" does not say \"%s\"", i, problem, late[i].says);
        }
        close_ends(&ends);
    }
}

static void a_stop_ends_the_wait(void **state)
{
    const struct proxy *const proxies[] = {&http, &socks};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct ends ends = connect_ends();
        char problem[PROXY_PROBLEM_SIZE] = "unset";
        int stop_fd = eventfd(1, EFD_CLOEXEC);

        assert_int_equal(proxy_open(ends.ours, proxies[i], HOST, 8883, LONG_MS, stop_fd, problem),
                         PROXY_STOPPED);
        assert_string_equal(problem, "");
        close(stop_fd);
        close_ends(&ends);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_http_proxy_is_asked_for_the_broker),
        cmocka_unit_test(a_socks_proxy_is_asked_for_the_broker),
        cmocka_unit_test(the_longest_texts_fit),
        cmocka_unit_test(without_a_proxy_nothing_happens),
        cmocka_unit_test(every_split_leaves_the_brokers_bytes_alone),
        cmocka_unit_test(every_beginning_of_an_answer_is_none),
        cmocka_unit_test(every_refusal_has_its_sentence),
        cmocka_unit_test(a_proxy_that_closes_is_explained),
        cmocka_unit_test(an_answer_has_a_greatest_length),
        cmocka_unit_test(the_greatest_length_is_kept),
        cmocka_unit_test(a_long_line_is_read_to_its_end),
        cmocka_unit_test(an_answer_has_to_come_in_time),
        cmocka_unit_test(a_stop_ends_the_wait),
    };

    return cmocka_run_group_tests_name("the proxy", tests, NULL, NULL);
}
