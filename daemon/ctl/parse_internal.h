/* foxtrackrctl parse: one message through the parser. */
#ifndef CTL_PARSE_INTERNAL_H
#define CTL_PARSE_INTERNAL_H

#include "config/config.h"

/*
 * Parse the payload in `file` (NULL: standard input) as if it had come on `topic` now, with the
 * configuration's [fields] and limits (NULL: the defaults). Prints the rows as JSON and returns 0,
 * or "reason: detail" on standard error and 1.
 */
int ctl_parse(const struct config *config, const char *topic, const char *file);

#endif
