/*
 * The fleet's connection to the broker: a window of messages in flight, waited for at the end.
 *
 * For test programs: every function ends the process with a sentence on standard error and exit
 * status 1 when the broker refuses, cannot be reached, or does not answer within a minute.
 */
#ifndef PUBLISHER_H
#define PUBLISHER_H

#include <stdbool.h>
#include <stddef.h>

#define PUBLISHER_FILTERS_MAX 32

struct publisher_options {
    const char *host;
    int port;
    bool tls;
    const char *ca_file;  /* NULL: the system's */
    const char *username; /* NULL: none */
    const char *password;
    const char *client_id; /* NULL: made from the process id */
    bool durable;          /* clean_session = 0: the broker keeps the session */
    int qos;
    bool retain;
    int window; /* messages in flight */
};

struct publisher;

/* Connect. The options are copied, their strings are not. The result is for publisher_close(). */
struct publisher *publisher_open(const struct publisher_options *options);

/* Publish; waits only while the window is full. The payload is copied. */
void publisher_publish(struct publisher *publisher, const char *topic, const void *payload,
                       size_t length);

/* Subscribe to filters and insist on the QoS. */
void publisher_subscribe(struct publisher *publisher, char *const *filters, int filter_count,
                         int qos);

/* Wait until the broker has acknowledged everything, disconnect and free. NULL is allowed. */
void publisher_close(struct publisher *publisher);

#endif
