/*
 * The writer: the thread that turns what the intake holds into committed rows. See
 * pipeline/writer.c; the rule "held until durable" stands there, in writer_publish().
 */
#ifndef PIPELINE_WRITER_H
#define PIPELINE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pulse.h"
#include "config/config.h"
#include "gate/gate.h"
#include "gate/watermark.h"
#include "pipeline/intake.h"
#include "store/store.h"

#define WRITER_REASON_SIZE 256
#define WRITER_LOG_HELD    (INT64_C(256) * 1024 * 1024) /* a log of so many bytes is too long */
#define WRITER_REASONS     16                           /* more than enum foxtrackr_reason has */

enum writer_state {
    WRITER_RUNNING,
    WRITER_STALLED, /* the disk takes nothing now; tried again with backoff */
    WRITER_FATAL,   /* the thread has ended: exit with 74 */
    WRITER_ENDED,   /* the intake was closed and everything in it is durable */
    WRITER_LEFT,    /* the intake was closed while the disk takes nothing: what is in it was not
                       acknowledged, the broker has it */
};

/* What retention has announced of a table and waits with; rows 0: nothing. */
struct writer_wait {
    int64_t rows;
    int64_t before_ms; /* wall clock: all of them are older */
    int64_t until_ms;  /* monotonic */
};

/* A snapshot for status. Rates are for the reader to derive. */
struct writer_status {
    enum writer_state state;
    char reason[WRITER_REASON_SIZE]; /* why stalled or fatal; "" otherwise */
    int64_t retry_at_ms;             /* monotonic; when stalled */
    struct store_counts counts;      /* of this run, durable ones */
    uint64_t commits;
    uint64_t last_batch;     /* messages */
    int64_t last_commit_us;  /* how long COMMIT took */
    int64_t commits_us;      /* how long all of them took */
    int64_t last_commit_ms;  /* wall clock; 0 before the first */
    int64_t last_message_ms; /* wall clock: last commit with a message, of an earlier run too; 0:
                                none is known */
    int64_t newest_time_ms; /* device time: the newest reading of the last minute of batches, before
                               the first of them the newest in the database; 0: none is known */
    uint64_t in_inbox;      /* messages on disk that wait to be sorted in; not in `counts` */
    uint64_t quarantined[WRITER_REASONS]; /* this run, by enum foxtrackr_reason */
    uint64_t expired;                     /* rows deleted by retention */
    uint64_t expired_by_table[STORE_TABLES];
    struct writer_wait waits[STORE_TABLES];
    uint64_t rejudged;         /* messages that left quarantine because their time has come */
    int64_t expire_longest_us; /* its longest chunk: for so long a message had to wait */
    int64_t database_bytes;
    int64_t used_bytes; /* see store_used_bytes(); 0: not known */
    int64_t wal_bytes;
    struct store_reader reader; /* which keeps the log, while it is too long; else none */
    int64_t free_bytes;
    bool summary_known; /* false until the thread has looked for the first time */
    struct store_summary summary;
};

struct writer;

/* What the writer needs; all outlive it. */
struct writer_parts {
    struct store *store; /* the writer's alone until writer_stop() */
    struct intake *intake;
    struct gate *gate;
    struct watermark *watermark;
    const char *const *client_ids; /* by session index */
    unsigned session_count;
    int64_t last_message_ms; /* wall clock: of earlier runs, see store_newest_ms(); 0: none */
};

/* What a reload can change. `fields` is taken over. */
struct writer_limits {
    struct foxtrackr_fields *fields;
    int64_t max_future_ms;
    int batch_max;
    int retention_days[STORE_TABLES]; /* 0: keep for ever */
    int min_free_mb;
};

/* Start the thread. Returns 0 and sets *out, for writer_stop(); or a negative errno, and then
 * limits->fields stays the caller's. `database_path` is copied. */
int writer_start(struct writer **out, const struct writer_parts *parts,
                 const struct writer_limits *limits, const char *database_path);

/* Use new limits from the next batch on. Takes over limits->fields. */
void writer_set_limits(struct writer *writer, const struct writer_limits *limits);

/* The thread's pulse: it beats at least once a second. Until writer_stop(). */
const struct pulse *writer_pulse(const struct writer *writer);

/* A snapshot. Any thread. */
void writer_status(struct writer *writer, struct writer_status *out);

/*
 * After intake_close(): wait up to timeout_ms for the thread to end, then free. The store is the
 * caller's again. Returns the state in which it ended, or WRITER_STALLED when it did not end in
 * time: nothing was freed then, and the process must exit without touching the store.
 */
enum writer_state writer_stop(struct writer *writer, int timeout_ms);

#endif
