/*
 * `report --serve`: its answers to clients that are many, slow, foreign or wrong. The test is
 * main's thread; a page is some bytes. Nothing waits for a time: every wait is for bytes or for the
 * end of a connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/serve_internal.h"
#include "unit_wait.h"

#define TOKEN   "0123456789abcdef0123456789abcdef"
#define POLICY  "default-src 'none'; script-src 'sha256-x'"
#define PAGE    "<!doctype html>\n<title>a page</title>\n"
#define GOOD    "GET /" TOKEN "/ HTTP/1.1\r\nHost: localhost:1\r\n\r\n"
#define LONG_MS 60000             /* longer than a test may take */
#define LARGE   (8 * 1024 * 1024) /* more than the sockets' buffers take */
#define MANY    200

static char directory[] = "/tmp/test_serve_http.XXXXXX";
static char path[64];
static char socket_address[80]; /* unix:path */

struct server {
    struct serve_listener listener;
    struct serve_http *http;
};

/* A server on a Unix socket, with a token all the same. */
static struct server start(const struct serve_http_options *options)
{
    struct serve_http_options all = *options;
    char problem[SERVE_PROBLEM_SIZE];
    struct server server;

    assert_int_equal(serve_listen(socket_address, &server.listener, problem), 0);
    all.listen_fd = server.listener.fd;
    server.listener.fd = -1;
    all.token = TOKEN;
    assert_int_equal(serve_http_start(&all, &server.http), 0);
    return server;
}

static const struct serve_http_options usual = {
    .fresh_ms = LONG_MS,
    .clients = 256,
    .client_idle_ms = LONG_MS,
    .client_total_ms = LONG_MS,
};

static void stop(struct server *server)
{
    serve_http_stop(server->http);
    serve_listen_close(&server->listener);
}

static void publish(struct server *server, size_t length)
{
    char *html = malloc(length);

    assert_non_null(html);
    memset(html, 'x', length);
    memcpy(html, PAGE, length < strlen(PAGE) ? length : strlen(PAGE));
    serve_http_publish(server->http, html, length, POLICY);
}

static void wait_wanted(const struct server *server)
{
    struct pollfd fd = {.fd = serve_http_fd(server->http), .events = POLLIN};

    assert_int_equal(poll(&fd, 1, UNIT_WAIT_MS), 1);
    assert_true(serve_http_is_wanted(server->http));
}

/* --- clients ---------------------------------------------------------------------------------- */

static int client(const char *request)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    return fd;
}

/* Everything until the server closes the connection, which this closes, too. The caller frees it.
 */
static char *receive(int fd)
{
    size_t size = 64 * 1024;
    size_t length = 0;
    char *text = malloc(size);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ssize_t got;

    for (;;) {
        assert_non_null(text);
        assert_int_equal(poll(&ready, 1, UNIT_WAIT_MS), 1);
        got = recv(fd, text + length, size - length - 1, 0);
        if (got <= 0) {
            break;
        }
        length += (size_t)got;
        if (size - length < 2) {
            size *= 2;
            text = realloc(text, size);
        }
    }
    close(fd);
    text[length] = '\0';
    return text;
}

static char *ask(const char *request)
{
    return receive(client(request));
}

#define REFUSED 4 /* by us or, in newer versions, by libmicrohttpd itself: 400 or 403 */

static void assert_status(const char *answer, int status)
{
    char line[32];

    if (status == REFUSED) {
        status = strncmp(answer, "HTTP/1.1 400 ", 13) == 0 ? 400 : 403;
    }
    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    if (strncmp(answer, line, strlen(line)) != 0) {
        fail_msg("not %d: %.200s", status, answer);
    }
}

static void assert_asked(const char *request, int status)
{
    char *answer = ask(request);

    assert_status(answer, status);
    if (status != 200) {
        assert_null(strstr(answer, PAGE));
        assert_null(strstr(answer, TOKEN));
    }
    free(answer);
}

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");

    assert_non_null(end);
    return end + 4;
}

/* --- one client ------------------------------------------------------------------------------- */

