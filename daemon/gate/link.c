/*
 * Relaying one link. See gate/gate.c for what it is for, and hold_until_durable() for the rule.
 *
 * Nothing here blocks. A full buffer stops the reading on its other side, so that TCP pushes back
 * on whoever sends too fast. One buffer must not fill: when the hold is full, Paho's next write
 * blocks, and with it every other session. So the broker is not read while much is held for it
 * (LINK_HELD_HIGH), the buffers towards Paho are so small that the answers to their messages fit
 * into the hold, and a broker that then takes nothing for long is disconnected.
 */
#include "gate/link_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error_text.h"

#define BROKER_CLOSED "the broker closed the connection"

#define REQUEST_LIMIT_MS 10000 /* from accept to a complete CONNECT */
#define ACK_DELAY_MS     1
#define LITTLE           4096 /* a read of at most so many bytes has emptied the socket */
#define LINGER_LIMIT_MS  1000 /* from our FIN to the broker's */
/* How long a broker may take none of the bytes that may leave: while LINK_HELD_HIGH stops reading
 * from it, and while the link is being closed. */
#define STUCK_LIMIT_MS 10000
#define LEAVE_LIMIT_MS 1000
/* Upper bound on unsent bytes in the kernel for a broker: the rest waits in the hold, where it is
 * counted. */
#define UNSENT_MOST (64 * 1024)

static void watch(const struct link *link, struct link_end *end, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = end};

    if (end->fd >= 0 && end->events != events) {
        epoll_ctl(link->epoll_fd, EPOLL_CTL_MOD, end->fd, &event);
        end->events = events;
    }
}

int link_end_watch(int epoll_fd, struct link_end *end, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = end};

    end->fd = fd;
    end->events = events;
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

void link_end_close(struct link_end *end)
{
    if (end->fd >= 0) {
        close(end->fd); /* closing the descriptor removes it from epoll */
        end->fd = -1;
    }
}

static void enter(struct link *link, enum link_phase phase)
{
    link->phase = phase;
    link->since_ms = clock_monotonic_ms();
}

bool link_accept(struct link *link, int paho_fd)
{
    link->severed = false;
    link->request_length = 0;
    link->broker.fd = -1;
    enter(link, LINK_REQUEST);
    if (link_end_watch(link->epoll_fd, &link->paho, paho_fd, EPOLLIN) != 0) {
        link_close(link, NULL);
        return false;
    }
    return true;
}

