/* Connections to the gate's port that are not this process's. Called by the gate's thread. */
#ifndef GATE_STRANGER_INTERNAL_H
#define GATE_STRANGER_INTERNAL_H

#include <netinet/in.h>
#include <stdbool.h>

/* Returns the descriptor of the other end of an accepted loopback connection (AF_INET) if it is an
 * open socket of this process, else -1. */
int gate_stranger_own_end(int fd);

/*
 * Returns the user that owns the other end of an accepted loopback connection, or -1 when unknown:
 * closed meanwhile, or no /proc. Slow: reads the kernel's table of all connections.
 */
long gate_stranger_user(int fd);

#endif
