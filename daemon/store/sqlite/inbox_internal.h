/*
 * The inbox: in a catch-up messages are stored in the order of arrival in one table, and sorted
 * into their tables device by device some seconds later. See store/sqlite/inbox.c. Used by the
 * writer's thread only; results are those of store/store.h.
 */
#ifndef STORE_SQLITE_INBOX_INTERNAL_H
#define STORE_SQLITE_INBOX_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "foxtrackr.h"
#include "store/sqlite/rows_internal.h"
#include "store/store.h"

/* Results beside those of the store; like STORE_E_RETRY they are positive: the caller may try
 * again. */
#define INBOX_E_MEMORY  100 /* out of memory outside the store */
#define INBOX_E_SCRATCH 101 /* see inbox_error(); inbox_load() is to be called again first */

/* The inbox opens when at least INBOX_OPEN_MESSAGES messages arrived within INBOX_OPEN_WITHIN_MS
 * and changed at least one page for every INBOX_OPEN_SHARE of them. With fewer pages a row costs no
 * more in its table than in the inbox. */
#define INBOX_OPEN_MESSAGES 2048
#ifndef INBOX_OPEN_WITHIN_MS
#define INBOX_OPEN_WITHIN_MS 500 /* longer for tests, which a machine may slow down */
#endif
#define INBOX_OPEN_SHARE 3

/* Divides the sizes below; tests set it to get smaller lots. */
#ifndef INBOX_SCALE
#define INBOX_SCALE 1
#endif

/* With fewer free bytes on the disk the inbox closes. A third of a million messages of 100 bytes
 * take 54 MB, two lots exist at a time, and the WAL takes 50 MB. */
#define INBOX_ROOM (INT64_C(268435456) / INBOX_SCALE)

/* The part of a lot that is in memory, in messages: */
#define INBOX_HELD_ENOUGH (147456 / INBOX_SCALE)      /* a sorted run is written with so many, */
#define INBOX_HELD_MOST   (INBOX_HELD_ENOUGH + 16384) /* there is room for one batch more, */
#define INBOX_HELD_WORTH  (INBOX_HELD_ENOUGH / 4 + 1) /* and so many do once no parsed row fits */
/* and in bytes of parsed rows. */
#define INBOX_HELD_ROWS (2560 * 1024 / INBOX_SCALE + 512)

/* The size of a lot in messages: INBOX_LOT_A_DEVICE for each device, between the least and the
 * most. Free space on the disk and the size of the tables limit it further, see
 * store/sqlite/inbox_sizes.c. */
#define INBOX_LOT_A_DEVICE 144
#define INBOX_LOT_LEAST    (344064 / INBOX_SCALE)
#define INBOX_LOT_MOST     (1474560 / INBOX_SCALE)
/* The size of a lot in bytes; most lots of small messages reach their number of messages first. */
#define INBOX_LOT_LEAST_BYTES (INT64_C(67108864) / INBOX_SCALE)
#define INBOX_LOT_MOST_BYTES  (INT64_C(268435456) / INBOX_SCALE)
/* The age at which a lot below INBOX_LOT_LEAST is sorted in, and a larger one. */
#define INBOX_LOT_AGE_MS       5000
#define INBOX_LOT_AGE_LARGE_MS 15000
/* With fewer messages than this at INBOX_LOT_AGE_MS the catch-up is over: the inbox closes. */
#define INBOX_LOT_SMALL (10000 / INBOX_SCALE + 1)

/* The longest that sorting a lot in is meant to take. */
#define INBOX_SORT_MS 15000

/* The fewest messages to sort in with one batch, and the fewest while the writer is idle. */
#define INBOX_STEP_WORTH     (500 / INBOX_SCALE + 1)
#define INBOX_STEP_MEANWHILE (24 / INBOX_SCALE + 1)

#define INBOX_ERROR_SIZE 256

struct inbox;

/* Puts a message that is being sorted in into its tables, in the open batch. The arguments live
 * until the function returns. Any result but STORE_OK ends the batch. */
typedef int inbox_use_fn(void *context, const char *client_id, const struct store_packet *packet);

/* The same for a message whose parsed row is in memory; arguments as of store_put_reading(). */
typedef int inbox_reading_fn(void *context, const struct store_reading *reading, bool *done);

struct inbox_sink {
    inbox_use_fn *use;
    inbox_reading_fn *reading;
    void *context;
};

/* Returns an inbox for inbox_free(), NULL when out of memory. `store` outlives it. */
struct inbox *inbox_new(struct store *store);

/* Free the memory; NULL is allowed. The messages of the inbox stay in the database. */
void inbox_free(struct inbox *inbox);

/* Read the table: the messages that an earlier run has left, or all after INBOX_E_SCRATCH. Called
 * before any other function, until it succeeds, and never in an open batch. Returns the store's
 * results or INBOX_E_MEMORY. */
int inbox_load(struct inbox *inbox);

/* Returns true when messages are to be sorted in or deleted from the table. */
bool inbox_is_busy(const struct inbox *inbox);

/* Returns true when the inbox is to be emptied as soon as possible, without waiting for new
 * messages. */
bool inbox_is_draining(const struct inbox *inbox);

/* Sort in some messages more than arrived with the last batch, but not more than `most`. Called in
 * the open batch, before its messages. `idle`: the writer has no messages at the moment. `now_ms`
 * is monotonic. */
int inbox_sort_some(struct inbox *inbox, bool idle, uint64_t most, int64_t now_ms,
                    const struct inbox_sink *sink);

/* Returns true when the inbox would take a message now, provided that its topic can be parsed. */
bool inbox_takes(const struct inbox *inbox);

/*
 * Put a message into the inbox, in the open batch. `message` is the parsed message, NULL when it
 * cannot be parsed. The memory that `client_id` and `packet` point at lives until inbox_finish().
 * Sets *taken to false, and changes nothing, when the message has to go to its tables directly: the
 * inbox is full, or closed and empty, or the topic cannot be parsed.
 */
int inbox_put(struct inbox *inbox, const char *client_id, const struct store_packet *packet,
              const struct foxtrackr_message *message, bool *taken);

/* Write the messages that inbox_put() has gathered to the table. Called before the commit. */
int inbox_finish(struct inbox *inbox);

/* Note that the batch is on disk, with `messages` new messages. Their number, and that of the
 * pages that the batch changed, decide whether the inbox opens. `now_ms` is monotonic. */
void inbox_committed(struct inbox *inbox, uint64_t messages, int64_t now_ms);

/* Note that the batch was rolled back: the state is that of the last commit again. */
void inbox_rolled_back(struct inbox *inbox);

/* Set the free space of the disk. A lot takes at most an eighth of it; below INBOX_ROOM the inbox
 * closes. */
void inbox_note_space(struct inbox *inbox, int64_t free_bytes);

/* The sentence for a person after INBOX_E_SCRATCH. */
const char *inbox_error(const struct inbox *inbox);

/* Make the inbox sort in everything and then close. */
void inbox_drain(struct inbox *inbox);

/* Returns how many messages of the inbox are on disk and not sorted in. */
uint64_t inbox_waiting(const struct inbox *inbox);

#endif
