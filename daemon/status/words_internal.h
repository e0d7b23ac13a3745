/* The state of a snapshot in words. */
#ifndef STATUS_WORDS_INTERNAL_H
#define STATUS_WORDS_INTERNAL_H

#include "config/config.h"
#include "status/file_internal.h"

/* Set now->state and now->text from everything else in the snapshot. `config` is that of its
 * sessions. */
void status_words_describe(struct status_snapshot *now, const struct config *config);

#endif
