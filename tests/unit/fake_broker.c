/* The sockets of fake_broker.h. A connection is in a listener's queue once connect() has succeeded,
 * so nothing here waits. */
#include "fake_broker.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRIES   50 /* ports that may be taken at one of the addresses */
#define BACKLOG 16
#define FILLERS 4 /* more than the shortest queue takes */

static struct {
    int listeners[FAKE_BROKER_ADDRESSES]; /* -1: closed */
    int fillers[FILLERS];                 /* of the queue of an address that hangs; -1: none */
    int port;
    _Atomic int resolved;
    _Atomic int lookups;
} broker;

static struct sockaddr_in address_of(int number, int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((in_port_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (in_addr_t)number)};
}

/* --- the name ------------------------------------------------------------------------------- */

static struct addrinfo infos[FAKE_BROKER_ADDRESSES];
static struct sockaddr_in sockets[FAKE_BROKER_ADDRESSES];

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    int count = atomic_load(&broker.resolved);

    (void)name;
    (void)hints;
    atomic_fetch_add(&broker.lookups, 1);
    for (int i = 0; i < count; i++) {
        sockets[i] = address_of(i, atoi(service));
        infos[i] = (struct addrinfo){.ai_family = AF_INET,
                                     .ai_addr = (struct sockaddr *)&sockets[i],
                                     .ai_addrlen = sizeof(sockets[i]),
                                     .ai_next = i + 1 < count ? &infos[i + 1] : NULL};
    }
    *out = infos;
    return count > 0 ? 0 : EAI_NONAME;
}

void freeaddrinfo(struct addrinfo *list)
{
    (void)list;
}

void fake_broker_resolve(int count)
{
    atomic_store(&broker.resolved, count);
}

int fake_broker_lookups(void)
{
    return atomic_load(&broker.lookups);
}

/* --- the sockets ---------------------------------------------------------------------------- */

/* Returns a socket that listens at an address, or -1. */
static int listen_at(int number, int port)
{
    const struct sockaddr_in address = address_of(number, port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
                    listen(fd, BACKLOG) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int port_of(int fd)
{
    struct sockaddr_in address = {0};
    socklen_t length = sizeof(address);

    getsockname(fd, (struct sockaddr *)&address, &length);
    return ntohs(address.sin_port);
}

static bool listen_at_all(void)
{
    bool all = true;

    broker.port = 0;
    for (int i = 0; i < FAKE_BROKER_ADDRESSES; i++) {
        broker.listeners[i] = listen_at(i, broker.port);
        all = all && broker.listeners[i] >= 0;
        broker.port = all ? port_of(broker.listeners[i]) : broker.port;
    }
    return all;
}

int fake_broker_open(void)
{
    fake_broker_resolve(1);
    atomic_store(&broker.lookups, 0);
    for (int i = 0; i < FILLERS; i++) {
        broker.fillers[i] = -1;
    }
    for (int i = 0; i < TRIES; i++) {
        if (listen_at_all()) {
            return broker.port;
        }
        fake_broker_close();
    }
    fprintf(stderr, "no port is free at %d loopback addresses\n", FAKE_BROKER_ADDRESSES);
    abort();
}

void fake_broker_close(void)
{
    for (int i = 0; i < FAKE_BROKER_ADDRESSES; i++) {
        fake_broker_refuse(i);
    }
    for (int i = 0; i < FILLERS; i++) {
        if (broker.fillers[i] >= 0) {
            close(broker.fillers[i]);
            broker.fillers[i] = -1;
        }
    }
}

void fake_broker_refuse(int address)
{
    if (broker.listeners[address] >= 0) {
        close(broker.listeners[address]);
        broker.listeners[address] = -1;
    }
}

void fake_broker_hang(int address)
{
    const struct sockaddr_in target = address_of(address, broker.port);

    listen(broker.listeners[address], 0);
    for (int i = 0; i < FILLERS; i++) {
        broker.fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(broker.fillers[i], (const struct sockaddr *)&target, sizeof(target));
    }
}

int fake_broker_accept(int *address)
{
    int newest = -1;

    for (int i = 0; i < FAKE_BROKER_ADDRESSES; i++) {
        int fd;

        while (broker.listeners[i] >= 0 && (fd = accept(broker.listeners[i], NULL, NULL)) >= 0) {
            if (newest >= 0) {
                close(newest);
            }
            newest = fd;
            *address = i;
        }
    }
    return newest;
}
