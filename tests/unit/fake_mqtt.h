/*
 * A stand-in for daemon/mqtt/client.c, and the broker behind it, for tests of sessions.
 *
 * The stand-in keeps the contract of mqtt/mqtt.h for one client. Each packet is a line of text that
 * goes through the real gate, with a link that was opened as Paho opens one, to a socket of the
 * broker (fake_broker.h). When it arrives there, the packet is noted, after everything that the
 * store has committed since the packet before it. So the notes tell what was on disk when a packet
 * left:
 *
 *     connecting(c) CONNECT established(c,none,7) SUBSCRIBE(a/#,2) subscribed(c,a/#,2,7)
 *
 * A CONNECT of MQTT 5 is noted as CONNECT5, and as ASK with a clean session: from a second client
 * that lives while the first one is not connected.
 *
 * A test says beforehand what the broker answers. The session's thread does all the work of Paho's
 * threads, but for messages and losses, which come from the test's thread while the session waits.
 * No call of a session waits for a time: paho_wait() ends when the test ends it.
 */
#ifndef FAKE_MQTT_H
#define FAKE_MQTT_H

#include <stdbool.h>
#include <stddef.h>

#include "store/store.h"

/* Begin a conversation, with nothing said yet: the broker keeps sessions and grants what is asked.
 * The notes begin with what `store` commits from now on. */
void fake_mqtt_begin(struct store *store);

/* End it, when no client exists any more. */
void fake_mqtt_end(void);

/* --- what the broker will do ----------------------------------------------------------------- */

/* The answer to a CONNECT. */
enum fake_answer {
    FAKE_KEPT,      /* CONNACK with session present; also what comes after the last answer given */
    FAKE_NEW,       /* CONNACK without it */
    FAKE_REFUSED,   /* CONNACK with an error */
    FAKE_VERSION,   /* CONNACK: the broker does not speak this version */
    FAKE_OLD,       /* to MQTT 5: CONNACK without an error, in the form of MQTT 3.1.1 */
    FAKE_CLOSED,    /* the connection is closed instead */
    FAKE_TLS_ALERT, /* some bytes, and then the connection is closed */
    FAKE_MALFORMED, /* a CONNACK that is not valid; Paho closes the connection */
    FAKE_SILENT,    /* none until Paho's time is over */
    FAKE_ABSENT,    /* none until paho_stop() of this client */
    FAKE_STUCK,     /* paho_connect() does not return before fake_mqtt_unstick() */
    FAKE_BYPASS,    /* CONNACK, for a client that did not connect through the gate */
};

/* Give the answer to the next CONNECT that has none yet. */
void fake_mqtt_answer(enum fake_answer answer);

/* From now on a CONNACK of MQTT 5 has this keep alive, or expiry, in s; -1: what was asked. */
void fake_mqtt_set_keepalive(int keepalive_s);
void fake_mqtt_set_expiry(int expiry_s);

/* From now on paho_speaks_5() says so. True at the beginning. */
void fake_mqtt_speak_5(bool speaks_5);

/* Let the paho_connect() that is stuck return. */
void fake_mqtt_unstick(void);

#define FAKE_REFUSES    (-1) /* SUBACK with 0x80 */
#define FAKE_UNANSWERED (-2) /* neither SUBACK nor UNSUBACK comes */

/* From now on a SUBSCRIBE to this filter is granted `qos` at most, or gets one of the two above.
 * With FAKE_UNANSWERED an UNSUBSCRIBE is not answered either. The filter is borrowed. */
void fake_mqtt_grant(const char *filter, int qos);

/* Call this once, in the session's thread, when the next packet with this name ("CONNECT") has
 * arrived at the broker and before it is answered. `name` is borrowed. */
void fake_mqtt_before_answer(const char *name, void (*function)(void *context), void *context);

/* Call this once, in the session's thread, when the handler has had the next CONNACK and before
 * paho_connect() returns: Paho's thread goes on to the connection's messages then. */
void fake_mqtt_after_connack(void (*function)(void *context), void *context);

/* A hook for fake_mqtt_before_answer(): the broker closes the connection. `context` is not used. */
void fake_mqtt_hang_up(void *context);

/* The next paho_new() fails; or the next one of a client with a clean session. */
void fake_mqtt_fail_new(void);
void fake_mqtt_fail_question(void);

/* --- what happened --------------------------------------------------------------------------- */

/* Wait until the session waits in paho_wait(), and this is not the wait that was returned last.
 * Returns its time limit in ms; -1: none. */
int fake_mqtt_next_wait(void);

/* The notes: packets, and what the store has committed before each of them; those to an address but
 * the first with its number, as "CONNECT/1". The text lives until the next call. */
const char *fake_mqtt_notes(void);

/* Returns the time limit of the last paho_connect(), in s. */
int fake_mqtt_connect_timeout_s(void);

/* Returns the keep alive of the last CONNECT, in s. */
int fake_mqtt_keepalive_s(void);

/* --- while the session waits ----------------------------------------------------------------- */

/* The time limit of the present paho_wait() is over, at once: the monotonic clock moves on. */
void fake_mqtt_pass_time(void);

/* How a connection ends. */
enum fake_loss {
    FAKE_BY_BROKER,    /* the broker closes it */
    FAKE_BY_SILENCE,   /* the broker says nothing for a minute, and Paho gives up */
    FAKE_BY_COMPLAINT, /* the broker sends what is not MQTT, and Paho closes it */
    FAKE_BY_DAEMON,    /* the gate has cut it */
    FAKE_LATE,         /* none: Paho reports an earlier end again */
};

/* The connection ends; the session is told when the gate has seen it. */
void fake_mqtt_lose(enum fake_loss how);

/* The broker of MQTT 5 sends a DISCONNECT, for which the client's sentence is `sentence`, and
 * closes the connection; the session is told as above. */
void fake_mqtt_disconnect(int code, const char *sentence);

/* A message comes, in the calling thread, as on Paho's; to the client with a clean session while
 * there is one. An acknowledgement (PUBREC, PUBACK) is
 * written when the session has taken it, as Paho does. */
void fake_mqtt_deliver(const char *topic, const void *payload, size_t length, int qos);

/* A message with QoS 2 comes that has come on this connection already. */
void fake_mqtt_repeat(const char *topic, const void *payload, size_t length);

/* The handshake of a QoS 2 message is complete. */
void fake_mqtt_release(void);

/* Wait until the broker has got the packet that was written last. Returns false when the connection
 * ends before. */
bool fake_mqtt_arrives(void);

#endif
