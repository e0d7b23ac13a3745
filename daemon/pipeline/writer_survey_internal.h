/*
 * The survey, which finds the cutoff of a pass of retention; see pipeline/writer_survey.c. Used by
 * the writer's thread only.
 */
#ifndef PIPELINE_WRITER_SURVEY_INTERNAL_H
#define PIPELINE_WRITER_SURVEY_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "pipeline/pipeline.h"
#include "store/store.h"

#define WRITER_SURVEY_HOLD_MS 3600000

/* A table of which a pass would delete more than half. */
struct writer_hold {
    bool held;
    bool over;         /* the wait is over: passes may delete */
    int days;          /* the limit that was announced */
    int64_t since_ms;  /* monotonic; when it was announced */
    int64_t cutoff_ms; /* as it was announced */
    int64_t rows;      /* by the last survey */
};

struct writer_survey {
    enum { WRITER_SURVEY_NEWEST, WRITER_SURVEY_COUNT, WRITER_SURVEY_DONE } phase;
    int64_t begun_wall_ms; /* when the survey began, by the wall clock */
    int64_t begun_ms;      /* the same, by the monotonic clock */
    struct store_newest newest;
    struct store_tally tally;
    int64_t cutoff_ms[STORE_TABLES];
    int64_t rollup_cutoff_ms; /* of roll-ups that have outlived their readings */
    int64_t
        alone_since_ms; /* monotonic; since when one device alone has agreed with the clock; 0 */
    int64_t agreed_ms;  /* monotonic; when the last survey began, if two devices' readings agreed
                           with the clock in it; else 0 */
    struct writer_hold holds[STORE_TABLES];
};

/* Begin the survey of a new pass. Announced deletions keep waiting. */
void writer_survey_begin(struct writer_survey *survey);

/*
 * Continue the survey for chunk->budget_us. survey->phase says whether it is done; then cutoff_ms[]
 * holds the cutoffs of the pass, STORE_KEEP for a table that waits or has no limit.
 * `short_of_space` does not shorten a wait. STORE_OK, STORE_E_RETRY or STORE_FATAL.
 */
int writer_survey_step(struct writer_survey *survey, struct store *store,
                       const struct writer_limits *limits, const struct store_chunk *chunk);

/* Returns how long until a wait is over, at most limit_ms. */
int64_t writer_survey_next_ms(const struct writer_survey *survey, int64_t limit_ms);

/* Returns the time from which retention counts; INT64_MIN: nothing is old. Depends on the newest
 * readings, the wall clock, the time for which a single device has agreed with it (alone_ms), and
 * whether the clock is reported as synchronised. */
int64_t writer_survey_basis(const struct store_newest *newest, int64_t clock_ms, int64_t alone_ms,
                            bool synchronised);

/* Copy the announced deletions for status. */
void writer_survey_waits(const struct writer_survey *survey, struct writer_wait out[STORE_TABLES]);

#endif
