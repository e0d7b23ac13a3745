/*
 * A journal of everything that reaches a directory of files, for tests/faults/powerloss.
 *
 * Preloaded (LD_PRELOAD) into the program under test. Calls that change a file below
 * $POWERLOSS_DIRECTORY, or its entries, are carried out and then described by one record in
 * $POWERLOSS_JOURNAL, which lies elsewhere: what was written where, what was created, removed or
 * renamed, what was synced, and between which two readings of CLOCK_MONOTONIC it happened. From
 * these records powerloss builds what a machine can find after the power failed at any moment.
 *
 * One mutex is held over a call and its record, so that the records are in the order of the
 * effects. A record is written after its call: of a process that is killed, the last call may be
 * missing. That is sound: a write whose record is missing was not synced, and a sync whose record
 * is missing had not yet returned to the program, so that nothing can have been built upon it.
 *
 * Shared memory (-shm) is left out: SQLite makes it anew after a restart.
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
};

enum watched {
    WATCHED_NOT = 0,
    WATCHED_FILE,
    WATCHED_DIRECTORY,
};

/* powerloss reads this with struct.unpack("=IiQQQII"). */
struct record {
    uint32_t kind;
    int32_t fd;
    uint64_t begin_ns;
    uint64_t end_ns;
    uint64_t offset;
    uint32_t length;
    uint32_t flags;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *directory;
static size_t directory_length;
static int journal_fd = -1;
static bool ignore_file;
static bool ignore_directory;
static unsigned char watched[DESCRIPTORS];

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
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* Write a record; the mutex is held. A journal with a hole would prove nothing: better no test. */
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
    pthread_mutex_lock(&mutex);
    begin_ns = now_ns();
    was_there = fstatat(AT_FDCWD, path, &before, 0) == 0;
    fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (fd >= DESCRIPTORS) {
        abort();
    }
    if (fd >= 0) {
        watched[fd] = name[0] == '\0' ? WATCHED_DIRECTORY : WATCHED_FILE;
        if (name[0] != '\0') {
            note(KIND_OPEN, fd, begin_ns, 0, name, strlen(name),
                 (was_there ? 0U : 1U) | ((flags & O_TRUNC) != 0 ? 2U : 0U));
        }
    }
    pthread_mutex_unlock(&mutex);
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
    pthread_mutex_lock(&mutex);
    begin_ns = now_ns();
    result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (result == 0) {
        note(KIND_UNLINK, -1, begin_ns, 0, name, strlen(name), 0);
    }
    pthread_mutex_unlock(&mutex);
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
    pthread_mutex_lock(&mutex);
    begin_ns = now_ns();
    result = (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    if (result == 0) {
        note_rename(from_name, to_name, begin_ns);
    }
    pthread_mutex_unlock(&mutex);
    return result;
}

/* --- contents ------------------------------------------------------------------------------ */

static ssize_t write_at(int fd, const void *bytes, size_t length, off_t offset)
{
    uint64_t begin_ns;
    ssize_t result;

    pthread_mutex_lock(&mutex);
    begin_ns = now_ns();
    result = syscall(SYS_pwrite64, fd, bytes, length, offset);
    if (result > 0) {
        note(KIND_WRITE, fd, begin_ns, (uint64_t)offset, bytes, (size_t)result, 0);
    }
    pthread_mutex_unlock(&mutex);
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
    pthread_mutex_lock(&mutex);
    begin_ns = now_ns();
    result = syscall(SYS_write, fd, bytes, length);
    if (result > 0) {
        long end = syscall(SYS_lseek, fd, 0, SEEK_CUR);

        note(KIND_WRITE, fd, begin_ns, (uint64_t)(end - result), bytes, (size_t)result, 0);
    }
    pthread_mutex_unlock(&mutex);
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
    pthread_mutex_lock(&mutex);
    begin_ns = now_ns();
    result = (int)syscall(SYS_ftruncate, fd, size);
    if (result == 0) {
        note(KIND_TRUNCATE, fd, begin_ns, (uint64_t)size, NULL, 0, 0);
    }
    pthread_mutex_unlock(&mutex);
    return result;
}

EXPORT int ftruncate64(int fd, off_t size)
{
    return ftruncate(fd, size);
}

/* Nothing here allocates ahead; were it to, the records would have to say so. */
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
    pthread_mutex_lock(&mutex);
    begin_ns = now_ns();
    result = (int)syscall(call, fd);
    if (result == 0) {
        note(is_directory ? KIND_SYNC_DIRECTORY : KIND_SYNC, fd, begin_ns, 0, NULL, 0, 0);
    }
    pthread_mutex_unlock(&mutex);
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
