/*
 * The typed views: CREATE VIEW and DROP VIEW as the configuration says.
 *
 * PostgreSQL does not keep the text of a view, but prints its own from the parsed form. So the
 * table typed_views has both: the text that we have sent, and behind it the one that the server
 * printed then. A view is ours if it still prints like that: then we have made it, and nobody has
 * changed it since. Only such a view is ever dropped. What else has the name of a section stays,
 * and the section has no view. Everything is compared and changed in one transaction, so a kill
 * leaves the views of before or of after.
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

#define NAME_SIZE 64 /* a section's name is shorter */
#define KIND_SIZE 16

/* Between the two texts of typed_views.sql. */
#define PRINTED "E'\\n-- as PostgreSQL prints it:\\n'"

struct change {
    enum store_view_state state;
    char name[NAME_SIZE];
    char kind[KIND_SIZE];
    const struct config_view *view; /* NULL: its section is gone */
};

/* All configured views, and as many that an earlier configuration had. */
struct plan {
    struct change list[2 * CONFIG_VIEWS_MAX];
    size_t count;
};

static int no_memory(struct store *store)
{
    return pg_refuse(store, STORE_E_RETRY, "%s: out of memory for the typed views", store->shown);
}

/* --- the plan ------------------------------------------------------------------------------ */

static struct change *add(struct plan *plan, enum store_view_state state, const char *name)
{
    struct change *change = &plan->list[plan->count++];

    *change = (struct change){.state = state};
    snprintf(change->name, sizeof(change->name), "%s", name);
    return change;
}

/* Looks at what has the name. *kind becomes "" for nothing, else the kind of the object; `ours` and
 * `same` say whether it is a view that we have made, and has this text. */
static int find(struct store *store, const char *name, const char *text, char kind[KIND_SIZE],
                bool *ours, bool *same)
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
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    int result;

    pg_arg_text(&args, name);
    pg_arg_text(&args, text);
    result = pg_query(store, sql, "look at the typed views", &args, &found);
    if (result == STORE_OK) {
        snprintf(kind, KIND_SIZE, "%s", PQgetvalue(found, 0, 0));
        *ours = pg_int4(found, 0, 1) != 0;
        *same = pg_int4(found, 0, 2) != 0;
    }
    PQclear(found);
    return result;
}

static int plan_configured(struct store *store, const struct config_view *view, struct plan *plan)
{
    char *text = pg_view_text(store, view);
    char kind[KIND_SIZE] = "";
    bool ours = false;
    bool same = false;
    struct change *change;
    int result =
        text == NULL ? no_memory(store) : find(store, view->name, text, kind, &ours, &same);

    free(text);
    if (result == STORE_OK) {
        change = add(plan,
                     kind[0] == '\0' ? STORE_VIEW_MADE
                     : !ours         ? STORE_VIEW_TAKEN
                     : same          ? STORE_VIEW_STANDS
                                     : STORE_VIEW_REPLACED,
                     view->name);
        memcpy(change->kind, kind, sizeof(kind));
        change->view = view;
    }
    return result;
}

static bool is_configured(const struct config_views *views, const char *name)
{
    for (size_t i = 0; i < views->count; i++) {
        if (strcmp(views->list[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Plans to remove the views whose section is gone. */
static int plan_gone(struct store *store, const struct config_views *views, struct plan *plan)
{
    PGresult *recorded = NULL;
    int result = pg_query(store, "SELECT name FROM typed_views ORDER BY name",
                          "read the typed views", NULL, &recorded);

    for (int row = 0; result == STORE_OK && row < PQntuples(recorded); row++) {
        const char *name = PQgetvalue(recorded, row, 0);
        char kind[KIND_SIZE] = "";
        bool ours = false;
        bool same = false;

        if (!is_configured(views, name) && plan->count < CONFIG_VIEWS_MAX) {
            result = find(store, name, "", kind, &ours, &same);
            add(plan, ours || kind[0] == '\0' ? STORE_VIEW_REMOVED : STORE_VIEW_LEFT, name);
        }
    }
    PQclear(recorded);
    return result;
}

/* First the removals, so that their names are free. */
static int make_plan(struct store *store, const struct config_views *views, struct plan *plan)
{
    int result;

    plan->count = 0;
    result = plan_gone(store, views, plan);
    for (size_t i = 0; i < views->count && result == STORE_OK; i++) {
        result = plan_configured(store, &views->list[i], plan);
    }
    return result;
}

static void tell(const struct plan *plan, store_view_fn *each, void *context)
{
    for (size_t i = 0; i < plan->count; i++) {
        each(context, plan->list[i].state, plan->list[i].name, plan->list[i].kind);
    }
}

/* --- the changes --------------------------------------------------------------------------- */

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
    char sql[sizeof("DROP VIEW IF EXISTS ") + (size_t)2 * NAME_SIZE + 2];

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

static int apply(struct store *store, const struct change *change)
{
    int result = STORE_OK;

    switch (change->state) {
    case STORE_VIEW_STANDS:
        return STORE_OK;
    case STORE_VIEW_MADE:
        return create(store, change->view);
    case STORE_VIEW_REPLACED:
        result = drop(store, change->name);
        return result == STORE_OK ? create(store, change->view) : result;
    case STORE_VIEW_REMOVED:
        result = drop(store, change->name);
        break;
    case STORE_VIEW_TAKEN:
    case STORE_VIEW_LEFT:
        break;
    }
    return result == STORE_OK ? forget(store, change->name) : result;
}

static bool changes_anything(const struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->list[i].state != STORE_VIEW_STANDS) {
            return true;
        }
    }
    return false;
}

/* The lock makes daemons take turns, and lets readers of typed_views pass. Neither it nor the
 * removal of a view waits for somebody who reads that view: a later call tries again. */
static int carry_out(struct store *store, const struct config_views *views, struct plan *plan)
{
    int result = pg_own_begin(store);

    if (result == STORE_OK) {
        result = pg_simple(store,
                           "SET LOCAL lock_timeout = '100ms';"
                           " LOCK TABLE typed_views IN SHARE ROW EXCLUSIVE MODE",
                           "change the typed views", NULL);
    }
    if (result == STORE_OK) {
        result = make_plan(store, views, plan); /* now no other daemon changes anything */
    }
    for (size_t i = 0; i < plan->count && result == STORE_OK; i++) {
        result = apply(store, &plan->list[i]);
    }
    if (result != STORE_OK) {
        pg_own_undo(store);
        return result;
    }
    return pg_own_commit(store);
}

int postgresql_set_views(struct store *store, const struct config_views *views, store_view_fn *each,
                         void *context)
{
    struct plan plan = {.count = 0};
    int result = pg_usable(store);

    if (result == STORE_OK) {
        result = make_plan(store, views, &plan);
    }
    if (result == STORE_OK && changes_anything(&plan)) {
        result = carry_out(store, views, &plan);
    }
    if (result == STORE_OK) {
        tell(&plan, each, context);
    }
    return result;
}

int postgresql_look_at_views(struct store *store, const struct config_views *views,
                             store_view_fn *each, void *context)
{
    struct plan plan = {.count = 0};
    int result = pg_usable(store);

    if (result == STORE_OK) {
        result = make_plan(store, views, &plan);
    }
    if (result == STORE_OK) {
        tell(&plan, each, context);
    }
    return result;
}
