/*
 * `report --serve`: which requests get the page, and where they may come from. Tables of Hosts,
 * Origins, paths and addresses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/serve_internal.h"

#define TOKEN "0123456789abcdef0123456789abcdef"

static void test_host(void **state)
{
    static const struct {
        const char *host;
        bool loopback; /* is good where only loopback is served */
        bool any;      /* where any address is */
    } cases[] = {
        {"127.0.0.1", true, true},
        {"127.0.0.1:8080", true, true},
        {"127.1.2.3:1", true, true},
        {"localhost", true, true},
        {"LocalHost:65535", true, true},
        {"[::1]", true, true},
        {"[::1]:8080", true, true},
        {"192.0.2.1:8080", false, true},
        {"[2001:db8::1]:8080", false, true},
        {NULL, false, false},
        {"", false, false},
        {":8080", false, false},
        {"::1", false, false},
        {"[::1", false, false},
        {"[]", false, false},
        {"[::1]x", false, false},
        {"[127.0.0.1]", false, false},
        {"127.0.0.1:80x", false, false},
        {"127.0.0.1:80:80", false, false},
        {"127.0.0.1.evil.test", false, false},
        {"127.1", false, false},
        {"2130706433", false, false},
        {"0x7f.0.0.1", false, false},
        {"localhost.", false, false},
        {"localhost.evil.test", false, false},
        {"evil.test", false, false},
        {"evil.test:8080", false, false},
        {"localhost evil.test", false, false},
        {"evil.test@localhost", false, false},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_message("%s\n", cases[i].host != NULL ? cases[i].host : "(none)");
        assert_int_equal(serve_check_host(cases[i].host, false), cases[i].loopback);
        assert_int_equal(serve_check_host(cases[i].host, true), cases[i].any);
    }
}

static void test_origin(void **state)
{
    (void)state;
    assert_true(serve_check_origin(NULL, "localhost:1"));
    assert_true(serve_check_origin("http://localhost:1", "localhost:1"));
    assert_true(serve_check_origin("http://[::1]:1", "[::1]:1"));
    assert_false(serve_check_origin("http://localhost:2", "localhost:1"));
    assert_false(serve_check_origin("https://localhost:1", "localhost:1"));
    assert_false(serve_check_origin("http://evil.test", "localhost:1"));
    assert_false(serve_check_origin("http://localhost:1.evil.test", "localhost:1"));
    assert_false(serve_check_origin("null", "localhost:1"));
    assert_false(serve_check_origin("", "localhost:1"));
    assert_false(serve_check_origin("http://", NULL));
}

static void test_path(void **state)
{
    (void)state;
    assert_true(serve_check_path("/" TOKEN "/", TOKEN));
    assert_false(serve_check_path("/" TOKEN, TOKEN));
    assert_false(serve_check_path("/" TOKEN "/x", TOKEN));
    assert_false(serve_check_path("//" TOKEN "/", TOKEN));
    assert_false(serve_check_path("/1123456789abcdef0123456789abcdef/", TOKEN)); /* the first */
    assert_false(serve_check_path("/0123456789abcdef0123456789abcdee/", TOKEN)); /* the last */
    assert_false(serve_check_path("/0123456789ABCDEF0123456789abcdef/", TOKEN));
    assert_false(serve_check_path("/", TOKEN));
    assert_false(serve_check_path("", TOKEN));

    assert_true(serve_check_path("/", "")); /* a Unix socket needs none */
    assert_false(serve_check_path("/x", ""));
    assert_false(serve_check_path("", ""));
}

/* 128 bits, new each time. */
static void test_token(void **state)
{
    char one[SERVE_TOKEN_SIZE];
    char other[SERVE_TOKEN_SIZE];

    (void)state;
    assert_int_equal(serve_check_token(one), 0);
    assert_int_equal(serve_check_token(other), 0);
    assert_int_equal(strspn(one, "0123456789abcdef"), SERVE_TOKEN_SIZE - 1);
    assert_string_not_equal(one, other);
}

/* --- where it listens ------------------------------------------------------------------------- */

