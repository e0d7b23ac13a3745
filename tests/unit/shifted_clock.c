/* The clocks of shifted_clock.h. A deadline is of the moved clock, so the wait for it is too. */
#include "shifted_clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/wall.h"

static _Atomic int64_t shift_ms;
static _Atomic int64_t wall_ms = SHIFTED_WALL_MS;

int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);
int __real_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                  const struct timespec *deadline);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                  const struct timespec *deadline);
int64_t __wrap_wall_now_ms(void);

static void add_ms(struct timespec *time, int64_t ms)
{
    time->tv_sec += (time_t)(ms / 1000);
    time->tv_nsec += (long)(ms % 1000) * 1000000;
    if (time->tv_nsec >= 1000000000) {
        time->tv_sec++;
        time->tv_nsec -= 1000000000;
    } else if (time->tv_nsec < 0) {
        time->tv_sec--;
        time->tv_nsec += 1000000000;
    }
}

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
    int result = __real_clock_gettime(id, now);

    if (id == CLOCK_MONOTONIC) {
        add_ms(now, atomic_load(&shift_ms));
    }
    return result;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                  const struct timespec *deadline)
{
    struct timespec unmoved = *deadline;

    add_ms(&unmoved, -atomic_load(&shift_ms));
    return __real_pthread_cond_timedwait(cond, mutex, &unmoved);
}

int64_t __wrap_wall_now_ms(void)
{
    return atomic_load(&wall_ms);
}

void shifted_clock_reset(void)
{
    atomic_store(&shift_ms, 0);
    atomic_store(&wall_ms, SHIFTED_WALL_MS);
}

void shifted_clock_pass(int64_t ms)
{
    atomic_fetch_add(&shift_ms, ms);
}

void shifted_clock_set_wall(int64_t ms)
{
    atomic_store(&wall_ms, ms);
}
