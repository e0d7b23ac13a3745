/*
 * The share of quarantined messages among the latest ones: those of the last 15 minutes, or the
 * last 20 if fewer arrived in that time. If more than half of them are quarantined, the daemon's
 * state is not good even with all sessions connected. Pure: the caller passes the time. One thread.
 *
 * Empty payloads count as messages and not as quarantined: they clear retained messages.
 */
#ifndef STATUS_QUARANTINE_SHARE_INTERNAL_H
#define STATUS_QUARANTINE_SHARE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "foxtrackr.h"

/* Fewer messages than this give no share. */
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

/* Samples of the counts; the oldest are overwritten. A zeroed struct is empty. */
struct quarantine_share {
    unsigned count; /* of samples ever taken */
    struct quarantine_share_sample samples[QUARANTINE_SHARE_SAMPLES];
};

struct quarantine_share_now {
    uint64_t messages;    /* the number of the latest messages, which the other members describe */
    uint64_t quarantined; /* of them */
    int reason;           /* the most frequent; of no meaning while quarantined is 0 */
    bool known;           /* `messages` is at least QUARANTINE_SHARE_LEAST */
    bool most;            /* more than half of them are quarantined */
};

/* Add the counts of the run so far at a monotonic time, and return the share. The first call comes
 * before the first message. */
struct quarantine_share_now quarantine_share_look(struct quarantine_share *share,
                                                  int64_t monotonic_ms,
                                                  const struct quarantine_share_counts *counts);

#endif
