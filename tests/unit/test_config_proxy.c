/*
 * broker.proxy: what is taken, what is refused and how, and that no refusal tells a password. The
 * password for the proxy: its file, its credential.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config_fixture.h"

#define PROXY(url) BROKER "proxy = " url "\n" SESSION

static char proxy_path[80];

static void assert_proxy(const char *text, bool socks5, const char *host, int port,
                         const char *user)
{
    struct config *config = load(text);
    const struct config_proxy *proxy = config->broker.proxy;

    assert_non_null(proxy);
    assert_int_equal(proxy->socks5, socks5);
    assert_string_equal(proxy->host, host);
    assert_int_equal(proxy->port, port);
    if (user == NULL) {
        assert_null(proxy->user);
    } else {
        assert_string_equal(proxy->user, user);
    }
    config_free(config);
}

static void urls_are_taken(void **state)
{
    (void)state;
    assert_proxy(PROXY("http://proxy.acme.net:3128"), false, "proxy.acme.net", 3128, NULL);
    assert_proxy(PROXY("HTTP://10.0.0.1:1/"), false, "10.0.0.1", 1, NULL);
    assert_proxy(PROXY("socks5://me@[2001:db8::1]:65535"), true, "2001:db8::1", 65535, "me");
    assert_proxy(PROXY("socks5://[fe80::1%eth0]:1080"), true, "fe80::1%eth0", 1080, NULL);
    assert_proxy(PROXY("http://ACME%5cme%40work%2F%25@proxy:80"), false, "proxy", 80,
                 "ACME\\me@work/%");
    assert_proxy(PROXY("socks5://a%3ab@proxy:1080"), true, "proxy", 1080, "a:b");
}

static void without_the_key_there_is_none(void **state)
{
    struct config *config = load(BROKER SESSION);

    (void)state;
    assert_null(config->broker.proxy);
    assert_null(config->broker.proxy_password);
    config_free(config);
}

static void urls_are_refused(void **state)
{
    static const char *const cases[][2] = {
        {"proxy.acme.net:3128", ":3: broker.proxy: is not the URL of a proxy: write http://HOST"},
        {"ftp://proxy:3128", "is not the URL of a proxy"},
        {"socks4://proxy:1080", "only SOCKS 5 is supported, write socks5://HOST:PORT"},
        {"socks4a://proxy:1080", "only SOCKS 5 is supported"},
        {"SOCKS://proxy:1080", "only SOCKS 5 is supported"},
        {"https://proxy:3128", "does not speak TLS to a proxy"},
        {"socks5h://proxy:1080", "write socks5://"},
        {"http://proxy", "names no port"},
        {"http://proxy/", "names no port"},
        {"http://proxy:", "has no port from 1 to 65535"},
        {"http://proxy:0", "has no port from 1 to 65535"},
        {"http://proxy:65536", "has no port from 1 to 65535"},
        {"http://proxy:999999", "has no port from 1 to 65535"},
        {"http://proxy:3128/x", "has no port from 1 to 65535"},
        {"http://:3128", "names no host"},
        {"http://[]:3128", "names no host"},
        {"http://[::1:3128", "has no ] behind the address"},
        {"http://pro xy:3128", "\"pro xy\" is neither a host name nor an IP address"},
        {"http://10.0.0.256:3128", "is no IPv4 address"},
        {"http://@proxy:3128", "no user name in front of it"},
        {"http://me@work@proxy:3128", "write %40 for @"},
        {"http://me%4@proxy:3128", "write %25 for %"},
        {"http://me%zz@proxy:3128", "write %25 for %"},
        {"http://me%00@proxy:3128", "write %25 for %"},
        {"http://me%0a@proxy:3128", "has a control character in the user name"},
        {"http://a%3ab@proxy:3128", "a colon, which HTTP cannot transmit"},
        /* A password: nothing of the URL is quoted. */
        {"http://me:hunter2@proxy:3128", "holds a password, which others see more easily there"},
        {"socks5://me:hunter2@proxy:1080",
         "and put the password into a file that proxy_password_f"},
        {"http://me:hunter2/@proxy:3128", "holds a password"},
        {"http://me:hun@hunter2@proxy:3128", "holds a password"},
        {"http://me:hunter2", "has no port from 1 to 65535"},
        {"http://hunter2", "names no port"},
        {"me:hunter2@proxy:3128", "is not the URL of a proxy"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];

        snprintf(text, sizeof(text), BROKER "proxy = %s\n" SESSION, cases[i][0]);
        refuse(text, cases[i][1]);
    }
}

/* --- the password --------------------------------------------------------------------------- */

#define USER "proxy = http://me@proxy:3128\n"

static struct config *load_with_file(const char *password, size_t length)
{
    char text[512];

    write_file(proxy_path, password, length, 0600);
    snprintf(text, sizeof(text), BROKER USER "proxy_password_file = %s\n" SESSION, proxy_path);
    return load(text);
}

