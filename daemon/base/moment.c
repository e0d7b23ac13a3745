/* One way to write a moment in a sentence: UTC, to the second. */
#include "base/moment.h"

#include <stdio.h>
#include <time.h>

const char *moment_text(int64_t time_ms, char text[MOMENT_SIZE])
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc;

    if (time_ms == 0 || gmtime_r(&seconds, &utc) == NULL ||
        strftime(text, MOMENT_SIZE, "%Y-%m-%d %H:%M:%S UTC", &utc) == 0) {
        snprintf(text, MOMENT_SIZE, "an unknown time");
    }
    return text;
}
