/*
 * A link of the gate: one connection of Paho's and the connection to the broker behind it. The
 * gate's thread makes and closes links; it, the writer's thread and Paho's receive thread relay.
 * Everything here is called with the gate's mutex held.
 *
 * All Paho clients of the process share a lock and a receive thread, so a link must never make Paho
 * wait for its own broker: LINK_HELD_HIGH.
 */
#ifndef GATE_LINK_INTERNAL_H
#define GATE_LINK_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gate/connect_request_internal.h"
#include "gate/gate.h"
#include "gate/hold_internal.h"

#define LINK_DOWN_CAPACITY ((size_t)64 * 1024)
/* With this many bytes held for the broker, it is not read any more: Paho's answers to messages
 * already read then still fit. */
#define LINK_HELD_HIGH ((size_t)64 * 1024)
/* Size of each of the two kernel buffers between the gate and Paho, in bytes. */
#define LINK_PAHO_BUFFER (128 * 1024)

enum link_phase {
    LINK_FREE,
    LINK_REQUEST, /* accepted, CONNECT not complete */
    LINK_OPEN,    /* relaying */
    LINK_DRAIN,   /* Paho has closed; held bytes still leave when they may */
    LINK_LINGER,  /* everything and our FIN are sent; the broker's last bytes are discarded */
};

/* The gate's modes; see gate/gate.h. */
struct link_mode {
    bool quiesced;     /* nothing is read from the broker */
    bool paho_at_once; /* Paho's writes arrive without delay: see gate_new() */
    /* While a message waits for a commit, only link_catch_up() reads Paho. Written with the gate's
     * mutex held, read also without it. */
    _Atomic bool lockstep;
};

/* The totals of a session's links; owned by the gate. */
struct link_record {
    uint64_t opened; /* links so far */
    uint64_t from_broker_bytes;
    uint64_t to_broker_bytes;
    struct link_ending ending; /* of the last link */
};

/* One of a link's two sockets; the data of its epoll events. */
struct link_end {
    struct link *link; /* NULL for the gate's other descriptors */
    int fd;            /* -1: closed */
    uint32_t events;   /* the events that epoll watches */
};

struct link {
    enum link_phase phase;
    unsigned session; /* from LINK_OPEN on */
    bool severed;     /* no further byte may go to the broker */
    int64_t since_ms; /* of the phase; monotonic */
    int epoll_fd;
    const struct watermark *watermark;
    const struct link_mode *mode;
    struct link_end paho;
    struct link_end broker;
    char request[CONNECT_REQUEST_MAX];
    size_t request_length;
    int64_t stuck_since_ms; /* since when the broker has taken none of the bytes that may leave; 0:
                             * it takes them */
    int64_t held_since_ms;  /* since when all held bytes wait for a commit; 0: not all do */
    int64_t heard_ms;       /* when bytes last came from the broker, or the link was opened */
    int64_t ack_at_ms;      /* when to ask the kernel to acknowledge; 0: never */
    bool has_messages;      /* a message was received; from LINK_OPEN on */
    bool carried;           /* Paho's receive thread relays: see gate/lockstep.c */
    bool left;              /* Paho's socket may hold more bytes */
    struct hold hold;       /* Paho to broker */
    uint8_t down[LINK_DOWN_CAPACITY]; /* broker to Paho */
    size_t down_start;
    size_t down_end;
    struct link_record *record; /* the session's; from LINK_OPEN on */
};

/* Add a descriptor to epoll. Returns 0, or -1 with errno set. */
int link_end_watch(int epoll_fd, struct link_end *end, int fd, uint32_t events);

/* Close a descriptor, if it is open. */
void link_end_close(struct link_end *end);

/* Use a free link for an accepted connection. Returns false, with the descriptor closed, on
 * failure. */
bool link_accept(struct link *link, int paho_fd);

/* After an accepted CONNECT: relay to `broker_fd`, which the link now owns, for `session`. Returns
 * false on failure: the link is still in LINK_REQUEST and the descriptor closed. `record` outlives
 * the link. */
bool link_open(struct link *link, unsigned session, struct link_record *record, int broker_fd);

/* Close both ends. `reason` says why this daemon does so; NULL when there is no error or the reason
 * is recorded already. */
void link_close(struct link *link, const char *reason);

/* Copy how the link ended; for an open link, how long the broker has been silent and bytes have
 * been held. */
void link_ending(const struct link *link, struct link_ending *out);

/* Relay after an epoll event on one of its ends, in any phase but LINK_FREE and LINK_REQUEST. */
void link_serve(struct link *link, const struct link_end *end, uint32_t events);

/* Forbid every further byte to the broker at once; link_settle() closes the link later. `reason` is
 * copied. */
void link_sever(struct link *link, const char *reason);

/* In LINK_OPEN: read Paho's bytes, send what may leave. Returns true when bytes were there at
 * once. */
bool link_catch_up(struct link *link);

/* Let Paho's receive thread relay this link from now on, if the link has had messages. Returns true
 * when that thread is to wait for the broker's bytes too. */
bool link_carry(struct link *link);

/* After a round of events: close the link if it is severed or over its time limit, send what may
 * leave, and set the events that epoll watches. */
void link_settle(struct link *link);

#endif
