/*
 * Which JSON PostgreSQL can work with. The type json keeps any valid text, but reading a member of
 * it (->>) fails when a string anywhere in it has \u0000 or half of a surrogate pair, and a cast to
 * jsonb also when a number does not fit numeric. An analyst's query over all messages would then
 * fail for one of them, so such a message goes to quarantine.
 *
 * The limits for numbers are far below those of numeric (131072 digits in front of the point, 16383
 * behind it): a number with such an exponent is printed with all its digits.
 */
#include "store/postgresql/json_internal.h"

#include <stdint.h>
#include <string.h>

#define DIGITS_MAX   1000
#define EXPONENT_MAX 1000
#define LEVELS_MAX   512

struct text {
    const char *at;
    const char *end;
};

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;

    return found != NULL ? (int)(found - digits) % 16 : -1;
}

/* Takes four hexadecimal digits; -1: there are none. */
static int32_t take_unit(struct text *text)
{
    int32_t unit = 0;

    if (text->end - text->at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(text->at[i]);

        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    text->at += 4;
    return unit;
}

/* Takes what follows "\u". */
static const char *take_escape(struct text *text)
{
    int32_t unit = take_unit(text);

    if (unit == 0) {
        return "a string has \\u0000";
    }
    if (unit >= 0xdc00 && unit <= 0xdfff) {
        return "a string has half of a surrogate pair";
    }
    if (unit >= 0xd800 && unit <= 0xdbff) {
        if (text->end - text->at < 2 || text->at[0] != '\\' || text->at[1] != 'u') {
            return "a string has half of a surrogate pair";
        }
        text->at += 2;
        unit = take_unit(text);
        if (unit < 0xdc00 || unit > 0xdfff) {
            return "a string has half of a surrogate pair";
        }
    }
    return NULL;
}

/* Takes a string behind its first quotation mark. */
static const char *take_string(struct text *text)
{
    const char *why = NULL;

    while (text->at < text->end && *text->at != '"' && why == NULL) {
        if (*text->at++ == '\\' && text->at < text->end && *text->at++ == 'u') {
            why = take_escape(text);
        }
    }
    text->at++;
    return why;
}

static bool is_digit(const struct text *text)
{
    return text->at < text->end && *text->at >= '0' && *text->at <= '9';
}

static const char *take_number(struct text *text)
{
    int digits = 0;
    int exponent = 0;

    while (is_digit(text) || (text->at < text->end && *text->at == '.')) {
        digits += *text->at != '.';
        text->at++;
    }
    if (text->at < text->end && (*text->at == 'e' || *text->at == 'E')) {
        text->at++;
        text->at += text->at < text->end && (*text->at == '+' || *text->at == '-');
        for (; is_digit(text); text->at++) {
            exponent = exponent > EXPONENT_MAX ? exponent : exponent * 10 + (*text->at - '0');
        }
    }
    return digits > DIGITS_MAX || exponent > EXPONENT_MAX
               ? "a number has more than 1000 digits, or an exponent beyond 1000"
               : NULL;
}

bool json_allowed(const char *text, size_t length, const char **why)
{
    struct text rest = {text, text + length};
    int level = 0;

    *why = NULL;
    while (rest.at < rest.end && *why == NULL) {
        char c = *rest.at;

        if (is_digit(&rest)) {
            *why = take_number(&rest);
            continue;
        }
        rest.at++;
        if (c == '"') {
            *why = take_string(&rest);
        } else if (c == '{' || c == '[') {
            level++;
            *why = level > LEVELS_MAX ? "it is nested deeper than 512 levels" : NULL;
        } else if (c == '}' || c == ']') {
            level--;
        }
    }
    return *why == NULL;
}
