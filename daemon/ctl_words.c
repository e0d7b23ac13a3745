#include "ctl_words.h"

#include <string.h>

static const struct {
    const char *name;
    enum ctl_option option;
} options[] = {
    {"--json", CTL_JSON},       {"--connect", CTL_CONNECT}, {"--force", CTL_FORCE},
    {"--dry-run", CTL_DRY_RUN}, {"--reason", CTL_REASON},   {"--follow", CTL_FOLLOW},
};

/* The option that a word is, or 0. *value is what follows an = sign, else NULL. */
static unsigned find_option(const char *word, const char **value)
{
    size_t length = strcspn(word, "=");

    *value = word[length] == '=' ? word + length + 1 : NULL;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (strlen(options[i].name) == length && strncmp(word, options[i].name, length) == 0) {
            return options[i].option;
        }
    }
    return 0;
}

/* An option at words[*at]; *at goes on to its value where that is a word of its own. */
static const char *read_option(const struct ctl_grammar *grammar, int count, char **words, int *at,
                               struct ctl_words *out)
{
    const char *value;
    unsigned option = find_option(words[*at], &value);

    if ((grammar->options & option) == 0) {
        return "unexpected option";
    }
    if (option != CTL_REASON && value != NULL) {
        return "takes no value";
    }
    if (option == CTL_REASON) {
        if (value == NULL && *at + 1 < count) {
            ++*at;
            value = words[*at];
        }
        if (value == NULL || value[0] == '\0') {
            return "needs a value";
        }
        out->reason = value;
    }
    out->options |= option;
    return NULL;
}

const char *ctl_words_read(const struct ctl_grammar *grammar, int count, char **words,
                           struct ctl_words *out, const char **word)
{
    bool only_operands = false;

    *out = (struct ctl_words){0};
    for (int i = 0; i < count; i++) {
        *word = words[i];
        if (!only_operands && strcmp(words[i], "--") == 0) {
            only_operands = true;
        } else if (!only_operands && strncmp(words[i], "--", 2) == 0) {
            const char *problem = read_option(grammar, count, words, &i, out);

            if (problem != NULL) {
                return problem;
            }
        } else if (out->operand_count >= grammar->operands_max) {
            return "unexpected argument";
        } else {
            out->operands[out->operand_count] = words[i];
            out->operand_count++;
        }
    }
    *word = "";
    return out->operand_count < grammar->operands_min ? "an argument is missing" : NULL;
}
