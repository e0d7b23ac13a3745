/* Declarations shared by the files of replay; its opening is in replay.c. */
#ifndef STORE_SQLITE_REPLAY_INTERNAL_H
#define STORE_SQLITE_REPLAY_INTERNAL_H

#include "store/sqlite/sqlite_internal.h"
#include "store/tools.h"

/* --- replay_item.c: one message -------------------------------------------------------------- */

/* The decision about a message that was parsed again. */
enum replay_verdict {
    REPLAY_KEEP, /* nothing changes */
    REPLAY_MOVE, /* it is understood now: its rows are written, and it leaves its old place */
    REPLAY_NOTE, /* it stays in quarantine, for another reason */
};

struct replay_item {
    int source;    /* index of store_replay.counts */
    int64_t rowid; /* in messages */
    uint8_t digest[DIGEST_SIZE];
    char *bytes; /* topic, then payload */
    struct store_packet packet;
    enum replay_verdict verdict;
    struct foxtrackr_message message; /* with REPLAY_MOVE */
    struct foxtrackr_problem problem; /* with REPLAY_NOTE: the new reason why it stays */
};

/* The position of a walk: the last row that was read. */
struct replay_cursor {
    bool begun;
    uint8_t digest[DIGEST_SIZE];
    int64_t rowid;
};

/* Read the row after `cursor` into *item, which is zeroed, and judge it; or set *end when there is
 * none. replay_item_clear() frees what it holds, also after a failure. */
typedef int (*replay_read_fn)(struct store *store, const struct store_replay *replay,
                              struct replay_cursor *cursor, struct replay_item *item, bool *end);

/* A replay_read_fn for the table quarantine. */
int replay_read_quarantined(struct store *store, const struct store_replay *replay,
                            struct replay_cursor *cursor, struct replay_item *item, bool *end);

/* A replay_read_fn for the table messages. The second topic level of a row is not stored and not
 * needed: the group was recorded at its arrival. */
int replay_read_message(struct store *store, const struct store_replay *replay,
                        struct replay_cursor *cursor, struct replay_item *item, bool *end);

/* Read the current row of a statement with the columns of STATEMENT_REPLAY_NEXT, and judge it. */
int replay_take_quarantined(struct store *store, const struct store_replay *replay,
                            sqlite3_stmt *statement, struct replay_item *item);

/* In the open transaction: apply the verdict, if the message is still where it was read, and count
 * the result in `change`. */
int replay_write_item(struct store *store, const struct replay_item *item,
                      struct store_replay *change);

void replay_item_clear(struct replay_item *item);

/* Return STORE_E_RETRY, with the sentence set. */
int replay_no_memory(struct store *store);

/* --- replay.c: batches and their transactions ------------------------------------------------ */

/* Limits of one transaction: its time before the commit, its rows and bytes (each message changes a
 * few pages, a large one more, which the commit and the daemon's next sync have to write), and the
 * pause after it. At least one message is tried.
 */
#define REPLAY_HOLD_MS    3
#define REPLAY_HOLD_ROWS  100
#define REPLAY_HOLD_BYTES ((size_t)256 * 1024)
#define REPLAY_PAUSE_MS   10

#define REPLAY_BATCH_ITEMS 256

/* Messages that were read and are to be written. */
struct replay_batch {
    struct replay_item items[REPLAY_BATCH_ITEMS];
    int count;
    size_t bytes;
};

/* Returns true when a message of the batch has a verdict other than REPLAY_KEEP. */
bool replay_batch_changes(const struct replay_batch *batch);

/* Empty the batch and free its content. */
void replay_batch_clear(struct replay_batch *batch);

/* Report progress to the watcher. Returns false, with the sentence set, when it ends the work. */
bool replay_go_on(struct store *store, const struct store_watcher *watcher, const char *what,
                  int64_t done, int64_t total);

/* Commit and pause; roll back on an error. */
int replay_commit(struct store *store);

/* Roll back and keep the sentence of the earlier error. */
void replay_undo(struct store *store);

/* --- replay_extra.c -------------------------------------------------------------------------- */

/* Give the rows of battery and temperature the columns that [fields] now finds in their extra. */
int replay_extras(struct store *store, struct store_replay *replay,
                  const struct store_watcher *watcher);

#endif
