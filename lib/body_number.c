/*
 * Numbers of a body: JSON's grammar, read to the value that an int64_t or a double holds.
 *
 * Nearly every number takes the short way: up to 18 digits are an int64_t, and up to 15 digits over
 * or times a power of ten up to 10^22 are two exact doubles and one rounding, which is what
 * strtod() gives (W. D. Clinger, How to read floating point numbers accurately, 1990). The other
 * reals go to strtod() as digits and an exponent without a decimal point, so that the process's
 * locale does not matter.
 *
 * An integer beyond 64 bits and a real below the smallest normal double are FOXTRACKR__DECIMAL and
 * keep their text: nothing is rounded, least of all to zero. A real beyond the largest double is
 * FOXTRACKR__OVERFLOW, which the reader refuses: most programs would read it as infinity.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "body.h"

#define INTEGER_MAX  18  /* digits: fits an int64_t */
#define FRACTION_MAX 15  /* digits in all: below 2^53 */
#define POWER_MAX    22  /* 10^22 is the largest power of ten that a double holds exactly */
#define DIGITS_MAX   800 /* rounding depends on further digits only by whether all of them are 0 */
#define EXPONENT_MAX 100000000
#define EXPONENT_MIN (-1600) /* of the last of DIGITS_MAX digits: they are below any double */

static const double power[POWER_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                            1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                            1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* The parts of a number's text. */
struct token {
    const char *start;
    const char *end;
    const char *digits; /* behind the sign */
    const char *digits_end;
    const char *fraction; /* behind the point; NULL without one */
    const char *fraction_end;
    bool negative;
    bool has_exponent;
    int exponent; /* at most EXPONENT_MAX */
};

static bool is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static const char *skip_digits(const char *at, const char *end)
{
    while (is_digit(at, end)) {
        at++;
    }
    return at;
}

/* Reads an exponent, whose letter is at `at`. Returns its end, or NULL. */
static const char *scan_exponent(const char *at, const char *end, struct token *token)
{
    bool negative = false;
    int exponent = 0;

    at++;
    if (at < end && (*at == '-' || *at == '+')) {
        negative = *at == '-';
        at++;
    }
    if (!is_digit(at, end)) {
        return NULL;
    }
    for (; is_digit(at, end); at++) {
        exponent = exponent < EXPONENT_MAX / 10 ? exponent * 10 + (*at - '0') : EXPONENT_MAX;
    }
    token->has_exponent = true;
    token->exponent = negative ? -exponent : exponent;
    return at;
}

/* Splits a number into its parts (RFC 8259, section 6). Returns false when there is none. */
static bool scan(const char *at, const char *end, struct token *token)
{
    *token = (struct token){.start = at};
    token->negative = at < end && *at == '-';
    at += token->negative;
    token->digits = at;
    if (!is_digit(at, end)) {
        return false;
    }
    at = *at == '0' ? at + 1 : skip_digits(at, end);
    token->digits_end = at;
    if (at < end && *at == '.') {
        token->fraction = at + 1;
        token->fraction_end = skip_digits(at + 1, end);
        if (token->fraction_end == token->fraction) {
            return false;
        }
        at = token->fraction_end;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at = scan_exponent(at, end, token);
        if (!at) {
            return false;
        }
    }
    token->end = at;
    return true;
}

static void set_decimal(const struct token *token, struct foxtrackr__value *out)
{
    out->kind = FOXTRACKR__DECIMAL;
    out->string = token->start;
    out->length = (size_t)(token->end - token->start);
}

static void set_integer(const struct token *token, struct foxtrackr__value *out)
{
    int64_t number = 0;

    /* Negative sums, because INT64_MIN has no positive counterpart. */
    for (const char *at = token->digits; at < token->digits_end; at++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_sub_overflow(number, *at - '0', &number)) {
            set_decimal(token, out);
            return;
        }
    }
    if (!token->negative && number == INT64_MIN) {
        set_decimal(token, out);
        return;
    }
    out->kind = FOXTRACKR__INTEGER;
    out->integer = token->negative ? number : -number;
}

/* Significant digits of a real, and the power of ten of the last. */
struct digits {
    char text[DIGITS_MAX + 32];
    size_t count;
    bool more; /* a digit that is not zero follows those in `text` */
    int64_t exponent;
};

