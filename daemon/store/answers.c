/*
 * Passes the functions of store/answers.h on to the engine that keeps the database, and has those
 * that are the same for every engine.
 */
#include "store/answers.h"

#include <stdlib.h>
#include <string.h>

#include "store/engine.h"

static const struct store_answers *answers_of(const struct store *store)
{
    const struct store_handle *handle = (const void *)store;

    return handle->engine->answers;
}

static const struct store_answers *of_query(const struct store_query *query)
{
    const struct store_query_handle *handle = (const void *)query;

    return handle->answers;
}

struct store_cell store_cell_null(void)
{
    return (struct store_cell){.kind = STORE_NULL};
}

struct store_cell store_cell_integer(int64_t integer)
{
    return (struct store_cell){.kind = STORE_INTEGER, .integer = integer};
}

struct store_cell store_cell_real(double real)
{
    return (struct store_cell){.kind = STORE_REAL, .real = real};
}

struct store_cell store_cell_text(const char *text)
{
    if (text == NULL) {
        return store_cell_null();
    }
    return (struct store_cell){.kind = STORE_TEXT, .bytes = text, .length = strlen(text)};
}

void store_relation_free(struct store_relation *relation)
{
    if (relation == NULL) {
        return;
    }
    for (int i = 0; i < relation->count; i++) {
        free(relation->columns[i].name);
        free(relation->columns[i].type);
    }
    free(relation->columns);
    free(relation);
}

int store_relations(struct store *store, void (*each)(void *context, const char *name, bool view),
                    void *context)
{
    return answers_of(store)->relations(store, each, context);
}

int store_relation_read(struct store *store, const char *name, struct store_relation **out)
{
    return answers_of(store)->relation_read(store, name, out);
}

int store_query_named(struct store *store, enum store_named named, const struct store_cell *values,
                      int count, struct store_query **out)
{
    return answers_of(store)->query_named(store, named, values, count, out);
}

int store_query_select(struct store *store, const struct store_select *select,
                       struct store_query **out)
{
    return answers_of(store)->query_select(store, select, out);
}

int store_query_next(struct store_query *query, const struct store_cell **row)
{
    return of_query(query)->query_next(query, row);
}

int store_query_again(struct store_query *query, const struct store_cell *values, int count)
{
    return of_query(query)->query_again(query, values, count);
}

int store_query_rest(struct store_query *query)
{
    return of_query(query)->query_rest(query);
}

int store_query_count(const struct store_query *query)
{
    return of_query(query)->query_count(query);
}

const char *store_query_column(const struct store_query *query, int index)
{
    return of_query(query)->query_column(query, index);
}

void store_query_close(struct store_query *query)
{
    if (query != NULL) {
        of_query(query)->query_close(query);
    }
}

int store_read_begin(struct store *store)
{
    return answers_of(store)->read_begin(store);
}

int store_read_begin_both(struct store *store, struct store *other, bool *same)
{
    return answers_of(store)->read_begin_both(store, other, same);
}

void store_read_of_all(struct store *store)
{
    answers_of(store)->read_of_all(store);
}

int store_read_end(struct store *store)
{
    return answers_of(store)->read_end(store);
}
