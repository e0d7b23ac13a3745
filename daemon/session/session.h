/*
 * Sessions. A thread for each connects, subscribes, waits and backs off; Paho's own threads call
 * back into session/session.c and put messages into the intake.
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "gate/gate.h"
#include "mqtt/mqtt.h"
#include "net/net.h"
#include "pipeline/pipeline.h"
#include "store/sessions.h"

/* --- subscriptions ----------------------------------------------------------------------- */

/*
 * The subscriptions that the broker was last seen to grant a client. Used by the session's thread
 * only. A zeroed list is empty.
 */

/* One subscription. */
struct session_subscription {
    char *filter;
    int qos;
};

struct session_subscriptions {
    struct session_subscription *entries;
    size_t count;
};

/* Add a filter (copied), or set its new QoS. Returns 0, or -ENOMEM. */
int session_subscriptions_add(struct session_subscriptions *list, const char *filter, int qos);

/* Remove a filter; the argument may be the list's own string. */
void session_subscriptions_remove(struct session_subscriptions *list, const char *filter);

/* Returns true when the list has this filter with this QoS. */
bool session_subscriptions_has(const struct session_subscriptions *list, const char *filter,
                               int qos);

/* Returns a filter of the list that is not configured for the session, or NULL. */
const char *session_subscriptions_unwanted(const struct session_subscriptions *list,
                                           const struct config_session *session);

/* Empty the list and free its content. */
void session_subscriptions_clear(struct session_subscriptions *list);

/* --- protocol ---------------------------------------------------------------------------- */

/*
 * Chooses the version of MQTT for each CONNECT of a session, from the configuration and from what
 * the broker has answered. Pure; times are in ms of the wall clock. The session's thread.
 */

enum protocol_result {
    PROTOCOL_ACCEPTED, /* a CONNACK that accepts the connection */
    PROTOCOL_DENIED,   /* a CONNACK, of the version that was asked, that refuses the client */
    PROTOCOL_REFUSED,  /* PAHO_E_VERSION */
    PROTOCOL_CLOSED,   /* CONNECT was sent, and the broker closed the connection in place of a
                        * CONNACK, or answered with what is none of this version */
    PROTOCOL_SILENT,   /* CONNECT was sent, and no answer came in time */
    PROTOCOL_USELESS,  /* accepted, and the broker does not keep sessions of this version */
    PROTOCOL_OTHER,    /* anything else: the network, TLS, the daemon itself */
};

/* Why MQTT 5 is not used, as far as the broker's answers tell. */
enum protocol_doubt {
    PROTOCOL_NO_DOUBT,  /* the broker keeps sessions of MQTT 5, or was not asked */
    PROTOCOL_NOT_TAKEN, /* it does not speak MQTT 5, or does not answer to it */
    PROTOCOL_NOT_KEPT,  /* it ends sessions of MQTT 5 with their connection */
    PROTOCOL_NOT_KNOWN, /* it denies the client that asks, so it may or may not keep them */
    PROTOCOL_EARLIER,   /* one of these three, as an earlier run of the daemon has learned */
};

/* All zero: MQTT 3.1.1 or 5 as configured, nothing known. */
struct session_protocol {
    enum config_protocol configured;
    bool can_5;       /* see paho_speaks_5() */
    int remembered;   /* the version of the last CONNECT that was accepted: 4, 5; 0: none */
    int64_t asked_ms; /* when the broker was last asked for MQTT 5; 0: never */
    bool answers_5;   /* the broker was seen to answer in MQTT 5 last */
    int closed;       /* CONNECTs of MQTT 5 in a row with PROTOCOL_CLOSED */
    int silent;       /* CONNECTs in a row with PROTOCOL_SILENT */
    enum protocol_doubt doubt;
};

struct protocol_choice {
    enum paho_version version;
    bool is_question; /* ask for it with another client id first: session_protocol_answered() */
};

/* "MQTT 5" or "MQTT 3.1.1". Any thread. */
const char *session_protocol_name(enum paho_version version);

/* A clause about why MQTT 3.1.1 is used, or "". Any thread. */
const char *session_protocol_reason(enum protocol_doubt doubt);

/* Begin with what is on record of the broker: `remembered` and `asked_ms` as above. Where the
 * version is configured asked_ms is forgotten: what was learned then is no answer for later. */
void session_protocol_remember(struct session_protocol *protocol, int remembered, int64_t asked_ms);

/* Choose for the next attempt. `known`: the broker has had a session for this client. */
struct protocol_choice session_protocol_choose(const struct session_protocol *protocol, bool known,
                                               int64_t now_ms);

