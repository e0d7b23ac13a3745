/*
 * The command line of foxtrackrd: where its configuration is, and the options that only print.
 */
#include "arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "config.h"
#include "paho.h"

static void print_help(FILE *out)
{
    fputs("Usage: foxtrackrd [-c FILE] [--check-config] [--version] [--help]\n"
          "\n"
          "Store what Foxtrackr trackers report by MQTT in an SQLite database.\n"
          "\n"
          "  -c, --config FILE   configuration (" CONFIG_DEFAULT_PATH ")\n"
          "      --check-config  check the configuration and exit\n"
          "      --version       print the version and exit\n"
          "      --help          print this and exit\n"
          "\n"
          "It stays in the foreground and notifies systemd. See foxtrackrd(8).\n",
          out);
}

static void print_version(void)
{
    char paho[PAHO_PROBLEM_SIZE];

    paho_describe(paho);
    printf("foxtrackrd %s\n%s\n", FOXTRACKRD_VERSION, paho);
}

bool arguments_parse(int argc, char **argv, const char **path, bool *check_only, int *exit_status)
{
    enum { OPTION_CHECK = 256, OPTION_VERSION, OPTION_HELP };
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check-config", no_argument, NULL, OPTION_CHECK},
        {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, OPTION_HELP},
        {0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            *path = optarg;
            break;
        case OPTION_CHECK:
            *check_only = true;
            break;
        case OPTION_VERSION:
            print_version();
            *exit_status = EX_OK;
            return false;
        case OPTION_HELP:
            print_help(stdout);
            *exit_status = EX_OK;
            return false;
        default:
            print_help(stderr);
            *exit_status = EX_USAGE;
            return false;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "foxtrackrd: unexpected argument: %s\n", argv[optind]);
        print_help(stderr);
        *exit_status = EX_USAGE;
        return false;
    }
    return true;
}
