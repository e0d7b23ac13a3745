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
    /* A transaction that no other daemon changes views in. It waits for nobody. */
    int (*begin)(struct store *store);
    int (*commit)(struct store *store);
    void (*undo)(struct store *store); /* after a failure; NULL: the caller of set_views does it */
};

/* Make the views of the database those of the configuration, if they are not yet, and call `each`
 * for each view. */
int view_plan_set(struct store *store, const struct view_engine *engine,
                  const struct config_views *views, store_view_fn *each, void *context);

/* Call `each` for each view with what view_plan_set() would do. */
int view_plan_look(struct store *store, const struct view_engine *engine,
                   const struct config_views *views, store_view_fn *each, void *context);

#endif
