/*
 * The share of quarantined messages among the latest. See status/quarantine_share_internal.h.
 *
 * A sample is taken when messages have arrived since the last one, at most every 15 seconds. So the
 * samples cover at least 15 minutes of constant traffic, or more messages than needed.
 */
#include "status/quarantine_share_internal.h"

#include <stddef.h>

#define WINDOW_MS (INT64_C(15) * 60 * 1000)
#define PERIOD_MS (INT64_C(15) * 1000)

_Static_assert((QUARANTINE_SHARE_SAMPLES - 2) * PERIOD_MS >= WINDOW_MS &&
                   QUARANTINE_SHARE_SAMPLES - 2 >= QUARANTINE_SHARE_LEAST,
               "the samples must reach back over the window, and over the least messages");

static const struct quarantine_share_sample *sample(const struct quarantine_share *share,
                                                    unsigned back)
{
    return &share->samples[(share->count - 1 - back) % QUARANTINE_SHARE_SAMPLES];
}

/* Returns the sample at which the evaluated messages begin, or the oldest one that is kept. */
static const struct quarantine_share_sample *begin(const struct quarantine_share *share,
                                                   int64_t monotonic_ms, uint64_t received)
{
    unsigned kept =
        share->count < QUARANTINE_SHARE_SAMPLES ? share->count : QUARANTINE_SHARE_SAMPLES;
    unsigned back = 0;

    while (back + 1 < kept &&
           (monotonic_ms - sample(share, back)->monotonic_ms < WINDOW_MS ||
            received - sample(share, back)->counts.received < QUARANTINE_SHARE_LEAST)) {
        back++;
    }
    return sample(share, back);
}

static void add(struct quarantine_share *share, int64_t monotonic_ms,
                const struct quarantine_share_counts *counts)
{
    if (share->count > 0 && (monotonic_ms - sample(share, 0)->monotonic_ms < PERIOD_MS ||
                             sample(share, 0)->counts.received == counts->received)) {
        return;
    }
    share->samples[share->count++ % QUARANTINE_SHARE_SAMPLES] =
        (struct quarantine_share_sample){.monotonic_ms = monotonic_ms, .counts = *counts};
}

struct quarantine_share_now quarantine_share_look(struct quarantine_share *share,
                                                  int64_t monotonic_ms,
                                                  const struct quarantine_share_counts *counts)
{
    struct quarantine_share_now now = {0};
    const struct quarantine_share_sample *from;
    uint64_t most = 0;

    if (share->count == 0) {
        add(share, monotonic_ms, counts);
    }
    from = begin(share, monotonic_ms, counts->received);
    now.messages = counts->received - from->counts.received;
    for (int reason = 1; reason < FOXTRACKR_E_FIELD; reason++) {
        uint64_t count = counts->quarantined[reason] - from->counts.quarantined[reason];

        if (reason != FOXTRACKR_E_EMPTY) {
            now.quarantined += count;
            if (count > most) {
                most = count;
                now.reason = reason;
            }
        }
    }
    now.known = now.messages >= QUARANTINE_SHARE_LEAST;
    now.most = now.known && now.quarantined > now.messages / 2;
    add(share, monotonic_ms, counts);
    return now;
}
