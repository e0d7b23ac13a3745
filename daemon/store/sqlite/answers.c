/*
 * Queries of tools: one compiled statement each, read row by row as typed cells.
 *
 * The idea. A tool reads beside the daemon, through a connection of its own that is open read-only.
 * It may run a statement that is written down here (answers_named.c), or read a table or a view
 * whose name, columns and order were compared with the schema (answers_select.c). Values are always
 * bound, so a name of a device that contains SQL is only a name.
 *
 * Must never happen: a query holds its read transaction for longer than its caller reads. A
 * statement is reset as soon as it is at its end or has failed, not only when it is closed.
 */
#include "store/sqlite/answers_internal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A catch-up commits some hundred times a second, and both begin within a millisecond. */
#define BOTH_ATTEMPTS 100

int answers_failed(struct store *store, const char *doing)
{
    if ((sqlite3_errcode(store->db) & 0xff) == SQLITE_ERROR) {
        return store_refuse(store, STORE_E_PATH, "%s: cannot %s: %s", store->path, doing,
                            sqlite3_errmsg(store->db));
    }
    return store_fail(store, doing);
}

int answers_spool_failed(struct store *store, const char *doing)
{
    int code = sqlite3_errcode(store->db) & 0xff;

    if (code == SQLITE_FULL || (code == SQLITE_IOERR && errno == ENOSPC) ||
        code == SQLITE_CANTOPEN) {
        return store_refuse(store, STORE_E_RETRY,
                            "%s: cannot %s: there is no room for a temporary file in SQLITE_TMPDIR,"
                            " TMPDIR, /var/tmp or /tmp, the first of them that is a directory; "
                            "free space there, or set SQLITE_TMPDIR to another directory",
                            store->path, doing);
    }
    return answers_failed(store, doing);
}

int answers_bind(sqlite3_stmt *statement, int index, const struct store_cell *value)
{
    switch (value->kind) {
    case STORE_NULL:
        return sqlite3_bind_null(statement, index);
    case STORE_INTEGER:
        return sqlite3_bind_int64(statement, index, value->integer);
    case STORE_REAL:
        return sqlite3_bind_double(statement, index, value->real);
    case STORE_TEXT:
        return sqlite3_bind_text64(statement, index, value->bytes, value->length, SQLITE_TRANSIENT,
                                   SQLITE_UTF8);
    case STORE_BLOB:
        break;
    }
    return sqlite3_bind_blob64(statement, index, value->length == 0 ? "" : value->bytes,
                               value->length, SQLITE_TRANSIENT);
}

static int bind_all(struct store_query *query, const struct store_cell *values, int count)
{
    int code = SQLITE_OK;

    errno = 0;
    for (int i = 0; i < count && code == SQLITE_OK; i++) {
        code = answers_bind(query->statement, i + 1, &values[i]);
    }
    return code == SQLITE_OK ? STORE_OK : answers_failed(query->store, query->doing);
}

int answers_open(struct store *store, const char *sql, const char *doing,
                 const struct store_cell *values, int count, struct store_query **out)
{
    struct store_query *query;
    sqlite3_stmt *statement = NULL;
    int columns;
    int result;

    errno = 0;
    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        return answers_failed(store, doing);
    }
    columns = sqlite3_column_count(statement);
    query = calloc(1, sizeof(*query) + (size_t)columns * sizeof(query->cells[0]));
    if (query == NULL) {
        sqlite3_finalize(statement);
        return store_refuse(store, STORE_E_RETRY, "%s: cannot %s: out of memory", store->path,
                            doing);
    }
    query->handle.answers = store_sqlite.answers;
    query->store = store;
    query->statement = statement;
    query->count = columns;
    snprintf(query->doing, sizeof(query->doing), "%s", doing);
    result = bind_all(query, values, count);
    if (result != STORE_OK) {
        sqlite_query_close(query);
        return result;
    }
    *out = query;
    return STORE_OK;
}

static void read_cell(sqlite3_stmt *statement, int index, struct store_cell *cell)
{
    switch (sqlite3_column_type(statement, index)) {
    case SQLITE_INTEGER:
        cell->kind = STORE_INTEGER;
        cell->integer = sqlite3_column_int64(statement, index);
        break;
    case SQLITE_FLOAT:
        cell->kind = STORE_REAL;
        cell->real = sqlite3_column_double(statement, index);
        break;
    case SQLITE_TEXT:
        cell->kind = STORE_TEXT;
        cell->bytes = (const char *)sqlite3_column_text(statement, index);
        cell->length = (size_t)sqlite3_column_bytes(statement, index);
        break;
    case SQLITE_BLOB:
        cell->kind = STORE_BLOB;
        cell->bytes = sqlite3_column_blob(statement, index);
        cell->length = (size_t)sqlite3_column_bytes(statement, index);
        break;
    default:
        cell->kind = STORE_NULL;
        break;
    }
}

