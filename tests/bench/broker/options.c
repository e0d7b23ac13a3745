/* Reads the broker's options; each number is checked against its range. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "session.h"

static int usage(const char *why, const char *value)
{
    fprintf(stderr,
            "broker: %s%s\n"
            "usage: broker [--tls CERT KEY] --count N [--devices N] [--qos 1|2] [--window N]\n"
            "              [--delay-ms MS] [--sessions N] [--mark N] [--hold] [--own-window]\n"
            "              --port-file FILE\n",
            why, value);
    return EX_USAGE;
}

static bool number(const char *text, uint64_t from, uint64_t to, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *out >= from && *out <= to;
}

static bool small(const char *text, unsigned from, unsigned to, unsigned *out)
{
    uint64_t value;
    bool good = number(text, from, to, &value);

    *out = (unsigned)value;
    return good;
}

static bool milliseconds(const char *text, double *out)
{
    char *end;

    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out >= 0 && *out <= 10000; /* so not NaN either */
}

/* Take one option; false: its value cannot be. */
static bool take(int option, const char *value, struct broker_options *options)
{
    unsigned qos;

    switch (option) {
    case 'n':
        return number(value, 1, UINT64_C(1000000000000), &options->count);
    case 'd':
        return number(value, 1, 1000000, &options->devices);
    case 'q':
        if (!small(value, 1, 2, &qos)) {
            return false;
        }
        options->qos = (int)qos;
        return true;
    case 'w':
        return small(value, 1, SESSION_WINDOW_MAX, &options->window);
    case 'r':
        return milliseconds(value, &options->delay_ms);
    case 's':
        return small(value, 1, OPTIONS_SESSIONS_MAX, &options->sessions);
    case 'm':
        return number(value, 0, UINT64_C(1000000000000), &options->mark);
    case 'h':
        options->hold = true;
        return true;
    case 'o':
        options->own_window = true;
        return true;
    default: /* 'p' */
        options->port_file = value;
        return true;
    }
}

int options_parse(int argc, char **argv, struct broker_options *options)
{
    static const struct option names[] = {
        {"tls", required_argument, NULL, 't'},
        {"count", required_argument, NULL, 'n'},
        {"devices", required_argument, NULL, 'd'},
        {"qos", required_argument, NULL, 'q'},
        {"window", required_argument, NULL, 'w'},
        {"delay-ms", required_argument, NULL, 'r'},
        {"sessions", required_argument, NULL, 's'},
        {"mark", required_argument, NULL, 'm'},
        {"hold", no_argument, NULL, 'h'},
        {"own-window", no_argument, NULL, 'o'},
        {"port-file", required_argument, NULL, 'p'},
        {0},
    };
    int option;

    *options = (struct broker_options){.devices = 1000, .qos = 2, .window = 20, .sessions = 1};
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == '?') {
            return usage("wrong arguments", "");
        }
        if (option == 't') {
            if (optind >= argc || argv[optind][0] == '-') {
                return usage("--tls needs two files, CERT and KEY", "");
            }
            options->certificate = optarg;
            options->key = argv[optind++];
        } else if (!take(option, optarg, options)) {
            return usage("a number that cannot be: ", optarg);
        }
    }
    if (optind < argc || options->count == 0 || options->port_file == NULL) {
        return usage("--count and --port-file are needed, and nothing else", "");
    }
    if (options->mark > 0 && options->count / options->mark > OPTIONS_MARKS_MAX) {
        return usage("--mark makes more than 10,000 marks of --count", "");
    }
    return 0;
}
