/* Declarations shared by the two files of replay. */
#ifndef STORE_SQLITE_REPLAY_INTERNAL_H
#define STORE_SQLITE_REPLAY_INTERNAL_H

#include "store/sqlite/sqlite_internal.h"
#include "store/tools.h"

/* Limits of one transaction: its time before the commit, its rows and bytes (each message changes a
 * few pages, a large one more, which the commit and the daemon's next sync have to write), and the
 * pause after it. At least one message is tried.
 */
#define REPLAY_HOLD_MS    3
#define REPLAY_HOLD_ROWS  100
#define REPLAY_HOLD_BYTES ((size_t)256 * 1024)
#define REPLAY_PAUSE_MS   10

/* The position of a walk: the last row that was read. */
struct replay_cursor {
    bool begun;
    uint8_t digest[DIGEST_SIZE];
    int64_t rowid;
};

/* Report progress to the watcher. Returns false, with the sentence set, when it ends the work. */
bool replay_go_on(struct store *store, const struct store_watcher *watcher, const char *what,
                  int64_t done, int64_t total);

/* Commit and pause; roll back on an error. */
int replay_commit(struct store *store);

/* Roll back and keep the sentence of the earlier error. */
void replay_undo(struct store *store);

/* Give the rows of battery and temperature the columns that [fields] now finds in their extra. */
int replay_extras(struct store *store, struct store_replay *replay,
                  const struct store_watcher *watcher);

#endif
