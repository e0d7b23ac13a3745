/*
 * The gate: a relay that withholds acknowledgements.
 *
 *     Paho ──TLS──▶ gate ──the same TLS──▶ broker
 *
 * Paho cannot be told "not yet": it writes a PUBREC or PUBACK as soon as its callbacks return. So
 * the acknowledgements are held outside it. Paho connects to the gate as to an HTTP proxy (CONNECT)
 * and TLS stays end to end between Paho and the broker: the gate sees ciphertext, and needs no
 * more.
 *
 *  - Towards Paho it forwards at once.
 *  - Towards the broker every byte waits in a struct hold until all messages numbered before the
 *    byte was read are durable: hold_until_durable() is the rule. When nothing is pending, bytes
 * pass at once. While a commit runs, further acknowledgements gather behind it and leave with the
 *    next: group commit without a timer, one fsync for a whole in-flight window.
 *  - When a message is not taken or a commit fails, the link is severed. The broker has heard no
 *    acknowledgement and sends everything again.
 *
 * The session dials the broker itself and hands the connected socket over (gate_offer()), so that
 * CONNECT is answered at once. Paho waits for that answer holding its global lock: a broker that
 * takes seconds to accept must not stop the other sessions.
 *
 * Only this process may use the port: a request needs the session's random token, and the target
 * has to be the configured broker.
 *
 * The thread holds the mutex except while it waits in epoll, so when gate_sever() returns, nothing
 * more is written on that link. Its work between two waits is bounded: every write is non-blocking.
 */
#include "gate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "connect_request.h"
#include "hold.h"
#include "token.h"

#define DOWN_CAPACITY    ((size_t)64 * 1024)
#define REQUEST_LIMIT_MS 10000 /* from accept to a complete CONNECT */
#define LINGER_LIMIT_MS  1000  /* from our FIN to the broker's */
#define TICK_MS          500

enum phase {
    PHASE_FREE,
    PHASE_REQUEST, /* accepted, CONNECT not complete */
    PHASE_OPEN,    /* relaying */
    PHASE_DRAIN,   /* Paho has closed; what is held still goes out when it may */
    PHASE_LINGER,  /* all is out and our FIN sent; reading the broker's last bytes away */
};

struct end {
    struct link *link; /* NULL for the listener and the wake-up */
    int fd;
    uint32_t events; /* what epoll watches now */
};

struct link {
    enum phase phase;
    unsigned session;
    bool severed;
    int64_t since_ms; /* of the phase; monotonic */
    struct end paho;
    struct end broker;
    char request[CONNECT_REQUEST_MAX];
    size_t request_length;
    struct hold hold;            /* Paho to broker */
    uint8_t down[DOWN_CAPACITY]; /* broker to Paho */
    size_t down_start;
    size_t down_end;
};

struct session_link {
    struct token token;
    int offered_fd; /* -1: none */
    uint64_t from_broker_bytes;
    uint64_t to_broker_bytes;
    char ended[GATE_REASON_SIZE];
};

struct gate {
    pthread_t thread;
    pthread_mutex_t mutex;
    const struct watermark *watermark;
    char *target;
    int port;
    int epoll_fd;
    struct end listener;
    struct end wake;
    bool stopping;
    bool quiesced;
    _Atomic int64_t last_seen_ms;
    struct session_link *sessions;
    unsigned session_count;
    struct link *links;
    unsigned link_count;
};

/* --- watching ------------------------------------------------------------------------------ */

static void watch(struct gate *gate, struct end *end, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = end};

    if (end->fd >= 0 && end->events != events) {
        epoll_ctl(gate->epoll_fd, EPOLL_CTL_MOD, end->fd, &event);
        end->events = events;
    }
}