/* Note how the session's own CONNECT went. Returns true when the other version is to be tried at
 * the same address, at once; after PROTOCOL_USELESS only where the broker has made a new session:
 * what it kept for one that was there would be lost. */
bool session_protocol_note(struct session_protocol *protocol, enum paho_version version,
                           enum protocol_result result, int64_t now_ms);

/* Note how the CONNECT of a question went. Returns true and sets *version for the session's own
 * CONNECT, which follows at once; false: the attempt has failed. */
bool session_protocol_answered(struct session_protocol *protocol, enum protocol_result result,
                               int64_t now_ms, enum paho_version *version);

/* --- loss -------------------------------------------------------------------------------- */

/*
 * Determines why a connection to the broker ended, or why CONNECT was not answered, from facts of
 * the gate, which sees both ends, and of Paho. Must never happen: the daemon's own action is blamed
 * on the broker. Pure; any thread.
 */

#define LOSS_TEXT_SIZE 736 /* fits a GATE_REASON_SIZE beside what Paho says */

enum loss_cause {
    LOSS_BROKER,    /* the broker ended the connection */
    LOSS_NETWORK,   /* the socket towards the broker has an error */
    LOSS_SILENCE,   /* the broker did not answer in time */
    LOSS_SLOW_DISK, /* as LOSS_BROKER or LOSS_SILENCE, but nothing could be sent to the broker */
    LOSS_PACKET,    /* the broker sent a packet that is not valid MQTT */
    LOSS_DAEMON,    /* the daemon cut the connection */
    LOSS_CAUSES,
};

/* The facts known about an ended connection. */
struct loss_facts {
    struct gate_link_status link;
    uint64_t opened_before; /* links of the session before this connection */
    const char *complaint;  /* of paho_complaint(); NULL: none */
    const char *disconnect; /* of paho_disconnect_reason(), with its code; NULL: none */
    int disconnect_code;
    enum paho_version version;
    bool packets_checked; /* see paho_checks_packets() */
    bool tls;
    int keepalive_s; /* not 0 */
};

/* The name of a cause, as a metric's label. */
const char *loss_cause_name(enum loss_cause cause);

/* Judge a connection that had its CONNACK; `out` is a sentence without a full stop. */
enum loss_cause loss_of_connection(const struct loss_facts *facts, char out[LOSS_TEXT_SIZE]);

/* The same for a CONNECT without a CONNACK; `paho_problem` is Paho's error text. */
enum loss_cause loss_of_connect(const struct loss_facts *facts, const char *paho_problem,
                                char out[LOSS_TEXT_SIZE]);

/* With broker.protocol = auto, when the broker has refused both versions. */
#define SESSION_SPEAKS_NEITHER                                                                     \
    "the broker speaks neither MQTT 5 nor 3.1.1: set broker.host and broker.port to a listener "   \
    "that has one of them"

#define SESSION_REASON_SIZE 768
#define SESSION_NOT_GRANTED (-1)

enum session_state {
    SESSION_IDLE,       /* not started, or stopped */
    SESSION_CONNECTING, /* name, TCP, TLS, CONNECT */
    SESSION_SUBSCRIBED, /* every filter granted as asked */
    SESSION_PARTIAL,    /* connected, but a filter is refused or granted below the asked QoS */
    SESSION_WAITING,    /* backing off until retry_at_ms */
    SESSION_PAUSED,     /* no connection while nothing can be written to the disk */
};

struct session_status {
    enum session_state state;
    char reason[SESSION_REASON_SIZE];     /* why not subscribed, the latest known reason; or "" */
    int64_t retry_at_ms;                  /* monotonic; when waiting */
    int64_t connected_since_ms;           /* wall clock; 0 when not connected */
    bool session_present;                 /* of the last CONNACK, as the next five */
    int protocol;                         /* 5, or 4: MQTT 3.1.1 */
    enum protocol_doubt protocol_doubt;   /* why it is 4, with broker.protocol = auto */
    unsigned receive_maximum;             /* MQTT 5: messages in flight that were asked for */
    uint32_t session_expiry_s;            /* MQTT 5: as granted, */
    bool has_said_expiry;                 /* which the broker said; else it is what was asked */
    int keepalive_s;                      /* as the broker wants it, or as asked */
    uint64_t connects;                    /* CONNACKs so far */
    uint64_t received;                    /* messages taken from Paho */
    uint64_t in_flight;                   /* QoS 2 messages whose PUBREL has not been received */
    uint64_t in_flight_peak;              /* the most of them in the last seconds */
    uint64_t refused_qos0;                /* QoS 0 messages refused while nothing could be
                                           * written */
    uint64_t lost[LOSS_CAUSES];           /* connections that ended, by cause */
    char last_error[SESSION_REASON_SIZE]; /* the last of this run, also after it ended; "" when
                                           * none */
    int64_t last_error_ms;                /* wall clock; 0 when none */
};

