/*
 * Roll-ups: one row a device and day, made in idle time; see store/sqlite/rollup.c. The writer's
 * thread, or a tool's. Results are those of store/store.h.
 */
#ifndef STORE_SQLITE_ROLLUP_INTERNAL_H
#define STORE_SQLITE_ROLLUP_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/zone.h"
#include "store/retention.h"

struct store;

#define ROLLUP_NEVER_MS INT64_MIN /* of a boundary: nothing is rolled up */

/* The tables with roll-ups. */
enum rollup_table { ROLLUP_BATTERY, ROLLUP_TEMPERATURE, ROLLUP_TABLES };

/* A day of the time zone. */
struct rollup_day {
    int64_t day; /* since 1970-01-01 of the local date */
    int64_t from_ms;
    int64_t until_ms;
};

/* The row of rollup_state: readings before until_ms of devices up to `device`, and readings before
 * from_ms of the others, are rolled up, or their day is in rollup_dirty. */
struct rollup_state {
    int64_t device;
    int64_t from_ms;
    int64_t until_ms;
    int64_t gone_ms[ROLLUP_TABLES]; /* days that begin before keep their roll-up when readings of
                                       them are deleted, or come late; never after from_ms */
    int64_t analyzed_ms;
};

enum rollup_phase { ROLLUP_RESTS, ROLLUP_SURVEYS, ROLLUP_ROLLS, ROLLUP_LEARNS, ROLLUP_ANALYZES };

/* The builder's work; only in memory, because each part of it can begin anew. */
struct rollup_work {
    enum rollup_phase phase;
    int64_t due_ms; /* monotonic; of the next survey */
    bool known;     /* a survey was made since the start */
    struct store_newest newest;
    int64_t target_ms; /* how far to roll up */
    int64_t device;    /* the position of a walk that changes no state */
    int analyzed;      /* tables that ANALYZE has seen */
    bool said;         /* the log says that long work goes on */
    int64_t say_at_ms; /* monotonic; when it may say so again */
    bool caught_up;    /* the inbox was in use since the last ANALYZE */

    /* Of a walk over all devices: the earliest reading at or after its end. */
    bool next_known;
    int64_t next_ms;
    uint64_t foreign_writes; /* of the store, when it began */
};

struct rollup {
    bool known;       /* state and offsets are those of the database */
    int64_t watch_ms; /* earlier readings are told to rollup_note_late(); INT64_MAX: all are */
    struct rollup_state state;
    struct zone_offset *offsets; /* of the days; ordered, without gaps */
    int offset_count;
    /* The last days that were noted to be made anew, and are still: late readings of a device come
     * together. No day: until_ms is INT64_MIN. */
    struct {
        int64_t device;
        int64_t from_ms;
        int64_t until_ms;
    } marked[ROLLUP_TABLES];
    struct rollup_work work;
};

/* Begin with an unknown state; and forget it, because it may have changed in the database. */
void rollup_forget(struct rollup *rollup);

/* Free what `rollup` holds. */
void rollup_free(struct rollup *rollup);

/* Read the state from the database, unless it is known. */
int rollup_load(struct store *store);

/* Write the state, in the open transaction. */
int rollup_write_state(struct store *store);

/* Returns how far the readings of a device are rolled up. */
int64_t rollup_boundary(const struct rollup *rollup, int64_t device);

/* A reading earlier than watch_ms was stored or changed in the open transaction: if its day is
 * rolled up, the day is to be made anew. */
int rollup_note_late(struct store *store, enum rollup_table table, int64_t device, int64_t time_ms);

/* Returns the table of a type in rollup_dirty. */
enum rollup_table rollup_table_of(const char *type);

/* Note that a day is to be made anew, and delete its roll-up; find out whether it is noted. */
int rollup_mark(struct store *store, enum rollup_table table, int64_t device,
                const struct rollup_day *day);
int rollup_is_marked(struct store *store, enum rollup_table table, int64_t device, int64_t day,
                     bool *marked);

/* A day is rolled up: it is not to be made anew any more. */
int rollup_unmark(struct store *store, enum rollup_table table, int64_t device, int64_t day);

/* Set the day of a time. The state is known. */
void rollup_day_of(const struct rollup *rollup, int64_t time_ms, struct rollup_day *out);

/* Have the day, and all days between it and those that are there, in the calendar. */
int rollup_keep_calendar(struct store *store, const struct rollup_day *day);

/*
 * Roll up the readings of a device from day->from_ms to before until_ms, and write the row if there
 * is one or more. Sets *next_ms to the time of the first reading from until_ms on; INT64_MAX: none.
 */
int rollup_make(struct store *store, enum rollup_table table, int64_t device,
                const struct rollup_day *day, int64_t until_ms, int64_t *next_ms);

/* Set *time_ms to the first reading of a device from from_ms on; INT64_MAX: none. */
int rollup_first(struct store *store, enum rollup_table table, int64_t device, int64_t from_ms,
                 int64_t *time_ms);

/* Make some of the days anew that are in rollup_dirty, until deadline_us. *more: some are left. */
int rollup_clean(struct store *store, int64_t deadline_us, bool *more);

/* Roll up further devices and days, towards work.target_ms. *done: that is reached. */
int rollup_advance(struct store *store, int64_t deadline_us, bool *done);

/* Learn how often devices report. *done: of all of them. */
int rollup_learn(struct store *store, int64_t deadline_us, bool *done);

/* Do a part of the work that is due, in a transaction of its own. in_pause: no message has come for
 * a while. *again_ms is lowered when there is more to do. */
int rollup_idle(struct store *store, bool in_pause, int *again_ms);

/* Use the zone's days from now on, but for those whose readings are gone. While opening; a
 * transaction of its own. Logs when such days stay. */
int rollup_set_zone(struct store *store, const struct zone *zone);

/* --- retention, in the open transaction: store/sqlite/rollup_expire.c ------------------------- */

/* Before readings are deleted: where roll-ups outlive them, limit the cutoffs to whole days that
 * are rolled up. *ready: false when some days are to be made anew first. */
int rollup_may_expire(struct store *store, struct store_expiry *expiry, int64_t deadline_us,
                      bool *ready);

/* Readings of a device were deleted, of the times before cutoff_ms, and their roll-ups go with
 * them. finished: no such reading is left. The state is known. */
int rollup_expired(struct store *store, enum rollup_table table, int64_t device, int64_t cutoff_ms,
                   bool finished);

/* Delete some roll-ups of the oldest day, if they have outlived their readings for long enough.
 * *more: there may be further ones. *rows: so many rows were changed. */
int rollup_expire(struct store *store, const struct store_expiry *expiry, bool *more, int *rows);

#endif