/* Appends digits; of those from DIGITS_MAX on notes only whether one is not zero. */
static void gather(struct digits *digits, const char *at, const char *end, bool fraction)
{
    for (; at < end; at++) {
        if (digits->count == 0 && *at == '0') {
            digits->exponent -= fraction;
        } else if (digits->count < DIGITS_MAX) {
            digits->text[digits->count++] = *at;
            digits->exponent -= fraction;
        } else {
            digits->exponent += !fraction;
            digits->more = digits->more || *at != '0';
        }
    }
}

/*
 * Converts the digits to a double. A digit 1 stands for all digits behind the first 800 if one of
 * them is not zero: they only tell on which side of the middle between two doubles a number lies,
 * and no such middle has more than 767 significant digits.
 */
static double convert(struct digits *digits, bool negative)
{
    double value;

    if (digits->count == 0) {
        return negative ? -0.0 : 0.0;
    }
    if (digits->count <= FRACTION_MAX && digits->exponent >= -POWER_MAX &&
        digits->exponent <= POWER_MAX && FLT_EVAL_METHOD == 0) {
        value = 0;
        for (size_t i = 0; i < digits->count; i++) {
            value = value * 10 + (digits->text[i] - '0');
        }
        value = digits->exponent < 0 ? value / power[-digits->exponent]
                                     : value * power[digits->exponent];
        return negative ? -value : value;
    }
    if (digits->exponent > 400 || digits->exponent < EXPONENT_MIN) {
        return digits->exponent > 0 ? INFINITY : DBL_TRUE_MIN;
    }
    snprintf(digits->text + digits->count, 32, "%se%d", digits->more ? "1" : "",
             (int)digits->exponent - digits->more);
    value = strtod(digits->text, NULL);
    return negative ? -value : value;
}

static void set_real(const struct token *token, struct foxtrackr__value *out)
{
    struct digits digits;
    double value;

    digits.count = 0;
    digits.more = false;
    digits.exponent = token->exponent;
    gather(&digits, token->digits, token->digits_end, false);
    if (token->fraction) {
        gather(&digits, token->fraction, token->fraction_end, true);
    }
    value = convert(&digits, token->negative);
    if (digits.count > 0 && fabs(value) < DBL_MIN) {
        set_decimal(token, out);
        return;
    }
    out->kind = isfinite(value) ? FOXTRACKR__REAL : FOXTRACKR__OVERFLOW;
    out->real = value;
}

/* Reads a number whose digits fit an int64_t. Returns false for other numbers, and when there is no
 * number. */
static bool read_short(const char **at, const char *end, struct foxtrackr__value *out)
{
    const char *cursor = *at;
    bool negative = cursor < end && *cursor == '-';
    const char *start = cursor + negative;
    const char *point;
    int64_t number = 0;
    ptrdiff_t decimals = 0;

    for (cursor = start; is_digit(cursor, end) && cursor - start < INTEGER_MAX; cursor++) {
        number = number * 10 + (*cursor - '0');
    }
    if (cursor == start || (*start == '0' && cursor - start > 1)) {
        return false;
    }
    point = cursor;
    if (cursor < end && *cursor == '.') {
        for (cursor++; is_digit(cursor, end) && cursor - start <= FRACTION_MAX; cursor++) {
            number = number * 10 + (*cursor - '0');
        }
        decimals = cursor - point - 1;
        if (decimals == 0 || cursor - start - 1 > FRACTION_MAX || FLT_EVAL_METHOD != 0) {
            return false;
        }
    }
    if (cursor < end && (is_digit(cursor, end) || *cursor == '.' || (*cursor | 0x20) == 'e')) {
        return false;
    }
    if (decimals > 0) {
        out->kind = FOXTRACKR__REAL;
        out->real = (double)number / power[decimals];
        out->real = negative ? -out->real : out->real;
    } else {
        out->kind = FOXTRACKR__INTEGER;
        out->integer = negative ? -number : number;
    }
    *at = cursor;
    return true;
}

bool foxtrackr__number_read(const char **at, const char *end, struct foxtrackr__value *out)
{
    struct token token;

    if (read_short(at, end, out)) {
        return true;
    }
    if (!scan(*at, end, &token)) {
        return false;
    }
    if (token.fraction || token.has_exponent) {
        set_real(&token, out);
    } else {
        set_integer(&token, out);
    }
    *at = token.end;
    return true;
}
