/* SQLite's files, with every call that may wait for the disk marked in the calling thread's pulse;
 * see store/sqlite/disk.c. Only for the other store files. */
#ifndef STORE_SQLITE_DISK_INTERNAL_H
#define STORE_SQLITE_DISK_INTERNAL_H

#include <sqlite3.h>
#include <stdbool.h>

/* What store/sqlite/wal_vfs.c gathers of a log until it is written. */
struct gathered {
    unsigned char *bytes; /* NULL: write at once */
    sqlite3_int64 start;  /* where in the file they belong, or the next ones */
    int length;
    bool commit_frame; /* the last header announced the end of a transaction: its page comes next */
};

/* A file of ours. */
struct disk_file {
    sqlite3_file base;
    struct gathered gathered; /* store/sqlite/wal_vfs.c's */
    bool sync_failed;         /* nothing is written or synced any more */
};

/* The VFS that lies over the system's default one, for another to lie over it: it is not
 * registered, so it has no name to ask for. NULL where there is no default. Any thread. */
sqlite3_vfs *store_disk_vfs(void);

/* What it does with a file, for another to replace some of it. */
const sqlite3_io_methods *store_disk_methods(void);

#endif
