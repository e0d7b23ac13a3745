/* Declarations shared by the files of the writer; its opening is in pipeline/writer.c. The writer's
 * thread only. */
#ifndef PIPELINE_WRITER_INTERNAL_H
#define PIPELINE_WRITER_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/pulse.h"
#include "base/recent.h"
#include "pipeline/pipeline.h"
#include "pipeline/writer_apply_internal.h"
#include "pipeline/writer_attention_internal.h"
#include "pipeline/writer_expire_internal.h"
#include "pipeline/writer_rejudge_internal.h"

struct writer {
    pthread_t thread;
    struct writer_parts parts;
    struct writer_apply *apply;
    struct pulse pulse;
    char *database_path;

    pthread_mutex_t mutex; /* guards the members up to the blank line */
    pthread_cond_t ended_changed;
    bool ended; /* the thread is about to end */
    struct writer_status status;
    struct writer_limits next_limits;
    _Atomic bool limits_changed; /* also read without the mutex */

    /* Used by the writer's thread only. */
    struct writer_limits limits;
    bool lockstep;     /* all messages in flight fit into one commit: see gate/lockstep.c */
    bool attached;     /* see store_attach() */
    int64_t closed_ms; /* monotonic; when the intake was found closed; 0: not yet */
    int64_t backoff_ms;
    int idle_again_ms; /* see store_idle() */
    int64_t idle_ms;   /* monotonic; the last call of store_idle() */
    int64_t space_checked_ms;
    int64_t free_bytes;
    bool for_space;     /* stalled because of min_free_mb */
    int64_t wal_cut_ms; /* monotonic; when truncate_wal() last did */
    struct writer_expire expire;
    struct recent newest_reading; /* time_ms of the newest reading of each batch */
    struct writer_rejudge rejudge;
    bool views_due;   /* the views of the limits are not those of the database yet */
    int64_t views_ms; /* monotonic; when to try that again */
    struct log_cause views_cause;
    bool summary_due;        /* the summary has changed, or was never read */
    int64_t summary_ms;      /* monotonic; when it was last read */
    int64_t summary_version; /* store_version_of_others() then */
    struct writer_attention attention;
    unsigned links; /* names of the database file, as last logged */
    struct log_cause stall_cause;
    bool stall_said; /* the stall was logged, and its end was not yet */
    struct log_cause expire_cause;
    struct log_cause attention_cause;
    struct log_cause idle_cause;
    bool idle_said; /* that its work was put off was logged, and that it goes on was not yet */
    struct log_cause reader_cause; /* a reader keeps the WAL from being restarted */
    bool reader_said;
};

/* --- pipeline/writer_batch.c ----------------------------------------------------------------- */

/* Free what the limits own. */
void writer_limits_clear(struct writer_limits *limits);

/* Use the limits of writer_set_limits(), if there are new ones. No batch is open. */
void writer_take_limits(struct writer *writer);

/* Apply `first` and what follows it in the ring as one transaction, commit it, and publish it.
 * NULL: messages that wait in the store, and what has come by then. False ends the thread. */
bool writer_write_batch(struct writer *writer, const struct intake_item *first);

/* --- pipeline/writer_stall.c ----------------------------------------------------------------- */

void writer_set_state(struct writer *writer, enum writer_state state, const char *reason);
enum writer_state writer_state_of(struct writer *writer);

/* The database cannot be trusted, or with STORE_E_LOST another daemon has the sessions: log that,
 * sever the links, and enter WRITER_FATAL or WRITER_LOST. */
void writer_fail(struct writer *writer, int result, const char *reason);

/* Nothing can be written now: sever the links, refuse messages, and stay WRITER_STALLED until the
 * backoff is over. */
void writer_stall(struct writer *writer, const char *reason);

/* While stalled: returns true when the intake was closed and the thread has to end. The items in
 * the intake were not acknowledged, so the broker still has them. */
bool writer_leave(struct writer *writer);

/* Leave the state "stalled"; logged if the stall was: see note_connected() in session/session.c. */
void writer_unstall(struct writer *writer);

/* After a failed batch: roll back, and stall or fail. Returns false when the thread has to end. */
bool writer_batch_failed(struct writer *writer, int result);

/* --- pipeline/writer_chores.c ---------------------------------------------------------------- */

/* Returns how many messages the next transaction may hold: batch_max, or as many as fit the free
 * space. At least 1. */
uint64_t writer_batch_limit(const struct writer *writer);

/* False ends the thread. */
bool writer_look_at_space(struct writer *writer);
bool writer_idle(struct writer *writer);
bool writer_idle_though_busy(struct writer *writer);
bool writer_look_at_content(struct writer *writer, bool idle);
bool writer_delete_old(struct writer *writer);
bool writer_look_at_devices(struct writer *writer, bool idle);
bool writer_wait_for_space(struct writer *writer);

/* Roll back a chore that has failed, and log "database: what: reason"; messages go on. False ends
 * the thread. */
bool writer_chore_failed(struct writer *writer, struct log_cause *cause, int result,
                         const char *what);

/* pipeline/writer_views.c: make the typed views those of the limits, if that is due. False ends the
 * thread. */
bool writer_look_at_views(struct writer *writer);

/* Set the status's number of entries in quarantine after the last commit. With the mutex. */
void writer_note_entries(struct writer *writer);

/* See pipeline/writer_readers.c. */
void writer_look_at_readers(struct writer *writer, const struct store_measures *measures);

/* Returns how long until retention, quarantine or the count of devices has work, at most limit_ms.
 */
int writer_chores_wait_ms(const struct writer *writer, int limit_ms);

bool writer_space_left(const struct writer *writer);
void writer_end_wait_for_space(struct writer *writer);

#endif
