/*
 * The command line after a command's name: the command's own options, before or after its
 * arguments, and -c and --help, which every command has. Reads with getopt_long(); main's thread.
 */
#include "ctl/words_internal.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* The options of all commands. getopt_long() gives OWN + the option. */
static const struct {
    const char *name;
    enum ctl_option option;
    int value; /* of struct option */
} known[] = {
    {"json", CTL_JSON, no_argument},           {"connect", CTL_CONNECT, no_argument},
    {"force", CTL_FORCE, no_argument},         {"dry-run", CTL_DRY_RUN, no_argument},
    {"reason", CTL_REASON, required_argument}, {"follow", CTL_FOLLOW, no_argument},
};

#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))
#define OWN         256

bool ctl_words_is_option(const char *name)
{
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if (strcmp(known[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void list_options(const struct ctl_grammar *grammar, struct option list[KNOWN_COUNT + 3])
{
    size_t count = 0;

    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if ((grammar->options & known[i].option) != 0) {
            list[count++] =
                (struct option){known[i].name, known[i].value, NULL, OWN + (int)known[i].option};
        }
    }
    list[count++] = (struct option){"config", required_argument, NULL, 'c'};
    list[count++] = (struct option){"help", no_argument, NULL, 'h'};
    list[count] = (struct option){0};
}

/* Takes an option. Returns false when its value is empty. */
static bool take_option(int option, struct ctl_words *out)
{
    if (option == 'c') {
        out->config = optarg;
    } else {
        out->options |= (unsigned)(option - OWN);
    }
    if (option == OWN + CTL_REASON) {
        out->reason = optarg;
    }
    return optarg == NULL || optarg[0] != '\0';
}

static enum ctl_words_result take_operands(const struct ctl_grammar *grammar, int count,
                                           char **words, struct ctl_words *out,
                                           char problem[USAGE_PROBLEM_SIZE])
{
    for (int i = optind; i < count; i++) {
        if (out->operand_count == grammar->operands_max) {
            snprintf(problem, USAGE_PROBLEM_SIZE, "%s: unexpected argument: %.100s", words[0],
                     words[i]);
            return CTL_WORDS_WRONG;
        }
        out->operands[out->operand_count++] = words[i];
    }
    if (out->operand_count < grammar->operands_min) {
        snprintf(problem, USAGE_PROBLEM_SIZE, "%s: %s is missing", words[0], grammar->missing);
        return CTL_WORDS_WRONG;
    }
    return CTL_WORDS_GOOD;
}

enum ctl_words_result ctl_words_read(const struct ctl_grammar *grammar, int count, char **words,
                                     struct ctl_words *out, char problem[USAGE_PROBLEM_SIZE])
{
    struct option options[KNOWN_COUNT + 3];
    int option;

    *out = (struct ctl_words){0};
    list_options(grammar, options);
    opterr = 0;
    optind = 0; /* restart getopt: main() has read the words before the command */
    while ((option = getopt_long(count, words, ":c:h", options, NULL)) != -1) {
        if (option == 'h') {
            return CTL_WORDS_HELP;
        }
        if (option == '?' || option == ':') {
            usage_option(words[0], option, words, options, problem);
            return CTL_WORDS_WRONG;
        }
        if (!take_option(option, out)) {
            snprintf(problem, USAGE_PROBLEM_SIZE, "%s needs a value",
                     option == 'c' ? "-c" : "--reason");
            return CTL_WORDS_WRONG;
        }
    }
    return take_operands(grammar, count, words, out, problem);
}