bool link_open(struct link *link, unsigned session, struct link_record *record, int broker_fd)
{
    const int unsent = UNSENT_MOST;

    if (link_end_watch(link->epoll_fd, &link->broker, broker_fd, 0) != 0) {
        link_end_close(&link->broker);
        return false;
    }
    setsockopt(broker_fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
    link->stuck_since_ms = 0;
    link->session = session;
    link->record = record;
    record->opened++;
    record->ending = (struct link_ending){0};
    link->held_since_ms = 0;
    link->heard_ms = clock_monotonic_ms();
    hold_reset(&link->hold);
    link->down_start = link->down_end = 0;
    link->ack_at_ms = 0;
    link->has_messages = link->carried = link->left = false;
    enter(link, LINK_OPEN);
    return true;
}

void link_ending(const struct link *link, struct link_ending *out)
{
    int64_t now_ms = clock_monotonic_ms();

    *out = link->record->ending;
    if (out->closer == LINK_CLOSED_BY_NOBODY) {
        out->silent_ms = now_ms - link->heard_ms;
        out->held_ms = link->held_since_ms != 0 ? now_ms - link->held_since_ms : 0;
    }
}

/* Records why a link ended; only the first cause counts, because later ones follow from it. */
static void note_end(struct link *link, enum link_closer closer, const char *reason)
{
    struct link_ending ending;

    if (link->phase <= LINK_REQUEST || link->record->ending.closer != LINK_CLOSED_BY_NOBODY) {
        return;
    }
    link_ending(link, &ending);
    ending.closer = closer;
    snprintf(ending.reason, sizeof(ending.reason), "%s", reason);
    link->record->ending = ending;
}

void link_close(struct link *link, const char *reason)
{
    if (reason != NULL) {
        note_end(link, LINK_CLOSED_BY_DAEMON, reason);
    }
    link_end_close(&link->paho);
    link_end_close(&link->broker);
    link->phase = LINK_FREE;
    link->severed = false;
    link->carried = false;
}

/* An error of the socket towards the broker has ended the link. */
static void broker_failed(struct link *link, int error)
{
    bool was_reset = error == ECONNRESET || error == EPIPE;

    note_end(link, was_reset ? LINK_CLOSED_BY_BROKER : LINK_CLOSED_BY_NETWORK, error_text(error));
    link_close(link, NULL);
}

void link_sever(struct link *link, const char *reason)
{
    if (link->phase > LINK_REQUEST && !link->severed) {
        note_end(link, LINK_CLOSED_BY_DAEMON, reason);
        link->severed = true;
    }
}

/* --- towards the broker -------------------------------------------------------------------- */

/* Sends what hold_until_durable() allows; sends FIN to the broker when Paho has closed and nothing
 * is held. */
static void send_held(struct link *link)
{
    for (;;) {
        size_t length;
        const uint8_t *bytes =
            hold_until_durable(&link->hold, atomic_load(&link->watermark->durable), &length);
        ssize_t sent;

        if (length == 0) {
            link->stuck_since_ms = 0;
            if (hold_length(&link->hold) == 0) {
                link->held_since_ms = 0;
            } else if (link->held_since_ms == 0) {
                link->held_since_ms = clock_monotonic_ms();
            }
            break;
        }
        link->held_since_ms = 0;
        sent = send(link->broker.fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                broker_failed(link, errno);
            } else if (link->stuck_since_ms == 0) {
                link->stuck_since_ms = clock_monotonic_ms();
            }
            return;
        }
        link->stuck_since_ms = 0;
        hold_consume(&link->hold, (size_t)sent);
        link->record->to_broker_bytes += (uint64_t)sent;
    }
    if (link->phase == LINK_DRAIN && hold_length(&link->hold) == 0) {
        shutdown(link->broker.fd, SHUT_WR);
        enter(link, LINK_LINGER);
    }
}

/* Returns true when the broker has closed its side, also behind bytes that are not read yet. */
static bool has_broker_closed(const struct link *link)
{
    struct pollfd broker = {.fd = link->broker.fd, .events = POLLRDHUP};

    return poll(&broker, 1, 0) > 0;
}

/*
 * Paho has closed its side: the bytes in the hold still leave when they may.
 *
 * A broker that ends TLS and closes while it is not read is not the gate's to see at once. Paho
 * reads the end of TLS later, among the bytes that were relayed before, and closes first.
 */
static void paho_closed(struct link *link)
{
    if (has_broker_closed(link)) {
        note_end(link, LINK_CLOSED_BY_BROKER, BROKER_CLOSED);
    } else {
        note_end(link, LINK_CLOSED_BY_PAHO, "");
    }
    link_end_close(&link->paho);
    enter(link, LINK_DRAIN);
}

/* Reads from Paho into the hold. Returns true when at least one byte was read. */
static bool read_paho(struct link *link)
{
    size_t room;
    uint8_t *space = hold_space(&link->hold, &room);
    ssize_t got = room > 0 ? recv(link->paho.fd, space, room, 0) : -1;

    link->left = got == (ssize_t)room || got > LITTLE;
    if (got > 0) {
        link->ack_at_ms = link->mode->paho_at_once ? 0 : clock_monotonic_ms() + ACK_DELAY_MS;
        /* `taken` is read after recv(): every message that these bytes acknowledge was numbered
         * before. */
        hold_append(&link->hold, (size_t)got, atomic_load(&link->watermark->taken));
    } else if (room == 0 || got == 0 || (errno != EAGAIN && errno != EINTR)) {
        paho_closed(link); /* end, error, or a hang-up with more bytes than fit; the broker sends
                            * those messages again */
    }
    return got > 0;
}

