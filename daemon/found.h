/* Logs, at the start, how the database was found. Main's thread, before the writer owns the store.
 * Results are those of store/store.h. */
#ifndef FOUND_H
#define FOUND_H

#include <stdbool.h>

#include "store/store.h"

/* Log in which way the database at `path` is not the one that the last run left, and what will not
 * work with it. */
int found_tell(struct store *store, const char *path);

/* Log each session on record whose client id is none of these: its queue stays at the broker. */
int found_tell_unused(struct store *store, const char *const client_ids[], unsigned count);

/* Set *is_new when no session with any broker is on record: no message can have come to the
 * database yet. */
int found_is_new(struct store *store, bool *is_new);

#endif
