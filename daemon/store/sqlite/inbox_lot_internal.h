/* A lot of the inbox: messages that are sorted in together; see store/sqlite/inbox_lot.c. */
#ifndef STORE_SQLITE_INBOX_LOT_INTERNAL_H
#define STORE_SQLITE_INBOX_LOT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/sqlite/inbox_rows_internal.h"
#include "store/sqlite/inbox_runs_internal.h"

struct inbox_lot {
    int64_t first; /* n of its first message... */
    int64_t end;   /* ...and of the first one that is not in it */
    uint32_t count;
    uint32_t done;  /* of them sorted in */
    uint64_t bytes; /* of them in the table, as far as known */

    /* What came last is in memory. */
    struct inbox_entry *entries;
    uint32_t capacity;
    uint32_t held;
    struct inbox_rows rows;

    /* What came before that is on disk. */
    struct inbox_runs runs;

    /* The next message of each run, and last the one of those in memory. */
    struct inbox_head heads[INBOX_RUNS + 1];
    int lowest;
    bool all_unread;    /* none of the heads is known, */
    bool lowest_unread; /* or only this one is not */
    uint32_t next;      /* of the entries */

    struct {
        uint32_t held;
        uint32_t rows;
        uint64_t bytes;
        uint32_t done;
        uint32_t next;
        off_t runs[INBOX_RUNS];
    } marked;
};

/* For sorting, which needs as much room again. */
struct inbox_spare {
    struct inbox_entry *entries;
    uint32_t capacity;
};

/* Take the memory, and touch it: for so many messages, and so many bytes of their rows. False when
 * there is none; inbox_lot_free() in any case. */
bool inbox_lot_make(struct inbox_lot *lot, uint32_t messages, uint32_t rows);

/* Also for a lot that is all zero. */
void inbox_lot_free(struct inbox_lot *lot);

/* As inbox_lot_make(). */
bool inbox_spare_make(struct inbox_spare *spare, uint32_t messages);
void inbox_spare_free(struct inbox_spare *spare);

/* Empty, for messages from n = first on. */
void inbox_lot_clear(struct inbox_lot *lot, int64_t first);

/* Add a message, with its place in the lot's rows, and so many bytes in the table (0: not known); n
 * only grows. There is room in memory: held < capacity. */
void inbox_lot_add(struct inbox_lot *lot, int64_t n, uint32_t device, uint32_t row, size_t bytes);

/* Make more room in memory. False when there is none. */
bool inbox_lot_grow(struct inbox_lot *lot);

/* Move what is in memory, which has all been marked, to the lot's file, if there is one: see
 * inbox_runs_write(). 0, or an errno, and nothing has changed. */
int inbox_lot_spill(struct inbox_lot *lot, struct inbox_spare *spare);

/* Sort: nothing is added any more, and everything is marked. 0, or ENOMEM. */
int inbox_lot_begin(struct inbox_lot *lot, struct inbox_spare *spare);

/* The next message in the order of device and n, of a lot that has begun and is not done. 0, or an
 * errno: the file cannot be read. */
int inbox_lot_head(struct inbox_lot *lot, struct inbox_head *head);

/* It is done. */
void inbox_lot_pass(struct inbox_lot *lot);

/* What was added and done is on disk now... */
void inbox_lot_mark(struct inbox_lot *lot);

/* ...or the lot is to be again what it was then. */
void inbox_lot_restore(struct inbox_lot *lot);

#endif
