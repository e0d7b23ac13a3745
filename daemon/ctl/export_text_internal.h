/* The texts that an export consists of. Each function writes to `at`, where the caller has made
 * room, without a NUL, and returns the end. Pure; any thread. */
#ifndef CTL_EXPORT_TEXT_INTERNAL_H
#define CTL_EXPORT_TEXT_INTERNAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Upper bounds: of an integer or a moment; and of what a byte of a text or a blob becomes. */
#define EXPORT_VALUE_SIZE 24
#define EXPORT_GROWTH     6

/* The date that was written last: rows of the same day follow each other. Begin with day =
 * INT64_MIN. */
struct export_date {
    int64_t day; /* since 1970-01-01 */
    char text[16];
};

static inline char *export_put(char *at, const char *text, size_t length)
{
    memcpy(at, text, length);
    return at + length;
}

char *export_put_integer(char *at, int64_t number);

/* Hexadecimal digits, A to F as SQLite's hex() has them. */
char *export_put_hex(char *at, const char *bytes, size_t length);

/* "2026-11-01T12:00:00.123Z"; nothing for a year that has not four digits. */
char *export_put_moment(char *at, struct export_date *date, int64_t time_ms);

/* A field of RFC 4180: in quotes when it is empty or has a comma, a quote or an end of line. */
char *export_put_csv_text(char *at, const char *bytes, size_t length);

/* A string of JSON, with its quotes. `bytes` is UTF-8. */
char *export_put_json_text(char *at, const char *bytes, size_t length);

#endif
