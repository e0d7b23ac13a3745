/*
 * An MQTT client: Eclipse Paho's MQTTAsync behind calls that wait, and the only code that
 * sees Paho. One thread, the session's, uses a client; paho_wake() may be called by any. Messages
 * come on Paho's receive thread, under Paho's global lock.
 */
#ifndef MQTT_MQTT_H
#define MQTT_MQTT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAHO_PROBLEM_SIZE 384

/* The numbers are the protocol levels of CONNECT (MQTT 3.1.1 §3.1.2.2, MQTT 5 §3.1.2.2). */
enum paho_version { PAHO_MQTT_3_1_1 = 4, PAHO_MQTT_5 = 5 };

struct paho_options {
    const char *uri; /* ssl://host:port or tcp://host:port */
    const char *client_id;
    const char *proxy_url; /* the gate; NULL: none, only for a clean session */
    bool clean_session; /* a session that ends with paho_disconnect(), for a check of the broker */
    bool tls;
    const char *ca_file;
    const char *cert_file; /* NULL: none */
    const char *key_file;  /* NULL: in cert_file */
    const char *username;  /* NULL: none */
    const char *password;  /* NULL: none */
    int keepalive_s;
    int connect_timeout_s;
    enum paho_version version; /* PAHO_MQTT_5 only where paho_speaks_5() */
    unsigned receive_maximum;  /* MQTT 5: messages in flight that we ask for, 1 to 65535 */
    /* MQTT 5: how long the broker keeps the session when the connection is lost, 1 to 2147483647;
     * with clean_session also 0. */
    uint32_t session_expiry_s;
};

/* A CONNACK that accepts the connection. */
struct paho_answer {
    bool session_present;
    uint32_t session_expiry_s; /* MQTT 5: as granted; MQTT 3.1.1, which has none: 0 */
    bool has_said_expiry;      /* false: the broker did not say it, so it is what was asked */
    int keepalive_s;           /* as the broker wants it, or as asked */
    bool has_shared;           /* false: the broker says that it has no shared subscriptions */
    bool has_wildcards;        /* false: it says so of filters with + and # */
};

struct paho_message {
    const char *topic;
    size_t topic_length;
    const void *payload; /* the first payload_length bytes */
    size_t payload_length;
    size_t full_length;    /* as the broker sent it */
    const uint8_t *digest; /* SHA-256 of the whole payload; NULL: `payload` is the whole */
    int qos;
    bool is_repeated; /* QoS 2: it has come on this connection before, and its PUBREL has not */
};

/*
 * Called with a message. When it returns, Paho acknowledges the message in any case: so by then the
 * message must have a number, or its link must be severed. QoS 2 messages come before their PUBREC
 * is written, QoS 1 before their PUBACK. The message lives until it returns. It may block, only for
 * backpressure, and must not call into this file.
 */
typedef void (*paho_message_fn)(void *context, const struct paho_message *message);

/* Called when the PUBREL of a QoS 2 message has come, to count messages in flight; on the same
 * thread and under the same rules. */
typedef void (*paho_released_fn)(void *context);

/* Called with the CONNACK that accepts a connection, before any message of that connection is
 * handed over; on the same thread and under the same rules. paho_connect() waits until it returns.
 * Not called when paho_connect() has returned before the CONNACK came. */
typedef void (*paho_accepted_fn)(void *context, const struct paho_answer *answer);

/* The functions that a client calls, each with `context`. */
struct paho_handler {
    paho_accepted_fn accepted; /* NULL: none */
    paho_message_fn message;
    paho_released_fn released;
    void *context;
};

enum paho_result {
    PAHO_OK = 0,
    PAHO_E_REFUSED = 1, /* connect: a CONNACK with an error; subscribe: SUBACK with 0x80 or more */
    PAHO_E_FAILED = 2,  /* no answer: the connection failed or timed out */
    PAHO_E_VERSION = 3, /* connect: the broker does not speak this version, and made no session */
    /* connect with PAHO_MQTT_5: the broker accepted it as if it were MQTT 3.1.1, and may have made
     * a session; the connection is closed */
    PAHO_E_OLD_ANSWER = 4,
};

enum paho_event { PAHO_LOST, PAHO_WOKEN, PAHO_TIMEOUT };

struct paho;

/* Called once in the process, before the first client: removes proxies from the environment, turns
 * tracing off. */
void paho_library_init(void);

/* Describe the version of Paho and how it is linked (see mqtt/paho/lean.c), for --version. */
void paho_describe(char out[PAHO_PROBLEM_SIZE]);

