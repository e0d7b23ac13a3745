/* A moment of the wall clock, for people. */
#ifndef BASE_MOMENT_H
#define BASE_MOMENT_H

#include <stdint.h>

#define MOMENT_SIZE 32

/* Write ms since the Unix epoch as "2026-01-31 12:00:00 UTC", or "an unknown time" for 0 and for a
 * year that cannot be written. Returns `text`. */
const char *moment_text(int64_t time_ms, char text[MOMENT_SIZE]);

#endif
