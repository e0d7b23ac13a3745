/* A backup that was put in the place of the database. Private to this room; store/start.h has the
 * part that main sees. */
#ifndef STORE_SQLITE_RESTORED_INTERNAL_H
#define STORE_SQLITE_RESTORED_INTERNAL_H

#include <sqlite3.h>
#include <stdint.h>

struct store;

/*
 * Accept a marked database: in one transaction a row in `gaps` for every session and every
 * configured client id, and the mark removed. Fills store->restoration. STORE_OK, STORE_E_RETRY,
 * STORE_E_PATH or STORE_FATAL.
 */
int store_accept(struct store *store);

/*
 * If the database is older than the record, and `gaps` has no rows about that yet, write them in
 * one transaction. Fills store->restoration. STORE_OK, STORE_E_RETRY, STORE_E_PATH or STORE_FATAL.
 */
int store_note_older(struct store *store);

/*
 * Find the newest moment recorded in the database that does not lie ahead of `now_ms`: all earlier
 * commits are in it. 0: none. Returns SQLite's result code.
 */
int store_newest_moment(sqlite3 *db, int64_t now_ms, int64_t *newest_ms);

#endif
