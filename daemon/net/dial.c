/*
 * Resolves a host name and connects to one address at a time. The caller chooses the next address,
 * because TCP is only the first stage at which an address can fail.
 */
#include "net/net.h"

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

#include "base/error_text.h"

/* The longest time that data may stay unacknowledged by the peer's TCP; then the connection is
 * dead. */
#define UNACKNOWLEDGED_LIMIT_MS 60000

static void set_options(int fd)
{
    const int on = 1;
    const unsigned limit_ms = UNACKNOWLEDGED_LIMIT_MS;

    /* Best effort: without one of these options a loss is noticed later, or packets are slower. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, sizeof(limit_ms));
}

/* Waits for a connect() in progress. Returns 0, an errno, or ECANCELED when stop_fd became
 * readable. */
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

int dial_connect(const struct dial_address *address, int timeout_ms, int stop_fd,
                 char problem[DIAL_PROBLEM_SIZE])
{
    int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = errno;

    if (fd >= 0) {
        set_options(fd);
        error = 0;
        if (connect(fd, (const struct sockaddr *)&address->socket, address->length) != 0) {
            error = errno == EINPROGRESS ? wait_connected(fd, timeout_ms, stop_fd) : errno;
        }
    }
    if (error == 0) {
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    problem[0] = '\0';
    if (error != ECANCELED) {
        snprintf(problem, DIAL_PROBLEM_SIZE, "%s%s", error_text(error), advice(error));
    }
    errno = error;
    return -1;
}

/* --- the addresses of a host --------------------------------------------------------------- */

static void set_address(struct dial_address *out, const struct addrinfo *from, int port)
{
    char text[INET6_ADDRSTRLEN + 20] = "?";
    bool v6 = from->ai_family == AF_INET6;

    memset(out, 0, sizeof(*out));
    memcpy(&out->socket, from->ai_addr, from->ai_addrlen);
    out->length = from->ai_addrlen;
    getnameinfo(from->ai_addr, from->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
    snprintf(out->name, sizeof(out->name), "%s%s%s:%d", v6 ? "[" : "", text, v6 ? "]" : "", port);
}

static bool same(const struct dial_address *one, const struct dial_address *other)
{
    return one->length != 0 && strcmp(one->name, other->name) == 0;
}

/* Returns the address's place in the order: 0 is tried first, 2 last. */
static int rank(const struct dial_history *history, const struct dial_address *address)
{
    if (history == NULL) {
        return 1;
    }
    return same(&history->good, address) ? 0 : same(&history->bad, address) ? 2 : 1;
}

/* Sorts by rank; the resolver's order decides between addresses of the same rank. */
static void put_in_order(struct dial_list *list, const struct dial_history *history)
{
    for (size_t i = 1; i < list->count; i++) {
        const struct dial_address moved = list->entries[i];
        size_t at = i;

        for (; at > 0 && rank(history, &list->entries[at - 1]) > rank(history, &moved); at--) {
            list->entries[at] = list->entries[at - 1];
        }
        list->entries[at] = moved;
    }
}

int dial_resolve(const char *host, int port, const struct dial_history *history,
                 struct dial_list *out, char problem[DIAL_PROBLEM_SIZE])
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    char service[16];
    int rc;

    snprintf(service, sizeof(service), "%d", port);
    rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) {
        snprintf(problem, DIAL_PROBLEM_SIZE, "cannot resolve broker.host %.120s: %s", host,
                 rc == EAI_SYSTEM ? error_text(errno) : gai_strerror(rc));
        return -1;
    }
    out->count = 0;
    for (const struct addrinfo *a = found; a != NULL && out->count < DIAL_ADDRESSES_MAX;
         a = a->ai_next) {
        set_address(&out->entries[out->count++], a, port);
    }
    freeaddrinfo(found);
    put_in_order(out, history);
    return 0;
}

void dial_remember_good(struct dial_history *history, const struct dial_address *address)
{
    history->good = *address;
    if (same(&history->bad, address)) {
        history->bad.length = 0;
    }
}

void dial_remember_bad(struct dial_history *history)
{
    history->bad = history->good;
    history->good.length = 0;
}

void dial_list_text(const struct dial_list *list, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < list->count; i++) {
        const char *name = list->entries[i].name;
        size_t skip = name[0] == '[';
        size_t length = (size_t)(strrchr(name, ':') - name) - 2 * skip;

        if (used + length + sizeof(", ...") > size) {
            snprintf(out + used, size - used, ", ...");
            return;
        }
        used += (size_t)snprintf(out + used, size - used, "%s%.*s", used > 0 ? ", " : "",
                                 (int)length, name + skip);
    }
}