static int watch_new(struct gate *gate, struct end *end, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = end};

    end->fd = fd;
    end->events = events;
    return epoll_ctl(gate->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void end_close(struct end *end)
{
    if (end->fd >= 0) {
        close(end->fd); /* epoll forgets it with its last descriptor */
        end->fd = -1;
    }
}

static void enter(struct link *link, enum phase phase)
{
    link->phase = phase;
    link->since_ms = clock_monotonic_ms();
}

static void link_close(struct gate *gate, struct link *link, const char *reason)
{
    if (link->phase != PHASE_FREE && link->phase != PHASE_REQUEST && reason != NULL) {
        snprintf(gate->sessions[link->session].ended, GATE_REASON_SIZE, "%s", reason);
    }
    end_close(&link->paho);
    end_close(&link->broker);
    link->phase = PHASE_FREE;
}

/* Read what matters next: nothing that there is no room for, and nothing from a broker that we are
 * taking leave of. */
static void link_watch(struct gate *gate, struct link *link)
{
    size_t room;
    size_t ready;
    uint32_t paho = 0;
    uint32_t broker = 0;

    if (link->phase == PHASE_OPEN) {
        hold_space(&link->hold, &room);
        paho |= room > 0 ? (uint32_t)EPOLLIN : 0;
        paho |= link->down_end > link->down_start ? (uint32_t)EPOLLOUT : 0;
        broker |= link->down_end < DOWN_CAPACITY && !gate->quiesced ? (uint32_t)EPOLLIN : 0;
    }
    if (link->phase == PHASE_OPEN || link->phase == PHASE_DRAIN) {
        hold_until_durable(&link->hold, atomic_load(&gate->watermark->durable), &ready);
        broker |= ready > 0 ? (uint32_t)EPOLLOUT : 0;
    }
    if (link->phase == PHASE_LINGER) {
        broker |= EPOLLIN;
    }
    watch(gate, &link->paho, paho);
    watch(gate, &link->broker, broker);
}

/* --- towards the broker -------------------------------------------------------------------- */

/* Send what the rule allows; take leave of the broker when Paho has gone and nothing is held. */
static void send_held(struct gate *gate, struct link *link)
{
    struct session_link *session = &gate->sessions[link->session];

    for (;;) {
        size_t length;
        const uint8_t *bytes =
            hold_until_durable(&link->hold, atomic_load(&gate->watermark->durable), &length);
        ssize_t sent;

        if (length == 0) {
            break;
        }
        sent = send(link->broker.fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                link_close(gate, link, strerror(errno));
            }
            return;
        }
        hold_consume(&link->hold, (size_t)sent);
        session->to_broker_bytes += (uint64_t)sent;
    }
    if (link->phase == PHASE_DRAIN && hold_length(&link->hold) == 0) {
        shutdown(link->broker.fd, SHUT_WR);
        enter(link, PHASE_LINGER);
    }
}

/* Paho has closed its side: what it has written still leaves when it may. */
static void paho_closed(struct link *link)
{
    end_close(&link->paho);
    enter(link, PHASE_DRAIN);
}

static void read_paho(struct gate *gate, struct link *link)
{
    size_t room;
    uint8_t *space = hold_space(&link->hold, &room);
    ssize_t got = room > 0 ? recv(link->paho.fd, space, room, 0) : -1;

    if (room == 0) {
        paho_closed(link); /* gone with more to say than fits: the broker will send that again */
    } else if (got > 0) {
        /* Read after recv(): whatever these bytes acknowledge was numbered before they came. */
        hold_append(&link->hold, (size_t)got, atomic_load(&gate->watermark->taken));
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        paho_closed(link);
    }
}

/* --- towards Paho -------------------------------------------------------------------------- */

static void send_down(struct link *link)
{
    while (link->down_end > link->down_start) {
        ssize_t sent = send(link->paho.fd, link->down + link->down_start,
                            link->down_end - link->down_start, MSG_NOSIGNAL);

        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                paho_closed(link);
            }
            return;
        }
        link->down_start += (size_t)sent;
    }
    link->down_start = 0;
    link->down_end = 0;
}

static void read_broker(struct gate *gate, struct link *link)
{
    bool relaying = link->phase == PHASE_OPEN;
    size_t room;
    ssize_t got;

    if (!relaying) {
        link->down_start = link->down_end = 0; /* nobody is left to read it */
    } else if (link->down_start > 0 && link->down_end == DOWN_CAPACITY) {
        memmove(link->down, link->down + link->down_start, link->down_end - link->down_start);
        link->down_end -= link->down_start;
        link->down_start = 0;
    }
    room = DOWN_CAPACITY - link->down_end;
    got = room > 0 ? recv(link->broker.fd, link->down + link->down_end, room, 0) : -1;
    if (got > 0) {
        gate->sessions[link->session].from_broker_bytes += (uint64_t)got;
        if (relaying) {
            link->down_end += (size_t)got;
            send_down(link);
        }
    } else if (room == 0 || got == 0) {
        /* No room: only a hang-up is reported then, and Paho is not reading. */
        link_close(gate, link, relaying ? "the broker closed the connection" : NULL);
    } else if (errno != EAGAIN && errno != EINTR) {
        link_close(gate, link, relaying ? strerror(errno) : NULL);
    }
}

