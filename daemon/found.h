/* Logs, at the start, how the database was found. Main's thread, before the writer owns the store.
 * Results are those of store/store.h. */
#ifndef FOUND_H
#define FOUND_H

#include "store/store.h"

/* Log in which way the database at `path` is not the one that the last run left, and what will not
 * work with it. */
int found_tell(struct store *store, const char *path);

/* Log each session on record whose client id is none of these: its queue stays at the broker. */
int found_tell_unused(struct store *store, const char *const client_ids[], unsigned count);

#endif
