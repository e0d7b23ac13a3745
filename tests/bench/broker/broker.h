/* The parts of the benchmark's broker: its options, its sessions and its counters. */
#ifndef BENCH_BROKER_H
#define BENCH_BROKER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "message.h"
#include "options.h"
#include "session.h"

struct broker {
    struct broker_options options;
    SSL_CTX *tls; /* NULL: in clear */
    struct message_plan plan;
    struct session *sessions;
    unsigned window; /* of the client that connected last */

    bool streaming;
    uint64_t acknowledged;
    uint64_t answers; /* PUBACK, PUBREC and PUBCOMP that came */
    uint64_t resent;
    unsigned reconnects;
    int64_t first_ns; /* first PUBLISH written; 0: none yet */
    int64_t last_ns;  /* last acknowledgement read */
    double cpu_first_s;
    double marks_s[OPTIONS_MARKS_MAX];
    unsigned mark_count;
};

/* CLOCK_MONOTONIC. */
int64_t broker_now_ns(void);

/* The session of a client id, a new one for a new id; *present tells which. NULL: all are taken. */
struct session *broker_session(struct broker *broker, const char *client_id, size_t length,
                               bool *present);

/* Returns true when every session has subscribed. */
bool broker_all_subscribed(const struct broker *broker);

/* Note that the first message is about to be sent. */
void broker_note_start(struct broker *broker);

/* Note that one message is acknowledged. */
void broker_note_acknowledged(struct broker *broker);

/* Print the one line of JSON that tells how it went. */
void broker_report(const struct broker *broker);

#endif
