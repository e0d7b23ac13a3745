/* foxtrackrctl replay. */
#ifndef CTL_REPLAY_INTERNAL_H
#define CTL_REPLAY_INTERNAL_H

#include "config/config.h"
#include "ctl/words_internal.h"

/* Parse the stored messages again, and print the result. Returns the exit status. */
int ctl_replay(const struct config *config, const struct ctl_words *words);

#endif
