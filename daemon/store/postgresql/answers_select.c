/*
 * Tables and views, and selects of them. Every name is compared with the schema before it becomes
 * part of a statement, and is quoted there. Partitions and the helpers foxtrackr_* are not shown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgresql/answers_internal.h"
#include "store/postgresql/operations_internal.h"

int postgresql_relations(struct store *store,
                         void (*each)(void *context, const char *name, bool view), void *context)
{
    const struct store_cell *row = NULL;
    struct store_query *query = NULL;
    int result = pg_answers_open(store,
                                 "SELECT relname, (relkind = 'v')::int4 FROM pg_class"
                                 " WHERE relnamespace = current_schema()::regnamespace"
                                 " AND relkind IN ('r', 'p', 'v') AND NOT relispartition"
                                 " AND relname NOT LIKE 'foxtrackr\\_%'"
                                 " ORDER BY 2, relname COLLATE \"C\"",
                                 "list the tables and views", NULL, 0, &query);

    while (result == STORE_OK && (result = postgresql_query_next(query, &row)) == STORE_OK &&
           row != NULL) {
        each(context, row[0].bytes, row[1].integer != 0);
    }
    postgresql_query_close(query);
    return result;
}

static int no_memory(struct store *store)
{
    return pg_refuse(store, STORE_E_RETRY, "%s: cannot read the columns of a table: out of memory",
                     store->shown);
}

static int add_column(struct store *store, struct store_relation *relation,
                      const struct store_cell *row)
{
    struct store_column *grown =
        realloc(relation->columns, ((size_t)relation->count + 1) * sizeof(*grown));

    if (grown == NULL) {
        return no_memory(store);
    }
    relation->columns = grown;
    grown[relation->count] = (struct store_column){
        .name = strdup(row[0].bytes),
        .type = strdup(row[1].bytes),
        .key = (int)row[2].integer,
        .required = row[3].integer != 0,
    };
    relation->view = row[4].integer != 0;
    relation->count++;
    return grown[relation->count - 1].name != NULL && grown[relation->count - 1].type != NULL
               ? STORE_OK
               : no_memory(store);
}

int postgresql_relation_read(struct store *store, const char *name, struct store_relation **out)
{
    static const char sql[] =
        "SELECT a.attname, CASE WHEN t.typname IN ('int2', 'int4', 'int8', 'bool') THEN 'INTEGER'"
        " WHEN t.typname IN ('float4', 'float8', 'numeric') THEN 'REAL'"
        " WHEN t.typname = 'bytea' THEN 'BLOB' ELSE 'TEXT' END,"
        " coalesce(array_position(i.indkey::int2[], a.attnum), -1) + 1,"
        " a.attnotnull::int4, (c.relkind = 'v')::int4"
        " FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0"
        " AND NOT a.attisdropped JOIN pg_type AS t ON t.oid = a.atttypid"
        " LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary"
        " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v')"
        " AND c.relname = $1 ORDER BY a.attnum";
    struct store_relation *relation = calloc(1, sizeof(*relation));
    const struct store_cell value = store_cell_text(name);
    const struct store_cell *row = NULL;
    struct store_query *query = NULL;
    int result;

    if (relation == NULL) {
        return no_memory(store);
    }
    result = pg_answers_open(store, sql, "read the columns of a table", &value, 1, &query);
    while (result == STORE_OK && (result = postgresql_query_next(query, &row)) == STORE_OK &&
           row != NULL) {
        result = add_column(store, relation, row);
    }
    postgresql_query_close(query);
    if (result == STORE_OK && relation->count == 0) {
        result = pg_refuse(store, STORE_E_PATH, "%s: has no table or view %s", store->shown, name);
    }
    if (result != STORE_OK) {
        store_relation_free(relation);
        return result;
    }
    *out = relation;
    return STORE_OK;
}

/* A statement that grows. */
struct text {
    struct store *store;
    const struct store_relation *relation;
    char *sql;
    size_t used, size;
    struct store_cell values[ANSWERS_VALUES_MAX];
    int count;
    int result;
};

/* Makes room for `length` bytes and a NUL. Returns false when memory is out, or was before. */
static bool make_room(struct text *text, size_t length)
{
    size_t size = text->size * 2 + length + 256;
    char *grown;

    if (text->result != STORE_OK) {
        return false;
    }
    if (text->sql != NULL && text->size - text->used > length) {
        return true;
    }
    grown = realloc(text->sql, size);
    if (grown == NULL) {
        text->result = no_memory(text->store);
        return false;
    }
    text->sql = grown;
    text->size = size;
    return true;
}

