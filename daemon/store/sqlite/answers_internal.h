/* Declarations shared by the files of store/answers.h; their opening is in answers.c. */
#ifndef STORE_SQLITE_ANSWERS_INTERNAL_H
#define STORE_SQLITE_ANSWERS_INTERNAL_H

#include "store/answers.h"
#include "store/sqlite/sqlite_internal.h"

#define ANSWERS_DOING_SIZE 128

struct store_query {
    struct store_query_handle handle;
    struct store *store;
    sqlite3_stmt *statement;
    char doing[ANSWERS_DOING_SIZE]; /* completes "cannot ..." */
    int spool;                      /* number of its temporary table; 0: none */
    int64_t spool_row;              /* rowid of the last row in it; column 0 of the statement */
    int count;                      /* columns that the caller sees: not the rowid of a spool */
    struct store_cell cells[];      /* of the present row */
};

/* Compile `sql` and bind `values`, which SQLite copies, from the first parameter on. *out is the
 * caller's, for sqlite_query_close(). */
int answers_open(struct store *store, const char *sql, const char *doing,
                 const struct store_cell *values, int count, struct store_query **out);

/* As store_fail(), but an error in the SQL of a view is STORE_E_PATH: views may be an analyst's. */
int answers_failed(struct store *store, const char *doing);

/* As answers_failed(), for a statement that writes a temporary file. */
int answers_spool_failed(struct store *store, const char *doing);

/* Forget the copies that sqlite_read_of_all() has made: they end with the transaction. */
void answers_forget_copies(struct store *store);

/* Returns the schema in which a query finds a table or view of the database, or its copy, which is
 * made if need be. */
const char *answers_schema_of(struct store *store, const char *name);

/* Bind a value; SQLite copies its bytes. Returns SQLite's code. */
int answers_bind(sqlite3_stmt *statement, int index, const struct store_cell *value);

#endif
