/* Sorted runs of the inbox's messages on a scratch file; see store/sqlite/inbox_runs.c. */
#ifndef STORE_SQLITE_INBOX_RUNS_INTERNAL_H
#define STORE_SQLITE_INBOX_RUNS_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/sqlite/inbox_rows_internal.h"

#define INBOX_RUNS    16 /* of a file at most */
#define INBOX_NO_MORE UINT64_MAX

/* A message that waits, in memory. */
struct inbox_entry {
    uint32_t device;
    uint32_t n;   /* from the lot's first on */
    uint32_t row; /* place in the rows; 0: it has none there */
};

/* The next message of a run. */
struct inbox_head {
    uint64_t device; /* INBOX_NO_MORE: there is none */
    uint32_t n;
    const uint8_t *row; /* NULL: none; it lives until the next message is asked for */
    int64_t base_ms;    /* of its row */
};

struct inbox_run {
    off_t next; /* where its next message is, */
    off_t end;  /* and where there is none */
    int64_t base_ms;
    uint8_t *bytes; /* of the file, */
    off_t from;     /* from here */
    off_t to;       /* to here */
    off_t size;     /* of the next message */
};

struct inbox_runs {
    int fd; /* -1: there is no file */
    int count;
    off_t end; /* of the last one */
    struct inbox_run runs[INBOX_RUNS];
    uint8_t *buffers;
};

/* Take the memory, and touch it. False when there is none. There is no file yet. */
bool inbox_runs_make(struct inbox_runs *runs);

/* Also for what inbox_runs_make() has not made, if it is all zero. Closes the file. */
void inbox_runs_free(struct inbox_runs *runs);

/* Forget all runs, and give back what they took of the disk. */
void inbox_runs_clear(struct inbox_runs *runs);

/* Write entries, which are in order, and their rows as another run: there is a file, and fewer than
 * INBOX_RUNS. 0, or an errno, and nothing has changed. */
int inbox_runs_write(struct inbox_runs *runs, const struct inbox_entry *entries, uint32_t count,
                     const struct inbox_rows *rows);

/* The next message of a run. 0, or an errno; EBADMSG: that is no message. */
int inbox_run_head(struct inbox_runs *runs, int index, struct inbox_head *head);

/* The next message is the one after that. */
void inbox_run_pass(struct inbox_runs *runs, int index);

#endif
