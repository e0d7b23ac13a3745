/*
 * Resolves a host name and connects to its addresses. The caller asks for another address when one
 * has failed later, because TCP is only the first stage at which an address can fail.
 *
 * dial_race() gives each address a head start over the next one (RFC 8305 §5). A packet filter that
 * drops packets without an answer then costs the head start and not the whole time limit.
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

#include "base/clock.h"
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

static const char *advice(enum dial_peer peer, int error)
{
    bool proxy = peer == DIAL_PROXY;

    switch (error) {
    case ECONNREFUSED:
        return proxy ? " (nothing listens there: is the proxy running, and is the port in "
                       "broker.proxy right?)"
                     : " (nothing listens there: is the broker running, and is broker.port right?)";
    case ETIMEDOUT:
        return proxy ? " (no answer: a firewall, or a wrong host in broker.proxy?)"
                     : " (no answer: a firewall, or a wrong broker.host?)";
    default:
        return "";
    }
}

/* Begins to connect. Returns 0 or EINPROGRESS with *fd set, or another errno with *fd -1. */
static int begin(const struct dial_address *address, int *fd)
{
    int error;

    *fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        return errno;
    }
    set_options(*fd);
    if (connect(*fd, (const struct sockaddr *)&address->socket, address->length) == 0) {
        return 0;
    }
    error = errno;
    if (error != EINPROGRESS) {
        close(*fd);
        *fd = -1;
    }
    return error;
}

int dial_connect(const struct dial_address *address, int timeout_ms, int stop_fd,
                 char problem[DIAL_PROBLEM_SIZE])
{
    int fd;
    int error = begin(address, &fd);

    if (error == EINPROGRESS) {
        error = wait_connected(fd, timeout_ms, stop_fd);
    }
    if (error == 0) {
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    problem[0] = '\0';
    if (error != ECANCELED) {
        snprintf(problem, DIAL_PROBLEM_SIZE, "%s%s", error_text(error),
                 advice(address->peer, error));
    }
    errno = error;
    return -1;
}

/* --- the race of a host's addresses --------------------------------------------------------- */

#define NOBODY (-1)

/* The addresses that are being tried. */
struct runners {
    struct dial_race *race;
    /* One for each address, -1: not started, or ended; and behind them stop_fd. poll() takes no
     * more of them than the process may have descriptors. */
    struct pollfd fds[DIAL_ADDRESSES_MAX + 1];
    int64_t since_ms[DIAL_ADDRESSES_MAX];
    int64_t next_ms; /* when the next address is started */
    int last;        /* the address that was started last, or NOBODY */
};

static void fail(struct runners *runners, size_t i, int error)
{
    struct dial_race *race = runners->race;
    char problem[DIAL_PROBLEM_SIZE];

    if (runners->fds[i].fd >= 0) {
        close(runners->fds[i].fd);
        runners->fds[i].fd = -1;
    }
    race->is_over[i] = true;
    runners->next_ms = clock_monotonic_ms();
    snprintf(problem, sizeof(problem), "%s%s", error_text(error),
             advice(race->list->entries[i].peer, error));
    race->tell(race->context, i, error, problem);
}

/* Returns the first address that is neither over nor started, or NOBODY. */
static int next_runner(const struct runners *runners)
{
    for (size_t i = 0; i < runners->race->list->count; i++) {
        if (!runners->race->is_over[i] && runners->fds[i].fd < 0) {
            return (int)i;
        }
    }
    return NOBODY;
}

/* Starts the next address. Returns its index when it is connected at once, else NOBODY. */
static int start_next(struct runners *runners, int next)
{
    struct dial_race *race = runners->race;
    int error;

    if (runners->last != NOBODY && runners->fds[runners->last].fd >= 0) {
        race->tell(race->context, (size_t)runners->last, EINPROGRESS, "");
    }
    error = begin(&race->list->entries[next], &runners->fds[next].fd);
    runners->since_ms[next] = clock_monotonic_ms();
    runners->next_ms = runners->since_ms[next] + race->head_start_ms;
    runners->last = next;
    if (error == 0) {
        return next;
    }
    if (error != EINPROGRESS) {
        fail(runners, (size_t)next, error);
    }
    return NOBODY;
}

/* Ends the addresses whose time is over. Returns how long to wait for the others, until `next_ms`
 * if another one is to be started then; -1 when there is nothing to wait for. */
static int64_t end_late(struct runners *runners, bool has_next)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t wait_ms = has_next ? runners->next_ms - now_ms : INT64_MAX;
    bool any = has_next;

    for (size_t i = 0; i < runners->race->list->count; i++) {
        int64_t left_ms = runners->since_ms[i] + runners->race->timeout_ms - now_ms;

        if (runners->fds[i].fd >= 0 && left_ms <= 0) {
            fail(runners, i, ETIMEDOUT);
            wait_ms = has_next ? 0 : wait_ms;
        } else if (runners->fds[i].fd >= 0) {
            any = true;
            wait_ms = left_ms < wait_ms ? left_ms : wait_ms;
        }
    }
    return !any ? -1 : wait_ms > 0 ? wait_ms : 0;
}

