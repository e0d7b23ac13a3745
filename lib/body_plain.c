/*
 * Plain bodies: what trackers send, read in one pass and without memory.
 *
 * jansson makes a hash table of each object and an allocation of each name and value. That was a
 * quarter of all that the daemon did for a message, and nearly every message is a handful of
 * numbers and short names. So this reader takes bodies that are certain to mean the same to any
 * reader of JSON, and leaves every other one to jansson: those with an escape, with characters
 * beyond ASCII, arrays, exponents, numbers that a double or 18 digits do not hold exactly, a name
 * that occurs twice, more than FOXTRACKR__BODY_VALUES values; and all that is wrong, so that there
 * is one place that says what. The rest of the library does not know who has read a body.
 */
#include <float.h>
#include <string.h>

#include "body.h"

#define LEVELS_MAX   8
#define INTEGER_MAX  18 /* digits: fits an int64_t */
#define FRACTION_MAX 15 /* digits in all: below 2^53, and so is the power of ten */

struct reader {
    const char *at;
    const char *end;
    struct foxtrackr__body *body;
    int levels;
};

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' ||
                                        *reader->at == '\n' || *reader->at == '\r')) {
        reader->at++;
    }
}

/* The next character if it is this one, with the space before it. */
static bool take(struct reader *reader, char c)
{
    skip_space(reader);
    if (reader->at < reader->end && *reader->at == c) {
        reader->at++;
        return true;
    }
    return false;
}

static bool take_word(struct reader *reader, const char *word)
{
    size_t length = strlen(word);

    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0) {
        return false;
    }
    reader->at += length;
    return true;
}

/* A string without escapes, of printable ASCII. */
static bool read_string(struct reader *reader, const char **string, size_t *length)
{
    const char *start;

    if (!take(reader, '"')) {
        return false;
    }
    start = reader->at;
    while (reader->at < reader->end && *reader->at >= ' ' && *reader->at < 0x7f &&
           *reader->at != '"' && *reader->at != '\\') {
        reader->at++;
    }
    *string = start;
    *length = (size_t)(reader->at - start);
    return take_word(reader, "\"");
}

static bool is_digit(const struct reader *reader)
{
    return reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9';
}

/* Add the digits that come to *number, at most so many; how many there are. */
static int read_digits(struct reader *reader, int most, int64_t *number)
{
    int digits = 0;

    for (; is_digit(reader) && digits < most; digits++) {
        *number = *number * 10 + (*reader->at++ - '0');
    }
    return digits;
}

/*
 * Both numbers are exact and their quotient is rounded once, so it is what strtod() makes of the
 * same digits (W. D. Clinger, How to read floating point numbers accurately, 1990).
 */
static bool read_fraction(struct reader *reader, int digits, int64_t number, bool negative,
                          struct foxtrackr__value *out)
{
    static const double power[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    int decimals = digits < FRACTION_MAX ? read_digits(reader, FRACTION_MAX - digits, &number) : 0;

    if (decimals == 0 || FLT_EVAL_METHOD != 0) {
        return false;
    }
    out->kind = FOXTRACKR__REAL;
    out->real = (double)number / power[decimals];
    out->real = negative ? -out->real : out->real;
    return true;
}

/* What cannot follow a number, more digits or an exponent, is found by who reads on. */
static bool read_number(struct reader *reader, struct foxtrackr__value *out)
{
    bool negative = take_word(reader, "-");
    bool zero = reader->at < reader->end && *reader->at == '0';
    int64_t number = 0;
    int digits = read_digits(reader, INTEGER_MAX, &number);

    if (digits == 0 || (zero && digits > 1)) {
        return false;
    }
    if (take_word(reader, ".")) {
        return read_fraction(reader, digits, number, negative, out);
    }
    out->kind = FOXTRACKR__INTEGER;
    out->integer = negative ? -number : number;
    return true;
}

static bool read_value(struct reader *reader, struct foxtrackr__value *out);

static struct foxtrackr__value *new_value(struct reader *reader)
{
    struct foxtrackr__body *body = reader->body;
    struct foxtrackr__value *value;

    if (body->count == FOXTRACKR__BODY_VALUES) {
        return NULL;
    }
    value = &body->values[body->count++];
    value->name = NULL;
    value->name_length = 0;
    value->next = NULL;
    return value;
}

static bool is_there(const struct foxtrackr__value *object, const struct foxtrackr__value *member)
{
    for (const struct foxtrackr__value *other = object->first; other; other = other->next) {
        if (other->name_length == member->name_length &&
            memcmp(other->name, member->name, member->name_length) == 0) {
            return true;
        }
    }
    return false;
}

/* What follows the bracket. */
static bool read_object(struct reader *reader, struct foxtrackr__value *out)
{
    struct foxtrackr__value **link = &out->first;

    out->kind = FOXTRACKR__OBJECT;
    out->first = NULL;
    out->count = 0;
    if (take(reader, '}')) {
        return true;
    }
    do {
        struct foxtrackr__value *member = new_value(reader);

        if (!member || !read_string(reader, &member->name, &member->name_length) ||
            is_there(out, member) || !take(reader, ':') || !read_value(reader, member)) {
            return false;
        }
        *link = member;
        link = &member->next;
        out->count++;
    } while (take(reader, ','));
    return take(reader, '}');
}

/* Recursion ends: LEVELS_MAX. */
static bool read_value(struct reader *reader, struct foxtrackr__value *out)
{
    bool plain;

    skip_space(reader);
    if (reader->at == reader->end) {
        return false;
    }
    switch (*reader->at) {
    case '{':
        reader->at++;
        plain = ++reader->levels <= LEVELS_MAX && read_object(reader, out);
        reader->levels--;
        return plain;
    case '"':
        out->kind = FOXTRACKR__STRING;
        return read_string(reader, &out->string, &out->length);
    case 't':
        out->kind = FOXTRACKR__TRUE;
        return take_word(reader, "true");
    case 'f':
        out->kind = FOXTRACKR__FALSE;
        return take_word(reader, "false");
    case 'n':
        out->kind = FOXTRACKR__NULL;
        return take_word(reader, "null");
    default:
        return read_number(reader, out);
    }
}

bool foxtrackr__body_read_plain(struct foxtrackr__body *body, const char *payload, size_t length)
{
    struct reader reader = {.at = payload, .end = payload + length, .body = body};

    body->json = NULL;
    body->more = NULL;
    body->count = 0;
    body->root = new_value(&reader);
    if (!read_value(&reader, body->root)) {
        return false;
    }
    skip_space(&reader);
    return reader.at == reader.end;
}
