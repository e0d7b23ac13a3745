/*
 * A number over time: samples of it, no closer together than a period, the oldest overwritten. For
 * rates and growth. Pure: the caller brings the clock. A zeroed series with its period_ms set is
 * empty.
 */
#ifndef BASE_SERIES_H
#define BASE_SERIES_H

#include <stdint.h>

/* Enough for 15 minutes of samples every second, or a week of them every hour. */
#define SERIES_SIZE 902

struct series_sample {
    int64_t monotonic_ms;
    int64_t value;
};

struct series {
    int64_t period_ms;
    unsigned count; /* of samples ever taken; the last SERIES_SIZE are kept */
    struct series_sample samples[SERIES_SIZE];
};

/* Forget every sample. */
void series_clear(struct series *series);

/* Take a sample, unless the last one is younger than the period. `monotonic_ms` never goes back. */
void series_add(struct series *series, int64_t monotonic_ms, int64_t value);

/*
 * How much the number changes in a second over the last window_ms (or since the oldest sample,
 * while that is shorter), to `value` now. Where the window begins between two samples, the number
 * is taken to change evenly between them. NAN while less than least_ms is known.
 */
double series_rate(const struct series *series, int64_t window_ms, int64_t least_ms,
                   int64_t monotonic_ms, int64_t value);

#endif
