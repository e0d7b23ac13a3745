/* The two clocks. Timers use the monotonic one; only times that people read are wall clock. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <pthread.h>
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

/* The same in microseconds, for what is shorter than a few milliseconds. */
static inline int64_t clock_monotonic_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Milliseconds since the Unix epoch, UTC; jumps when the operator or NTP sets it. */
static inline int64_t clock_wall_ms(void)
{
    return clock_read_ms(CLOCK_REALTIME);
}

/* A monotonic time in ms as an absolute deadline, for pthread_cond_timedwait() on a condition of
 * clock_cond_init(). */
static inline struct timespec clock_deadline(int64_t monotonic_ms)
{
    const struct timespec deadline = {.tv_sec = monotonic_ms / 1000,
                                      .tv_nsec = (long)(monotonic_ms % 1000) * 1000000};

    return deadline;
}

/* The same, `timeout_us` from now. */
static inline struct timespec clock_deadline_us(int64_t timeout_us)
{
    struct timespec deadline;

    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_nsec += (long)(timeout_us % 1000000) * 1000;
    deadline.tv_sec += (time_t)(timeout_us / 1000000) + deadline.tv_nsec / 1000000000;
    deadline.tv_nsec %= 1000000000;
    return deadline;
}

/* A condition whose deadlines are monotonic. */
static inline void clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

#endif
