/*
 * Bodies: the reader agrees with jansson on everything that is in tests/cases and below, on numbers
 * to the bit, and on each beginning of a good payload; with long and with many values, too.
 */
#include <dirent.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../jansson_body.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Compares the readers on a copy of exactly that size, so that a sanitizer sees a read beyond it.
 */
static void check(const char *json, size_t length)
{
    char *exact = malloc(length > 0 ? length : 1);
    const char *answer;

    assert_non_null(exact);
    memcpy(exact, json, length);
    answer = jansson_disagrees(exact, length);
    if (answer) {
        fail_msg("%s: %.*s", answer, length > 300 ? 300 : (int)length, json);
    }
    free(exact);
}

static char *print(struct foxtrackr__body *body)
{
    struct foxtrackr__text text = {0};

    foxtrackr__body_print(&text, body->root, NULL);
    foxtrackr__text_add(&text, "", 1);
    assert_false(text.failed);
    return text.data;
}

static const char *const bodies[] = {
    "{\"a\":1}",
    " { \"a\" : -1 ,\r\n\t\"b\" : { } } \n",
    "{\"b\":{\"d\":1,\"c\":{\"e\":\"\"}},\"a\":true,\"\":false,\"z\":null}",
    "{\"a\":0,\"b\":-0,\"c\":0.0,\"d\":-0.0,\"e\":10,\"f\":1.0,\"g\":-12.50}",
    "{\"a\":999999999999999999,\"b\":-999999999999999999,\"c\":0.00000000000001}",
    "{\"a\":99999999999999.9,\"b\":-9.99999999999999,\"c\":123456789.012345}",
    "{\"a\":9223372036854775807,\"b\":-9223372036854775808,\"c\":1000000000000000000}",
    "{\"a\":9223372036854775808,\"b\":-9223372036854775809,\"c\":18446744073709551615}",
    "[1e-400,-1e-400,1e308,1e-99999999999999999999,0e99999999999999999999]",
    "{\"a b\":\"x/y ~!@#$%^&*()[]{}:,\",\"ab\":1,\"a\":2,\"aa\":3,\"B\":4}",
    "{\"a\":[],\"b\":[1,[2,[\"3\"]],{\"c\":null}],\"c\":[[],[]]}",
    "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e4\\u20AC\\uD83D\\uDE00 \x7f\"}",
    "{\"\\u0061\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\",\"\xc3\xa4\":\"\\u00e4\"}",
    "{\"a\":1,\"\\u0061\":2}",
    "5",
    "\"text\"",
    "true",
    "",
    " ",
    "{",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{,}",
    "{\"a\" 1}",
    "{a:1}",
    "{\"a\":1}}",
    "{\"a\":1} x",
    "{\"a\":1,\"a\":2}",
    "{\"a\":1,\"b\":{\"c\":1,\"d\":2,\"c\":3}}",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1}",
    "{\"a\":1]",
    "{\"a\":\"\t\"}",
    "{\"a\":\"\n\"}",
    "{\"a\":\"x}",
    "{\"a\":\"x\\",
    "{\"a\":\"x\\\"",
    "{\"a\":\"\\x\"}",
    "{\"a\":\"\\u12\"}",
    "{\"a\":\"\\u12g4\"}",
    "{\"a\":\"\\ud800\"}",
    "{\"a\":\"\\ud800\\u0041\"}",
    "{\"a\":\"\\ud800\\ud800\"}",
    "{\"a\":\"\\udc00\\ud800\"}",
    "{\"a\":\"\\u0000\"}",
    "{\"\\u0000\":1}",
    "{\"a\":\"\\u0000\\ud800\"}",
    "{\"a\":\"\\u0000\\x\"}",
    "{\"a\":\"\\ud800\\u0000\"}",
    "{\"a\":\"\\u0000\",}",
    "{\"a\":1,,\"b\":\"\\u0000\"}",
    "{\"a\":1,\"a\":\"\\u0000\"}",
    "{\"a\":01}",
    "{\"a\":00}",
    "{\"a\":-}",
    "{\"a\":-01}",
    "{\"a\":+1}",
    "{\"a\":.5}",
    "{\"a\":5.}",
    "{\"a\":-.5}",
    "{\"a\":1e}",
    "{\"a\":1e+}",
    "{\"a\":1e3}",
    "{\"a\":1.5E3}",
    "{\"a\":1.5.5}",
    "{\"a\":1.e5}",
    "{\"a\":0x1}",
    "{\"a\":1.234567890123456}",
    "{\"a\":1234567890123456.5}",
    "{\"a\":123456789012345678901234567890.5}",
    "{\"a\":1e400}",
    "[1,-1e400]",
    "[1e99999999999999999999]",
    "[1e309,\"\\u0000\"]",
    "[\"\\u0000\",1e309]",
    "{\"a\":tru}",
    "{\"a\":truex}",
    "{\"a\":nul}",
    "{\"a\":NaN}",
    "{\"a\":Infinity}",
    "\xef\xbb\xbf{\"a\":1}",
    "{\"a\":\"\xef\xbb\xbf\"}",
    "{\"a\":\"\xff\"}",
    "{\"a\":\"\xed\xa0\x80\"}",
    "{\"a\":\"\xc3\"}",
    "{\"a\":1,,\"b\":\"\xff\"}",
};

