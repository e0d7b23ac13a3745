/* The writer's parts among themselves: pipeline/writer.c and pipeline/writer_chores.c. The writer's
 * thread only. */
#ifndef PIPELINE_WRITER_INTERNAL_H
#define PIPELINE_WRITER_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/pace.h"
#include "base/pulse.h"
#include "base/recent.h"
#include "pipeline/pipeline.h"
#include "pipeline/writer_apply_internal.h"
#include "pipeline/writer_expire_internal.h"
#include "pipeline/writer_rejudge_internal.h"
#include "store/sqlite/inbox.h"

struct writer {
    pthread_t thread;
    struct writer_parts parts;
    struct inbox *inbox;
    struct writer_apply *apply;
    struct pulse pulse;
    char *database_path;

    pthread_mutex_t mutex; /* of what follows, up to the blank line */
    pthread_cond_t ended_changed;
    bool ended; /* the thread has nothing left to do */
    struct writer_status status;
    struct writer_limits next_limits;
    _Atomic bool limits_changed; /* also read without the mutex */

    /* The thread's own. */
    struct writer_limits limits;
    struct pace pace;
    bool inbox_loaded;
    int64_t closed_ms; /* monotonic; when the intake was found closed; 0: not yet */
    int64_t backoff_ms;
    int64_t batch_ms; /* monotonic; the end of the last one */
    int64_t space_checked_ms;
    int64_t free_bytes;
    bool for_space; /* stalled because of min_free_mb */
    int64_t log_cut_ms;
    struct writer_expire expire;
    struct recent newest_reading; /* time_ms of the newest reading of each batch */
    struct writer_rejudge rejudge;
    bool summary_due;        /* what the summary tells has changed, or was never read */
    int64_t summary_ms;      /* monotonic; when it was last read */
    int64_t summary_version; /* store_version_of_others() then */
    unsigned links;          /* names of the database file, as last said */
    struct log_cause stall_cause;
    bool stall_said; /* in the log, and its end not yet */
    struct log_cause expire_cause;
    struct log_cause reader_cause; /* a reader keeps the log */
    bool reader_said;
};

/* The database cannot be trusted: say so, cut the links, and be WRITER_FATAL. */
void writer_fail(struct writer *writer, const char *reason);

/* The database takes nothing now: cut the links, refuse messages, and be WRITER_STALLED until the
 * backoff is over. */
void writer_stall(struct writer *writer, const char *reason);

/* While the disk takes nothing: true when the intake was closed, and the thread has to end. What is
 * in it was not acknowledged: the broker has it. */
bool writer_leave(struct writer *writer);

/* How many messages the next transaction may hold: batch_max, or what fits the disk. At least 1. */
uint64_t writer_batch_limit(const struct writer *writer);

/* See pipeline/writer_chores.c. False ends the thread. */
bool writer_look_at_space(struct writer *writer);
bool writer_tidy_log(struct writer *writer);
bool writer_look_at_content(struct writer *writer, bool idle);
bool writer_delete_old(struct writer *writer);
bool writer_wait_for_space(struct writer *writer);

/* Let the status have what the last commit has left in quarantine. With the mutex. */
void writer_note_entries(struct writer *writer);

/* See pipeline/writer_readers.c. */
void writer_look_at_readers(struct writer *writer);

/* How long until retention or quarantine has something to do, at most limit_ms. */
int writer_chores_wait_ms(const struct writer *writer, int limit_ms);

bool writer_space_left(const struct writer *writer);
void writer_end_wait_for_space(struct writer *writer);

#endif
