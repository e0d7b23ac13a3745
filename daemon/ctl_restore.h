/* foxtrackrctl restore FILE: a backup in the place of the database. */
#ifndef CTL_RESTORE_H
#define CTL_RESTORE_H

#include "config.h"
#include "ctl_words.h"

/* Returns the exit status: 0 restored, 1 refused or stopped, 66 FILE or database cannot be used, 74
 * FILE is damaged or the disk fails. */
int ctl_restore(const struct config *config, const struct ctl_words *words);

#endif
