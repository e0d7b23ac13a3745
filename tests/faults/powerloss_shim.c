/*
 * A journal of everything that reaches a directory of files, for tests/faults/powerloss.
 *
 * Preloaded (LD_PRELOAD) into the program under test. Calls that change a file below
 * $POWERLOSS_DIRECTORY, or its entries, are carried out and then described by one record in
 * $POWERLOSS_JOURNAL, which lies elsewhere: what was written where, what was created, removed or
 * renamed, what was synced, and between which two readings of CLOCK_MONOTONIC it happened. From
 * these records powerloss builds what a machine can find after the power failed at any moment.
 *
 * One lock is held over a call and its record, so that the records are in the order of the
 * effects. A record is written after its call: of a process that is killed, the last call may be
 * missing. That is sound: a write whose record is missing was not synced, and a sync whose record
 * is missing had not yet returned to the program, so that nothing can have been built upon it.
 *
 * Shared memory (-shm) is left out: SQLite makes it anew after a restart.
 *
 * Several processes may share a journal: a lock on it keeps their records in order, and each record
 * names its process.
 *
 * $POWERLOSS_FAIL = "SUFFIX:N:ERRNO": the Nth sync by this process of a file whose name ends so
 * fails with that error. Nothing is synced then. As in Linux, every other descriptor that has the
 * file open hears of it once, at its next sync, in whatever process ($POWERLOSS_ERRORS: a file of
 * 64 uint32_t that they share), and then no more.
 *
 * $POWERLOSS_IGNORE = "file" or "directory": syncs of those do nothing and leave no record, as
 * with a disk that lies. With it the campaign must fail; that is how it is tested itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define DESCRIPTORS 4096
#define EXPORT      __attribute__((visibility("default")))

enum kind {
    KIND_OPEN = 1, /* payload: the name; flag 1: it was made, 2: it was truncated */
    KIND_WRITE,    /* payload: the bytes */
    KIND_TRUNCATE, /* offset: the new size */
    KIND_SYNC,
    KIND_SYNC_DIRECTORY,
    KIND_UNLINK, /* payload: the name */
    KIND_RENAME, /* payload: the old name, NUL, the new name */
    KIND_SYNC_FAILED,
};

enum watched {
    WATCHED_NOT = 0,
    WATCHED_FILE,
    WATCHED_DIRECTORY,
};

