/* Reports the progress of a migration to the log and to systemd. Main's thread. */
#ifndef UPGRADE_H
#define UPGRADE_H

#include <stdint.h>

#include "store/start.h"

/* Zero, but for started_ms: monotonic, when the database was opened. */
struct upgrade {
    int64_t started_ms;
    int64_t told_ms;     /* the last STATUS= */
    int64_t logged_ms;   /* the last line of progress */
    unsigned logged_pct; /* the progress in that line */
    bool fresh;          /* a new database: nothing is reported */
    bool begun;          /* its beginning was logged */
    bool finishing;      /* the beginning of its last, silent part was logged */
};

/*
 * For store_options.progress; `context` is a struct upgrade. Logs the beginning, the end and every
 * tenth, sends STATUS= every second, and asks systemd for more time than the next silent part can
 * take. Returns false when SIGTERM or SIGINT is pending (both are blocked in this process).
 */
bool upgrade_progress(void *context, const struct store_progress *progress);

#endif
