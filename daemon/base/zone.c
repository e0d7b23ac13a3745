/*
 * Time zones: the offsets of a zone of the tz database, as the C library knows them, from 2010 to
 * the end of the century.
 *
 * What is wanted is the day of a time. A local day must be one piece of time, but a clock that is
 * put back from 00:00 to 23:00 shows the evening before a second time. An offset therefore stays in
 * force until the day that it has begun is over by the next offset too: the hour after such a
 * change belongs to the new day.
 */
#include "base/zone.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define DAY_S   86400
#define FIRST_S INT64_C(1262131200) /* 2009-12-30 */
#define LAST_S  INT64_C(4102444800) /* 2100-01-01 */

static bool is_file(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

const char *zone_problem(const char *name)
{
    const char *directory = getenv("TZDIR");
    char path[256];

    if (strcmp(name, "UTC") == 0) {
        return NULL;
    }
    if (name[0] == '\0' || name[0] == '/' || strstr(name, "..") != NULL ||
        strlen(name) >= sizeof(((struct zone *)0)->name)) {
        return "is not the name of a time zone, like UTC or Europe/Zurich";
    }
    snprintf(path, sizeof(path), "%s/%s", directory != NULL ? directory : "/usr/share/zoneinfo",
             name);
    return is_file(path)
               ? NULL
               : "is not a time zone that this machine knows; zones are in /usr/share/zoneinfo, "
                 "from the package tzdata";
}

static int64_t offset_s(int64_t time_s)
{
    time_t time = (time_t)time_s;
    struct tm local;

    return localtime_r(&time, &local) != NULL ? local.tm_gmtoff : 0;
}

static int64_t day_at(int64_t time_ms, int64_t offset_ms)
{
    return (time_ms + offset_ms) / (INT64_C(1000) * DAY_S);
}

/* Appends an offset that is in force from from_ms on. */
static bool append(struct zone *zone, int64_t from_ms, int64_t offset_ms)
{
    struct zone_offset *offsets =
        realloc(zone->offsets, ((size_t)zone->count + 1) * sizeof(*offsets));

    if (offsets == NULL) {
        return false;
    }
    zone->offsets = offsets;
    if (zone->count > 0) {
        int64_t before_ms = offsets[zone->count - 1].offset_ms;
        int64_t day = day_at(from_ms - 1, before_ms);

        if (day_at(from_ms, offset_ms) < day) { /* put back over midnight */
            from_ms = day * INT64_C(1000) * DAY_S - offset_ms;
        }
        offsets[zone->count - 1].until_ms = from_ms;
    }
    offsets[zone->count] = (struct zone_offset){from_ms, INT64_MAX, offset_ms};
    zone->count++;
    return true;
}

/* Returns the first second of (low, high] with another offset than `low`. */
static int64_t change_between(int64_t low, int64_t high)
{
    int64_t before = offset_s(low);

    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;

        if (offset_s(middle) == before) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}

static bool read_offsets(struct zone *zone)
{
    int64_t known = offset_s(FIRST_S);
    bool good = append(zone, INT64_MIN, known * 1000);

    for (int64_t time_s = FIRST_S; time_s < LAST_S && good; time_s += DAY_S) {
        int64_t offset = offset_s(time_s + DAY_S);

        if (offset != known) {
            good = append(zone, change_between(time_s, time_s + DAY_S) * 1000, offset * 1000);
            known = offset;
        }
    }
    return good;
}

int zone_read(const char *name, struct zone *out)
{
    const char *before = getenv("TZ");
    char *kept = before != NULL ? strdup(before) : NULL;
    bool good;

    *out = (struct zone){0};
    snprintf(out->name, sizeof(out->name), "%s", name);
    if (before != NULL && kept == NULL) {
        return -1;
    }
    if (strcmp(name, "UTC") == 0) {
        good = append(out, INT64_MIN, 0);
    } else {
        setenv("TZ", name, 1);
        tzset();
        good = read_offsets(out);
        if (kept != NULL) {
            setenv("TZ", kept, 1);
        } else {
            unsetenv("TZ");
        }
        tzset();
    }
    free(kept);
    if (!good) {
        zone_clear(out);
    }
    return good ? 0 : -1;
}

void zone_clear(struct zone *zone)
{
    free(zone->offsets);
    *zone = (struct zone){0};
}
