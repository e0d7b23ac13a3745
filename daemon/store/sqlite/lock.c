/*
 * The locks that keep a second daemon from a database.
 *
 * SQLite derives the WAL's name from the database's name. Two programs that open one file by two
 * names write two WALs, and each moves its own into the file: rows vanish and the file becomes
 * malformed, and neither program sees an error. SQLite's locks do not help, they are taken in files
 * named after the database as well. So
 *
 *  - PATH.lock keeps a second daemon from the same path. The path is without symbolic links. The
 *    lock exists before the database does, and holds the process id. A file of that name with other
 *    content is locked too, and never changed. It does not prevent the start: the lock file is
 *    never synced, so its content is undefined after a power failure in the first start.
 *  - A database with a second name (hard link) is refused.
 *  - The file itself is locked, by its inode: so the lock also works through a bind mount, from
 *    another container, and by a name that was made later.
 *
 * The lock of the file is an open file description lock (F_OFD_SETLK) on one byte far outside of
 * the bytes that SQLite locks, and of any database's size: it disturbs no reader. It belongs to the
 * descriptor, which is open until SQLite has closed its own (see store/sqlite/open.c).
 */
#include "store/sqlite/lock_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error_text.h"
#include "base/own_file.h"
#include "store/sqlite/sqlite_internal.h"
#include "store/tools.h"

/* Users who may only read the database must not be able to lock it: flock() works on any file that
 * can be opened, and a reader's lock would keep the daemon from starting. */
#define LOCK_MODE 0600

/* "FOXT", and 32 bits. SQLite locks the bytes from 0x40000000 to 0x400001ff. */
#define INODE_LOCK_BYTE INT64_C(0x464f585400000000)

static bool is_ours(int fd)
{
    char reason[OWN_FILE_REASON_SIZE];

    return own_file_judge_open(fd, OWN_FILE_LOCK, reason) == OWN_FILE_FINE;
}

/* Reads the id of the process that holds the lock, as that process wrote it; 0 when unknown. */
static long lock_owner(int fd)
{
    char text[32] = "";

    if (!is_ours(fd) || pread(fd, text, sizeof(text) - 1, 0) <= 0) {
        return 0;
    }
    return strtol(text, NULL, 10);
}

/* Writes our process id into the held lock file, unless it is another program's file. */
static void mark_lock(struct store *store)
{
    store->lock_is_other = !is_ours(store->lock_fd);
    if (store->lock_is_other) {
        return;
    }
    (void)!fchmod(store->lock_fd, LOCK_MODE); /* an earlier version made it with another mode */
    /* The process id only serves the message of another daemon; the lock works without it. */
    store_record_read(store);
    store_record_write(store);
}

static int refuse_lock(struct store *store, const char *lock_path)
{
    if (errno == ELOOP) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: is a symbolic link, and foxtrackrd needs this name for the lock "
                            "of its database; remove the link",
                            lock_path);
    }
    return store_refuse(store, STORE_E_PATH,
                        "%s: cannot be made: %s; the directory of the database must be writable "
                        "for the user of foxtrackrd",
                        lock_path, error_text(errno));
}

/* Advice to the operator where another program has the database. */
static const char *advice(const struct store *store)
{
    return store->restoring ? "stop it first (systemctl stop foxtrackrd), then restore"
                            : "stop it, or give this one a database of its own";
}

static int refuse_second(struct store *store, const char *lock_path)
{
    long owner = lock_owner(store->lock_fd);
    char process[40] = "";

    if (owner > 0) {
        snprintf(process, sizeof(process), " (process %ld)", owner);
    }
    return store_refuse(store, STORE_E_LOCKED, "%s: %s%s has this database: %s is locked; %s",
                        store->path, store->restoring ? "foxtrackrd" : "another foxtrackrd",
                        process, lock_path, advice(store));
}

int store_take_lock(struct store *store)
{
    struct stat status;
    char *lock_path = NULL;
    int result = STORE_OK;

    if (asprintf(&lock_path, "%s.lock", store->path) < 0) {
        return store_refuse(store, STORE_E_RETRY, "%s: out of memory", store->path);
    }
    store->lock_fd = open(
        lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, LOCK_MODE);
    if (store->lock_fd < 0) {
        result = refuse_lock(store, lock_path);
    } else if (fstat(store->lock_fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        result = store_refuse(store, STORE_E_PATH,
                              "%s: is not a regular file, and foxtrackrd needs this name for the "
                              "lock of its database; move it away",
                              lock_path);
    } else if (flock(store->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        mark_lock(store);
    } else if (errno == EWOULDBLOCK) {
        result = refuse_second(store, lock_path);
    } else {
        result = store_refuse(store, STORE_E_PATH, "%s: cannot be locked: %s", lock_path,
                              error_text(errno));
    }
    free(lock_path);
    return result;
}

bool sqlite_is_held(const struct store_options *options, struct store_holder *holder)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = INODE_LOCK_BYTE, .l_len = 1};
    int fd = open(options->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool held = fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    char lock_path[PATH_MAX + 8];

    *holder = (struct store_holder){0};
    if (fd >= 0) {
        close(fd);
    }
    snprintf(lock_path, sizeof(lock_path), "%s.lock", options->path);
    fd = held ? open(lock_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    if (fd >= 0) {
        holder->pid = lock_owner(fd);
        close(fd);
    }
    if (holder->pid > 0) {
        snprintf(holder->text, sizeof(holder->text), "process %ld", holder->pid);
    }
    return held;
}

/* The lock file was taken while the database was opened. */
int sqlite_take(struct store *store, struct store_holder *holder)
{
    (void)store;
    (void)holder;
    return STORE_OK;
}

void sqlite_beat(struct store *store)
{
    (void)store;
}

int store_check_links(struct store *store, const struct stat *status)
{
    if (status->st_nlink <= 1) {
        return STORE_OK;
    }
    return store_refuse(store, STORE_E_PATH,
                        "%s: has %lu names (hard links), and a program that opens it by another "
                        "one destroys it, because the write-ahead log is named after the database; "
                        "remove the other names (find -samefile lists them), or make a copy with "
                        "foxtrackrctl backup",
                        store->path, (unsigned long)status->st_nlink);
}

static int lock_inode(struct store *store)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = INODE_LOCK_BYTE, .l_len = 1};

    if (fcntl(store->file_fd, F_OFD_SETLK, &lock) == 0) {
        return STORE_OK;
    }
    if (errno == EAGAIN || errno == EACCES) {
        return store_refuse(store, STORE_E_LOCKED,
                            "%s: another foxtrackrd has this very file, by another name (a bind "
                            "mount, a container, or a hard link); %s (fuser -v on the file names "
                            "its processes)",
                            store->path, advice(store));
    }
    return store_refuse(store, STORE_E_PATH,
                        "%s: cannot be locked: %s; put the database on a local file system",
                        store->path, error_text(errno));
}

int store_hold(struct store *store)
{
    bool owns = !store->read_only && !store->beside;
    struct stat status;

    store->file_fd =
        open(store->path, (owns ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (store->file_fd < 0) {
        return STORE_OK;
    }
    if (fstat(store->file_fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        return store_refuse(store, STORE_E_PATH, "%s: was exchanged while it was being opened",
                            store->path);
    }
    if (!owns) {
        return STORE_OK;
    }
    return store_check_links(store, &status) == STORE_OK ? lock_inode(store) : STORE_E_PATH;
}
