/*
 * The formats in which the daemon and its tools write a moment. Every one is UTC, so no text
 * depends on the machine's time zone.
 */
#include "base/moment.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static bool break_down(int64_t time_ms, struct tm *utc)
{
    time_t seconds = (time_t)(time_ms / 1000);

    return gmtime_r(&seconds, utc) != NULL;
}

/* Returns `text`; replaces it by `otherwise` when strftime() has written nothing. */
static const char *finish(char text[MOMENT_SIZE], size_t written, const char *otherwise)
{
    if (written == 0) {
        snprintf(text, MOMENT_SIZE, "%s", otherwise);
    }
    return text;
}

const char *moment_text(int64_t time_ms, char text[MOMENT_SIZE])
{
    struct tm utc;
    size_t written = time_ms != 0 && break_down(time_ms, &utc)
                         ? strftime(text, MOMENT_SIZE, "%Y-%m-%d %H:%M:%S UTC", &utc)
                         : 0;

    return finish(text, written, "an unknown time");
}

const char *moment_iso(int64_t time_ms, char text[MOMENT_SIZE])
{
    struct tm utc;
    size_t written =
        break_down(time_ms, &utc) ? strftime(text, MOMENT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc) : 0;

    return finish(text, written, "?");
}

const char *moment_iso_ms(int64_t time_ms, char text[MOMENT_SIZE])
{
    struct tm utc;
    size_t room = MOMENT_SIZE - sizeof(".123Z") + 1;
    size_t written =
        break_down(time_ms, &utc) ? strftime(text, room, "%Y-%m-%dT%H:%M:%S", &utc) : 0;

    if (written > 0) {
        snprintf(text + written, MOMENT_SIZE - written, ".%03dZ", (int)(time_ms % 1000));
    }
    return finish(text, written, "?");
}

const char *moment_date(int64_t time_ms, char text[MOMENT_SIZE])
{
    struct tm utc;
    size_t written = break_down(time_ms, &utc) ? strftime(text, MOMENT_SIZE, "%Y-%m-%d", &utc) : 0;

    return finish(text, written, "?");
}

const char *moment_stamp(int64_t time_ms, char text[MOMENT_SIZE])
{
    struct tm utc;
    size_t written =
        break_down(time_ms, &utc) ? strftime(text, MOMENT_SIZE, "%Y%m%dT%H%M%SZ", &utc) : 0;

    return finish(text, written, "?");
}
