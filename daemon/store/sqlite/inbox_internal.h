/*
 * The inbox: in a catch-up messages are stored as they came, in one place, and sorted into their
 * tables device by device a moment later. See store/sqlite/inbox.c. Used by the writer's thread
 * only; results are those of store/store.h.
 */
#ifndef STORE_SQLITE_INBOX_INTERNAL_H
#define STORE_SQLITE_INBOX_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "foxtrackr.h"
#include "store/sqlite/rows_internal.h"
#include "store/store.h"

/* Beside the store's results, and positive as those that may be tried again: */
#define INBOX_E_MEMORY  100 /* out of memory outside the store */
#define INBOX_E_SCRATCH 101 /* see inbox_error(); inbox_load() is to be called again first */

/* It opens in a catch-up that it pays for: when so many come in so short a time, with a page for
 * every third at least. With fewer a row costs no more in its table than in here. */
#define INBOX_OPEN_MESSAGES  2048
#define INBOX_OPEN_WITHIN_MS 500
#define INBOX_OPEN_SHARE     3

/* Tests have smaller lots. */
#ifndef INBOX_SCALE
#define INBOX_SCALE 1
#endif

/* It has no place on a disk with less free space, in bytes. A third of a million messages of 100
 * bytes take 54 MB, two lots exist at a time, and the log takes 50. */
#define INBOX_ROOM (INT64_C(268435456) / INBOX_SCALE)

/* What is in memory of a lot: so many messages, and bytes of what plain ones say. */
#define INBOX_HELD_ENOUGH (147456 / INBOX_SCALE)      /* the next ones are on the disk's account, */
#define INBOX_HELD_MOST   (INBOX_HELD_ENOUGH + 16384) /* but there is room for a batch more */
#define INBOX_HELD_WORTH  (INBOX_HELD_ENOUGH / 4 + 1) /* when no row has room any more */
#define INBOX_HELD_ROWS   (2560 * 1024 / INBOX_SCALE + 512)

/* What is sorted in at a time, in messages: so many for each device, between these; more than the
 * least only while there is room on the disk and the tables are large; */
#define INBOX_LOT_A_DEVICE 144
#define INBOX_LOT_LEAST    (344064 / INBOX_SCALE)
#define INBOX_LOT_MOST     (1474560 / INBOX_SCALE)
/* the same in bytes, which are fewer where messages are as small as most are; */
#define INBOX_LOT_LEAST_BYTES (INT64_C(67108864) / INBOX_SCALE)
#define INBOX_LOT_MOST_BYTES  (INT64_C(268435456) / INBOX_SCALE)
/* and for so long. */
#define INBOX_LOT_AGE_MS       5000
#define INBOX_LOT_AGE_LARGE_MS 15000
#define INBOX_LOT_SMALL        (10000 / INBOX_SCALE + 1) /* so few in that time do not need this */

#define INBOX_SORT_MS 15000

/* Of them so many are worth to be sorted in with a batch; fewer while the writer would be idle. */
#define INBOX_STEP_WORTH     (500 / INBOX_SCALE + 1)
#define INBOX_STEP_MEANWHILE (24 / INBOX_SCALE + 1)

#define INBOX_ERROR_SIZE 256

struct inbox;

/* What becomes of a message whose turn it is, in the open batch. What these get lives until they
 * return; any result but STORE_OK ends the batch. */
typedef int inbox_use_fn(void *context, const char *client_id, const struct store_packet *packet);

/* What becomes of messages whose rows are known: see store_readings(). */
typedef int inbox_readings_fn(void *context, const struct store_reading *readings, int count,
                              bool *done);

struct inbox_sink {
    inbox_use_fn *use;
    inbox_readings_fn *readings;
    void *context;
};

/* `store` outlives it. NULL when out of memory. */
struct inbox *inbox_new(struct store *store);

/* NULL is allowed. What is in the inbox stays in the database. */
void inbox_free(struct inbox *inbox);

/* Find what an earlier run has left, or what is in the table. Never with a batch open; before
 * anything else, until it succeeds. Results are the store's, or INBOX_E_MEMORY. */
int inbox_load(struct inbox *inbox);

/* Whether there is anything to sort in or to tidy up. */
bool inbox_is_busy(const struct inbox *inbox);

/* Whether it is to be empty soon: there is no reason to wait for newcomers. */
bool inbox_is_draining(const struct inbox *inbox);

/* In the open batch, before its messages: sort in some more than came with the last batch, but not
 * more than `most`. `idle`: the writer would be, until messages come. `now_ms` is monotonic. */
int inbox_sort_some(struct inbox *inbox, bool idle, uint64_t most, int64_t now_ms,
                    const struct inbox_sink *sink);

/* Whether a message that came now would go in, if its topic is one of ours. */
bool inbox_takes(const struct inbox *inbox);

/*
 * In the open batch: put a message in; `message` is what it says, NULL where nobody has looked or
 * it says nothing. What `client_id` and `packet` point at lives until inbox_finish(). *taken is
 * false, and nothing has changed, when it has to go to its tables directly: the inbox is full, or
 * closed and empty, or its topic is none of ours.
 */
int inbox_put(struct inbox *inbox, const char *client_id, const struct store_packet *packet,
              const struct foxtrackr_message *message, bool *taken);

/* Before the commit: several messages go into the table together, and some may not be there yet. */
int inbox_finish(struct inbox *inbox);

/* The batch is over: it is on disk, with `messages` newcomers; how many pages it changed decides
 * whether the next ones go in here... */
void inbox_committed(struct inbox *inbox, uint64_t messages, int64_t now_ms);

/* ...or it was rolled back. */
void inbox_rolled_back(struct inbox *inbox);

/* So much is free on the disk, in bytes: lots are at most an eighth of it, and where it is too
 * little the inbox closes. */
void inbox_note_space(struct inbox *inbox, int64_t free_bytes);

/* What INBOX_E_SCRATCH means, for a person. */
const char *inbox_error(const struct inbox *inbox);

/* Nothing has come for a while: sort in what there is, and close. */
void inbox_drain(struct inbox *inbox);

/* How many messages are on disk and not sorted in. */
uint64_t inbox_waiting(const struct inbox *inbox);

#endif
