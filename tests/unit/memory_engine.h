/*
 * An engine of the store that keeps its rows in memory, for tests of those who use a store: they
 * see what reached it, in which order, and let its operations fail. A store of it lives until
 * store_close().
 *
 * A row is the payload of a message; the same payload again is a duplicate. Its functions may be
 * called by the writer's thread while a test looks with those below, which lock.
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
    MEMORY_OPERATIONS
};

/* A store without anything in it; NULL: out of memory. */
struct store *memory_store_new(void);

/* From now on: let `passes` calls of an operation pass, and the next `fails` calls return `result`
 * (negative `fails`: all of them). */
void memory_fail(struct store *store, enum memory_operation operation, int passes, int fails,
                 int result);

/* A commit that fails has taken effect all the same. */
void memory_commit_in_secret(struct store *store, bool in_secret);

/* Called at each commit before it takes effect, in the thread that commits. */
void memory_watch_commits(struct store *store, void (*watch)(void *context), void *context);

/* Messages wait and are put into their rows by later batches, one a batch, from now on. */
void memory_put_off(struct store *store, bool put_off);

/* Rows that were committed. */
uint64_t memory_rows(struct store *store);

/* How often an operation was called. */
int memory_calls(struct store *store, enum memory_operation operation);

/* What was done and committed, in its order: "+row =duplicate ?quarantined" and the events of
 * sessions with their arguments, a gap by its name, each followed by a space. The text is the
 * caller's, for free(). store_session_find() and store_subscriptions() tell what is on record. */
char *memory_history(struct store *store);

#endif
