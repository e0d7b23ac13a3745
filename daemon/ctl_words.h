/* The words after a command of foxtrackrctl, read by one set of rules for all commands. */
#ifndef CTL_WORDS_H
#define CTL_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define CTL_OPERANDS_MAX 2

/* The options that a command may know; it names its own as a sum of these. */
enum ctl_option {
    CTL_JSON = 1,
    CTL_CONNECT = 2,
    CTL_FORCE = 4,
    CTL_DRY_RUN = 8,
    CTL_REASON = 16,
    CTL_FOLLOW = 32,
};

struct ctl_words {
    unsigned options;   /* enum ctl_option, those that were given */
    const char *reason; /* with CTL_REASON */
    const char *operands[CTL_OPERANDS_MAX];
    int operand_count;
};

/* What a command takes. */
struct ctl_grammar {
    unsigned options;
    int operands_min;
    int operands_max;
};

/*
 * Read `count` words. Returns NULL and fills *out, which borrows them; or what is wrong, and *word
 * is then the word that it is about ("" if none).
 */
const char *ctl_words_read(const struct ctl_grammar *grammar, int count, char **words,
                           struct ctl_words *out, const char **word);

#endif
