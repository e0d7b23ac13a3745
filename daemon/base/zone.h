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

#endif
