/*
 * The write-ahead log in few large writes.
 *
 * SQLite writes each page of a commit to its log with two system calls, a header of 24 bytes and
 * the page. Readings of many devices come in turn, so nearly every message of a batch changes a
 * page of its own: hundreds of small writes a batch, which took the writer more time than
 * everything else together. They are contiguous. This VFS lies over the system's default one and
 * gathers them: a commit becomes one write, or a few of GATHER_SIZE.
 *
 * Only the log gets methods of ours. Every other file is opened by the VFS below (store_disk.c) as
 * if this one were not there.
 *
 * What must never happen: a page that SQLite takes for written is not in the file when it matters.
 * It matters
 *  - when the commit is made known: to other processes through the shared index, to us by
 * returning. SQLite marks the last frame of a transaction by the size of the database in its header
 * (file format, §4.1 "WAL frame header": bytes 4 to 7, zero in every other frame). With that
 * frame's page everything gathered is written, before xWrite returns, so that an error is an error
 * of the commit, whatever the durability is.
 *  - when the log is synced, read, measured or truncated: written first, every time.
 * At any other time the frames belong to a transaction that is not committed, and nobody looks.
 *
 * A transaction that outgrew the cache may have written a page twice. SQLite then corrects the
 * checksums at its end: it writes the headers of frames anew, the last one last and without its
 * page. So a header that does not follow what was written before is written at once.
 *
 * An error while writing is returned from the call that found it. SQLite rolls the transaction back
 * then, so what was gathered is of no more use and forgotten. Whoever rolls back for another reason
 * says so (store_log_forget()): the place of those frames may soon be another process's.
 *
 * One thread uses a file at a time: the connection is the writer's.
 */
#include "store_log.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "store_disk.h"

/* The default VFS writes at most 0x1ffff bytes at once, and takes more for a full disk. */
#define GATHER_SIZE       0x1ffff
#define FRAME_HEADER_SIZE 24

/* A log file; the default VFS's own part of it follows in memory. */
struct log_file {
    sqlite3_file base;
    unsigned char *gathered; /* GATHER_SIZE bytes, or NULL: write at once */
    sqlite3_int64 start;     /* where in the file they belong, or the next ones */
    int length;
    bool commit_frame; /* the last header announced the end of a transaction: its page comes next */
};

static sqlite3_vfs *below; /* the default VFS, with its waits marked */
static sqlite3_vfs above;

static struct log_file *log_of(sqlite3_file *file)
{
    return (struct log_file *)(void *)file;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return (sqlite3_file *)(void *)((unsigned char *)file + sizeof(struct log_file));
}

static int write_gathered(sqlite3_file *file)
{
    struct log_file *log = log_of(file);
    sqlite3_file *real = real_of(file);
    sqlite3_int64 start = log->start;
    int length = log->length;

    log->start += length;
    log->length = 0;
    return length == 0 ? SQLITE_OK : real->pMethods->xWrite(real, log->gathered, length, start);
}

/* Whether this is the header of a transaction's last frame. */
static bool ends_transaction(const void *bytes, int length)
{
    static const unsigned char none[4];

    return length == FRAME_HEADER_SIZE && memcmp((const unsigned char *)bytes + 4, none, 4) != 0;
}

static int log_write(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 offset)
{
    struct log_file *log = log_of(file);
    sqlite3_file *real = real_of(file);
    bool last = log->commit_frame;
    bool apart = offset != log->start + log->length;
    int code = SQLITE_OK;

    if (log->gathered == NULL) {
        return real->pMethods->xWrite(real, bytes, length, offset);
    }
    if (apart || length > GATHER_SIZE - log->length) {
        code = write_gathered(file);
        log->start = offset;
    }
    if (code == SQLITE_OK && (length > GATHER_SIZE || (apart && length == FRAME_HEADER_SIZE))) {
        code = real->pMethods->xWrite(real, bytes, length, offset);
        log->start = offset + length;
    } else if (code == SQLITE_OK) {
        memcpy(log->gathered + log->length, bytes, (size_t)length);
        log->length += length;
    }
    log->commit_frame = ends_transaction(bytes, length);
    if (code == SQLITE_OK && last) {
        code = write_gathered(file);
    }
    return code;
}

