/* A growing text, and JSON printed into it. Private to the library. */
#ifndef FOXTRACKR_TEXT_H
#define FOXTRACKR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Returns how many bytes, from `text` on and before `end`, stand for themselves in a JSON string:
 * no control character, quotation mark or backslash and, with `ascii`, nothing beyond ASCII. Tests
 * eight bytes at a time; only the lowest mark in a word is exact, because a borrow can run upwards
 * from it.
 */
static inline size_t foxtrackr__plain_span(const char *text, const char *end, bool ascii)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t high = ascii ? ones << 7 : 0;
    const char *at = text;

    while (end - at >= (ptrdiff_t)sizeof(uint64_t)) {
        uint64_t word;
        uint64_t quote;
        uint64_t slash;
        uint64_t marks;

        memcpy(&word, at, sizeof(word));
        quote = word ^ (ones * '"');
        slash = word ^ (ones * '\\');
        marks = (((word - ones * ' ') & ~word) | ((quote - ones) & ~quote) |
                 ((slash - ones) & ~slash)) &
                (ones << 7);
        marks |= word & high;
        if (marks) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return (size_t)(at - text) + (size_t)__builtin_ctzll(marks) / 8;
#else
            break;
#endif
        }
        at += sizeof(word);
    }
    while (at < end && (unsigned char)*at >= ' ' && *at != '"' && *at != '\\' &&
           !(ascii && (unsigned char)*at >= 0x80)) {
        at++;
    }
    return (size_t)(at - text);
}

/* A growing text; a zeroed struct is empty. When memory runs out, `failed` is set for good and
 * further additions are ignored, so the owner checks it once, at the end. The owner frees `data`.
 */
struct foxtrackr__text {
    char *data; /* not NUL-terminated */
    size_t length;
    size_t capacity;
    bool failed;
};

/* Make room for `length` more bytes. */
void foxtrackr__text_reserve(struct foxtrackr__text *text, size_t length);

static inline void foxtrackr__text_add(struct foxtrackr__text *text, const char *bytes,
                                       size_t length)
{
    if (length > text->capacity - text->length) {
        foxtrackr__text_reserve(text, length);
    }
    if (!text->failed && length > 0) {
        memcpy(text->data + text->length, bytes, length);
        text->length += length;
    }
}

/* Append a NUL-terminated string without its NUL: punctuation, or text that is JSON already. */
static inline void foxtrackr__text_add_string(struct foxtrackr__text *text, const char *string)
{
    foxtrackr__text_add(text, string, strlen(string));
}

/* Append a string of valid UTF-8 as JSON, quoted and escaped. */
void foxtrackr__text_add_quoted(struct foxtrackr__text *text, const char *string, size_t length);

void foxtrackr__text_add_integer(struct foxtrackr__text *text, int64_t value);

/* Append the shortest decimal that reads back as the same double, always with a point or an
 * exponent; "null" for NAN. Independent of the locale. */
void foxtrackr__text_add_real(struct foxtrackr__text *text, double value);

#endif
