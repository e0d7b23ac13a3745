/* SQLite's write-ahead log, written in few large pieces: see store_log.c. Only store*.c use it. */
#ifndef STORE_LOG_H
#define STORE_LOG_H

/* The name of the VFS to open a database with, which is made at the first call; NULL (SQLite's
 * default) when that fails. Any thread. */
const char *store_log_vfs(void);

#endif