int sqlite_query_next(struct store_query *query, const struct store_cell **row)
{
    int first = query->spool != 0 ? 1 : 0;
    int code;
    int result;

    errno = 0;
    code = sqlite3_step(query->statement);
    if (code == SQLITE_ROW) {
        for (int i = 0; i < query->count; i++) {
            read_cell(query->statement, first + i, &query->cells[i]);
        }
        if (first != 0) {
            query->spool_row = sqlite3_column_int64(query->statement, 0);
        }
        *row = query->cells;
        return STORE_OK;
    }
    result = code == SQLITE_DONE ? STORE_OK : answers_failed(query->store, query->doing);
    sqlite3_reset(query->statement); /* its code repeats the step's */
    *row = NULL;
    return result;
}

int sqlite_query_again(struct store_query *query, const struct store_cell *values, int count)
{
    sqlite3_reset(query->statement); /* repeats the code of a step that was reported */
    return bind_all(query, values, count);
}

int sqlite_query_rest(struct store_query *query)
{
    const struct store_cell row = store_cell_integer(query->spool_row);

    return sqlite_query_again(query, &row, 1);
}

int sqlite_query_count(const struct store_query *query)
{
    return query->count;
}

const char *sqlite_query_column(const struct store_query *query, int index)
{
    const char *name = sqlite3_column_name(query->statement, index + (query->spool != 0 ? 1 : 0));

    return name != NULL ? name : "?"; /* NULL: out of memory */
}

void sqlite_query_close(struct store_query *query)
{
    char sql[64];

    if (query == NULL) {
        return;
    }
    sqlite3_finalize(query->statement);
    if (query->spool != 0) { /* if it fails, the file goes with the connection */
        snprintf(sql, sizeof(sql), "DROP TABLE temp.foxtrackr_spool_%d", query->spool);
        sqlite3_exec(query->store->db, sql, NULL, NULL, NULL);
    }
    free(query);
}

static int execute(struct store *store, const char *sql)
{
    errno = 0;
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? STORE_OK
               : answers_failed(store, "begin to read");
}

int sqlite_read_begin(struct store *store)
{
    /* Rows that views sort are kept in memory: some MiB for a fleet of 10,000. A temporary file
     * would take longer, and needs a directory. SQLite refuses the setting inside a transaction. */
    int result = execute(store, "PRAGMA temp_store = MEMORY; BEGIN");

    /* The state is that of the first read. */
    return result == STORE_OK ? execute(store, "SELECT 1 FROM main.sqlite_schema LIMIT 1") : result;
}

/* The version of the database for a connection changes with each commit of another one. If it is
 * the same for `other` before the first begins and after the second, there was none in between. */
static int begin_both(struct store *store, struct store *other, bool *same)
{
    int64_t before = 0;
    int64_t after = 0;
    int result = sqlite_version_of_others(other, &before);

    if (result == STORE_OK) {
        result = sqlite_read_begin(store);
    }
    if (result == STORE_OK) {
        result = sqlite_read_begin(other);
    }
    if (result == STORE_OK) {
        result = sqlite_version_of_others(other, &after);
    }
    *same = result == STORE_OK && before == after;
    return result;
}

int sqlite_read_begin_both(struct store *store, struct store *other, bool *same)
{
    *same = false;
    for (int i = 0; i < BOTH_ATTEMPTS && !*same; i++) {
        (void)sqlite_read_end(store);
        (void)sqlite_read_end(other);
        if (begin_both(store, other, same) != STORE_OK) {
            break;
        }
    }
    if (*same) {
        return STORE_OK;
    }
    (void)sqlite_read_end(store);
    (void)sqlite_read_end(other);
    return sqlite_read_begin(store);
}

int sqlite_read_end(struct store *store)
{
    answers_forget_copies(store);
    errno = 0;
    return sqlite3_get_autocommit(store->db) ||
                   sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK
               ? STORE_OK
               : answers_failed(store, "end reading");
}
