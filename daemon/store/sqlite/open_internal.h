/* Declarations shared by the files that open the database; their opening is in open.c. */
#ifndef STORE_SQLITE_OPEN_INTERNAL_H
#define STORE_SQLITE_OPEN_INTERNAL_H

#include "store/sqlite/sqlite_internal.h"

/* Returns true when this store may create, lock and migrate the database. */
bool open_owns(const struct store *store);

/* Returns STORE_E_RETRY, with the sentence set. */
int open_no_memory(struct store *store);

/* --- open_path.c --------------------------------------------------------------------------- */

/* Check the file at the path. *size becomes -1 when there is none. */
int open_check_file(struct store *store, int64_t *size);

/* Create the file, and sync its directory. `missing` or empty: for the sentence. */
int open_create(struct store *store, bool missing);

/*
 * Refuse to begin an empty database. The record names a run, and the row of that run was on disk
 * before the record: there was a database. A disk that is not mounted is the likely cause. A new
 * database in its place would take messages that the old one then lacks.
 */
int open_refuse_anew(struct store *store, const char *how);

/* --- open_connection.c --------------------------------------------------------------------- */

/* Connect SQLite to the file. Changes nothing in it. */
int open_connect(struct store *store);

/* Check that it is a database of foxtrackrd, and its version. */
int open_inspect(struct store *store, int *version);

/* Turn on the WAL, and set what applies to the connection. `fresh`: it has no page yet. */
int open_configure(struct store *store, bool fresh);

/* The advice for a file that the command line names. */
#define STORE_NAME_ANOTHER "name the database or a backup of it"

#endif
