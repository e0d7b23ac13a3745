/* Goal: two spellings of one JSON value are the same, and different values are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/same.h"

/* A copy without its NUL, so that the sanitizers see a read past the end. Free it. */
static char *exact_copy(const char *text)
{
    size_t length = strlen(text);
    char *copy = malloc(length > 0 ? length : 1);

    assert_non_null(copy);
    memcpy(copy, text, length);
    return copy;
}

static bool same(const char *first, const char *second)
{
    char *a = exact_copy(first);
    char *b = exact_copy(second);
    bool result;

    result = store_same_json(a, strlen(first), b, strlen(second));
    assert_int_equal(store_same_json(b, strlen(second), a, strlen(first)), result);
    free(a);
    free(b);
    return result;
}

static void expect(bool wanted, const char *const pairs[][2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (same(pairs[i][0], pairs[i][1]) != wanted) {
            fail_msg("%s %s %s", pairs[i][0], wanted ? "is not" : "is", pairs[i][1]);
        }
    }
}

static void test_numbers_by_value(void **state)
{
    static const char *const equal[][2] = {
        {"1", "1.0"},
        {"1", "10e-1"},
        {"1", "0.1E+1"},
        {"100", "1e2"},
        {"-0", "0.0"},
        {"0", "0e7"},
        {"0.001", "1e-3"},
        {"3.6", "3.6000000000000001"},
        {"18446744073709551617", "18446744073709551617.0"},
        {"0.10", "0.1"},
        {"1e400", "10e399"},
    };
    static const char *const different[][2] = {
        {"1", "-1"},
        {"1", "2"},
        {"1", "10"},
        {"1", "1.1"},
        {"0", "1"},
        {"0", "1e-400"},
        {"1e-400", "2e-400"},
        {"1e400", "1e401"},
        {"9007199254740993", "9007199254740992"},
        {"18446744073709551617", "18446744073709551616"},
        {"9007199254740993", "9007199254740992.0"},
        {"3.6", "3.61"},
        {"1", "\"1\""},
        {"1", "true"},
    };

    (void)state;
    expect(true, equal, sizeof(equal) / sizeof(equal[0]));
    expect(false, different, sizeof(different) / sizeof(different[0]));
}

static void test_structures(void **state)
{
    static const char *const equal[][2] = {
        {"{}", " { } "},
        {"[]", "[ ]"},
        {"{\"a\":1,\"b\":[true,null]}", "{\"b\":[true,null],\"a\":1.0}"},
        {"{\"a\":{\"b\":1,\"c\":2},\"d\":3}", "{ \"d\" : 3 , \"a\" : {\"c\":2,\"b\":1} }"},
        {"\"\\u00e4\\ud83e\\udd8a\\n\\/\\\"\"", "\"\xc3\xa4\xf0\x9f\xa6\x8a\\u000a/\\u0022\""},
        {"{\"\\u0061\":1}", "{\"a\":1}"},
        {"\"\\ud800\"", "\"\\uD800\""},
        {"{\"a\":\"}\",\"b\":\"{[\"}", "{\"b\":\"{[\",\"a\":\"}\"}"},
    };
    static const char *const different[][2] = {
        {"[1,2]", "[2,1]"},
        {"[1,2]", "[1,2,3]"},
        {"[]", "[1]"},
        {"{}", "[]"},
        {"{}", "{\"a\":1}"},
        {"{\"a\":1}", "{\"b\":1}"},
        {"{\"a\":1}", "{\"a\":1,\"b\":2}"},
        {"{\"a\":1,\"b\":2}", "{\"a\":2,\"b\":1}"},
        {"{\"a\":[{\"b\":1}]}", "{\"a\":[{\"b\":2}]}"},
        {"\"a\"", "\"A\""},
        {"\"a\"", "\"ab\""},
        {"\"\\ud800\"", "\"\\ud801\""},
        {"true", "false"},
        {"null", "true"},
    };

    (void)state;
    expect(true, equal, sizeof(equal) / sizeof(equal[0]));
    expect(false, different, sizeof(different) / sizeof(different[0]));
}

/* Incomplete JSON that a person left in the database does no harm: tries every beginning of a
 * text. */
static void test_no_json_is_not_the_same(void **state)
{
    static const char whole[] =
        "{\"a\\u00e4\\ud83e\\udd8a\":[1.5e3,{\"b\":\"x\\\"\"},null],\"c\":-2}";
    static char deep[2][4000];
    char text[sizeof(whole)];

    (void)state;
    assert_true(same(whole, whole));
    for (size_t length = 0; length < sizeof(whole) - 1; length++) {
        memcpy(text, whole, length);
        text[length] = '\0';
        assert_false(same(text, whole));
        (void)same(text, text);
    }
    assert_false(same("", ""));
    assert_false(same("1 2", "1 2"));
    assert_false(same("{1:2}", "{1:2}"));
    memset(deep[0], '[', sizeof(deep[0]) - 1);
    memset(deep[1], '[', sizeof(deep[1]) - 1);
    assert_false(same(deep[0], deep[1]));
}

/* As libfoxtrackr writes them, with names in order, a difference costs no search for each member.
 */
static void test_many_members_take_linear_time(void **state)
{
    enum { MEMBERS = 40000, ROOM = MEMBERS * 16 };
    char *first = malloc(ROOM);
    char *second = malloc(ROOM);
    size_t a = 0;
    size_t b = 0;

    (void)state;
    first[a++] = second[b++] = '{';
    for (int i = 0; i < MEMBERS; i++) {
        a += (size_t)snprintf(first + a, ROOM - a, "%s\"%05d\":1", i > 0 ? "," : "", i + 1);
        b += (size_t)snprintf(second + b, ROOM - b, "%s\"%05d\":1.0", i > 0 ? "," : "", i);
    }
    first[a++] = second[b++] = '}';
    assert_false(store_same_json(first, a, second, b));
    assert_false(store_same_json(second, b, first, a));
    free(first);
    free(second);
}

/* Searching a member among so many others in the opposite order would take minutes: this ends, and
 * with the answer that loses nothing. A few of them are found. */
static void test_members_in_the_opposite_order(void **state)
{
    enum { MANY = 40000, FEW = 300, ROOM = MANY * 16 };
    char *first = malloc(ROOM);
    char *second = malloc(ROOM);

    (void)state;
    for (int members = FEW; members <= MANY; members += MANY - FEW) {
        size_t a = 0;
        size_t b = 0;

        first[a++] = second[b++] = '{';
        for (int i = 0; i < members; i++) {
            a += (size_t)snprintf(first + a, ROOM - a, "%s\"%05d\":1", i > 0 ? "," : "", i);
            b += (size_t)snprintf(second + b, ROOM - b, "%s\"%05d\":1", i > 0 ? "," : "",
                                  members - 1 - i);
        }
        first[a++] = second[b++] = '}';
        assert_int_equal(store_same_json(first, a, second, b), members == FEW);
    }
    free(first);
    free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_in_the_opposite_order),
        cmocka_unit_test(test_numbers_by_value),
        cmocka_unit_test(test_structures),
        cmocka_unit_test(test_no_json_is_not_the_same),
        cmocka_unit_test(test_many_members_take_linear_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
