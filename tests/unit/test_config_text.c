/*
 * The text of values: what belongs to one and what does not, how topic filters are listed, and what
 * is said of a password that is not what it looks like.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "config_fixture.h"

static void assert_filters(const char *lines, const char *const *wanted, size_t count)
{
    char text[1024];
    struct config *config;
    size_t doubts = 0;

    snprintf(text, sizeof(text), BROKER SESSION "%s", lines);
    config = load(text);
    assert_int_equal(config->sessions[0].filter_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(config->sessions[0].filters[i], wanted[i]);
        doubts += wanted[i][0] == '/';
    }
    assert_int_equal(config->warning_count, doubts);
    config_free(config);
}

#define ASSERT_FILTERS(lines, ...)                                                                 \
    assert_filters(lines, (const char *const[]){__VA_ARGS__},                                      \
                   sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void test_filters(void **state)
{
    (void)state;
    ASSERT_FILTERS("filters = a/+/c,b/#\n    # a comment between\n    ; and another\n"
                   "    +, $SYS/x \n\t/\nqos = 1\n",
                   "a/+/c", "b/#", "+", "$SYS/x", "/");
    ASSERT_FILTERS("filters =\n  a\n  b\n", "a", "b");
    ASSERT_FILTERS("filters =\r\n  a,\r\n  b,,\r\n", "a", "b");
    ASSERT_FILTERS("filters = #\n", "#");
    ASSERT_FILTERS("filters=#\n", "#");
    ASSERT_FILTERS("filters = a,#\n", "a", "#");
    ASSERT_FILTERS("filters = a\n \\#\n", "a", "#");
    ASSERT_FILTERS("filters: a\n", "a");
    ASSERT_FILTERS("filters = foxtrackr/North Herd/#\n", "foxtrackr/North Herd/#");
    ASSERT_FILTERS("filters = foxtrackr/North Herd/V3.0/bat, foxtrackr/a b c/#\n",
                   "foxtrackr/North Herd/V3.0/bat", "foxtrackr/a b c/#");
    ASSERT_FILTERS("filters = foxtrackr/a \\;b/#\n", "foxtrackr/a ;b/#");
    ASSERT_FILTERS("filters = a\\,b, c\\\\,d, e\\f\n", "a,b", "c\\,d", "e\\f");
    ASSERT_FILTERS("filters = foxtrackr/J\xc3\xbcrgens Hof/#\n", "foxtrackr/J\xc3\xbcrgens Hof/#");
    ASSERT_FILTERS("filters = $share/group/foxtrackr/North Herd/#\n",
                   "$share/group/foxtrackr/North Herd/#");
    ASSERT_FILTERS("filters = a;b/\"c\", d=e\n", "a;b/\"c\"", "d=e");
}

/* A backslash escapes characters that could be a comment or a quote; any other backslash is
 * literal.
 */
static void test_escapes(void **state)
{
    static const struct {
        const char *written;
        const char *meant;
    } texts[] = {
        {"a \\# b", "a # b"},
        {"a \\; b", "a ; b"},
        {"\\#1", "#1"},
        {"\\;1", ";1"},
        {"\\\\#1", "\\#1"},
        {"a \\\\\\;", "a \\\\;"},
        {"\\\"a\"", "\"a\""},
        {"\\'a'", "'a'"},
        {"\\\xe2\x80\x9c"
         "a",
         "\xe2\x80\x9c"
         "a"},
        {"a#;b", "a#;b"},
        {"DOMAIN\\#user", "DOMAIN\\#user"},
        {"\\\\server\\user", "\\\\server\\user"},
        {"a \\b \\\"c", "a \\b \\\"c"},
        {"it's", "it's"},
        {"  a  ", "a"},
    };
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct config *config;

        snprintf(text, sizeof(text), BROKER "username =%s\n" SESSION, texts[i].written);
        config = load(text);
        assert_string_equal(config->broker.username, texts[i].meant);
        config_free(config);
    }
}