static void the_password_is_in_a_file(void **state)
{
    char text[512];
    char many[259];
    struct config *config = load_with_file("hunter2\r\n", 9);

    (void)state;
    assert_string_equal(config->broker.proxy_password, "hunter2");
    assert_null(config->broker.password);
    config_free(config);

    memset(many, 'x', sizeof(many));
    many[255] = '\n';
    config = load_with_file(many, 256);
    assert_int_equal(strlen(config->broker.proxy_password), 255);
    config_free(config);

    many[255] = 'x';
    write_file(proxy_path, many, 256, 0600);
    snprintf(text, sizeof(text), BROKER USER "proxy_password_file = %s\n" SESSION, proxy_path);
    refuse(text, ":4: broker.proxy_password_file: ");
    refuse(text, "holds more than 255 bytes");
    write_file(proxy_path, many, 258, 0600);
    refuse(text, "holds more than 255 bytes");
    many[255] = '\n';
    write_file(proxy_path, many, 258, 0600); /* a second line */
    refuse(text, "holds more than 255 bytes");
    memcpy(many + 255, "\r\nx", 3);
    write_file(proxy_path, many, 258, 0600);
    refuse(text, "holds more than 255 bytes");
    write_file(proxy_path, "hunter2", 7, 0644);
    refuse(text, "can be read by everybody");
    unlink(proxy_path);
    refuse(text, "No such file");
}

static void a_hidden_character_is_a_warning(void **state)
{
    struct config *config = load_with_file(" hunter2", 8);

    (void)state;
    assert_int_equal(config->warning_count, 1);
    assert_non_null(strstr(config->warnings[0], "broker.proxy_password_file"));
    assert_non_null(strstr(config->warnings[0], "remove the blank if the proxy refuses it"));
    config_free(config);
    unlink(proxy_path);
}

static void the_password_is_a_credential(void **state)
{
    struct config *config;

    (void)state;
    setenv("CREDENTIALS_DIRECTORY", directory, 1);
    snprintf(proxy_path, sizeof(proxy_path), "%s/" CONFIG_PROXY_SECRET, directory);
    write_file(proxy_path, "hunter2\n", 8, 0600);
    config = load(BROKER USER SESSION);
    assert_string_equal(config->broker.proxy_password, "hunter2");
    assert_null(config->broker.password);
    config_free(config);
    /* Without a proxy the password is not read. */
    config = load(BROKER SESSION);
    assert_null(config->broker.proxy_password);
    config_free(config);
    refuse(PROXY("http://proxy:3128"), ":3: broker.proxy: names no user, and there is a password");
    write_file(proxy_path, "\n", 1, 0600);
    refuse(BROKER USER SESSION, " credential foxtrackrd.proxy-password: ");
    unlink(proxy_path);
    config = load(BROKER USER SESSION);
    assert_null(config->broker.proxy_password);
    config_free(config);
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void assert_doubted(struct config *config, const char *says)
{
    assert_int_equal(config->warning_count, 1);
    assert_non_null(strstr(config->warnings[0], says));
    assert_null(strstr(config->warnings[0], "changeme"));
    config_free(config);
}

static void placeholders_are_doubted(void **state)
{
    (void)state;
    assert_doubted(load(PROXY("http://proxy.example.com:3128")),
                   ":3: broker.proxy: reads like a placeholder");
    assert_doubted(load(PROXY("http://your-user@proxy:3128")), ":3: broker.proxy: reads like a");
    assert_doubted(load_with_file("changeme", 8),
                   ":4: broker.proxy_password_file: the password reads like a placeholder");
    unlink(proxy_path);
}

static void a_password_needs_a_proxy(void **state)
{
    (void)state;
    refuse(BROKER "proxy_password_file = /x\n" SESSION,
           ":3: broker.proxy_password_file: needs proxy");
    /* One mistake is one problem. */
    refuse(BROKER "proxy = x\nproxy_password_file = /x\n" SESSION, ":3: broker.proxy: is not the");
}

static void differences_are_told(void **state)
{
    struct config *one = load(PROXY("http://me@proxy:3128"));
    struct config *other;
    char names[200];

    (void)state;
    other = load(PROXY("HTTP://me@proxy:3128/"));
    assert_int_equal(config_needs_restart(one, other, names, sizeof(names)), 0);
    config_free(other);
    other = load(PROXY("http://you@proxy:3128"));
    assert_int_equal(config_needs_restart(one, other, names, sizeof(names)), 1);
    assert_string_equal(names, "broker.proxy");
    config_free(other);
    other = load(BROKER SESSION);
    assert_int_equal(config_needs_restart(one, other, names, sizeof(names)), 1);
    assert_int_equal(config_needs_restart(other, one, names, sizeof(names)), 1);
    config_free(other);
    config_free(one);

    one = load_with_file("hunter2", 7);
    other = load_with_file("hunter3", 7);
    assert_int_equal(config_needs_restart(one, other, names, sizeof(names)), 1);
    assert_string_equal(names, "the password for the proxy");
    config_free(other);
    config_free(one);
    unlink(proxy_path);
}

static int set_up(void **state)
{
    int result = make_directory(state);

    snprintf(proxy_path, sizeof(proxy_path), "%s/proxy", directory);
    return result;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_taken),
        cmocka_unit_test(without_the_key_there_is_none),
        cmocka_unit_test(urls_are_refused),
        cmocka_unit_test(the_password_is_in_a_file),
        cmocka_unit_test(a_hidden_character_is_a_warning),
        cmocka_unit_test(placeholders_are_doubted),
        cmocka_unit_test(a_password_needs_a_proxy),
        cmocka_unit_test(differences_are_told),
        cmocka_unit_test(the_password_is_a_credential),
    };

    return cmocka_run_group_tests_name("the proxy of a configuration", tests, set_up,
                                       remove_directory);
}
