/*
 * The parts that the files of the client share; mqtt/client.c says how it works.
 *
 *  - client.c: its life, and the waits of the session's thread;
 *  - client_connect.c: a connection, from CONNECT to its end;
 *  - client_requests.c: SUBSCRIBE, UNSUBSCRIBE and DISCONNECT, and the answers to requests;
 *  - client_messages.c: messages, on Paho's receive thread.
 *
 * Functions are for the session's thread unless they say otherwise.
 */
#ifndef MQTT_CLIENT_INTERNAL_H
#define MQTT_CLIENT_INTERNAL_H

#include <MQTTAsync.h>
#include <MQTTClientPersistence.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "mqtt/mqtt.h"
#include "mqtt/paho/check_internal.h"

#define CLIENT_SLOTS      8
#define CLIENT_PACKET_IDS 65536

/* The answer to one request. Under the mutex while it is awaited, then the session's thread's. */
struct slot {
    struct paho *paho;
    bool is_awaited;  /* client_slot_wait() has not returned */
    bool is_accepted; /* CONNECT: the answer is in the handler's hands */
    bool done;
    bool ok;
    int code;
    char message[PAHO_PROBLEM_SIZE];
};

struct paho {
    MQTTAsync handle;
    enum paho_version version; /* of the client of Paho's */
    MQTTClient_persistence persistence;
    struct paho_handler handler;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct slot slots[CLIENT_SLOTS];
    unsigned next_slot;
    bool lost;
    bool woken;
    bool stopping;
    unsigned heard;       /* messages received so far */
    bool is_handing_over; /* a message, or a CONNACK, is being put into the intake now */

    /* The last connection. */
    bool has_ended;                           /* it was lost, or the broker disconnected */
    const void *connection;                   /* see mqtt/paho/check_internal.h */
    char complaint[MQTT_PACKET_PROBLEM_SIZE]; /* "" or why the connection was closed */
    struct mqtt_answer answer;                /* all zero in a program that checks no packets */
    struct paho_answer accepted;              /* as CONNECT asks; then as CONNACK says */
    bool ends_session;                        /* with DISCONNECT: it would last otherwise */

    /* Paho's receive thread's: packet identifiers that were handed over by client_messages.c and
     * whose PUBREL has not come. */
    unsigned char put[CLIENT_PACKET_IDS / CHAR_BIT];
};

/* --- client_connect.c ------------------------------------------------------------------------- */

/* Make the first of Paho's clients. Returns 0, or -1: out of memory, or Paho would not. */
int client_make(struct paho *paho, const struct paho_options *options);

/* Under the mutex, in a callback of Paho's: note the callback's connection, and what is known of
 * it.
 */
void client_note_connection(struct paho *paho);

/* Add a property with a number. Returns false when memory is out. */
bool client_add_number(MQTTProperties *properties, enum MQTTPropertyCodes id, uint32_t number);

/* --- client_requests.c ------------------------------------------------------------------------ */

/* Take a slot for a request's answer. It belongs to the request until seven more have been made. */
struct slot *client_slot_take(struct paho *paho);

/*
 * Wait for the answer to a request that MQTTAsync took with `rc`; the loss of the connection or,
 * unless `leaving`, paho_stop() ends the wait. `timeout_ms` limits the broker's silence; unless
 * `leaving`, messages extend it, because a broker sends the many that it has kept first. PAHO_OK,
 * PAHO_E_REFUSED (a code from the broker) or PAHO_E_FAILED.
 */
int client_slot_wait(struct paho *paho, struct slot *slot, int rc, int64_t timeout_ms,
                     bool leaving);

/* Give a slot its answer, if it is awaited. Any thread. */
void client_answer(struct slot *slot, bool ok, int code, const char *message);

/* An MQTTAsync_onFailure whose context is a slot. Paho's threads. */
void client_on_failure(void *context, MQTTAsync_failureData *data);

/* --- client_messages.c ------------------------------------------------------------------------ */

/* Set up the persistence plugin through which QoS 2 messages come. */
void client_messages_init(struct paho *paho);

/* Forget the QoS 2 messages whose PUBREL has not come. While not connected. */
void client_messages_reset(struct paho *paho);

/* The MQTTAsync_messageArrived. Paho's receive thread. */
int client_on_message(void *context, char *topic, int topic_length, MQTTAsync_message *message);

#endif