/* From now on keep at most `bytes` of the payload of a message that is longer, while it comes: see
 * struct paho_message. No effect, and the whole is in memory, where paho_checks_packets() is false.
 * Any thread. */
void paho_limit_payload(size_t bytes);

/* A client. `handler` and the strings of `options` that connecting needs are copied. Returns 0 and
 * sets *out, for paho_free(); or -1 (out of memory, or Paho would not: client id not UTF-8). Does
 * not return when this Paho would acknowledge, in silence, a message that it had no memory for
 * (mqtt/paho/library.c). */
int paho_new(struct paho **out, const struct paho_options *options,
             const struct paho_handler *handler);

/* Not while connected. NULL is allowed. */
void paho_free(struct paho *paho);

/* Returns true when clients can be made for PAHO_MQTT_5. Any thread. */
bool paho_speaks_5(void);

/*
 * Connect, with clean session off unless the options say otherwise, and wait for CONNACK. Not while
 * connected; nothing of the connection before is left. PAHO_OK sets *answer, which the handler has
 * had before; no other result comes after the handler was called. Otherwise `problem` is a
 * sentence; with PAHO_E_REFUSED and PAHO_E_VERSION the broker has answered and made no session
 * (MQTT 3.1.1 §3.2.2.3, MQTT 5 §3.1.4).
 */
int paho_connect(struct paho *paho, const struct paho_options *options, struct paho_answer *answer,
                 char problem[PAHO_PROBLEM_SIZE]);

/* Set `problem` to a sentence about the malformed packet for which the last connection was closed.
 * Returns false: there was none, or it is not known (shared library). */
bool paho_complaint(struct paho *paho, char problem[PAHO_PROBLEM_SIZE]);

/*
 * Set `*code` and `sentence` for the DISCONNECT with which the broker of MQTT 5 ended the last
 * connection (§3.14.2.1), once. The sentence has no full stop; texts of the broker's in it are
 * quoted and escaped. Returns false when none came: MQTT 3.1.1 has no such packet.
 */
bool paho_disconnect_reason(struct paho *paho, int *code, char sentence[PAHO_PROBLEM_SIZE]);

/* Returns true when the last paho_connect() has written its CONNECT, which with TLS means that the
 * handshake succeeded. False when that is not known (shared library; no answer within the time). */
bool paho_sent_connect(struct paho *paho);

/* Returns true when paho_complaint() reports every packet for which a connection is closed. */
bool paho_checks_packets(void);

/* Subscribe and wait for SUBACK; messages before it extend the wait. PAHO_OK sets *granted_qos;
 * otherwise `problem` is a sentence. */
int paho_subscribe(struct paho *paho, const char *filter, int qos, int *granted_qos,
                   char problem[PAHO_PROBLEM_SIZE]);

/* Unsubscribe and wait for UNSUBACK. */
int paho_unsubscribe(struct paho *paho, const char *filter);

/* Returns true when the kernel delays no writes to a broker with (or without) TLS. */
bool paho_writes_at_once(bool tls);

/* Callbacks for Paho's writes and waits; see mqtt/paho/cork.c. */
struct paho_relay {
    /* Called after a write to a broker with TLS, by the writing thread, which may hold Paho's
     * locks. */
    void (*written)(void *context);

    /* Like poll(), but never returns 0 early, because Paho would then sleep for 100 ms
     * (MQTTAsync_cycle()). Called on Paho's receive thread, from its first acknowledgement on,
     * whenever it waits for something to read, and before it writes gathered acknowledgements. */
    int (*poll)(void *context, struct pollfd *fds, nfds_t count, int timeout_ms);

    void *context;
};

/* Set the relay whose callbacks are called from now on; it must live until it is replaced. NULL:
 * none. Call it while no struct paho exists. No effect where paho_writes_at_once() is false.
 */
void paho_set_relay(const struct paho_relay *relay);

/* Write the gathered acknowledgements (mqtt/paho/cork.c). For Paho's receive thread.
 */
void paho_flush(void);

/* Send DISCONNECT after what is queued and close; wait at most timeout_ms. */
void paho_disconnect(struct paho *paho, int timeout_ms);

/* Wait until the connection is lost, paho_wake() is called, or timeout_ms (-1: for ever) is over. A
 * loss or a wake before the call counts, once. */
enum paho_event paho_wait(struct paho *paho, int timeout_ms);

/* End the present paho_wait(), or the next one. Any thread. */
void paho_wake(struct paho *paho);

/* From now on only paho_disconnect() waits for the broker: every other call fails at once, and
 * paho_wait() returns PAHO_WOKEN. Any thread. */
void paho_stop(struct paho *paho);

#endif
