/*
 * The files that foxtrackrd replaces. A file that foxtrackrd did not write is never replaced,
 * followed, truncated or removed.
 *
 * How a file of ours is recognised: by its first bytes. The status file begins with `{`, blanks and
 * `"format":`, the metrics file with `# HELP foxtrackrd_`. A log is text: it holds no control
 * characters at its beginning but tab, end of line and escape, and is neither a key nor one of the
 * two files above. An empty file may be taken: an operator may have made it with touch(1). The lock
 * of a database is written in place and never synced, so a power failure leaves any mixture of what
 * was written there and of zeros: it is judged byte by byte, each by what may stand at its place
 * (see store/sqlite/record.c for the form).
 *
 * Replacing. The directory is opened once. The new bytes are written to PATH.tmp, which is created
 * with O_EXCL, so that no existing file or symbolic link of that name is ever written to; rename()
 * then gives it the final name. An existing PATH.tmp was left by a killed daemon if it is a regular
 * file of this user, with one hard link and with our first bytes: it is removed. Any other PATH.tmp
 * is an error.
 *
 * One writer. The newest file stays open and locked (flock()) until the next one has replaced it.
 * The kernel drops the lock when the process ends, however it ends, so a locked file means that its
 * writer still runs. Readers take no lock. While the file is open its inode cannot be reused, so
 * device and inode prove whether the file at the path is still the one that was written.
 */
#include "base/own_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error_text.h"

#define HEAD_SIZE 512 /* bytes at the beginning that decide a file's kind */
#define BLANKS    " \t\r\n"

/* The lock file of a database: the process id in a field of its own, then the record. */
#define LOCK_PROCESS 32
#define LOCK_SIZE    448
#define LOCK_RECORD  "run "

__attribute__((format(printf, 2, 3))) static enum own_file_verdict
refuse(char reason[OWN_FILE_REASON_SIZE], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, OWN_FILE_REASON_SIZE, format, arguments);
    va_end(arguments);
    return OWN_FILE_OTHER;
}

/* --- what a file is ------------------------------------------------------------------------- */

static const char *kind_name(enum own_file_kind kind)
{
    static const char *const names[] = {
        [OWN_FILE_STATUS] = "status file of foxtrackrd",
        [OWN_FILE_METRICS] = "metrics file of foxtrackrd",
        [OWN_FILE_LOG] = "log",
        [OWN_FILE_LOCK] = "lock of foxtrackrd",
    };

    return names[kind];
}

/* Returns true when `text` begins with `start`, or is a beginning of `start`. */
static bool begins(const char *text, const char *start)
{
    size_t length = strlen(text) < strlen(start) ? strlen(text) : strlen(start);

    return strncmp(text, start, length) == 0;
}

static bool is_status(const char *head)
{
    if (head[0] != '{') {
        return false;
    }
    head += 1 + strspn(head + 1, BLANKS);
    return begins(head, "\"format\":");
}

static bool is_metrics(const char *head)
{
    return begins(head, "# HELP foxtrackrd_");
}

static bool is_text(const char *head, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)head[i];

        if (byte < 0x20 && strchr("\t\n\v\f\r\033", byte) == NULL) {
            return false;
        }
        if (byte == '\0') {
            return false;
        }
    }
    return true;
}

/* Returns true when this program may have written `byte` at offset `at` of a lock file. */
static bool is_lock_byte(size_t at, char byte)
{
    if (at < LOCK_PROCESS) {
        return strchr("0123456789 \n", byte) != NULL;
    }
    if (at < LOCK_PROCESS + strlen(LOCK_RECORD)) {
        return byte == LOCK_RECORD[at - LOCK_PROCESS];
    }
    return strchr("abcdefghijklmnopqrstuvwxyz0123456789- \n", byte) != NULL;
}

static bool is_lock(const char *head, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (head[i] != '\0' && !is_lock_byte(i, head[i])) {
            return false;
        }
    }
    return length <= LOCK_SIZE;
}

