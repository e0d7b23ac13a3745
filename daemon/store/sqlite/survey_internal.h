/* What retention has to know before a pass; see store/sqlite/survey.c. Used by the writer's thread.
 */
#ifndef STORE_SQLITE_SURVEY_INTERNAL_H
#define STORE_SQLITE_SURVEY_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

/* The newest readings, by time_ms. Begin with everything zero. */
struct store_newest {
    int64_t device;    /* the last one that was looked at */
    int devices;       /* that have a reading, or another message */
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

/* Go on for chunk->budget_us; `done` tells whether it is over. Never with a batch open. STORE_OK,
 * STORE_E_RETRY or STORE_FATAL. */
int store_survey_newest(struct store *store, struct store_newest *newest,
                        const struct store_chunk *chunk);
int store_survey_count(struct store *store, struct store_tally *tally,
                       const struct store_chunk *chunk);

#endif
