/*
 * A link of the gate: one connection of Paho's and the connection to the broker that it stands for.
 * The gate's thread owns its links and calls everything here, holding the gate's mutex.
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
/* With so many bytes held towards the broker, nothing more is read from it: what it has sent
 * already, and Paho still answers, finds room. */
#define LINK_HELD_HIGH ((size_t)64 * 1024)
/* Of each of the two kernel buffers between the gate and Paho, in bytes. */
#define LINK_PAHO_BUFFER (128 * 1024)

enum link_phase {
    LINK_FREE,
    LINK_REQUEST, /* accepted, CONNECT not complete */
    LINK_OPEN,    /* relaying */
    LINK_DRAIN,   /* Paho has closed; what is held still goes out when it may */
    LINK_LINGER,  /* all is out and our FIN sent; reading the broker's last bytes away */
};

/* How the gate runs; see there. */
struct link_mode {
    bool quiesced;     /* nothing is read from the broker */
    bool paho_at_once; /* what Paho writes comes at once: see gate_new() */
    /* Paho is not read while something waits for a commit, but by link_catch_up(). Written with the
     * gate's mutex held, read without it too. */
    _Atomic bool lockstep;
};

/* What is kept of a session's links; the gate's. */
struct link_record {
    uint64_t opened; /* links so far */
    uint64_t from_broker_bytes;
    uint64_t to_broker_bytes;
    struct link_ending ending; /* of the last one */
};

/* One of a link's two sockets, as epoll hands it back. */
struct link_end {
    struct link *link; /* NULL for descriptors that are no link's */
    int fd;            /* -1: closed */
    uint32_t events;   /* what epoll watches now */
};

struct link {
    enum link_phase phase;
    unsigned session; /* from LINK_OPEN on */
    bool severed;     /* not one byte more may go to the broker */
    int64_t since_ms; /* of the phase; monotonic */
    int epoll_fd;
    const struct watermark *watermark;
    const struct link_mode *mode;
    struct link_end paho;
    struct link_end broker;
    char request[CONNECT_REQUEST_MAX];
    size_t request_length;
    int64_t stuck_since_ms; /* bytes may leave since then, and the broker takes none; 0: it does */
    int64_t held_since_ms; /* bytes wait for a commit since then, and none may leave; 0: they may */
    int64_t heard_ms;      /* when bytes last came from the broker, or the link was opened */
    int64_t ack_at_ms;     /* when to ask the kernel to acknowledge; 0: never */
    bool has_messages;     /* one has come; from LINK_OPEN on */
    bool carried;          /* Paho's receive thread relays: see gate/lockstep.c */
    bool left;             /* more may be there of what Paho has written */
    struct hold hold;      /* Paho to broker */
    uint8_t down[LINK_DOWN_CAPACITY]; /* broker to Paho */
    size_t down_start;
    size_t down_end;
    struct link_record *record; /* the session's; from LINK_OPEN on */
};

/* Watch a descriptor that is not watched yet. 0, or -1 with errno set. */
int link_end_watch(int epoll_fd, struct link_end *end, int fd, uint32_t events);

/* Close a descriptor, if it is open. */
void link_end_close(struct link_end *end);

/* Make a free link of an accepted connection; false (and the descriptor closed) when it fails. */
bool link_accept(struct link *link, int paho_fd);

/* CONNECT is accepted: relay to `broker_fd`, which the link owns from here, for `session`. False
 * when it fails: the link is still in LINK_REQUEST and the descriptor closed. `record` outlives the
 * link. */
bool link_open(struct link *link, unsigned session, struct link_record *record, int broker_fd);

/* Close both ends; `reason` is why this daemon does so, NULL when nothing is wrong or why is known
 * already. */
void link_close(struct link *link, const char *reason);

/* How the link ended; of an open one how long the broker has been silent, and bytes are held. */
void link_ending(const struct link *link, struct link_ending *out);

/* Relay after an epoll event on one of its ends, in any phase but LINK_FREE and LINK_REQUEST. */
void link_serve(struct link *link, const struct link_end *end, uint32_t events);

/* Forbid every further byte towards the broker, now; link_settle() closes. `reason` is copied. */
void link_sever(struct link *link, const char *reason);

/* Read what Paho has written until now, and send on what may leave. For any phase. Returns whether
 * something was there. */
bool link_catch_up(struct link *link);

/* Paho's receive thread relays from now on, if messages come on this link: then true, unless the
 * broker is not to be read now. */
bool link_carry(struct link *link);

/* After a round of events: close what was severed or has had its time, send what may leave, and
 * watch for what matters next. */
void link_settle(struct link *link);

#endif
