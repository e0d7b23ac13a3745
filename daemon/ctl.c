/*
 * foxtrackrctl: the operator's tool. Exit status: 0 good, 1 something is wrong and has been said,
 * 64 usage, 78 configuration.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "config.h"
#include "ctl_backup.h"
#include "ctl_check.h"
#include "ctl_parse.h"
#include "ctl_replay.h"
#include "ctl_restore.h"
#include "ctl_say.h"
#include "ctl_status.h"
#include "ctl_verify.h"
#include "ctl_words.h"

static int run_status(const struct config *config, const struct ctl_words *words)
{
    bool json = (words->options & CTL_JSON) != 0;

    return (words->options & CTL_FOLLOW) != 0 ? ctl_status_follow(config, json)
                                              : ctl_status(config, json);
}

static int run_parse(const struct config *config, const struct ctl_words *words)
{
    return ctl_parse(config, words->operands[0], words->operands[1]);
}

/* Every command; help and the command line follow from it. */
static const struct command {
    const char *name;
    const char *arguments;
    const char *help; /* its lines end in \n */
    struct ctl_grammar grammar;
    bool can_do_without; /* needs a configuration only for limits and [fields]: else defaults */
    int (*run)(const struct config *config, const struct ctl_words *words);
} commands[] = {
    {"status",
     "[--json] [--follow]",
     "what the running daemon is doing, once or live\n",
     {CTL_JSON | CTL_FOLLOW, 0, 0},
     false,
     run_status},
    {"check",
     "[--json] [--connect]",
     "configuration, files, certificates, database and disk,\n"
     "without the daemon; --connect tries the broker too\n",
     {CTL_JSON | CTL_CONNECT, 0, 0},
     false,
     ctl_check},
    {"verify",
     "[--json] [FILE]",
     "the database, or a backup of it: integrity, accounting,\n"
     "every row's digest, every view\n",
     {CTL_JSON, 0, 1},
     false,
     ctl_verify},
    {"backup",
     "[--force] FILE",
     "a verified copy of the database, while the daemon writes;\n"
     "--force replaces a file that is there\n",
     {CTL_FORCE, 1, 1},
     false,
     ctl_backup},
    {"restore",
     "[--force] FILE",
     "put a backup in the place of the database, while no daemon\n"
     "runs; the old one is set aside; --force accepts what verify\n"
     "finds in it, but no damage\n",
     {CTL_FORCE, 1, 1},
     false,
     ctl_restore},
    {"replay",
     "[--reason R] [--dry-run]",
     "parse what is in quarantine again, and messages and extra,\n"
     "and move what is understood now\n",
     {CTL_REASON | CTL_DRY_RUN, 0, 0},
     false,
     ctl_replay},
    {"parse",
     "TOPIC [FILE]",
     "the rows of one message as JSON, or why there are none;\n"
     "reads standard input without FILE\n",
     {0, 1, 2},
     true,
     run_parse},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *out)
{
    fputs("Usage: foxtrackrctl [-c FILE] COMMAND\n\n", out);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        char head[64];
        const char *line = commands[i].help;

        snprintf(head, sizeof(head), "%s %s", commands[i].name, commands[i].arguments);
        for (; *line != '\0'; line += strcspn(line, "\n") + 1) {
            fprintf(out, "  %-31s  %.*s\n", head, (int)strcspn(line, "\n"), line);
            head[0] = '\0';
        }
    }
    fputs("\n"
          "  -c, --config FILE    configuration (" CONFIG_DEFAULT_PATH ")\n"
          "      --version        print the version and exit\n"
          "      --help           print this and exit\n",
          out);
}

static int usage(const char *problem, const char *what)
{
    ctl_say("%s%s%s", problem, what[0] != '\0' ? ": " : "", what);
    print_help(stderr);
    return EX_USAGE;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static void say(const char *sentence)
{
    ctl_say("%s", sentence);
}

static int run_command(const char *path, bool path_given, int count, char **words)
{
    const struct command *command = find_command(words[0]);
    struct config *config = NULL;
    struct ctl_words read;
    struct config_problems problems;
    const char *wrong;
    const char *word;
    int status;

    if (command == NULL) {
        return usage("unknown command", words[0]);
    }
    wrong = ctl_words_read(&command->grammar, count - 1, words + 1, &read, &word);
    if (wrong != NULL) {
        return usage(wrong, word);
    }
    if (config_load(path, &config, &problems) != 0 && (path_given || !command->can_do_without)) {
        config_problems_tell(&problems, path, say);
        return EX_CONFIG;
    }
    status = command->run(config, &read);
    config_free(config);
    return status;
}

int main(int argc, char **argv)
{
    enum { OPTION_VERSION = 256, OPTION_HELP };
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, OPTION_HELP},
        {0},
    };
    const char *path = CONFIG_DEFAULT_PATH;
    bool path_given = false;
    int option;

    while ((option = getopt_long(argc, argv, "+c:", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            path = optarg;
            path_given = true;
            break;
        case OPTION_VERSION:
            puts("foxtrackrctl " FOXTRACKRD_VERSION);
            return EX_OK;
        case OPTION_HELP:
            print_help(stdout);
            return EX_OK;
        default:
            print_help(stderr);
            return EX_USAGE;
        }
    }
    if (optind >= argc) {
        return usage("no command", "");
    }
    return run_command(path, path_given, argc - optind, argv + optind);
}
