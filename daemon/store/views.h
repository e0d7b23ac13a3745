/*
 * The typed views: each section [view NAME] of the configuration is a view of the database over
 * `messages`. The store makes, replaces and removes those that it has made itself, and remembers
 * them in the table `typed_views`; nothing else is ever touched. Results and threads are those of
 * store/store.h.
 */
#ifndef STORE_VIEWS_H
#define STORE_VIEWS_H

#include "config/config.h"
#include "store/store.h"

enum store_view_state {
    STORE_VIEW_STANDS,   /* is in the database as configured */
    STORE_VIEW_MADE,     /* was made; store_look_at_views(): is to be made */
    STORE_VIEW_REPLACED, /* the section has changed */
    STORE_VIEW_REMOVED,  /* the section is gone */
    STORE_VIEW_TAKEN,    /* not made: something that the store has not made has that name */
    STORE_VIEW_LEFT,     /* the section is gone, and the view stays: somebody has changed it */
};

/* The reason of STORE_VIEW_TAKEN for a person: a format with the kind and the name. */
#define STORE_VIEW_TAKEN_BY                                                                        \
    "the database has a %s %s that is not made from this section: give the section another name, " \
    "or drop that one if you made it"

/* Called for each view of the configuration, and for each other one that the store had made. `kind`
 * is "table", "view" or "index", of what has the name; "" where nothing had it. */
typedef void store_view_fn(void *context, enum store_view_state state, const char *name,
                           const char *kind);

/* Make the views of the database those of the configuration, in a transaction of its own, and then
 * call `each`. Does not wait for another program that writes. After an error the caller rolls back;
 * the database is as before, and `each` was not called. */
int store_set_views(struct store *store, const struct config_views *views, store_view_fn *each,
                    void *context);

/* Call `each` with what store_set_views() would find and do, and change nothing. */
int store_look_at_views(struct store *store, const struct config_views *views, store_view_fn *each,
                        void *context);

#endif
