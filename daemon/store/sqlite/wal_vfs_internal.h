/* SQLite's write-ahead log, written in few large pieces: see store/sqlite/wal_vfs.c. Only store*.c
 * use it. */
#ifndef STORE_SQLITE_WAL_VFS_INTERNAL_H
#define STORE_SQLITE_WAL_VFS_INTERNAL_H

#include <sqlite3.h>

/* The name of the VFS to open a database with, which is made at the first call; NULL (SQLite's
 * default) when that fails. Any thread. */
const char *store_log_vfs(void);

/* The open transaction is about to be rolled back, or was: what is gathered of it must not be
 * written any more, because another process may soon write there. The thread of the connection. */
void store_log_forget(sqlite3 *db);

#endif
