/*
 * Compares two JSON texts by their content.
 *
 * The store compares the `extra` of a message with the one that is stored for the same device and
 * time. A device that is in a group is published twice, and the two copies may be written
 * differently: `1.0` for `1`, members in another order. Such copies are duplicates. The store calls
 * this only when the bytes differ, so a usual duplicate costs one memcmp().
 *
 * Two cursors walk through the texts together. Nothing is allocated, so the answer cannot fail. The
 * search for a member begins after the last one found: texts with their members in the same order,
 * as libfoxtrackr writes them, take linear time. Texts with many members in another order take
 * quadratic time, which a hostile publisher could use to hold up the writer. Such a comparison ends
 * after BYTES_SEARCHED_MAX with "not the same": the message goes to quarantine.
 *
 * The texts are valid JSON, because libfoxtrackr wrote them. A person may have edited a stored one:
 * a text that is no JSON counts as "not the same" and is never read past its end.
 */
#include "store/same.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LEVELS_MAX  520 /* libfoxtrackr reads 512 */
#define NUMBER_SIZE 64

/* A few milliseconds. A hundred members in the opposite order take 1 % of it. */
#define BYTES_SEARCHED_MAX INT64_C(4194304)

#define EXPONENT_MAX     INT64_C(1000000000)
#define SURROGATE_HIGH   0xd800
#define SURROGATE_LOW    0xdc00
#define SURROGATE_END    0xe000
#define STRING_HAS_ENDED UINT32_MAX

struct cursor {
    const char *at;
    const char *end;
};

/* The remaining limits of a comparison. */
struct allowance {
    int levels;
    int64_t bytes; /* bytes that may still be searched or counted */
};

static char peek(const struct cursor *cursor)
{
    if (cursor->at >= cursor->end) {
        return '\0';
    }
    return *cursor->at;
}

static char peek_token(struct cursor *cursor)
{
    while (cursor->at < cursor->end && strchr(" \t\r\n", *cursor->at) != NULL &&
           *cursor->at != '\0') {
        cursor->at++;
    }
    return peek(cursor);
}

static bool take(struct cursor *cursor, char token)
{
    if (peek_token(cursor) != token) {
        return false;
    }
    cursor->at++;
    return true;
}

/* --- strings -------------------------------------------------------------------------------- */

static uint32_t read_hex(struct cursor *cursor)
{
    uint32_t value = 0;

    for (int i = 0; i < 4 && cursor->at < cursor->end; i++) {
        char digit = *cursor->at++;

        value = value << 4 | (uint32_t)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
    }
    return value & 0xffff;
}

/* After \u: a code point, of two escapes if they are a surrogate pair. */
static uint32_t read_escaped_point(struct cursor *cursor)
{
    uint32_t high = read_hex(cursor);
    struct cursor next = *cursor;
    uint32_t low;

    if (high < SURROGATE_HIGH || high >= SURROGATE_LOW || next.end - next.at < 6 ||
        next.at[0] != '\\' || next.at[1] != 'u') {
        return high;
    }
    next.at += 2;
    low = read_hex(&next);
    if (low < SURROGATE_LOW || low >= SURROGATE_END) {
        return high;
    }
    *cursor = next;
    return 0x10000 + ((high - SURROGATE_HIGH) << 10) + (low - SURROGATE_LOW);
}

static uint32_t read_escape(struct cursor *cursor)
{
    char kind = peek(cursor);

    cursor->at += cursor->at < cursor->end;
    switch (kind) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'u':
        return read_escaped_point(cursor);
    default:
        return (unsigned char)kind;
    }
}

/* Returns the next code point of a string, or STRING_HAS_ENDED after its closing quote or at the
 * end of the text. */
static uint32_t next_point(struct cursor *cursor)
{
    unsigned char lead = (unsigned char)peek(cursor);
    int more = lead < 0xc0 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    uint32_t point = more == 0 ? lead : lead & (0x3fU >> more);

    if (cursor->at == cursor->end) {
        return STRING_HAS_ENDED;
    }
    cursor->at++;
    if (lead == '"') {
        return STRING_HAS_ENDED;
    }
    if (lead == '\\') {
        return read_escape(cursor);
    }
    for (; more > 0 && cursor->at < cursor->end; more--) {
        point = point << 6 | ((unsigned char)*cursor->at++ & 0x3f);
    }
    return point;
}

/* Compares two strings. Both cursors are past the opening quote, and when equal past the closing
 * one afterwards. */
static bool same_string(struct cursor *first, struct cursor *second)
{
    uint32_t point;

    do {
        point = next_point(first);
        if (point != next_point(second)) {
            return false;
        }
    } while (point != STRING_HAS_ENDED);
    return true;
}

