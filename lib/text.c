/*
 * Text: prints JSON into a growing buffer.
 *
 * The library has its own printer because its output is compared later: a repeated message must
 * give the same `extra` to the byte, after an upgrade of jansson and in another locale too. And
 * where a tracker wrote 3.7 an analyst should read 3.7, not 3.7000000000000002.
 */
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void foxtrackr__text_reserve(struct foxtrackr__text *text, size_t length)
{
    size_t capacity = text->capacity;
    char *grown;

    if (text->failed || length <= capacity - text->length) {
        return;
    }
    if (length > SIZE_MAX / 4 - text->length) {
        text->failed = true;
        return;
    }
    capacity = capacity * 2 > text->length + length ? capacity * 2 : text->length + length;
    grown = realloc(text->data, capacity);
    if (!grown) {
        text->failed = true;
        return;
    }
    text->data = grown;
    text->capacity = capacity;
}

static void add_escape(struct foxtrackr__text *text, unsigned char byte)
{
    static const char letter[256] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                     ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't'};
    char escape[8];

    if (letter[byte]) {
        snprintf(escape, sizeof(escape), "\\%c", letter[byte]);
    } else {
        snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)byte);
    }
    foxtrackr__text_add_string(text, escape);
}

void foxtrackr__text_add_quoted(struct foxtrackr__text *text, const char *string, size_t length)
{
    const char *end = string + length;

    foxtrackr__text_reserve(text, length + 2);
    foxtrackr__text_add(text, "\"", 1);
    while (string < end) {
        size_t plain = foxtrackr__plain_span(string, end, false);

        foxtrackr__text_add(text, string, plain);
        string += plain;
        if (string < end) {
            add_escape(text, (unsigned char)*string++);
        }
    }
    foxtrackr__text_add(text, "\"", 1);
}

void foxtrackr__text_add_integer(struct foxtrackr__text *text, int64_t value)
{
    char number[24];
    char *const end = number + sizeof(number);
    char *start = end;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;

    do {
        *--start = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        *--start = '-';
    }
    foxtrackr__text_add(text, start, (size_t)(end - start));
}

/* Prints the fewest of 15 to 17 digits that read back as the same double: a number written with up
 * to 15 digits is printed as written, and 17 digits distinguish any two doubles. */
static void print_shortest(char *out, size_t size, double value)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, value);
        if (strtod(out, NULL) == value) {
            return;
        }
    }
}

void foxtrackr__text_add_real(struct foxtrackr__text *text, double value)
{
    char local[40];
    char number[48] = "";
    size_t length = 0;
    bool is_real = false;

    if (!isfinite(value)) {
        foxtrackr__text_add_string(text, "null");
        return;
    }
    print_shortest(local, sizeof(local), value);
    for (const char *c = local; *c; c++) {
        bool plain = (*c >= '0' && *c <= '9') || *c == '-' || *c == '+' || *c == 'e';

        if (plain) {
            number[length++] = *c;
            is_real = is_real || *c == 'e';
        } else if (length == 0 || number[length - 1] != '.') {
            number[length++] = '.'; /* the locale's decimal point, one byte or several */
            is_real = true;
        }
    }
    foxtrackr__text_add(text, number, length);
    if (!is_real) {
        foxtrackr__text_add(text, ".0", 2);
    }
}
