/* Every file that a daemon uses, compared by what it is and not by how it is spelled. */
#ifndef CONFIG_PATHS_H
#define CONFIG_PATHS_H

#include "config/config.h"

/*
 * Compare all files that the daemon of this configuration uses: the configuration itself, the
 * database with its log, shared memory, journal and lock, the files that it writes or replaces, the
 * files that it reads, and the files of the other configurations beside this one. Nothing is
 * changed or created.
 *
 * Returns 0 when none of them would be written for two purposes; or 1 with `problem` (of
 * CONFIG_PROBLEM_SIZE bytes) set to a sentence.
 */
int paths_check(const struct config *config, char *problem);

/*
 * Whether a file that an operator names, to be made or replaced, is none of them. `what` says what
 * is to be put there ("the backup"). Returns 0; or 1 with `problem` set.
 */
int paths_check_target(const struct config *config, const char *target, const char *what,
                       char *problem);

/*
 * Call `each` with a sentence for each file that another configuration beside this one, with
 * another database, uses for the same purpose: two status files, two logs. That loses no reading,
 * so it is a warning only.
 */
void paths_each_shared(const struct config *config,
                       void (*each)(void *context, const char *sentence), void *context);

#endif
