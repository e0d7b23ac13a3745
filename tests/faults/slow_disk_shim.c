/*
 * A disk that is never fast: LD_PRELOAD this, and every sync and every write at an offset takes so
 * much longer. A test that ends a process "in the middle" needs a middle, also on a file system in
 * memory, where a sync costs nothing: these times are the least that the work takes.
 *
 *     SLOW_SYNC_US     microseconds before each fsync() and fdatasync()
 *     SLOW_WRITE_US    microseconds before each pwrite()
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* glibc's headers declare it for the compiler's own checks; this one is ours. */
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset);

static void pause_by(const char *variable)
{
    const char *text = getenv(variable);
    long us = text != NULL ? atol(text) : 0;
    struct timespec left = {us / 1000000, us % 1000000 * 1000};

    while (us > 0 && nanosleep(&left, &left) != 0 && errno == EINTR) {
        /* a signal: a disk would not hurry either */
    }
}

static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (found == NULL) {
        abort();
    }
    return found;
}

int fsync(int fd)
{
    int (*call)(int);

    *(void **)&call = next("fsync");
    pause_by("SLOW_SYNC_US");
    return call(fd);
}

int fdatasync(int fd)
{
    int (*call)(int);

    *(void **)&call = next("fdatasync");
    pause_by("SLOW_SYNC_US");
    return call(fd);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    ssize_t (*call)(int, const void *, size_t, off_t);

    *(void **)&call = next("pwrite");
    pause_by("SLOW_WRITE_US");
    return call(fd, bytes, length, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
    ssize_t (*call)(int, const void *, size_t, off64_t);

    *(void **)&call = next("pwrite64");
    pause_by("SLOW_WRITE_US");
    return call(fd, bytes, length, offset);
}
