/* Inside the library: a growing text, and JSON printed into it. */
#ifndef FOXTRACKR_TEXT_H
#define FOXTRACKR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialise. Once memory runs out `failed` is set and stays, and nothing is added any more:
 * look once, at the end. The owner frees `data`. */
struct foxtrackr__text {
    char *data; /* not NUL-terminated */
    size_t length;
    size_t capacity;
    bool failed;
};

/* Make room for `length` more bytes. */
void foxtrackr__text_reserve(struct foxtrackr__text *text, size_t length);

void foxtrackr__text_add(struct foxtrackr__text *text, const char *bytes, size_t length);

/* A NUL-terminated string without its NUL: punctuation, text that is JSON already. */
void foxtrackr__text_add_string(struct foxtrackr__text *text, const char *string);

/* A string of valid UTF-8 as JSON, quoted and escaped. */
void foxtrackr__text_add_quoted(struct foxtrackr__text *text, const char *string, size_t length);

void foxtrackr__text_add_integer(struct foxtrackr__text *text, int64_t value);

/* The shortest decimal that reads back as the same double, always with a point or an exponent;
 * "null" for NAN. Independent of the locale. */
void foxtrackr__text_add_real(struct foxtrackr__text *text, double value);

#endif
