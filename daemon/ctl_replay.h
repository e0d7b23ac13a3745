/* foxtrackrctl replay. */
#ifndef CTL_REPLAY_H
#define CTL_REPLAY_H

#include "config.h"
#include "ctl_words.h"

/* Parse again what is in the database, and say what came of it. Returns the exit status. */
int ctl_replay(const struct config *config, const struct ctl_words *words);

#endif
