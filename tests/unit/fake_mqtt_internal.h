/* Shared by the stand-in client (fake_mqtt.c) and the test's side of it (fake_script.c). */
#ifndef FAKE_MQTT_INTERNAL_H
#define FAKE_MQTT_INTERNAL_H

#include <pthread.h>

#include "fake_link.h"
#include "fake_mqtt.h"
#include "mqtt/mqtt.h"

#define FAKE_ANSWERS    16
#define FAKE_GRANTS     8
#define FAKE_NOTES_SIZE 32768

struct paho {
    struct paho_handler handler;
};

/* One object of the process. The link, the client and `connected` are the session thread's, and the
 * test's while the session waits in paho_wait(); the mutex guards the rest. */
struct fake_mqtt {
    pthread_mutex_t mutex;
    pthread_cond_t changed;

    /* The script. */
    enum fake_answer answers[FAKE_ANSWERS];
    int answers_given;
    int answers_used;
    struct {
        const char *filter;
        int qos;
    } grants[FAKE_GRANTS];
    const char *hook_name; /* NULL: none */
    void (*hook)(void *context);
    void *hook_context;
    void (*after_connack)(void *context); /* NULL: none */
    void *after_connack_context;
    bool fails_new;
    bool fails_question;
    bool cannot_5;
    int keepalive_s; /* of CONNACK; -1: as asked, as the next */
    int expiry_s;
    bool unstuck;

    /* The client. */
    struct paho *client;
    struct paho *question; /* the client with a clean session, while there is one */
    struct fake_link link;
    bool connected;
    bool lost;
    bool woken;
    bool stopping;
    bool asks; /* the last CONNECT was that of a client with a clean session */
    bool question_stopped;
    int stop_fd; /* readable when stopping */
    char complaint[PAHO_PROBLEM_SIZE];
    int connect_timeout_s;
    int asked_keepalive_s;
    bool sent_connect;   /* CONNECT arrived, behind the TLS handshake */
    int disconnect_code; /* 0: no DISCONNECT came */
    char disconnect[PAHO_PROBLEM_SIZE];

    /* paho_wait(). */
    bool waiting;
    bool time_passes;
    int wait_ms;
    int waits;
    int waits_returned;

    /* The notes. */
    struct store *store;
    size_t history_seen;
    char notes[FAKE_NOTES_SIZE];
};

extern struct fake_mqtt fake;

/* Set a flag and wake whoever waits for a change. */
void fake_set(bool *flag);

/* Note a packet that has arrived at the broker. */
void fake_note_packet(const char *packet);

/* The broker closes the connection, and the client's end is closed too when this returns. */
void fake_close_at_broker(void);

/* From now on, until the next CONNECT, this is why Paho closed the connection. */
void fake_complain(const char *text);

#endif