static const char *const refused_texts[][2] = {
    {BROKER "username = ;hunter2\n", ":3: broker.username: a comment behind a value would become"},
    {BROKER "username = me ; you\n", "put it on a line of its own, or write \\; for a ; that"},
    {BROKER "username = me # you\n", "put it on a line of its own, or write \\# for a # that"},
    {BROKER "username = me\t# you\n", ":3: broker.username: a comment behind a value"},
    {BROKER "username = me\tyou\n", ":3: broker.username: holds a tab"},
    {BROKER "username = \"me\"\n", ":3: broker.username: begins with a quotation mark"},
    {BROKER "username = \xe2\x80\x9cme\xe2\x80\x9d\n", "begins with a quotation mark"},
    {BROKER "username = me\xc2\xa0\n",
     ":3: broker.username: begins or ends with the character U+00A0"},
    {BROKER "username = \xef\xbb\xbfme\n", "the character U+FEFF"},
    {BROKER "username\xc2\xa0= me\n",
     ":3: the character U+00A0 in front of the = looks like a blank"},
    {BROKER "\xe2\x80\x8busername = me\n", ":3: the character U+200B in front of the ="},
    {BROKER "ca_file = /a b # c\n", ":3: broker.ca_file: a comment behind"},
    {BROKER "[session]\nclient_id = x   # any id\n", ":4: session.client_id: a comment behind"},
    {BROKER SESSION "[fields]\nbattery.voltage_v = battery.v * 0.1 # mV\n",
     ":6: fields.battery.voltage_v: a comment behind"},
};

static const struct {
    const char *section; /* what comes before and is right */
    const char *line;
    const char *says;
} refused_values[] = {
    {BROKER, "ca_file = \"/ca.pem\"", "begins with a quotation mark"},
    {"[broker]\n", "host = mqtts://x", ":2: broker.host: \"mqtts://x\" is a URL"},
    {"[broker]\n", "host = x:1883", "holds a port"},
    {"[broker]\n", "host = [::1]", "without brackets"},
    {"[broker]\n", "host = \"x\"", ":2: broker.host: begins with a quotation mark"},
    {"[broker]\n", "host = x y", "neither a host name nor an IP address"},
    {"[broker]\n", "host = a..b", "neither a host name nor an IP address"},
    {"[broker]\n", "host = me@x", "holds a user"},
    {"[broker]\n", "host = mqtts://me:hush@x", ":2: broker.host: \"@x\" is a URL"},
    {"[broker]\n", "host = me:hush@x", ":2: broker.host: \"@x\" holds a user"},
    {"[broker]\n", "host = x/mqtt", "is a URL"},
    {"[broker]\n", "host = fe80::1%", "is no IPv6 address with a zone behind it"},
    {"[broker]\n", "host = [::1]:8883", "without brackets"},
    {"[broker]\n", "host = 010.0.0.1", "is no IPv4 address"},
    {"[broker]\n", "host = 127.1", "is no IPv4 address"},
    {"[broker]\n", "host = 256.0.0.1", "is no IPv4 address"},
    {BROKER SESSION, "filters = a/#/b", "\"a/#/b\" is not a topic filter: # may only"},
    {BROKER SESSION, "filters = a#", "# may only be the whole last level"},
    {BROKER SESSION, "filters = a/+b", "+ may only be a whole level"},
    {BROKER SESSION, "filters = a+/b", "+ may only be a whole level"},
    {BROKER SESSION, "filters = a, b, a", "\"a\" is listed twice: remove one"},
    {BROKER SESSION, "filters = a/V3.0/bat   # only the batteries",
     ":5: session.filters: a comment"},
    {BROKER SESSION, "filters = a/# # everything", "session.filters: a comment behind"},
    {BROKER SESSION, "filters = a, # everything", "session.filters: a comment behind"},
    {BROKER SESSION, "filters = a ; everything", "session.filters: a comment behind"},
    {BROKER SESSION, "filters = \"a/#\"", "session.filters: begins with a quotation mark"},
    {BROKER SESSION, "filters = a\tb", "session.filters: holds a tab"},
    {BROKER SESSION,
     "filters = a, \xc2\xa0"
     "b",
     "session.filters: begins or ends with the char"},
    {BROKER SESSION, "filters = a b", "\"a b\" reads like several filters with a blank between"},
    {BROKER SESSION, "filters = a/# b/#",
     "separate filters with a comma (a/#, b/#), or write each"},
    {BROKER SESSION, "filters = a/# a/#", "reads like several filters"},
    {BROKER SESSION, "filters = foxtrackr/+/V3.0/bat foxtrackr/+/V3.0/temp",
     "(foxtrackr/+/V3.0/bat, foxtrackr/+/V3.0/temp)"},
    {BROKER SESSION, "filters = foxtrackr/1/V3.0/bat foxtrackr/#", "reads like several filters"},
    {BROKER SESSION, "filters = foxtrackr/1/V3.0/bat weather/1/V3.0/temp, c", "reads like several"},
    {BROKER SESSION, "filters = foxtrackr/North Herd/a#", "\"foxtrackr/North Herd/a#\" is not a"},
    {BROKER SESSION, "filters = $share//a", "a shared subscription is written $share/NAME/FILTER"},
    {BROKER SESSION, "filters = $share/g", "a shared subscription is written $share/NAME/FILTER"},
    {BROKER SESSION, "filters = $share/g/", "a shared subscription is written $share/NAME/FILTER"},
    {BROKER SESSION, "filters = $share/+/a", "a shared subscription is written $share/NAME/FILTER"},
    {BROKER SESSION, "filters = $share/g/a#", "# may only be the whole last level"},
    {BROKER SESSION, "filters = a, #/b", "session.filters: a comment behind"},
};