static void test_both_read_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        check(bodies[i], strlen(bodies[i]));
    }
    check("{\"a\0b\":1}", 9);
    check("{\"a\":1}\0", 8);
}

/* Every body above, broken off after each byte and with each byte replaced. */
static void test_each_beginning_and_each_change(void **state)
{
    static const char replacements[] = "\"\\{}[],:0-.eu \xff";

    (void)state;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        size_t length = strlen(bodies[i]);
        char *copy = strdup(bodies[i]);

        assert_non_null(copy);
        for (size_t at = 0; at < length; at++) {
            char kept = copy[at];

            check(copy, at);
            for (size_t r = 0; r < sizeof(replacements); r++) {
                copy[at] = replacements[r];
                check(copy, length);
            }
            copy[at] = kept;
        }
        free(copy);
    }
}

static void test_both_read_the_cases_the_same(void **state)
{
    static char payload[1 << 20];
    char path[1024];
    struct dirent *entry;
    int count = 0;
    DIR *directory;

    (void)state;
    snprintf(path, sizeof(path), "%s/tests/cases",
             getenv("FOXTRACKR_ROOT") ? getenv("FOXTRACKR_ROOT") : ".");
    directory = opendir(path);
    assert_non_null(directory);
    while ((entry = readdir(directory))) {
        char name[2048];
        FILE *file;

        if (!strstr(entry->d_name, ".payload")) {
            continue;
        }
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        file = fopen(name, "rb");
        assert_non_null(file);
        check(payload, fread(payload, 1, sizeof(payload), file));
        fclose(file);
        count++;
    }
    closedir(directory);
    assert_true(count > 300);
}

/* More values than the body's own, more members than are compared one by one, and longer decoded
 * strings than fit into the body. */
static void test_large_bodies(void **state)
{
    static char json[200000];

    (void)state;
    for (int values = 1; values < 400; values += values < 70 ? 1 : 67) {
        size_t length = (size_t)sprintf(json, "{\"list\":[0");

        for (int i = 1; i < values; i++) {
            length += (size_t)sprintf(json + length, ",%d", i);
        }
        length += (size_t)sprintf(json + length, "],\"members\":{\"m0\":0");
        for (int i = 1; i < values; i++) {
            length += (size_t)sprintf(json + length, ",\"m%d\":\"\\n\"", i * 7919 % 10007);
        }
        length += (size_t)sprintf(json + length, "}}");
        check(json, length);
        /* the same name again, at the end and before another fault */
        length += (size_t)sprintf(json + length - 2, ",\"m0\":1}}") - 2;
        check(json, length);
        length += (size_t)sprintf(json + length - 2, ",\"z\":\"\\u0000\"}}") - 2;
        check(json, length);
    }
    for (size_t size = 900; size < 1200; size++) {
        size_t length = (size_t)sprintf(json, "[\"\\n");

        memset(json + length, 'x', size);
        length += size;
        length += (size_t)sprintf(json + length, "\",\"\\ty\",\"z\",\"\\u00e4\"]");
        check(json, length);
    }
}

static void test_depth(void **state)
{
    static char json[4000];

    (void)state;
    for (size_t depth = FOXTRACKR__DEPTH_MAX - 1; depth <= FOXTRACKR__DEPTH_MAX + 1; depth++) {
        memset(json, '[', depth);
        memset(json + depth, ']', depth);
        check(json, 2 * depth);
        check(json, depth);
        memset(json + depth, ' ', 3);
        check(json, depth + 3);
    }
    check("[\"[[[[\"]", 8);
}

/* A hundred thousand members are read in the time of sorting them, and a duplicate is found. */
static void test_many_members_cost_no_square(void **state)
{
    enum { MEMBERS = 100000 };
    struct foxtrackr__text json = {0};
    struct foxtrackr_problem problem;
    struct foxtrackr__body body;
    char member[32];

    (void)state;
    for (int i = 0; i < MEMBERS; i++) {
        snprintf(member, sizeof(member), "%c\"m%06d\":%d", i == 0 ? '{' : ',', i * 7 % MEMBERS, i);
        foxtrackr__text_add_string(&json, member);
    }
    foxtrackr__text_add(&json, "}", 1);
    assert_int_equal(foxtrackr__body_read(&body, json.data, json.length, &problem), 0);
    assert_int_equal(body.root->count, MEMBERS);
    foxtrackr__body_clear(&body);
    json.length--;
    foxtrackr__text_add_string(&json, ",\"m000001\":1}");
    assert_int_equal(foxtrackr__body_read(&body, json.data, json.length, &problem),
                     FOXTRACKR_E_JSON);
    assert_non_null(strstr(problem.detail, "duplicate name at \"\"m000001\""));
    free(json.data);
}

