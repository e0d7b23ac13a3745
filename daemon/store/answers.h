/*
 * Reading the database in a tool, beside the running daemon: rows of a table or a view, and the
 * answers of named statements. The store is open with store_options.read_only. Results and threads
 * are those of store/store.h; store_options.stopped ends every function with STORE_E_STOPPED.
 *
 * An open query is a read transaction: it begins with the first store_query_next() and ends at the
 * last row or with store_query_close(). While it lasts, the write-ahead log cannot be emptied. So
 * copy the rows, and write them to a file, a terminal or a network only afterwards; or ask for a
 * spooled query, whose transaction has ended before the first row is returned.
 */
#ifndef STORE_ANSWERS_H
#define STORE_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

enum store_kind { STORE_NULL, STORE_INTEGER, STORE_REAL, STORE_TEXT, STORE_BLOB };

/* A value that is bound or was read. */
struct store_cell {
    enum store_kind kind;
    int64_t integer;
    double real;
    const char *bytes; /* of a text (any bytes, and a NUL behind the last) or a blob */
    size_t length;
};

struct store_cell store_cell_null(void);
struct store_cell store_cell_integer(int64_t integer);
struct store_cell store_cell_real(double real);
struct store_cell store_cell_text(const char *text); /* borrowed; NULL becomes NULL */

/* --- tables and views ---------------------------------------------------------------------- */

/* Call `each` for every table, then every view, in the order of their names. `name` lives until
 * `each` returns. */
int store_relations(struct store *store, void (*each)(void *context, const char *name, bool view),
                    void *context);

struct store_column {
    char *name;
    char *type;    /* as declared; "" for an expression of a view */
    int key;       /* 1, 2, ...: its place in the primary key; 0: not part of it */
    bool required; /* NOT NULL, by its declaration or by its place in the primary key */
};

struct store_relation {
    bool view;
    const char *rowid; /* name by which the rowid can be selected; NULL: there is none */
    int count;
    struct store_column *columns;
};

/* Describe the table or view `name`. *out is the caller's, for store_relation_free(). STORE_E_PATH
 * with a sentence when there is none of this name, or when the view cannot be read. */
int store_relation_read(struct store *store, const char *name, struct store_relation **out);

/* NULL is allowed. */
void store_relation_free(struct store_relation *relation);

/* --- queries ------------------------------------------------------------------------------- */

struct store_query;

/* The statements of each engine's answers_named.c, with their parameters and columns. */
enum store_named {
    STORE_NAMED_DEVICE,         /* ?1 device: family, device_id */
    STORE_NAMED_DEVICES_CALLED, /* ?1 device_id: device, in the order of the numbers */
    /* ?1 type of `messages`, ?2 path of names joined by dots: the number of messages of the type,
     * of which at most 10000 are read, and of those that have the path */
    STORE_NAMED_VALUES_OF_TYPE,
    /* ?1 type of `messages`: 1 if there is a message of the type, else 0; the paths of its values
     * joined by ", ", without the envelope (NULL: none) */
    STORE_NAMED_PATHS_OF_TYPE,
    /* limit_id and the reason why the limit is for no device, in the order of the numbers */
    STORE_NAMED_LIMITS_OF_NOBODY,
    /* ?1, ?2 first and last of a range of devices: device, time_ms of its first reading in battery,
     * and in temperature (NULL: none) */
    STORE_NAMED_FIRST_READINGS,
    STORE_NAMED_COUNT
};

/* Open a named statement; `values` are copied and bound to ?1 and so on. *out is the caller's, for
 * store_query_close(). */
int store_query_named(struct store *store, enum store_named named, const struct store_cell *values,
                      int count, struct store_query **out);

enum store_comparison {
    STORE_EQ,
    STORE_NE,
    STORE_LT,
    STORE_LE,
    STORE_GT,
    STORE_GE,
    STORE_IS_NULL, /* no value */
    STORE_NOT_NULL /* no value */
};

struct store_condition {
    const char *column;
    enum store_comparison comparison;
    struct store_cell value; /* not NULL */
};

/* Rows of one table or view. Every name is compared with the schema; a name that is not there is
 * STORE_E_PATH with a sentence. */
struct store_select {
    const char *from;
    const char *const *columns;               /* ends with NULL; NULL: all, as declared */
    const struct store_condition *conditions; /* all of them hold */
    int condition_count;
    const char *const *order; /* ends with NULL; "-time_ms": descending; NULL: none */
    /* Only rows behind these values of `order`, which must be ascending: one value for each column
     * of it. NULL: from the first row on. */
    const struct store_cell *after;
    int64_t limit; /* 0: none */
    /* Read all rows into a temporary file first: one state of the database, and no transaction is
     * open when the function returns. The file is in SQLITE_TMPDIR, TMPDIR, /var/tmp or /tmp. */
    bool spooled;
};

/* Open such a query; everything in `select` is copied. *out is the caller's, for
 * store_query_close(). Also STORE_E_PATH: a name, or a view that cannot be read. */
int store_query_select(struct store *store, const struct store_select *select,
                       struct store_query **out);

/* Set *row to the cells of the next row, or to NULL behind the last one. They live until the next
 * call for this query. Also STORE_E_PATH: the view cannot be read. */
int store_query_next(struct store_query *query, const struct store_cell **row);

/*
 * Run the query again from its beginning, with these values in the place of the first `count`: of a
 * named statement those of its parameters; of a select those of its conditions, then of `after`.
 * Not for a spooled query.
 */
int store_query_again(struct store_query *query, const struct store_cell *values, int count);

/*
 * Between two rows of a spooled query: end the read transaction that another query of this store
 * has left behind, because SQLite keeps one for as long as any query is in the middle of its rows.
 * The next row follows the last one. The cells of that end here.
 */
int store_query_rest(struct store_query *query);

/* Returns the number of columns. */
int store_query_count(const struct store_query *query);

/* Returns the name of column `index`. It lives as long as the query. */
const char *store_query_column(const struct store_query *query, int index);

/* End the query. NULL is allowed. Before store_close(). */
void store_query_close(struct store_query *query);

/* --- several queries of one state ------------------------------------------------------------ */

/* Begin a read transaction, which the queries from now on are part of: all of them see one state of
 * the database. */
int store_read_begin(struct store *store);

/* Begin two, of two stores that are open on one database, for queries in two threads. *same: both
 * see the same state; if they do not, `other` has begun nothing. */
int store_read_begin_both(struct store *store, struct store *other, bool *same);

/* Say that the queries that follow, for as long as the transaction lasts, are about all devices. */
void store_read_of_all(struct store *store);

/* End it; every query of it must be at its end or closed. Harmless when none is open. */
int store_read_end(struct store *store);

#endif
