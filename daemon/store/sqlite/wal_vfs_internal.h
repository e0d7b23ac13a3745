/* Writes the WAL in few large writes; see store/sqlite/wal_vfs.c. Private to this room. */
#ifndef STORE_SQLITE_WAL_VFS_INTERNAL_H
#define STORE_SQLITE_WAL_VFS_INTERNAL_H

#include <sqlite3.h>

/* Return the name of the VFS to open a database with, which the first call registers; NULL
 * (SQLite's default) when that fails. Any thread. */
const char *store_wal_vfs(void);

/* Call it before or after a rollback: drops the gathered bytes of the open transaction, because
 * another process may soon write at their place. The thread of the connection. */
void store_wal_forget(sqlite3 *db);

#endif