static void append(struct text *text, const char *part)
{
    size_t length = strlen(part);

    if (make_room(text, length)) {
        memcpy(text->sql + text->used, part, length + 1);
        text->used += length;
    }
}

static void append_quoted(struct text *text, const char *name)
{
    char *quoted = PQescapeIdentifier(text->store->db, name, strlen(name));

    if (quoted == NULL) {
        text->result = text->result == STORE_OK ? no_memory(text->store) : text->result;
        return;
    }
    append(text, quoted);
    PQfreemem(quoted);
}

static void append_column(struct text *text, const char *name)
{
    for (int i = 0; i < text->relation->count; i++) {
        if (strcmp(text->relation->columns[i].name, name) == 0) {
            append_quoted(text, name);
            return;
        }
    }
    if (text->result == STORE_OK) {
        text->result = pg_refuse(text->store, STORE_E_PATH, "%s: there is no column %s",
                                 text->store->shown, name);
    }
}

static void append_value(struct text *text, const struct store_cell *value)
{
    char place[16];

    if (text->count == ANSWERS_VALUES_MAX) {
        text->result = no_memory(text->store);
        return;
    }
    text->values[text->count++] = *value;
    snprintf(place, sizeof(place), "$%d", text->count);
    append(text, place);
}

static void append_conditions(struct text *text, const struct store_select *select)
{
    static const char *const operators[] = {
        [STORE_EQ] = " = ",           [STORE_NE] = " <> ",
        [STORE_LT] = " < ",           [STORE_LE] = " <= ",
        [STORE_GT] = " > ",           [STORE_GE] = " >= ",
        [STORE_IS_NULL] = " IS NULL", [STORE_NOT_NULL] = " IS NOT NULL",
    };

    for (int i = 0; i < select->condition_count; i++) {
        const struct store_condition *condition = &select->conditions[i];

        append(text, i == 0 ? " WHERE " : " AND ");
        append_column(text, condition->column);
        append(text, operators[condition->comparison]);
        if (condition->comparison < STORE_IS_NULL) {
            append_value(text, &condition->value);
        }
    }
}

static void append_after(struct text *text, const struct store_select *select)
{
    if (select->after == NULL) {
        return;
    }
    append(text, select->condition_count > 0 ? " AND (" : " WHERE (");
    for (int i = 0; select->order[i] != NULL; i++) {
        append(text, i > 0 ? ", " : "");
        append_column(text, select->order[i]);
    }
    append(text, ") > (");
    for (int i = 0; select->order[i] != NULL; i++) {
        append(text, i > 0 ? ", " : "");
        append_value(text, &select->after[i]);
    }
    append(text, ")");
}

/* NULL comes first, as in SQLite. */
static void append_order(struct text *text, const struct store_select *select)
{
    for (int i = 0; select->order != NULL && select->order[i] != NULL; i++) {
        bool down = select->order[i][0] == '-';

        append(text, i == 0 ? " ORDER BY " : ", ");
        append_column(text, select->order[i] + down);
        append(text, down ? " DESC NULLS LAST" : " ASC NULLS FIRST");
    }
}

static void append_select(struct text *text, const struct store_select *select)
{
    char limit[48] = "";

    append(text, "SELECT ");
    for (int i = 0; select->columns != NULL && select->columns[i] != NULL; i++) {
        append(text, i > 0 ? ", " : "");
        append_column(text, select->columns[i]);
    }
    append(text, select->columns == NULL ? "* FROM " : " FROM ");
    append_quoted(text, select->from);
    append_conditions(text, select);
    append_after(text, select);
    append_order(text, select);
    if (select->limit > 0) {
        snprintf(limit, sizeof(limit), " LIMIT %lld", (long long)select->limit);
    }
    append(text, limit);
}

int postgresql_query_select(struct store *store, const struct store_select *select,
                            struct store_query **out)
{
    struct store_relation *relation = NULL;
    struct text text = {.store = store};
    struct store_query *query = NULL;
    char doing[ANSWERS_DOING_SIZE];
    int result = postgresql_relation_read(store, select->from, &relation);

    if (result != STORE_OK || relation == NULL) {
        return result;
    }
    text.relation = relation;
    append_select(&text, select);
    snprintf(doing, sizeof(doing), "read %s", select->from);
    result = text.result == STORE_OK
                 ? pg_answers_open(store, text.sql, doing, text.values, text.count, &query)
                 : text.result;
    free(text.sql);
    store_relation_free(relation);
    if (result == STORE_OK && select->spooled) {
        result = pg_answers_spool(query);
    }
    if (result != STORE_OK) {
        postgresql_query_close(query);
        return result;
    }
    *out = query;
    return STORE_OK;
}
