/*
 * The plan for the typed views.
 *
 * A view is the store's if the store has made it, and nobody has changed it since. Only such a view
 * is ever dropped. What else has the name of a section, a table, an index or somebody's view,
 * stays, and the section has no view. The engine decides what is its own, because each keeps the
 * text of a view in another way.
 */
#include "store/view_plan.h"

#include <stdbool.h>
#include <stdio.h>

struct view_change {
    enum store_view_state state;
    char name[VIEW_NAME_SIZE];
    char kind[VIEW_KIND_SIZE];
    const struct config_view *view; /* NULL: its section is gone */
};

/* All configured views, and as many that an earlier configuration had. */
struct view_plan {
    struct view_change list[2 * CONFIG_VIEWS_MAX];
    size_t count;
};

static void add(struct view_plan *plan, enum store_view_state state, const char *name,
                const char *kind, const struct config_view *view)
{
    struct view_change *change = &plan->list[plan->count++];

    *change = (struct view_change){.state = state, .view = view};
    snprintf(change->name, sizeof(change->name), "%s", name);
    snprintf(change->kind, sizeof(change->kind), "%s", kind);
}

static int plan_configured(struct store *store, const struct view_engine *engine,
                           const struct config_view *view, struct view_plan *plan)
{
    struct view_found found = {.kind = ""};
    int result = engine->find(store, view->name, view, &found);

    if (result == STORE_OK) {
        add(plan,
            found.kind[0] == '\0' ? STORE_VIEW_MADE
            : !found.ours         ? STORE_VIEW_TAKEN
            : found.same          ? STORE_VIEW_STANDS
                                  : STORE_VIEW_REPLACED,
            view->name, found.kind, view);
    }
    return result;
}

static bool is_configured(const struct view_engine *engine, const struct config_views *views,
                          const char *name)
{
    for (size_t i = 0; i < views->count; i++) {
        if (engine->compare(views->list[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Plans to remove the views whose section is gone. */
static int plan_gone(struct store *store, const struct view_engine *engine,
                     const struct config_views *views, struct view_plan *plan)
{
    char name[VIEW_NAME_SIZE] = "";
    int result = engine->next_recorded(store, name);

    while (result == STORE_OK && name[0] != '\0' && plan->count < CONFIG_VIEWS_MAX) {
        if (!is_configured(engine, views, name)) {
            struct view_found found = {.kind = ""};

            result = engine->find(store, name, NULL, &found);
            if (result == STORE_OK) {
                bool removed = found.ours || found.kind[0] == '\0';

                add(plan, removed ? STORE_VIEW_REMOVED : STORE_VIEW_LEFT, name, "", NULL);
            }
        }
        if (result == STORE_OK) {
            result = engine->next_recorded(store, name);
        }
    }
    return result;
}

/* First the removals, so that their names are free. */
static int make_plan(struct store *store, const struct view_engine *engine,
                     const struct config_views *views, struct view_plan *plan)
{
    int result;

    plan->count = 0;
    result = plan_gone(store, engine, views, plan);
    for (size_t i = 0; i < views->count && result == STORE_OK; i++) {
        result = plan_configured(store, engine, &views->list[i], plan);
    }
    return result;
}

static bool changes_anything(const struct view_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->list[i].state != STORE_VIEW_STANDS) {
            return true;
        }
    }
    return false;
}

static int apply(struct store *store, const struct view_engine *engine,
                 const struct view_change *change)
{
    int result = STORE_OK;

    switch (change->state) {
    case STORE_VIEW_STANDS:
        return STORE_OK;
    case STORE_VIEW_MADE:
        return engine->create(store, change->view);
    case STORE_VIEW_REPLACED:
        result = engine->drop(store, change->name);
        return result == STORE_OK ? engine->create(store, change->view) : result;
    case STORE_VIEW_REMOVED:
        result = engine->drop(store, change->name);
        break;
    case STORE_VIEW_TAKEN:
    case STORE_VIEW_LEFT:
        break;
    }
    return result == STORE_OK ? engine->forget(store, change->name) : result;
}

static int apply_all(struct store *store, const struct view_engine *engine,
                     const struct view_plan *plan)
{
    int result = STORE_OK;

    for (size_t i = 0; i < plan->count && result == STORE_OK; i++) {
        result = apply(store, engine, &plan->list[i]);
    }
    return result;
}

static void tell(const struct view_plan *plan, store_view_fn *each, void *context)
{
    for (size_t i = 0; i < plan->count; i++) {
        each(context, plan->list[i].state, plan->list[i].name, plan->list[i].kind);
    }
}

/* The plan is made anew in the transaction: now no other daemon changes anything. */
static int carry_out(struct store *store, const struct view_engine *engine,
                     const struct config_views *views, struct view_plan *plan)
{
    int result = engine->begin(store);

    if (result == STORE_OK) {
        result = make_plan(store, engine, views, plan);
    }
    if (result == STORE_OK) {
        result = apply_all(store, engine, plan);
    }
    if (result == STORE_OK) {
        return engine->commit(store);
    }
    if (engine->undo != NULL) {
        engine->undo(store);
    }
    return result;
}

int view_plan_set(struct store *store, const struct view_engine *engine,
                  const struct config_views *views, store_view_fn *each, void *context)
{
    struct view_plan plan;
    int result = make_plan(store, engine, views, &plan);

    if (result == STORE_OK && changes_anything(&plan)) {
        result = carry_out(store, engine, views, &plan);
    }
    if (result == STORE_OK) {
        tell(&plan, each, context);
    }
    return result;
}

int view_plan_look(struct store *store, const struct view_engine *engine,
                   const struct config_views *views, store_view_fn *each, void *context)
{
    struct view_plan plan;
    int result = make_plan(store, engine, views, &plan);

    if (result == STORE_OK) {
        tell(&plan, each, context);
    }
    return result;
}
