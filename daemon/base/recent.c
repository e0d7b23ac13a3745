/*
 * The largest number of the last minute or so; see base/recent.h.
 */
#include "base/recent.h"

int64_t recent_maximum(struct recent *recent, int64_t monotonic_ms, int64_t number)
{
    if (recent->maximum == 0 || monotonic_ms - recent->since_ms >= RECENT_WINDOW_MS) {
        recent->before = recent->maximum;
        recent->maximum = number;
        recent->since_ms = monotonic_ms;
    } else if (number > recent->maximum) {
        recent->maximum = number;
    }
    return recent->maximum > recent->before ? recent->maximum : recent->before;
}
