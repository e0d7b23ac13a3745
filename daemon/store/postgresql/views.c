/*
 * The typed views: CREATE VIEW and DROP VIEW as the configuration says.
 *
 * PostgreSQL does not keep the text of a view, but prints its own from the parsed form. So the
 * table typed_views has both: the text that we have sent, and behind it the one that the server
 * printed then. A view is ours if it still prints like that: then we have made it, and nobody has
 * changed it since (store/view_plan.c). Everything is compared and changed in one transaction, so a
 * kill leaves the views of before or of after.
 *
 * The view reads `messages` itself. So rows that were stored before its section existed are in it,
 * and nothing has to be kept up to date or replayed.
 *
 * A name that a monthly partition may have is taken even while that month does not exist.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgresql/operations_internal.h"
#include "store/postgresql/views_internal.h"
#include "store/view_plan.h"

/* Between the two texts of typed_views.sql. */
#define PRINTED "E'\\n-- as PostgreSQL prints it:\\n'"

static int no_memory(struct store *store)
{
    return pg_refuse(store, STORE_E_RETRY, "%s: out of memory for the typed views", store->shown);
}

/* --- the engine's part of the plan --------------------------------------------------------- */

static int find(struct store *store, const char *name, const struct config_view *view,
                struct view_found *out)
{
    static const char sql[] =
        "SELECT CASE WHEN c.relkind IS NULL THEN CASE WHEN $1::text ~"
        " '^(battery|temperature|messages)_(before|[0-9]{4}_[0-9]{2})$' THEN 'table' ELSE '' END"
        " WHEN c.relkind IN ('v', 'm') THEN 'view' WHEN c.relkind IN ('i', 'I') THEN 'index'"
        " WHEN c.relkind = 'S' THEN 'sequence' ELSE 'table' END,"
        " coalesce(c.relkind = 'v' AND right(t.sql, length(p.text)) = p.text, false)::int4,"
        " coalesce(t.sql = $2::text || p.text, false)::int4"
        " FROM (SELECT 1) AS one LEFT JOIN pg_class AS c ON c.relname = $1::text"
        " AND c.relnamespace = current_schema()::regnamespace"
        " LEFT JOIN typed_views AS t ON t.name = $1::text"
        " LEFT JOIN LATERAL (SELECT " PRINTED " || pg_get_viewdef(c.oid) AS text) AS p"
        " ON c.relkind = 'v'";
    char *text = view != NULL ? pg_view_text(store, view) : strdup("");
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    int result;

    if (text == NULL) {
        return no_memory(store);
    }
    pg_arg_text(&args, name);
    pg_arg_text(&args, text);
    result = pg_query(store, sql, "look at the typed views", &args, &found);
    if (result == STORE_OK) {
        snprintf(out->kind, sizeof(out->kind), "%s", PQgetvalue(found, 0, 0));
        out->ours = pg_int4(found, 0, 1) != 0;
        out->same = pg_int4(found, 0, 2) != 0;
    }
    PQclear(found);
    free(text);
    return result;
}

static int next_recorded(struct store *store, char name[VIEW_NAME_SIZE])
{
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    int result;

    pg_arg_text(&args, name);
    result =
        pg_query(store, "SELECT name FROM typed_views WHERE name > $1::text ORDER BY name LIMIT 1",
                 "read the typed views", &args, &found);
    if (result == STORE_OK) {
        snprintf(name, VIEW_NAME_SIZE, "%s", PQntuples(found) > 0 ? PQgetvalue(found, 0, 0) : "");
    }
    PQclear(found);
    return result;
}

static int forget(struct store *store, const char *name)
{
    struct pg_args args = {.count = 0};

    pg_arg_text(&args, name);
    return pg_query(store, "DELETE FROM typed_views WHERE name = $1::text", "forget a typed view",
                    &args, NULL);
}

static int drop(struct store *store, const char *name)
{
    char *quoted = PQescapeIdentifier(store->db, name, strlen(name));
    char sql[sizeof("DROP VIEW IF EXISTS ") + (size_t)2 * VIEW_NAME_SIZE + 2];

    if (quoted == NULL) {
        return no_memory(store);
    }
    snprintf(sql, sizeof(sql), "DROP VIEW IF EXISTS %s", quoted);
    PQfreemem(quoted);
    return pg_query(store, sql, "drop a typed view", NULL, NULL);
}

static int create(struct store *store, const struct config_view *view)
{
    struct pg_args args = {.count = 0};
    char *sql = pg_view_text(store, view);
    int result;

    if (sql == NULL) {
        return no_memory(store);
    }
    result = pg_query(store, sql, "make a typed view", NULL, NULL);
    if (result == STORE_OK) {
        pg_arg_text(&args, view->name);
        pg_arg_text(&args, sql);
        result = pg_query(store,
                          "INSERT INTO typed_views (name, sql) SELECT relname, $2::text || " PRINTED
                          " || pg_get_viewdef(oid) FROM pg_class WHERE relname = $1::text"
                          " AND relnamespace = current_schema()::regnamespace"
                          " ON CONFLICT (name) DO UPDATE SET sql = excluded.sql",
                          "note a typed view", &args, NULL);
    }
    free(sql);
    return result;
}

/* --- the changes --------------------------------------------------------------------------- */

/* The lock makes daemons take turns, and lets readers of typed_views pass. Neither it nor the
 * removal of a view waits for somebody who reads that view: a later call tries again. */
static int begin(struct store *store)
{
    int result = pg_own_begin(store);

    return result == STORE_OK ? pg_simple(store,
                                          "SET LOCAL lock_timeout = '100ms';"
                                          " LOCK TABLE typed_views IN SHARE ROW EXCLUSIVE MODE",
                                          "change the typed views", NULL)
                              : result;
}

static const struct view_engine engine = {
    .compare = strcmp,
    .find = find,
    .next_recorded = next_recorded,
    .create = create,
    .drop = drop,
    .forget = forget,
    .begin = begin,
    .commit = pg_own_commit,
    .undo = pg_own_undo,
};

int postgresql_set_views(struct store *store, const struct config_views *views, store_view_fn *each,
                         void *context)
{
    int result = pg_usable(store);

    return result == STORE_OK ? view_plan_set(store, &engine, views, each, context) : result;
}

int postgresql_look_at_views(struct store *store, const struct config_views *views,
                             store_view_fn *each, void *context)
{
    int result = pg_usable(store);

    return result == STORE_OK ? view_plan_look(store, &engine, views, each, context) : result;
}
