/*
 * The subscriptions that the broker was last seen to grant a client. Used by the session's thread
 * only. A zeroed list is empty.
 */
#ifndef SESSION_SUBSCRIPTIONS_INTERNAL_H
#define SESSION_SUBSCRIPTIONS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

/* One of them. */
struct session_memory {
    char *filter;
    int qos;
};

struct session_memory_list {
    struct session_memory *entries;
    size_t count;
};

/* Remember a filter (copied), or its new QoS. 0, or -ENOMEM. */
int session_memory_add(struct session_memory_list *list, const char *filter, int qos);

/* Forget a filter; it may be the list's own string. */
void session_memory_remove(struct session_memory_list *list, const char *filter);

/* Whether this filter is remembered with this QoS. */
bool session_memory_has(const struct session_memory_list *list, const char *filter, int qos);

/* A filter that is remembered but not configured for the session, or NULL. */
const char *session_memory_unwanted(const struct session_memory_list *list,
                                    const struct config_session *session);

/* Forget everything and free it. */
void session_memory_clear(struct session_memory_list *list);

#endif
