/* The two clocks. Timers use the monotonic one; only times that people read are wall clock. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_read_ms(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now); /* cannot fail for these two clocks */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Milliseconds since an arbitrary point; never jumps. */
static inline int64_t clock_monotonic_ms(void)
{
    return clock_read_ms(CLOCK_MONOTONIC);
}

/* Milliseconds since the Unix epoch, UTC; jumps when the operator or NTP sets it. */
static inline int64_t clock_wall_ms(void)
{
    return clock_read_ms(CLOCK_REALTIME);
}

#endif
