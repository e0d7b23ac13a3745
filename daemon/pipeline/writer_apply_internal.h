/*
 * Applies one item of the intake: stores rows or a quarantine entry, or records a session event.
 * Used by the writer's thread only.
 */
#ifndef PIPELINE_WRITER_APPLY_INTERNAL_H
#define PIPELINE_WRITER_APPLY_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "pipeline/pipeline.h"
#include "store/store.h"

/* A result beside those of store/store.h; like STORE_E_RETRY it may be tried again. */
#define WRITER_APPLY_E_MEMORY 100 /* out of memory outside the store */

struct writer_apply;

/* Returns the state for applying items, for writer_apply_free(); NULL when out of memory. `store`,
 * `limits` and `client_ids` (by session index) outlive it. */
struct writer_apply *writer_apply_new(struct store *store, const struct writer_limits *limits,
                                      const char *const *client_ids, unsigned session_count);

/* Free the state; NULL is allowed. */
void writer_apply_free(struct writer_apply *apply);

/* Attach the handler to the store; see store_attach(). */
int writer_apply_attach(struct writer_apply *apply);

/* Apply one item in the store's open batch. Returns as the store's functions do, or
 * WRITER_APPLY_E_MEMORY: out of memory outside the store, to be tried again like STORE_E_RETRY. */
int writer_apply_item(struct writer_apply *apply, const struct intake_item *item);

/* Before the commit: write the pending rows, and which sessions delivered messages. */
int writer_apply_finish(struct writer_apply *apply, int64_t now_ms);

/* End the batch: committed, or rolled back and to be applied again. */
void writer_apply_end(struct writer_apply *apply, bool committed);

/* Returns the newest device time in the batch; 0 when it has none. */
int64_t writer_apply_newest_ms(const struct writer_apply *apply);

/* Returns the numbers of messages quarantined in this run's committed batches, by reason. */
const uint64_t *writer_apply_quarantined(const struct writer_apply *apply);

#endif
