/*
 * The clocks of a test: they stand until the test moves them, and the kernel calls them
 * synchronised when the test says so. Linked with --wrap=clock_gettime,--wrap=adjtimex (unit.mk).
 */
#ifndef CLOCK_FIXTURE_H
#define CLOCK_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/timex.h>
#include <time.h>

#define CLOCK_BEGIN_MS     INT64_C(1800000000000)
#define CLOCK_MONOTONIC_MS INT64_C(5000000)
#define CLOCK_SECOND_MS    1000
#define CLOCK_MINUTE_MS    INT64_C(60000)
#define CLOCK_HOUR_MS      INT64_C(3600000)
#define CLOCK_DAY_MS       INT64_C(86400000)

static struct {
    int64_t wall_ms;
    int64_t monotonic_ms;
    bool synchronised;
    int64_t each_look_ms; /* so much passes with every look at the monotonic clock */
} clocks = {.wall_ms = CLOCK_BEGIN_MS, .monotonic_ms = CLOCK_MONOTONIC_MS};

int __wrap_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_adjtimex(struct timex *status);

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
    int64_t ms = id == CLOCK_REALTIME ? clocks.wall_ms : clocks.monotonic_ms;

    if (id != CLOCK_REALTIME) {
        clocks.monotonic_ms += clocks.each_look_ms;
        clocks.wall_ms += clocks.each_look_ms;
    }
    *now = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    return 0;
}

int __wrap_adjtimex(struct timex *status)
{
    status->status = clocks.synchronised ? 0 : STA_UNSYNC;
    return clocks.synchronised ? TIME_OK : TIME_ERROR;
}

static inline void clock_reset(void)
{
    clocks.wall_ms = CLOCK_BEGIN_MS;
    clocks.monotonic_ms = CLOCK_MONOTONIC_MS;
    clocks.each_look_ms = 0;
    clocks.synchronised = false;
}

/* Time passes, on both clocks. */
static inline void clock_pass(int64_t ms)
{
    clocks.wall_ms += ms;
    clocks.monotonic_ms += ms;
}

#endif
