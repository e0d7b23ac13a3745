/*
 * A moment of the wall clock as text. All are in UTC and take ms since the Unix epoch.
 *
 * Each function writes to `text`, always terminated, and returns it. A year that the C library
 * cannot write becomes "?", unless the function says otherwise. Any thread.
 */
#ifndef BASE_MOMENT_H
#define BASE_MOMENT_H

#include <stdint.h>

#define MOMENT_SIZE 32

/* "2026-01-31 12:00:00 UTC", for a sentence; "an unknown time" for 0 and for a year that cannot be
 * written. */
const char *moment_text(int64_t time_ms, char text[MOMENT_SIZE]);

/* "2026-01-31T12:00:00Z" */
const char *moment_iso(int64_t time_ms, char text[MOMENT_SIZE]);

/* "2026-01-31T12:00:00.123Z" */
const char *moment_iso_ms(int64_t time_ms, char text[MOMENT_SIZE]);

/* "2026-01-31" */
const char *moment_date(int64_t time_ms, char text[MOMENT_SIZE]);

/* "20260131T120000Z", for the name of a file */
const char *moment_stamp(int64_t time_ms, char text[MOMENT_SIZE]);

#endif
