/* The words of a command of foxtrackrctl, read by one set of rules for all commands. */
#ifndef CTL_WORDS_INTERNAL_H
#define CTL_WORDS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/usage.h"

#define CTL_OPERANDS_MAX 2

/* The options of all commands; a command has a sum of these. */
enum ctl_option {
    CTL_JSON = 1,
    CTL_CONNECT = 2,
    CTL_FORCE = 4,
    CTL_DRY_RUN = 8,
    CTL_REASON = 16,
    CTL_FOLLOW = 32,
    CTL_SINCE = 64,
    CTL_UNTIL = 128,
    CTL_DEVICE = 256,
    CTL_GROUP = 512,
    CTL_FORMAT = 1024,
    CTL_OUTPUT = 2048,
    CTL_ASCII = 8192,
    CTL_SERVE = 16384,
};

struct ctl_words {
    unsigned options; /* enum ctl_option, those that were given */
    /* The values of options that take one; NULL: not given. */
    const char *reason;
    const char *since;
    const char *until;
    const char *device;
    const char *group;
    const char *format;
    const char *output; /* -o FILE, --output FILE */
    const char *serve;  /* the address behind --serve, if there is one */
    const char *config; /* -c FILE behind the command; NULL: not given there */
    const char *operands[CTL_OPERANDS_MAX];
    int operand_count;
};

/* The options and operands that a command accepts. */
struct ctl_grammar {
    unsigned options;
    int operands_min;
    int operands_max;
    const char *missing; /* name of the operand that is required; NULL: none is */
};

enum ctl_words_result { CTL_WORDS_GOOD, CTL_WORDS_HELP, CTL_WORDS_WRONG };

/*
 * Read the words of a command, whose name is words[0]. Good: fills *out, which borrows the words
 * (and reorders them). Help: --help was given, with or without other words. Wrong: fills `problem`.
 */
enum ctl_words_result ctl_words_read(const struct ctl_grammar *grammar, int count, char **words,
                                     struct ctl_words *out, char problem[USAGE_PROBLEM_SIZE]);

/* Returns true when a command has a long option of this name, without its dashes; --config and
 * --help, which every command takes, are not among them. */
bool ctl_words_is_option(const char *name);

#endif
