/* Reads the options; each number is checked against its range. */
#include "client_options.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static bool take(int option, struct client_options *options)
{
    switch (option) {
    case 'p':
        options->port = atoi(optarg);
        return true;
    case 'c':
        options->ca = optarg;
        return true;
    case 'i':
        options->client_id = optarg;
        return true;
    case 'q':
        options->qos = atoi(optarg);
        return true;
    case 's':
        options->store = optarg;
        return true;
    default:
        return false;
    }
}

bool client_options_parse(int argc, char **argv, const char *usage, struct client_options *options)
{
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},      {"ca", required_argument, NULL, 'c'},
        {"client-id", required_argument, NULL, 'i'}, {"qos", required_argument, NULL, 'q'},
        {"store", required_argument, NULL, 's'},     {0},
    };
    bool good = true;
    int option;

    while (good && (option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        good = take(option, options);
    }
    good = good && optind == argc && options->port > 0 && options->port < 65536 &&
           options->client_id != NULL && (options->qos == 1 || options->qos == 2);
    if (!good) {
        fprintf(stderr, "usage: %s\n", usage);
    }
    return good;
}
