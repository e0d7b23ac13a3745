/* The broker's command line. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_MARKS_MAX    10000
#define OPTIONS_SESSIONS_MAX 32

struct broker_options {
    const char *certificate; /* NULL: in clear */
    const char *key;
    const char *port_file;
    uint64_t count;
    uint64_t devices;
    int qos;
    unsigned window;
    double delay_ms; /* from a byte's arrival to its being acted upon */
    unsigned sessions;
    uint64_t mark;   /* note the time after so many acknowledgements; 0: never */
    bool hold;       /* wait for SIGUSR1 before streaming */
    bool own_window; /* whatever Receive Maximum is */
};

/* 0, or an exit status after saying on standard error what is wrong. */
int options_parse(int argc, char **argv, struct broker_options *options);

#endif
