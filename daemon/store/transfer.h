/*
 * Moving a database into an engine: rows of a table in the order of its primary key, in batches
 * that can be resumed. Engines and store/ only; results and threads are those of store/store.h.
 */
#ifndef STORE_TRANSFER_H
#define STORE_TRANSFER_H

#include "base/digest.h"
#include "store/answers.h"

struct store_transfer {
    /* Begin or resume a table. after[] gets the key of the last row that is there, *count its
     * columns; 0: none. `origin` names the other database. STORE_E_PATH: there are rows of another
     * origin. */
    int (*begin)(struct store *store, const char *table, const char *origin,
                 struct store_cell *after, int *count);
    /* Put `count` rows, all columns in the order of the other schema, and note the last key, in one
     * transaction. */
    int (*put)(struct store *store, const char *table, const struct store_cell *const *rows,
               int count);
    /* Read the table back in the order of its key: its rows, and a digest of them. */
    int (*end)(struct store *store, const char *table, int64_t *rows, uint8_t digest[DIGEST_SIZE]);
    /* All tables are there: set the sequences, forget the notes, gather statistics. */
    int (*finish)(struct store *store);
};

#endif
