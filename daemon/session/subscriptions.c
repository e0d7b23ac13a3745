/* A list of filters that the broker was last seen to grant; a linear search suffices. */
#include "session/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct session_subscription *find(const struct session_subscriptions *list,
                                         const char *filter)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->entries[i].filter, filter) == 0) {
            return &list->entries[i];
        }
    }
    return NULL;
}

int session_subscriptions_add(struct session_subscriptions *list, const char *filter, int qos)
{
    struct session_subscription *entry = find(list, filter);
    struct session_subscription *entries;

    if (entry != NULL) {
        entry->qos = qos;
        return 0;
    }
    entries = realloc(list->entries, (list->count + 1) * sizeof(*entries));
    if (entries == NULL) {
        return -ENOMEM;
    }
    list->entries = entries;
    entry = &entries[list->count];
    entry->filter = strdup(filter);
    entry->qos = qos;
    if (entry->filter == NULL) {
        return -ENOMEM;
    }
    list->count++;
    return 0;
}

void session_subscriptions_remove(struct session_subscriptions *list, const char *filter)
{
    struct session_subscription *entry = find(list, filter);

    if (entry != NULL) {
        free(entry->filter);
        *entry = list->entries[--list->count];
    }
}

bool session_subscriptions_has(const struct session_subscriptions *list, const char *filter,
                               int qos)
{
    const struct session_subscription *entry = find(list, filter);

    return entry != NULL && entry->qos == qos;
}

const char *session_subscriptions_unwanted(const struct session_subscriptions *list,
                                           const struct config_session *session)
{
    for (size_t i = 0; i < list->count; i++) {
        bool wanted = false;

        for (size_t k = 0; k < session->filter_count; k++) {
            wanted = wanted || strcmp(list->entries[i].filter, session->filters[k]) == 0;
        }
        if (!wanted) {
            return list->entries[i].filter;
        }
    }
    return NULL;
}

void session_subscriptions_clear(struct session_subscriptions *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->entries[i].filter);
    }
    free(list->entries);
    list->entries = NULL;
    list->count = 0;
}
