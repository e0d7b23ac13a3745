/*
 * The typed views: what the daemon has made of the sections [view NAME], or will make of them at
 * its next start or reload.
 */
#include "ctl/check_findings_internal.h"

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

void ctl_check_views(struct ctl_findings *findings, const struct config *config,
                     struct store *store)
{
    for (size_t i = 0; i < config->views->count && store == NULL; i++) {
        report_view(findings, STORE_VIEW_MADE, config->views->list[i].name, "");
    }
    if (store != NULL &&
        store_look_at_views(store, config->views, report_view, findings) != STORE_OK) {
        ctl_finding(findings, "database", false, "%s", store_error(store));
    }
}
