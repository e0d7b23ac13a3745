/*
 * Builds the SELECT of a struct store_select. Names are quoted, and used only after they were
 * compared with the schema: SQLite takes a quoted name that is no column for a string. The table or
 * view is looked up in "main", where no temporary table can stand in its place, but for what
 * answers_copies.c has computed.
 *
 * A spooled query reads its rows into a temporary table first, whose columns have no type, so that
 * every value stays as it is. The temporary table is in a file of its own, which SQLite removes.
 */
#include "store/sqlite/answers_internal.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAMETERS_MAX 64

/* The rowid of a temporary table, by a name that no view has for a column. */
#define SPOOL_ROW "foxtrackr_spool_row"

/* A select, with its relation, while its SQL is built. */
struct building {
    struct store *store;
    const struct store_select *select;
    struct store_relation *relation;
    sqlite3_str *sql;
    struct store_cell values[PARAMETERS_MAX];
    int count;
};

static int no_memory(const struct building *building)
{
    return store_refuse(building->store, STORE_E_RETRY, "%s: cannot read %s: out of memory",
                        building->store->path, building->select->from);
}

/* Returns true for the rowid's name, which is never quoted. */
static bool is_rowid(const struct store_relation *relation, const char *name)
{
    return relation->rowid != NULL && strcmp(relation->rowid, name) == 0;
}

static int check_column(const struct building *building, const char *name)
{
    const struct store_relation *relation = building->relation;

    for (int i = 0; i < relation->count; i++) {
        if (strcmp(relation->columns[i].name, name) == 0) {
            return STORE_OK;
        }
    }
    if (is_rowid(relation, name)) {
        return STORE_OK;
    }
    return store_refuse(building->store, STORE_E_PATH, "%s: %s %s has no column %.100s",
                        building->store->path, relation->view ? "the view" : "the table",
                        building->select->from, name);
}

static void append_name(struct building *building, const char *name)
{
    if (is_rowid(building->relation, name)) {
        sqlite3_str_appendall(building->sql, name);
    } else {
        sqlite3_str_appendf(building->sql, "\"%w\"", name);
    }
}

/* Appends "?" and takes its value. */
static int append_value(struct building *building, const struct store_cell *value)
{
    if (building->count == PARAMETERS_MAX) {
        return store_refuse(building->store, STORE_E_RETRY,
                            "%s: cannot read %s: more than %d values", building->store->path,
                            building->select->from, PARAMETERS_MAX);
    }
    building->values[building->count++] = *value;
    sqlite3_str_appendchar(building->sql, 1, '?');
    return STORE_OK;
}

static int append_columns(struct building *building)
{
    int result = STORE_OK;

    if (building->select->columns == NULL) {
        sqlite3_str_appendall(building->sql, "*");
        return STORE_OK;
    }
    for (int i = 0; building->select->columns[i] != NULL && result == STORE_OK; i++) {
        result = check_column(building, building->select->columns[i]);
        if (result == STORE_OK) {
            sqlite3_str_appendall(building->sql, i > 0 ? ", " : "");
            append_name(building, building->select->columns[i]);
        }
    }
    return result;
}

static int append_condition(struct building *building, const struct store_condition *condition)
{
    static const char *const operators[] = {
        [STORE_EQ] = " = ",  [STORE_NE] = " <> ", [STORE_LT] = " < ",
        [STORE_LE] = " <= ", [STORE_GT] = " > ",  [STORE_GE] = " >= ",
    };
    int result = check_column(building, condition->column);

    if (result != STORE_OK) {
        return result;
    }
    append_name(building, condition->column);
    switch (condition->comparison) {
    case STORE_IS_NULL:
        sqlite3_str_appendall(building->sql, " IS NULL");
        return STORE_OK;
    case STORE_NOT_NULL:
        sqlite3_str_appendall(building->sql, " IS NOT NULL");
        return STORE_OK;
    default:
        sqlite3_str_appendall(building->sql, operators[condition->comparison]);
        return append_value(building, &condition->value);
    }
}

/* Appends "(a, b) > (?, ?)". The columns are checked by append_order(). */
static int append_after(struct building *building)
{
    const char *const *order = building->select->order;
    int result = STORE_OK;

    sqlite3_str_appendall(building->sql, "(");
    for (int i = 0; order[i] != NULL; i++) {
        sqlite3_str_appendall(building->sql, i > 0 ? ", " : "");
        append_name(building, order[i]);
    }
    sqlite3_str_appendall(building->sql, ") > (");
    for (int i = 0; order[i] != NULL && result == STORE_OK; i++) {
        sqlite3_str_appendall(building->sql, i > 0 ? ", " : "");
        result = append_value(building, &building->select->after[i]);
    }
    sqlite3_str_appendall(building->sql, ")");
    return result;
}

static int append_where(struct building *building)
{
    const struct store_select *select = building->select;
    const char *word = " WHERE ";
    int result = STORE_OK;

    for (int i = 0; i < select->condition_count && result == STORE_OK; i++) {
        sqlite3_str_appendall(building->sql, word);
        result = append_condition(building, &select->conditions[i]);
        word = " AND ";
    }
    if (result == STORE_OK && select->after != NULL && select->order != NULL) {
        sqlite3_str_appendall(building->sql, word);
        result = append_after(building);
    }
    return result;
}

static int append_order(struct building *building)
{
    const char *const *order = building->select->order;
    int result = STORE_OK;

    for (int i = 0; order != NULL && order[i] != NULL && result == STORE_OK; i++) {
        const char *name = order[i] + (order[i][0] == '-' ? 1 : 0);

        result = check_column(building, name);
        if (result == STORE_OK) {
            sqlite3_str_appendall(building->sql, i == 0 ? " ORDER BY " : ", ");
            append_name(building, name);
            sqlite3_str_appendall(building->sql, order[i][0] == '-' ? " DESC" : "");
        }
    }
    return result;
}

