/*
 * Time zones: the offsets of a zone of the tz database, as the C library knows them, from 2010 to
 * the end of the century.
 *
 * Offsets are kept to tell the day of a time. A local day must be one piece of time, but a clock
 * that is put back from 00:00 to 23:00 shows the evening before a second time. An offset therefore
 * stays in force until the day that it has begun is over by the next offset too: the hour after
 * such a change belongs to the new day.
 */
#include "base/zone.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_S   86400
#define DAY_MS  (INT64_C(1000) * DAY_S)
#define FIRST_S INT64_C(1262131200) /* 2009-12-30 */
#define LAST_S  INT64_C(4102444800) /* 2100-01-01 */

/* Returns true for a file that begins as those of time zones do (RFC 8536, 3.1): beside them are
 * tables such as tzdata.zi, of which the C library would make UTC. */
static bool is_zone_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char magic[4];
    bool good;

    if (file == NULL) {
        return false;
    }
    good = fread(magic, sizeof(magic), 1, file) == 1 && memcmp(magic, "TZif", sizeof(magic)) == 0;
    fclose(file);
    return good;
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
    return is_zone_file(path)
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

/* Returns the offset in force at a time. There is one at least. */
static const struct zone_offset *offset_at(const struct zone_offset *offsets, int count,
                                           int64_t time_ms)
{
    int low = 0;
    int high = count - 1;

    while (low < high) {
        int middle = low + (high - low + 1) / 2;

        if (offsets[middle].from_ms <= time_ms) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return &offsets[low];
}

static int64_t day_at(int64_t time_ms, int64_t offset_ms)
{
    int64_t local_ms = time_ms + offset_ms;

    return (local_ms - (local_ms < 0 ? DAY_MS - 1 : 0)) / DAY_MS;
}

int64_t zone_day_of(const struct zone_offset *offsets, int count, int64_t time_ms)
{
    if (time_ms < INT64_MIN / 2) {
        return INT64_MIN / DAY_MS; /* "never", to which nothing can be added */
    }
    return day_at(time_ms, count > 0 ? offset_at(offsets, count, time_ms)->offset_ms : 0);
}

int64_t zone_day_begin(const struct zone_offset *offsets, int count, int64_t day)
{
    for (int i = 0; i < count; i++) {
        int64_t begin_ms = day * DAY_MS - offsets[i].offset_ms;

        begin_ms = begin_ms > offsets[i].from_ms ? begin_ms : offsets[i].from_ms;
        if (begin_ms < offsets[i].until_ms) {
            return begin_ms;
        }
    }
    return day * DAY_MS;
}

/* Appends an offset that is in force from from_ms on, unless the last one is the same. */
static bool add(struct zone *zone, int64_t from_ms, int64_t offset_ms)
{
    struct zone_offset *offsets;

    if (zone->count > 0 && zone->offsets[zone->count - 1].offset_ms == offset_ms) {
        return true;
    }
    offsets = realloc(zone->offsets, ((size_t)zone->count + 1) * sizeof(*offsets));
    if (offsets == NULL) {
        return false;
    }
    if (zone->count > 0) {
        offsets[zone->count - 1].until_ms = from_ms;
    }
    offsets[zone->count] = (struct zone_offset){from_ms, INT64_MAX, offset_ms};
    zone->offsets = offsets;
    zone->count++;
    return true;
}

/* Appends an offset to which clocks are set at from_ms. */
static bool append(struct zone *zone, int64_t from_ms, int64_t offset_ms)
{
    if (zone->count > 0) {
        int64_t day = day_at(from_ms - 1, zone->offsets[zone->count - 1].offset_ms);

        if (day_at(from_ms, offset_ms) < day) { /* put back over midnight */
            from_ms = day * DAY_MS - offset_ms;
        }
    }
    return add(zone, from_ms, offset_ms);
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

int zone_join(const struct zone_offset *before, int count, int64_t from_ms,
              const struct zone *after, struct zone *out)
{
    int64_t join_ms = from_ms;
    bool good = true;

    *out = (struct zone){0};
    memcpy(out->name, after->name, sizeof(out->name));
    if (from_ms > INT64_MIN) {
        int64_t day = zone_day_of(before, count, from_ms);
        int64_t begun_ms = zone_day_begin(after->offsets, after->count, day);

        for (int i = 0; i < count && before[i].from_ms < from_ms && good; i++) {
            good = add(out, before[i].from_ms, before[i].offset_ms);
        }
        /* Until the day has begun by `after` too: 26 hours later at most, hence the loop. */
        for (int64_t time_ms = from_ms; time_ms < begun_ms && good; time_ms += DAY_MS) {
            good = add(out, time_ms, day * DAY_MS - time_ms);
        }
        join_ms = begun_ms > from_ms ? begun_ms : from_ms;
    }
    for (int i = 0; i < after->count && good; i++) {
        const struct zone_offset *offset = &after->offsets[i];

        if (offset->until_ms > join_ms) {
            good =
                add(out, offset->from_ms > join_ms ? offset->from_ms : join_ms, offset->offset_ms);
        }
    }
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