/* Names the kind of a file that is not ours, for people. */
static const char *describe(const char *head, size_t length)
{
    if (length >= 15 && memcmp(head, "SQLite format 3", 15) == 0) {
        return "an SQLite database";
    }
    if (length >= 4 &&
        (memcmp(head, "\x37\x7f\x06\x82", 4) == 0 || memcmp(head, "\x37\x7f\x06\x83", 4) == 0)) {
        return "the write-ahead log of an SQLite database";
    }
    if (strncmp(head, "-----BEGIN", 10) == 0) {
        return "a certificate or a key";
    }
    if (is_status(head)) {
        return "a status file of foxtrackrd";
    }
    if (is_metrics(head)) {
        return "a metrics file of foxtrackrd";
    }
    return "another program's";
}

static bool is_of_kind(const char *head, size_t length, enum own_file_kind kind)
{
    switch (kind) {
    case OWN_FILE_STATUS:
        return is_status(head);
    case OWN_FILE_METRICS:
        return is_metrics(head);
    case OWN_FILE_LOCK:
        return is_lock(head, length);
    default:
        return is_text(head, length) && strncmp(head, "-----BEGIN", 10) != 0 &&
               (length < 24 || (!is_status(head) && !is_metrics(head)));
    }
}

enum own_file_verdict own_file_judge_open(int fd, enum own_file_kind kind,
                                          char reason[OWN_FILE_REASON_SIZE])
{
    char head[HEAD_SIZE + 1];
    ssize_t length;

    do {
        length = pread(fd, head, HEAD_SIZE, 0);
    } while (length < 0 && errno == EINTR);
    if (length < 0) {
        return refuse(reason, "cannot be read: %s", error_text(errno));
    }
    head[length] = '\0';
    if (length == 0 || is_of_kind(head, (size_t)length, kind)) {
        return 0;
    }
    return refuse(reason,
                  "is %s and no %s: it is left as it is; name another file, or move this "
                  "one away",
                  describe(head, (size_t)length), kind_name(kind));
}

/* Judge a name in a directory. `ours` is the file that this process holds, or -1. */
static enum own_file_verdict judge_at(int directory, const char *name, enum own_file_kind kind,
                                      int ours, int *error, char reason[OWN_FILE_REASON_SIZE])
{
    bool log = kind == OWN_FILE_LOG;
    bool has_writer = !log && kind != OWN_FILE_LOCK; /* the writer of these kinds holds flock()
                                                      * while it runs */
    int fd = openat(directory, name,
                    O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | (log ? 0 : O_NOFOLLOW));
    struct stat status;
    struct stat held;
    enum own_file_verdict result = OWN_FILE_FINE;

    *error = fd < 0 ? errno : 0;
    if (fd < 0) {
        return *error == ENOENT  ? OWN_FILE_FINE
               : *error == ELOOP ? refuse(reason, "is a symbolic link, which would be replaced "
                                                  "itself; name the file that it leads to")
                                 : refuse(reason, "cannot be looked at: %s", error_text(*error));
    }
    if (fstat(fd, &status) != 0 || (!S_ISREG(status.st_mode) && !log)) {
        result = refuse(reason, "is not a regular file: it is left as it is; name another file");
    } else if (S_ISREG(status.st_mode)) {
        result = own_file_judge_open(fd, kind, reason);
    }
    if (result == OWN_FILE_FINE && has_writer && flock(fd, LOCK_SH | LOCK_NB) != 0 &&
        errno == EWOULDBLOCK &&
        (ours < 0 || fstat(ours, &held) != 0 || held.st_dev != status.st_dev ||
         held.st_ino != status.st_ino)) {
        refuse(reason, "is written by another foxtrackrd that runs; give each daemon a file of its "
                       "own");
        result = OWN_FILE_IN_USE;
    }
    close(fd);
    return result;
}

enum own_file_verdict own_file_judge(const char *path, enum own_file_kind kind, int *error,
                                     char reason[OWN_FILE_REASON_SIZE])
{
    return judge_at(AT_FDCWD, path, kind, -1, error, reason);
}

/* --- replacing ------------------------------------------------------------------------------- */

void own_file_init(struct own_file *file, const char *path, enum own_file_kind kind, mode_t mode)
{
    *file = (struct own_file){.path = path, .kind = kind, .mode = mode, .fd = -1};
}