static void skip_string(struct cursor *cursor)
{
    while (next_point(cursor) != STRING_HAS_ENDED) {
    }
}

/* --- numbers -------------------------------------------------------------------------------- */

/* A decimal number: 0.DIGITS * 10^exponent, where DIGITS begin with no zero. */
struct number {
    bool negative;
    bool zero;
    bool real; /* written with a fraction or an exponent */
    int64_t exponent;
    struct cursor digits; /* may contain the decimal point */
    struct cursor token;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int64_t read_exponent(struct cursor *cursor)
{
    bool negative = peek(cursor) == '-';
    int64_t value = 0;

    if (peek(cursor) == '-' || peek(cursor) == '+') {
        cursor->at++;
    }
    for (; is_digit(peek(cursor)); cursor->at++) {
        value = value < EXPONENT_MAX ? 10 * value + (*cursor->at - '0') : value;
    }
    return negative ? -value : value;
}

static void read_number(struct cursor *cursor, struct number *number)
{
    int64_t before_point =
        0; /* of the digits: how many stand before it, negative for zeros after */
    bool seen_point = false;
    bool seen_digit = false;

    *number = (struct number){.negative = peek(cursor) == '-', .token = *cursor};
    cursor->at += number->negative;
    for (; is_digit(peek(cursor)) || peek(cursor) == '.'; cursor->at++) {
        if (*cursor->at == '.') {
            seen_point = true;
            continue;
        }
        if (!seen_digit && *cursor->at != '0') {
            seen_digit = true;
            number->digits.at = cursor->at;
        }
        before_point += seen_digit && !seen_point ? 1 : !seen_digit && seen_point ? -1 : 0;
    }
    number->digits.end = cursor->at;
    number->zero = !seen_digit;
    number->real = seen_point;
    if ((peek(cursor) | 0x20) == 'e') {
        number->real = true;
        cursor->at++;
        number->exponent = read_exponent(cursor);
    }
    number->exponent += before_point;
    number->token.end = cursor->at;
}

/* Returns the next digit, or '0' after the last: trailing zeros make no difference. */
static char next_digit(struct cursor *digits)
{
    if (peek(digits) == '.') {
        digits->at++;
    }
    if (digits->at >= digits->end) {
        return '0';
    }
    return *digits->at++;
}

static double as_double(const struct number *number)
{
    char text[NUMBER_SIZE];
    size_t length = (size_t)(number->token.end - number->token.at);

    if (length >= sizeof(text)) {
        return 0;
    }
    memcpy(text, number->token.at, length);
    text[length] = '\0';
    return strtod(text, NULL);
}

static bool same_number(struct cursor *first, struct cursor *second)
{
    struct number a;
    struct number b;
    bool same = true;

    read_number(first, &a);
    read_number(second, &b);
    if (a.zero || b.zero) {
        return a.zero && b.zero;
    }
    if (a.negative != b.negative) {
        return false;
    }
    same = a.exponent == b.exponent;
    for (struct cursor left = a.digits, right = b.digits;
         same && (left.at < left.end || right.at < right.end);) {
        same = next_digit(&left) == next_digit(&right);
    }
    if (!same && a.real && b.real) {
        /* libfoxtrackr keeps a fraction as a double: 3.6 and 3.6000000000000001 are one. */
        double value = as_double(&a);

        same = value != 0 && value - value == 0 && value == as_double(&b);
    }
    return same;
}

/* --- values --------------------------------------------------------------------------------- */

/* Skips a value. Returns false when the text ends before the value does. */
static bool skip_value(struct cursor *cursor)
{
    int open = 0;

    do {
        char token = peek_token(cursor);

        if (cursor->at == cursor->end) {
            return false;
        }
        cursor->at++;
        if (token == '"') {
            skip_string(cursor);
        } else if (token == '{' || token == '[') {
            open++;
        } else if (token == '}' || token == ']') {
            open--;
        } else if (token != ',' && token != ':') {
            while (cursor->at < cursor->end && strchr(",]} \t\r\n", *cursor->at) == NULL) {
                cursor->at++;
            }
        }
    } while (open > 0);
    return true;
}

static bool same_value(struct cursor *first, struct cursor *second, struct allowance *left);

/* Compares two arrays; both cursors are past `[`. */
static bool same_array(struct cursor *first, struct cursor *second, struct allowance *left)
{
    if (take(first, ']')) {
        return take(second, ']');
    }
    do {
        if (!same_value(first, second, left)) {
            return false;
        }
        if (take(first, ']')) {
            return take(second, ']');
        }
    } while (take(first, ',') && take(second, ','));
    return false;
}

/* Counts an object's members from past its `{`; -1 when it is malformed. */
static int64_t count_members(struct cursor cursor, struct allowance *left)
{
    const char *begin = cursor.at;
    int64_t count = 0;

    if (take(&cursor, '}')) {
        return 0;
    }
    do {
        if (!take(&cursor, '"')) {
            return -1;
        }
        skip_string(&cursor);
        if (!take(&cursor, ':') || !skip_value(&cursor)) {
            return -1;
        }
        count++;
    } while (take(&cursor, ','));
    left->bytes -= cursor.at - begin;
    return take(&cursor, '}') ? count : -1;
}

/* A cyclic walk through the members of an object. */
struct members {
    struct cursor begin; /* past `{` */
    struct cursor next;  /* at the next name */
};

/* Finds the member with the name at `name` (past its quote) among `count` members. *value becomes
 * its colon's place, and `name` moves past the name. Returns false also when the limit is used
 * up. */
static bool find_member(struct members *members, int64_t count, struct cursor *name,
                        struct cursor *value, struct allowance *left)
{
    while (count-- > 0 && left->bytes > 0) {
        struct cursor wanted = *name;
        struct cursor at = members->next;
        bool found;

        (void)take(&at, '"');
        *value = at;
        found = same_string(&wanted, value);
        skip_string(&at);
        (void)take(&at, ':');
        (void)skip_value(&at);
        left->bytes -= at.at - members->next.at;
        members->next = take(&at, ',') ? at : members->begin;
        if (found) {
            *name = wanted;
            return true;
        }
    }
    return false;
}

/* Compares two objects; both cursors are past `{`. Names in an object are distinct, so equal counts
 * with every name found mean equality. */
static bool same_object(struct cursor *first, struct cursor *second, struct allowance *left)
{
    struct members members = {*second, *second};
    int64_t count = count_members(*first, left);

    if (count < 0 || count != count_members(*second, left)) {
        return false;
    }
    for (int64_t i = 0; i < count; i++) {
        struct cursor value;

        if ((i > 0 && !take(first, ',')) || !take(first, '"') ||
            !find_member(&members, count, first, &value, left) || !take(first, ':') ||
            !take(&value, ':') || !same_value(first, &value, left)) {
            return false;
        }
    }
    for (int64_t i = 0; i < count; i++) {
        (void)take(second, '"');
        skip_string(second);
        (void)take(second, ':');
        (void)skip_value(second);
        (void)take(second, ',');
    }
    return take(first, '}') && take(second, '}');
}

/* Compares true, false and null, and moves to the next token. */
static bool same_word(struct cursor *first, struct cursor *second)
{
    const char *begin = first->at;
    size_t length;

    while (peek(first) >= 'a' && peek(first) <= 'z') {
        first->at++;
    }
    length = (size_t)(first->at - begin);
    if (length == 0 || (size_t)(second->end - second->at) < length ||
        memcmp(begin, second->at, length) != 0) {
        return false;
    }
    second->at += length;
    return true;
}

typedef bool same_function(struct cursor *first, struct cursor *second, struct allowance *left);

/* Compares two arrays or objects, one level deeper; both cursors are past the opening bracket. */
static bool same_nested(same_function *function, struct cursor *first, struct cursor *second,
                        struct allowance *left)
{
    bool same;

    first->at++;
    second->at++;
    left->levels--;
    same = function(first, second, left);
    left->levels++;
    return same;
}

static bool same_value(struct cursor *first, struct cursor *second, struct allowance *left)
{
    char token = peek_token(first);
    char other = peek_token(second);

    if (token == '-' || is_digit(token)) {
        return (other == '-' || is_digit(other)) && same_number(first, second);
    }
    if (token != other || left->levels == 0) {
        return false;
    }
    switch (token) {
    case '"':
        first->at++;
        second->at++;
        return same_string(first, second);
    case '[':
        return same_nested(same_array, first, second, left);
    case '{':
        return same_nested(same_object, first, second, left);
    default:
        return same_word(first, second);
    }
}

bool store_same_json(const char *first, size_t first_length, const char *second,
                     size_t second_length)
{
    struct cursor a = {first, first + first_length};
    struct cursor b = {second, second + second_length};
    struct allowance left = {.levels = LEVELS_MAX, .bytes = BYTES_SEARCHED_MAX};

    return same_value(&a, &b, &left) && peek_token(&a) == '\0' && peek_token(&b) == '\0' &&
           a.at == a.end && b.at == b.end;
}
