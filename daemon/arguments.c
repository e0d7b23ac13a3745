/*
 * The command line of foxtrackrd: where its configuration is, and the options that only print.
 */
#include "arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/escape.h"
#include "base/usage.h"
#include "config/config.h"
#include "mqtt/mqtt.h"

static void print_help(void)
{
    puts("Usage: foxtrackrd [-c FILE] [--check-config]\n"
         "\n"
         "Store what Foxtrackr trackers report by MQTT in SQLite or PostgreSQL.\n"
         "\n"
         "  -c, --config FILE   configuration (" CONFIG_DEFAULT_PATH ")\n"
         "      --check-config  check the configuration and exit\n"
         "      --version       print the version and exit\n"
         "  -h, --help          print this and exit\n"
         "\n"
         "Example:\n"
         "  foxtrackrd --check-config && systemctl restart foxtrackrd\n"
         "\n"
         "Exit status:\n"
         "  0   stopped by a signal; with --check-config: the configuration is good\n"
         "  64  the command line is wrong\n"
         "  70  the MQTT library did otherwise than expected\n"
         "  71  the system refuses something that is needed, such as memory\n"
         "  74  the database cannot be used\n"
         "  75  another daemon has the sessions\n"
         "  78  the configuration is wrong\n"
         "\n"
         "It stays in the foreground and notifies systemd. See foxtrackrd(8), and\n"
         "foxtrackrctl(8) for the operator's tool.");
}

static void print_version(void)
{
    char paho[PAHO_PROBLEM_SIZE];

    paho_describe(paho);
    printf("foxtrackrd %s\n%s\n", FOXTRACKRD_VERSION, paho);
}

/* Says what is wrong, and where the help is. Returns false for the caller. */
static bool refuse(const char *problem, int *exit_status)
{
    char escaped[2 * USAGE_PROBLEM_SIZE];

    escape_line(escaped, sizeof(escaped), problem);
    fprintf(stderr, "foxtrackrd: %s\nfoxtrackrd: for help: foxtrackrd --help\n", escaped);
    *exit_status = EX_USAGE;
    return false;
}

bool arguments_parse(int argc, char **argv, const char **path, bool *check_only, int *exit_status)
{
    enum { OPTION_CHECK = 256, OPTION_VERSION };
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check-config", no_argument, NULL, OPTION_CHECK},
        {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    char problem[USAGE_PROBLEM_SIZE];
    int option;

    opterr = 0;
    *exit_status = EX_OK;
    while ((option = getopt_long(argc, argv, ":c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            *path = optarg;
            break;
        case OPTION_CHECK:
            *check_only = true;
            break;
        case OPTION_VERSION:
            print_version();
            return false;
        case 'h':
            print_help();
            return false;
        default:
            return refuse(usage_option(NULL, option, argv, options, problem), exit_status);
        }
    }
    if (optind < argc) {
        snprintf(problem, sizeof(problem),
                 "unexpected argument: %.100s; a configuration is named with -c FILE",
                 argv[optind]);
        return refuse(problem, exit_status);
    }
    return true;
}