/* --- opening a link ------------------------------------------------------------------------ */

static bool same(const char *slice, size_t length, const char *string)
{
    return slice != NULL && length == strlen(string) && memcmp(slice, string, length) == 0;
}

/* The session whose token the request carries, or -1. */
static int session_of(const struct gate *gate, const struct connect_request *request)
{
    for (unsigned i = 0; i < gate->session_count; i++) {
        if (same(request->credentials, request->credentials_length,
                 gate->sessions[i].token.basic)) {
            return (int)i;
        }
    }
    return -1;
}

static void refuse(struct gate *gate, struct link *link, const char *status)
{
    char answer[64];
    int length = snprintf(answer, sizeof(answer), "HTTP/1.1 %s\r\n\r\n", status);

    /* One segment on a fresh loopback connection: it is taken whole or the peer has gone. */
    (void)!send(link->paho.fd, answer, (size_t)length, MSG_NOSIGNAL);
    link_close(gate, link, NULL);
}

/* A session has one link: what is left of an earlier one makes way. */
static void close_earlier(struct gate *gate, const struct link *keep, unsigned session)
{
    for (unsigned i = 0; i < gate->link_count; i++) {
        struct link *link = &gate->links[i];

        if (link != keep && link->phase > PHASE_REQUEST && link->session == session) {
            link_close(gate, link, "replaced by a new connection");
        }
    }
}

static void open_link(struct gate *gate, struct link *link, unsigned session)
{
    static const char answer[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    int fd = gate->sessions[session].offered_fd;

    gate->sessions[session].offered_fd = -1;
    close_earlier(gate, link, session);
    link->session = session;
    if (watch_new(gate, &link->broker, fd, 0) != 0) {
        close(fd);
        link->broker.fd = -1;
        refuse(gate, link, "502 Bad Gateway");
        return;
    }
    enter(link, PHASE_OPEN);
    hold_reset(&link->hold);
    link->down_start = link->down_end = 0;
    if (send(link->paho.fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) !=
        (ssize_t)sizeof(answer) - 1) {
        link_close(gate, link, "the gate could not answer");
    }
}

static void read_request(struct gate *gate, struct link *link)
{
    size_t room = sizeof(link->request) - link->request_length;
    ssize_t got = recv(link->paho.fd, link->request + link->request_length, room, 0);
    struct connect_request request;
    int session;

    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            link_close(gate, link, NULL);
        }
        return;
    }
    link->request_length += (size_t)got;
    switch (connect_request_parse(link->request, link->request_length, &request)) {
    case CONNECT_REQUEST_OK:
        session = session_of(gate, &request);
        if (session < 0 || request.length != link->request_length) {
            refuse(gate, link, "407 Proxy Authentication Required");
        } else if (!same(request.target, request.target_length, gate->target)) {
            refuse(gate, link, "403 Forbidden");
        } else if (gate->sessions[session].offered_fd < 0) {
            refuse(gate, link, "502 Bad Gateway");
        } else {
            open_link(gate, link, (unsigned)session);
        }
        break;
    case CONNECT_REQUEST_E_MORE:
        if (link->request_length == sizeof(link->request)) {
            refuse(gate, link, "400 Bad Request");
        }
        break;
    case CONNECT_REQUEST_E_MALFORMED:
        refuse(gate, link, "400 Bad Request");
        break;
    }
}

