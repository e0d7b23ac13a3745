/* foxtrackrctl backup. */
#ifndef CTL_BACKUP_H
#define CTL_BACKUP_H

#include "config.h"
#include "ctl_words.h"

/* Copy the database to words->operands[0]. Returns the exit status. */
int ctl_backup(const struct config *config, const struct ctl_words *words);

#endif
