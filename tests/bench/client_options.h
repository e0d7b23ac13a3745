/* The command line that the clients of the benchmark have in common. */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include <stdbool.h>

struct client_options {
    int port;              /* of localhost; required */
    const char *ca;        /* NULL: no TLS */
    const char *client_id; /* required */
    const char *store;     /* a database for the messages; NULL: none */
    int qos;               /* 1 or 2 */
};

/*
 * Read the arguments into `options`, which holds the defaults before; its strings are argv's. False
 * for an unknown option, a value that is none, or a required one left out: `usage` went to stderr
 * then.
 */
bool client_options_parse(int argc, char **argv, const char *usage, struct client_options *options);

#endif