/* To the bit what strtod() reads, for every number of digits before and after the point. */
static void test_fractions_are_exact(void **state)
{
    uint64_t random = 1;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        struct foxtrackr__value value;
        char digits[40];
        char text[64];
        const char *at = text;
        const char *end;
        double expected;
        int before = 1 + i % 20;
        int after = 1 + i / 20 % 19;

        for (int k = 0; k < before + after; k++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            digits[k] = (char)('0' + (random >> 33) % 10);
        }
        digits[0] = before > 1 && digits[0] == '0' ? '9' : digits[0];
        snprintf(text, sizeof(text), "%s%.*s.%.*s", i % 3 == 0 ? "-" : "", before, digits, after,
                 digits + before);
        if (i % 4 == 0) {
            snprintf(text + strlen(text), 8, "e%d", (int)(random >> 40) % 300);
        }
        end = text + strlen(text);
        expected = strtod(text, NULL);
        assert_true(foxtrackr__number_read(&at, end, &value));
        assert_ptr_equal(at, end);
        if (isfinite(expected) && fabs(expected) >= DBL_MIN) {
            assert_int_equal(value.kind, FOXTRACKR__REAL);
            assert_memory_equal(&value.real, &expected, sizeof(expected));
        }
    }
}

/* Longer than any rounding can depend on: a midpoint between two doubles, and a digit behind it. */
static void test_long_reals_are_rounded_once(void **state)
{
    char text[3000];

    (void)state;
    for (int zeros = 0; zeros < 2000; zeros += 7) {
        struct foxtrackr__value value;
        const char *at = text;
        double expected;
        size_t length = (size_t)snprintf(text, sizeof(text), "9007199254740993.");

        memset(text + length, '0', (size_t)zeros + 1);
        length += (size_t)zeros + 1;
        text[length++] = (char)('0' + zeros % 2);
        text[length] = '\0';
        expected = strtod(text, NULL);
        assert_true(foxtrackr__number_read(&at, text + length, &value));
        assert_memory_equal(&value.real, &expected, sizeof(expected));
    }
}

static void test_locale_does_not_matter(void **state)
{
    static const char json[] = "[1.5,1.5e1,1234567890123456.5]";
    struct foxtrackr_problem problem;
    struct foxtrackr__body body;

    (void)state;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8")) {
        print_message("no German locale on this machine, skipping\n");
        skip();
    }
    assert_int_equal(foxtrackr__body_read(&body, json, strlen(json), &problem), 0);
    setlocale(LC_NUMERIC, "C");
    assert_true(body.root->first->real == 1.5 && body.root->first->next->real == 15 &&
                body.root->first->next->next->real == 1234567890123456.5);
    foxtrackr__body_clear(&body);
}

/* More members than a reader keeps in its own room, in an order that is not sorted. */
static void test_many_members_are_sorted(void **state)
{
    enum { MEMBERS = 1000 };
    struct foxtrackr__text json = {0};
    struct foxtrackr_problem problem;
    struct foxtrackr__body body;
    char member[32];
    char *text;
    const char *at;

    (void)state;
    for (int i = 0; i < MEMBERS; i++) {
        snprintf(member, sizeof(member), "%c\"m%03d\":%d", i == 0 ? '{' : ',', i * 7 % MEMBERS, i);
        foxtrackr__text_add_string(&json, member);
    }
    foxtrackr__text_add(&json, "}", 1);
    assert_int_equal(foxtrackr__body_read(&body, json.data, json.length, &problem), 0);
    assert_int_equal(body.root->count, MEMBERS);
    text = print(&body);
    at = text;
    for (int i = 0; i < MEMBERS; i++) {
        snprintf(member, sizeof(member), "%c\"m%03d\":", i == 0 ? '{' : ',', i);
        assert_int_equal(strncmp(at, member, strlen(member)), 0);
        at = strpbrk(at + 1, ",}");
    }
    assert_string_equal(at, "}");
    free(text);
    foxtrackr__body_clear(&body);
    free(json.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_read_the_same),
        cmocka_unit_test(test_each_beginning_and_each_change),
        cmocka_unit_test(test_both_read_the_cases_the_same),
        cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_many_members_cost_no_square),
        cmocka_unit_test(test_fractions_are_exact),
        cmocka_unit_test(test_long_reals_are_rounded_once),
        cmocka_unit_test(test_locale_does_not_matter),
        cmocka_unit_test(test_many_members_are_sorted),
    };

    return cmocka_run_group_tests_name("body", tests, NULL, NULL);
}
