/* Topics on their own, and the names of reasons. What whole messages give is in tests/cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "problem.h"

/* In memory of exactly its size, so that a sanitizer sees a read beyond the end. */
static int parse(const char *text, size_t length, struct foxtrackr_problem *problem)
{
    struct foxtrackr_topic topic;
    char *copy = malloc(length > 0 ? length : 1);
    int result;

    assert_non_null(copy);
    memcpy(copy, text, length);
    result = foxtrackr_topic_parse(copy, length, &topic, problem);
    free(copy);
    return result;
}

/* Of "Foxtrackr/my group/v3.1/temp", with any separator in the version. */
static void assert_slices(const struct foxtrackr_topic *topic, const char *text)
{
    assert_ptr_equal(topic->family, text);
    assert_int_equal(topic->family_length, 9);
    assert_ptr_equal(topic->device_or_group, text + 10);
    assert_int_equal(topic->device_or_group_length, 8);
    assert_ptr_equal(topic->version, text + 19);
    assert_int_equal(topic->version_length, 4);
    assert_ptr_equal(topic->type, text + 24);
    assert_int_equal(topic->type_length, 4);
}

static void test_slices_point_into_the_topic(void **state)
{
    static const char text[] = "Foxtrackr/my group/v3.1/temp";
    struct foxtrackr_problem problem;
    struct foxtrackr_topic topic;

    (void)state;
    assert_int_equal(foxtrackr_topic_parse(text, strlen(text), &topic, &problem), 0);
    assert_slices(&topic, text);
}

static void test_slices_of_a_version_with_slashes(void **state)
{
    static const char text[] = "Foxtrackr/my group/v3/1/temp";
    struct foxtrackr_problem problem;
    struct foxtrackr_topic topic;

    (void)state;
    assert_int_equal(foxtrackr_topic_parse(text, strlen(text), &topic, &problem),
                     FOXTRACKR_E_TOPIC);
    assert_non_null(strstr(problem.detail, "RabbitMQ"));
    assert_int_equal(foxtrackr_topic_parse_slashes(text, strlen(text), &topic, &problem), 0);
    assert_slices(&topic, text);
}

/* Only `length` bytes count, whatever follows. */
static void test_length_is_the_end(void **state)
{
    struct foxtrackr_problem problem;

    (void)state;
    assert_int_equal(parse("f/d/V3/t/more", 8, &problem), 0);
    assert_int_equal(parse("f/d/V3/t\xFF", 8, &problem), 0);
    assert_int_equal(parse("f/d/V3/t", 7, &problem), FOXTRACKR_E_TOPIC);
    assert_int_equal(parse("f/d/V3/t", 0, &problem), FOXTRACKR_E_TOPIC);
}

static void test_outputs_are_set_only_on_their_result(void **state)
{
    struct foxtrackr_problem problem;
    struct foxtrackr_problem untouched_problem;
    struct foxtrackr_topic topic;
    struct foxtrackr_topic untouched_topic;

    (void)state;
    memset(&untouched_problem, 0x5A, sizeof(untouched_problem));
    memset(&untouched_topic, 0x5A, sizeof(untouched_topic));
    topic = untouched_topic;
    assert_int_equal(foxtrackr_topic_parse("f/d/V2/t", 8, &topic, &problem), FOXTRACKR_E_VERSION);
    assert_memory_equal(&topic, &untouched_topic, sizeof(topic));
    problem = untouched_problem;
    assert_int_equal(foxtrackr_topic_parse("f/d/V3/t", 8, &topic, &problem), 0);
    assert_memory_equal(&problem, &untouched_problem, sizeof(problem));
}

/* A topic that is wrong in several ways always has the first of these reasons. */
static void test_order_of_checks(void **state)
{
    static const struct {
        const char *topic;
        int reason;
    } cases[] = {
        {"\xFF/+/V2", FOXTRACKR_E_ENCODING},
        {"f/+/V2/t", FOXTRACKR_E_TOPIC},
        {"f//V2/t", FOXTRACKR_E_TOPIC},
        {"f/d/V2/t", FOXTRACKR_E_VERSION},
    };
    struct foxtrackr_problem problem;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(parse(cases[i].topic, strlen(cases[i].topic), &problem), cases[i].reason);
        assert_int_equal(problem.reason, cases[i].reason);
    }
}

/* Whole alphabets of two- and three-byte sequences against the definition (RFC 3629, section 3). */
static void test_utf8_by_code_point(void **state)
{
    struct foxtrackr_problem problem;

    (void)state;
    for (unsigned point = 0x80; point < 0x10000; point++) {
        char text[16];
        size_t length;
        bool surrogate = point >= 0xD800 && point <= 0xDFFF;

        if (point < 0x800) {
            length = (size_t)snprintf(text, sizeof(text), "f/%c%c/V3/t", (int)(0xC0 | point >> 6),
                                      (int)(0x80 | (point & 0x3F)));
        } else {
            length =
                (size_t)snprintf(text, sizeof(text), "f/%c%c%c/V3/t", (int)(0xE0 | point >> 12),
                                 (int)(0x80 | (point >> 6 & 0x3F)), (int)(0x80 | (point & 0x3F)));
        }
        assert_int_equal(parse(text, length, &problem), surrogate ? FOXTRACKR_E_ENCODING : 0);
    }
}

