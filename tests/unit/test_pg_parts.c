/* Goal: the pure parts of the PostgreSQL engine: what an SQLSTATE means, why there is no
 * connection, which JSON is taken, arrays in binary, keys of locks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgresql/arrays_internal.h"
#include "store/postgresql/devices_internal.h"
#include "store/postgresql/json_internal.h"
#include "store/postgresql/postgresql_internal.h"

static void test_errors(void **state)
{
    static const struct {
        const char *state;
        int result, opening;
        bool close;
        bool content;
    } cases[] = {
        {"", STORE_E_RETRY, STORE_E_WAIT, true, false},       /* lost connection */
        {"08006", STORE_E_RETRY, STORE_E_WAIT, true, false},  /* connection failure */
        {"57P01", STORE_E_RETRY, STORE_E_WAIT, true, false},  /* shutdown */
        {"57P02", STORE_E_RETRY, STORE_E_WAIT, true, false},  /* crash */
        {"57P03", STORE_E_RETRY, STORE_E_WAIT, true, false},  /* starting up */
        {"57P04", STORE_FATAL, STORE_E_PATH, true, false},    /* database dropped */
        {"57P05", STORE_E_RETRY, STORE_E_WAIT, true, false},  /* idle session */
        {"57014", STORE_E_RETRY, STORE_E_WAIT, false, false}, /* cancelled */
        {"25006", STORE_E_RETRY, STORE_E_WAIT, true, false},  /* read-only */
        {"25P02", STORE_E_RETRY, STORE_E_WAIT, false, false}, /* failed transaction */
        {"40001", STORE_E_RETRY, STORE_E_WAIT, false, false}, /* serialisation */
        {"40P01", STORE_E_RETRY, STORE_E_WAIT, false, false}, /* deadlock */
        {"55P03", STORE_E_RETRY, STORE_E_WAIT, false, false}, /* lock_timeout */
        {"53100", STORE_E_RETRY, STORE_E_WAIT, false, false}, /* disk full */
        {"53300", STORE_E_RETRY, STORE_E_WAIT, true, false},  /* too many connections */
        {"28P01", STORE_E_RETRY, STORE_E_PATH, true, false},  /* password */
        {"3D000", STORE_E_RETRY, STORE_E_PATH, true, false},  /* no such database */
        {"42501", STORE_E_RETRY, STORE_E_PATH, false, false}, /* privilege */
        {"23514", STORE_E_RETRY, STORE_E_WAIT, false, true},  /* a month was dropped meanwhile */
        {"58030", STORE_FATAL, STORE_E_PATH, true, false},    /* I/O error */
        {"XX001", STORE_FATAL, STORE_E_PATH, true, false},    /* corruption */
        {"XX002", STORE_FATAL, STORE_E_PATH, true, false},
        {"42P01", STORE_FATAL, STORE_E_PATH, false, false},   /* no such table */
        {"23505", STORE_E_RETRY, STORE_E_WAIT, false, true},  /* an index of somebody */
        {"P0001", STORE_E_RETRY, STORE_E_WAIT, false, false}, /* a trigger of somebody */
        {"22P02", STORE_FATAL, STORE_E_PATH, false, true},    /* a value: unless it is a row's */
        {"54000", STORE_FATAL, STORE_E_PATH, false, true},    /* a size */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pg_class class = pg_classify(cases[i].state);

        if (class.result != cases[i].result || class.opening != cases[i].opening ||
            class.close != cases[i].close || class.content != cases[i].content) {
            fail_msg("%s: %d, %d, %d", cases[i].state, class.result, class.opening, class.close);
        }
    }
}

#define CLOSED(where)                                                                              \
    "connection to server at " where " failed: Connection refused\n"                               \
    "\tIs the server running on that host and accepting TCP/IP connections?\n"
#define FAILED(where, why) "connection to server at " where " failed: " why "\n"
#define IPV4               "\"localhost\" (127.0.0.1), port 5432"
#define IPV6               "\"localhost\" (::1), port 5432"
#define CERTIFICATE        "SSL error: certificate verify failed"
#define PASSWORD                                                                                   \
    "FATAL:  28P01: password authentication failed for user \"a\"\n"                               \
    "LOCATION:  auth_failed, auth.c:326"

