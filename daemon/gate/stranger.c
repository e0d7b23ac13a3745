/*
 * Finds out which process is at the other end of a loopback connection.
 *
 * TCP carries no credentials (SO_PEERCRED is for Unix sockets). But both ends of Paho's connection
 * are sockets of this process: one of its descriptors has the accepted one's two addresses,
 * swapped, and no other process can have those while it is open. A walk through the process's own
 * descriptors finds it, needs no privilege and cannot be deceived. Paho creates its socket before
 * it connects, so the descriptor exists when accept() returns.
 */
#include "gate/stranger_internal.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* The two addresses of a connection, as its other end sees them. */
struct ends {
    struct sockaddr_in own;
    struct sockaddr_in peer;
};

static bool get(int (*call)(int, struct sockaddr *, socklen_t *), int fd, struct sockaddr_in *out)
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof(address);

    if (call(fd, (struct sockaddr *)&address, &length) != 0 || address.ss_family != AF_INET) {
        return false;
    }
    memcpy(out, &address, sizeof(*out));
    return true;
}

static bool same(const struct sockaddr_in *one, const struct sockaddr_in *other)
{
    return one->sin_port == other->sin_port && one->sin_addr.s_addr == other->sin_addr.s_addr;
}

/* Gets the addresses of an accepted connection as its other end sees them. */
static bool ends_of(int fd, struct ends *ends)
{
    return get(getpeername, fd, &ends->own) && get(getsockname, fd, &ends->peer);
}

static bool is_other_end(int fd, const struct ends *ends)
{
    struct sockaddr_in address;

    return get(getsockname, fd, &address) && same(&address, &ends->own) &&
           get(getpeername, fd, &address) && same(&address, &ends->peer);
}

/* Tries every possible descriptor number; for when the list of open ones cannot be read. */
static int walk_all(const struct ends *ends)
{
    struct rlimit limit;
    int most = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 65536 ? (int)limit.rlim_cur
                                                                               : 65536;

    for (int fd = 0; fd < most; fd++) {
        if (is_other_end(fd, ends)) {
            return fd;
        }
    }
    return -1;
}

/* Reads the number at the start of `text`, up to the character `end`; *rest points behind that.
 * Returns false when there is none, or it is above `most`. */
static bool read_number(const char *text, int base, char end, unsigned long most, const char **rest,
                        unsigned long *number)
{
    char *after;

    text += strspn(text, " ");
    if (!isxdigit((unsigned char)*text)) {
        return false;
    }
    errno = 0;
    *number = strtoul(text, &after, base);
    if (after == text || errno != 0 || *number > most || *after != end) {
        return false;
    }
    *rest = *after != '\0' ? after + 1 : after;
    return true;
}

/* Reads an address and a port in the form of the kernel's table: "0100007F:1F90 ". */
static bool read_address(const char *text, const char **rest, struct sockaddr_in *address)
{
    unsigned long host;
    unsigned long port;

    if (!read_number(text, 16, ':', UINT32_MAX, &text, &host) ||
        !read_number(text, 16, ' ', UINT16_MAX, rest, &port)) {
        return false;
    }
    address->sin_addr.s_addr = (in_addr_t)host;
    address->sin_port = htons((uint16_t)port);
    return true;
}

/*
 * Returns the user in a line of the kernel's table if the line's connection has these ends, else
 * -1. "sl: local remote state tx:rx timer:when retransmits user ..."
 */
static long user_in_line(const char *line, const struct ends *ends)
{
    struct sockaddr_in own;
    struct sockaddr_in peer;
    unsigned long user;
    const char *rest = strchr(line, ':');

    if (rest == NULL || !read_address(rest + 1, &rest, &own) || !read_address(rest, &rest, &peer) ||
        !same(&own, &ends->own) || !same(&peer, &ends->peer)) {
        return -1;
    }
    for (int skipped = 0; skipped < 4; skipped++) {
        rest += strspn(rest, " ");
        rest += strcspn(rest, " ");
    }
    return read_number(rest, 10, ' ', UINT32_MAX, &rest, &user) ? (long)user : -1;
}

int gate_stranger_own_end(int fd)
{
    struct ends ends;
    struct dirent *entry;
    int found = -1;
    DIR *directory;

    if (!ends_of(fd, &ends)) {
        return -1;
    }
    directory = opendir("/proc/self/fd");
    if (directory == NULL) {
        return walk_all(&ends);
    }
    while (found < 0 && (entry = readdir(directory)) != NULL) {
        const char *rest;
        unsigned long number;

        if (read_number(entry->d_name, 10, '\0', INT_MAX, &rest, &number) &&
            is_other_end((int)number, &ends)) {
            found = (int)number;
        }
    }
    closedir(directory);
    return found;
}

long gate_stranger_user(int fd)
{
    FILE *table = fopen("/proc/self/net/tcp", "re");
    struct ends ends;
    char line[256];
    long user = -1;

    if (table == NULL) {
        return -1;
    }
    while (ends_of(fd, &ends) && user < 0 && fgets(line, sizeof(line), table) != NULL) {
        user = user_in_line(line, &ends);
    }
    fclose(table);
    return user;
}
