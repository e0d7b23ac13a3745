/* The text of a typed view; views.c has the design. */
#ifndef STORE_POSTGRESQL_VIEWS_INTERNAL_H
#define STORE_POSTGRESQL_VIEWS_INTERNAL_H

#include "store/postgresql/postgresql_internal.h"

/* Returns the CREATE VIEW of a section of the configuration, for free(); NULL: out of memory. The
 * store is connected: libpq quotes by the connection's encoding. */
char *pg_view_text(struct store *store, const struct config_view *view);

#endif
