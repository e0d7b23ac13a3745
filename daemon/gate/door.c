/*
 * The gate's listener: decides which connection gets a link. Each connection is accepted at once,
 * so that the kernel's queue keeps room for Paho's; a connection of another process is closed at
 * once, counted and logged. gate/gate.c explains why. Everything here is called by the gate's
 * thread, with the mutex held.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "gate/gate_internal.h"
#include "gate/stranger_internal.h"

/* How long the listener is not watched when there is no descriptor left even for a refusal. */
#define REST_MS 1000
/* Connections accepted in one round before the links are served. */
#define ACCEPTS_MAX  32
#define STRANGERS_MS 60000 /* from one lookup of a stranger's user to the next */

static void watch_listener(struct gate *gate, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = &gate->listener};

    epoll_ctl(gate->epoll_fd, EPOLL_CTL_MOD, gate->listener.fd, &event);
}

/*
 * No descriptor is free. A connection that is not accepted stays in the queue and would wake the
 * thread without end: close the spare descriptor, accept the connection in its place and close
 * that, so that the attempt fails at once with a reason. If another thread takes the descriptor
 * first, the listener is not watched for REST_MS.
 */
static void turn_away(struct gate *gate)
{
    int fd;

    if (gate->spare_fd >= 0) {
        close(gate->spare_fd);
    }
    fd = accept4(gate->listener.fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        close(fd);
    } else {
        watch_listener(gate, 0);
        gate->rest_until_ms = clock_monotonic_ms() + REST_MS;
    }
    gate->spare_fd = fcntl(gate->wake.fd, F_DUPFD_CLOEXEC, 0);
    for (unsigned i = 0; i < gate->session_count; i++) {
        if (gate->sessions[i].offered_fd >= 0) {
            struct link_ending *ending = &gate->sessions[i].record.ending;

            ending->closer = LINK_CLOSED_BY_DAEMON;
            snprintf(ending->reason, sizeof(ending->reason), "%s",
                     "no file descriptor is free: raise the limit (LimitNOFILE=, ulimit -n)");
        }
    }
}

void gate_end_rest(struct gate *gate)
{
    if (gate->rest_until_ms != 0 && clock_monotonic_ms() >= gate->rest_until_ms) {
        gate->rest_until_ms = 0;
        watch_listener(gate, EPOLLIN);
    }
}

/* Closes a connection of another program so that the kernel keeps no state of it either. */
static void refuse_stranger(struct gate *gate, int fd)
{
    const struct linger at_once = {.l_onoff = 1};
    int64_t now_ms = clock_monotonic_ms();

    gate->strangers++;
    if (gate->stranger_look_ms == 0 || now_ms - gate->stranger_look_ms >= STRANGERS_MS) {
        gate->stranger_look_ms = now_ms;
        gate->stranger_user = gate_stranger_user(fd);
        gate->stranger_unsaid = true;
    }
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd);
}

/* Returns a link for a connection of Paho's: a free one, or that of the oldest pending request. */
static struct link *link_for_request(struct gate *gate)
{
    struct link *oldest = NULL;

    for (unsigned i = 0; i < gate->link_count; i++) {
        struct link *link = &gate->links[i];

        if (link->phase == LINK_FREE) {
            return link;
        }
        if (link->phase == LINK_REQUEST && (oldest == NULL || link->since_ms < oldest->since_ms)) {
            oldest = link;
        }
    }
    if (oldest != NULL) {
        link_close(oldest, NULL);
    }
    return oldest;
}

/* Accepts one connection. Returns false when the round is over: no further connection, or no free
 * descriptor. */
static bool accept_one(struct gate *gate)
{
    const int on = 1;
    const int buffer = LINK_PAHO_BUFFER;
    int fd = accept4(gate->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int paho;
    struct link *link;

    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            turn_away(gate);
            return false;
        }
        return errno == ECONNABORTED;
    }
    paho = gate_stranger_own_end(fd);
    if (paho < 0) {
        refuse_stranger(gate, fd);
        return true;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
    setsockopt(paho, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
    link = link_for_request(gate);
    if (link != NULL) {
        link_accept(link, fd);
    } else {
        close(fd);
    }
    return true;
}

void gate_accept(struct gate *gate)
{
    for (int i = 0; i < ACCEPTS_MAX && accept_one(gate); i++) {
    }
}

static void say_stranger(struct gate *gate, long user)
{
    char owner[64] = "";

    if (user >= 0) {
        snprintf(owner, sizeof(owner), " of user number %ld", user);
    }
    log_line_limited(&gate->stranger_cause, LOG_WARNING, NULL,
                     "another program%s on this machine connects to 127.0.0.1:%d, the daemon's own "
                     "relay to the broker, and is turned away; the broker has no part in it: stop "
                     "that program (ss -tnp 'dport = :%d' shows it)",
                     owner, gate->port, gate->port);
}

void gate_say_stranger(struct gate *gate)
{
    long user = gate->stranger_user;

    if (gate->stranger_unsaid) {
        gate->stranger_unsaid = false;
        pthread_mutex_unlock(&gate->mutex); /* logging may block */
        say_stranger(gate, user);
        pthread_mutex_lock(&gate->mutex);
    }
}
