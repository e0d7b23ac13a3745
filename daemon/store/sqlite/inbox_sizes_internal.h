/* Decides when the inbox opens, how large its lots are, and how much is sorted in with a batch; see
 * store/sqlite/inbox_sizes.c. Times are monotonic. */
#ifndef STORE_SQLITE_INBOX_SIZES_INTERNAL_H
#define STORE_SQLITE_INBOX_SIZES_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "store/sqlite/inbox_lot_internal.h"

struct inbox_sizes {
    /* The messages and changed pages of the last moments, which decide when the inbox opens. */
    int64_t counted_since_ms;
    uint64_t counted_messages;
    uint64_t counted_pages;

    /* The size of the filling lot. */
    uint32_t most; /* messages */
    int64_t most_bytes;

    /* The progress of the sorting lot. */
    uint64_t arrived; /* messages that arrived with the last batch */
    uint64_t due;     /* messages to sort in, put off since the last step */
    int64_t since_ms; /* when sorting the lot in began; 0: with the next batch */
};

/* Begin with empty lots. */
void inbox_sizes_begin(struct inbox_sizes *sizes);

/* Count a batch that was committed, with its messages and the pages that it changed. Returns true
 * when the inbox is to open: see INBOX_OPEN_MESSAGES. */
bool inbox_sizes_pay(struct inbox_sizes *sizes, uint64_t messages, int pages, int64_t now_ms);

/* Size a lot when its first message arrives. `devices` is their number; `used_bytes` those of the
 * database in use, with the `waiting_bytes` of the sorting lot; `free_bytes` those of the disk. */
void inbox_sizes_new_lot(struct inbox_sizes *sizes, uint32_t devices, int64_t used_bytes,
                         uint64_t waiting_bytes, int64_t free_bytes);

/* Returns true when the filling lot has reached its size. */
bool inbox_sizes_enough(const struct inbox_sizes *sizes, const struct inbox_lot *lot);

/* Returns true when a lot is to be sorted in although it is not full, `age_ms` after its first
 * message. */
bool inbox_sizes_old(const struct inbox_lot *lot, int64_t age_ms);

/* Returns how many messages of the sorting lot to sort in with this batch, `most` at most; 0 puts
 * them off. `draining`: the inbox is to be emptied as soon as possible. `idle`: the writer has no
 * messages at the moment. */
uint64_t inbox_sizes_step(struct inbox_sizes *sizes, const struct inbox_lot *lot, bool draining,
                          bool idle, uint64_t most, int64_t now_ms);

/* Begin to sort in the next lot. */
void inbox_sizes_next_lot(struct inbox_sizes *sizes);

#endif