/* powerloss reads this with struct.unpack("=IiQQQIIII"). */
struct record {
    uint32_t kind;
    int32_t fd;
    uint64_t begin_ns;
    uint64_t end_ns;
    uint64_t offset;
    uint32_t length;
    uint32_t flags;
    uint32_t pid;
    uint32_t none;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *directory;
static size_t directory_length;
static int journal_fd = -1;
static bool ignore_file;
static bool ignore_directory;
static unsigned char watched[DESCRIPTORS];

#define SLOTS 64
static uint32_t own_errors[SLOTS];
static uint32_t *errors = own_errors; /* by file: how many syncs have failed */
static uint32_t seen_errors[DESCRIPTORS];
static unsigned char slots[DESCRIPTORS];
static char fail_suffix[32];
static unsigned char fails[DESCRIPTORS]; /* its name ends like fail_suffix */
static int fail_in;                      /* after so many syncs of it; 0: never */
static int fail_errno;

static void set_up_failures(void)
{
    const char *fail = getenv("POWERLOSS_FAIL");
    const char *shared = getenv("POWERLOSS_ERRORS");
    void *map;
    int fd;

    if (fail != NULL && sscanf(fail, "%31[^:]:%d:%d", fail_suffix, &fail_in, &fail_errno) != 3) {
        abort();
    }
    if (shared != NULL) {
        fd = (int)syscall(SYS_openat, AT_FDCWD, shared, O_RDWR | O_CLOEXEC, 0);
        map = mmap(NULL, sizeof(own_errors), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED) {
            abort();
        }
        syscall(SYS_close, fd);
        errors = map;
    }
}

__attribute__((constructor)) static void set_up(void)
{
    const char *journal = getenv("POWERLOSS_JOURNAL");
    const char *ignore = getenv("POWERLOSS_IGNORE");

    directory = getenv("POWERLOSS_DIRECTORY");
    if (directory == NULL || journal == NULL) {
        return;
    }
    directory_length = strlen(directory);
    ignore_file = ignore != NULL && strcmp(ignore, "file") == 0;
    ignore_directory = ignore != NULL && strcmp(ignore, "directory") == 0;
    journal_fd = (int)syscall(SYS_openat, AT_FDCWD, journal,
                              O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal_fd < 0) {
        abort();
    }
    set_up_failures();
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* One call and its record at a time, of all threads and processes. */
static void lock(void)
{
    pthread_mutex_lock(&mutex);
    while (flock(journal_fd, LOCK_EX) < 0) {
    }
}

static void unlock(void)
{
    int saved = errno;

    flock(journal_fd, LOCK_UN);
    errno = saved;
    pthread_mutex_unlock(&mutex);
}

/* Write a record; the lock is held. A journal with a hole would prove nothing: better no test. */
static void note(enum kind kind, int fd, uint64_t begin_ns, uint64_t offset, const void *payload,
                 size_t length, unsigned flags)
{
    struct record record = {
        .kind = kind,
        .fd = fd,
        .begin_ns = begin_ns,
        .end_ns = now_ns(),
        .offset = offset,
        .length = (uint32_t)length,
        .flags = flags,
        .pid = (uint32_t)getpid(),
    };
    struct iovec parts[2] = {{&record, sizeof(record)}, {(void *)(uintptr_t)payload, length}};
    int saved = errno;

    if (syscall(SYS_writev, journal_fd, parts, 2) != (long)(sizeof(record) + length)) {
        abort();
    }
    errno = saved;
}

static enum watched watch_of(int fd)
{
    return fd >= 0 && fd < DESCRIPTORS ? (enum watched)watched[fd] : WATCHED_NOT;
}

/* The name below the directory, "" for the directory itself, NULL for what is not of interest. */
static const char *name_of(const char *path)
{
    size_t length = strlen(path);

    if (journal_fd < 0 || strncmp(path, directory, directory_length) != 0 ||
        (length >= 4 && strcmp(path + length - 4, "-shm") == 0)) {
        return NULL;
    }
    if (path[directory_length] == '\0') {
        return path + directory_length;
    }
    return path[directory_length] == '/' ? path + directory_length + 1 : NULL;
}

/* A descriptor hears of failures from when it was opened on. */
static void note_errors(int fd, const char *name)
{
    size_t length = strlen(name);
    size_t end = strlen(fail_suffix);
    unsigned slot = 0;

    for (const char *at = name; *at != '\0'; at++) {
        slot = slot * 31 + (unsigned char)*at;
    }
    slots[fd] = (unsigned char)(slot % SLOTS);
    seen_errors[fd] = errors[slots[fd]];
    fails[fd] = fail_in > 0 && length >= end && strcmp(name + length - end, fail_suffix) == 0;
}

/* Returns true, with errno set, when this sync is to fail. The lock is held. */
static bool sync_fails(int fd)
{
    if (fails[fd] && fail_in > 0 && --fail_in == 0) {
        errors[slots[fd]]++;
    }
    if (seen_errors[fd] == errors[slots[fd]]) {
        return false;
    }
    seen_errors[fd] = errors[slots[fd]];
    errno = fail_errno != 0 ? fail_errno : EIO;
    return true;
}

/* --- names --------------------------------------------------------------------------------- */

static int open_watched(int at, const char *path, int flags, mode_t mode)
{
    const char *name = at == AT_FDCWD || path[0] == '/' ? name_of(path) : NULL;
    struct stat before;
    uint64_t begin_ns;
    bool was_there;
    int fd;

    if (name == NULL) {
        fd = (int)syscall(SYS_openat, at, path, flags, mode);
        if (fd >= 0 && fd < DESCRIPTORS) {
            watched[fd] = WATCHED_NOT;
        }
        return fd;
    }
    lock();
    begin_ns = now_ns();
    was_there = fstatat(AT_FDCWD, path, &before, 0) == 0;
    fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (fd >= DESCRIPTORS) {
        abort();
    }
    if (fd >= 0) {
        watched[fd] = name[0] == '\0' ? WATCHED_DIRECTORY : WATCHED_FILE;
        note_errors(fd, name);
        if (name[0] != '\0') {
            note(KIND_OPEN, fd, begin_ns, 0, name, strlen(name),
                 (was_there ? 0U : 1U) | ((flags & O_TRUNC) != 0 ? 2U : 0U));
        }
    }
    unlock();
    return fd;
}

/* The mode that follows the flags, where there is one. */
#define MODE_AFTER(flags, mode)                                                                    \
    do {                                                                                           \
        if (((flags) & (O_CREAT | __O_TMPFILE)) != 0) {                                            \
            va_list arguments;                                                                     \
            va_start(arguments, flags);                                                            \
            (mode) = va_arg(arguments, mode_t);                                                    \
            va_end(arguments);                                                                     \
        }                                                                                          \
    } while (0)

EXPORT int open(const char *path, int flags, ...)
{
    mode_t mode = 0;

    MODE_AFTER(flags, mode);
    return open_watched(AT_FDCWD, path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;

    MODE_AFTER(flags, mode);
    return open_watched(AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int at, const char *path, int flags, ...)
{
    mode_t mode = 0;

    MODE_AFTER(flags, mode);
    return open_watched(at, path, flags, mode);
}

EXPORT int openat64(int at, const char *path, int flags, ...)
{
    mode_t mode = 0;

    MODE_AFTER(flags, mode);
    return open_watched(at, path, flags, mode);
}

EXPORT int creat(const char *path, mode_t mode)
{
    return open_watched(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

EXPORT int close(int fd)
{
    if (fd == journal_fd && fd >= 0) {
        errno = EBADF;
        return -1;
    }
    if (watch_of(fd) != WATCHED_NOT) {
        watched[fd] = WATCHED_NOT;
    }
    return (int)syscall(SYS_close, fd);
}

EXPORT int unlink(const char *path)
{
    const char *name = name_of(path);
    uint64_t begin_ns;
    int result;

    if (name == NULL) {
        return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    }
    lock();
    begin_ns = now_ns();
    result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (result == 0) {
        note(KIND_UNLINK, -1, begin_ns, 0, name, strlen(name), 0);
    }
    unlock();
    return result;
}

static void note_rename(const char *from, const char *to, uint64_t begin_ns)
{
    char names[2 * 4096];
    size_t from_length = strlen(from);
    size_t to_length = strlen(to);

    if (from_length + 1 + to_length > sizeof(names)) {
        abort();
    }
    memcpy(names, from, from_length + 1);
    memcpy(names + from_length + 1, to, to_length);
    note(KIND_RENAME, -1, begin_ns, 0, names, from_length + 1 + to_length, 0);
}

EXPORT int rename(const char *from, const char *to)
{
    const char *from_name = name_of(from);
    const char *to_name = name_of(to);
    uint64_t begin_ns;
    int result;

    if (from_name == NULL && to_name == NULL) {
        return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    }
    if (from_name == NULL || to_name == NULL) {
        abort(); /* into or out of the directory: powerloss does not know how to follow that */
    }
    lock();
    begin_ns = now_ns();
    result = (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    if (result == 0) {
        note_rename(from_name, to_name, begin_ns);
    }
    unlock();
    return result;
}

/* --- contents ------------------------------------------------------------------------------ */

static ssize_t write_at(int fd, const void *bytes, size_t length, off_t offset)
{
    uint64_t begin_ns;
    ssize_t result;

    lock();
    begin_ns = now_ns();
    result = syscall(SYS_pwrite64, fd, bytes, length, offset);
    if (result > 0) {
        note(KIND_WRITE, fd, begin_ns, (uint64_t)offset, bytes, (size_t)result, 0);
    }
    unlock();
    return result;
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    if (watch_of(fd) != WATCHED_FILE) {
        return syscall(SYS_pwrite64, fd, bytes, length, offset);
    }
    return write_at(fd, bytes, length, offset);
}

EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset)
{
    return pwrite(fd, bytes, length, offset);
}

EXPORT ssize_t write(int fd, const void *bytes, size_t length)
{
    uint64_t begin_ns;
    ssize_t result;

    if (watch_of(fd) != WATCHED_FILE) {
        return syscall(SYS_write, fd, bytes, length);
    }
    lock();
    begin_ns = now_ns();
    result = syscall(SYS_write, fd, bytes, length);
    if (result > 0) {
        long end = syscall(SYS_lseek, fd, 0, SEEK_CUR);

        note(KIND_WRITE, fd, begin_ns, (uint64_t)(end - result), bytes, (size_t)result, 0);
    }
    unlock();
    return result;
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    ssize_t total = 0;

    if (watch_of(fd) != WATCHED_FILE) {
        return syscall(SYS_writev, fd, parts, count);
    }
    for (int i = 0; i < count; i++) {
        ssize_t written = write(fd, parts[i].iov_base, parts[i].iov_len);

        if (written < 0) {
            return total > 0 ? total : written;
        }
        total += written;
        if ((size_t)written < parts[i].iov_len) {
            break;
        }
    }
    return total;
}

EXPORT int ftruncate(int fd, off_t size)
{
    uint64_t begin_ns;
    int result;

    if (watch_of(fd) != WATCHED_FILE) {
        return (int)syscall(SYS_ftruncate, fd, size);
    }
    lock();
    begin_ns = now_ns();
    result = (int)syscall(SYS_ftruncate, fd, size);
    if (result == 0) {
        note(KIND_TRUNCATE, fd, begin_ns, (uint64_t)size, NULL, 0, 0);
    }
    unlock();
    return result;
}

EXPORT int ftruncate64(int fd, off_t size)
{
    return ftruncate(fd, size);
}

/* The records do not tell of space that is allocated ahead. The store allocates only where little
 * is free, and does without it where it cannot. */
EXPORT int fallocate(int fd, int mode, off_t offset, off_t length)
{
    if (watch_of(fd) == WATCHED_FILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

EXPORT int fallocate64(int fd, int mode, off_t offset, off_t length)
{
    return fallocate(fd, mode, offset, length);
}

/* --- syncs --------------------------------------------------------------------------------- */

static int sync_watched(long call, int fd)
{
    bool is_directory = watch_of(fd) == WATCHED_DIRECTORY;
    uint64_t begin_ns;
    int result;

    if (watch_of(fd) == WATCHED_NOT) {
        return (int)syscall(call, fd);
    }
    if (is_directory ? ignore_directory : ignore_file) {
        return 0;
    }
    lock();
    begin_ns = now_ns();
    if (!is_directory && sync_fails(fd)) {
        note(KIND_SYNC_FAILED, fd, begin_ns, 0, NULL, 0, 0);
        unlock();
        return -1;
    }
    result = (int)syscall(call, fd);
    if (result == 0) {
        note(is_directory ? KIND_SYNC_DIRECTORY : KIND_SYNC, fd, begin_ns, 0, NULL, 0, 0);
    }
    unlock();
    return result;
}

EXPORT int fsync(int fd)
{
    return sync_watched(SYS_fsync, fd);
}

EXPORT int fdatasync(int fd)
{
    return sync_watched(SYS_fdatasync, fd);
}
