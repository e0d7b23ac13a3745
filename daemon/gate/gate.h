/*
 * The gate: a relay between Paho and the broker that withholds acknowledgements.
 *
 * Paho reaches the broker through it as its HTTP proxy, on a loopback port; see gate/gate.c for how
 * it works and why. One thread of its own; every function here may be called from any thread.
 */
#ifndef GATE_GATE_H
#define GATE_GATE_H

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pulse.h"

/* --- watermark --------------------------------------------------------------------------- */

/*
 * The two numbers behind the promise of no acknowledgement before the commit.
 *
 * Every message that Paho hands over gets the next number when it enters the intake: `taken` is the
 * last one given. `durable` is the last one whose transaction is on disk; messages become durable
 * in order. Intake raises `taken` before Paho writes that message's acknowledgement to its socket;
 * the writer, and nobody else, raises `durable`, after the commit. The gate reads both.
 */

struct watermark {
    _Atomic uint64_t taken;
    _Atomic uint64_t durable;
};

/* Returns true when every numbered message is durable. */
static inline bool watermark_settled(const struct watermark *watermark)
{
    return atomic_load(&watermark->durable) == atomic_load(&watermark->taken);
}

#define GATE_AUTHORITY_SIZE 96
#define GATE_REASON_SIZE    480 /* WRITER_REASON_SIZE, and what stands before it */

struct gate;

/* The side that ended a link first. */
enum link_closer {
    LINK_CLOSED_BY_NOBODY,  /* the link is open, or there was none */
    LINK_CLOSED_BY_BROKER,  /* the end of its stream, or a reset */
    LINK_CLOSED_BY_NETWORK, /* an error of the socket towards the broker */
    LINK_CLOSED_BY_PAHO,
    LINK_CLOSED_BY_DAEMON, /* gate_sever(), or the broker took no bytes for too long */
};

/* How a link ended. */
struct link_ending {
    enum link_closer closer;
    char reason[GATE_REASON_SIZE]; /* "" when Paho ended it, or while it is open */
    int64_t silent_ms;             /* since bytes last came from the broker */
    int64_t held_ms; /* how long bytes had been waiting for an unfinished commit; 0: none were */
};

/* The status of a session's link. */
struct gate_link_status {
    bool open;
    uint64_t opened;            /* links so far, this one included */
    uint64_t held_bytes;        /* towards the broker, waiting for a commit */
    uint64_t from_broker_bytes; /* since the gate was made */
    uint64_t to_broker_bytes;
    struct link_ending ending; /* of the last link, see link_ending() */
};

/*
 * Bind a free port on 127.0.0.1 and start the thread. `target` is "host:port" as in Paho's CONNECT;
 * sessions are numbered from 0. `paho_at_once` says that the kernel delays none of Paho's writes
 * (Nagle's algorithm is off); otherwise the gate shortens the delay. `watermark` outlives the gate.
 * Returns 0 and sets *out, for gate_free(); or a negative errno.
 */
int gate_new(struct gate **out, const char *target, unsigned session_count, bool paho_at_once,
             const struct watermark *watermark);

/* Close every link at once, end the thread, free. NULL is allowed. */
void gate_free(struct gate *gate);

/* Write the gate's address for a session as the authority of a URL
 * ("user:password@127.0.0.1:port"), with the token that only this process knows. */
void gate_authority(const struct gate *gate, unsigned session, char out[GATE_AUTHORITY_SIZE]);

/*
 * Give the gate a connected, non-blocking socket to the broker for the session's next link; the
 * gate owns it from here. An earlier unused socket is closed, and the last link's ending is
 * cleared.
 */
void gate_offer(struct gate *gate, unsigned session, int broker_fd);

/* Send the bytes that the risen durable number of the watermark releases; in the calling thread or,
 * when the gate's is busy, in that one. */
void gate_release(struct gate *gate);

/*
 * Lockstep, for a small window; gate/lockstep.c explains it. While it is on, Paho's bytes are read
 * before the first message of a batch gets its number, before a commit begins and after it, and
 * otherwise only while no message waits for a commit. It is off at first. `write_out` makes Paho
 * write the acknowledgements that it gathers; it is called in lockstep only.
 */
void gate_set_lockstep(struct gate *gate, bool on);
void gate_before_commit(struct gate *gate); /* the writer's thread */
/* Called by Paho's receive thread before a message of this session gets its number. */
void gate_before_message(struct gate *gate, unsigned session, void (*write_out)(void));

/*
 * The two functions of struct paho_relay, for links that have had a message; in lockstep they do
 * the work of the gate's thread, otherwise nothing. gate_written(): Paho has written something; any
 * of its threads. gate_poll(): poll() that also relays the brokers' bytes; for Paho's receive
 * thread, which calls it whenever it waits. `context` is the gate.
 */
void gate_written(void *context);
int gate_poll(void *context, struct pollfd *fds, nfds_t count, int timeout_ms);

/* Wake the gate's thread for one round of its loop. */
void gate_wake(struct gate *gate);

/*
 * Cut the session's link: from the moment this returns, not one byte more goes to the broker on it.
 * `reason` is copied. Called when the intake refused a message or a commit failed.
 */
void gate_sever(struct gate *gate, unsigned session, const char *reason);
void gate_sever_all(struct gate *gate, const char *reason);

/* Stop reading from the broker on every link; acknowledgements still leave. Used when the daemon
 * stops. */
void gate_quiesce(struct gate *gate);

/* Copy the status of a session's link. */
void gate_link_status(struct gate *gate, unsigned session, struct gate_link_status *out);

/* Returns how many connections of other programs were closed since the start. Any thread. */
uint64_t gate_strangers(struct gate *gate);

/* Returns the number of open links. */
unsigned gate_open_links(struct gate *gate);

/* The thread's pulse: it beats at least once a second. Until gate_free(). */
const struct pulse *gate_pulse(const struct gate *gate);

#endif
