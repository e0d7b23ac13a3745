/* The sorted runs of a lot, on a scratch file; see store/sqlite/inbox_runs.c. */
#ifndef STORE_SQLITE_INBOX_RUNS_INTERNAL_H
#define STORE_SQLITE_INBOX_RUNS_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/sqlite/inbox_rows_internal.h"

#define INBOX_RUNS    16         /* upper bound of the runs of a lot */
#define INBOX_NO_MORE UINT64_MAX /* the device of a head behind the last message */

/* A message of a lot, in memory. */
struct inbox_entry {
    uint32_t device;
    uint32_t n;   /* relative to the lot's first */
    uint32_t row; /* place in the lot's rows; 0: none */
};

/* The next message of a run, or of the entries in memory. */
struct inbox_head {
    uint64_t device; /* INBOX_NO_MORE: no message is left */
    uint32_t n;
    const uint8_t *row; /* NULL: none; lives until the next head of the run is read */
    int64_t base_ms;    /* for inbox_row_read() */
};

/* Offsets are in the file. */
struct inbox_run {
    off_t next; /* of the next message */
    off_t end;  /* of the run */
    int64_t base_ms;
    uint8_t *bytes; /* buffer with the file's bytes... */
    off_t from;     /* ...from here... */
    off_t to;       /* ...to here */
    off_t size;     /* bytes of the next message */
};

struct inbox_runs {
    int fd; /* -1: there is no file */
    int count;
    off_t end; /* of the last run, in the file */
    struct inbox_run runs[INBOX_RUNS];
    uint8_t *buffers;
};

/* Allocate the buffers and touch them; there is no file yet. Returns false when out of memory. */
bool inbox_runs_make(struct inbox_runs *runs);

/* Free the buffers and close the file. A zeroed argument is allowed. */
void inbox_runs_free(struct inbox_runs *runs);

/* Forget all runs and give their space back to the file system. */
void inbox_runs_clear(struct inbox_runs *runs);

/* Write entries, which are sorted, and their rows as one more run. The caller has opened the file,
 * and fewer than INBOX_RUNS runs exist. Returns 0, or an errno with nothing changed. */
int inbox_runs_write(struct inbox_runs *runs, const struct inbox_entry *entries, uint32_t count,
                     const struct inbox_rows *rows);

/* Set *head to the next message of a run. Returns 0, or an errno; EBADMSG when the file does not
 * hold a whole message there. */
int inbox_run_head(struct inbox_runs *runs, int index, struct inbox_head *head);

/* Go on to the message after that of inbox_run_head(). */
void inbox_run_pass(struct inbox_runs *runs, int index);

#endif
