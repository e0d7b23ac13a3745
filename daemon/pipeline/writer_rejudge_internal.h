/*
 * Judges messages in quarantine again whose time lay in the future; see pipeline/writer_rejudge.c.
 * Used by the writer's thread only.
 */
#ifndef PIPELINE_WRITER_REJUDGE_INTERNAL_H
#define PIPELINE_WRITER_REJUDGE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "pipeline/pipeline.h"
#include "store/retention.h"
#include "store/store.h"

struct writer_rejudge {
    /* Passes. */
    bool active; /* a pass has begun and is not done */
    struct store_rejudge pass;
    bool wanted;          /* a pass is due now */
    int64_t pause_until;  /* monotonic, ms; no pass before that unless one is wanted */
    int64_t next_due_ms;  /* wall clock; see struct store_rejudge */
    uint64_t quarantined; /* messages with the reason `time` in this run, at the last pass */
    int64_t done_ms;      /* monotonic; when the last completed pass began */
    int64_t begun_ms;     /* monotonic; when the active pass began */
    int64_t rest_until;   /* monotonic, ms; no chunk before that */
    uint64_t moved_all;   /* messages that left quarantine in this run */

    /* The wall clock. */
    int64_t offset_ms; /* wall clock less monotonic clock, when last compared */
    int64_t since_ms;  /* wall clock; since when the clock was not set */
    bool was_set;      /* the clock was set in this run */
    int64_t set_ms;    /* monotonic; when the clock was last set, or the start */
    int64_t agreed_ms; /* monotonic; when retention's last survey began, if two devices' readings
                          agreed with the clock in it; else 0. The writer sets it. */

    /* The clock was set forward: entries received from from_ms to to_ms have a wrong time. */
    bool restamps;
    int64_t before_offset_ms; /* the offset before that */
    int64_t from_ms;
    int64_t to_ms;
};

void writer_rejudge_init(struct writer_rejudge *rejudge);

/* Compare the clocks. Returns true when a chunk is due now. `quarantined`: how many messages went
 * to quarantine with the reason `time` in this run. */
bool writer_rejudge_due(struct writer_rejudge *rejudge, uint64_t quarantined);

/* Returns true when the clock is believed, so that entries may become rows by it: the clock is
 * synchronised, or readings agree with it, or it was not set for a long time. */
bool writer_rejudge_believes(const struct writer_rejudge *rejudge);

/* Returns true when a pass that began at or after since_ms (monotonic) is done; else makes one due
 * now. */
bool writer_rejudge_done_since(struct writer_rejudge *rejudge, int64_t since_ms);

/* Do a part of a pass, as a transaction of its own. After an error the caller rolls back; the pass
 * begins anew a minute later. STORE_OK, STORE_E_RETRY or STORE_FATAL. */
int writer_rejudge_chunk(struct writer_rejudge *rejudge, struct store *store,
                         const struct writer_limits *limits, uint64_t quarantined);

#endif
