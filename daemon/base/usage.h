/* Mistakes on a command line, in one sentence each: what is wrong, and what is near. Main's thread.
 */
#ifndef BASE_USAGE_H
#define BASE_USAGE_H

#include <getopt.h>

#define USAGE_PROBLEM_SIZE 320

/*
 * Say what getopt_long() stumbled over, right after it returned ':' (`result`) or '?', with opterr
 * 0 and a string of short options that begins with : (behind a +). `who` is the command, NULL for
 * the program itself; `options` what it knows. Returns `problem`, filled in.
 */
const char *usage_option(const char *who, int result, char **argv, const struct option *options,
                         char problem[USAGE_PROBLEM_SIZE]);

#endif
