/* Connections to the gate's port that are not this process's. Called by the gate's thread. */
#ifndef GATE_STRANGER_INTERNAL_H
#define GATE_STRANGER_INTERNAL_H

#include <netinet/in.h>
#include <stdbool.h>

/* The descriptor of the other end of an accepted loopback connection (AF_INET), if that is a socket
 * of this process; else, and when it has been closed meanwhile, -1. */
int gate_stranger_own_end(int fd);

/*
 * The user that owns the other end of an accepted loopback connection, or -1 when it is not known:
 * closed meanwhile, or no /proc. Reads the table of the kernel's connections, which takes long.
 */
long gate_stranger_user(int fd);

#endif
