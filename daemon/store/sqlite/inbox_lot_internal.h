/* A lot of the inbox: the messages that are sorted in together; see store/sqlite/inbox_lot.c. n is
 * a message's number in the table `inbox`. */
#ifndef STORE_SQLITE_INBOX_LOT_INTERNAL_H
#define STORE_SQLITE_INBOX_LOT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/sqlite/inbox_rows_internal.h"
#include "store/sqlite/inbox_runs_internal.h"

struct inbox_lot {
    int64_t first;  /* lowest n of the lot */
    int64_t end;    /* lowest n after the lot */
    uint32_t count; /* messages */
    uint32_t done;  /* messages that are sorted in */
    uint64_t bytes; /* taken by the messages in the table, as far as known */

    /* The messages that arrived last, in memory. */
    struct inbox_entry *entries;
    uint32_t capacity; /* of `entries` */
    uint32_t held;     /* entries in use */
    struct inbox_rows rows;

    /* The messages that arrived before those, on disk. */
    struct inbox_runs runs;

    /* The next message of each run and, behind the last run's, of the entries in memory. */
    struct inbox_head heads[INBOX_RUNS + 1];
    int lowest;         /* index of the head that is the lot's next message */
    bool all_unread;    /* no head has been read */
    bool lowest_unread; /* heads[lowest] has not been read */
    uint32_t next;      /* index of the next entry */

    /* The state of the last inbox_lot_mark(), for inbox_lot_restore(). */
    struct {
        uint32_t held;
        uint32_t rows;
        uint64_t bytes;
        uint32_t done;
        uint32_t next;
        off_t runs[INBOX_RUNS];
    } marked;
};

/* A second array of entries for sorting. */
struct inbox_spare {
    struct inbox_entry *entries;
    uint32_t capacity;
};

/* Allocate and touch memory for so many messages and so many bytes of parsed rows. Returns false
 * when out of memory; inbox_lot_free() is needed in either case. */
bool inbox_lot_make(struct inbox_lot *lot, uint32_t messages, uint32_t rows);

/* Free the lot's memory; a zeroed lot is allowed. */
void inbox_lot_free(struct inbox_lot *lot);

/* Allocate and touch memory to sort so many messages. Returns false when out of memory. */
bool inbox_spare_make(struct inbox_spare *spare, uint32_t messages);
void inbox_spare_free(struct inbox_spare *spare);

/* Empty the lot, for messages from n = first on. */
void inbox_lot_clear(struct inbox_lot *lot, int64_t first);

/* Add a message, whose n is higher than those before it. `row` is its place in the lot's rows, 0:
 * none; `bytes` those that it takes in the table, 0: not known. The caller makes sure that memory
 * has room: held < capacity. */
void inbox_lot_add(struct inbox_lot *lot, int64_t n, uint32_t device, uint32_t row, size_t bytes);

/* Double the room in memory. Returns false when out of memory. */
bool inbox_lot_grow(struct inbox_lot *lot);

/* Write the messages in memory to the lot's file as a sorted run, see inbox_runs_write(), and empty
 * the memory. All of them have been marked. Returns 0, or an errno with nothing changed. */
int inbox_lot_spill(struct inbox_lot *lot, struct inbox_spare *spare);

/* Sort the lot, to which no message is added any more and in which all are marked. Returns 0 or
 * ENOMEM. */
int inbox_lot_begin(struct inbox_lot *lot, struct inbox_spare *spare);

/* Set *head to the next message in the order of device and n, of a lot that was sorted and has
 * messages left. Returns 0, or an errno when the file cannot be read. */
int inbox_lot_head(struct inbox_lot *lot, struct inbox_head *head);

/* Go on to the message after that of inbox_lot_head(). */
void inbox_lot_pass(struct inbox_lot *lot);

/* Note the state that the last commit has brought to the disk. */
void inbox_lot_mark(struct inbox_lot *lot);

/* Go back to the state of the last inbox_lot_mark(). */
void inbox_lot_restore(struct inbox_lot *lot);

#endif
