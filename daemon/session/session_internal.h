/* Declarations shared by the session's files; not for other rooms. */
#ifndef SESSION_SESSION_INTERNAL_H
#define SESSION_SESSION_INTERNAL_H

#include <pthread.h>

#include "base/log.h"
#include "mqtt/mqtt.h"
#include "net/net.h"
#include "session/session.h"
#include "store/sessions.h"

struct session {
    pthread_t thread;
    struct session_parts parts;
    const struct config_session *own;
    struct paho *paho;
    struct paho_options options;
    char uri[BROKER_URI_SIZE];
    char proxy_url[BROKER_PROXY_SIZE];
    int stop_fd; /* ends a dial */
    struct session_protocol protocol;

    pthread_mutex_t mutex; /* guards the members up to the blank line */
    pthread_cond_t ended_changed;
    struct session_status status;
    int *granted;    /* by filter, see session_granted() */
    int64_t peak_ms; /* wall clock; of status.in_flight_peak */
    bool stopping;
    bool ended; /* the thread is about to end */
    bool paused;
    bool retry_now;        /* end the backoff */
    struct paho *question; /* the client that asks for MQTT 5 now; NULL: none */
    bool window_told;      /* a window that is larger than asked was logged in this run */
    char pause_reason[SESSION_REASON_SIZE];

    /* Used by the session's thread only. */
    struct paho_answer answer; /* the last CONNACK with a session */
    struct dial_history addresses;
    int failed_attempts; /* consecutive attempts in which every address failed */
    struct session_subscriptions subscriptions;
    bool known;     /* the broker has had a session for us before */
    bool elsewhere; /* the last session was another broker's, and this one was not connected yet */
    bool uncertain; /* a CONNECT was sent and its answer is not recorded */
    bool was_uncertain;   /* before the CONNECT that is on its way */
    enum store_gap gap;   /* as recorded with the answer to the last CONNECT */
    bool is_recorded;     /* the intake has taken that record */
    bool is_last_version; /* the attempt has no other version of MQTT left to try */
    bool is_useless;      /* the last CONNACK made a session that ends with its connection, and
                           * the other version is to be tried; nothing of it is on record */
    bool loss_unrecorded; /* the broker had lost the session, and the intake refused the record */
    int backoff_ms;
    int64_t connected_ms;  /* monotonic */
    int short_lives;       /* connections in a row that the broker ended soon */
    bool shares_told;      /* warn_of_shares() has warned in this run */
    int64_t expiry_told_s; /* the granted expiry that was logged last; -1: none */
    bool doubt_told;       /* PROTOCOL_NOT_KNOWN was logged in this run */
    struct log_cause cause;
    bool problem_said; /* a problem was logged, and its end was not yet */
    struct log_cause refused_cause;
};

/* Log why there is no connection, or why a filter is not granted: one line a minute for the same
 * reason. */
void session_log_problem(struct session *session, const char *problem);

/* session/status.c: set what session_status() and session_granted() return from now on. */
void session_note_error(struct session *session, const char *problem);
void session_note_granted(struct session *session, size_t filter, int qos);
void session_forget_granted(struct session *session);

/* Put an event into the intake. Returns false when the intake refuses it: the link cannot be used
 * then. */
bool session_put_event(struct session *session, enum intake_kind kind, const char *filter, int qos,
                       enum store_gap gap);

/* Returns true from session_stop_begin() on. */
bool session_is_stopping(struct session *session);

/* Note the client of a question, so that a stop reaches it; NULL: there is none any more. Returns
 * false, with nothing noted, when the session is being stopped. */
bool session_set_question(struct session *session, struct paho *paho);

/* session/connect.c: reach the broker at one of its addresses and send CONNECT. Returns true with
 * session->answer and options.version set; else `problem` (of SESSION_REASON_SIZE bytes) is set, to
 * "" when the session is being stopped. */
bool session_connect(struct session *session, char *problem);

#define SESSION_DIAL_MS     10000
#define SESSION_CLEAN_UP_MS 3000

enum session_reached {
    SESSION_REACHED,
    SESSION_NOT_REACHED,
    SESSION_NOT_NOW, /* another address would not help */
};

/*
 * session/address.c: proxy, TLS and CONNECT at an address, over the socket `fd`, which is taken.
 * options.version is then the version of the last CONNECT. SESSION_REACHED sets session->answer,
 * the others set `problem` (of SESSION_REASON_SIZE bytes), to "" when the session is being stopped.
 */
enum session_reached session_try_address(struct session *session,
                                         const struct dial_address *address, int fd, char *problem);

/* session/answer.c: log that the broker keeps a session of MQTT 5 for a shorter time than asked, by
 * session->answer, or that this is not known. */
void session_note_expiry(struct session *session);

/* session/answer.c: take the broker's keep alive, by session->answer, for the next connection.
 * Returns true when that is to be made at once. */
bool session_take_keepalive(struct session *session);

/* session/answer.c: a paho_accepted_fn, for a session: put the record of CONNACK into the intake,
 * before the messages of the connection; or set is_useless. Paho's receive thread, while the
 * session's waits. */
void session_record_answer(void *context, const struct paho_answer *answer);

/* session/answer.c: say what session_record_answer() has recorded. Returns false when the intake
 * has refused that. */
bool session_note_answer(struct session *session);

/* A connection that lasted this long resets the backoff. */
#define SESSION_STABLE_MS 30000

enum session_reconciled {
    SESSION_RECONCILED,
    SESSION_RECONCILED_PARTLY, /* a filter is refused, or granted below the asked QoS */
    SESSION_RECONCILE_FAILED,  /* no answer: the connection has to be closed */
    SESSION_NOT_RECORDED,      /* the intake refuses the record of an answer */
};

/* session/subscribe.c: make the broker's subscriptions those of the configuration. Sets `problem`
 * (of SESSION_REASON_SIZE bytes) unless every filter is granted. */
enum session_reconciled session_reconcile(struct session *session, char *problem);

/* The texts that facts about a connection's end point to. */
struct loss_texts {
    char complaint[PAHO_PROBLEM_SIZE];
    char disconnect[PAHO_PROBLEM_SIZE];
};

/* session/explain_loss.c: return the facts about the connection, or attempt, of one of the
 * session's clients, at whose start `before` was the link's status. The result borrows *texts. */
struct loss_facts session_loss_facts(struct session *session, struct paho *paho,
                                     const struct gate_link_status *before,
                                     struct loss_texts *texts);

/* session/explain_loss.c: count an ended connection, or one given up because of `result`, by its
 * cause, and set `problem` (of SESSION_REASON_SIZE bytes) to the reason. After a failed
 * session_reconcile(), `problem` holds its reason already. */
void session_tell_loss(struct session *session, enum session_reconciled result, char *problem);

#endif
