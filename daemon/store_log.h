/* SQLite's write-ahead log, written in few large pieces: see store_log.c. Only store*.c use it. */
#ifndef STORE_LOG_H
#define STORE_LOG_H

#include <sqlite3.h>

/* The name of the VFS to open a database with, which is made at the first call; NULL (SQLite's
 * default) when that fails. Any thread. */
const char *store_log_vfs(void);

/* The open transaction is about to be rolled back, or was: what is gathered of it must not be
 * written any more, because another process may soon write there. The thread of the connection. */
void store_log_forget(sqlite3 *db);

#endif
