/* foxtrackrctl check: what can be known without the daemon and without the broker. */
#ifndef CTL_CHECK_H
#define CTL_CHECK_H

#include <stdbool.h>

#include "config.h"

/* Check a configuration that has loaded, and what it names; a line each, or JSON. Returns 0 when
 * every check is good, or 1. */
int ctl_check(const struct config *config, bool json);

#endif
