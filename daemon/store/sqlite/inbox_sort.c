/*
 * Sorting in: moves messages from the table `inbox` to their own tables, in the order of devices.
 *
 * Each batch does one step, in its transaction: it sorts in some messages of the sorting lot, and
 * stores the position up to which the lot is sorted in. So a crash leaves no message out and sorts
 * none in twice. When the sorting lot is done, and the filling lot is large or old enough, the two
 * change places. Sorted messages of earlier lots are deleted in steps of about the same size. The
 * table is emptied as a whole when nothing is left to sort in.
 */
#include "store/sqlite/inbox_state_internal.h"

#include "store/sqlite/sqlite_internal.h"

/* --- lots ----------------------------------------------------------------------------------- */

/* Makes the filled lot the one that is sorted in, and begins to fill the other one, which is done.
 * The open batch stores this in the database with its position; if the batch is rolled back the
 * same lot is sorted in by the next one. */
static int begin_lot(struct inbox *inbox)
{
    struct inbox_lot done;

    if (inbox_lot_begin(&inbox->filling, &inbox->spare) != 0) {
        return INBOX_E_MEMORY;
    }
    done = inbox->sorting;
    inbox->sorting = inbox->filling;
    inbox->sorting_writes = inbox->filling_writes;
    inbox->filling = done;
    inbox_lot_clear(&inbox->filling, inbox->sorting.end);
    inbox->filling_since_ms = 0;
    inbox_sizes_next_lot(&inbox->sizes);
    inbox->no_scratch = false;
    return STORE_OK;
}

/* Returns true when the filling lot has reached its size, or cannot grow further. */
static bool is_enough(const struct inbox *inbox)
{
    const struct inbox_lot *lot = &inbox->filling;

    return inbox_sizes_enough(&inbox->sizes, lot) ||
           (inbox_memory_is_full(lot) && !inbox_can_spill(inbox, lot));
}

static bool is_old(const struct inbox *inbox, int64_t now_ms)
{
    return inbox->filling_since_ms != 0 &&
           inbox_sizes_old(&inbox->filling, now_ms - inbox->filling_since_ms);
}

static int take_next_lot(struct inbox *inbox, int64_t now_ms)
{
    if (inbox->sorting.done == inbox->sorting.count && inbox->filling.count > 0) {
        bool old = is_old(inbox, now_ms);

        if (old && inbox->filling.count < INBOX_LOT_SMALL) {
            inbox->draining = true;
        }
        if (old || is_enough(inbox) || inbox_is_draining(inbox)) {
            return begin_lot(inbox);
        }
    }
    if (inbox_memory_is_full(&inbox->filling) && inbox_can_spill(inbox, &inbox->filling)) {
        inbox_spill(inbox, &inbox->filling);
    }
    return STORE_OK;
}

/* --- steps ---------------------------------------------------------------------------------- */

static int use_head(struct inbox *inbox, const struct inbox_head *head, int64_t n,
                    const struct inbox_sink *sink)
{
    bool done = false;
    int result = STORE_OK;

    /* The row in memory holds the device number of the time when the message arrived. Once another
     * program has written to the database, that number may belong to another device: the message
     * is then read from the table and parsed again. */
    if (head->row != NULL && inbox->sorting_writes == store_foreign_writes(inbox->store)) {
        struct store_reading reading = {.device = (uint32_t)head->device};

        inbox_row_read(head->row, head->base_ms, &reading.message, &reading.received_ms);
        result = sink->reading(sink->context, &reading, &done);
    }
    return result == STORE_OK && !done ? store_inbox_use(inbox->store, n, sink->use, sink->context)
                                       : result;
}

static int sort_in(struct inbox *inbox, uint64_t messages, const struct inbox_sink *sink)
{
    struct inbox_lot *lot = &inbox->sorting;
    struct store_inbox_position position = {.first = lot->first, .last = lot->end - 1};
    int result = STORE_OK;

    for (; result == STORE_OK && messages > 0 && lot->done < lot->count; messages--) {
        struct inbox_head head;
        int error = inbox_lot_head(lot, &head);

        if (error != 0) {
            return inbox_scratch_failed(inbox, error);
        }
        position.device = (uint32_t)head.device;
        position.n = lot->first + head.n;
        result = use_head(inbox, &head, position.n, sink);
        inbox_lot_pass(lot);
    }
    return result == STORE_OK ? store_inbox_set_position(inbox->store, &position) : result;
}

/* Empties the table when everything is sorted in. New messages get higher numbers. */
static int clear(struct inbox *inbox)
{
    const struct store_inbox_position position = {.first = inbox->filling.end,
                                                  .last = inbox->filling.end - 1};
    int result = store_inbox_clear(inbox->store);

    inbox->undeleted = 0;
    if (result == STORE_OK) {
        result = store_inbox_set_position(inbox->store, &position);
    }
    inbox->deleted = inbox->filling.end - 1;
    return result;
}

/* Deletes messages of earlier lots, all of which are sorted in, in the order of arrival: as many as
 * were sorted in since the last deletion, once they are INBOX_STEP_WORTH or `at_once` is true. Many
 * together fill whole pages. */
static int delete_some(struct inbox *inbox, uint64_t messages, bool at_once)
{
    int64_t upto;

    inbox->undeleted += messages;
    if (inbox->undeleted < INBOX_STEP_WORTH && !at_once) {
        return STORE_OK;
    }
    upto = inbox->deleted + (int64_t)inbox->undeleted;
    upto = upto < inbox->sorting.first - 1 ? upto : inbox->sorting.first - 1;
    inbox->undeleted = 0;
    if (upto <= inbox->deleted) {
        return STORE_OK;
    }
    inbox->deleted = upto;
    return store_inbox_delete(inbox->store, upto);
}

/* --- the contract --------------------------------------------------------------------------- */

uint64_t inbox_waiting(const struct inbox *inbox)
{
    return (uint64_t)inbox->filling.count + inbox->sorting.count - inbox->sorting.done;
}

bool inbox_is_busy(const struct inbox *inbox)
{
    return inbox->deleted + 1 < inbox->filling.end;
}

bool inbox_is_draining(const struct inbox *inbox)
{
    return inbox->draining || !inbox->open;
}

int inbox_sort_some(struct inbox *inbox, bool idle, uint64_t most, int64_t now_ms,
                    const struct inbox_sink *sink)
{
    uint64_t step;
    int result;

    if (!inbox_is_busy(inbox)) {
        return STORE_OK;
    }
    result = take_next_lot(inbox, now_ms);
    step = inbox_sizes_step(&inbox->sizes, &inbox->sorting, inbox_is_draining(inbox), idle, most,
                            now_ms);
    if (result != STORE_OK || step == 0) {
        return result;
    }
    if (inbox->sorting.done < inbox->sorting.count) {
        result = sort_in(inbox, step, sink);
    }
    if (result == STORE_OK && inbox_waiting(inbox) == 0) {
        inbox->open = inbox->open && !inbox->draining;
        inbox->draining = false;
        return clear(inbox);
    }
    /* A step that `most` has limited is not followed by a larger one: delete at once. */
    return result == STORE_OK ? delete_some(inbox, step, step == most) : result;
}

void inbox_drain(struct inbox *inbox)
{
    inbox->draining = inbox_waiting(inbox) > 0;
    inbox->open = inbox->open && inbox->draining;
}