static int fail(struct own_file *file, const char *doing)
{
    refuse(file->problem, "cannot %s: %s", doing, error_text(errno));
    return 1;
}

/* The directory of the file, or -1; *base is the name in it. */
static int open_directory(const struct own_file *file, const char **base)
{
    const char *slash = strrchr(file->path, '/');
    char directory[PATH_MAX];

    *base = slash == NULL ? file->path : slash + 1;
    if (slash == NULL) {
        return open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    if (snprintf(directory, sizeof(directory), "%.*s", (int)(slash - file->path) + 1, file->path) >=
        (int)sizeof(directory)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Removes the PATH.tmp of a killed daemon. Returns true when PATH.tmp does not exist any more. */
static bool remove_leftover(struct own_file *file, int directory, const char *temporary)
{
    char reason[OWN_FILE_REASON_SIZE];
    struct stat status;
    int error;

    if (fstatat(directory, temporary, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(status.st_mode) && status.st_nlink == 1 && status.st_uid == geteuid() &&
        judge_at(directory, temporary, file->kind, -1, &error, reason) == OWN_FILE_FINE) {
        return unlinkat(directory, temporary, 0) == 0;
    }
    return false;
}

static int make_temporary(struct own_file *file, int directory, const char *temporary)
{
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(directory, temporary, flags, 0600);

    if (fd < 0 && errno == EEXIST) {
        if (!remove_leftover(file, directory, temporary)) {
            refuse(file->problem,
                   "%.100s stands in its directory and is not foxtrackrd's; move it "
                   "away",
                   temporary);
            return -1;
        }
        fd = openat(directory, temporary, flags, 0600);
    }
    if (fd < 0) {
        fail(file, "write");
    }
    return fd;
}

/* Sets the mode whatever the umask is: the umask protects files with data, and other users may read
 * some of these files. */
static int fill(struct own_file *file, int fd, const char *bytes, size_t length)
{
    if (fchmod(fd, file->mode) != 0) {
        return fail(file, "set its mode");
    }
    (void)flock(fd,
                LOCK_EX | LOCK_NB); /* no other process has it open; on failure it stays unlocked */
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);

        if (written < 0 && errno != EINTR) {
            return fail(file, "write");
        }
        if (written > 0) {
            bytes += written;
            length -= (size_t)written;
        }
    }
    return 0;
}

static int replace_at(struct own_file *file, int directory, const char *base, const char *bytes,
                      size_t length)
{
    char temporary[NAME_MAX + 1];
    int error;
    int fd;
    int result;

    if (snprintf(temporary, sizeof(temporary), "%s.tmp", base) >= (int)sizeof(temporary)) {
        errno = ENAMETOOLONG;
        return fail(file, "write");
    }
    if (judge_at(directory, base, file->kind, file->fd, &error, file->problem) != OWN_FILE_FINE) {
        return 1;
    }
    fd = make_temporary(file, directory, temporary);
    if (fd < 0) {
        return 1;
    }
    result = fill(file, fd, bytes, length);
    if (result == 0 && renameat(directory, temporary, directory, base) != 0) {
        result = fail(file, "rename");
    }
    if (result != 0) {
        unlinkat(directory, temporary, 0);
        close(fd);
        return 1;
    }
    if (file->fd >= 0) {
        close(file->fd);
    }
    file->fd = fd;
    return 0;
}

int own_file_replace(struct own_file *file, const char *bytes, size_t length)
{
    const char *base;
    int directory = open_directory(file, &base);
    int result;

    if (directory < 0) {
        return fail(file, "write");
    }
    result = replace_at(file, directory, base, bytes, length);
    close(directory);
    return result;
}

void own_file_remove(struct own_file *file)
{
    const char *base;
    struct stat held;
    struct stat status;
    int directory;

    if (file->fd < 0) {
        return;
    }
    directory = open_directory(file, &base);
    if (directory >= 0 && fstat(file->fd, &held) == 0 &&
        fstatat(directory, base, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        status.st_dev == held.st_dev && status.st_ino == held.st_ino) {
        unlinkat(directory, base, 0);
    }
    if (directory >= 0) {
        close(directory);
    }
    close(file->fd);
    file->fd = -1;
}
