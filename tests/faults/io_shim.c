/*
 * A disk that fails: LD_PRELOAD this and chosen system calls on chosen files return an error.
 *
 *     FAULT_CALLS    names, separated by commas: pwrite64, write, pread64, fsync, fdatasync,
 *                    ftruncate, unlink, open (each stands for all spellings of it)
 *     FAULT_FILE     only files whose name ends like this; empty: every file below FAULT_BELOW
 *     FAULT_BELOW    only files whose path begins like this
 *     FAULT_NTH      the first call that fails, from 1; 0: none, only count
 *     FAULT_LENGTH   how many calls fail from then on; 0: all of them
 *     FAULT_ERRNO    the number of the error; 0: the process is killed before the call
 *     FAULT_REPORT   a file that exists, of two uint64_t: how many calls matched, how many failed.
 *                    It can be read while the process runs, and after it was killed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

/* glibc's headers declare some of these for the compiler's own checks; they are ours here. */
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset);
ssize_t pread64(int fd, void *bytes, size_t length, off64_t offset);

struct report {
    _Atomic uint64_t matched;
    _Atomic uint64_t failed;
};

static struct {
    const char *calls;
    const char *file;
    const char *below;
    uint64_t nth;
    uint64_t length;
    int error;
    struct report *report;
} plan;

static struct report nowhere;

static uint64_t number(const char *name)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static const char *text(const char *name)
{
    const char *value = getenv(name);

    return value != NULL ? value : "";
}

__attribute__((constructor)) static void set_up(void)
{
    int fd = open(text("FAULT_REPORT"), O_RDWR | O_CLOEXEC);
    void *map = MAP_FAILED;

    if (fd >= 0) {
        map = mmap(NULL, sizeof(struct report), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
    }
    plan.file = text("FAULT_FILE");
    plan.below = text("FAULT_BELOW");
    plan.nth = number("FAULT_NTH");
    plan.length = number("FAULT_LENGTH");
    plan.error = (int)number("FAULT_ERRNO");
    plan.report = map != MAP_FAILED ? map : &nowhere;
    plan.calls = text("FAULT_CALLS"); /* last: until here nothing fails */
}

static bool is_chosen_call(const char *call)
{
    size_t length = strlen(call);
    const char *at = plan.calls;

    while (at != NULL && *at != '\0') {
        const char *comma = strchr(at, ',');
        size_t here = comma != NULL ? (size_t)(comma - at) : strlen(at);

        if (here == length && memcmp(at, call, length) == 0) {
            return true;
        }
        at = comma != NULL ? comma + 1 : NULL;
    }
    return false;
}

static bool is_chosen_path(const char *path)
{
    size_t length = strlen(path);
    size_t end = strlen(plan.file);

    return strncmp(path, plan.below, strlen(plan.below)) == 0 && length >= end &&
           strcmp(path + length - end, plan.file) == 0;
}

/* Count a call on this path, and tell whether it has to fail; errno is set then. */
static bool fails_path(const char *call, const char *path)
{
    uint64_t count;

    if (!is_chosen_call(call) || !is_chosen_path(path)) {
        return false;
    }
    count = atomic_fetch_add(&plan.report->matched, 1) + 1;
    if (plan.nth == 0 || count < plan.nth ||
        (plan.length != 0 && count - plan.nth >= plan.length)) {
        return false;
    }
    atomic_fetch_add(&plan.report->failed, 1);
    if (plan.error == 0) {
        kill(getpid(), SIGKILL);
    }
    errno = plan.error;
    return true;
}

static bool fails(const char *call, int fd)
{
    char link[64];
    char path[4096];
    ssize_t length;

    if (!is_chosen_call(call)) {
        return false;
    }
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof(path) - 1);
    if (length < 0) {
        return false;
    }
    path[length] = '\0';
    return fails_path(call, path);
}

/* The real function of this name. */
#define REAL(type, name) type name = (type)dlsym(RTLD_NEXT, call)

static ssize_t write_at(const char *call, int fd, const void *bytes, size_t length, off64_t offset)
{
    typedef ssize_t (*function)(int, const void *, size_t, off64_t);
    REAL(function, real);

    return fails("pwrite64", fd) ? -1 : real(fd, bytes, length, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    return write_at("pwrite", fd, bytes, length, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
    return write_at("pwrite64", fd, bytes, length, offset);
}

static ssize_t read_at(const char *call, int fd, void *bytes, size_t length, off64_t offset)
{
    typedef ssize_t (*function)(int, void *, size_t, off64_t);
    REAL(function, real);

    return fails("pread64", fd) ? -1 : real(fd, bytes, length, offset);
}

ssize_t pread(int fd, void *bytes, size_t length, off_t offset)
{
    return read_at("pread", fd, bytes, length, offset);
}

ssize_t pread64(int fd, void *bytes, size_t length, off64_t offset)
{
    return read_at("pread64", fd, bytes, length, offset);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    const char *call = "write";
    typedef ssize_t (*function)(int, const void *, size_t);
    REAL(function, real);

    return fails(call, fd) ? -1 : real(fd, bytes, length);
}

int fsync(int fd)
{
    const char *call = "fsync";
    typedef int (*function)(int);
    REAL(function, real);

    return fails(call, fd) ? -1 : real(fd);
}

int fdatasync(int fd)
{
    const char *call = "fdatasync";
    typedef int (*function)(int);
    REAL(function, real);

    return fails(call, fd) ? -1 : real(fd);
}

static int truncate_to(const char *call, int fd, off64_t length)
{
    typedef int (*function)(int, off64_t);
    REAL(function, real);

    return fails("ftruncate", fd) ? -1 : real(fd, length);
}

int ftruncate(int fd, off_t length)
{
    return truncate_to("ftruncate", fd, length);
}

int ftruncate64(int fd, off64_t length)
{
    return truncate_to("ftruncate64", fd, length);
}

int unlink(const char *path)
{
    const char *call = "unlink";
    typedef int (*function)(const char *);
    REAL(function, real);

    return fails_path(call, path) ? -1 : real(path);
}

static int open_file(const char *call, const char *path, int flags, mode_t mode)
{
    typedef int (*function)(const char *, int, ...);
    REAL(function, real);

    return fails_path("open", path) ? -1 : real(path, flags, mode);
}

/* The mode follows only where a file may be made. */
#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        mode_t mode = 0;                                                                           \
                                                                                                   \
        if ((flags & (O_CREAT | __O_TMPFILE)) != 0) {                                              \
            va_list arguments;                                                                     \
                                                                                                   \
            va_start(arguments, flags);                                                            \
            mode = va_arg(arguments, mode_t);                                                      \
            va_end(arguments);                                                                     \
        }                                                                                          \
        return open_file(#name, path, flags, mode);                                                \
    }

OPEN(open)
OPEN(open64)
