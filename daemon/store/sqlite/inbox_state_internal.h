/* The state of an inbox, for the four files that store/sqlite/inbox.c names. Used by the writer's
 * thread only. */
#ifndef STORE_SQLITE_INBOX_STATE_INTERNAL_H
#define STORE_SQLITE_INBOX_STATE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "store/sqlite/inbox_internal.h"
#include "store/sqlite/inbox_lot_internal.h"
#include "store/sqlite/inbox_sizes_internal.h"
#include "store/sqlite/inbox_tables_internal.h"

struct inbox {
    struct store *store;
    bool open;     /* new messages go to the inbox even when it is empty */
    bool draining; /* the inbox closes when everything is sorted in */
    struct inbox_lot filling;
    struct inbox_lot sorting;
    struct inbox_spare spare;
    struct inbox_sizes sizes;
    /* The newest messages of the open batch, which are not in the table yet. */
    struct store_inbox_message coming[STORE_INBOX_TOGETHER];
    int coming_count;
    int64_t filling_since_ms; /* commit of the filling lot's first messages, monotonic; 0: none */
    uint32_t filling_knows;   /* largest device number when the filling lot began; later devices
                                 count as unknown in it */
    uint64_t filling_writes;  /* store_foreign_writes() when the filling lot began */
    uint64_t sorting_writes;  /* the same of the sorting lot */
    uint64_t undeleted;       /* messages sorted in since the last deletion: the next one deletes as
                                 many */
    int64_t deleted;          /* messages up to this n are deleted from the table */
    int64_t deleted_durably;  /* `deleted` as of the last commit */
    int64_t free_bytes;       /* of the file system */

    bool no_scratch;     /* the scratch file cannot be written; until the next lot */
    bool scratch_is_bad; /* the scratch file could not be read; for the rest of the process */
    bool scratch_said;   /* a failure to write it was logged */
    char error[INBOX_ERROR_SIZE];
};

/* --- the scratch file (store/sqlite/inbox_scratch.c) ------------------------------------------ */

/* Returns true when the part of a lot that is in memory is large enough for a sorted run. */
bool inbox_memory_is_full(const struct inbox_lot *lot);

/* Returns true when that part can be written to the scratch file. */
bool inbox_can_spill(const struct inbox *inbox, const struct inbox_lot *lot);

/* Write the part of a lot that is in memory to the scratch file, as a sorted run. If that fails,
 * the lot stays as large as memory allows and the catch-up is slower; the failure is logged once.
 */
void inbox_spill(struct inbox *inbox, struct inbox_lot *lot);

/* Note that the scratch file could not be read, with an errno. Returns INBOX_E_SCRATCH. */
int inbox_scratch_failed(struct inbox *inbox, int error);

#endif
