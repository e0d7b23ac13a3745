/*
 * `report --serve`: clients that are slow, or more than there are places, keep nobody waiting; nor
 * do they hold up its end.
 */
#include "serve_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
