/* The same JSON in other spellings, for tests: with escapes, and with numbers that jansson reads.
 */
#ifndef FOXTRACKR_TESTS_SPELLING_H
#define FOXTRACKR_TESTS_SPELLING_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Returns true for a character that stands for itself in a string and may also be escaped. */
static inline int spelling_escapable(char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

/*
 * Valid JSON with the first character of every string, which is ASCII or stays as it is, as an
 * escape: {"a":1} becomes {"\u0061":1}. *length is changed; the result is for free(). NULL: out of
 * memory.
 */
static inline char *spelling_escaped(const char *json, size_t *length)
{
    char *out = malloc(*length * 6 + 1);
    size_t used = 0;
    int in_string = 0;

    for (size_t i = 0; out && i < *length; i++) {
        out[used++] = json[i];
        if (json[i] == '\\' && in_string && i + 1 < *length) {
            out[used++] = json[++i];
        } else if (json[i] == '"') {
            in_string = !in_string;
            if (in_string && i + 1 < *length && spelling_escapable(json[i + 1])) {
                used += (size_t)snprintf(out + used, 7, "\\u%04x", (unsigned)json[++i]);
            }
        }
    }
    *length = used;
    return out;
}

/* Returns true when jansson refuses the number of `length` bytes at `text`, or changes it to zero.
 */
static inline int spelling_beyond(const char *text, size_t length)
{
    char *number = strndup(text, length);
    int real = strpbrk(number, ".eE") != NULL;

    errno = 0;
    if (real) {
        (void)strtod(number, NULL);
    } else {
        (void)strtoll(number, NULL, 10);
    }
    free(number);
    return errno == ERANGE;
}

/*
 * Valid JSON with every number that is beyond int64_t or double as a string, "#" in front:
 * {"a":1e400} becomes {"a":"#1e400"}. *length is changed; the result ends in NUL and is for free().
 * NULL: out of memory.
 */
static inline char *spelling_readable(const char *json, size_t *length)
{
    char *out = malloc(*length * 4 + 1);
    size_t used = 0;
    int in_string = 0;

    for (size_t i = 0; out && i < *length; i++) {
        size_t number = 0;

        while (!in_string && i + number < *length && json[i + number] != '\0' &&
               strchr("-+.eE0123456789", json[i + number])) {
            number++;
        }

        if (number > 0 && json[i] != 'e' && json[i] != 'E') { /* not within true and false */
            int beyond = spelling_beyond(json + i, number);

            used += (size_t)sprintf(out + used, "%s%.*s%s", beyond ? "\"#" : "", (int)number,
                                    json + i, beyond ? "\"" : "");
            i += number - 1;
            continue;
        }
        out[used++] = json[i];
        if (json[i] == '\\' && in_string && i + 1 < *length) {
            out[used++] = json[++i];
        } else if (json[i] == '"') {
            in_string = !in_string;
        }
    }
    if (out) {
        out[used] = '\0';
    }
    *length = used;
    return out;
}

#endif
