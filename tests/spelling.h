/* The same JSON, spelled so that the library's other reader reads it: for tests of both. */
#ifndef FOXTRACKR_TESTS_SPELLING_H
#define FOXTRACKR_TESTS_SPELLING_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether a character can be escaped so, and stands for itself. */
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

#endif
