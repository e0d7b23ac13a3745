/*
 * A disk that takes its time: LD_PRELOAD this, and every fsync() and fdatasync() takes
 * SLOW_SYNC_US microseconds longer. Or, with FIXED_SYNC_US, it takes so many and nothing else: the
 * disk is left out, and what is "on disk" is in the kernel's memory.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* Sleep as one who waits for a disk does, and not as long as the kernel finds convenient. */
static void pause_us(long us)
{
    struct timespec until;

    if (us <= 0) {
        return;
    }
    prctl(PR_SET_TIMERSLACK, 1UL);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += us % 1000000 * 1000;
    until.tv_sec += us / 1000000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
        /* a signal: the disk would not hurry either */
    }
}

static long number_in(const char *variable)
{
    const char *text = getenv(variable);

    return text != NULL ? atol(text) : 0;
}

/* Call libc's function of that name, then wait; or only wait. */
static int sync_slowly(const char *name, int (**next)(int), int fd)
{
    long fixed_us = number_in("FIXED_SYNC_US");
    int result;

    if (fixed_us > 0) {
        pause_us(fixed_us);
        return 0;
    }
    if (*next == NULL) {
        *(void **)next = dlsym(RTLD_NEXT, name);
    }
    result = (*next)(fd);
    pause_us(number_in("SLOW_SYNC_US"));
    return result;
}

int fdatasync(int fd)
{
    static int (*next)(int);

    return sync_slowly("fdatasync", &next, fd);
}

int fsync(int fd)
{
    static int (*next)(int);

    return sync_slowly("fsync", &next, fd);
}
