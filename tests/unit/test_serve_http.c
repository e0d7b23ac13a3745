/*
 * `report --serve`: its answers to clients that are foreign or wrong, and how fresh the page is
 * that many clients get.
 */
#include "serve_fixture.h"

#define MANY 200

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
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
