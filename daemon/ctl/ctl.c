/*
 * foxtrackrctl: the operator's tool. Exit status: 0 good, 1 a reported problem, 64 usage, 78
 * configuration; a command's own are in its help (ctl/commands.c).
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/similar.h"
#include "config/config.h"
#include "ctl/commands_internal.h"
#include "ctl/say_internal.h"
#include "ctl/words_internal.h"

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static void say(const char *sentence)
{
    ctl_say("%s", sentence);
}

/* Prints two lines: the problem, and how to get help. `command` NULL: the overview. */
static int usage(const char *command, const char *problem)
{
    ctl_say("%s", problem);
    ctl_say("for help: foxtrackrctl help%s%s", command != NULL ? " " : "",
            command != NULL ? command : "");
    return EX_USAGE;
}

static int unknown_command(const char *name)
{
    struct similar search = {.word = name};
    char problem[USAGE_PROBLEM_SIZE];

    similar_try(&search, "help");
    for (size_t i = 0; i < ctl_commands_count; i++) {
        similar_try(&search, ctl_commands[i].name);
    }
    if (strcmp(name, "version") == 0) {
        search.best = "--version";
    }
    snprintf(problem, sizeof(problem), "there is no command %.60s%s%s%s", name,
             search.best != NULL ? " (did you mean " : "", search.best != NULL ? search.best : "",
             search.best != NULL ? "?)" : "");
    return usage(NULL, problem);
}

static int help(int count, char **words)
{
    const struct ctl_command *command;

    if (count > 1) {
        return usage(NULL, "help explains one command at a time");
    }
    if (count == 0 || strcmp(words[0], "help") == 0 || words[0][0] == '-') {
        ctl_help_overview();
        return EX_OK;
    }
    command = ctl_commands_find(words[0]);
    if (command == NULL) {
        return unknown_command(words[0]);
    }
    ctl_help_page(command);
    return EX_OK;
}

/* Returns true when the command works without the configuration, which could not be loaded. A
 * configuration named with -c is required. */
static bool can_do_without(const struct ctl_command *command, const struct ctl_words *words,
                           bool path_given)
{
    switch (command->need) {
    case CTL_NEEDS_CONFIG_OR_FILE:
        return !path_given && words->operand_count == command->grammar.operands_max;
    case CTL_TAKES_DEFAULTS:
        return !path_given;
    default:
        return false;
    }
}

/* Reports that an existing configuration is ignored. */
static void say_ignored(const struct ctl_command *command, const char *path,
                        const struct config_problems *problems)
{
    if (command->need == CTL_TAKES_DEFAULTS && (access(path, F_OK) == 0 || errno != ENOENT)) {
        config_problems_tell(problems, path, say);
        ctl_say("%s: ignored: the defaults of [fields] and [parser] apply", path);
    }
}

/* Names the way without the configuration, for a user who cannot read it. */
static void say_without(const struct ctl_command *command, const char *path, bool path_given)
{
    if (command->need == CTL_NEEDS_CONFIG_OR_FILE && !path_given && access(path, R_OK) != 0) {
        if (command->file != NULL) {
            ctl_say("or name the %s", command->file);
            return;
        }
        ctl_say("or name the database, which needs no configuration: foxtrackrctl %s "
                "... " CONFIG_DATABASE_PATH,
                command->name);
    }
}

static int run_command(const char *path, bool path_given, int count, char **words)
{
    const struct ctl_command *command = ctl_commands_find(words[0]);
    static struct config_problems problems;
    struct config *config = NULL;
    struct ctl_words read;
    char problem[USAGE_PROBLEM_SIZE];
    int status;

    if (command == NULL) {
        return unknown_command(words[0]);
    }
    switch (ctl_words_read(&command->grammar, count, words, &read, problem)) {
    case CTL_WORDS_HELP:
        ctl_help_page(command);
        return EX_OK;
    case CTL_WORDS_WRONG:
        return usage(command->name, problem);
    default:
        break;
    }
    if (read.config != NULL) {
        path = read.config;
        path_given = true;
    }
    if (config_load(path, &config, &problems) != 0) {
        if (!can_do_without(command, &read, path_given)) {
            config_problems_tell(&problems, path, say);
            say_without(command, path, path_given);
            return EX_CONFIG;
        }
        say_ignored(command, path, &problems);
    }
    status = command->run(config, &read);
    config_free(config);
    return status;
}

/* Reports an option before the command that does not exist, or belongs after the command. */
static int unknown_option(int result, char **argv)
{
    const char *word = argv[optind - 1];
    char problem[USAGE_PROBLEM_SIZE];

    if (result == '?' && strncmp(word, "--", 2) == 0 && ctl_words_is_option(word + 2)) {
        snprintf(problem, sizeof(problem), "%s belongs behind its command", word);
        return usage(NULL, problem);
    }
    return usage(NULL, usage_option(NULL, result, argv, options, problem));
}

int main(int argc, char **argv)
{
    const char *path = CONFIG_DEFAULT_PATH;
    bool path_given = false;
    int option;

    opterr = 0;
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes: an error of write(), which is told */
    while ((option = getopt_long(argc, argv, "+:c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            path = optarg;
            path_given = true;
            break;
        case 'V':
            puts("foxtrackrctl " FOXTRACKRD_VERSION);
            return EX_OK;
        case 'h':
            return help(optind < argc ? 1 : 0, argv + optind);
        default:
            return unknown_option(option, argv);
        }
    }
    if (optind >= argc) {
        return usage(NULL, "a command is missing");
    }
    if (strcmp(argv[optind], "help") == 0) {
        return help(argc - optind - 1, argv + optind + 1);
    }
    return run_command(path, path_given, argc - optind, argv + optind);
}
