/* Tables, keys and digests of `foxtrackrctl migrate`; ctl/migrate.c has its course. */
#ifndef CTL_MIGRATE_INTERNAL_H
#define CTL_MIGRATE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "store/answers.h"
#include "store/tools.h"
#include "store/transfer.h"

#define MIGRATE_KEY_MOST    4
#define MIGRATE_COLUMNS     16
#define MIGRATE_ORIGIN_SIZE 256

/* A table of the SQLite database. */
struct migrate_table {
    const char *name;
    struct store_relation *relation;
    const char *columns[MIGRATE_COLUMNS + 1]; /* ends with NULL */
    const char *key[MIGRATE_KEY_MOST + 1];    /* of the primary key, in its order; ends with NULL */
    int key_cells[MIGRATE_KEY_MOST];          /* their places in `columns` */
    int count, key_count;
};

/* Read a table's columns and key. `name` is borrowed. Returns STORE_OK and *out, for
 * migrate_table_free(), or what store_relation_read() returns. */
int migrate_table_read(struct store *store, const char *name, struct migrate_table *out);
void migrate_table_free(struct migrate_table *table);

/* The key of a row as a text, for free(); NULL: out of memory. */
char *migrate_key_text(const struct migrate_table *table, const struct store_cell *row);

/* The cells of such a text. Returns the memory of their bytes, for free(); NULL: out of memory, or
 * no such text. */
char *migrate_key_cells(const struct migrate_table *table, const char *text,
                        struct store_cell cells[MIGRATE_KEY_MOST]);

/* The bytes of a row's texts and blobs. */
size_t migrate_row_bytes(const struct migrate_table *table, const struct store_cell *row);

struct migrate_digest {
    int64_t rows;
    uint8_t digest[DIGEST_SIZE]; /* of one row after the other */
    bool failed;                 /* OpenSSL has: the digest says nothing */
};

/* Read all rows of the table in the order of its key. `target`: of PostgreSQL, where a topic of
 * quarantine that is no text has a column of its own. Also STORE_E_STOPPED. */
int migrate_digest_read(struct store *store, const struct migrate_table *table, bool target,
                        const struct store_watcher *watcher, struct migrate_digest *out);

/* Set `origin` to what identifies the SQLite database and its state: its first and its last run. */
int migrate_origin(struct store *store, char origin[MIGRATE_ORIGIN_SIZE]);

#endif
