/* foxtrackrctl backup. */
#ifndef CTL_BACKUP_INTERNAL_H
#define CTL_BACKUP_INTERNAL_H

#include "config/config.h"
#include "ctl/words_internal.h"

/* Copy the database to words->operands[0]. Returns the exit status. */
int ctl_backup(const struct config *config, const struct ctl_words *words);

#endif
