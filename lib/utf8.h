/*
 * Recognises UTF-8 (RFC 3629). Not installed: for the library and for the daemon, which is linked
 * with it. Pure; any thread.
 */
#ifndef FOXTRACKR_UTF8_H
#define FOXTRACKR_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Returns how many bytes, 1 to 4, the first character of `text` (of `length` bytes) has; 0 if it is
 * not UTF-8 or incomplete. NUL is a character. */
size_t foxtrackr__utf8_length(const char *text, size_t length);

/* Returns true for the second, third and fourth byte of a character. */
static inline bool foxtrackr__utf8_continues(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

/* Returns the offset of the first byte that is NUL or not part of UTF-8; `length` if there is none.
 */
size_t foxtrackr__utf8_span(const char *text, size_t length);

#endif
