/*
 * The store's records of MQTT sessions: the tables `sessions`, `subscriptions` and `gaps`. Results
 * and threads are those of store/store.h.
 */
#ifndef STORE_SESSIONS_H
#define STORE_SESSIONS_H

#include "store/store.h"

/* --- in the open batch --------------------------------------------------------------------- */

/* Which messages may have been lost when a session began. */
enum store_gap {
    STORE_GAP_NONE,      /* none: it is this client's first session */
    STORE_GAP_LOST,      /* the broker has lost a session; gaps.reason "session lost" */
    STORE_GAP_UNCERTAIN, /* a CONNECT was never answered, so the session may be a new one;
                            gaps.reason "session uncertain" */
    STORE_GAP_MOVED,     /* it is another broker than before, which keeps the messages of the old
                            session; gaps.reason "broker changed" */
};

/* The version of MQTT that a broker speaks with a client. */
struct store_protocol {
    int version;      /* 5, or 4: MQTT 3.1.1; 0: not known */
    int64_t asked_ms; /* wall clock: when MQTT 5 was last asked for; 0: never */
};

/* Note that a CONNECT is about to be sent: connecting = 1, until one of the next two calls. If the
 * process dies before, the next one finds the flag and subscribes again: the broker may have made a
 * new session, which looks like the old one but has no subscriptions. */
int store_session_connecting(struct store *store, const char *client_id);

/* Note that the effect of a CONNECT is known: connecting = 0. A now_ms other than 0 says that the
 * broker had the session: connected_ms becomes now_ms, established_ms too if it was NULL, and a gap
 * gets its row as below. `protocol` is that of the connection; NULL, or a version of 0, leaves the
 * one on record. */
int store_session_settled(struct store *store, const char *client_id, enum store_gap gap,
                          const struct store_protocol *protocol, int64_t now_ms);

/* Note that the broker made a new session: connecting = 0, established_ms and connected_ms =
 * now_ms, the client's subscriptions are deleted, and a `gap` other than STORE_GAP_NONE gets a row
 * in `gaps` from last_durable_ms to now_ms. STORE_GAP_LOST of a session that began where such a row
 * ends, brought no data and has no subscription on record moves the end of that row to now_ms.
 * `protocol` is as above. */
int store_session_established(struct store *store, const char *client_id, enum store_gap gap,
                              const struct store_protocol *protocol, int64_t now_ms);

/* Note that a session delivered messages in this batch: last_durable_ms. */
int store_session_durable(struct store *store, const char *client_id, int64_t now_ms);

/* Record, or delete, a subscription that the broker has for this client. */
int store_subscribed(struct store *store, const char *client_id, const char *filter, int qos,
                     int64_t now_ms);
int store_unsubscribed(struct store *store, const char *client_id, const char *filter);

/* --- without a batch ----------------------------------------------------------------------- */

/* The record of a client's session. */
struct store_session {
    bool known;     /* the broker has had a session for it (established_ms is not NULL) */
    bool uncertain; /* the connecting flag is set */
    bool elsewhere; /* the daemon's last session for it was with another broker */
    struct store_protocol protocol;
};
int store_session_find(struct store *store, const char *client_id, struct store_session *out);

/* Call `each` for every recorded subscription of a client at the broker, in the order of filters.
 * `filter` lives until `each` returns. A non-zero return of `each` ends the walk and is returned.
 */
int store_subscriptions(struct store *store, const char *client_id,
                        int (*each)(void *context, const char *filter, int qos), void *context);

/* For people: client id, broker, and when the daemon last had that session (moment_text()). */
#define STORE_SESSION_UNUSED                                                                       \
    "%s: its session at %s, last used %s, is not configured any more: the broker may go on "       \
    "queuing messages for it; to receive them configure this client id again, to end the "         \
    "session see \"Sessions not configured any more\" in foxtrackrd(8)"

typedef void store_unused_fn(void *context, const char *client_id, const char *broker,
                             int64_t used_ms);

/* Call `each` for every session that a broker has made for a client id that is none of the `count`
 * client_ids. The strings live until `each` returns; used_ms is when the daemon last had the
 * session (wall clock; 0: not known). */
int store_sessions_unused(struct store *store, const char *const client_ids[], unsigned count,
                          store_unused_fn *each, void *context);

#endif