static void accept_one(struct gate *gate)
{
    const int on = 1;
    int fd = accept4(gate->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        return; /* gone again, or no descriptor free: the session's attempt fails and says so */
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    for (unsigned i = 0; i < gate->link_count; i++) {
        struct link *link = &gate->links[i];

        if (link->phase == PHASE_FREE) {
            link->severed = false;
            link->request_length = 0;
            link->broker.fd = -1;
            enter(link, PHASE_REQUEST);
            if (watch_new(gate, &link->paho, fd, EPOLLIN) != 0) {
                link_close(gate, link, NULL);
            }
            return;
        }
    }
    close(fd);
}

/* --- the thread ---------------------------------------------------------------------------- */

static void serve(struct gate *gate, struct end *end, uint32_t events)
{
    struct link *link = end->link;
    const uint32_t gone = EPOLLHUP | EPOLLERR;

    /* The descriptor may have been closed by an earlier event of the same round. */
    if (link->phase == PHASE_FREE || link->severed || end->fd < 0) {
        return;
    }
    if (link->phase == PHASE_REQUEST) {
        read_request(gate, link);
    } else if (end == &link->paho) {
        if ((events & EPOLLOUT) != 0) {
            send_down(link);
        }
        if (link->phase == PHASE_OPEN && (events & (EPOLLIN | gone)) != 0) {
            read_paho(gate, link);
        }
    } else if ((events & (EPOLLIN | gone)) != 0) {
        /* A broker that has gone cannot take what is held: no use in sending first. */
        read_broker(gate, link);
    }
}

static bool expired(const struct link *link)
{
    int64_t age_ms = clock_monotonic_ms() - link->since_ms;

    return (link->phase == PHASE_REQUEST && age_ms > REQUEST_LIMIT_MS) ||
           (link->phase == PHASE_LINGER && age_ms > LINGER_LIMIT_MS);
}

/* After the events of a round: let out what may leave, drop what was severed. */
static void settle(struct gate *gate)
{
    for (unsigned i = 0; i < gate->link_count; i++) {
        struct link *link = &gate->links[i];

        if (link->severed || (link->phase != PHASE_FREE && expired(link))) {
            link->severed = false;
            link_close(gate, link, NULL);
        }
        if (link->phase == PHASE_OPEN || link->phase == PHASE_DRAIN) {
            send_held(gate, link);
        }
        if (link->phase != PHASE_FREE && link->phase != PHASE_REQUEST) {
            link_watch(gate, link);
        }
    }
}

static void *run(void *argument)
{
    struct gate *gate = argument;
    struct epoll_event events[16];

    pthread_setname_np(pthread_self(), "gate");
    pthread_mutex_lock(&gate->mutex);
    while (!gate->stopping) {
        int count;

        atomic_store(&gate->last_seen_ms, clock_monotonic_ms());
        pthread_mutex_unlock(&gate->mutex);
        count = epoll_wait(gate->epoll_fd, events, 16, TICK_MS);
        pthread_mutex_lock(&gate->mutex);
        for (int i = 0; i < count; i++) {
            struct end *end = events[i].data.ptr;
            uint64_t value;

            if (end == &gate->wake) {
                (void)!read(gate->wake.fd, &value, sizeof(value));
            } else if (end == &gate->listener) {
                accept_one(gate);
            } else {
                serve(gate, end, events[i].events);
            }
        }
        settle(gate);
    }
    pthread_mutex_unlock(&gate->mutex);
    return NULL;
}

/* --- the contract -------------------------------------------------------------------------- */

static int listen_on_loopback(struct gate *gate)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    gate->listener.fd = fd;
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        return -errno;
    }
    gate->port = ntohs(address.sin_port);
    return watch_new(gate, &gate->listener, fd, EPOLLIN) != 0 ? -errno : 0;
}

static int set_up(struct gate *gate, const char *target, unsigned session_count)
{
    int fd;

    gate->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (gate->epoll_fd < 0 || fd < 0 || watch_new(gate, &gate->wake, fd, EPOLLIN) != 0) {
        return -errno;
    }
    gate->target = strdup(target);
    gate->sessions = calloc(session_count, sizeof(*gate->sessions));
    /* Room for each session's link, one it is taking leave of, and a few strangers. */
    gate->link_count = 2 * session_count + 4;
    gate->links = calloc(gate->link_count, sizeof(*gate->links));
    if (gate->target == NULL || gate->sessions == NULL || gate->links == NULL) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < session_count; i++) {
        gate->sessions[i].offered_fd = -1;
        if (token_make(&gate->sessions[i].token, i) != 0) {
            return -EIO;
        }
        gate->session_count = i + 1;
    }
    for (unsigned i = 0; i < gate->link_count; i++) {
        struct link *link = &gate->links[i];

        link->paho = (struct end){.link = link, .fd = -1};
        link->broker = (struct end){.link = link, .fd = -1};
    }
    return listen_on_loopback(gate);
}

static void tear_down(struct gate *gate)
{
    for (unsigned i = 0; gate->links != NULL && i < gate->link_count; i++) {
        end_close(&gate->links[i].paho);
        end_close(&gate->links[i].broker);
    }
    for (unsigned i = 0; i < gate->session_count; i++) {
        if (gate->sessions[i].offered_fd >= 0) {
            close(gate->sessions[i].offered_fd);
        }
    }
    end_close(&gate->listener);
    end_close(&gate->wake);
    if (gate->epoll_fd >= 0) {
        close(gate->epoll_fd);
    }
    free(gate->links);
    free(gate->sessions);
    free(gate->target);
    pthread_mutex_destroy(&gate->mutex);
    free(gate);
}

