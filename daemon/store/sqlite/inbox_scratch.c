/*
 * When a lot is written to the scratch file, and how a failure of that file is dealt with.
 *
 * The scratch file holds nothing but the order of messages that are in the table `inbox`, and their
 * parsed rows. So no failure of it loses a message: one that cannot be written makes the catch-up
 * slower, and after one that cannot be read inbox_load() reads the order from the table.
 */
#include "store/sqlite/inbox_state_internal.h"

#include <errno.h>
#include <stdio.h>

#include "base/error_text.h"
#include "base/log.h"

bool inbox_memory_is_full(const struct inbox_lot *lot)
{
    return lot->held >= INBOX_HELD_ENOUGH || (lot->rows.full && lot->held >= INBOX_HELD_WORTH);
}

bool inbox_can_spill(const struct inbox *inbox, const struct inbox_lot *lot)
{
    return !inbox->no_scratch && !inbox->scratch_is_bad && lot->runs.count < INBOX_RUNS;
}

void inbox_spill(struct inbox *inbox, struct inbox_lot *lot)
{
    int error = 0;

    if (lot->runs.fd < 0) {
        lot->runs.fd = store_inbox_scratch(inbox->store);
        error = lot->runs.fd < 0 ? errno : 0;
    }
    if (error == 0) {
        error = inbox_lot_spill(lot, &inbox->spare);
    }
    if (error != 0) {
        inbox->no_scratch = true;
        if (!inbox->scratch_said) {
            log_notice("database: a scratch file in its directory cannot be written: %s; this "
                       "catch-up goes on without it, more slowly",
                       error_text(error));
        }
        inbox->scratch_said = true;
    }
}

int inbox_scratch_failed(struct inbox *inbox, int error)
{
    inbox->scratch_is_bad = true;
    snprintf(inbox->error, sizeof(inbox->error),
             "the scratch file of a catch-up cannot be read again: %s; going on without it: check "
             "the disk",
             error_text(error));
    return INBOX_E_SCRATCH;
}

const char *inbox_error(const struct inbox *inbox)
{
    return inbox->error;
}
