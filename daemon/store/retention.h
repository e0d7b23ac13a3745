/*
 * The store's part in retention: what the pipeline asks before it deletes, the deleting in chunks,
 * and another look at messages that claimed a time in the future. The writer's thread calls these,
 * between two batches; each call is a transaction of its own, as short as a batch. Results are
 * those of store/store.h.
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

#define STORE_KEEP INT64_MIN /* as a cutoff: older than this is nothing */

/* A pass of retention through the tables. Make it with its cutoffs and everything else zero;
 * store_expire() notes here where it stopped. */
struct store_expiry {
    int64_t cutoff_ms[STORE_TABLES]; /* rows from before go: readings and messages by time_ms,
                                        quarantine by last_received_ms */
    int keep_free_percent; /* of the file may stay free, for rows to come; more goes back to the
                              file system */
    int table;             /* enum store_table; STORE_TABLES: giving space back */
    int64_t device;        /* the last one that has nothing old any more */
};

/* When a chunk of it stops, whatever comes first; the first step is always done. */
struct store_chunk {
    int64_t budget_us;         /* for everything before the commit */
    int limit_pages;           /* about so many pages changed */
    int64_t now_ms;            /* wall clock, for the record */
    bool nobody_waits;         /* no message is taken: the log may move, however long it is */
    int64_t (*clock_us)(void); /* monotonic */
};

struct store_expired {
    uint64_t rows[STORE_TABLES];
    uint64_t pages_freed; /* given back to the file system */
    bool reached_limit;   /* of pages */
    bool later;           /* messages have made the log long: nothing was done */
    bool done;            /* the pass is over */
};

/* A table's name in the database. */
const char *store_table_name(enum store_table table);

/*
 * Do a chunk of a pass, as a transaction of its own: delete old rows, count them in `expired`, and
 * when there are none give free pages back. Devices and their groups stay. Sets *out; after an
 * error the caller rolls back, and `expiry` is as before.
 */
int store_expire(struct store *store, struct store_expiry *expiry, const struct store_chunk *chunk,
                 struct store_expired *out);

/*
 * The newest readings, by time_ms. Begin with until_ms and zero. Of each device its newest reading
 * up to until_ms is looked at; where that is more than a day ahead of its arrival, one of two
 * clocks was wrong, and the device has none that counts.
 */
struct store_newest {
    int64_t until_ms;  /* a later reading tells nothing */
    int64_t device;    /* the last one that was looked at */
    int devices;       /* that have a reading, or another message, of whatever time */
    int64_t first_ms;  /* of the device that has the newest reading; without any reading the newest
                          last_received_ms of quarantine; 0: none */
    int64_t second_ms; /* the newest of another device; 0: none */
    int64_t before_ms; /* where there is one device: its newest reading before that; 0: none */
    bool done;
};

/* How many rows of a table are older than a cutoff. Begin with table and cutoff and zero. */
struct store_tally {
    enum store_table table;
    int64_t cutoff_ms;
    int64_t old_rows;
    int64_t kept_rows; /* counted until there are as many as old ones */
    bool done;

    bool of_kept; /* where it stopped */
    bool in_device;
    int64_t device;
    int64_t from_ms;
};

/* Go on for chunk->budget_us; `done` tells whether it is over. */
int store_survey_newest(struct store *store, struct store_newest *newest,
                        const struct store_chunk *chunk);
int store_survey_count(struct store *store, struct store_tally *tally,
                       const struct store_chunk *chunk);

/* A pass through the messages of quarantine that have the reason `time`. The caller sets the first
 * three before every call; a new pass begins with zero and next_due_ms = INT64_MAX. */
struct store_rejudge {
    const struct foxtrackr_fields *fields;
    int64_t max_future_ms;
    int64_t now_ms; /* wall clock: what is further ahead than max_future_ms stays */
    bool begun;
    uint8_t digest[32];  /* where it stopped */
    int64_t next_due_ms; /* when the first of those that were left will be due; INT64_MAX: none */
    int64_t moved;       /* so many messages left quarantine */
};

/*
 * Parse some of them again, whose time is not too far ahead any more, and move what is understood
 * to its tables. What stays for another reason gets last_received_ms = now_ms. *done: none is left.
 * After an error the caller rolls back, and `pass` is as before.
 */
int store_rejudge(struct store *store, struct store_rejudge *pass, bool *done);

/* The clock that said from_ms to to_ms was behind and says now_ms now: what quarantine received by
 * it gets now_ms as last_received_ms, some entries at a time. *done: none is left. After an error
 * the caller rolls back. */
int store_restamp(struct store *store, int64_t from_ms, int64_t to_ms, int64_t now_ms, bool *done);

#endif
