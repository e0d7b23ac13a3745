/* Goal: exactly the characters of RFC 3629 are UTF-8, in all their lengths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "utf8.h"

/* Any number in `length` bytes, whether it may be written so or not. */
static void encode(uint32_t point, size_t length, char out[4])
{
    static const uint32_t leads[] = {0, 0, 0xC0, 0xE0, 0xF0};

    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (point & 0x3F));
        point >>= 6;
    }
    out[0] = (char)(leads[length] | point);
}

static size_t right_length(uint32_t point)
{
    if ((point >= 0xD800 && point <= 0xDFFF) || point > 0x10FFFF) {
        return 0;
    }
    return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

/* Every number that fits, in every length that holds it: overlong forms and surrogates too. */
static void test_every_number(void **state)
{
    static const uint32_t ends[] = {0, 0x80, 0x800, 0x10000, 0x200000};

    (void)state;
    for (size_t length = 1; length <= 4; length++) {
        for (uint32_t point = 0; point < ends[length]; point++) {
            size_t right = right_length(point) == length ? length : 0;
            char text[4];

            encode(point, length, text);
            if (foxtrackr__utf8_length(text, length) != right) {
                fail_msg("U+%04X in %zu bytes", point, length);
            }
            if (length > 1 && foxtrackr__utf8_length(text, length - 1) != 0) {
                fail_msg("U+%04X cut after %zu bytes", point, length - 1);
            }
        }
    }
}

static void test_lead_bytes_that_are_none(void **state)
{
    (void)state;
    assert_int_equal(foxtrackr__utf8_length("", 0), 0);
    for (int lead = 0x80; lead < 0x100; lead++) {
        const char text[] = {(char)lead, '\x80', '\x80', '\x80', '\x80', '\x80'};

        if (lead < 0xC2 || lead > 0xF4) {
            assert_int_equal(foxtrackr__utf8_length(text, sizeof(text)), 0);
        }
        assert_int_equal(foxtrackr__utf8_continues((char)lead), lead < 0xC0);
    }
    assert_false(foxtrackr__utf8_continues('a'));
}

/* The span reads eight bytes at once: a fault in each place of two such words. */
static void test_span(void **state)
{
    (void)state;
    for (size_t length = 0; length <= 20; length++) {
        for (size_t at = 0; at < length; at++) {
            char text[] = "a text in plain ASCII";

            text[at] = '\0';
            assert_int_equal(foxtrackr__utf8_span(text, length), at);
            text[at] = '\xFF';
            assert_int_equal(foxtrackr__utf8_span(text, length), at);
            memcpy(text + at, "\xC3\xBC", 2);
            assert_int_equal(foxtrackr__utf8_span(text, length), at + 1 < length ? length : at);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_number),
        cmocka_unit_test(test_lead_bytes_that_are_none),
        cmocka_unit_test(test_span),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