static void test_ports(void **state)
{
    static const struct {
        const char *address;
        const char *url; /* with %s in the place of the port */
        bool loopback;
    } cases[] = {
        {NULL, "http://127.0.0.1:", true},          {"0", "http://127.0.0.1:", true},
        {"localhost:0", "http://127.0.0.1:", true}, {"127.0.0.2:0", "http://127.0.0.2:", true},
        {"0.0.0.0:0", "http://0.0.0.0:", false},
    };
    char problem[SERVE_PROBLEM_SIZE];
    struct serve_listener listener;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(serve_listen(cases[i].address, &listener, problem), 0);
        assert_int_equal(strncmp(listener.url, cases[i].url, strlen(cases[i].url)), 0);
        assert_true(atoi(listener.url + strlen(cases[i].url)) > 0);
        assert_int_equal(listener.loopback, cases[i].loopback);
        assert_null(listener.path);
        serve_listen_close(&listener);
        assert_int_equal(listener.fd, -1);
    }
    if (serve_listen("[::1]:0", &listener, problem) == 0) { /* where there is IPv6 */
        assert_int_equal(strncmp(listener.url, "http://[::1]:", 13), 0);
        assert_true(listener.loopback);
        serve_listen_close(&listener);
    }
}

static void test_addresses_that_are_none(void **state)
{
    static const char *const wrong[] = {"",         "x",          "80x",         "-1",
                                        "65536",    "localhost:", "localhost:x", "evil.test:80",
                                        "::1:0x50", "[::1]",      "+80",         " 80"};
    char problem[SERVE_PROBLEM_SIZE];
    struct serve_listener listener;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        print_message("%s\n", wrong[i]);
        assert_int_equal(serve_listen(wrong[i], &listener, problem), 1);
        assert_non_null(strstr(problem, "PORT (to 65535), HOST:PORT"));
        assert_int_equal(listener.fd, -1);
    }
}

static void test_port_that_is_taken(void **state)
{
    char problem[SERVE_PROBLEM_SIZE];
    struct serve_listener one, other;

    (void)state;
    assert_int_equal(serve_listen(NULL, &one, problem), 0);
    assert_int_equal(serve_listen(one.url + strlen("http://"), &other, problem), -1);
    assert_non_null(strstr(problem, "in use"));
    serve_listen_close(&one);
}

/* The socket is this user's alone, a live one and a file are left alone, a dead one is replaced. */
static void test_unix_socket(void **state)
{
    char directory[] = "/tmp/test_serve_check.XXXXXX";
    char path[64], address[80], file[64], longer[200];
    char problem[SERVE_PROBLEM_SIZE];
    struct serve_listener listener, other;
    struct stat status;
    FILE *written;

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/socket", directory);
    snprintf(address, sizeof(address), "unix:%s", path);
    snprintf(file, sizeof(file), "unix:%s/file", directory);

    assert_int_equal(serve_listen(address, &listener, problem), 0);
    assert_string_equal(listener.url, "http://localhost");
    assert_true(listener.loopback);
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(serve_listen(address, &other, problem), -1);
    assert_non_null(strstr(problem, "exists"));

    close(listener.fd); /* as if killed */
    assert_int_equal(serve_listen(address, &other, problem), 0);
    serve_listen_close(&other);
    assert_int_equal(lstat(path, &status), -1);
    listener.fd = -1;
    serve_listen_close(&listener);

    written = fopen(file + strlen("unix:"), "w");
    assert_non_null(written);
    fclose(written);
    assert_int_equal(serve_listen(file, &listener, problem), -1);
    assert_int_equal(lstat(file + strlen("unix:"), &status), 0);
    assert_true(S_ISREG(status.st_mode));
    unlink(file + strlen("unix:"));

    memset(longer, 'a', sizeof(longer));
    memcpy(longer, "unix:/tmp/", 10);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(serve_listen(longer, &listener, problem), 1);
    assert_non_null(strstr(problem, "at most 107 bytes"));
    assert_int_equal(serve_listen("unix:/nowhere/socket", &listener, problem), -1);
    assert_non_null(strstr(problem, "/nowhere/socket: No such file"));
    rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_origin),
        cmocka_unit_test(test_path),
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_addresses_that_are_none),
        cmocka_unit_test(test_port_that_is_taken),
        cmocka_unit_test(test_unix_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
