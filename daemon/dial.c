#include "dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long data may stay unacknowledged by the peer's TCP before a link counts as dead. */
#define UNACKNOWLEDGED_LIMIT_MS 60000

static void set_options(int fd)
{
    const int on = 1;
    const unsigned limit_ms = UNACKNOWLEDGED_LIMIT_MS;

    /* Best effort: a kernel without one of them works, only later or slower. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, sizeof(limit_ms));
}

/* Wait for a connect() in progress. 0, an errno, or ECANCELED when stop_fd became readable. */
static int wait_connected(int fd, int timeout_ms, int stop_fd)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLOUT}, {.fd = stop_fd, .events = POLLIN}};
    int error = 0;
    socklen_t length = sizeof(error);
    int ready;

    do {
        ready = poll(fds, 2, timeout_ms);
    } while (ready < 0 && errno == EINTR);
    if (ready < 0) {
        return errno;
    }
    if (ready == 0) {
        return ETIMEDOUT;
    }
    if (fds[1].revents != 0) {
        return ECANCELED;
    }
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

/* Connect to one address; the socket, or a negative errno. */
static int dial_address(const struct addrinfo *address, int timeout_ms, int stop_fd)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    if (fd < 0) {
        return -errno;
    }
    set_options(fd);
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0) {
        return fd;
    }
    error = errno == EINPROGRESS ? wait_connected(fd, timeout_ms, stop_fd) : errno;
    if (error != 0) {
        close(fd);
        return -error;
    }
    return fd;
}

static const char *advice(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return " (nothing listens there: is the broker running, and is broker.port right?)";
    case ETIMEDOUT:
        return " (no answer: a firewall, or a wrong broker.host?)";
    default:
        return "";
    }
}

/* The addresses of a host, for freeaddrinfo(); or NULL with `problem` set. */
static struct addrinfo *resolve(const char *host, int port, char problem[DIAL_PROBLEM_SIZE])
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *addresses = NULL;
    char service[16];
    int rc;

    snprintf(service, sizeof(service), "%d", port);
    rc = getaddrinfo(host, service, &hints, &addresses);
    if (rc != 0) {
        snprintf(problem, DIAL_PROBLEM_SIZE, "cannot resolve broker.host %.120s: %s", host,
                 rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
        return NULL;
    }
    return addresses;
}

int dial_resolve(const char *host, int port, char *addresses, size_t size,
                 char problem[DIAL_PROBLEM_SIZE])
{
    struct addrinfo *found = resolve(host, port, problem);
    size_t used = 0;

    if (found == NULL) {
        return -1;
    }
    addresses[0] = '\0';
    for (const struct addrinfo *a = found; a != NULL; a = a->ai_next) {
        char address[INET6_ADDRSTRLEN + 32] = "";

        getnameinfo(a->ai_addr, a->ai_addrlen, address, sizeof(address), NULL, 0, NI_NUMERICHOST);
        if (used + strlen(address) + sizeof(", ...") > size) {
            snprintf(addresses + used, size - used, ", ...");
            break;
        }
        used +=
            (size_t)snprintf(addresses + used, size - used, "%s%s", used > 0 ? ", " : "", address);
    }
    freeaddrinfo(found);
    return 0;
}

int dial(const char *host, int port, int timeout_ms, int stop_fd, char problem[DIAL_PROBLEM_SIZE])
{
    struct addrinfo *addresses = resolve(host, port, problem);
    int fd = -EADDRNOTAVAIL;

    if (addresses == NULL) {
        return -1;
    }
    for (const struct addrinfo *a = addresses; a != NULL && fd < 0 && fd != -ECANCELED;
         a = a->ai_next) {
        fd = dial_address(a, timeout_ms, stop_fd);
    }
    freeaddrinfo(addresses);
    if (fd == -ECANCELED) {
        problem[0] = '\0';
        return -1;
    }
    if (fd < 0) {
        snprintf(problem, DIAL_PROBLEM_SIZE, "%.120s:%d: %s%s", host, port, strerror(-fd),
                 advice(-fd));
        return -1;
    }
    return fd;
}
