/*
 * An engine of the store that keeps its rows in memory, for tests of the store's callers. A test
 * reads which operations have reached the store, in their order, and makes operations fail. A store
 * lives until store_close().
 *
 * A row is the payload of a message; the same payload again is a duplicate. The functions below
 * lock, so a test may call them while the writer's thread uses the store.
 */
#ifndef MEMORY_ENGINE_H
#define MEMORY_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

enum memory_operation {
    MEMORY_ATTACH,
    MEMORY_BEGIN,
    MEMORY_APPLY,
    MEMORY_COMMIT,
    MEMORY_ROLLBACK,
    MEMORY_IDLE,
    MEMORY_SET_VIEWS,
    MEMORY_BEAT,
    MEMORY_OPERATIONS
};

/* Returns an empty store; NULL: out of memory. */
struct store *memory_store_new(void);

/* Make calls of an operation fail: the next `passes` calls succeed, and the `fails` calls after
 * them (negative: all) return `result`. */
void memory_fail(struct store *store, enum memory_operation operation, int passes, int fails,
                 int result);

/* Set whether a commit that fails takes effect all the same. */
void memory_commit_in_secret(struct store *store, bool in_secret);

/* Set a function that each commit calls before it takes effect, in its thread. */
void memory_watch_commits(struct store *store, void (*watch)(void *context), void *context);

/* Set whether messages wait first and become rows in later batches, one in each. */
void memory_put_off(struct store *store, bool put_off);

/* Returns the number of committed rows. */
uint64_t memory_rows(struct store *store);

/* Returns the number of committed messages that are a row or a duplicate of one. */
uint64_t memory_settled(struct store *store);

/* Returns how often an operation was called. */
int memory_calls(struct store *store, enum memory_operation operation);

/* Returns the committed actions in their order: "+row =duplicate ?quarantined" and the events of
 * sessions with their arguments, a gap by its name, each followed by a space. The text is the
 * caller's, for free(). store_session_find() and store_subscriptions() tell what is on record. */
char *memory_history(struct store *store);

#endif
