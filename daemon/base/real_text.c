/*
 * The shortest decimal text of a double; see base/real_text.h.
 *
 * Most values come from a JSON text with a few decimals. For these the digits are found without
 * printf(): n / 10^k, with n an integer below 2^53 and k at most 22, is exact in both operands, so
 * IEEE 754's division gives the double that is nearest to the decimal number, and so does strtod().
 * When that division gives back the value, the digits of n with k decimals are a text of it. The
 * first k that fits has the fewest digits; with at most 15 digits no other decimal number of as
 * many digits is the same double.
 */
#include "base/real_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DECIMALS_MOST 6
#define DIGITS_MOST   1e15 /* below: 15 digits */

/* Writes the digits of `number`, at least `least` of them. Returns how many. */
static size_t write_digits(uint64_t number, size_t least, char *text)
{
    char reversed[24];
    size_t count = 0;

    while (number > 0 || count < least) {
        reversed[count++] = (char)('0' + number % 10);
        number /= 10;
    }
    for (size_t i = 0; i < count; i++) {
        text[i] = reversed[count - 1 - i];
    }
    return count;
}

/* Writes a value of at most 15 digits with at most DECIMALS_MOST decimals. Returns the length, or 0
 * for another value. */
static size_t write_plain(double real, char *text)
{
    static const double powers[DECIMALS_MOST + 1] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};

    for (size_t decimals = 0; decimals <= DECIMALS_MOST; decimals++) {
        double scaled = real * powers[decimals];
        uint64_t number;

        if (scaled >= DIGITS_MOST) {
            return 0;
        }
        number = (uint64_t)(scaled + 0.5);
        if ((double)number / powers[decimals] == real) {
            size_t least = decimals == 0 ? 2 : decimals + 1;
            size_t length = write_digits(decimals == 0 ? number * 10 : number, least, text);
            size_t behind = decimals == 0 ? 1 : decimals;

            memmove(text + length - behind + 1, text + length - behind, behind);
            text[length - behind] = '.';
            return length + 1;
        }
    }
    return 0;
}

/* Puts ".0" behind the digits of a text without a point: "1e+20" looks like no real to some. */
static size_t add_point(char *text, size_t length)
{
    size_t digits = strspn(text, "-0123456789");

    if (text[digits] != '.') {
        memmove(text + digits + 2, text + digits, length - digits + 1);
        text[digits] = '.';
        text[digits + 1] = '0';
        length += 2;
    }
    return length;
}

size_t real_text(double real, char text[REAL_TEXT_SIZE])
{
    size_t sign = signbit(real) ? 1 : 0;
    size_t length;

    if (isinf(real)) {
        return (size_t)snprintf(text, REAL_TEXT_SIZE, "%s", sign != 0 ? "-9e999" : "9e999");
    }
    text[0] = '-';
    length = write_plain(fabs(real), text + sign);
    if (length > 0) {
        text[sign + length] = '\0';
        return sign + length;
    }
    for (int digits = 15; digits <= 17; digits++) {
        length = (size_t)snprintf(text, REAL_TEXT_SIZE, "%.*g", digits, real);
        if (strtod(text, NULL) == real) {
            break;
        }
    }
    return add_point(text, length);
}
