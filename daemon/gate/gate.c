/*
 * The gate: a relay that withholds acknowledgements.
 *
 *     Paho ──TLS──▶ gate ──the same TLS──▶ broker
 *
 * Paho cannot delay an acknowledgement: it writes a PUBREC or PUBACK as soon as its callbacks
 * return. So the acknowledgements are held outside Paho. Paho connects to the gate as to an HTTP
 * proxy (CONNECT), and TLS stays end to end between Paho and the broker: the gate sees only
 * ciphertext, which is enough.
 *
 *  - Towards Paho it forwards at once.
 *  - Towards the broker every byte waits in a struct hold until all messages numbered before the
 *    byte was read are durable: hold_until_durable() is the rule. When nothing is pending, bytes
 *    pass at once. While a commit runs, further acknowledgements gather behind it and leave with
 *    the next: group commit without a timer, one fsync for a whole in-flight window.
 *  - When the intake refuses a message or a commit fails, the link is severed. The broker has
 *    received no acknowledgement and sends everything again.
 *
 * The session dials the broker itself and hands the connected socket over (gate_offer()), so that
 * CONNECT is answered at once. Paho waits for that answer holding its global lock: a broker that
 * takes seconds to accept must not stop the other sessions.
 *
 * With a small window messages are handled in lockstep, and Paho's thread relays itself:
 * gate/lockstep.c.
 *
 * Only this process may use the port. Every program of the machine can connect to it, and must not
 * use up what Paho needs: a link, a place in the kernel's queue, the time of this thread. So each
 * connection is accepted at once, and one whose other end is not a socket of this process
 * (gate/stranger.c) is closed at once: it never gets a link, the gate never waits for it, and no
 * state of it remains. A limit on pending requests would not be enough: Paho connects first and
 * sends its request later, so a program that connects fast enough would displace it. Paho's shared
 * library cannot connect to a Unix socket. Beyond that a request needs the session's random token,
 * and the target has to be the configured broker.
 *
 * The thread holds the mutex except while it waits in epoll, so when gate_sever() returns, nothing
 * more is written on that link. Its work between two waits is bounded: every write is non-blocking.
 * After a commit the writer's thread itself sends the released bytes, holding the mutex too
 * (gate_release()): waking the gate's thread instead would cost a thread switch for every commit.
 * If that ends a link for which epoll has already reported an event, the event finds a free link
 * and is ignored.
 */
#include "gate/gate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
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

#include "base/clock.h"
#include "gate/connect_request_internal.h"
#include "gate/gate_internal.h"

#define TICK_MS 500
/* Connections that the kernel may queue while this thread is busy. */
#define BACKLOG 4096

/* --- opening a link ------------------------------------------------------------------------ */

static bool same(const char *slice, size_t length, const char *string)
{
    return slice != NULL && length == strlen(string) && memcmp(slice, string, length) == 0;
}

/* Returns the session whose token the request carries, or -1. */
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

static void refuse(struct link *link, const char *status)
{
    char answer[64];
    int length = snprintf(answer, sizeof(answer), "HTTP/1.1 %s\r\n\r\n", status);

    /* One segment on a fresh loopback connection: it is taken whole or the peer has gone. */
    (void)!send(link->paho.fd, answer, (size_t)length, MSG_NOSIGNAL);
    link_close(link, NULL);
}

/* Closes what is left of the session's earlier links: a session has one link. */
static void close_earlier(struct gate *gate, const struct link *keep, unsigned session)
{
    for (unsigned i = 0; i < gate->link_count; i++) {
        struct link *link = &gate->links[i];

        if (link != keep && link->phase > LINK_REQUEST && link->session == session) {
            link_close(link, "replaced by a new connection");
        }
    }
}

