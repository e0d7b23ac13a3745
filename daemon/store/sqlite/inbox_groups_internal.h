/* Readings that are sorted in, several of a table at a time; see store/sqlite/inbox_groups.c. */
#ifndef STORE_SQLITE_INBOX_GROUPS_INTERNAL_H
#define STORE_SQLITE_INBOX_GROUPS_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "store/sqlite/inbox_internal.h"
#include "store/sqlite/inbox_rows_internal.h"
#include "store/store.h"

struct inbox_group {
    struct store_reading readings[STORE_READINGS];
    int64_t n[STORE_READINGS];
    int count;
};

struct inbox_groups {
    struct store *store;
    const struct inbox_sink *sink;
    struct inbox_group battery;
    struct inbox_group temperature;
    size_t used; /* of the texts */
    char texts[4 * INBOX_ROW_EXTRA_MOST];
};

/* Empty; both outlive it. */
void inbox_groups_begin(struct inbox_groups *groups, struct store *store,
                        const struct inbox_sink *sink);

/* Message n says this, a row of store/sqlite/inbox_rows.c; its text is copied. Results are the
 * sink's and the store's. */
int inbox_groups_add(struct inbox_groups *groups, int64_t n, const struct store_reading *reading);

/* Use what has been added: before any message that may be of the same topic, and at the end. */
int inbox_groups_use(struct inbox_groups *groups);

/* Message n itself. */
int inbox_groups_use_message(const struct inbox_groups *groups, int64_t n);

#endif
