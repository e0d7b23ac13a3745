/* Name resolution and TCP connection, with errors that a person can act on. Any thread; blocks. */
#ifndef DIAL_H
#define DIAL_H

#include <stddef.h>

#define DIAL_PROBLEM_SIZE 256

/*
 * Connect to host:port, trying its addresses in turn for at most timeout_ms each. `stop_fd` ends
 * the attempt when it becomes readable (-1: none); resolving the name is not interrupted. Returns a
 * connected, non-blocking, close-on-exec socket that the caller owns, or -1 with `problem` set (to
 * "" when stop_fd ended it).
 */
int dial(const char *host, int port, int timeout_ms, int stop_fd, char problem[DIAL_PROBLEM_SIZE]);

/* Resolve the name alone: `addresses` (of `size` bytes) gets them, separated by commas, cut with
 * "..." where they do not fit. Returns 0, or -1 with `problem` set. */
int dial_resolve(const char *host, int port, char *addresses, size_t size,
                 char problem[DIAL_PROBLEM_SIZE]);

#endif
