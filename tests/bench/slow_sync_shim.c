/*
 * A disk that takes its time: LD_PRELOAD this, and every fsync() and fdatasync() takes
 * SLOW_SYNC_US microseconds longer.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void pause_us(void)
{
    const char *text = getenv("SLOW_SYNC_US");
    long us = text != NULL ? atol(text) : 0;
    struct timespec until;

    if (us <= 0) {
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += us % 1000000 * 1000;
    until.tv_sec += us / 1000000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
        /* a signal: the disk would not hurry either */
    }
}

int fdatasync(int fd)
{
    static int (*next)(int);
    int result;

    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "fdatasync");
    }
    result = next(fd);
    pause_us();
    return result;
}

int fsync(int fd)
{
    static int (*next)(int);
    int result;

    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "fsync");
    }
    result = next(fd);
    pause_us();
    return result;
}
