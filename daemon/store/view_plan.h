/*
 * The plan for the typed views: what becomes of the view of each section, and of those whose
 * section is gone. The engine looks at its database and changes it; see store/view_plan.c. Only the
 * engines include this. Any thread; results are those of store/store.h.
 */
#ifndef STORE_VIEW_PLAN_H
#define STORE_VIEW_PLAN_H

#include "store/views.h"

#define VIEW_NAME_SIZE 64 /* a section's name is shorter */
#define VIEW_KIND_SIZE 16

/* The object that has the name of a view. */
struct view_found {
    char kind[VIEW_KIND_SIZE]; /* "" for nothing, else the kind of the object */
    bool ours;                 /* it is a view that the store has made, and nobody has changed it */
    bool same;                 /* it has the text that the section gives */
};

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

/* The engine's part. */
struct view_engine {
    int (*compare)(const char *one, const char *other); /* names; 0: they are the same to it */
    /* Look at what has this name. `view` is its section; NULL: gone, and then `same` says nothing.
     */
    int (*find)(struct store *store, const char *name, const struct config_view *view,
                struct view_found *out);
    /* Put the first name of typed_views behind `name` in its place; "" when there is none. */
    int (*next_recorded)(struct store *store, char name[VIEW_NAME_SIZE]);
    int (*create)(struct store *store, const struct config_view *view); /* and note it */
    int (*drop)(struct store *store, const char *name);
    int (*forget)(struct store *store, const char *name); /* the note */
};

/* Plan what makes the views of the database those of the configuration. The plan keeps pointers
 * into `views`. */
int view_plan_make(struct store *store, const struct view_engine *engine,
                   const struct config_views *views, struct view_plan *plan);

/* Returns true when carrying out the plan changes the database. */
bool view_plan_changes_anything(const struct view_plan *plan);

/* Carry out the plan, in the transaction of the caller, who has made the plan in it. */
int view_plan_apply(struct store *store, const struct view_engine *engine,
                    const struct view_plan *plan);

/* Call `each` for each view of the plan. */
void view_plan_tell(const struct view_plan *plan, store_view_fn *each, void *context);

#endif