static void test_refused(void **state)
{
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof(refused_texts) / sizeof(refused_texts[0]); i++) {
        refuse(refused_texts[i][0], refused_texts[i][1]);
    }
    for (size_t i = 0; i < sizeof(refused_values) / sizeof(refused_values[0]); i++) {
        snprintf(text, sizeof(text), "%s%s\n", refused_values[i].section, refused_values[i].line);
        refuse(text, refused_values[i].says);
    }
}

/* Invisible or unexpected characters in a password cause a warning. */
static void test_password_warnings(void **state)
{
    static const struct {
        const char *bytes;
        const char *password;
        const char *says; /* NULL: nothing */
    } files[] = {
        {"hunter2\r\n", "hunter2", NULL},
        {"two words", "two words", NULL},
        {"\xef\xbb\xbfhunter2\n", "hunter2", "begins with a byte order mark, which is not taken"},
        {"hunter2 \n", "hunter2 ", "begins or ends with a blank, which is part of it: remove"},
        {" hunter2\n", " hunter2", "begins or ends with a blank"},
        {"hunter2\xc2\xa0\n", "hunter2\xc2\xa0", "begins or ends with a blank"},
        {"hun\ter2\n", "hun\ter2", "holds a control character, which is part of it"},
    };
    char text[256];
    struct config *config;

    (void)state;
    snprintf(text, sizeof(text), BROKER "username = me\npassword_file = %s\n" SESSION, secret_path);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        write_file(secret_path, files[i].bytes, strlen(files[i].bytes), 0640);
        config = load(text);
        assert_string_equal(config->broker.password, files[i].password);
        assert_int_equal(config->warning_count, files[i].says != NULL);
        if (files[i].says != NULL) {
            assert_non_null(strstr(config->warnings[0], ":4: broker.password_file: /tmp/"));
            assert_non_null(strstr(config->warnings[0], files[i].says));
            assert_null(strstr(config->warnings[0], "hun"));
        }
        config_free(config);
    }
    config = load(BROKER "username = me\npassword = hunter2  \n" SESSION);
    assert_string_equal(config->broker.password, "hunter2");
    assert_int_equal(config->warning_count, 1);
    assert_non_null(
        strstr(config->warnings[0], ":4: broker.password: the blanks behind it are not"));
    config_free(config);
    config = load(BROKER "username = me  \npassword = hunter2\r\n" SESSION);
    assert_int_equal(config->warning_count, 0);
    config_free(config);
}

/* A character that only looks like a blank is within a value what it is, and said. */
static void test_lookalikes_within(void **state)
{
    struct config *config = load(BROKER SESSION "filters = a, foxtrackr/North\xc2\xa0Herd/#\n");

    (void)state;
    assert_string_equal(config->sessions[0].filters[1], "foxtrackr/North\xc2\xa0Herd/#");
    assert_int_equal(config->warning_count, 1);
    assert_non_null(strstr(config->warnings[0], ":5: session.filters: holds the character U+00A0"));
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters),           cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_refused),           cmocka_unit_test(test_lookalikes_within),
        cmocka_unit_test(test_password_warnings),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
