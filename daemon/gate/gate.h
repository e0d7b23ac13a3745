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
 * The two numbers that the promise is made of.
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

/* Is every message that has a number durable? */
static inline bool watermark_settled(const struct watermark *watermark)
{
    return atomic_load(&watermark->durable) == atomic_load(&watermark->taken);
}

#define GATE_AUTHORITY_SIZE 96
#define GATE_REASON_SIZE    256

struct gate;

/* Who ended a link first. */
enum link_closer {
    LINK_CLOSED_BY_NOBODY,  /* it is open, or there was none */
    LINK_CLOSED_BY_BROKER,  /* the end of its stream, or a reset */
    LINK_CLOSED_BY_NETWORK, /* an error of the socket towards the broker */
    LINK_CLOSED_BY_PAHO,
    LINK_CLOSED_BY_DAEMON, /* cut: gate_sever(), or what the broker does not take was too much */
};

/* How a link ended. */
struct link_ending {
    enum link_closer closer;
    char reason[GATE_REASON_SIZE]; /* "" when Paho or nobody ended it */
    int64_t silent_ms;             /* since bytes last came from the broker */
    int64_t held_ms; /* for how long bytes waited for a commit that did not end; 0: none did */
};

/* How the link of a session is doing. */
struct gate_link_status {
    bool open;
    uint64_t opened;            /* links so far, this one included */
    uint64_t held_bytes;        /* towards the broker, waiting for a commit */
    uint64_t from_broker_bytes; /* since the gate was made */
    uint64_t to_broker_bytes;
    struct link_ending ending; /* of the last one, see link_ending() */
};

/*
 * Bind a free port on 127.0.0.1 and start the thread. `target` is "host:port" as Paho will ask for
 * it; sessions are numbered from 0. `paho_at_once` says that Paho's kernel keeps nothing back of
 * what it writes; otherwise the gate sees to it that it does not for long. `watermark` outlives the
 * gate. Returns 0 and sets *out, for gate_free(); or a negative errno.
 */
int gate_new(struct gate **out, const char *target, unsigned session_count, bool paho_at_once,
             const struct watermark *watermark);

/* Close every link at once, end the thread, free. NULL is allowed. */
void gate_free(struct gate *gate);

/* Where a session finds the gate, as the authority of a URL ("user:password@127.0.0.1:port"), with
 * the token that only this process knows. */
void gate_authority(const struct gate *gate, unsigned session, char out[GATE_AUTHORITY_SIZE]);

/*
 * Give the gate a connected, non-blocking socket to the broker for the session's next link; the
 * gate owns it from here. An earlier one that was not used is closed, and how the last link ended
 * is forgotten.
 */
void gate_offer(struct gate *gate, unsigned session, int broker_fd);

/* The watermark's durable number has risen: let out what waited for it, in this thread or, when the
 * gate's own is busy, in that. */
void gate_release(struct gate *gate);

/*
 * Lockstep, for a small window; gate/lockstep.c tells what it is for. While it is on, the link of
 * Paho's is read before the first message of a batch gets its number, before a commit begins, and
 * when it is done; and otherwise only while nothing waits for a commit. It is off at first.
 * `write_out` makes Paho write what it has kept back; it is called in lockstep only.
 */
void gate_set_lockstep(struct gate *gate, bool on);
void gate_before_commit(struct gate *gate); /* the writer's thread */
/* Paho's receive thread; the message of this session has no number yet. */
void gate_before_message(struct gate *gate, unsigned session, void (*write_out)(void));

/*
 * The two functions of struct paho_relay, for links that have had a message; in lockstep they do
 * the work of the gate's thread, out of it nothing. gate_written(): Paho has written something; any
 * of its threads. gate_poll(): as poll(), and what the brokers send meanwhile is passed on; Paho's
 * receive thread, which calls it whenever it waits. `context` is the gate.
 */
void gate_written(void *context);
int gate_poll(void *context, struct pollfd *fds, nfds_t count, int timeout_ms);

/* Make the gate's thread come round its loop. */
void gate_wake(struct gate *gate);

/*
 * Cut the session's link: from the moment this returns, not one byte more goes to the broker on it.
 * `reason` is copied. Called when a message was not taken or a commit failed.
 */
void gate_sever(struct gate *gate, unsigned session, const char *reason);
void gate_sever_all(struct gate *gate, const char *reason);

/* Stop reading from the broker on every link; acknowledgements still go out. For the stop. */
void gate_quiesce(struct gate *gate);

/* Copy the status of a session's link. */
void gate_link_status(struct gate *gate, unsigned session, struct gate_link_status *out);

/* Connections of other programs that were turned away so far. */
uint64_t gate_strangers(struct gate *gate);

/* Links that are open. */
unsigned gate_open_links(struct gate *gate);

/* The thread's pulse: it beats at least once a second. Until gate_free(). */
const struct pulse *gate_pulse(const struct gate *gate);

#endif
