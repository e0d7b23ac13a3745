/* SQLite on a file that is held open by a descriptor, whatever its name leads to now. Only for the
 * store's files. */
#ifndef STORE_SQLITE_HELD_INTERNAL_H
#define STORE_SQLITE_HELD_INTERNAL_H

#include <sqlite3.h>
#include <stdbool.h>

/*
 * Open the file behind the descriptor `fd`, which stays the caller's: it is open for reading and
 * writing, and is closed after the connection. `immutable`: read only, and no program changes the
 * file. Neither a WAL nor a journal can be created beside it. Results, and *db, as with
 * sqlite3_open_v2().
 */
int store_held_open(int fd, bool immutable, sqlite3 **db);

#endif
