/*
 * Sessions. A thread for each connects, subscribes, waits and backs off; Paho's own threads call
 * back into session/session.c and go no further than the intake.
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "gate/gate.h"
#include "pipeline/intake.h"
#include "session/loss_internal.h"
#include "session/subscriptions_internal.h"
#include "store/store.h"

#define SESSION_REASON_SIZE 768
#define SESSION_NOT_GRANTED (-1)

enum session_state {
    SESSION_IDLE,       /* not started, or stopped */
    SESSION_CONNECTING, /* name, TCP, TLS, CONNECT */
    SESSION_SUBSCRIBED, /* every filter granted as asked */
    SESSION_PARTIAL,    /* connected, but a filter is refused or granted below the asked QoS */
    SESSION_WAITING,    /* backing off; retry_at_ms tells until when */
    SESSION_PAUSED,     /* the disk takes nothing; no connection until it does */
};

struct session_status {
    enum session_state state;
    char reason[SESSION_REASON_SIZE];     /* why not subscribed, the last that is known; or "" */
    int64_t retry_at_ms;                  /* monotonic; when waiting */
    int64_t connected_since_ms;           /* wall clock; 0 when not connected */
    bool session_present;                 /* of the last CONNACK */
    uint64_t connects;                    /* CONNACKs so far */
    uint64_t received;                    /* messages taken from Paho */
    uint64_t in_flight;                   /* QoS 2 messages whose PUBREL has not come */
    uint64_t in_flight_peak;              /* the most of them in the last seconds */
    uint64_t refused_qos0;                /* QoS 0 messages that came while the disk took nothing */
    uint64_t lost[LOSS_CAUSES];           /* connections that ended, by cause */
    char last_error[SESSION_REASON_SIZE]; /* of this run, also when it is over; "" when none */
    int64_t last_error_ms;                /* wall clock; 0 when none */
};

struct session;

/* What a session starts from; all but `memory` outlives it, which is copied. */
struct session_parts {
    const struct config *config; /* broker and the session's own section, never reloaded */
    unsigned index;
    struct gate *gate;
    struct intake *intake;
    struct store_session record; /* what the database knows of this client's session */
    const struct session_memory *memory;
    size_t memory_count;
};

/* Once for the process, before the first session and before any thread: clears the environment of
 * proxies, and names the broker to every TLS handshake. */
void session_library_init(const struct config *config);

/* Whether what the sessions write to the gate is never kept back by the kernel. */
bool session_writes_at_once(const struct config *config);

/* Start the thread. Returns 0 and sets *out, for session_stop(); or a negative errno. */
int session_start(struct session **out, const struct session_parts *parts);

/* Connect only while not paused; pausing does not cut a connection. */
void session_set_paused(struct session *session, bool paused, const char *reason);

/* If the session is backing off, try again at once: something may have been mended. */
void session_retry_now(struct session *session);

/* A snapshot. Any thread; never calls Paho. */
void session_status(struct session *session, struct session_status *out);

/* The QoS that the broker has granted for each filter of the session's configuration, in its order;
 * SESSION_NOT_GRANTED where it has not, or not yet. `granted` has room for all of them. Any thread.
 */
void session_granted(struct session *session, int granted[]);

/* Send DISCONNECT and end the thread: begin for all sessions, then finish each. */
void session_stop_begin(struct session *session);

/* Wait until `deadline_ms` (monotonic) and free. Returns false when the thread did not end (a name
 * server hangs, say): nothing was freed then, and the process must exit without it. */
bool session_stop_finish(struct session *session, int64_t deadline_ms);

#endif
