/* The mark in the header of a database file: a database, or a backup. Only for the store's
 * files. */
#ifndef STORE_SQLITE_MARK_INTERNAL_H
#define STORE_SQLITE_MARK_INTERNAL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct store;

enum store_mark {
    STORE_MARK_NONE,     /* no backup of foxtrackrd */
    STORE_MARK_BACKUP,   /* made by foxtrackrctl backup */
    STORE_MARK_RESTORED, /* put in the database's place by foxtrackrctl restore, not accepted yet */
    STORE_MARK_TAKEN,    /* being accepted: a WAL beside it is its own */
};

/* Return the mark that a value of PRAGMA application_id stands for. */
enum store_mark store_mark_of(int application_id);

/* Read the mark without SQLite. A file that is too short, or no database, has none. 0, or -1 and
 * errno. */
int store_mark_read(int fd, enum store_mark *mark);

/* Write the mark without SQLite, and wait until it is on disk. 0, or -1 and errno. */
int store_mark_write(int fd, enum store_mark mark);

/*
 * Before SQLite opens the file: refuse a backup beside a WAL that is not its own, without any
 * change; let a store that owns the database take over a backup without a WAL. STORE_OK,
 * STORE_E_PATH, STORE_E_RETRY or STORE_FATAL.
 */
int store_check_mark(struct store *store);

/*
 * Write into a copy, through its own connection, that it is a backup of the moment `taken_ms` (wall
 * clock; 0: not known). A copy of a backup stays one, of the earlier moment. The connection keeps
 * no WAL (see store_mark_set_wal()). Returns SQLite's result code.
 */
int store_mark_copy(sqlite3 *copy, enum store_mark mark, int64_t taken_ms);

/* Set or clear WAL mode in the copy's header; without it SQLite writes to the copy without creating
 * a WAL. Returns 0, or -1 and errno. */
int store_mark_set_wal(int fd, bool wal);

/* The moment of a backup, as it was written into it. 0: not known. Returns SQLite's result code. */
int store_mark_moment(sqlite3 *db, int64_t *taken_ms);

#endif
