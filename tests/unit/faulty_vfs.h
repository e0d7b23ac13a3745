/*
 * SQLite's disk, and a fault to come: the Nth write, sync or truncation of a database or its WAL
 * fails. For one connection at a time.
 */
#ifndef FAULTY_VFS_H
#define FAULTY_VFS_H

#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>

/* The fault to come: after this many operations, or none at 0. */
static struct {
    int countdown;
    bool lasting;
    bool only_syncs;
    int code; /* 0: as of a disk error, by operation */
    int system_errno;
} fault;

/* SQLite's own methods, for the database and for its WAL, and ours in front of them. */
static const sqlite3_io_methods *original[2];
static sqlite3_io_methods faulty[2];
static sqlite3_vfs *original_vfs;
static sqlite3_vfs faulty_vfs;

static bool disk_strikes(void)
{
    if (fault.countdown == 0 || --fault.countdown > 0) {
        return false;
    }
    if (fault.lasting) {
        fault.countdown = 1;
    }
    errno = fault.system_errno;
    return true;
}

static const sqlite3_io_methods *original_of(sqlite3_file *file)
{
    return original[file->pMethods == &faulty[1]];
}

static int write_or_fail(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset)
{
    if (!fault.only_syncs && disk_strikes()) {
        return fault.code != 0 ? fault.code : SQLITE_IOERR_WRITE;
    }
    return original_of(file)->xWrite(file, bytes, count, offset);
}

/* A full disk (fault.code) is met by writes and truncations; a sync that fails is a disk error. */
static int sync_or_fail(sqlite3_file *file, int flags)
{
    if (fault.code == 0 && disk_strikes()) {
        return SQLITE_IOERR_FSYNC;
    }
    return original_of(file)->xSync(file, flags);
}

static int truncate_or_fail(sqlite3_file *file, sqlite3_int64 size)
{
    if (!fault.only_syncs && disk_strikes()) {
        return fault.code != 0 ? fault.code : SQLITE_IOERR_TRUNCATE;
    }
    return original_of(file)->xTruncate(file, size);
}

static int open_faulty(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                       int *out_flags)
{
    int which = (flags & SQLITE_OPEN_MAIN_DB) != 0 ? 0 : 1;
    int code = original_vfs->xOpen(original_vfs, name, file, flags, out_flags);

    (void)vfs;
    if (code != SQLITE_OK) {
        return code;
    }
    original[which] = file->pMethods;
    faulty[which] = *file->pMethods;
    faulty[which].xWrite = write_or_fail;
    faulty[which].xSync = sync_or_fail;
    faulty[which].xTruncate = truncate_or_fail;
    file->pMethods = &faulty[which];
    return code;
}

/* From now on every connection is to this disk. */
static void use_faulty_vfs(void)
{
    original_vfs = sqlite3_vfs_find(NULL);
    faulty_vfs = *original_vfs;
    faulty_vfs.zName = "faulty";
    faulty_vfs.xOpen = open_faulty;
    sqlite3_vfs_register(&faulty_vfs, 1);
}

#endif