/* libpq's texts, of hosts and names with several addresses. */
static void test_reasons(void **state)
{
    static const char uri[] = "postgresql://a@localhost/x?sslmode=verify-full";
    static const struct {
        const char *text, *line, *advice; /* how both begin; NULL: none */
        int result;
    } cases[] = {
        {FAILED(IPV4, CERTIFICATE) CLOSED(IPV6), FAILED(IPV4, CERTIFICATE), "without sslrootcert",
         STORE_E_WAIT},
        {CLOSED(IPV6) FAILED(IPV4, CERTIFICATE), FAILED(IPV4, CERTIFICATE), "without sslrootcert",
         STORE_E_WAIT},
        {CLOSED(IPV6) FAILED(IPV4, PASSWORD),
         "connection to server at " IPV4 " failed: FATAL:  password", "check the user",
         STORE_E_PATH},
        {CLOSED(IPV6) FAILED(IPV4, "fe_sendauth: no password supplied"),
         FAILED(IPV4, "fe_sendauth: no password supplied"),
         "set database.password_file, or the credential foxtrackrd.postgresql", STORE_E_PATH},
        {FAILED(IPV4, "timeout expired") CLOSED(IPV6), FAILED(IPV4, "timeout expired"), NULL,
         STORE_E_WAIT},
        {CLOSED(IPV6) CLOSED(IPV4), "connection to server at " IPV4 " failed: Connection refused",
         NULL, STORE_E_WAIT},
        {FAILED(IPV6, "timeout expired") FAILED(IPV4, "No route to host"),
         FAILED(IPV4, "No route to host"), NULL, STORE_E_WAIT},
        {FAILED(IPV4, "session is read-only"), FAILED(IPV4, "session is read-only"),
         "it is a standby, or its role or database has default_transaction_read_only = on",
         STORE_E_WAIT},
        /* The primary is away: of two hosts a standby is as it should be. */
        {FAILED("\"10.0.0.2\", port 5432", "session is read-only")
             CLOSED("\"10.0.0.1\", port 5432"),
         "connection to server at \"10.0.0.1\", port 5432 failed: Connection refused", NULL,
         STORE_E_WAIT},
        /* The primary may be the one that is away. */
        {CLOSED("\"10.0.0.1\", port 5432") FAILED("\"10.0.0.2\", port 5432", PASSWORD),
         "connection to server at \"10.0.0.2\", port 5432 failed: FATAL:  password",
         "check the user", STORE_E_WAIT},
        {"could not translate host name \"b\" to address: Name or service not known\n",
         "could not translate host name \"b\"", NULL, STORE_E_WAIT},
        {"invalid sslmode value: \"verify\"\n", "invalid sslmode value", "mend database.uri",
         STORE_E_PATH},
        {"could not match 2 port numbers to 3 hosts\n", "could not match 2", "mend database.uri",
         STORE_E_PATH},
        {"connection to server on socket \"/run/postgresql/.s.PGSQL.5432\" failed: No such file or "
         "directory\n\tIs the server running locally and accepting connections on that socket?\n",
         "connection to server on socket", NULL, STORE_E_WAIT},
        {"out of memory", "out of memory", NULL, STORE_E_WAIT},
    };
    struct pg_reason reason;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *advice = cases[i].advice;

        pg_reason_find(cases[i].text, uri, &reason);
        if (reason.result != cases[i].result ||
            strncmp(reason.line, cases[i].line, strcspn(cases[i].line, "\n")) != 0 ||
            strchr(reason.line, '\n') != NULL || (reason.advice == NULL) != (advice == NULL) ||
            (advice != NULL && strncmp(reason.advice, advice, strlen(advice)) != 0)) {
            fail_msg("%s: %d, %s; %s", cases[i].text, reason.result, reason.line,
                     reason.advice != NULL ? reason.advice : "");
        }
    }
    pg_reason_find("invalid URI query parameter: \"sslrotcert\"\n",
                   "postgresql://a@h/x?sslrotcert=y", &reason);
    assert_int_equal(reason.result, STORE_E_PATH);
    assert_string_equal(reason.line, "invalid URI query parameter: \"sslrotcert\"");
    pg_reason_find(FAILED(IPV4, PASSWORD), uri, &reason);
    assert_string_equal(reason.state, "28P01");
}