/* The page as it is, and in the headers what keeps a browser from doing more with it. */
static void test_page(void **state)
{
    static const char *const headers[] = {
        "\r\nContent-Type: text/html; charset=utf-8\r\n",
        "\r\nContent-Security-Policy: " POLICY "; frame-ancestors 'none'\r\n",
        "\r\nX-Content-Type-Options: nosniff\r\n",
        "\r\nReferrer-Policy: no-referrer\r\n",
        "\r\nCache-Control: no-store\r\n",
        "\r\nX-Frame-Options: DENY\r\n",
        "\r\nCross-Origin-Resource-Policy: same-origin\r\n",
        "\r\nConnection: close\r\n",
    };
    struct server server = start(&usual);
    char *answer;

    (void)state;
    publish(&server, strlen(PAGE));
    answer = ask(GOOD);
    assert_status(answer, 200);
    assert_string_equal(body_of(answer), PAGE);
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        if (strcasestr(answer, headers[i]) == NULL) {
            fail_msg("no header %s", headers[i]);
        }
    }
    free(answer);

    answer = ask("HEAD /" TOKEN "/ HTTP/1.1\r\nHost: localhost:1\r\n\r\n");
    assert_status(answer, 200);
    assert_string_equal(body_of(answer), "");
    assert_non_null(strcasestr(answer, "\r\nContent-Length: 38\r\n"));
    free(answer);
    assert_asked("GET /" TOKEN "/?since=now HTTP/1.1\r\nHost: localhost:1\r\n\r\n", 200);
    assert_asked("GET /" TOKEN "/ HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n",
                 200);
    stop(&server);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
        {"GET /" TOKEN " HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
        {"GET /" TOKEN "/x HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
        {"GET /1123456789abcdef0123456789abcdef/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
        {"GET /?" TOKEN "/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
        {"GET /favicon.ico HTTP/1.1\r\nHost: localhost\r\n\r\n", 404},
        {"GET /" TOKEN "/ HTTP/1.1\r\nHost: evil.test\r\n\r\n", 403},
        {"GET /" TOKEN "/ HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n", 403},
        {"GET /" TOKEN "/ HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", REFUSED},
        {"GET /" TOKEN "/ HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.test\r\n\r\n", 403},
        {"GET /" TOKEN "/ HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n", 403},
        {"POST /" TOKEN "/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405},
        {"PUT /" TOKEN "/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nab", 405},
        {"DELETE /" TOKEN "/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
        {"OPTIONS /" TOKEN "/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
        {"get /" TOKEN "/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
    };
    struct server server = start(&usual);
    char *answer;

    (void)state;
    publish(&server, strlen(PAGE));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_message("%s\n", cases[i].request);
        assert_asked(cases[i].request, cases[i].status);
    }
    answer = ask("POST /" TOKEN "/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    assert_non_null(strcasestr(answer, "\r\nAllow: GET, HEAD\r\n"));
    assert_non_null(strcasestr(answer, "\r\nX-Content-Type-Options: nosniff\r\n"));
    free(answer);
    assert_asked(GOOD, 200);
    assert_false(serve_http_is_wanted(server.http)); /* nobody was made to wait */
    stop(&server);
}

/* Without a Host there is no telling where a browser was led to. */
static void test_no_host(void **state)
{
    struct server server = start(&usual);
    char *answer;

    (void)state;
    publish(&server, strlen(PAGE));
    answer = ask("GET /" TOKEN "/ HTTP/1.0\r\n\r\n");
    assert_null(strstr(answer, PAGE));
    assert_non_null(strstr(answer, " 403 "));
    free(answer);
    stop(&server);
}

/* A connection that sends no request, or has too many headers, is ended. */
static void test_no_request(void **state)
{
    struct server server = start(&usual);
    size_t size = 100 * 1024;
    char *large = malloc(size);
    char *answer;
    int fd;

    (void)state;
    publish(&server, strlen(PAGE));
    answer = ask("\x16\x03\x01\x02\r\n\r\n");
    assert_null(strstr(answer, PAGE));
    free(answer);

    assert_non_null(large);
    snprintf(large, size, "GET /" TOKEN "/ HTTP/1.1\r\nHost: localhost\r\nX: %090000d", 0);
    fd = client("");
    (void)!send(fd, large, strlen(large), MSG_NOSIGNAL); /* may end in the middle */
    answer = receive(fd);
    assert_null(strstr(answer, PAGE));
    free(answer);
    free(large);
    assert_asked(GOOD, 200);
    stop(&server);
}

/* --- fresh pages ------------------------------------------------------------------------------ */

/* A client that asks before there is a page gets the first one; two hundred cost one. */
static void test_many_wait_for_one_page(void **state)
{
    struct server server = start(&usual);
    int fds[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        fds[i] = client(GOOD);
    }
    wait_wanted(&server);
    publish(&server, strlen(PAGE));
    for (int i = 0; i < MANY; i++) {
        char *answer = receive(fds[i]);

        assert_status(answer, 200);
        assert_string_equal(body_of(answer), PAGE);
        free(answer);
    }
    (void)serve_http_is_wanted(server.http); /* those that came later than the first */
    for (int i = 0; i < MANY; i++) {
        assert_asked(GOOD, 200);
    }
    assert_false(serve_http_is_wanted(server.http)); /* the page was still fresh */
    stop(&server);
}

/* A client that the server makes wait for a page; one that still gets the old page is followed by
 * another one. */
static int client_that_waits(const struct server *server)
{
    for (;;) {
        int fd = client(GOOD);
        struct pollfd fds[2] = {{.fd = serve_http_fd(server->http), .events = POLLIN},
                                {.fd = fd, .events = POLLIN}};

        assert_true(poll(fds, 2, UNIT_WAIT_MS) > 0);
        if ((fds[0].revents & POLLIN) != 0) {
            assert_true(serve_http_is_wanted(server->http));
            return fd;
        }
        free(receive(fd));
    }
}

static void test_old_page_is_made_anew(void **state)
{
    struct serve_http_options options = usual;
    struct server server;
    char *answer;
    int fd;

    (void)state;
    options.fresh_ms = 0;
    server = start(&options);
    publish(&server, strlen(PAGE));
    fd = client_that_waits(&server);
    serve_http_publish(server.http, strdup("another"), 7, POLICY);
    answer = receive(fd);
    assert_string_equal(body_of(answer), "another");
    free(answer);

    fd = client_that_waits(&server); /* and why there is none */
    serve_http_refuse(server.http, "the database is locked\n");
    answer = receive(fd);
    assert_status(answer, 503);
    assert_string_equal(body_of(answer), "the database is locked\n");
    free(answer);
    stop(&server);
}

/* A page that took a second to make is an answer for a second. */
static void test_page_that_takes_long(void **state)
{
    const struct timespec work = {.tv_sec = 1};
    struct serve_http_options options = usual;
    struct server server;
    int fd;

    (void)state;
    options.fresh_ms = 0;
    server = start(&options);
    publish(&server, strlen(PAGE));
    fd = client_that_waits(&server);
    nanosleep(&work, NULL);
    publish(&server, strlen(PAGE));
    free(receive(fd));
    assert_asked(GOOD, 200);
    assert_false(serve_http_is_wanted(server.http));
    stop(&server);
}

/* --- slow clients ----------------------------------------------------------------------------- */

/* A page that is being sent is whole, whatever replaces it meanwhile. */
static void test_page_is_replaced_while_it_is_sent(void **state)
{
    struct server server = start(&usual);
    char *answer;
    int fd;

    (void)state;
    publish(&server, LARGE);
    fd = client(GOOD);
    assert_asked(GOOD, 200);
    for (int i = 0; i < 3; i++) {
        publish(&server, strlen(PAGE));
    }
    answer = receive(fd);
    assert_status(answer, 200);
    assert_int_equal(strlen(body_of(answer)), LARGE);
    free(answer);
    stop(&server);
}

static bool is_closed(void *context)
{
    struct pollfd fd = {.fd = *(int *)context, .events = POLLRDHUP};

    return poll(&fd, 1, 0) == 1 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* A client that takes a page byte by byte, or asks byte by byte, keeps nobody waiting and is ended,
 * also while main's thread does something else: it makes a page, for instance. */
static void test_slow_clients(void **state)
{
    struct serve_http_options options = usual;
    struct server server;
    int slow, trickling;
    char byte;

    (void)state;
    options.client_total_ms = 300;
    server = start(&options);
    publish(&server, LARGE);
    slow = client(GOOD);
    trickling = client("GET /");
    assert_int_equal(recv(slow, &byte, 1, 0), 1);
    assert_asked(GOOD, 200);
    assert_int_equal(recv(slow, &byte, 1, 0), 1);
    unit_wait(is_closed, &slow, "the end of a client that is slow to read");
    unit_wait(is_closed, &trickling, "the end of a client that is slow to ask");
    close(slow);
    close(trickling);
    stop(&server);
}

/* A client that is silent for client_idle_ms is ended. */
static void test_silent_client(void **state)
{
    struct serve_http_options options = usual;
    struct server server;
    int fd;

    (void)state;
    options.client_idle_ms = 1000;
    server = start(&options);
    fd = client("");
    unit_wait(is_closed, &fd, "the end of a client that says nothing");
    close(fd);
    stop(&server);
}

/* With all places taken by clients that do not ask, or ask with another token, the oldest of them
 * makes room: who has the token is answered at once. */
static void test_more_clients_than_places(void **state)
{
    struct serve_http_options options = usual;
    struct server server;
    int fds[12];

    (void)state;
    options.clients = 4;
    server = start(&options);
    publish(&server, strlen(PAGE));
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        fds[i] = client("GET /");
    }
    assert_asked(GOOD, 200);
    unit_wait(is_closed, &fds[0], "the end of the oldest");
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        close(fds[i]);
    }
    stop(&server);
}

/* Those who have asked for the page keep their places, and all of them get it. */
static void test_places_of_those_who_asked(void **state)
{
    struct serve_http_options options = usual;
    struct server server;
    int asked[3];
    int idle[6];

    (void)state;
    options.clients = 4;
    options.client_idle_ms = 2000;
    server = start(&options);
    for (int i = 0; i < 3; i++) {
        asked[i] = client(GOOD);
        wait_wanted(&server);
    }
    for (int i = 0; i < 6; i++) {
        idle[i] = client("GET /");
    }
    unit_wait(is_closed, &idle[0], "the end of the oldest that has not asked");
    publish(&server, strlen(PAGE));
    for (int i = 0; i < 3; i++) {
        char *answer = receive(asked[i]);

        assert_status(answer, 200);
        free(answer);
    }
    for (int i = 0; i < 6; i++) {
        close(idle[i]);
    }
    stop(&server);
}

/* A large page is an answer for longer, so that the old ones that are still read have a bound. */
static void test_large_page_stays_fresh(void **state)
{
    struct serve_http_options options = usual;
    struct server server;
    char *answer;

    (void)state;
    options.fresh_ms = 0;
    options.client_total_ms = 10 * LONG_MS;
    server = start(&options);
    publish(&server, LARGE); /* 8 of 64 MiB: an eighth of ten minutes */
    for (int i = 0; i < 5; i++) {
        answer = ask(GOOD);
        assert_int_equal(strlen(body_of(answer)), LARGE);
        free(answer);
    }
    assert_false(serve_http_is_wanted(server.http));
    stop(&server);
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Clients that wait for a page, or are in the middle of one, do not hold up the end. */
static void test_stop(void **state)
{
    struct server server = start(&usual);
    int fds[3];
    char byte;

    (void)state;
    publish(&server, LARGE);
    fds[0] = client(GOOD);
    assert_int_equal(recv(fds[0], &byte, 1, 0), 1);
    fds[1] = client("");
    stop(&server);
    unit_wait(is_closed, &fds[0], "the end of a client in the middle of a page");
    unit_wait(is_closed, &fds[1], "the end of a client that has not asked");

    server = start(&usual);
    fds[2] = client(GOOD);
    wait_wanted(&server);
    stop(&server);
    unit_wait(is_closed, &fds[2], "the end of a client that waits for a page");
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
    serve_http_stop(NULL);
    assert_int_equal(access(path, F_OK), -1);
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/socket", directory);
    snprintf(socket_address, sizeof(socket_address), "unix:%s", path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_host),
        cmocka_unit_test(test_no_request),
        cmocka_unit_test(test_many_wait_for_one_page),
        cmocka_unit_test(test_old_page_is_made_anew),
        cmocka_unit_test(test_page_that_takes_long),
        cmocka_unit_test(test_page_is_replaced_while_it_is_sent),
        cmocka_unit_test(test_slow_clients),
        cmocka_unit_test(test_silent_client),
        cmocka_unit_test(test_more_clients_than_places),
        cmocka_unit_test(test_places_of_those_who_asked),
        cmocka_unit_test(test_large_page_stays_fresh),
        cmocka_unit_test(test_stop),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
