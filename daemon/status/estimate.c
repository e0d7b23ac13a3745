/*
 * Rates, catch-up and growth from the past; see status/estimate_internal.h.
 */
#include "status/estimate_internal.h"

#include <math.h>

#define SECOND_MS INT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

#define DAY_S 86400.0

#define RATE_PERIOD_MS   SECOND_MS
#define LAG_WINDOW_MS    MINUTE_MS
#define LAG_LEAST_MS     (3 * SECOND_MS) /* a shorter observation gives no estimate */
#define LEFT_MOST_MS     (365 * DAY_MS)  /* a longer time is reported as unknown */
#define GROWTH_WINDOW_MS (7 * DAY_MS)
#define GROWTH_LEAST_MS  HOUR_MS

void status_estimate_init(struct status_estimate *estimate)
{
    *estimate = (struct status_estimate){0};
    estimate->received.period_ms = RATE_PERIOD_MS;
    estimate->lag.period_ms = SECOND_MS;
    estimate->used.period_ms = HOUR_MS;
}

static double rate_or_none(const struct status_estimate *estimate, int64_t window_ms,
                           int64_t monotonic_ms, uint64_t received)
{
    double rate =
        series_rate(&estimate->received, window_ms, SECOND_MS, monotonic_ms, (int64_t)received);

    return isnan(rate) ? 0 : rate;
}

struct status_rates status_estimate_rates(struct status_estimate *estimate, int64_t monotonic_ms,
                                          uint64_t received)
{
    series_add(&estimate->received, monotonic_ms, (int64_t)received);
    return (struct status_rates){
        .over_1min_per_s = rate_or_none(estimate, MINUTE_MS, monotonic_ms, received),
        .over_5min_per_s = rate_or_none(estimate, 5 * MINUTE_MS, monotonic_ms, received),
        .over_15min_per_s = rate_or_none(estimate, 15 * MINUTE_MS, monotonic_ms, received),
    };
}

void status_estimate_catch_up_begin(struct status_estimate *estimate, int64_t monotonic_ms,
                                    int64_t lag_ms)
{
    series_clear(&estimate->lag);
    series_add(&estimate->lag, monotonic_ms, lag_ms);
    estimate->from_lag_ms = lag_ms;
}

struct status_catch_up status_estimate_catch_up(struct status_estimate *estimate,
                                                int64_t monotonic_ms, int64_t lag_ms)
{
    struct status_catch_up catch_up = {.left_ms = -1};
    double rate = series_rate(&estimate->lag, LAG_WINDOW_MS, LAG_LEAST_MS, monotonic_ms, lag_ms);
    double left_ms;

    series_add(&estimate->lag, monotonic_ms, lag_ms);
    if (lag_ms > estimate->from_lag_ms) {
        estimate->from_lag_ms = lag_ms; /* the oldest readings may come later */
    }
    catch_up.from_lag_ms = estimate->from_lag_ms;
    if (estimate->from_lag_ms > 0) {
        catch_up.done = 1 - (double)lag_ms / (double)estimate->from_lag_ms;
    }
    if (!isnan(rate) && rate < 0) {
        left_ms = (double)lag_ms / -rate * 1000;
        catch_up.left_ms = left_ms < (double)LEFT_MOST_MS ? (int64_t)left_ms : -1;
    }
    return catch_up;
}

struct status_growth status_estimate_growth(struct status_estimate *estimate, int64_t monotonic_ms,
                                            bool catching_up, int64_t used_bytes,
                                            int64_t free_bytes, int64_t keep_bytes)
{
    struct status_growth growth = {.days_left = -1};
    double rate;

    if (used_bytes == 0) {
        return growth;
    }
    if (catching_up && estimate->last_used_bytes != 0) {
        estimate->caught_up_bytes += used_bytes - estimate->last_used_bytes;
    }
    estimate->last_used_bytes = used_bytes;
    used_bytes -= estimate->caught_up_bytes;
    series_add(&estimate->used, monotonic_ms, used_bytes);
    rate =
        series_rate(&estimate->used, GROWTH_WINDOW_MS, GROWTH_LEAST_MS, monotonic_ms, used_bytes);
    if (isnan(rate)) {
        return growth;
    }
    growth.known = true;
    growth.bytes_per_day = rate * DAY_S;
    if (rate > 0) {
        growth.days_left =
            (double)(free_bytes > keep_bytes ? free_bytes - keep_bytes : 0) / growth.bytes_per_day;
    }
    return growth;
}