struct session;

/* The arguments of session_start(). All outlive the session except `subscriptions`, which is
 * copied. */
struct session_parts {
    const struct config *config; /* broker and the session's own section, never reloaded */
    unsigned index;
    struct gate *gate;
    struct intake *intake;
    struct store_session record; /* the database's record of this client's session */
    bool database_is_new;        /* it has no record of any session with any broker */
    const struct session_subscription *subscriptions;
    size_t subscription_count;
};

/* Called once in the process, before the first session and before any thread: removes proxies from
 * the environment, and sets the host that every TLS handshake expects. */
void session_library_init(const struct config *config);

/* Returns true when the kernel delays none of the sessions' writes to the gate. */
bool session_writes_at_once(const struct config *config);

/* Start the thread. Returns 0 and sets *out, for session_stop(); or a negative errno. */
int session_start(struct session **out, const struct session_parts *parts);

/* Connect only while not paused; pausing does not cut a connection. */
void session_set_paused(struct session *session, bool paused, const char *reason);

/* If the session is backing off, make it try again at once, because the cause may be gone. */
void session_retry_now(struct session *session);

/* A snapshot. Any thread; never calls Paho. */
void session_status(struct session *session, struct session_status *out);

/* The QoS that the broker has granted for each filter of the session's configuration, in its order;
 * SESSION_NOT_GRANTED for a filter refused or not answered yet. `granted` has room for all of them.
 * Any thread.
 */
void session_granted(struct session *session, int granted[]);

/* Send DISCONNECT and end the thread: begin for all sessions, then finish each. */
void session_stop_begin(struct session *session);

/* Wait until `deadline_ms` (monotonic) and free. Returns false when the thread did not end (a name
 * server hangs, say): nothing was freed then, and the process must exit without it. */
bool session_stop_finish(struct session *session, int64_t deadline_ms);

/* --- broker_options ---------------------------------------------------------------------- */

/* Paho's options for the configured broker, for the sessions and for `check --connect`. */

#define BROKER_URI_SIZE    512
#define BROKER_TARGET_SIZE 300
#define BROKER_PROXY_SIZE  (GATE_AUTHORITY_SIZE + 16)

/*
 * Returns options with the address, TLS and credentials of [broker]; the caller sets the others.
 * The result borrows `config` and `uri`, into which the address is written. Any thread.
 */
struct paho_options broker_options(const struct config *config, char uri[BROKER_URI_SIZE]);

/* Write the target of Paho's CONNECT to the gate, "host:port". Any thread. */
void broker_target(const struct config *config, char target[BROKER_TARGET_SIZE]);

/*
 * Make a client id that no session of the configuration has, for a client with a clean session:
 * id-acme-01-check-3f2a of id-acme-01 and "check". Returns false when there is no random number.
 * Any thread.
 */
#define BROKER_CLIENT_ID_SIZE 512
bool broker_other_client_id(const struct config *config, const char *client_id, const char *purpose,
                            char out[BROKER_CLIENT_ID_SIZE]);

/* Write the gate's address with a session's token, as Paho's proxy URL. Any thread. */
void broker_proxy(const struct config *config, const struct gate *gate, unsigned session,
                  char proxy[BROKER_PROXY_SIZE]);

#define BROKER_ROUTE_SIZE 320

/* Resolve the host to dial, as dial_resolve() does: the proxy's if one is configured, else the
 * broker's. Any thread; blocks. */
int broker_resolve(const struct config *config, const struct dial_history *history,
                   struct dial_list *out, char problem[DIAL_PROBLEM_SIZE]);

/* Have the configured proxy connect `fd`, a socket to an address of broker_resolve(), to the
 * broker, as proxy_open() does; without a proxy `fd` is the broker's already. Any thread; blocks.
 */
enum proxy_result broker_open(const struct config *config, int fd, int stop_fd,
                              char problem[PROXY_PROBLEM_SIZE]);

/* Write "HOST:PORT" of the configured proxy, or "". Returns `out`. Any thread. */
const char *broker_proxy_name(const struct config *config, char out[BROKER_ROUTE_SIZE]);

/* Write "HOST:PORT" of the broker, and " through the proxy HOST:PORT" behind it if one is
 * configured. Returns `out`. Any thread. */
const char *broker_route(const struct config *config, char out[BROKER_ROUTE_SIZE]);

#endif