int gate_new(struct gate **out, const char *target, unsigned session_count,
             const struct watermark *watermark)
{
    struct gate *gate = calloc(1, sizeof(*gate));
    int rc;

    if (gate == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&gate->mutex, NULL);
    gate->epoll_fd = gate->listener.fd = gate->wake.fd = -1;
    gate->watermark = watermark;
    atomic_store(&gate->last_seen_ms, clock_monotonic_ms());
    rc = set_up(gate, target, session_count);
    if (rc == 0) {
        rc = -pthread_create(&gate->thread, NULL, run, gate);
    }
    if (rc != 0) {
        tear_down(gate);
        return rc;
    }
    *out = gate;
    return 0;
}

void gate_free(struct gate *gate)
{
    if (gate == NULL) {
        return;
    }
    pthread_mutex_lock(&gate->mutex);
    gate->stopping = true;
    pthread_mutex_unlock(&gate->mutex);
    gate_wake(gate);
    pthread_join(gate->thread, NULL);
    tear_down(gate);
}

void gate_authority(const struct gate *gate, unsigned session, char out[GATE_AUTHORITY_SIZE])
{
    const struct token *token = &gate->sessions[session].token;

    snprintf(out, GATE_AUTHORITY_SIZE, "%s:%s@127.0.0.1:%d", token->user, token->password,
             gate->port);
}

void gate_offer(struct gate *gate, unsigned session, int broker_fd)
{
    int *offered = &gate->sessions[session].offered_fd;

    pthread_mutex_lock(&gate->mutex);
    if (*offered >= 0) {
        close(*offered);
    }
    *offered = broker_fd;
    pthread_mutex_unlock(&gate->mutex);
}

void gate_wake(struct gate *gate)
{
    const uint64_t one = 1;

    /* Fails only when the counter is full: the thread is about to wake then. */
    (void)!write(gate->wake.fd, &one, sizeof(one));
}

/* With the mutex held. The thread closes the descriptors when it comes round. */
static void sever(struct gate *gate, struct link *link, const char *reason)
{
    if (link->phase > PHASE_REQUEST && !link->severed) {
        link->severed = true;
        snprintf(gate->sessions[link->session].ended, GATE_REASON_SIZE, "%s", reason);
    }
}

void gate_sever(struct gate *gate, unsigned session, const char *reason)
{
    pthread_mutex_lock(&gate->mutex);
    for (unsigned i = 0; i < gate->link_count; i++) {
        if (gate->links[i].session == session) {
            sever(gate, &gate->links[i], reason);
        }
    }
    pthread_mutex_unlock(&gate->mutex);
    gate_wake(gate);
}

void gate_sever_all(struct gate *gate, const char *reason)
{
    pthread_mutex_lock(&gate->mutex);
    for (unsigned i = 0; i < gate->link_count; i++) {
        sever(gate, &gate->links[i], reason);
    }
    pthread_mutex_unlock(&gate->mutex);
    gate_wake(gate);
}

void gate_quiesce(struct gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->quiesced = true;
    pthread_mutex_unlock(&gate->mutex);
    gate_wake(gate);
}

void gate_link_status(struct gate *gate, unsigned session, struct gate_link_status *out)
{
    const struct session_link *state = &gate->sessions[session];

    memset(out, 0, sizeof(*out));
    pthread_mutex_lock(&gate->mutex);
    for (unsigned i = 0; i < gate->link_count; i++) {
        const struct link *link = &gate->links[i];

        if (link->session == session && link->phase == PHASE_OPEN && !link->severed) {
            out->open = true;
            out->held_bytes = hold_length(&link->hold);
        }
    }
    out->from_broker_bytes = state->from_broker_bytes;
    out->to_broker_bytes = state->to_broker_bytes;
    memcpy(out->ended, state->ended, sizeof(out->ended));
    pthread_mutex_unlock(&gate->mutex);
}

unsigned gate_open_links(struct gate *gate)
{
    unsigned open = 0;

    pthread_mutex_lock(&gate->mutex);
    for (unsigned i = 0; i < gate->link_count; i++) {
        open += gate->links[i].phase > PHASE_REQUEST;
    }
    pthread_mutex_unlock(&gate->mutex);
    return open;
}

int64_t gate_last_seen_ms(const struct gate *gate)
{
    return atomic_load(&gate->last_seen_ms);
}
