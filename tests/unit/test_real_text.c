/* Goal: a double becomes the shortest text that reads back as the same double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>

#include "base/real_text.h"

static const char *text_of(double real)
{
    static char text[REAL_TEXT_SIZE];

    size_t length = real_text(real, text);

    assert_int_equal(length, strlen(text));
    return text;
}

static void test_texts(void **state)
{
    static const struct {
        double real;
        const char *text;
    } cases[] = {
        {0, "0.0"},
        {-0.0, "-0.0"},
        {1, "1.0"},
        {-1, "-1.0"},
        {3.7, "3.7"},
        {-3.75, "-3.75"},
        {0.05, "0.05"},
        {0.000001, "0.000001"},
        {100, "100.0"},
        {21.123456, "21.123456"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {123456789012345, "123456789012345.0"},
        {999999999999999, "999999999999999.0"},
        {1e15, "1.0e+15"},
        {1e20, "1.0e+20"},
        {1.5e300, "1.5e+300"},
        {1e-7, "1.0e-07"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {DBL_TRUE_MIN, "4.94065645841247e-324"},
        {9007199254740993.0, "9007199254740992.0"},
        {INFINITY, "9e999"},
        {-INFINITY, "-9e999"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(text_of(cases[i].real), cases[i].text);
}

/* Every value that a message can write with up to 6 decimals, and doubles of any bits. */
static void test_round_trip(void **state)
{
    uint64_t random = 88172645463325252;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        char decimal[32];
        double real;
        const char *text;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        snprintf(decimal, sizeof(decimal), "%d.%0*d", (int)(random % 2000) - 1000,
                 (int)(random >> 32) % 6 + 1, (int)(random >> 40) % 10);
        real = strtod(decimal, NULL);
        text = text_of(real);
        assert_true(strtod(text, NULL) == real);
        assert_true(strlen(text) <= strlen(decimal));

        memcpy(&real, &random, sizeof(real));
        if (!isnan(real)) {
            text = text_of(real);
            assert_true(strtod(text, NULL) == real);
            assert_true(strpbrk(text, ".e") != NULL);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
