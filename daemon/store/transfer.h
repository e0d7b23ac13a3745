/*
 * Moving a database into another one, table by table, rows in the order of their primary key, in
 * batches: for `foxtrackrctl migrate`. The store is open with store_options.moving, and has the
 * locks of the client ids. Results and threads are those of store/store.h; after STORE_E_RETRY the
 * command can be run again, and goes on behind the last batch.
 *
 * The target notes how far each table is, in the transaction that adds the rows. A daemon refuses a
 * database in which something is noted and not finished.
 */
#ifndef STORE_TRANSFER_H
#define STORE_TRANSFER_H

#include "store/answers.h"

/* How far a table is. */
struct store_position {
    char *key; /* of the last row, as store_transfer_end() was given it, for free(); NULL: none */
    int64_t rows; /* that are there */
};

/*
 * Begin, or go on. `origin` identifies the other database and its state. *finished_ms is the moment
 * (wall clock) of an earlier store_transfer_finish() of the same origin; 0: there is none.
 * STORE_E_PATH with a sentence: the target has other rows, or those of another origin.
 */
int store_transfer_begin(struct store *store, const char *origin, int64_t *finished_ms);

/* Read how far the table is. */
int store_transfer_position(struct store *store, const char *table, struct store_position *out);

/*
 * A batch, which is one transaction: begin, row for each row, end. `columns` ends with NULL; a row
 * has a cell for each. STORE_E_PATH: the target cannot hold this row, and the sentence says why;
 * the batch is given up then, as after any other failure.
 */
int store_transfer_batch(struct store *store, const char *table, const char *const *columns);
int store_transfer_row(struct store *store, const struct store_cell *cells);
int store_transfer_end(struct store *store, const struct store_position *position);

/* Everything is there, and was compared: new rows are numbered behind those that came, and daemons
 * may use the database from now on. */
int store_transfer_finish(struct store *store, int64_t now_ms);

/* The engine's part of the functions above. */
struct store_transfer {
    int (*begin)(struct store *store, const char *origin, int64_t *finished_ms);
    int (*position)(struct store *store, const char *table, struct store_position *out);
    int (*batch)(struct store *store, const char *table, const char *const *columns);
    int (*row)(struct store *store, const struct store_cell *cells);
    int (*end)(struct store *store, const struct store_position *position);
    int (*finish)(struct store *store, int64_t now_ms);
};

#endif
