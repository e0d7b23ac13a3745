/* foxtrackrctl check. */
#ifndef CTL_CHECK_INTERNAL_H
#define CTL_CHECK_INTERNAL_H

#include "config/config.h"
#include "ctl/words_internal.h"

/*
 * Check everything that foxtrackrd needs: configuration, files, certificates, database, disk, the
 * broker's name; with CTL_CONNECT also the broker itself. One line each, or JSON. Returns the exit
 * status: 0 when all is good, else 1.
 */
int ctl_check(const struct config *config, const struct ctl_words *words);

#endif
