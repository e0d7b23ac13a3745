/* foxtrackrctl verify. */
#ifndef CTL_VERIFY_INTERNAL_H
#define CTL_VERIFY_INTERNAL_H

#include "config/config.h"
#include "ctl/words_internal.h"

/* Check words->operands[0], for which `config` may be NULL, or the configured database. Returns the
 * exit status. */
int ctl_verify(const struct config *config, const struct ctl_words *words);

#endif