static void open_link(struct gate *gate, struct link *link, unsigned session)
{
    static const char answer[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    int fd = gate->sessions[session].offered_fd;

    gate->sessions[session].offered_fd = -1;
    close_earlier(gate, link, session);
    if (!link_open(link, session, &gate->sessions[session].record, fd)) {
        refuse(link, "502 Bad Gateway");
    } else if (send(link->paho.fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) !=
               (ssize_t)sizeof(answer) - 1) {
        link_close(link, "the gate could not answer");
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
            link_close(link, NULL);
        }
        return;
    }
    link->request_length += (size_t)got;
    switch (connect_request_parse(link->request, link->request_length, &request)) {
    case CONNECT_REQUEST_OK:
        session = session_of(gate, &request);
        if (session < 0 || request.length != link->request_length) {
            refuse(link, "407 Proxy Authentication Required");
        } else if (!same(request.target, request.target_length, gate->target)) {
            refuse(link, "403 Forbidden");
        } else if (gate->sessions[session].offered_fd < 0) {
            refuse(link, "502 Bad Gateway");
        } else {
            open_link(gate, link, (unsigned)session);
        }
        break;
    case CONNECT_REQUEST_E_MORE:
        if (link->request_length == sizeof(link->request)) {
            refuse(link, "400 Bad Request");
        }
        break;
    case CONNECT_REQUEST_E_MALFORMED:
        refuse(link, "400 Bad Request");
        break;
    }
}

/* --- the thread ---------------------------------------------------------------------------- */

static void serve(struct gate *gate, const struct link_end *end, uint32_t events)
{
    struct link *link = end->link;

    /* An earlier event of the same round may have ended the link. */
    if (link->phase == LINK_REQUEST) {
        read_request(gate, link);
    } else if (link->phase != LINK_FREE) {
        link_serve(link, end, events);
    }
}

/* Returns how long to wait for events. */
static int pause_ms(const struct gate *gate)
{
    for (unsigned i = 0; i < gate->link_count; i++) {
        if (gate->links[i].phase == LINK_OPEN && gate->links[i].ack_at_ms != 0) {
            return 1;
        }
    }
    return TICK_MS;
}

static void *run(void *argument)
{
    struct gate *gate = argument;
    struct epoll_event events[16];

    pthread_setname_np(pthread_self(), "gate");
    pulse_attach(&gate->pulse);
    pthread_mutex_lock(&gate->mutex);
    while (!gate->stopping) {
        int wait_ms = pause_ms(gate);
        int count;

        pulse_beat();
        pthread_mutex_unlock(&gate->mutex);
        count = epoll_wait(gate->epoll_fd, events, 16, wait_ms);
        pthread_mutex_lock(&gate->mutex);
        for (int i = 0; i < count; i++) {
            struct link_end *end = events[i].data.ptr;
            uint64_t value;

            if (end == &gate->wake) {
                (void)!read(gate->wake.fd, &value, sizeof(value));
                gate_catch_up(gate, false);
            } else if (end == &gate->listener) {
                gate_accept(gate);
            } else {
                serve(gate, end, events[i].events);
            }
        }
        if (count == 0) {
            gate_catch_up(gate, true); /* bytes that gate_written() did not report */
        }
        for (unsigned i = 0; i < gate->link_count; i++) {
            link_settle(&gate->links[i]);
        }
        gate_end_rest(gate);
        gate_say_stranger(gate);
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
    int error;

    if (fd < 0) {
        return -errno;
    }
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, BACKLOG) != 0 || getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        error = -errno;
        close(fd);
        return error;
    }
    gate->port = ntohs(address.sin_port);
    return link_end_watch(gate->epoll_fd, &gate->listener, fd, EPOLLIN) != 0 ? -errno : 0;
}

static int set_up(struct gate *gate, const char *target, unsigned session_count,
                  const struct watermark *watermark)
{
    int fd;

    gate->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (gate->epoll_fd < 0 || fd < 0 ||
        link_end_watch(gate->epoll_fd, &gate->wake, fd, EPOLLIN) != 0) {
        return -errno;
    }
    gate->spare_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    gate->watermark = watermark;
    gate->target = strdup(target);
    gate->sessions = calloc(session_count, sizeof(*gate->sessions));
    /* Room for each session's link, for one that is still closing, and for four requests that
     * fail. */
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

        link->epoll_fd = gate->epoll_fd;
        link->watermark = watermark;
        link->mode = &gate->mode;
        link->paho = (struct link_end){.link = link, .fd = -1};
        link->broker = (struct link_end){.link = link, .fd = -1};
    }
    return listen_on_loopback(gate);
}

