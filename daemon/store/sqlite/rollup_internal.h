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

enum rollup_phase {
    ROLLUP_RESTS,
    ROLLUP_SURVEYS,
    ROLLUP_ROLLS,
    ROLLUP_SUMS,
    ROLLUP_LEARNS,
    ROLLUP_ANALYZES
};

/* Of the values of a column. */
struct rollup_values {
    int64_t count;
    double min;
    double sum;
    double max;
};

/* Of the readings of a device and day. */
struct rollup_sums {
    int64_t readings;
    int64_t first_ms;
    int64_t last_ms;
    int64_t pause_max_ms;
    bool paused;                /* pause_max_ms is one */
    struct rollup_values first; /* of the first column: volts, or degrees */
    struct rollup_values level;
    double level_first;
    double level_last;
};

/* A device and day that is being added up: from one chunk to the next when it has many readings. */
struct rollup_part {
    bool begun;
    bool done; /* all readings are added */
    int64_t device;
    struct rollup_day day;
    int64_t until_ms; /* readings before are added */
    int64_t next_ms;  /* when done: the first one from until_ms on; INT64_MAX: none */
    uint64_t foreign_writes;
    struct rollup_sums sums;
};

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
    struct rollup_part parts[ROLLUP_TABLES];

    /* Of a walk over all devices: the earliest reading at or after its end. */
    bool next_known;
    int64_t next_ms;
    uint64_t foreign_writes; /* of the store, when it began */
};

struct rollup {
    bool known;    /* state and offsets are those of the database */
    int step_rows; /* readings that are added between two looks at the clock; 0: as many as usual */
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
 * Add the readings of a device from day->from_ms to before until_ms up in work.parts[table]: until
 * deadline_us, but some in any case. *done: all of them are in it; otherwise call it again, in a
 * later transaction too. It begins anew unless it was called for the same before.
 */
int rollup_add(struct store *store, enum rollup_table table, int64_t device,
               const struct rollup_day *day, int64_t until_ms, int64_t deadline_us, bool *done);

/* Write the roll-up of work.parts[table], which is done, if it has a reading. The part is empty
 * then, but for its next_ms. In the open transaction. */
int rollup_put(struct store *store, enum rollup_table table);

/* Readings of a device were stored, changed or deleted: those from from_ms on. What is added up of
 * them already is forgotten. */
void rollup_forget_part(struct rollup *rollup, enum rollup_table table, int64_t device,
                        int64_t from_ms);

/* A day before the reading at first_ms was rolled up anew, and no reading is between: the pause
 * before it, which may not have been known, is one of its day. */
int rollup_note_pause(struct store *store, enum rollup_table table, int64_t device,
                      int64_t first_ms);

/* Set *time_ms to the first reading of a device from from_ms on; INT64_MAX: none. */
int rollup_first(struct store *store, enum rollup_table table, int64_t device, int64_t from_ms,
                 int64_t *time_ms);

/* Make some of the days anew that are in rollup_dirty, until deadline_us. *more: some are left. */
int rollup_clean(struct store *store, int64_t deadline_us, bool *more);

/* Roll up further devices and days, towards work.target_ms. *done: that is reached. */
int rollup_advance(struct store *store, int64_t deadline_us, bool *done);

/* Add up the roll-ups of days that are over. *done: of all of them. */
int rollup_sum(struct store *store, int64_t deadline_us, bool *done);

/* Roll-ups of the day were written or deleted; of all days up to it. They are to be added up anew.
 * In the open transaction, as the next one. */
int rollup_forget_sum(struct store *store, int64_t day);
int rollup_forget_sums_until(struct store *store, int64_t day);

/* The calendar begins with the day: delete what is older. */
int rollup_trim_sums(struct store *store, int64_t day);

/* Learn how a battery discharged, unless that is known already. A roll-up of the device's battery
 * was made anew or deleted, or some of a day were: it is to be learnt again. In the open
 * transaction; the state is known. */
int rollup_learn_trend(struct store *store, int64_t device);
int rollup_trend_changed(struct store *store, int64_t device);
int rollup_trends_changed(struct store *store, int64_t day);

/* Learn how often devices report, and how their batteries discharge. *done: of all of them. */
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