/* Every pair of bytes: it is text exactly if it is two ASCII characters or one of two bytes. */
static void test_utf8_by_byte_pair(void **state)
{
    struct foxtrackr_problem problem;

    (void)state;
    for (int first = 1; first < 256; first++) {
        for (int second = 1; second < 256; second++) {
            char text[] = "f/--/V3/t";
            bool ascii = first < 0x80 && second < 0x80;
            bool pair = first >= 0xC2 && first <= 0xDF && second >= 0x80 && second <= 0xBF;

            text[2] = (char)first;
            text[3] = (char)second;
            assert_int_equal(parse(text, strlen(text), &problem) == FOXTRACKR_E_ENCODING,
                             !ascii && !pair);
        }
    }
}

/* The longest topic of MQTT, in every way it can be refused: the detail stays within its size. */
static void test_long_topics(void **state)
{
    const size_t length = 65535;
    struct foxtrackr_problem problem;
    char *text = malloc(length);

    (void)state;
    assert_non_null(text);
    memset(text, 'x', length);
    assert_int_equal(parse(text, length, &problem), FOXTRACKR_E_TOPIC);
    assert_true(strlen(problem.detail) < FOXTRACKR_DETAIL_SIZE);
    memset(text, '/', length);
    assert_int_equal(parse(text, length, &problem), FOXTRACKR_E_TOPIC);
    assert_non_null(strstr(problem.detail, "65536 levels"));
    text[length - 1] = '\xE2';
    assert_int_equal(parse(text, length, &problem), FOXTRACKR_E_ENCODING);
    assert_string_equal(problem.detail, "topic byte 65534: 0xE2 is not UTF-8");
    free(text);
}

/* No caller writes a detail that long today; the one who will must not overflow it. */
static void test_detail_is_cut_at_a_character(void **state)
{
    char text[FOXTRACKR_DETAIL_SIZE * 4];

    (void)state;
    for (size_t before = 0; before < 4; before++) {
        struct foxtrackr_problem problem;
        size_t length;

        memset(text, 'x', before);
        for (length = before; length + 4 < sizeof(text); length += 4) {
            memcpy(text + length, "\xF0\x9F\xA6\x8A", 4);
        }
        text[length] = '\0';
        assert_int_equal(foxtrackr__problem(&problem, FOXTRACKR_E_BODY, "%s", text),
                         FOXTRACKR_E_BODY);
        length = strlen(problem.detail);
        assert_in_range(length, FOXTRACKR_DETAIL_SIZE - 4, FOXTRACKR_DETAIL_SIZE - 1);
        assert_string_equal(problem.detail + length - 3, "...");
        assert_int_equal((length - 3 - before) % 4, 0);
        assert_memory_equal(problem.detail, text, length - 3);
    }
}

/* A text that just fits is not cut; with one byte more it is. */
static void test_detail_that_just_fits(void **state)
{
    char text[FOXTRACKR_DETAIL_SIZE + 1];
    struct foxtrackr_problem problem;

    (void)state;
    memset(text, 'x', sizeof(text));
    text[FOXTRACKR_DETAIL_SIZE - 1] = '\0';
    foxtrackr__problem(&problem, FOXTRACKR_E_BODY, "%s", text);
    assert_string_equal(problem.detail, text);
    text[FOXTRACKR_DETAIL_SIZE - 1] = 'x';
    text[FOXTRACKR_DETAIL_SIZE] = '\0';
    foxtrackr__problem(&problem, FOXTRACKR_E_BODY, "%s", text);
    assert_int_equal(strlen(problem.detail), FOXTRACKR_DETAIL_SIZE - 1);
    assert_string_equal(problem.detail + FOXTRACKR_DETAIL_SIZE - 4, "...");
}

static void test_reason_names(void **state)
{
    static const char *const names[] = {"ok",       "topic",    "version", "encoding",
                                        "json",     "envelope", "body",    "time",
                                        "conflict", "oversize", "empty",   "field"};

    (void)state;
    for (int reason = FOXTRACKR_OK; reason <= FOXTRACKR_E_FIELD; reason++) {
        bool of_message = reason != FOXTRACKR_OK && reason != FOXTRACKR_E_FIELD;

        assert_string_equal(foxtrackr_reason_name(reason), names[reason]);
        assert_int_equal(foxtrackr_reason_from_name(names[reason]), of_message ? reason : -1);
    }
    assert_null(foxtrackr_reason_name(-1));
    assert_null(foxtrackr_reason_name(FOXTRACKR_E_FIELD + 1));
    assert_int_equal(foxtrackr_reason_from_name(""), -1);
    assert_int_equal(foxtrackr_reason_from_name(NULL), -1);
    assert_int_equal(foxtrackr_reason_from_name("Topic"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices_point_into_the_topic),
        cmocka_unit_test(test_slices_of_a_version_with_slashes),
        cmocka_unit_test(test_length_is_the_end),
        cmocka_unit_test(test_outputs_are_set_only_on_their_result),
        cmocka_unit_test(test_order_of_checks),
        cmocka_unit_test(test_utf8_by_code_point),
        cmocka_unit_test(test_utf8_by_byte_pair),
        cmocka_unit_test(test_long_topics),
        cmocka_unit_test(test_detail_is_cut_at_a_character),
        cmocka_unit_test(test_detail_that_just_fits),
        cmocka_unit_test(test_reason_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
