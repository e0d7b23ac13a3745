/*
 * The typed views: CREATE VIEW and DROP VIEW as the configuration says.
 *
 * A view is ours if `typed_views` has its name and its text: then we have made it, and nobody has
 * changed it since (store/view_plan.c). Everything is compared and changed in one transaction, so a
 * kill leaves the views of before or of after.
 *
 * Neither names nor paths can be bound in a view's text, so they are quoted by SQLite's own %w and
 * %Q. They hold nothing that could end the quotes anyway: config/views.c checks them.
 *
 * The view reads `messages` itself. So rows that were stored before its section existed are in it,
 * and nothing has to be kept up to date or replayed. CROSS JOIN makes SQLite begin with the devices
 * and seek each one's range of times in the primary key of `messages`, which the condition on the
 * type is part of.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "store/sqlite/sqlite_internal.h"
#include "store/view_plan.h"

#define EXACT_LIMIT 1e15 /* SQLite prints smaller whole numbers exactly */

/* --- the text of a view -------------------------------------------------------------------- */

/* Writes a path of names joined by dots as SQLite's JSON path. Returns memory for sqlite3_free(),
 * or NULL. */
static char *json_path(struct store *store, const char *names)
{
    sqlite3_str *text = sqlite3_str_new(store->db);

    sqlite3_str_appendall(text, "$.\"");
    for (const char *at = names; *at != '\0'; at++) {
        if (*at == '.') {
            sqlite3_str_appendall(text, "\".\"");
        } else {
            sqlite3_str_appendchar(text, 1, *at);
        }
    }
    sqlite3_str_appendchar(text, 1, '"');
    return sqlite3_str_finish(text);
}

/*
 * Appends the value of a column. Without a factor it is what the body has: a number, a text, 0 or 1
 * for false and true, and an object or an array as JSON. With a factor it is a number or NULL; a
 * text that is exactly a JSON number counts as that number, as in [fields].
 */
static void append_value(sqlite3_str *text, const struct config_column *column, const char *path)
{
    if (column->factor == NULL) {
        sqlite3_str_appendf(text, "m.body ->> %Q", path);
        return;
    }
    sqlite3_str_appendf(text,
                        "CASE WHEN json_type(m.body, %Q) IN ('integer', 'real', 'text')"
                        " THEN CASE WHEN json_valid(m.body ->> %Q)"
                        " THEN CASE WHEN json_type(m.body ->> %Q) IN ('integer', 'real')"
                        " THEN (m.body ->> %Q) ",
                        path, path, path, path);
    if (column->divisor != 1 && fabs(column->divisor) < EXACT_LIMIT) {
        sqlite3_str_appendf(text, "/ %.1f END END END", column->divisor);
    } else {
        sqlite3_str_appendf(text, "* %s END END END", column->factor);
    }
}

/* Returns the text of a view for sqlite3_free(); NULL: out of memory. */
static char *view_text(struct store *store, const struct config_view *view)
{
    sqlite3_str *text = sqlite3_str_new(store->db);

    sqlite3_str_appendf(text,
                        "CREATE VIEW \"%w\" AS\n"
                        "    -- Made by foxtrackrd from its configuration, and made anew when that "
                        "changes.\n"
                        "    SELECT d.device, d.family, d.device_id,\n"
                        "           m.time_ms, datetime(m.time_ms / 1000, 'unixepoch') AS time_utc,"
                        "\n",
                        view->name);
    for (size_t i = 0; i < view->column_count; i++) {
        char *path = json_path(store, view->columns[i].path);

        if (path == NULL) {
            sqlite3_free(sqlite3_str_finish(text));
            return NULL;
        }
        sqlite3_str_appendall(text, "           ");
        append_value(text, &view->columns[i], path);
        sqlite3_str_appendf(text, " AS \"%w\",\n", view->columns[i].name);
        sqlite3_free(path);
    }
    sqlite3_str_appendf(text,
                        "           m.received_ms\n"
                        "      FROM devices AS d\n"
                        "     CROSS JOIN messages AS m -- CROSS: devices first, then a range of "
                        "times for each\n"
                        "        ON m.device = d.device\n"
                        "     WHERE m.type = %Q",
                        view->type);
    return sqlite3_str_finish(text);
}

static int no_memory(struct store *store)
{
    return store_refuse(store, STORE_E_RETRY, "%s: out of memory for the typed views", store->path);
}

/* --- the engine's part of the plan --------------------------------------------------------- */

static int find(struct store *store, const char *name, const struct config_view *view,
                struct view_found *out)
{
    char *text = view != NULL ? view_text(store, view) : sqlite3_mprintf("");
    sqlite3_stmt *statement = store->statements[STATEMENT_VIEW_FIND];
    bool row = false;
    int result;

