/* Inserts several readings of one table with one statement; see store/sqlite/inbox_groups.c.
 * Results are those of the store and of the sink. */
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
    size_t used; /* bytes of `texts` */
    char texts[4 * INBOX_ROW_EXTRA_MOST];
};

/* Begin without readings. `store` and `sink` outlive the groups. */
void inbox_groups_begin(struct inbox_groups *groups, struct store *store,
                        const struct inbox_sink *sink);

/* Add the reading of message n, read by inbox_row_read(); its text is copied. Inserts a group that
 * is full. */
int inbox_groups_add(struct inbox_groups *groups, int64_t n, const struct store_reading *reading);

/* Insert the readings that were added: before a message that may be of the same topic is inserted
 * otherwise, and at the end. */
int inbox_groups_use(struct inbox_groups *groups);

/* Read message n from the table `inbox` and hand it to the sink. */
int inbox_groups_use_message(const struct inbox_groups *groups, int64_t n);

#endif
