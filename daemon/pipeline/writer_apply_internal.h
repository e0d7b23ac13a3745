/*
 * Applies one item of the intake: stores rows or a quarantine entry, or records a session event.
 * Used by the writer's thread only.
 */
#ifndef PIPELINE_WRITER_APPLY_INTERNAL_H
#define PIPELINE_WRITER_APPLY_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "pipeline/pipeline.h"
#include "store/sqlite/inbox.h"
#include "store/store.h"

#define WRITER_APPLY_E_MEMORY INBOX_E_MEMORY

struct writer_apply;

/* `store`, `inbox` and `client_ids` (by session index) outlive it. NULL when out of memory. */
struct writer_apply *writer_apply_new(struct store *store, struct inbox *inbox,
                                      const char *const *client_ids, unsigned session_count);

/* NULL is allowed. */
void writer_apply_free(struct writer_apply *apply);

/* Apply one item in the store's open batch. Returns as the store's functions do, or
 * WRITER_APPLY_E_MEMORY: out of memory outside the store, to be tried again like STORE_E_RETRY. */
int writer_apply_item(struct writer_apply *apply, const struct writer_limits *limits,
                      const struct intake_item *item);

/* In the store's open batch, before its items: apply some of what waits in the inbox, `most` at
 * most. `idle`: the writer would be, until items come. Returns as writer_apply_item() does, or
 * INBOX_E_SCRATCH. */
int writer_apply_sort_some(struct writer_apply *apply, const struct writer_limits *limits,
                           bool idle, uint64_t most);

/* While nothing comes: what waits for more of its kind need not. Results are the store's. */
int writer_apply_meanwhile(struct writer_apply *apply);

/* Before the commit: write the pending rows, and which sessions delivered messages. */
int writer_apply_finish(struct writer_apply *apply, int64_t now_ms);

/* End the batch: committed, or rolled back and to be applied again. */
void writer_apply_end(struct writer_apply *apply, bool committed);

/* Newest device time in the batch; 0 when it has none. */
int64_t writer_apply_newest_ms(const struct writer_apply *apply);

/* Quarantined in this run, by reason, in committed batches. */
const uint64_t *writer_apply_quarantined(const struct writer_apply *apply);

#endif
