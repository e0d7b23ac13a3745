/* SQLite's files, with every call that may wait for the disk marked in the calling thread's pulse;
 * see store/sqlite/disk.c. Only for the other store files. */
#ifndef STORE_SQLITE_DISK_INTERNAL_H
#define STORE_SQLITE_DISK_INTERNAL_H

#include <sqlite3.h>
#include <stdbool.h>

/* The bytes of a WAL that store/sqlite/wal_vfs.c gathers until they are written. */
struct gathered {
    unsigned char *bytes; /* NULL: write at once */
    sqlite3_int64 start;  /* the offset in the file of these bytes, or of the next ones */
    int length;
    bool commit_frame; /* the last header ends a transaction: its page comes next */
};

/* An open file of this VFS. */
struct disk_file {
    sqlite3_file base;
    struct gathered gathered; /* store/sqlite/wal_vfs.c's */
    bool sync_failed;         /* every further write and sync fails */
};

/* Return the VFS on top of the system's default one, as the base of another VFS; it is not
 * registered and has no name. NULL when there is no default. Any thread. */
sqlite3_vfs *store_disk_vfs(void);

/* Return its file methods, for another VFS to replace some of them. */
const sqlite3_io_methods *store_disk_methods(void);

#endif
