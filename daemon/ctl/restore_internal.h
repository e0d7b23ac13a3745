/* foxtrackrctl restore FILE: a backup in the place of the database. */
#ifndef CTL_RESTORE_INTERNAL_H
#define CTL_RESTORE_INTERNAL_H

#include "config/config.h"
#include "ctl/words_internal.h"

/* Returns the exit status: 0 restored, 1 refused or stopped, 66 FILE or database cannot be used, 74
 * FILE is damaged or the disk fails. */
int ctl_restore(const struct config *config, const struct ctl_words *words);

#endif
