/* The commands of foxtrackrctl: one table for the command line and the help. */
#ifndef CTL_COMMANDS_INTERNAL_H
#define CTL_COMMANDS_INTERNAL_H

#include <stddef.h>

#include "config/config.h"
#include "ctl/words_internal.h"

/* Whether a command works without a configuration. */
enum ctl_need {
    CTL_NEEDS_CONFIG,
    CTL_NEEDS_CONFIG_OR_FILE, /* works with a FILE operand */
    CTL_TAKES_DEFAULTS,       /* uses [fields] and [parser] of a configuration, if there is one */
};

struct ctl_command {
    const char *name;
    const char *arguments; /* "[--json] [FILE]", for people and for the completion */
    const char *summary;   /* on one line of the overview */
    const char *about;     /* the page: lines of at most 78 characters, each with its \n */
    const char *options;   /* a line each; "" for none */
    const char *example;
    const char *exits; /* a line each */
    struct ctl_grammar grammar;
    enum ctl_need need;
    int (*run)(const struct config *config, const struct ctl_words *words);
};

extern const struct ctl_command ctl_commands[];
extern const size_t ctl_commands_count;

/* The command of this name, or NULL. */
const struct ctl_command *ctl_commands_find(const char *name);

#endif
