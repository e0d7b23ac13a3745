/* The command line of foxtrackrd. Main's thread. */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <stdbool.h>

/*
 * Parse the arguments. Returns true to go on, with *path and *check_only changed where the command
 * line says so (*path stays the command line's text); or false with *exit_status, the status to end
 * with, after everything has been printed.
 */
bool arguments_parse(int argc, char **argv, const char **path, bool *check_only, int *exit_status);

#endif
