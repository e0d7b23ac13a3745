/* What is looked at before the daemon starts: things that a configuration names. Main's thread. */
#ifndef PREFLIGHT_H
#define PREFLIGHT_H

#include "config.h"

/*
 * Read the certificates that the configuration names. Returns 0, or 1 with `problem` (of
 * CONFIG_PROBLEM_SIZE bytes) set to "file: key: sentence".
 */
int preflight_certificates(const struct config *config, char *problem);

/* Log the warnings of a configuration that has been loaded. */
void preflight_configuration(const struct config *config);

/* The same, and what else works but should be known: a password in clear, a certificate about to
 * expire. */
void preflight_warnings(const struct config *config);

#endif
