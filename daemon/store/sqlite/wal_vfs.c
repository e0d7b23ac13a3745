/*
 * Writes the WAL in few large writes.
 *
 * SQLite writes each page of a commit to its WAL with two system calls, a header of 24 bytes and
 * the page. Readings of many devices alternate, so nearly every message of a batch changes another
 * page: hundreds of small writes a batch, which took the writer more time than all other work.
 * These writes are contiguous. This VFS gathers them: a commit becomes one write, or a few of
 * GATHER_SIZE.
 *
 * The VFS is store/sqlite/disk.c's with other methods for the WAL; other files are not affected.
 *
 * Must never happen: a page that SQLite considers written is missing in the file when another
 * process, or this one, depends on it. That is
 *
 *  - when the commit becomes visible: to other processes through the shared index, to us by
 *    returning. SQLite marks the last frame of a transaction by the size of the database in its
 *    header (file format, §4.1 "WAL frame header": bytes 4 to 7, zero in every other frame). With
 *    that frame's page all gathered bytes are written before xWrite returns, so that an error fails
 *    the commit, whatever the durability is.
 *  - when the WAL is synced, read, measured or truncated: the gathered bytes are written first,
 *    every time.
 *
 * At any other time the frames belong to a transaction that is not committed, and nothing reads
 * them.
 *
 * A transaction that outgrew the cache may have written a page twice. SQLite then corrects the
 * checksums at its end: it rewrites the headers of frames, the last one last and without its page.
 * A header that does not follow the previous write is therefore written at once.
 *
 * An error while writing is returned from the call that found it. SQLite then rolls the transaction
 * back, so the gathered bytes are dropped. A rollback for another reason must call
 * store_wal_forget(), because another process may soon write at the place of those frames.
 *
 * One thread at a time uses a file: the thread that uses the connection.
 */
#include "store/sqlite/wal_vfs_internal.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>

#include "store/sqlite/disk_internal.h"

/* The default VFS writes at most 0x1ffff bytes at once, and reports a longer write as a full
 * disk. */
#define GATHER_SIZE       0x1ffff
#define FRAME_HEADER_SIZE 24

static sqlite3_vfs *below;             /* store/sqlite/disk.c's */
static const sqlite3_io_methods *disk; /* its file methods */
static sqlite3_vfs above;
static sqlite3_io_methods wal_methods; /* the same, except for the functions below */

static struct gathered *gathered_of(sqlite3_file *file)
{
    return &((struct disk_file *)(void *)file)->gathered;
}

static int write_gathered(sqlite3_file *file)
{
    struct gathered *gathered = gathered_of(file);
    sqlite3_int64 start = gathered->start;
    int length = gathered->length;

    gathered->start += length;
    gathered->length = 0;
    return length == 0 ? SQLITE_OK : disk->xWrite(file, gathered->bytes, length, start);
}

/* Returns true for the header of a transaction's last frame. */
static bool ends_transaction(const void *bytes, int length)
{
    static const unsigned char none[4];

    return length == FRAME_HEADER_SIZE && memcmp((const unsigned char *)bytes + 4, none, 4) != 0;
}

static int wal_write(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 offset)
{
    struct gathered *gathered = gathered_of(file);
    bool last = gathered->commit_frame;
    bool apart = offset != gathered->start + gathered->length;
    int code = SQLITE_OK;

    if (gathered->bytes == NULL) {
        return disk->xWrite(file, bytes, length, offset);
    }
    if (apart || length > GATHER_SIZE - gathered->length) {
        code = write_gathered(file);
        gathered->start = offset;
    }
    if (code == SQLITE_OK && (length > GATHER_SIZE || (apart && length == FRAME_HEADER_SIZE))) {
        code = disk->xWrite(file, bytes, length, offset);
        gathered->start = offset + length;
    } else if (code == SQLITE_OK) {
        memcpy(gathered->bytes + gathered->length, bytes, (size_t)length);
        gathered->length += length;
    }
    gathered->commit_frame = ends_transaction(bytes, length);
    if (code == SQLITE_OK && last) {
        code = write_gathered(file);
    }
    return code;
}

static int log_close(sqlite3_file *file)
{
    /* Bytes still gathered belong to no committed transaction. */
    sqlite3_free(gathered_of(file)->bytes);
    return disk->xClose(file);
}

static int wal_read(sqlite3_file *file, void *bytes, int length, sqlite3_int64 offset)
{
    int code = write_gathered(file);

    return code != SQLITE_OK ? code : disk->xRead(file, bytes, length, offset);
}

static int wal_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int code = write_gathered(file);

    return code != SQLITE_OK ? code : disk->xTruncate(file, size);
}

static int wal_sync(sqlite3_file *file, int flags)
{
    int code = write_gathered(file);

    return code != SQLITE_OK ? code : disk->xSync(file, flags);
}

static int wal_size(sqlite3_file *file, sqlite3_int64 *size)
{
    int code = write_gathered(file);

    return code != SQLITE_OK ? code : disk->xFileSize(file, size);
}

static int open_file(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                     int *out_flags)
{
    int code = below->xOpen(below, name, file, flags, out_flags);

    (void)vfs;
    if ((flags & SQLITE_OPEN_WAL) != 0 && file->pMethods != NULL) {
        file->pMethods = &wal_methods;
        if (code == SQLITE_OK) {
            gathered_of(file)->bytes = sqlite3_malloc(GATHER_SIZE);
        }
    }
    return code;
}

void store_wal_forget(sqlite3 *db)
{
    sqlite3_file *file = NULL;

    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) == SQLITE_OK &&
        file != NULL && file->pMethods == &wal_methods) {
        gathered_of(file)->length = 0;
        gathered_of(file)->commit_frame = false;
    }
}

static void make_vfs(void)
{
    sqlite3_vfs *found = store_disk_vfs();

    if (found == NULL) {
        return;
    }
    disk = store_disk_methods();
    wal_methods = *disk;
    wal_methods.iVersion = 1; /* a WAL file needs neither shared memory nor mapping */
    wal_methods.xClose = log_close;
    wal_methods.xRead = wal_read;
    wal_methods.xWrite = wal_write;
    wal_methods.xTruncate = wal_truncate;
    wal_methods.xSync = wal_sync;
    wal_methods.xFileSize = wal_size;
    above = *found;
    above.pNext = NULL;
    above.zName = "foxtrackrd";
    above.xOpen = open_file;
    if (sqlite3_vfs_register(&above, 0) == SQLITE_OK) {
        below = found;
    }
}

const char *store_wal_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_vfs);
    return below != NULL ? above.zName : NULL;
}
