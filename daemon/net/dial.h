/*
 * Name resolution and TCP connections, with errors that a person can act on. Any thread; blocks.
 *
 * A host may have several addresses, and an address can fail at every stage: TCP, the TLS
 * handshake, CONNECT. So the caller resolves once an attempt, walks through the list itself, and
 * goes on to the next address whatever it was that failed. A struct dial_memory keeps between
 * attempts which address is worth trying first.
 */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define DIAL_PROBLEM_SIZE  256
#define DIAL_NAME_SIZE     80
#define DIAL_ADDRESSES_MAX 16

/* One address of a host. */
struct dial_address {
    struct sockaddr_storage socket;
    socklen_t length;          /* of `socket`; 0: none */
    char name[DIAL_NAME_SIZE]; /* with the port: "192.0.2.7:8883", "[2001:db8::1]:8883" */
};

struct dial_list {
    struct dial_address entries[DIAL_ADDRESSES_MAX];
    size_t count; /* at least 1 */
};

/* The memory of a host's addresses; zeroed: empty. */
struct dial_memory {
    struct dial_address good; /* the last that worked: tried first */
    struct dial_address bad;  /* the last that accepted us and was of no use: tried last */
};

/*
 * Ask for the addresses of a host, anew each time, in the order in which they are to be tried: that
 * of the resolver (RFC 6724), changed by `memory` (NULL: not). More than DIAL_ADDRESSES_MAX are cut
 * off. The wait for a name server is not interrupted. Returns 0 and fills *out, or -1 with
 * `problem` set.
 */
int dial_resolve(const char *host, int port, const struct dial_memory *memory,
                 struct dial_list *out, char problem[DIAL_PROBLEM_SIZE]);

/*
 * Connect to one address within timeout_ms. `stop_fd` ends the attempt when it becomes readable
 * (-1: none). Returns a connected, non-blocking, close-on-exec socket that the caller owns, or -1
 * with errno set, and `problem` to the reason without the address (to "" when stop_fd ended it).
 */
int dial_connect(const struct dial_address *address, int timeout_ms, int stop_fd,
                 char problem[DIAL_PROBLEM_SIZE]);

/* The address has worked: it is tried first from now on. */
void dial_remember_good(struct dial_memory *memory, const struct dial_address *address);

/* The address that was good is of no use: it is tried last from now on. */
void dial_remember_bad(struct dial_memory *memory);

/* Write the addresses, separated by commas and without their ports, and with "..." where they do
 * not fit. */
void dial_list_text(const struct dial_list *list, char *out, size_t size);

#endif
