/*
 * When the devices that need attention are counted; see pipeline/writer_attention.c. Used by the
 * writer's thread only.
 */
#ifndef PIPELINE_WRITER_ATTENTION_INTERNAL_H
#define PIPELINE_WRITER_ATTENTION_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "store/measures.h"

struct writer_attention {
    bool active; /* a pass has begun and is not done */
    bool known;  /* a pass was completed: */
    struct store_attention last;
    bool wanted; /* another program has changed the database, or it was opened */
    struct store_attention pass;
    int64_t begun_ms;      /* monotonic; when the latest pass began */
    int64_t rest_until_us; /* monotonic; no chunk before that */
    uint64_t received;     /* messages of this run when the latest pass began */
};

void writer_attention_init(struct writer_attention *attention);

/* Begin a pass soon: the database may have changed by other means than messages. */
void writer_attention_want(struct writer_attention *attention);

/* Returns true when a chunk is due. `idle`: no message waits. `received`: messages of this run. */
bool writer_attention_due(const struct writer_attention *attention, bool idle, uint64_t received);

/* Returns how long an active pass rests, at most limit_ms; limit_ms when there is none. */
int writer_attention_wait_ms(const struct writer_attention *attention, int limit_ms);

/* Do a chunk. At the end of a pass attention->last has its counts. After an error the pass begins
 * anew as if it had been completed now. STORE_OK, STORE_E_RETRY or STORE_FATAL. */
int writer_attention_chunk(struct writer_attention *attention, struct store *store,
                           uint64_t received);

#endif
