/* What a person and systemd hear while the database is brought to a new schema. Main's thread. */
#ifndef UPGRADE_H
#define UPGRADE_H

#include <stdint.h>

#include "store/store.h"

/* Zero, but for started_ms: monotonic, when the database was opened. */
struct upgrade {
    int64_t started_ms;
    int64_t told_ms;     /* the last STATUS= */
    int64_t logged_ms;   /* the last line of progress */
    unsigned logged_pct; /* how far it was then */
    bool fresh;          /* a new database has nothing to tell */
    bool begun;          /* its beginning is in the log */
    bool finishing;      /* so is its end's beginning */
};

/*
 * A store_progress_function; `context` is a struct upgrade. Lines in the log where it begins and
 * ends and for every tenth, STATUS= every second, and more time asked of systemd than the next
 * silence can last. False as soon as SIGTERM or SIGINT is pending (both are blocked in this
 * process).
 */
bool upgrade_progress(void *context, const struct store_progress *progress);

#endif