static void test_json(void **state)
{
    static const char *const good[] = {
        "{}",
        "[]",
        "1",
        "\"\\u00e9\"",
        "{\"a\":\"\\ud83d\\ude00\"}",
        "\"\\\\u0000\"",
        "1e1000",
        "-1E-1000",
        "0.001",
        "{\"a\":[{\"b\":\"\\\"\"}]}",
        "\"\xc3\xa4\"",
        "true",
    };
    static const char *const bad[][2] = {
        {"\"\\u0000\"", "\\u0000"},
        {"{\"a\\u0000\":1}", "\\u0000"},
        {"\"\\ud800\"", "surrogate"},
        {"\"\\ud800x\"", "surrogate"},
        {"\"\\ud800\\u0041\"", "surrogate"},
        {"\"\\udc00\"", "surrogate"},
        {"{\"a\":[\"\\\\\\udfff\"]}", "surrogate"},
        {"1e1001", "exponent"},
        {"[1, -2.5e-99999999999999999999]", "exponent"},
    };
    char digits[1200];
    char deep[1100];
    const char *why;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!json_allowed(good[i], strlen(good[i]), &why)) {
            fail_msg("%s: %s", good[i], why);
        }
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (json_allowed(bad[i][0], strlen(bad[i][0]), &why) || strstr(why, bad[i][1]) == NULL) {
            fail_msg("%s: taken, or for another reason", bad[i][0]);
        }
    }
    memset(digits, '1', sizeof(digits));
    assert_true(json_allowed(digits, 1000, &why));
    assert_false(json_allowed(digits, 1001, &why));
    memset(deep, '[', 513);
    memset(deep + 513, ']', 513);
    assert_false(json_allowed(deep, 1026, &why));
    assert_true(json_allowed(deep + 1, 1024, &why));
    assert_true(json_allowed("", 0, &why));
    /* Cut anywhere: never read past the end. */
    for (size_t length = 0; length < 24; length++) {
        char *cut = malloc(length > 0 ? length : 1);

        assert_non_null(cut);
        memcpy(cut, "{\"a\":\"\\ud83d\\ude00\\u0041\"", length);
        json_allowed(cut, length, &why);
        free(cut);
    }
}

static void test_arrays(void **state)
{
    static const char wanted[] = "\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\3\0\0\0\1"
                                 "\0\0\0\2ab\377\377\377\377\0\0\0\0";
    struct pg_array array = {0};
    struct pg_args args = {.count = 0};

    (void)state;
    for (int round = 0; round < 2; round++) {
        args.count = 0;
        array_begin(&array, ARRAY_TEXT);
        array_bytes(&array, "ab", 2);
        array_bytes(&array, NULL, 5);
        array_bytes(&array, "", 0);
        assert_true(array_arg(&array, &args));
        assert_int_equal(args.lengths[0], sizeof(wanted) - 1);
        assert_memory_equal(args.values[0], wanted, sizeof(wanted) - 1);
    }
    array_begin(&array, ARRAY_INT8);
    for (int i = 0; i < 1000; i++) {
        array_int8(&array, i);
    }
    args.count = 0;
    assert_true(array_arg(&array, &args));
    assert_int_equal(args.lengths[0], 20 + 1000 * 12);
    array_free(&array);
}

static void test_lock_keys(void **state)
{
    (void)state;
    assert_int_equal(pg_lock_key("session", "b:1", "id"), pg_lock_key("session", "b:1", "id"));
    assert_int_not_equal(pg_lock_key("session", "b:1", "id"), pg_lock_key("session", "b:1", "ie"));
    assert_int_not_equal(pg_lock_key("session", "b:1", "id"), pg_lock_key("session", "b:", "1id"));
    assert_int_not_equal(pg_lock_key("migrate", "", ""), pg_lock_key("months", "", ""));
}

static void test_devices(void **state)
{
    struct pg_devices *devices = devices_new();

    (void)state;
    assert_non_null(devices);
    assert_int_equal(devices_find(devices, "f", "a"), 0);
    devices_note(devices, "f", "a", 7);
    devices_note_group(devices, "g", 7);
    assert_int_equal(devices_find(devices, "f", "a"), 7);
    devices_settle(devices, true);
    assert_int_equal(devices_find(devices, "f", "a"), 7);
    assert_int_equal(devices_find(devices, "fa", ""), 0);
    assert_true(devices_in_group(devices, "g", 7));
    assert_false(devices_in_group(devices, "g", 8));
    /* Devices that a rolled-back transaction has added are not known. */
    devices_note(devices, "f", "b", 8);
    devices_settle(devices, false);
    assert_int_equal(devices_find(devices, "f", "b"), 0);
    for (int i = 1; i < 120000; i++) {
        char name[16];

        snprintf(name, sizeof(name), "%d", i);
        devices_note(devices, "f", name, i);
        assert_int_equal(devices_find(devices, "f", name) == i, true);
        devices_settle(devices, true);
    }
    devices_free(devices);
    devices_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),    cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_json),      cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_lock_keys), cmocka_unit_test(test_devices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
