/* foxtrackrctl status: what the running daemon has written to its status file. */
#ifndef CTL_STATUS_H
#define CTL_STATUS_H

#include <stdbool.h>

#include "config.h"

/* Print the status for people, or the file as it is with `json`. Returns 0 when the daemon runs
 * and every session is subscribed; 1 otherwise, having said why. */
int ctl_status(const struct config *config, bool json);

#endif
