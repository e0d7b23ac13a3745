/*
 * foxtrackrctl: the operator's tool. Exit status: 0 good, 1 something is wrong and has been said,
 * 64 usage, 78 configuration.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "config.h"
#include "ctl_check.h"
#include "ctl_parse.h"
#include "ctl_status.h"

static void print_help(FILE *out)
{
    fputs("Usage: foxtrackrctl [-c FILE] COMMAND\n"
          "\n"
          "  status [--json] [--follow]  what the running daemon is doing, once or live\n"
          "  check [--json]       configuration, certificates, database and disk, without the "
          "daemon\n"
          "  parse TOPIC [FILE]   the rows of one message as JSON, or why there are none; reads\n"
          "                       standard input without FILE\n"
          "\n"
          "  -c, --config FILE    configuration (" CONFIG_DEFAULT_PATH ")\n"
          "      --version        print the version and exit\n"
          "      --help           print this and exit\n",
          out);
}

static int usage(const char *problem, const char *what)
{
    fprintf(stderr, "foxtrackrctl: %s%s%s\n", problem, what[0] != '\0' ? ": " : "", what);
    print_help(stderr);
    return EX_USAGE;
}

/* Whether the words after the command are nothing but, perhaps, --json. */
static bool only_json(int count, char **words, bool *json)
{
    *json = count == 1 && strcmp(words[0], "--json") == 0;
    return count == 0 || *json;
}

/* status takes --json and --follow, in any order. */
static int run_status(const char *path, int count, char **words)
{
    struct config *config;
    char problem[CONFIG_PROBLEM_SIZE];
    bool json = false;
    bool follow = false;
    int status;

    for (int i = 0; i < count; i++) {
        if (strcmp(words[i], "--json") == 0) {
            json = true;
        } else if (strcmp(words[i], "--follow") == 0) {
            follow = true;
        } else {
            return usage("unexpected argument", words[i]);
        }
    }
    if (config_load(path, &config, problem) != 0) {
        fprintf(stderr, "foxtrackrctl: %s\n", problem);
        return EX_CONFIG;
    }
    status = follow ? ctl_status_follow(config, json) : ctl_status(config, json);
    config_free(config);
    return status;
}

/* parse needs a configuration only for [fields] and limits: without one the defaults hold. */
static int run_parse(const char *path, bool path_given, int count, char **words)
{
    struct config *config = NULL;
    char problem[CONFIG_PROBLEM_SIZE];
    int status;

    if (count < 1 || count > 2) {
        return usage("parse takes a topic and perhaps a file", "");
    }
    if (config_load(path, &config, problem) != 0 && path_given) {
        fprintf(stderr, "foxtrackrctl: %s\n", problem);
        return EX_CONFIG;
    }
    status = ctl_parse(config, words[0], count == 2 ? words[1] : NULL);
    config_free(config);
    return status;
}

static int run_command(const char *path, bool path_given, int count, char **words)
{
    struct config *config;
    char problem[CONFIG_PROBLEM_SIZE];
    bool json = false;
    int status;

    if (strcmp(words[0], "parse") == 0) {
        return run_parse(path, path_given, count - 1, words + 1);
    }
    if (strcmp(words[0], "status") == 0) {
        return run_status(path, count - 1, words + 1);
    }
    if (strcmp(words[0], "check") != 0) {
        return usage("unknown command", words[0]);
    }
    if (!only_json(count - 1, words + 1, &json)) {
        return usage("unexpected argument", words[1]);
    }
    if (config_load(path, &config, problem) != 0) {
        fprintf(stderr, "foxtrackrctl: %s\n", problem);
        return EX_CONFIG;
    }
    status = ctl_check(config, json);
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
