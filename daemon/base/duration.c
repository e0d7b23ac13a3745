/* A duration in its two largest units; see base/duration.h. */
#include "base/duration.h"

#include <stdio.h>

const char *duration_text(int64_t duration_ms, char out[DURATION_SIZE])
{
    long long seconds = duration_ms > 0 ? (long long)(duration_ms / 1000) : 0;
    long long minutes = seconds / 60;
    long long hours = minutes / 60;
    long long days = hours / 24;

    if (days > 0) {
        snprintf(out, DURATION_SIZE, "%lld d %lld h", days, hours % 24);
    } else if (hours > 0) {
        snprintf(out, DURATION_SIZE, "%lld h %lld min", hours, minutes % 60);
    } else if (minutes > 0) {
        snprintf(out, DURATION_SIZE, "%lld min %lld s", minutes, seconds % 60);
    } else {
        snprintf(out, DURATION_SIZE, "%lld s", seconds);
    }
    return out;
}
