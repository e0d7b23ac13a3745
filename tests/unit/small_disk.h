/*
 * SQLite's disk, with as much free space as a test says. Files grow only while there is space, a
 * write that does not fit writes what fits, and space that is allocated behind the end of the
 * database belongs to it until the file is truncated. For one database at a time.
 */
#ifndef SMALL_DISK_H
#define SMALL_DISK_H

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>

enum { SMALL_DATABASE, SMALL_WAL, SMALL_FILES };

static struct {
    int64_t free_bytes;
    int64_t taken[SMALL_FILES]; /* by the database and by its WAL */
    bool quota;                 /* the free space is a quota's, which the file system hides */
    bool cannot_allocate;
} disk;

/* SQLite's own methods, and ours in front of them. */
static const sqlite3_io_methods *original[SMALL_FILES];
static sqlite3_io_methods small[SMALL_FILES];
static sqlite3_vfs *original_vfs;
static sqlite3_vfs small_vfs;

static int file_of(sqlite3_file *file)
{
    return file->pMethods == &small[SMALL_WAL] ? SMALL_WAL : SMALL_DATABASE;
}

/* Takes the space up to `end`; returns how much of it was not there. */
static int64_t take(int which, int64_t end)
{
    int64_t more = end > disk.taken[which] ? end - disk.taken[which] : 0;
    int64_t there = more < disk.free_bytes ? more : disk.free_bytes;

    disk.taken[which] += there;
    disk.free_bytes -= there;
    return more - there;
}

static int write_small(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset)
{
    const sqlite3_io_methods *real = original[file_of(file)];
    int64_t missing = take(file_of(file), offset + count);

    if (missing == 0)
        return real->xWrite(file, bytes, count, offset);
    if (missing < count && real->xWrite(file, bytes, count - (int)missing, offset) != SQLITE_OK)
        return SQLITE_IOERR_WRITE;
    errno = disk.quota ? EDQUOT : ENOSPC;
    return disk.quota ? SQLITE_IOERR_WRITE : SQLITE_FULL;
}

static int truncate_small(sqlite3_file *file, sqlite3_int64 size)
{
    int which = file_of(file);

    if (disk.taken[which] > size) {
        disk.free_bytes += disk.taken[which] - size;
        disk.taken[which] = size;
    }
    return original[which]->xTruncate(file, size);
}

static int open_small(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                      int *out_flags)
{
    int which = (flags & SQLITE_OPEN_MAIN_DB) != 0 ? SMALL_DATABASE : SMALL_WAL;
    int code = original_vfs->xOpen(original_vfs, name, file, flags, out_flags);

    (void)vfs;
    if (code == SQLITE_OK) {
        original[which] = file->pMethods;
        small[which] = *file->pMethods;
        small[which].xWrite = write_small;
        small[which].xTruncate = truncate_small;
        file->pMethods = &small[which];
    }
    return code;
}

/* From now on every connection is to this disk. */
static void use_small_disk(void)
{
    original_vfs = sqlite3_vfs_find(NULL);
    small_vfs = *original_vfs;
    small_vfs.zName = "small";
    small_vfs.xOpen = open_small;
    sqlite3_vfs_register(&small_vfs, 1);
}

/* The daemon calls these three in place of the C library's functions. */
int fallocate(int fd, int mode, off_t offset, off_t length)
{
    int64_t more = offset + length - disk.taken[SMALL_DATABASE];

    (void)fd;
    if (disk.cannot_allocate || mode != FALLOC_FL_KEEP_SIZE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    if (more > disk.free_bytes) {
        errno = disk.quota ? EDQUOT : ENOSPC;
        return -1;
    }
    take(SMALL_DATABASE, offset + length);
    return 0;
}

int fstatvfs(int fd, struct statvfs *out)
{
    (void)fd;
    *out = (struct statvfs){.f_frsize = 1};
    out->f_bavail = disk.quota ? UINT64_C(1) << 40 : (uint64_t)disk.free_bytes;
    return 0;
}

int statvfs(const char *path, struct statvfs *out)
{
    (void)path;
    return fstatvfs(-1, out);
}

#endif
