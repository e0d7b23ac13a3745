/* The records of memory_records.h: two small tables in which a free place has an empty name. */
#include "memory_records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Returns the client's record, or else a free place. */
static const struct memory_record *find(const struct memory_records *records, const char *client_id)
{
    for (int i = 0; i < MEMORY_CLIENTS; i++) {
        const struct memory_record *record = &records->clients[i];

        if (record->client_id[0] == '\0' || strcmp(record->client_id, client_id) == 0) {
            return record;
        }
    }
    abort();
}

/* Returns the client's record, made now if there was none. */
static struct memory_record *record_of(struct memory_records *records, const char *client_id)
{
    struct memory_record *record = &records->clients[find(records, client_id) - records->clients];

    snprintf(record->client_id, sizeof(record->client_id), "%s", client_id);
    return record;
}

void memory_records_connecting(struct memory_records *records, const char *client_id)
{
    record_of(records, client_id)->uncertain = true;
}

static void note_protocol(struct memory_record *record, const struct store_protocol *protocol)
{
    if (protocol != NULL && protocol->version != 0) {
        record->protocol = *protocol;
    }
}

void memory_records_settled(struct memory_records *records, const char *client_id,
                            const struct store_protocol *protocol, int64_t now_ms)
{
    struct memory_record *record = record_of(records, client_id);

    note_protocol(record, protocol);
    record->uncertain = false;
    record->known = record->known || now_ms != 0;
}

void memory_records_established(struct memory_records *records, const char *client_id,
                                const struct store_protocol *protocol)
{
    struct memory_record *record = record_of(records, client_id);

    note_protocol(record, protocol);
    record->uncertain = false;
    record->known = true;
    memset(record->subscriptions, 0, sizeof(record->subscriptions));
}

void memory_records_subscribed(struct memory_records *records, const char *client_id,
                               const char *filter, int qos)
{
    struct memory_record *record = record_of(records, client_id);

    memory_records_unsubscribed(records, client_id, filter);
    for (int i = 0; i < MEMORY_FILTERS; i++) {
        if (record->subscriptions[i].filter[0] == '\0') {
            snprintf(record->subscriptions[i].filter, MEMORY_FILTER_SIZE, "%s", filter);
            record->subscriptions[i].qos = qos;
            return;
        }
    }
    abort();
}

void memory_records_unsubscribed(struct memory_records *records, const char *client_id,
                                 const char *filter)
{
    struct memory_record *record = record_of(records, client_id);

    for (int i = 0; i < MEMORY_FILTERS; i++) {
        if (strcmp(record->subscriptions[i].filter, filter) == 0) {
            record->subscriptions[i].filter[0] = '\0';
        }
    }
}

void memory_records_find(const struct memory_records *records, const char *client_id,
                         struct store_session *out)
{
    const struct memory_record *record = find(records, client_id);

    *out = (struct store_session){
        .known = record->known, .uncertain = record->uncertain, .protocol = record->protocol};
}

int memory_records_subscriptions(const struct memory_records *records, const char *client_id,
                                 int (*each)(void *context, const char *filter, int qos),
                                 void *context)
{
    const struct memory_record *record = find(records, client_id);
    int result = 0;

    for (int i = 0; i < MEMORY_FILTERS && result == 0; i++) {
        if (record->subscriptions[i].filter[0] != '\0') {
            result = each(context, record->subscriptions[i].filter, record->subscriptions[i].qos);
        }
    }
    return result;
}
