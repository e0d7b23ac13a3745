/*
 * Which process is at the other end of a loopback connection.
 *
 * TCP carries no credentials (SO_PEERCRED is for Unix sockets). But both ends of Paho's connection
 * are sockets of this process: there is a descriptor with the two addresses of the accepted one,
 * the other way round, and no other process can have them while it is open. A walk through the
 * process's own descriptors finds it, needs no privilege and cannot be deceived. Paho has made its
 * socket before it connects, so the descriptor is there when accept() returns.
 */
#include "gate_stranger.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* The two ends as the other process has them. */
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

/* The other end's view of an accepted connection. */
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

/* Every number that a descriptor can have, where the list of the open ones cannot be read. */
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
        if (entry->d_name[0] != '.' && is_other_end(atoi(entry->d_name), &ends)) {
            found = atoi(entry->d_name);
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
        uint32_t own;
        uint32_t peer;
        unsigned own_port;
        unsigned peer_port;
        long found;

        if (sscanf(line, "%*u: %" SCNx32 ":%x %" SCNx32 ":%x %*x %*x:%*x %*x:%*x %*x %ld", &own,
                   &own_port, &peer, &peer_port, &found) == 5 &&
            own == ends.own.sin_addr.s_addr && own_port == ntohs(ends.own.sin_port) &&
            peer == ends.peer.sin_addr.s_addr && peer_port == ntohs(ends.peer.sin_port)) {
            user = found;
        }
    }
    fclose(table);
    return user;
}
