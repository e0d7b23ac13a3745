/*
 * A number over time; see base/series.h.
 */
#include "base/series.h"

#include <math.h>
#include <stddef.h>

static const struct series_sample *sample(const struct series *series, unsigned back)
{
    return &series->samples[(series->count - 1 - back) % SERIES_SIZE];
}

static unsigned kept(const struct series *series)
{
    return series->count < SERIES_SIZE ? series->count : SERIES_SIZE;
}

void series_clear(struct series *series)
{
    series->count = 0;
}

void series_add(struct series *series, int64_t monotonic_ms, int64_t value)
{
    if (series->count > 0 && monotonic_ms - sample(series, 0)->monotonic_ms < series->period_ms) {
        return;
    }
    series->samples[series->count % SERIES_SIZE] =
        (struct series_sample){.monotonic_ms = monotonic_ms, .value = value};
    series->count++;
}

/* The value at the beginning of a window that lies between two samples. */
static double between(const struct series_sample *older, const struct series_sample *younger,
                      int64_t begin_ms)
{
    double part = (double)(begin_ms - older->monotonic_ms) /
                  (double)(younger->monotonic_ms - older->monotonic_ms);

    return (double)older->value + part * (double)(younger->value - older->value);
}

double series_rate(const struct series *series, int64_t window_ms, int64_t least_ms,
                   int64_t monotonic_ms, int64_t value)
{
    struct series_sample younger = {.monotonic_ms = monotonic_ms, .value = value};
    struct series_sample from = younger;

    for (unsigned back = 0; back < kept(series); back++) {
        from = *sample(series, back);
        if (monotonic_ms - from.monotonic_ms >= window_ms) {
            break;
        }
        younger = from;
    }
    if (monotonic_ms == from.monotonic_ms || monotonic_ms - from.monotonic_ms < least_ms) {
        return NAN;
    }
    if (monotonic_ms - from.monotonic_ms > window_ms && window_ms > 0) {
        return ((double)value - between(&from, &younger, monotonic_ms - window_ms)) * 1000 /
               (double)window_ms;
    }
    return (double)(value - from.value) * 1000 / (double)(monotonic_ms - from.monotonic_ms);
}
