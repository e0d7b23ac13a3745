/*
 * Retention: the survey before a pass, the deletions in chunks, and the messages of quarantine
 * whose time lay in the future. The writer's thread calls these functions between two batches; each
 * call is a transaction of its own, as short as a batch. After an error the caller rolls back, and
 * the struct that describes the pass is as before the call. Results are those of store/store.h.
 */
#ifndef STORE_RETENTION_H
#define STORE_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "foxtrackr.h"
#include "store/store.h"

/* The tables that retention deletes from. */
enum store_table {
    STORE_BATTERY,
    STORE_TEMPERATURE,
    STORE_MESSAGES,
    STORE_QUARANTINE,
    STORE_TABLES
};

#define STORE_KEEP INT64_MIN /* a cutoff that no row is older than */

/* A pass through the tables. The caller sets the members up to keep_free_percent, and all others
 * to zero; store_expire() notes its position in the others. */
struct store_expiry {
    int64_t cutoff_ms[STORE_TABLES]; /* older rows are deleted: readings and messages by time_ms,
                                        quarantine by last_received_ms */
    bool keep_rollups;               /* roll-ups by day stay when readings of them are deleted */
    int64_t rollup_cutoff_ms;        /* with that: roll-ups of earlier days are deleted too */
    int keep_free_percent; /* so much of the file may stay free for new rows; the rest is given back
                              to the file system */
    int table;             /* enum store_table; STORE_TABLES: giving space back */
    int64_t device;        /* the last device that has no old rows any more */
};

/* The limits of a chunk, which ends at the first that is reached; one step is always done. */
struct store_chunk {
    int64_t budget_us;         /* time before the commit */
    int limit_pages;           /* about so many changed pages */
    int64_t now_ms;            /* wall clock, for the table `expired` */
    bool nobody_waits;         /* no messages are accepted now: long pauses do no harm */
    int64_t (*clock_us)(void); /* monotonic */
};

/* The result of a chunk. */
struct store_expired {
    uint64_t rows[STORE_TABLES];
    uint64_t pages_freed; /* given back to the file system */
    bool reached_limit;   /* limit_pages ended the chunk */
    bool later;           /* nothing was done, because messages have filled the WAL */
    bool done;            /* the pass is over */
};

/* Returns a table's name in the database. */
const char *store_table_name(enum store_table table);

/*
 * Do a chunk of a pass: delete old rows, count them in `expired`, and give free pages back when no
 * old rows are left. Devices and their groups stay. Sets *out.
 */
int store_expire(struct store *store, struct store_expiry *expiry, const struct store_chunk *chunk,
                 struct store_expired *out);

/*
 * The survey of the newest readings, by time_ms. The caller sets until_ms, and all other members to
 * zero. Each device counts with its newest reading up to until_ms, unless that was more than a day
 * ahead when it arrived: then one of two clocks was wrong.
 */
struct store_newest {
    int64_t until_ms;  /* later readings are ignored */
    int64_t device;    /* the last device that was surveyed */
    int devices;       /* devices with a reading, or another message, of any time */
    int64_t first_ms;  /* the newest reading; without any reading the newest last_received_ms of
                          quarantine; 0: none */
    int64_t second_ms; /* the newest reading of another device; 0: none */
    int64_t before_ms; /* with one device only: its newest reading before first_ms; 0: none */
    bool done;
};

/* The count of a table's rows that are older than a cutoff. The caller sets table and cutoff_ms,
 * and all other members to zero. */
struct store_tally {
    enum store_table table;
    int64_t cutoff_ms;
    int64_t old_rows;
    int64_t kept_rows; /* the others, counted up to old_rows */
    bool done;

    /* The position. */
    bool of_kept;
    bool in_device;
    int64_t device;
    int64_t from_ms;
};

/* Continue a survey or a count for chunk->budget_us; sets `done` at its end. */
int store_survey_newest(struct store *store, struct store_newest *newest,
                        const struct store_chunk *chunk);
int store_survey_count(struct store *store, struct store_tally *tally,
                       const struct store_chunk *chunk);

/* A pass through the messages of quarantine with the reason `time`. The caller sets the first three
 * members before every call. For a new pass it sets next_due_ms to INT64_MAX and the others to
 * zero. */
struct store_rejudge {
    const struct foxtrackr_fields *fields;
    int64_t max_future_ms;
    int64_t now_ms; /* wall clock: a message that is further ahead than max_future_ms stays */
    bool begun;
    uint8_t digest[32];  /* the position */
    int64_t next_due_ms; /* when the first of the messages that stay becomes due; INT64_MAX: none */
    int64_t moved;       /* messages that left quarantine */
};

/*
 * Parse some of these messages again if their time is not too far ahead any more, and move those
 * that can be parsed to their tables. A message that stays for another reason gets
 * last_received_ms = now_ms. *done becomes true at the end of the pass.
 */
int store_rejudge(struct store *store, struct store_rejudge *pass, bool *done);

/* Correct the entries of quarantine that were received while the clock was behind, from from_ms to
 * to_ms by that clock: last_received_ms becomes now_ms. Some entries at a time; *done becomes true
 * when none is left. */
int store_restamp(struct store *store, int64_t from_ms, int64_t to_ms, int64_t now_ms, bool *done);

#endif
