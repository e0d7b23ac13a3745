/* Connections to the gate's port that are not this process's. Called by the gate's thread. */
#ifndef GATE_STRANGER_H
#define GATE_STRANGER_H

#include <netinet/in.h>
#include <stdbool.h>

/* Whether the other end of an accepted loopback connection (AF_INET) is a socket of this process.
 * False too when it has been closed meanwhile. */
bool gate_stranger_is_own(int fd);

/*
 * The user that owns the other end of an accepted loopback connection, or -1 when it is not known:
 * closed meanwhile, or no /proc. Reads the table of the kernel's connections, which takes long.
 */
long gate_stranger_user(int fd);

#endif
