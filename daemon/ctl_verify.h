/* foxtrackrctl verify. */
#ifndef CTL_VERIFY_H
#define CTL_VERIFY_H

#include "config.h"
#include "ctl_words.h"

/* Check words->operands[0], for which `config` may be NULL, or the configured database. Returns the
 * exit status. */
int ctl_verify(const struct config *config, const struct ctl_words *words);

#endif
