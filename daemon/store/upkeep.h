/*
 * The store's own work, for which the writer gives it time: it sorts in the messages that wait on
 * disk, tidies up, and gives unused space back. Results and threads are those of store/store.h.
 */
#ifndef STORE_UPKEEP_H
#define STORE_UPKEEP_H

#include "store/store.h"

/* --- in the open batch --------------------------------------------------------------------- */

/* Returns true while messages wait, or have left something to tidy up: every batch then begins with
 * store_sort_in(), and batches are made even if no message arrives. */
bool store_sorts_in(const struct store *store);

/* In the open batch, before its messages: store at most `most` of the messages that wait. `idle`:
 * the caller has no messages now. *wait_us: how long to wait for some before the commit. An empty
 * batch tells the store that none arrive at the moment. */
int store_sort_in(struct store *store, bool idle, uint64_t most, int64_t *wait_us);

/* Returns how many messages wait on disk; they are not in the counts yet. */
uint64_t store_waiting(const struct store *store);

/* --- between batches ----------------------------------------------------------------------- */

/* Do what is better done while no message waits. *again_ms: call again after so long if none has
 * arrived. After STORE_E_RETRY the caller says so and goes on: the work is tried again. */
int store_idle(struct store *store, int *again_ms);

/* Give unused space back to the file system. Waits a second for readers at most, then gives back
 * what is possible. */
int store_shrink(struct store *store);

#endif
