/*
 * A broker that plays a list of steps, over TCP or TLS on the loopback: it awaits a packet and
 * answers it, on one connection after the other.
 */
#ifndef STEP_BROKER_H
#define STEP_BROKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* Awaits a packet with this first byte (0: none), and answers. The two bytes "ID" in an answer
 * become the packet identifier of the packet. */
struct step {
    unsigned char awaited;
    const char *answer;
    size_t length;
};

#define ANSWER(awaited, bytes)                                                                     \
    {                                                                                              \
        awaited, bytes, sizeof(bytes) - 1                                                          \
    }

struct step_broker {
    char uri[64];            /* for Paho; with TLS it names localhost */
    char ca_file[64];        /* "" without TLS */
    unsigned char seen[512]; /* the packets that came on the last connection */
    size_t seen_length;

    /* Its own. */
    int listener;
    struct ssl_ctx_st *context; /* NULL: without TLS */
    pthread_t thread;
    const struct step *steps;
    size_t count;
    bool closes;
};

/* Listen. step_broker_close() ends it, and removes the file. */
void step_broker_open(struct step_broker *broker, bool tls);
void step_broker_close(struct step_broker *broker);

/* Play `steps`, which must live on, on the next connection, in a thread. After them the broker
 * closes the connection, or waits until the client does. */
void step_broker_begin(struct step_broker *broker, const struct step *steps, size_t count,
                       bool closes);

/* Wait for the end of the connection. */
void step_broker_join(struct step_broker *broker);

#endif
