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
    bool active; /* in a pass */
    struct store_rejudge pass;
    bool wanted;          /* a pass is due now */
    int64_t pause_until;  /* monotonic, ms; no pass before that unless one is wanted */
    int64_t next_due_ms;  /* wall clock; see struct store_rejudge */
    uint64_t quarantined; /* with the reason `time`, at the last pass */
    int64_t done_ms;      /* monotonic; when the last one began that is done */
    int64_t begun_ms;     /* monotonic; of the pass that is active */
    int64_t rest_until;   /* monotonic, ms */
    int64_t offset_ms;    /* wall clock less monotonic clock, at the last look */
    int64_t since_ms;     /* wall clock; since when it has gone without being set */
    bool was_set;         /* in this run */
    int64_t set_ms;       /* monotonic; when it was last set, or the start */
    int64_t agreed_ms;    /* monotonic; when retention's last survey began, if two devices' readings
                             agreed with the clock in it; else 0. The writer sets it. */
    bool restamps;        /* it was set forward: entries from then to then have a wrong time */
    int64_t before_offset_ms; /* the offset before that */
    int64_t from_ms;
    int64_t to_ms;
    uint64_t moved_all;
};

void writer_rejudge_init(struct writer_rejudge *rejudge);

/* Look at the clock; true when there is something to do now. `quarantined`: how many messages went
 * to quarantine with the reason `time` in this run. */
bool writer_rejudge_due(struct writer_rejudge *rejudge, uint64_t quarantined);

/* Whether what the clock says may make rows of entries: it is synchronised, or readings agree with
 * it, or it has gone for long without being set. */
bool writer_rejudge_believes(const struct writer_rejudge *rejudge);

/* Whether a pass that began at or after since_ms (monotonic) is done; if not, one is due now. */
bool writer_rejudge_done_since(struct writer_rejudge *rejudge, int64_t since_ms);

/* Do a part of a pass, as a transaction of its own. After an error the caller rolls back; the pass
 * begins anew a minute later. STORE_OK, STORE_E_RETRY or STORE_FATAL. */
int writer_rejudge_chunk(struct writer_rejudge *rejudge, struct store *store,
                         const struct writer_limits *limits, uint64_t quarantined);

#endif
