/*
 * Why a connection to the broker ended, or never had its answer to CONNECT: judged from what the
 * gate, which sees both ends, and Paho know. Nothing is guessed: the daemon's own doing is never
 * put down to the broker. Pure; any thread.
 */
#ifndef SESSION_LOSS_INTERNAL_H
#define SESSION_LOSS_INTERNAL_H

#include <stdbool.h>

#include "gate/gate.h"

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

#endif