/*
 * Without mqtt/paho/cork.c Paho leaves Nagle's algorithm on (RFC 896): while our kernel has not
 * acknowledged a small write, further ones wait. Under load that is welcome, because they then
 * arrive together. But on an idle link the kernel delays the acknowledgement for up to 40 ms:
 * request it, once, when Paho has written nothing for ACK_DELAY_MS.
 */
static void acknowledge(struct link *link)
{
    const int on = 1;
    const int off = 0;

    link->ack_at_ms = 0;
    setsockopt(link->paho.fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
    setsockopt(link->paho.fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
}

static void acknowledge_quickly(struct link *link)
{
    if (link->ack_at_ms != 0 && clock_monotonic_ms() >= link->ack_at_ms) {
        acknowledge(link);
    }
}

static bool read_paho_if_room(struct link *link)
{
    size_t room;

    hold_space(&link->hold, &room);
    return link->phase == LINK_OPEN && room > 0 && read_paho(link);
}

bool link_catch_up(struct link *link)
{
    bool any;

    if (link->phase != LINK_OPEN || link->severed) {
        return false;
    }
    /* The acknowledgement makes Paho's kernel send the waiting bytes; on loopback they are here
     * when the call returns. */
    any = read_paho_if_room(link);
    if (link->phase == LINK_OPEN && link->ack_at_ms != 0) {
        acknowledge(link);
        read_paho_if_room(link);
    }
    if (link->phase == LINK_OPEN || link->phase == LINK_DRAIN) {
        send_held(link);
    }
    return any;
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

/*
 * A broker with Nagle's algorithm on (mosquitto) delays its next small packets until our kernel
 * acknowledges the last one, mostly with the next bytes that we send. In lockstep those bytes may
 * wait for the very messages that are delayed: acknowledge now.
 */
static void acknowledge_broker(const struct link *link)
{
    const int on = 1;

    setsockopt(link->broker.fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

static void read_broker(struct link *link)
{
    bool relaying = link->phase == LINK_OPEN;
    size_t room;
    ssize_t got;

    if (!relaying) {
        link->down_start = link->down_end = 0; /* Paho has closed and will not read it */
    } else if (link->down_start > 0 && link->down_end == LINK_DOWN_CAPACITY) {
        memmove(link->down, link->down + link->down_start, link->down_end - link->down_start);
        link->down_end -= link->down_start;
        link->down_start = 0;
    }
    room = LINK_DOWN_CAPACITY - link->down_end;
    got = room > 0 ? recv(link->broker.fd, link->down + link->down_end, room, 0) : -1;
    if (got > 0) {
        link->record->from_broker_bytes += (uint64_t)got;
        link->heard_ms = clock_monotonic_ms();
        if (link->mode->lockstep) {
            acknowledge_broker(link);
        }
        if (relaying) {
            link->down_end += (size_t)got;
            send_down(link);
        }
    } else if (room == 0 || got == 0) {
        /* No room for more: epoll can only have reported a hang-up, and Paho does not read. */
        note_end(link, LINK_CLOSED_BY_BROKER, BROKER_CLOSED);
        link_close(link, NULL);
    } else if (errno != EAGAIN && errno != EINTR) {
        broker_failed(link, errno);
    }
}

/* --- the round ----------------------------------------------------------------------------- */

static bool reads_broker(const struct link *link)
{
    return link->down_end < LINK_DOWN_CAPACITY && !link->mode->quiesced &&
           hold_length(&link->hold) < LINK_HELD_HIGH;
}

/* The event may be out of date: the other relaying thread may have read meanwhile, and there may be
 * no room.
 */
void link_serve(struct link *link, const struct link_end *end, uint32_t events)
{
    bool gone = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    bool readable = (events & EPOLLIN) != 0;

    if (link->severed || end->fd < 0) {
        return; /* an earlier event of the same round has ended the link */
    }
    if (end == &link->paho) {
        if ((events & EPOLLOUT) != 0) {
            send_down(link);
        }
        if (link->phase == LINK_OPEN && gone) {
            read_paho(link);
        } else if (readable) {
            read_paho_if_room(link);
        }
    } else if (gone || (readable && (link->phase != LINK_OPEN || reads_broker(link)))) {
        /* A broker that has hung up cannot take the held bytes: read first. */
        read_broker(link);
    }
}

static bool reads_paho(struct link *link)
{
    size_t room;

    hold_space(&link->hold, &room);
    return room > 0 &&
           (link->carried ? link->left
                          : !link->mode->lockstep || watermark_settled(link->watermark));
}

/* Sets the events that epoll watches: no reading without room or where Paho's thread relays, and
 * none from a broker whose link is draining. */
static void watch_next(struct link *link)
{
    size_t ready;
    uint32_t paho = 0;
    uint32_t broker = 0;

    if (link->phase == LINK_OPEN) {
        paho |= reads_paho(link) ? (uint32_t)EPOLLIN : 0;
        paho |= link->carried ? (uint32_t)EPOLLRDHUP : 0;
        paho |= link->down_end > link->down_start ? (uint32_t)EPOLLOUT : 0;
        broker |= reads_broker(link) && !link->carried ? (uint32_t)EPOLLIN : 0;
    }
    if (link->phase == LINK_OPEN || link->phase == LINK_DRAIN) {
        hold_until_durable(&link->hold, atomic_load(&link->watermark->durable), &ready);
        broker |= ready > 0 ? (uint32_t)EPOLLOUT : 0;
    }
    if (link->phase == LINK_LINGER) {
        broker |= EPOLLIN;
    }
    watch(link, &link->paho, paho);
    watch(link, &link->broker, broker);
}

bool link_carry(struct link *link)
{
    if (link->phase != LINK_OPEN || link->severed || !link->has_messages) {
        return false;
    }
    if (hold_length(&link->hold) >= LINK_HELD_HIGH) {
        link->carried = false; /* the gate's thread notices when there is room again */
        watch_next(link);
        return false;
    }
    if (!link->carried) {
        link->carried = true;
        link_catch_up(link); /* earlier bytes of Paho were not reported by gate_written() */
        watch_next(link);
    }
    return link->phase == LINK_OPEN && reads_broker(link);
}

/* Disconnects a broker that takes none of the bytes that may leave, when the hold fills up or the
 * link is to end. */
static void end_stuck(struct link *link)
{
    bool leaving = link->phase == LINK_DRAIN || link->mode->quiesced;
    int64_t limit_ms = leaving ? LEAVE_LIMIT_MS : STUCK_LIMIT_MS;
    char reason[GATE_REASON_SIZE];

    if (link->stuck_since_ms == 0 || clock_monotonic_ms() - link->stuck_since_ms < limit_ms ||
        (!leaving && hold_length(&link->hold) < LINK_HELD_HIGH)) {
        return;
    }
    snprintf(reason, sizeof(reason),
             "the broker does not read: %zu bytes of acknowledgements wait for it for %d s",
             hold_length(&link->hold), (int)(limit_ms / 1000));
    link_close(link, reason);
}

void link_settle(struct link *link)
{
    int64_t age_ms;

    if (link->phase == LINK_FREE) {
        return;
    }
    age_ms = clock_monotonic_ms() - link->since_ms;
    if (link->severed || (link->phase == LINK_REQUEST && age_ms > REQUEST_LIMIT_MS) ||
        (link->phase == LINK_LINGER && age_ms > LINGER_LIMIT_MS)) {
        link_close(link, NULL);
    }
    if (link->phase == LINK_OPEN || link->phase == LINK_DRAIN) {
        send_held(link);
    }
    if (link->phase == LINK_OPEN || link->phase == LINK_DRAIN) {
        end_stuck(link);
    }
    if (link->phase == LINK_OPEN) {
        acknowledge_quickly(link);
    }
    if (link->phase > LINK_REQUEST) {
        watch_next(link);
    }
}
