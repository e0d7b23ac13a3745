/*
 * The schedule of retention: when it works, and how much at a time. Used by the writer's thread
 * only.
 *
 * A message that arrives during a chunk waits for its end, so chunks are kept near TARGET_US
 * (pipeline/writer_expire.c), the commit and its sync included, by adapting the number of pages to
 * the last chunk's time. After a chunk retention pauses three times as long, because batches come
 * first; not so while no message is accepted for lack of space.
 *
 * A pass begins with a survey (pipeline/writer_survey.c) that finds the cutoff for deletions; its
 * steps are chunks as short as the others.
 */
#ifndef PIPELINE_WRITER_EXPIRE_INTERNAL_H
#define PIPELINE_WRITER_EXPIRE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "pipeline/pipeline.h"
#include "pipeline/writer_survey_internal.h"
#include "store/store.h"

struct writer_expire {
    struct store_expiry pass;
    struct writer_survey survey;
    bool active;           /* in a pass */
    bool surveying;        /* at its beginning */
    bool short_of_space;   /* give back all that is free */
    bool spare_quarantine; /* quarantine was not judged again before this pass: none of it is
                            * deleted */
    int64_t next_pass_ms;  /* monotonic */
    int64_t rest_until_us; /* monotonic */
    int limit_pages;       /* of the next chunk */
    int64_t longest_us;    /* the longest chunk of this run for which a message may have waited */
    int64_t said_ms;       /* monotonic; the last line in the log */
    uint64_t unsaid[STORE_TABLES];
    int64_t unsaid_before_ms[STORE_TABLES]; /* their cutoff */
};

void writer_expire_init(struct writer_expire *expire);

/* Begin a new pass with the next chunk: the limits have changed, or space is short. */
void writer_expire_restart(struct writer_expire *expire, bool short_of_space);

/* Begin the next pass a minute from now. */
void writer_expire_postpone(struct writer_expire *expire);

/* How long until there is something to do, at most `limit_ms`. */
int writer_expire_wait_ms(const struct writer_expire *expire, int limit_ms);

/*
 * Do a chunk if it is time for one, as a transaction of its own. *out says what it did: nothing if
 * it was not. After an error the caller rolls back; the pass goes on a minute later.
 * STORE_OK, STORE_E_RETRY or STORE_FATAL.
 */
int writer_expire_chunk(struct writer_expire *expire, struct store *store,
                        const struct writer_limits *limits, struct store_expired *out);

/* Log the deletions that were not logged yet. */
void writer_expire_say(struct writer_expire *expire);

/* Returns how many pages the next chunk may change after one of `limit` pages has taken took_us. */
int writer_expire_adapt(int limit, bool reached_limit, int64_t took_us);

#endif
