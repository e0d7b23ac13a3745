/* What the two files of replay share. */
#ifndef STORE_SQLITE_REPLAY_INTERNAL_H
#define STORE_SQLITE_REPLAY_INTERNAL_H

#include "store/sqlite/sqlite_internal.h"
#include "store/tools.h"

/* The longest that a transaction of ours takes before it commits, the most that it changes (each
 * message touches a few pages, which the commit and the daemon's next sync have to write, and a
 * large one as many as it is long), and the pause after it. One message is always tried.
 */
#define REPLAY_HOLD_MS    3
#define REPLAY_HOLD_ROWS  100
#define REPLAY_HOLD_BYTES ((size_t)256 * 1024)
#define REPLAY_PAUSE_MS   10

/* How far a walk is: the last row that was read. */
struct replay_cursor {
    bool begun;
    uint8_t digest[DIGEST_SIZE];
    int64_t rowid;
};

/* Tell the watcher; false, with the sentence set, when it wants no more. */
bool replay_go_on(struct store *store, const struct store_watcher *watcher, const char *what,
                  int64_t done, int64_t total);

/* Commit and pause, or undo. */
int replay_commit(struct store *store);

/* Roll back and keep the sentence that tells why. */
void replay_undo(struct store *store);

/* Give the rows of battery and temperature the columns that [fields] now finds in their extra. */
int replay_extras(struct store *store, struct store_replay *replay,
                  const struct store_watcher *watcher);

#endif
