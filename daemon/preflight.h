/* What is looked at before the daemon starts: things that a configuration names. Main's thread. */
#ifndef PREFLIGHT_H
#define PREFLIGHT_H

#include "config/config.h"

/*
 * Read the certificates that the configuration names. Returns 0, or 1 with `problem` (of
 * CONFIG_PROBLEM_SIZE bytes) set to "file: key: sentence".
 */
int preflight_certificates(const struct config *config, char *problem);

/* The configuration of a daemon is a regular file: it is read again by every reload, and nothing
 * interrupts the reading. Returns as preflight_certificates(). */
int preflight_regular(const char *path, char *problem);

/*
 * Compare the files that the configuration names (config/config.h), and see that those which the
 * daemon replaces are its own (base/own_file.h) and those which it reads as a whole are regular
 * files. Returns as preflight_certificates(), which comes after it.
 */
int preflight_files(const struct config *config, char *problem);

/* Whether another daemon that runs writes the status file or the metrics file. Returns as
 * preflight_certificates(). Comes after the database is open: its lock tells more. */
int preflight_neighbours(const struct config *config, char *problem);

/* Log the warnings of a configuration that has been loaded. */
void preflight_configuration(const struct config *config);

/* The same, and what else works but should be known: a password in clear, a certificate about to
 * expire. */
void preflight_warnings(const struct config *config);

#endif
