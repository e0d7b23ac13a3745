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

/* Call libc's function of that name, then wait. */
static int sync_slowly(const char *name, int (**next)(int), int fd)
{
    int result;

    if (*next == NULL) {
        *(void **)next = dlsym(RTLD_NEXT, name);
    }
    result = (*next)(fd);
    pause_us();
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
