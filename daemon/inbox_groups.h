/* Readings that are sorted in, several of a table at a time; see inbox_groups.c. */
#ifndef INBOX_GROUPS_H
#define INBOX_GROUPS_H

#include <stdint.h>

#include "inbox.h"
#include "store.h"

struct inbox_group {
    struct store_reading readings[STORE_READINGS];
    int64_t n[STORE_READINGS];
    int count;
};

/* Begins with these two set, and all else zero. */
struct inbox_groups {
    struct store *store;
    const struct inbox_sink *sink;
    struct inbox_group battery;
    struct inbox_group temperature;
};

/* Message n says this; texts of the reading live until it is used. Results are the sink's and the
 * store's. */
int inbox_groups_add(struct inbox_groups *groups, int64_t n, const struct store_reading *reading);

/* Use what has been added: before any message that may be of the same topic, and at the end. */
int inbox_groups_use(struct inbox_groups *groups);

/* Message n itself. */
int inbox_groups_use_message(const struct inbox_groups *groups, int64_t n);

#endif
