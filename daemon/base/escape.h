/* Text from outside, made safe for one line of a log or a terminal. Any thread. */
#ifndef BASE_ESCAPE_H
#define BASE_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

/* Returns true for a character that changes how a line is displayed: a control character (C0, DEL,
 * C1), a line or paragraph separator, or a change of direction. */
bool escape_is_control(const char *text, size_t length);

/*
 * Copy `text` with every byte of a control character or of invalid UTF-8 written as \xNN. A text
 * that does not fit is cut and ends in "...". `out` is always terminated (size is at least 8).
 * Returns its length.
 */
size_t escape_line(char *out, size_t size, const char *text);

/*
 * Make a text well-formed UTF-8 in place, for JSON and systemd, which refuse anything else: a
 * character that was cut at the end of a buffer is removed, and every other byte of invalid UTF-8
 * becomes "?". The text never grows.
 */
void escape_clean(char *text);

/*
 * Make a text fit for one line of systemd's protocol, in place: escape_clean(), and every control
 * character becomes a blank. A line feed would end the line and begin another field. The text never
 * grows.
 */
void escape_one_line(char *text);

/* A copy of a text of several lines, each of them as escape_line() makes it; ends of line and tabs
 * stay. NULL when memory is out. The caller frees it. */
char *escape_text(const char *text);

/* A copy of JSON text in which the characters of escape_is_control() are written as \uNNNN (they
 * occur in strings only); ends of line stay. NULL when memory is out. The caller frees it. */
char *escape_json(const char *json);

#endif
