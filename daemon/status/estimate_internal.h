/*
 * Estimates from earlier samples: rates, the progress of a catch-up, the growth of the database. No
 * clock and no I/O: the caller passes the numbers. Main's thread only.
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

/* A catch-up: readings of the past arrive, and their lag shrinks. */
struct status_catch_up {
    int64_t from_lag_ms; /* the largest lag of this catch-up */
    double done;         /* 0 to 1: the part of from_lag_ms that is caught up */
    int64_t left_ms;     /* until the lag is 0 at the present rate; -1: unknown */
};

/* How fast the database grows outside of catch-ups, and how long the free space lasts. */
struct status_growth {
    bool known;           /* observed for at least an hour */
    double bytes_per_day; /* over the observed time, at most a week; negative: it shrinks */
    double days_left;     /* until min_free_mb is reached; -1: unknown, or it does not grow */
};

struct status_estimate {
    struct series received;
    struct series lag;
    struct series used;
    int64_t from_lag_ms;
    int64_t caught_up_bytes; /* bytes added by catch-ups, which the growth leaves out */
    int64_t last_used_bytes; /* 0: not known */
};

/* Initialise an estimate without samples. */
void status_estimate_init(struct status_estimate *estimate);

/* Rates at a monotonic time, from the messages received so far in this run. */
struct status_rates status_estimate_rates(struct status_estimate *estimate, int64_t monotonic_ms,
                                          uint64_t received);

/* A catch-up begins, at this lag. */
void status_estimate_catch_up_begin(struct status_estimate *estimate, int64_t monotonic_ms,
                                    int64_t lag_ms);

/* Return the progress of the catch-up; the time left follows from the lag's decrease over the last
 * minute. */
struct status_catch_up status_estimate_catch_up(struct status_estimate *estimate,
                                                int64_t monotonic_ms, int64_t lag_ms);

/* Return the growth, from the bytes in use (0: not known), the free bytes of the file system, and
 * the part of those to keep free. */
struct status_growth status_estimate_growth(struct status_estimate *estimate, int64_t monotonic_ms,
                                            bool catching_up, int64_t used_bytes,
                                            int64_t free_bytes, int64_t keep_bytes);

#endif
