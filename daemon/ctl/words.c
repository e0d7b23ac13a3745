/*
 * The command line after a command's name: the command's own options, before or after its
 * arguments, and -c and --help, which every command has. Reads with getopt_long(); main's thread.
 */
#include "ctl/words_internal.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define VALUE(member) (int)offsetof(struct ctl_words, member)

/* The options of all commands. getopt_long() gives OWN + the option. */
static const struct {
    const char *name;
    enum ctl_option option;
    int value;   /* of struct option */
    int member;  /* with a value: where struct ctl_words has it */
    char letter; /* the short option; '\0': none */
} known[] = {
    {"json", CTL_JSON, no_argument, 0, '\0'},
    {"connect", CTL_CONNECT, no_argument, 0, '\0'},
    {"force", CTL_FORCE, no_argument, 0, '\0'},
    {"dry-run", CTL_DRY_RUN, no_argument, 0, '\0'},
    {"reason", CTL_REASON, required_argument, VALUE(reason), '\0'},
    {"follow", CTL_FOLLOW, no_argument, 0, '\0'},
    {"since", CTL_SINCE, required_argument, VALUE(since), '\0'},
    {"until", CTL_UNTIL, required_argument, VALUE(until), '\0'},
    {"device", CTL_DEVICE, required_argument, VALUE(device), '\0'},
    {"group", CTL_GROUP, required_argument, VALUE(group), '\0'},
    {"format", CTL_FORMAT, required_argument, VALUE(format), '\0'},
    {"output", CTL_OUTPUT, required_argument, VALUE(output), 'o'},
    {"ascii", CTL_ASCII, no_argument, 0, '\0'},
    {"serve", CTL_SERVE, optional_argument, VALUE(serve), '\0'},
};

#define KNOWN_COUNT  (sizeof(known) / sizeof(known[0]))
#define OWN          65536 /* above every character and the sum of the options */
#define LETTERS_SIZE 32

bool ctl_words_is_option(const char *name)
{
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if (strcmp(known[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Lists the command's options for getopt_long(), long and short. */
static void list_options(const struct ctl_grammar *grammar, struct option list[KNOWN_COUNT + 3],
                         char letters[LETTERS_SIZE])
{
    size_t count = 0;
    size_t length = (size_t)snprintf(letters, LETTERS_SIZE, ":c:h");

    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if ((grammar->options & known[i].option) != 0) {
            list[count++] =
                (struct option){known[i].name, known[i].value, NULL, OWN + (int)known[i].option};
        }
        if ((grammar->options & known[i].option) != 0 && known[i].letter != '\0') {
            length += (size_t)snprintf(letters + length, LETTERS_SIZE - length, "%c%s",
                                       known[i].letter, known[i].value == no_argument ? "" : ":");
        }
    }
    list[count++] = (struct option){"config", required_argument, NULL, 'c'};
    list[count++] = (struct option){"help", no_argument, NULL, 'h'};
    list[count] = (struct option){0};
}

/* Returns true for a word that is an address and no file: PORT, HOST:PORT or unix:PATH. */
static bool is_address(const char *word)
{
    const char *colon = strrchr(word, ':');
    const char *port = colon != NULL ? colon + 1 : word;

    return strncmp(word, "unix:", strlen("unix:")) == 0 ||
           (port[0] != '\0' && port[strspn(port, "0123456789")] == '\0' &&
            strchr(word, '/') == NULL);
}

/* Takes an option. Returns its name when it has an empty value, else NULL. */
static const char *take_option(int option, struct ctl_words *out)
{
    const char *name = "-c";

    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if (option == OWN + (int)known[i].option || option == known[i].letter) {
            name = known[i].name;
            out->options |= (unsigned)known[i].option;
            if (known[i].value != no_argument) {
                memcpy((char *)out + known[i].member, &optarg, sizeof(optarg));
            }
        }
    }
    if (option == 'c') {
        out->config = optarg;
    }
    return optarg != NULL && optarg[0] == '\0' ? name : NULL;
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
    char letters[LETTERS_SIZE];
    const char *empty;
    int option;

    *out = (struct ctl_words){0};
    list_options(grammar, options, letters);
    opterr = 0;
    optind = 0; /* restart getopt: main() has read the words before the command */
    while ((option = getopt_long(count, words, letters, options, NULL)) != -1) {
        if (option == 'h') {
            return CTL_WORDS_HELP;
        }
        if (option == '?' || option == ':') {
            usage_option(words[0], option, words, options, problem);
            return CTL_WORDS_WRONG;
        }
        empty = take_option(option, out);
        if (option == OWN + CTL_SERVE && out->serve == NULL && optind < count &&
            is_address(words[optind])) {
            out->serve = words[optind++];
        }
        if (empty != NULL) {
            snprintf(problem, USAGE_PROBLEM_SIZE, "%s%s needs a value", empty[0] == '-' ? "" : "--",
                     empty);
            return CTL_WORDS_WRONG;
        }
    }
    return take_operands(grammar, count, words, out, problem);
}
