/*
 * The gate's door: who gets a link. Each connection is accepted as soon as it is there, so that the
 * kernel's queue has room for Paho's; one that is not of this process is closed at once, counted
 * and named in the log. gate/gate.c tells why. Everything here is called by the gate's thread, with
 * the mutex held.
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

/* How long the listener rests when there is no descriptor even to turn somebody away. */
#define REST_MS 1000
/* Connections that one round takes before the links have their turn. */
#define ACCEPTS_MAX  32
#define STRANGERS_MS 60000 /* from one look at who a stranger is to the next */

static void watch_listener(struct gate *gate, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = &gate->listener};

    epoll_ctl(gate->epoll_fd, EPOLL_CTL_MOD, gate->listener.fd, &event);
}

/*
 * No descriptor is free. A connection that is not accepted stays in the queue and would wake the
 * thread without end: give up the spare descriptor for it and close it, so that the attempt fails
 * at once and has a reason. Where somebody else was faster, the listener takes a rest.
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

/* A connection of another program: close it so that the kernel keeps nothing of it either. */
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

/* A link for a connection of Paho's: a free one, or that of the oldest request. */
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

/* Returns whether the kernel may have another connection. */
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
        pthread_mutex_unlock(&gate->mutex); /* the log may be slow */
        say_stranger(gate, user);
        pthread_mutex_lock(&gate->mutex);
    }
}
