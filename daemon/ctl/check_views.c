/*
 * The typed views: what the daemon has made of the sections [view NAME], or will make of them at
 * its next start or reload; and whether the messages have what the sections name. A misspelt type
 * or path is no mistake of the configuration, because the messages may be yet to come.
 */
#include "ctl/check_findings_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/plural.h"
#include "store/answers.h"
#include "store/views.h"

/* A store_view_fn. */
static void report_view(void *context, enum store_view_state state, const char *name,
                        const char *kind)
{
    switch (state) {
    case STORE_VIEW_STANDS:
        ctl_finding(context, "view", true, "%s: is in the database as configured", name);
        break;
    case STORE_VIEW_MADE:
        ctl_finding(context, "view", true, "%s: the daemon makes it at its start or at a reload",
                    name);
        break;
    case STORE_VIEW_REPLACED:
        ctl_finding(context, "view", true,
                    "%s: has changed, the daemon makes it anew at its start or at a reload", name);
        break;
    case STORE_VIEW_REMOVED:
        ctl_finding(context, "view", true,
                    "%s: has no section, the daemon removes it at its start or at a reload", name);
        break;
    case STORE_VIEW_TAKEN:
        ctl_finding(context, "view", false, "%s: is not made: " STORE_VIEW_TAKEN_BY, name, kind,
                    name);
        break;
    case STORE_VIEW_LEFT:
        ctl_finding_warning(context, "view",
                            "%s: has no section, but somebody has changed it: it stays", name);
        break;
    }
}

/* Warns of a column whose path no message of the type has. */
static int check_column(struct ctl_findings *findings, struct store *store,
                        const struct config_view *view, const struct config_column *column,
                        const char *paths)
{
    const struct store_cell values[] = {store_cell_text(view->type), store_cell_text(column->path)};
    const struct store_cell *row = NULL;
    struct store_query *query = NULL;
    int result = store_query_named(store, STORE_NAMED_VALUES_OF_TYPE, values, 2, &query);

    if (result == STORE_OK) {
        result = store_query_next(query, &row);
    }
    if (result == STORE_OK && row != NULL && row[0].integer > 0 && row[1].integer == 0) {
        ctl_finding_warning(findings, "view",
                            "%s: %s has no value: of %" PRId64
                            " message%s of type %s none has %s; one has %s",
                            view->name, column->name, row[0].integer, plural_s(row[0].integer),
                            view->type, column->path, paths);
    }
    store_query_close(query);
    return result;
}

/* Warns when there is no message of the type, or none with a path. */
static int check_messages(struct ctl_findings *findings, struct store *store,
                          const struct config_view *view)
{
    const struct store_cell type = store_cell_text(view->type);
    const struct store_cell *row = NULL;
    struct store_query *query = NULL;
    char paths[CTL_DETAIL_SIZE / 2] = "";
    bool none = true;
    int result = store_query_named(store, STORE_NAMED_PATHS_OF_TYPE, &type, 1, &query);

    if (result == STORE_OK) {
        result = store_query_next(query, &row);
    }
    if (result == STORE_OK && row != NULL && row[0].integer > 0) {
        none = false;
        snprintf(paths, sizeof(paths), "%s", row[1].kind == STORE_TEXT ? row[1].bytes : "no value");
    }
    store_query_close(query);
    if (result == STORE_OK && none) {
        ctl_finding_warning(findings, "view", "%s: the database has no message of type %s yet",
                            view->name, view->type);
    }
    for (size_t i = 0; i < view->column_count && result == STORE_OK && !none; i++) {
        result = check_column(findings, store, view, &view->columns[i], paths);
    }
    return result;
}

void ctl_check_views(struct ctl_findings *findings, const struct config *config,
                     struct store *store)
{
    int result;

    for (size_t i = 0; i < config->views->count && store == NULL; i++) {
        report_view(findings, STORE_VIEW_MADE, config->views->list[i].name, "");
    }
    if (store == NULL) {
        return;
    }
    result = store_look_at_views(store, config->views, report_view, findings);
    for (size_t i = 0; i < config->views->count && result == STORE_OK; i++) {
        result = check_messages(findings, store, &config->views->list[i]);
    }
    if (result != STORE_OK) {
        ctl_finding(findings, "database", false, "%s", store_error(store));
    }
}
