/*
 * What status derives from the past: rates, how far a catch-up is, how fast the database grows. No
 * clock and no I/O: the caller brings the numbers. Main's thread only.
 */
#ifndef STATUS_ESTIMATE_INTERNAL_H
#define STATUS_ESTIMATE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/series.h"

/* Messages a second over the last 1, 5 and 15 minutes, or since the start while that is shorter. */
struct status_rates {
    double over_1min_per_s;
    double over_5min_per_s;
    double over_15min_per_s;
};

/* A catch-up: readings of the past come faster than time goes by. */
struct status_catch_up {
    int64_t from_lag_ms; /* the largest lag of this catch-up */
    double done;         /* 0 to 1: the part of it that the readings have passed */
    int64_t left_ms;     /* until they are of now, if it goes on like that; -1: unknown */
};

/* How fast the database grows while nothing is caught up, and how long the space lasts. */
struct status_growth {
    bool known;           /* observed for an hour at least */
    double bytes_per_day; /* over what was observed, a week at most; negative: it shrinks */
    double days_left;     /* until min_free_mb is reached; -1: unknown, or it does not grow */
};

struct status_estimate {
    struct series received;
    struct series lag;
    struct series used;
    int64_t from_lag_ms;
    int64_t caught_up_bytes; /* what catch-ups have added; the growth leaves it out */
    int64_t last_used_bytes; /* 0: not known */
};

/* An estimate that knows nothing yet. */
void status_estimate_init(struct status_estimate *estimate);

/* Rates at a monotonic time, from the messages received so far in this run. */
struct status_rates status_estimate_rates(struct status_estimate *estimate, int64_t monotonic_ms,
                                          uint64_t received);

/* A catch-up begins, at this lag. */
void status_estimate_catch_up_begin(struct status_estimate *estimate, int64_t monotonic_ms,
                                    int64_t lag_ms);

/* How far the catch-up is: the time left follows from how the lag shrank over the last minute. */
struct status_catch_up status_estimate_catch_up(struct status_estimate *estimate,
                                                int64_t monotonic_ms, int64_t lag_ms);

/* The growth, from the bytes in use (0: not known), the free bytes of the file system, and the
 * bytes of them that are not to be touched. */
struct status_growth status_estimate_growth(struct status_estimate *estimate, int64_t monotonic_ms,
                                            bool catching_up, int64_t used_bytes,
                                            int64_t free_bytes, int64_t keep_bytes);

#endif
