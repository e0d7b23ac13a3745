/* SQLite on a file that is held open, whatever its name leads to by now. Only for the other store
 * files. */
#ifndef STORE_SQLITE_HELD_INTERNAL_H
#define STORE_SQLITE_HELD_INTERNAL_H

#include <sqlite3.h>
#include <stdbool.h>

/*
 * Open the file behind the descriptor `fd`, which stays the caller's: it is open for reading and
 * writing, and is closed after the connection. `immutable`: only to read it, and nobody changes it.
 * Neither a log nor a journal can be made beside it. Results, and *db, as with sqlite3_open_v2().
 */
int store_held_open(int fd, bool immutable, sqlite3 **db);

#endif
