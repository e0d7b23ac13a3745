/* Bodies: the two readers agree, and which of them reads what. */
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

#include "../spelling.h"
#include "body.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_plain(const char *json)
{
    size_t length = strlen(json);
    char *exact = malloc(length > 0 ? length : 1); /* so that a sanitizer sees a read beyond it */
    struct foxtrackr__body body;
    bool plain;

    assert_non_null(exact);
    memcpy(exact, json, length);
    plain = foxtrackr__body_read_plain(&body, exact, length);
    free(exact);
    return plain;
}

static char *print(struct foxtrackr__body *body)
{
    struct foxtrackr__text text = {0};

    foxtrackr__body_print(&text, body->root, NULL);
    foxtrackr__text_add(&text, "", 1);
    assert_false(text.failed);
    return text.data;
}

/* Plain, and in the other spelling not; both are read, and the same. */
static void check_both(const char *json)
{
    size_t length = strlen(json);
    char *other = spelling_escaped(json, &length);
    struct foxtrackr_problem problem;
    struct foxtrackr__body plain;
    struct foxtrackr__body whole;
    char *ours;
    char *theirs;

    assert_true(foxtrackr__body_read_plain(&plain, json, strlen(json)));
    assert_false(foxtrackr__body_read_plain(&whole, other, length));
    assert_int_equal(foxtrackr__body_read(&whole, other, length, &problem), 0);
    ours = print(&plain);
    theirs = print(&whole);
    assert_string_equal(ours, theirs);
    foxtrackr__body_clear(&plain);
    foxtrackr__body_clear(&whole);
    free(theirs);
    free(ours);
    free(other);
}

static void test_both_read_the_same(void **state)
{
    static const char *const bodies[] = {
        "{\"a\":1}",
        " { \"a\" : -1 ,\r\n\t\"b\" : { } } \n",
        "{\"b\":{\"d\":1,\"c\":{\"e\":\"\"}},\"a\":true,\"\":false,\"z\":null}",
        "{\"a\":0,\"b\":-0,\"c\":0.0,\"d\":-0.0,\"e\":10,\"f\":1.0,\"g\":-12.50}",
        "{\"a\":999999999999999999,\"b\":-999999999999999999,\"c\":0.00000000000001}",
        "{\"a\":99999999999999.9,\"b\":-9.99999999999999,\"c\":123456789.012345}",
        "{\"a b\":\"x/y ~!@#$%^&*()[]{}:,\",\"ab\":1,\"a\":2,\"aa\":3,\"B\":4}",
        "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}",
        "{\"a\":{},\"b\":{},\"c\":{},\"d\":{},\"e\":{},\"f\":{},\"g\":{},\"h\":{},\"i\":{}}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        check_both(bodies[i]);
    }
}

/* Whatever is here is for jansson to read, or to complain about. */
static void test_what_is_not_plain(void **state)
{
    static const char *const bodies[] = {
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
        "{\"a\":[1]}",
        "[1]",
        "{\"a\":\"\\n\"}",
        "{\"\\u0061\":1}",
        "{\"a\":\"\xc3\xa4\"}",
        "{\"\xc3\xa4\":1}",
        "{\"a\":\"\x7f\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"x}",
        "{\"a\":01}",
        "{\"a\":00}",
        "{\"a\":-}",
        "{\"a\":-01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":5.}",
        "{\"a\":-.5}",
        "{\"a\":1e3}",
        "{\"a\":1.5E3}",
        "{\"a\":1.5.5}",
        "{\"a\":0x1}",
        "{\"a\":1000000000000000000}",
        "{\"a\":1.234567890123456}",
        "{\"a\":1234567890123456.5}",
        "{\"a\":tru}",
        "{\"a\":truex}",
        "{\"a\":nul}",
        "{\"a\":NaN}",
        "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}",
        "\xef\xbb\xbf{\"a\":1}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        if (is_plain(bodies[i])) {
            fail_msg("%s", bodies[i]);
        }
    }
    assert_false(foxtrackr__body_read_plain(&(struct foxtrackr__body){0}, "{\"a\0b\":1}", 9));
}

/* A message that breaks off anywhere is not plain. */
static void test_every_beginning_is_not_plain(void **state)
{
    static const char whole[] =
        "{\"messageType\":1,\"b\":{\"x\":-3.71,\"y\":true,\"z\":null},\"s\":\"text\",\"f\":false}";
    char part[sizeof(whole)];

    (void)state;
    assert_true(is_plain(whole));
    for (size_t length = 0; length < sizeof(whole) - 1; length++) {
        snprintf(part, sizeof(part), "%.*s", (int)length, whole);
        assert_false(is_plain(part));
    }
}

static void test_as_many_values_as_there_is_room_for(void **state)
{
    char json[FOXTRACKR__BODY_VALUES * 12] = "{\"m1\":1";

    (void)state;
    for (int values = 3; values <= FOXTRACKR__BODY_VALUES; values++) { /* with the object itself */
        size_t length = strlen(json);

        snprintf(json + length, sizeof(json) - length, ",\"m%d\":1", values);
    }
    strcat(json, "}");
    check_both(json);
    json[strlen(json) - 1] = '\0';
    strcat(json, ",\"x\":1}");
    assert_false(is_plain(json));
}

/* To the bit what strtod() reads, for every number of digits before and after the point. */
static void test_fractions_are_exact(void **state)
{
    uint64_t random = 1;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct foxtrackr__body body;
        char digits[16];
        char json[40];
        double expected;
        int before = 1 + i % 14;
        int after = 1 + i / 14 % (15 - before);

        for (int k = 0; k < before + after; k++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            digits[k] = (char)('0' + (random >> 33) % 10);
        }
        digits[0] = before > 1 && digits[0] == '0' ? '9' : digits[0];
        snprintf(json, sizeof(json), "%s%.*s.%.*s", i % 3 == 0 ? "-" : "", before, digits, after,
                 digits + before);
        expected = strtod(json, NULL);
        assert_true(foxtrackr__body_read_plain(&body, json, strlen(json)));
        assert_int_equal(body.root->kind, FOXTRACKR__REAL);
        assert_memory_equal(&body.root->real, &expected, sizeof(expected));
    }
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
        cmocka_unit_test(test_what_is_not_plain),
        cmocka_unit_test(test_every_beginning_is_not_plain),
        cmocka_unit_test(test_as_many_values_as_there_is_room_for),
        cmocka_unit_test(test_fractions_are_exact),
        cmocka_unit_test(test_many_members_are_sorted),
    };

    return cmocka_run_group_tests_name("body", tests, NULL, NULL);
}
