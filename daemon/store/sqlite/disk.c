/*
 * A VFS on top of the system's default one, with two changes.
 *
 * A call that may wait for the disk is marked in the thread's pulse, which beats when the call
 * returns. So the watchdog can tell a commit, a checkpoint or a migration on a slow disk, which
 * makes progress with every page, from a thread that hangs.
 *
 * After a failed sync of a file nothing is written to that file, nor is it synced or cut, as long
 * as it is open: each of these calls gives SQLITE_IOERR_FSYNC. The kernel reports a lost page once;
 * the next sync may succeed and say nothing about it. SQLite ignores some errors (those of a
 * checkpoint while closing), so the rule "no success after a failed sync" is enforced here, below
 * SQLite, and not only by its callers.
 *
 * Memory-mapped reads are not offered (version 2 of the methods): SQLite does not use them unless
 * told to, and a page fault could not be marked.
 */
#include "store/sqlite/disk_internal.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "base/pulse.h"

static sqlite3_vfs *below; /* the default VFS */
static sqlite3_vfs above;

/* Returns the default VFS's own part of a file, which follows in memory. */
static sqlite3_file *real_of(sqlite3_file *file)
{
    return (sqlite3_file *)(void *)((unsigned char *)file + sizeof(struct disk_file));
}

/* --- calls that may wait ------------------------------------------------------------------- */

static int disk_close(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    int code;

    pulse_wait_begin();
    code = real->pMethods->xClose(real);
    pulse_wait_end();
    return code;
}

static int disk_read(sqlite3_file *file, void *bytes, int length, sqlite3_int64 offset)
{
    sqlite3_file *real = real_of(file);
    int code;

    pulse_wait_begin();
    code = real->pMethods->xRead(real, bytes, length, offset);
    pulse_wait_end();
    return code;
}

static bool sync_has_failed(sqlite3_file *file)
{
    return ((struct disk_file *)(void *)file)->sync_failed;
}

static int disk_write(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 offset)
{
    sqlite3_file *real = real_of(file);
    int code;

    if (sync_has_failed(file)) {
        return SQLITE_IOERR_FSYNC;
    }
    pulse_wait_begin();
    code = real->pMethods->xWrite(real, bytes, length, offset);
    pulse_wait_end();
    return code;
}

static int disk_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    sqlite3_file *real = real_of(file);
    int code;

    if (sync_has_failed(file)) {
        return SQLITE_IOERR_FSYNC;
    }
    pulse_wait_begin();
    code = real->pMethods->xTruncate(real, size);
    pulse_wait_end();
    return code;
}

static int disk_sync(sqlite3_file *file, int flags)
{
    sqlite3_file *real = real_of(file);
    int code;

    if (sync_has_failed(file)) {
        return SQLITE_IOERR_FSYNC;
    }
    pulse_wait_begin();
    code = real->pMethods->xSync(real, flags);
    pulse_wait_end();
    if (code != SQLITE_OK) {
        ((struct disk_file *)(void *)file)->sync_failed = true;
        return SQLITE_IOERR_FSYNC;
    }
    return SQLITE_OK;
}

static int disk_size(sqlite3_file *file, sqlite3_int64 *size)
{
    sqlite3_file *real = real_of(file);
    int code;

    pulse_wait_begin();
    code = real->pMethods->xFileSize(real, size);
    pulse_wait_end();
    return code;
}

/* A hint about the size makes the default VFS allocate. */
static int disk_control(sqlite3_file *file, int operation, void *argument)
{
    sqlite3_file *real = real_of(file);
    int code;

    pulse_wait_begin();
    code = real->pMethods->xFileControl(real, operation, argument);
    pulse_wait_end();
    return code;
}

static int disk_map_memory(sqlite3_file *file, int region, int size, int extend,
                           void volatile **memory)
{
    sqlite3_file *real = real_of(file);
    int code;

    if (real->pMethods->iVersion < 2) {
        return SQLITE_IOERR_SHMMAP;
    }
    pulse_wait_begin();
    code = real->pMethods->xShmMap(real, region, size, extend, memory);
    pulse_wait_end();
    return code;
}

/* --- calls that do not --------------------------------------------------------------------- */

static int disk_lock(sqlite3_file *file, int lock)
{
    sqlite3_file *real = real_of(file);

    return real->pMethods->xLock(real, lock);
}

static int disk_unlock(sqlite3_file *file, int lock)
{
    sqlite3_file *real = real_of(file);

    return real->pMethods->xUnlock(real, lock);
}

static int disk_check_lock(sqlite3_file *file, int *locked)
{
    sqlite3_file *real = real_of(file);

    return real->pMethods->xCheckReservedLock(real, locked);
}

static int disk_sector_size(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);

    return real->pMethods->xSectorSize(real);
}

static int disk_characteristics(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);

    return real->pMethods->xDeviceCharacteristics(real);
}

static int disk_lock_memory(sqlite3_file *file, int offset, int count, int flags)
{
    sqlite3_file *real = real_of(file);

    return real->pMethods->xShmLock(real, offset, count, flags);
}

static void disk_memory_barrier(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);

    real->pMethods->xShmBarrier(real);
}

static int disk_unmap_memory(sqlite3_file *file, int delete_it)
{
    sqlite3_file *real = real_of(file);

    return real->pMethods->xShmUnmap(real, delete_it);
}

static const sqlite3_io_methods disk_methods = {
    .iVersion = 2,
    .xClose = disk_close,
    .xRead = disk_read,
    .xWrite = disk_write,
    .xTruncate = disk_truncate,
    .xSync = disk_sync,
    .xFileSize = disk_size,
    .xLock = disk_lock,
    .xUnlock = disk_unlock,
    .xCheckReservedLock = disk_check_lock,
    .xFileControl = disk_control,
    .xSectorSize = disk_sector_size,
    .xDeviceCharacteristics = disk_characteristics,
    .xShmMap = disk_map_memory,
    .xShmLock = disk_lock_memory,
    .xShmBarrier = disk_memory_barrier,
    .xShmUnmap = disk_unmap_memory,
};

/* --- the VFS ------------------------------------------------------------------------------- */

static int open_file(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                     int *out_flags)
{
    sqlite3_file *real = real_of(file);
    int code;

    (void)vfs;
    memset(file, 0, sizeof(struct disk_file));
    real->pMethods = NULL;
    pulse_wait_begin();
    code = below->xOpen(below, name, real, flags, out_flags);
    pulse_wait_end();
    if (real->pMethods != NULL) {
        file->pMethods = &disk_methods;
    }
    return code;
}

static int delete_file(sqlite3_vfs *vfs, const char *name, int sync_directory)
{
    int code;

    (void)vfs;
    pulse_wait_begin();
    code = below->xDelete(below, name, sync_directory);
    pulse_wait_end();
    return code;
}

/* Sleeps between two attempts to get a lock; database.busy_timeout limits their total. */
static int sleep_us(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    pulse_beat();
    return below->xSleep(below, microseconds);
}

static void make_vfs(void)
{
    sqlite3_vfs *found = sqlite3_vfs_find(NULL);

    if (found == NULL) {
        return;
    }
    below = found;
    above = *found;
    above.pNext = NULL;
    above.zName = "foxtrackrd-disk";
    above.szOsFile = (int)sizeof(struct disk_file) + found->szOsFile;
    above.xOpen = open_file;
    above.xDelete = delete_file;
    above.xSleep = sleep_us;
}

sqlite3_vfs *store_disk_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_vfs);
    return below != NULL ? &above : NULL;
}

const sqlite3_io_methods *store_disk_methods(void)
{
    return &disk_methods;
}
