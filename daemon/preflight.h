/* Checks of the files that a configuration names, before the daemon starts. Main's thread. */
#ifndef PREFLIGHT_H
#define PREFLIGHT_H

#include "config/config.h"

/*
 * Read the certificates that the configuration names. Returns 0, or 1 with `problem` (of
 * CONFIG_PROBLEM_SIZE bytes) set to "file: key: sentence".
 */
int preflight_certificates(const struct config *config, char *problem);

/* Check that this build speaks the version of MQTT that broker.protocol asks for. Returns as
 * preflight_certificates(). */
int preflight_protocol(const struct config *config, char *problem);

/* Check that the engine of the database is installed and takes the configuration's URI
 * (store_check()). Returns as preflight_certificates(). Opening the database says the same. */
int preflight_engine(const struct config *config, char *problem);

/* Check that the configuration is a regular file: every reload reads it, and nothing interrupts the
 * reading. Returns as preflight_certificates(). */
int preflight_regular(const char *path, char *problem);

/*
 * Compare the files that the configuration names (config/config.h), and check that the files that
 * the daemon replaces are its own (base/own_file.h) and that the ones it reads are regular files.
 * Returns as preflight_certificates(), which comes after it.
 */
int preflight_files(const struct config *config, char *problem);

/* Check that no other running daemon writes the status file or the metrics file. Returns as
 * preflight_certificates(). Call it with the database open, whose lock gives the better message. */
int preflight_neighbours(const struct config *config, char *problem);

/* Log the warnings of a configuration that has been loaded. */
void preflight_configuration(const struct config *config);

/* The same, with further warnings: a password sent without TLS, a certificate that expires soon. */
void preflight_warnings(const struct config *config);

#endif