/* Fails every address that is being tried. */
static void fail_all(struct runners *runners, int error)
{
    for (size_t i = 0; i < runners->race->list->count; i++) {
        if (runners->fds[i].fd >= 0) {
            fail(runners, i, error);
        }
    }
}

/* Waits for an address that is connected. Returns its index, NOBODY, or DIAL_RACE_STOPPED. */
static int wait_for_one(struct runners *runners, int64_t wait_ms)
{
    size_t count = runners->race->list->count;
    int ready = poll(runners->fds, count + 1, (int)wait_ms);

    if (ready < 0 && errno != EINTR) {
        fail_all(runners, errno);
    }
    if (ready <= 0) {
        return NOBODY;
    }
    if (runners->fds[count].revents != 0) {
        return DIAL_RACE_STOPPED;
    }
    for (size_t i = 0; i < count; i++) {
        int error = 0;
        socklen_t length = sizeof(error);

        if (runners->fds[i].fd < 0 || runners->fds[i].revents == 0) {
            continue;
        }
        if (getsockopt(runners->fds[i].fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
            error = errno;
        }
        if (error == 0) {
            return (int)i;
        }
        fail(runners, i, error);
    }
    return NOBODY;
}

/* Closes the addresses that have not answered; they may be tried again in the same attempt. */
static void end_race(struct runners *runners, int winner)
{
    for (int i = 0; i < (int)runners->race->list->count; i++) {
        if (i != winner && runners->fds[i].fd >= 0) {
            close(runners->fds[i].fd);
        }
    }
}

int dial_race(struct dial_race *race, int *fd)
{
    struct runners runners = {.race = race, .next_ms = clock_monotonic_ms(), .last = NOBODY};
    int winner = NOBODY;

    for (size_t i = 0; i < race->list->count; i++) {
        runners.fds[i] = (struct pollfd){.fd = -1, .events = POLLOUT};
    }
    runners.fds[race->list->count] = (struct pollfd){.fd = race->stop_fd, .events = POLLIN};
    while (winner == NOBODY) {
        int next = next_runner(&runners);
        int64_t wait_ms;

        if (next != NOBODY && clock_monotonic_ms() >= runners.next_ms) {
            winner = start_next(&runners, next);
            continue;
        }
        wait_ms = end_late(&runners, next != NOBODY);
        if (wait_ms < 0) {
            return DIAL_RACE_LOST;
        }
        winner = wait_for_one(&runners, wait_ms);
    }
    end_race(&runners, winner);
    if (winner >= 0) {
        *fd = runners.fds[winner].fd;
    }
    return winner;
}

/* --- the addresses of a host --------------------------------------------------------------- */

static void set_address(struct dial_address *out, enum dial_peer peer, const struct addrinfo *from,
                        int port)
{
    char text[INET6_ADDRSTRLEN + 20] = "?";
    bool v6 = from->ai_family == AF_INET6;

    memset(out, 0, sizeof(*out));
    memcpy(&out->socket, from->ai_addr, from->ai_addrlen);
    out->length = from->ai_addrlen;
    out->peer = peer;
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

int dial_resolve(enum dial_peer peer, const char *host, int port,
                 const struct dial_history *history, struct dial_list *out,
                 char problem[DIAL_PROBLEM_SIZE])
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    char service[16];
    int rc;

    snprintf(service, sizeof(service), "%d", port);
    rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) {
        const char *reason = rc == EAI_SYSTEM ? error_text(errno) : gai_strerror(rc);

        if (peer == DIAL_PROXY) {
            snprintf(problem, DIAL_PROBLEM_SIZE,
                     "cannot resolve the host of broker.proxy, %.120s: %s", host, reason);
        } else {
            snprintf(problem, DIAL_PROBLEM_SIZE, "cannot resolve broker.host %.120s: %s", host,
                     reason);
        }
        return -1;
    }
    out->count = 0;
    for (const struct addrinfo *a = found; a != NULL && out->count < DIAL_ADDRESSES_MAX;
         a = a->ai_next) {
        set_address(&out->entries[out->count++], peer, a, port);
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
