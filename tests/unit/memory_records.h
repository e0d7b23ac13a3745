/*
 * The records of clients' sessions and subscriptions in the engine in memory, which has one broker.
 * A plain value: the engine copies it with the rest of its content. No locking of its own.
 */
#ifndef MEMORY_RECORDS_H
#define MEMORY_RECORDS_H

#include "store/sessions.h"

#define MEMORY_CLIENTS     4
#define MEMORY_FILTERS     8
#define MEMORY_FILTER_SIZE 64

struct memory_record {
    char client_id[MEMORY_FILTER_SIZE]; /* "": the place is free */
    bool known;
    bool uncertain;
    struct store_protocol protocol;
    struct {
        char filter[MEMORY_FILTER_SIZE]; /* "": the place is free */
        int qos;
    } subscriptions[MEMORY_FILTERS];
};

struct memory_records {
    struct memory_record clients[MEMORY_CLIENTS];
};

/* The operations of store/sessions.h of the same names. A test has fewer clients and filters than
 * there is room for; the process ends otherwise. */
void memory_records_connecting(struct memory_records *records, const char *client_id);
void memory_records_settled(struct memory_records *records, const char *client_id,
                            const struct store_protocol *protocol, int64_t now_ms);
void memory_records_established(struct memory_records *records, const char *client_id,
                                const struct store_protocol *protocol);
void memory_records_subscribed(struct memory_records *records, const char *client_id,
                               const char *filter, int qos);
void memory_records_unsubscribed(struct memory_records *records, const char *client_id,
                                 const char *filter);
void memory_records_find(const struct memory_records *records, const char *client_id,
                         struct store_session *out);
int memory_records_subscriptions(const struct memory_records *records, const char *client_id,
                                 int (*each)(void *context, const char *filter, int qos),
                                 void *context);

#endif
