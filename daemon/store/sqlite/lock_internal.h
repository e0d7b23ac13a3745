/* One daemon for one database: the locks, and the names of the file. Only for the store's files. */
#ifndef STORE_SQLITE_LOCK_INTERNAL_H
#define STORE_SQLITE_LOCK_INTERNAL_H

#include <sys/stat.h>

struct store;

/*
 * Take PATH.lock, which is created if missing. store_discard() releases it. STORE_OK;
 * STORE_E_LOCKED: another process has it; STORE_E_PATH; STORE_E_RETRY.
 */
int store_take_lock(struct store *store);

/*
 * Open the database file, and hold it until store_discard(). A store that owns the database locks
 * the file by its inode: STORE_E_LOCKED where another process has that, under whatever name. A file
 * that cannot be opened is left to SQLite, which reports the reason. STORE_OK, STORE_E_LOCKED or
 * STORE_E_PATH.
 */
int store_hold(struct store *store);

/* STORE_E_PATH where the file has more names than one (hard links); else STORE_OK. */
int store_check_links(struct store *store, const struct stat *status);

#endif
