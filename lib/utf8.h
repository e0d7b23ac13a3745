/*
 * Which bytes are UTF-8 (RFC 3629). Not installed: for the library itself and for the daemon, which
 * is linked with it. Pure; any thread.
 */
#ifndef FOXTRACKR_UTF8_H
#define FOXTRACKR_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes, 1 to 4, of the character that `text`, of `length` bytes, begins with; 0 if it is none or
 * ends too early. NUL is a character. */
size_t foxtrackr__utf8_length(const char *text, size_t length);

/* Whether a byte is the second, third or fourth of a character. */
static inline bool foxtrackr__utf8_continues(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

/* Offset of the first byte that is NUL or not part of UTF-8; `length` if there is none. */
size_t foxtrackr__utf8_span(const char *text, size_t length);

#endif
