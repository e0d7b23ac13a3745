/*
 * A disk that takes its time: LD_PRELOAD this, and every fsync() and fdatasync() takes
 * SLOW_SYNC_US microseconds longer.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void pause_us(void)
{
    const char *text = getenv("SLOW_SYNC_US");
    long us = text != NULL ? atol(text) : 0;
    const struct timespec pause = {us / 1000000, us % 1000000 * 1000};

    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
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