    if (text == NULL) {
        return no_memory(store);
    }
    result = store_step(store, STATEMENT_VIEW_FIND,
                        (const struct store_value[]){store_text(name), store_text(text)}, 2, &row);
    if (result == STORE_OK && row) {
        snprintf(out->kind, sizeof(out->kind), "%s",
                 (const char *)sqlite3_column_text(statement, 0));
        out->ours = sqlite3_column_int(statement, 1) != 0;
        out->same = sqlite3_column_int(statement, 2) != 0;
    }
    store_reset(store, STATEMENT_VIEW_FIND);
    sqlite3_free(text);
    return result;
}

static int next_recorded(struct store *store, char name[VIEW_NAME_SIZE])
{
    const struct store_value after = store_text(name);
    bool row = false;
    int result = store_step(store, STATEMENT_VIEW_NEXT, &after, 1, &row);
    char found[VIEW_NAME_SIZE] = "";

    if (result == STORE_OK && row) {
        snprintf(found, sizeof(found), "%s",
                 (const char *)sqlite3_column_text(store->statements[STATEMENT_VIEW_NEXT], 0));
    }
    store_reset(store, STATEMENT_VIEW_NEXT);
    memcpy(name, found, sizeof(found));
    return result;
}

static int forget(struct store *store, const char *name)
{
    const struct store_value value = store_text(name);

    return store_execute(store, STATEMENT_VIEW_FORGET, &value, 1);
}

static int drop(struct store *store, const char *name)
{
    char *sql = sqlite3_mprintf("DROP VIEW IF EXISTS \"%w\"", name);
    int result = STORE_OK;

    if (sql == NULL) {
        return no_memory(store);
    }
    errno = 0;
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        result = store_fail(store, "drop a typed view");
    }
    sqlite3_free(sql);
    return result;
}

static int create(struct store *store, const struct config_view *view)
{
    const struct store_value name = store_text(view->name);
    char *sql = view_text(store, view);
    int result = STORE_OK;

    if (sql == NULL) {
        return no_memory(store);
    }
    errno = 0;
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        /* An error in the text should not happen, and is no reason to end. */
        result = sqlite3_errcode(store->db) == SQLITE_ERROR
                     ? store_refuse(store, STORE_E_RETRY, "%s: cannot make the view %s: %s",
                                    store->path, view->name, sqlite3_errmsg(store->db))
                     : store_fail(store, "make a typed view");
    } else {
        result = store_execute(store, STATEMENT_VIEW_NOTE, &name, 1);
    }
    sqlite3_free(sql);
    return result;
}

/* --- the changes --------------------------------------------------------------------------- */

static int begin(struct store *store)
{
    int result;

    store->wait_ms = 0;
    result = store_transaction_begin(store);
    store->wait_ms = store->busy_timeout_ms;
    return result;
}

static const struct view_engine engine = {
    .compare = sqlite3_stricmp,
    .find = find,
    .next_recorded = next_recorded,
    .create = create,
    .drop = drop,
    .forget = forget,
    .begin = begin,
    .commit = store_transaction_commit,
};

int sqlite_set_views(struct store *store, const struct config_views *views, store_view_fn *each,
                     void *context)
{
    return view_plan_set(store, &engine, views, each, context);
}

int sqlite_look_at_views(struct store *store, const struct config_views *views, store_view_fn *each,
                         void *context)
{
    return view_plan_look(store, &engine, views, each, context);
}

/* --- a migration --------------------------------------------------------------------------- */

int store_drop_views(struct store *store)
{
    static const char *const list =
        "SELECT group_concat(printf('DROP VIEW \"%w\";', v.name), ' ')"
        " FROM typed_views AS t JOIN sqlite_schema AS v"
        " ON v.type = 'view' AND v.name = t.name COLLATE NOCASE AND v.sql = t.sql";
    sqlite3_stmt *statement = NULL;
    char *script = NULL;
    int tables = 0;
    int result = store_read_number(
        store, "SELECT count(*) FROM sqlite_schema WHERE name = 'typed_views'", &tables);

    if (result != STORE_OK || tables == 0) {
        return result;
    }
    errno = 0;
    if (sqlite3_prepare_v2(store->db, list, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        result = store_open_failed(store, "read its typed views");
    } else {
        script = sqlite3_mprintf("%s", sqlite3_column_text(statement, 0)); /* NULL becomes "" */
        result = script == NULL ? no_memory(store) : STORE_OK;
    }
    sqlite3_finalize(statement);
    if (result == STORE_OK && sqlite3_exec(store->db, script, NULL, NULL, NULL) != SQLITE_OK) {
        result = store_open_failed(store, "drop its typed views");
    }
    sqlite3_free(script);
    return result;
}
