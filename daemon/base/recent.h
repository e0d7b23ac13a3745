/*
 * The largest number of the last minute or so; a single much smaller number does not change it.
 *
 * Two windows follow each other, and the answer is the larger of their maxima. A window ends with
 * the first number that comes after its time, never by time alone, so that the maximum outlives a
 * pause without numbers. Pure: the caller brings the clock. A zeroed struct is empty.
 */
#ifndef BASE_RECENT_H
#define BASE_RECENT_H

#include <stdint.h>

#define RECENT_WINDOW_MS 30000

struct recent {
    int64_t since_ms; /* monotonic; when the present window began */
    int64_t maximum;  /* of the present window; 0: none */
    int64_t before;   /* of the window before; 0: none */
};

/* Take a number greater than 0 at a monotonic time that never goes back. Returns the largest of the
 * present window and the one before. */
int64_t recent_maximum(struct recent *recent, int64_t monotonic_ms, int64_t number);

#endif
