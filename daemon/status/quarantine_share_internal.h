/*
 * Which part of the latest messages went to quarantine: those of the last 15 minutes, or the last
 * 20 where fewer came in that time. A daemon that understands less than half of them is not well,
 * whatever its connections say. Pure: the caller brings the clock. One thread.
 *
 * Empty payloads count as messages and not as quarantined: they are retained messages that somebody
 * cleared.
 */
#ifndef STATUS_QUARANTINE_SHARE_INTERNAL_H
#define STATUS_QUARANTINE_SHARE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "foxtrackr.h"

/* Fewer messages than this say nothing. */
#define QUARANTINE_SHARE_LEAST 20

#define QUARANTINE_SHARE_SAMPLES 128

struct quarantine_share_counts {
    uint64_t received;
    uint64_t quarantined[FOXTRACKR_E_FIELD]; /* by reason */
};

struct quarantine_share_sample {
    int64_t monotonic_ms;
    struct quarantine_share_counts counts;
};

/* The counts at some moments; the oldest are overwritten. A zeroed one is empty. */
struct quarantine_share {
    unsigned count; /* of samples ever taken */
    struct quarantine_share_sample samples[QUARANTINE_SHARE_SAMPLES];
};

struct quarantine_share_now {
    uint64_t messages;    /* the latest, which the other members are about */
    uint64_t quarantined; /* of them */
    int reason;           /* the most frequent; of no meaning while quarantined is 0 */
    bool known;           /* there are QUARANTINE_SHARE_LEAST of them at least */
    bool most;            /* more than half of them are quarantined */
};

/* Take the counts of the run so far at a monotonic time. The first call comes before the first
 * message. */
struct quarantine_share_now quarantine_share_look(struct quarantine_share *share,
                                                  int64_t monotonic_ms,
                                                  const struct quarantine_share_counts *counts);

#endif
