/* What the files of a session share. Nothing else includes it. */
#ifndef SESSION_SESSION_INTERNAL_H
#define SESSION_SESSION_INTERNAL_H

#include <pthread.h>

#include "base/log.h"
#include "mqtt/mqtt.h"
#include "net/net.h"
#include "session/session.h"
#include "store/store.h"

struct session {
    pthread_t thread;
    struct session_parts parts;
    const struct config_session *own;
    struct paho *paho;
    struct paho_options options;
    char uri[BROKER_URI_SIZE];
    char proxy_url[BROKER_PROXY_SIZE];
    int stop_fd; /* ends a dial */

    pthread_mutex_t mutex; /* of what follows, up to the blank line */
    pthread_cond_t ended_changed;
    struct session_status status;
    int *granted;    /* by filter, see session_granted() */
    int64_t peak_ms; /* wall clock; of status.in_flight_peak */
    bool stopping;
    bool ended; /* the thread has nothing left to do */
    bool paused;
    bool retry_now; /* end the backoff */
    char pause_reason[SESSION_REASON_SIZE];

    /* The thread's own. */
    struct dial_memory addresses;
    int failed_attempts; /* in a row that found no address of use */
    struct session_memory_list memory;
    bool known;     /* the broker has had a session for us before */
    bool elsewhere; /* another broker has, and this one has not been connected to yet */
    bool uncertain; /* a CONNECT left and its answer is not on record */
    int backoff_ms;
    int64_t connected_ms; /* monotonic */
    int short_lives;      /* connections in a row that the broker ended soon */
    struct log_cause cause;
    bool problem_said; /* in the log, and its end not yet */
    struct log_cause refused_cause;
};

/* Why there is no connection, or not all of one: a line a minute for the same reason. */
void session_log_problem(struct session *session, const char *problem);

/* session/status.c: what session_status() and session_granted() tell from now on. */
void session_note_error(struct session *session, const char *problem);
void session_note_granted(struct session *session, size_t filter, int qos);
void session_forget_granted(struct session *session);

/* Record an event. False when the intake refuses it: the link is useless then. */
bool session_put_event(struct session *session, enum intake_kind kind, const char *filter, int qos,
                       enum store_gap gap);

/* session/connect.c: reach the broker at one of its addresses and send CONNECT. True with a
 * session, and *present tells whether the broker had it; else `problem` (of SESSION_REASON_SIZE
 * bytes) is set, to "" when the session is being stopped. */
bool session_connect(struct session *session, bool *present, char *problem);

/* session/connect.c: put on record what CONNACK has told. False when the intake refuses. */
bool session_record_answer(struct session *session, bool present);

/* A connection that lived this long starts the backoff anew. */
#define SESSION_STABLE_MS 30000

enum session_reconciled {
    SESSION_RECONCILED,
    SESSION_RECONCILED_PARTLY, /* a filter is refused, or granted below the asked QoS */
    SESSION_RECONCILE_FAILED,  /* no answer: the connection is of no use any more */
    SESSION_NOT_RECORDED,      /* the intake refuses the record of an answer */
};

/* session/subscribe.c: make the broker's subscriptions those of the configuration. Sets `problem`
 * (of SESSION_REASON_SIZE bytes) unless all are. */
enum session_reconciled session_reconcile(struct session *session, char *problem);

/* session/explain_loss.c: what is known of the session's connection, or attempt to connect, that
 * began when `before` was its link's status. `complaint` is where a complaint is put. */
struct loss_facts session_loss_facts(struct session *session, const struct gate_link_status *before,
                                     char complaint[PAHO_PROBLEM_SIZE]);

/* session/explain_loss.c: a connection with a CONNACK has ended, or is given up because of
 * `result`: count it by its cause, and make `problem` (of SESSION_REASON_SIZE bytes) say why. Where
 * session_reconcile() failed, `problem` has its reason. */
void session_tell_loss(struct session *session, enum session_reconciled result, char *problem);

#endif
