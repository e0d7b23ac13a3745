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
#include "mqtt/mqtt.h"
#include "pipeline/pipeline.h"
#include "store/store.h"

/* --- subscriptions ----------------------------------------------------------------------- */

/*
 * The subscriptions that the broker was last seen to grant a client. Used by the session's thread
 * only. A zeroed list is empty.
 */

/* One of them. */
struct session_memory {
    char *filter;
    int qos;
};

struct session_memory_list {
    struct session_memory *entries;
    size_t count;
};

/* Remember a filter (copied), or its new QoS. 0, or -ENOMEM. */
int session_memory_add(struct session_memory_list *list, const char *filter, int qos);

/* Forget a filter; it may be the list's own string. */
void session_memory_remove(struct session_memory_list *list, const char *filter);

/* Whether this filter is remembered with this QoS. */
bool session_memory_has(const struct session_memory_list *list, const char *filter, int qos);

/* A filter that is remembered but not configured for the session, or NULL. */
const char *session_memory_unwanted(const struct session_memory_list *list,
                                    const struct config_session *session);

/* Forget everything and free it. */
void session_memory_clear(struct session_memory_list *list);

/* --- loss -------------------------------------------------------------------------------- */

/*
 * Why a connection to the broker ended, or never had its answer to CONNECT: judged from what the
 * gate, which sees both ends, and Paho know. Nothing is guessed: the daemon's own doing is never
 * put down to the broker. Pure; any thread.
 */

#define LOSS_TEXT_SIZE 512

enum loss_cause {
    LOSS_BROKER,    /* the broker ended the connection */
    LOSS_NETWORK,   /* the socket towards the broker has an error */
    LOSS_SILENCE,   /* the broker did not answer in time */
    LOSS_SLOW_DISK, /* as LOSS_BROKER or LOSS_SILENCE, but nothing could be sent to the broker */
    LOSS_PACKET,    /* the broker sent what is no MQTT 3.1.1 */
    LOSS_DAEMON,    /* the daemon cut the connection */
    LOSS_CAUSES,
};

/* What is known of a connection when it has ended. */
struct loss_facts {
    struct gate_link_status link;
    uint64_t opened_before; /* links of the session before this connection */
    const char *complaint;  /* of paho_complaint(); NULL: none */
    bool packets_checked;   /* see paho_checks_packets() */
    bool tls;
    int keepalive_s; /* not 0 */
};

/* The name of a cause, as a metric's label. */
const char *loss_cause_name(enum loss_cause cause);

/* Judge a connection that had its CONNACK; `out` is a sentence without a full stop. */
enum loss_cause loss_of_connection(const struct loss_facts *facts, char out[LOSS_TEXT_SIZE]);

/* Judge a CONNECT without a CONNACK, about which Paho says `paho_problem`. So too. */
enum loss_cause loss_of_connect(const struct loss_facts *facts, const char *paho_problem,
                                char out[LOSS_TEXT_SIZE]);

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

/* --- broker_options ---------------------------------------------------------------------- */

/* The configured broker as Paho is told about it: for the sessions, and for `check --connect`. */

#define BROKER_URI_SIZE    512
#define BROKER_TARGET_SIZE 300
#define BROKER_PROXY_SIZE  (GATE_AUTHORITY_SIZE + 16)

/*
 * Address, TLS and credentials of [broker]; the rest is for the caller to set. The result borrows
 * `config` and `uri`, which the address is written to. Any thread.
 */
struct paho_options broker_options(const struct config *config, char uri[BROKER_URI_SIZE]);

/* What Paho's CONNECT to the gate will ask for, "host:port": the gate's target. Any thread. */
void broker_target(const struct config *config, char target[BROKER_TARGET_SIZE]);

/* The gate, with the token of a session, as Paho's proxy URL. Any thread. */
void broker_proxy(const struct config *config, const struct gate *gate, unsigned session,
                  char proxy[BROKER_PROXY_SIZE]);

#endif
