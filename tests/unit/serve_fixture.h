/*
 * A server of the report on a Unix socket, with the test as main's thread; a page is some bytes.
 * And its clients. Nothing waits for a time: every wait is for bytes or for the end of a
 * connection.
 */
#ifndef SERVE_FIXTURE_H
#define SERVE_FIXTURE_H

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

static char directory[] = "/tmp/test_serve_http.XXXXXX";
static char path[64];
static char socket_address[80]; /* unix:path */

struct server {
    struct serve_listener listener;
    struct serve_http *http;
};

/* A server on a Unix socket, with a token all the same. */
static inline struct server start(const struct serve_http_options *options)
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

static inline void stop(struct server *server)
{
    serve_http_stop(server->http);
    serve_listen_close(&server->listener);
}

static inline void publish(struct server *server, size_t length)
{
    char *html = malloc(length);

    assert_non_null(html);
    memset(html, 'x', length);
    memcpy(html, PAGE, length < strlen(PAGE) ? length : strlen(PAGE));
    serve_http_publish(server->http, html, length, POLICY);
}

static inline void wait_wanted(const struct server *server)
{
    struct pollfd fd = {.fd = serve_http_fd(server->http), .events = POLLIN};

    assert_int_equal(poll(&fd, 1, UNIT_WAIT_MS), 1);
    assert_true(serve_http_is_wanted(server->http));
}

/* --- clients ---------------------------------------------------------------------------------- */

static inline int client(const char *request)
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
static inline char *receive(int fd)
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

static inline char *ask(const char *request)
{
    return receive(client(request));
}

#define REFUSED 4 /* by us or, in newer versions, by libmicrohttpd itself: 400 or 403 */

static inline void assert_status(const char *answer, int status)
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

static inline void assert_asked(const char *request, int status)
{
    char *answer = ask(request);

    assert_status(answer, status);
    if (status != 200) {
        assert_null(strstr(answer, PAGE));
        assert_null(strstr(answer, TOKEN));
    }
    free(answer);
}

static inline const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");

    assert_non_null(end);
    return end + 4;
}

/* --- before and after ----------------------------------------------------------------------- */

static inline int set_up(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/socket", directory);
    snprintf(socket_address, sizeof(socket_address), "unix:%s", path);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    return rmdir(directory);
}

#endif
