/*
 * The tables and views of the database, as its schema has them: what a tool may read. SQLite's own
 * tables (sqlite_...) are left out.
 */
#include "store/sqlite/answers_internal.h"

#include <stdlib.h>
#include <string.h>

#define LIST_RELATIONS                                                                             \
    "SELECT name, type = 'view' FROM main.sqlite_schema"                                           \
    " WHERE type IN ('table', 'view') AND substr(name, 1, 7) <> 'sqlite_'"

int sqlite_relations(struct store *store, void (*each)(void *context, const char *name, bool view),
                     void *context)
{
    struct store_query *query;
    const struct store_cell *row = NULL;
    int result = answers_open(store, LIST_RELATIONS " ORDER BY 2, 1", "list the tables and views",
                              NULL, 0, &query);

    if (result != STORE_OK) {
        return result;
    }
    do {
        result = sqlite_query_next(query, &row);
        if (result == STORE_OK && row != NULL) {
            each(context, row[0].bytes, row[1].integer != 0);
        }
    } while (result == STORE_OK && row != NULL);
    sqlite_query_close(query);
    return result;
}

/* Sets *view for the table or view `name`; STORE_E_PATH when there is none. */
static int find(struct store *store, const char *name, bool *view)
{
    const struct store_cell value = store_cell_text(name);
    const struct store_cell *row = NULL;
    struct store_query *query;
    int result = answers_open(store, LIST_RELATIONS " AND name = ?1", "look up a table or view",
                              &value, 1, &query);

    if (result != STORE_OK) {
        return result;
    }
    result = sqlite_query_next(query, &row);
    if (result == STORE_OK && row == NULL) {
        result =
            store_refuse(store, STORE_E_PATH, "%s: has no table or view %.100s", store->path, name);
    } else if (result == STORE_OK) {
        *view = row[1].integer != 0;
    }
    sqlite_query_close(query);
    return result;
}

static int no_memory(struct store *store)
{
    return store_refuse(store, STORE_E_RETRY, "%s: out of memory", store->path);
}

/* Appends a column, for which there is room: name, type, place in the key, NOT NULL. */
static int add_column(struct store *store, struct store_relation *relation,
                      const struct store_cell *row)
{
    struct store_column *column = &relation->columns[relation->count++];

    column->name = strdup(row[0].bytes);
    column->type = strdup(row[1].kind == STORE_TEXT ? row[1].bytes : "");
    column->key = (int)row[2].integer;
    column->required = row[3].integer != 0;
    return column->name != NULL && column->type != NULL ? STORE_OK : no_memory(store);
}

/* Runs the query, which lists the columns, twice: to count them, and to keep them. */
static int keep_columns(struct store *store, struct store_query *query,
                        const struct store_cell *value, struct store_relation *relation)
{
    const struct store_cell *row = NULL;
    int most = 0;
    int result;

    while ((result = sqlite_query_next(query, &row)) == STORE_OK && row != NULL) {
        most++;
    }
    if (result != STORE_OK) {
        return result;
    }
    relation->columns = calloc((size_t)most + 1, sizeof(relation->columns[0]));
    if (relation->columns == NULL) {
        return no_memory(store);
    }
    result = sqlite_query_again(query, value, 1);
    for (int i = 0; i < most && result == STORE_OK; i++) {
        result = sqlite_query_next(query, &row);
        if (result == STORE_OK && row != NULL) {
            result = add_column(store, relation, row);
        }
    }
    return result;
}

static int read_columns(struct store *store, const char *name, struct store_relation *relation)
{
    /* Hidden columns of virtual tables are left out, generated columns are not. */
    static const char sql[] =
        "SELECT name, type, pk, \"notnull\" FROM pragma_table_xinfo(?1, 'main')"
        " WHERE hidden <> 1 ORDER BY cid";
    const struct store_cell value = store_cell_text(name);
    struct store_query *query;
    int result = answers_open(store, sql, "list the columns of a table or view", &value, 1, &query);

    if (result == STORE_OK) {
        result = keep_columns(store, query, &value, relation);
        sqlite_query_close(query);
    }
    return result;
}

/* Sets relation->rowid to a name of the rowid that is not the name of a column. */
static void name_rowid(struct store_relation *relation)
{
    static const char *const names[] = {"rowid", "_rowid_", "oid"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && relation->rowid == NULL; i++) {
        bool taken = false;

        for (int at = 0; at < relation->count; at++) {
            taken = taken || sqlite3_stricmp(relation->columns[at].name, names[i]) == 0;
        }
        if (!taken) {
            relation->rowid = names[i];
        }
    }
}

/* Finds out whether the table has a rowid; in a table without one the key's columns are NOT NULL.
 * pragma_table_list says it too, but compiles every view of the schema for that. */
static int read_kind(struct store *store, const char *name, struct store_relation *relation)
{
    /* The columns of the key, if the table is WITHOUT ROWID; no index has a table's name. */
    static const char sql[] = "SELECT 1 FROM pragma_index_info(?1, 'main') LIMIT 1";
    const struct store_cell value = store_cell_text(name);
    const struct store_cell *row = NULL;
    struct store_query *query;
    int result = answers_open(store, sql, "look up a table", &value, 1, &query);

    if (result != STORE_OK) {
        return result;
    }
    result = sqlite_query_next(query, &row);
    if (result == STORE_OK && row != NULL) {
        for (int i = 0; i < relation->count; i++) {
            relation->columns[i].required =
                relation->columns[i].required || relation->columns[i].key > 0;
        }
    } else if (result == STORE_OK) {
        name_rowid(relation);
    }
    sqlite_query_close(query);
    return result;
}

int sqlite_relation_read(struct store *store, const char *name, struct store_relation **out)
{
    struct store_relation *relation = calloc(1, sizeof(*relation));
    int result;

    if (relation == NULL) {
        return store_refuse(store, STORE_E_RETRY, "%s: out of memory", store->path);
    }
    result = find(store, name, &relation->view);
    if (result == STORE_OK) {
        result = read_columns(store, name, relation);
    }
    if (result == STORE_OK && !relation->view) {
        result = read_kind(store, name, relation);
    }
    if (result != STORE_OK) {
        store_relation_free(relation);
        return result;
    }
    *out = relation;
    return STORE_OK;
}
