/*
 * A wall clock that an operator, a radio or an empty battery moves: LD_PRELOAD this.
 *
 *     FAULT_CLOCK    a file of two int64_t: the seconds by which the wall clock is ahead, and
 *                    whether adjtimex() says that it is synchronised. It is mapped: whoever writes
 *                    it moves the clock of the running process at once.
 *
 * CLOCK_MONOTONIC stays as it is. A wait until a moment of the wall clock ends when that clock says
 * so, also if it is moved meanwhile, as the kernel would do it: it is waited for in short turns.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define TURN_NS   20000000L
#define SECOND_NS 1000000000L
/* A deadline above is one of the wall clock: no machine has been up that long. */
#define WALL_FROM_S 1000000000

typedef int (*timedwait_function)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

static _Atomic int64_t nothing[2];
static _Atomic int64_t *offset_s = nothing; /* and behind it, whether it is synchronised */
static timedwait_function real_timedwait;

__attribute__((constructor)) static void set_up(void)
{
    const char *path = getenv("FAULT_CLOCK");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;

    real_timedwait = (timedwait_function)dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (fd >= 0) {
        void *map = mmap(NULL, sizeof(nothing), PROT_READ, MAP_SHARED, fd, 0);

        close(fd);
        if (map != MAP_FAILED) {
            offset_s = map;
        }
    }
}

static int real_clock(clockid_t clock, struct timespec *out)
{
    return (int)syscall(SYS_clock_gettime, clock, out);
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    int rc = real_clock(clock, out);

    if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        out->tv_sec += (time_t)atomic_load(offset_s);
    }
    return rc;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

/* Whatever the machine that runs the test knows. */
int adjtimex(struct timex *out)
{
    out->status = atomic_load(&offset_s[1]) != 0 ? 0 : STA_UNSYNC;
    return (out->status & STA_UNSYNC) != 0 ? TIME_ERROR : TIME_OK;
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* One turn of a wait until `deadline` of the moved clock: at most TURN_NS. A wait that ends early
 * is a spurious wake-up, for which every caller has to be ready. */
int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline)
{
    struct timespec turn;
    struct timespec now;
    int rc;

    if (deadline->tv_sec < WALL_FROM_S) {
        return real_timedwait(cond, mutex, deadline);
    }
    clock_gettime(CLOCK_REALTIME, &now);
    if (!is_before(&now, deadline)) {
        return ETIMEDOUT;
    }
    real_clock(CLOCK_REALTIME, &turn);
    turn.tv_nsec += TURN_NS;
    if (turn.tv_nsec >= SECOND_NS) {
        turn.tv_nsec -= SECOND_NS;
        turn.tv_sec++;
    }
    rc = real_timedwait(cond, mutex, &turn);
    if (rc != ETIMEDOUT) {
        return rc;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    return is_before(&now, deadline) ? 0 : ETIMEDOUT;
}