static int log_close(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);

    /* What is gathered still is of no transaction that was committed. */
    sqlite3_free(log_of(file)->gathered);
    return real->pMethods->xClose(real);
}

static int log_read(sqlite3_file *file, void *bytes, int length, sqlite3_int64 offset)
{
    sqlite3_file *real = real_of(file);
    int code = write_gathered(file);

    return code != SQLITE_OK ? code : real->pMethods->xRead(real, bytes, length, offset);
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    sqlite3_file *real = real_of(file);
    int code = write_gathered(file);

    return code != SQLITE_OK ? code : real->pMethods->xTruncate(real, size);
}

static int log_sync(sqlite3_file *file, int flags)
{
    sqlite3_file *real = real_of(file);
    int code = write_gathered(file);

    return code != SQLITE_OK ? code : real->pMethods->xSync(real, flags);
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size)
{
    sqlite3_file *real = real_of(file);
    int code = write_gathered(file);

    return code != SQLITE_OK ? code : real->pMethods->xFileSize(real, size);
}

static int log_lock(sqlite3_file *file, int lock)
{
    sqlite3_file *real = real_of(file);

    return real->pMethods->xLock(real, lock);
}

static int log_unlock(sqlite3_file *file, int lock)
{
    sqlite3_file *real = real_of(file);

    return real->pMethods->xUnlock(real, lock);
}

static int log_check_lock(sqlite3_file *file, int *locked)
{
    sqlite3_file *real = real_of(file);

    return real->pMethods->xCheckReservedLock(real, locked);
}

static int log_control(sqlite3_file *file, int operation, void *argument)
{
    sqlite3_file *real = real_of(file);

    return real->pMethods->xFileControl(real, operation, argument);
}

static int log_sector_size(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);

    return real->pMethods->xSectorSize(real);
}

static int log_characteristics(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);

    return real->pMethods->xDeviceCharacteristics(real);
}

/* Version 1: a log is neither shared memory nor mapped. */
static const sqlite3_io_methods log_methods = {
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_check_lock,
    .xFileControl = log_control,
    .xSectorSize = log_sector_size,
    .xDeviceCharacteristics = log_characteristics,
};

static int open_file(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                     int *out_flags)
{
    sqlite3_file *real = real_of(file);
    struct log_file *log = log_of(file);
    int code;

    (void)vfs;
    if ((flags & SQLITE_OPEN_WAL) == 0) {
        return below->xOpen(below, name, file, flags, out_flags);
    }
    memset(log, 0, sizeof(*log));
    real->pMethods = NULL;
    code = below->xOpen(below, name, real, flags, out_flags);
    if (real->pMethods == NULL) {
        return code; /* nothing to close */
    }
    log->base.pMethods = &log_methods;
    if (code == SQLITE_OK) {
        log->gathered = sqlite3_malloc(GATHER_SIZE);
    }
    return code;
}

void store_log_forget(sqlite3 *db)
{
    sqlite3_file *file = NULL;

    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) == SQLITE_OK &&
        file != NULL && file->pMethods == &log_methods) {
        log_of(file)->length = 0;
        log_of(file)->commit_frame = false;
    }
}

static void make_vfs(void)
{
    sqlite3_vfs *found = store_disk_vfs();

    if (found == NULL) {
        return;
    }
    above = *found;
    above.pNext = NULL;
    above.zName = "foxtrackrd";
    above.szOsFile = (int)sizeof(struct log_file) + found->szOsFile;
    above.xOpen = open_file;
    if (sqlite3_vfs_register(&above, 0) == SQLITE_OK) {
        below = found;
    }
}

const char *store_log_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_vfs);
    return below != NULL ? above.zName : NULL;
}
