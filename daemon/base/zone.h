/* Time zones: when local days begin. See base/zone.c. */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include <stdint.h>

/* The day of a time from from_ms to before until_ms is (time_ms + offset_ms) / 86400000. */
struct zone_offset {
    int64_t from_ms;
    int64_t until_ms;
    int64_t offset_ms;
};

/* Ordered and without gaps; the first begins at INT64_MIN, the last ends at INT64_MAX. */
struct zone {
    char name[64];
    struct zone_offset *offsets;
    int count;
};

/* Returns NULL if the zone is known, or a sentence without a subject. Any thread. */
const char *zone_problem(const char *name);

/*
 * Read the zone. Only while the process has one thread, because the C library knows one time zone
 * at a time, which is changed for a moment. Returns 0 and the caller calls zone_clear(); or -1: out
 * of memory.
 */
int zone_read(const char *name, struct zone *out);

void zone_clear(struct zone *zone);

/* Return the day of a time, in days since 1970-01-01 of the local date; and the first moment of a
 * day. Offsets are ordered and without gaps; none: UTC. Any thread. */
int64_t zone_day_of(const struct zone_offset *offsets, int count, int64_t time_ms);
int64_t zone_day_begin(const struct zone_offset *offsets, int count, int64_t day);

/*
 * Make a zone that has the days of `before` up to from_ms, where one of them begins, and those of
 * `after` from there on. The day that begins at from_ms ends with that day of `after`, so it may be
 * longer or shorter than others. from_ms INT64_MIN: the zone is `after`. Joining the result with
 * `after` again, there or at the begin of a later day, changes nothing. Results as of zone_read().
 */
int zone_join(const struct zone_offset *before, int count, int64_t from_ms,
              const struct zone *after, struct zone *out);

#endif
