/* Errors on a command line, one sentence each, with the nearest valid option. Main's thread.
 */
#ifndef BASE_USAGE_H
#define BASE_USAGE_H

#include <getopt.h>

#define USAGE_PROBLEM_SIZE 320

/*
 * Describe the error that getopt_long() found, right after it returned ':' (`result`) or '?', with
 * opterr 0 and a string of short options that begins with : (behind a +). `who` is the command,
 * NULL for the program itself; `options` what it knows. Returns `problem`, filled in.
 */
const char *usage_option(const char *who, int result, char **argv, const struct option *options,
                         char problem[USAGE_PROBLEM_SIZE]);

#endif
