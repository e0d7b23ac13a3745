/* When the inbox pays, how large its lots are, and how much is sorted in with a batch; see
 * store/sqlite/inbox_sizes.c. Times are monotonic. */
#ifndef STORE_SQLITE_INBOX_SIZES_INTERNAL_H
#define STORE_SQLITE_INBOX_SIZES_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "store/sqlite/inbox_lot_internal.h"

struct inbox_sizes {
    /* For opening. */
    int64_t counted_since_ms;
    uint64_t counted_messages;
    uint64_t counted_pages;

    /* Of the lot that is filled. */
    uint32_t most;
    int64_t most_bytes;

    /* Of the one that is sorted in. */
    uint64_t arrived; /* with the last batch */
    uint64_t due;     /* since something was sorted in */
    int64_t since_ms; /* 0: since the next batch */
};

/* Nothing is known; the lots are empty. */
void inbox_sizes_begin(struct inbox_sizes *sizes);

/* A batch is on disk, with so many messages and pages: whether it pays to put such into the inbox.
 */
bool inbox_sizes_pay(struct inbox_sizes *sizes, uint64_t messages, int pages, int64_t now_ms);

/* A lot's first message comes: there are so many devices, the database takes so many bytes, with
 * those of the lot before it that wait, and so many are free on the disk. */
void inbox_sizes_new_lot(struct inbox_sizes *sizes, uint32_t devices, int64_t used_bytes,
                         uint64_t waiting_bytes, int64_t free_bytes);

/* Whether it is large enough to be sorted in. */
bool inbox_sizes_enough(const struct inbox_sizes *sizes, const struct inbox_lot *lot);

/* Whether it is old enough, having got its first message so long ago. */
bool inbox_sizes_old(const struct inbox_lot *lot, int64_t age_ms);

/* With a batch, some of this lot: how many messages, but not more than `most`. `draining`: there is
 * no reason to wait for newcomers. `idle`: the writer would be, until they come. */
uint64_t inbox_sizes_step(struct inbox_sizes *sizes, const struct inbox_lot *lot, bool draining,
                          bool idle, uint64_t most, int64_t now_ms);

/* Another lot is sorted in from now on. */
void inbox_sizes_next_lot(struct inbox_sizes *sizes);

#endif
