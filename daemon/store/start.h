/*
 * The start and the end of a run, which main makes: the progress of a migration, what has happened
 * to the database since the last run, and the row in `runs`. Results and threads are those of
 * store/store.h.
 */
#ifndef STORE_START_H
#define STORE_START_H

#include "store/store.h"

/* Check what can be known of the options without the database: that the engine is installed, and
 * that its library takes the URI. Asks nobody over the network, but for the LDAP server that a
 * service file of libpq names. Returns STORE_OK, or STORE_E_PATH
 * or STORE_E_RETRY (out of memory) with a sentence in `problem`. */
int store_check(const struct store_options *options, char *problem, size_t problem_size);

/* The progress of a migration, reported at its beginning, at its end, and a few times a second. */
struct store_progress {
    int from; /* schema versions */
    int to;
    uint64_t rows; /* to be rewritten; 0: the migration takes a moment */
    uint64_t rows_done;
    bool finishing;        /* the rest is written to the disk, without further reports: */
    int64_t bytes_to_sync; /* about so many bytes */
    bool done;
};

/* The replacement of the database by another file. */
struct store_restoration {
    enum {
        STORE_NOT_RESTORED,
        STORE_RESTORED_BACKUP, /* by a backup; gaps.reason "restored" */
        STORE_RESTORED_OLDER,  /* by an older state, or by another database; gaps.reason "older
                                  database" */
    } kind;                    /* other than the first: rows were written into `gaps` */
    int64_t from_ms;           /* the file has everything until then; wall clock, 0: not known */
    int64_t to_ms;             /* wall clock */
    int64_t clients;           /* rows written */
};

/* How the database differs from the one that the last run left, and what will not work with it. */
struct store_found {
    struct store_restoration restoration;
    bool strange; /* changed by another program or by a power failure, without visible damage */
    int readers_error;  /* PATH-shm could not be opened with this errno, and store_measure() will
                           find no reader; 0: it was opened */
    bool lock_is_other; /* the lock file has another program's content: it is locked but not
                           written, so no record of the database is kept */
};

/* Report that. A restoration counts until a run has begun after it, even if
 * foxtrackrctl restore or an earlier, killed start has made it. Before store_run_begin(). *out is
 * set with every result. */
int store_find_out(struct store *store, struct store_found *out);

/* The newest time of our own clock in the database: of the sessions' last commits and of the
 * arrival of devices' newest readings; 0: none. Takes a few milliseconds; before the first batch.
 */
int store_newest_ms(struct store *store, int64_t *newest_ms);

/* Begin and end the run: a row in `runs`. Each is a transaction of its own. */
int store_run_begin(struct store *store, const char *version, int64_t now_ms);
int store_run_end(struct store *store, int64_t now_ms);

/* Wait at most wait_ms for other users of the database from now on: the process is stopping. */
void store_limit_wait(struct store *store, int wait_ms);

#endif