static void tear_down(struct gate *gate)
{
    for (unsigned i = 0; gate->links != NULL && i < gate->link_count; i++) {
        link_end_close(&gate->links[i].paho);
        link_end_close(&gate->links[i].broker);
    }
    for (unsigned i = 0; i < gate->session_count; i++) {
        if (gate->sessions[i].offered_fd >= 0) {
            close(gate->sessions[i].offered_fd);
        }
    }
    link_end_close(&gate->listener);
    link_end_close(&gate->wake);
    if (gate->spare_fd >= 0) {
        close(gate->spare_fd);
    }
    if (gate->epoll_fd >= 0) {
        close(gate->epoll_fd);
    }
    free(gate->links);
    free(gate->sessions);
    free(gate->target);
    pthread_mutex_destroy(&gate->mutex);
    free(gate);
}

int gate_new(struct gate **out, const char *target, unsigned session_count, bool paho_at_once,
             const struct watermark *watermark)
{
    struct gate *gate = calloc(1, sizeof(*gate));
    int rc;

    if (gate == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&gate->mutex, NULL);
    gate->epoll_fd = gate->listener.fd = gate->wake.fd = gate->spare_fd = -1;
    gate->mode.paho_at_once = paho_at_once;
    rc = set_up(gate, target, session_count, watermark);
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
    int before;

    pthread_mutex_lock(&gate->mutex);
    before = gate->sessions[session].offered_fd;
    gate->sessions[session].offered_fd = broker_fd;
    gate->sessions[session].record.ending = (struct link_ending){0};
    pthread_mutex_unlock(&gate->mutex);
    if (before >= 0) {
        close(before);
    }
}

void gate_wake(struct gate *gate)
{
    const uint64_t one = 1;

    /* Fails only when the counter is full, and then the thread is waking anyway. */
    (void)!write(gate->wake.fd, &one, sizeof(one));
}

void gate_release(struct gate *gate)
{
    if (pthread_mutex_trylock(&gate->mutex) != 0) {
        gate_wake(gate); /* the gate's thread is awake, but may have served the links already */
        return;
    }
    gate_catch_up(gate, false);
    for (unsigned i = 0; i < gate->link_count; i++) {
        link_settle(&gate->links[i]);
    }
    pthread_mutex_unlock(&gate->mutex);
}

void gate_sever(struct gate *gate, unsigned session, const char *reason)
{
    pthread_mutex_lock(&gate->mutex);
    for (unsigned i = 0; i < gate->link_count; i++) {
        if (gate->links[i].session == session) {
            link_sever(&gate->links[i], reason);
        }
    }
    pthread_mutex_unlock(&gate->mutex);
    gate_wake(gate);
}

void gate_sever_all(struct gate *gate, const char *reason)
{
    pthread_mutex_lock(&gate->mutex);
    for (unsigned i = 0; i < gate->link_count; i++) {
        link_sever(&gate->links[i], reason);
    }
    pthread_mutex_unlock(&gate->mutex);
    gate_wake(gate);
}

void gate_quiesce(struct gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->mode.quiesced = true;
    pthread_mutex_unlock(&gate->mutex);
    gate_wake(gate);
}

void gate_link_status(struct gate *gate, unsigned session, struct gate_link_status *out)
{
    const struct link_record *record = &gate->sessions[session].record;

    memset(out, 0, sizeof(*out));
    pthread_mutex_lock(&gate->mutex);
    out->ending = record->ending;
    for (unsigned i = 0; i < gate->link_count; i++) {
        const struct link *link = &gate->links[i];

        if (link->session == session && link->phase == LINK_OPEN && !link->severed) {
            out->open = true;
            out->held_bytes = hold_length(&link->hold);
            link_ending(link, &out->ending);
        }
    }
    out->opened = record->opened;
    out->from_broker_bytes = record->from_broker_bytes;
    out->to_broker_bytes = record->to_broker_bytes;
    pthread_mutex_unlock(&gate->mutex);
}

uint64_t gate_strangers(struct gate *gate)
{
    uint64_t strangers;

    pthread_mutex_lock(&gate->mutex);
    strangers = gate->strangers;
    pthread_mutex_unlock(&gate->mutex);
    return strangers;
}

unsigned gate_open_links(struct gate *gate)
{
    unsigned open = 0;

    pthread_mutex_lock(&gate->mutex);
    for (unsigned i = 0; i < gate->link_count; i++) {
        open += gate->links[i].phase > LINK_REQUEST;
    }
    pthread_mutex_unlock(&gate->mutex);
    return open;
}

const struct pulse *gate_pulse(const struct gate *gate)
{
    return &gate->pulse;
}