static int append_select(struct building *building)
{
    const struct store_cell limit = store_cell_integer(building->select->limit);
    int result;

    sqlite3_str_appendall(building->sql, "SELECT ");
    result = append_columns(building);
    sqlite3_str_appendf(building->sql, " FROM %s.\"%w\"",
                        answers_schema_of(building->store, building->select->from),
                        building->select->from);
    if (result == STORE_OK) {
        result = append_where(building);
    }
    if (result == STORE_OK) {
        result = append_order(building);
    }
    if (result == STORE_OK && building->select->limit > 0) {
        sqlite3_str_appendall(building->sql, " LIMIT ");
        result = append_value(building, &limit);
    }
    return result;
}

/* Runs a statement that writes a temporary file. */
static int write_spool(struct store *store, const char *sql, const char *doing,
                       const struct store_cell *values, int count)
{
    sqlite3_stmt *statement = NULL;
    int code;

    errno = 0;
    code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    for (int i = 0; i < count && code == SQLITE_OK; i++) {
        code = answers_bind(statement, i + 1, &values[i]);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_DONE) {
        sqlite3_finalize(statement);
        return STORE_OK;
    }
    /* Before sqlite3_finalize(), which may change errno. */
    code = answers_spool_failed(store, doing);
    sqlite3_finalize(statement);
    return code;
}

/* Appends "a", "b": the columns of the result. */
static void append_names(const struct building *building, sqlite3_str *sql)
{
    const char *const *columns = building->select->columns;
    const char *comma = "";

    for (int i = 0; columns == NULL && i < building->relation->count; i++) {
        sqlite3_str_appendf(sql, "%s\"%w\"", comma, building->relation->columns[i].name);
        comma = ", ";
    }
    for (int i = 0; columns != NULL && columns[i] != NULL; i++) {
        sqlite3_str_appendf(sql, "%s\"%w\"", comma, columns[i]);
        comma = ", ";
    }
}

/* Makes the temporary table, without types, and fills it. */
static int fill_spool(const struct building *building, const char *select_sql, const char *doing,
                      int number)
{
    struct store *store = building->store;
    sqlite3_str *create = sqlite3_str_new(store->db);
    sqlite3_str *insert = sqlite3_str_new(store->db);
    char *create_sql;
    char *insert_sql;
    int result;

    sqlite3_str_appendf(create,
                        "CREATE TABLE temp.foxtrackr_spool_%d (" SPOOL_ROW " INTEGER PRIMARY KEY, ",
                        number);
    append_names(building, create);
    sqlite3_str_appendall(create, ")");
    create_sql = sqlite3_str_finish(create);
    sqlite3_str_appendf(insert, "INSERT INTO temp.foxtrackr_spool_%d (", number);
    append_names(building, insert);
    sqlite3_str_appendf(insert, ") %s", select_sql);
    insert_sql = sqlite3_str_finish(insert);
    if (create_sql == NULL || insert_sql == NULL) {
        result = no_memory(building);
    } else {
        /* Its pages are written, and later read, one after the other: many in memory gain nothing.
         */
        sqlite3_exec(store->db, "PRAGMA temp.cache_size = -256", NULL, NULL, NULL);
        result = write_spool(store, create_sql, doing, NULL, 0);
        if (result == STORE_OK) {
            result = write_spool(store, insert_sql, doing, building->values, building->count);
        }
    }
    sqlite3_free(create_sql);
    sqlite3_free(insert_sql);
    return result;
}

static int open_spooled(const struct building *building, const char *select_sql, const char *doing,
                        struct store_query **out)
{
    static atomic_int numbers; /* other connections have temporary tables of their own */
    const struct store_cell before_first = store_cell_integer(0);
    char sql[128];
    int number = atomic_fetch_add(&numbers, 1) + 1;
    int result = fill_spool(building, select_sql, doing, number);

    snprintf(sql, sizeof(sql), "SELECT * FROM temp.foxtrackr_spool_%d WHERE " SPOOL_ROW " > ?1",
             number);
    if (result == STORE_OK) {
        result = answers_open(building->store, sql, doing, &before_first, 1, out);
    }
    if (result == STORE_OK) {
        (*out)->spool = number;
        (*out)->count--;
        return STORE_OK;
    }
    snprintf(sql, sizeof(sql), "DROP TABLE IF EXISTS temp.foxtrackr_spool_%d", number);
    sqlite3_exec(building->store->db, sql, NULL, NULL, NULL);
    return result;
}

static int open_built(struct building *building, struct store_query **out)
{
    char doing[ANSWERS_DOING_SIZE];
    char *sql;
    int result = append_select(building);

    sql = sqlite3_str_finish(building->sql);
    building->sql = NULL;
    snprintf(doing, sizeof(doing), "read %.100s", building->select->from);
    if (result == STORE_OK && sql == NULL) {
        result = no_memory(building);
    } else if (result == STORE_OK && building->select->spooled) {
        result = open_spooled(building, sql, doing, out);
    } else if (result == STORE_OK) {
        result = answers_open(building->store, sql, doing, building->values, building->count, out);
    }
    sqlite3_free(sql);
    return result;
}

int sqlite_query_select(struct store *store, const struct store_select *select,
                        struct store_query **out)
{
    struct building building = {.store = store, .select = select};
    int result = sqlite_relation_read(store, select->from, &building.relation);

    if (result == STORE_OK) {
        building.sql = sqlite3_str_new(store->db);
        result = open_built(&building, out);
    }
    store_relation_free(building.relation);
    return result;
}
