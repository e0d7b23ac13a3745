/*
 * Makes an inbox, and fills its lots with the messages that the table `inbox` holds: those of an
 * earlier run, or all of them after the scratch file could not be read.
 *
 * The table says of each message its number and its device, and the position says which of them
 * are sorted in. Parsed rows are not in the table: the messages are parsed again.
 */
#include "store/sqlite/inbox_state_internal.h"

#include <stdlib.h>

#include "base/pulse.h"

static void free_lots(struct inbox *inbox)
{
    inbox_lot_free(&inbox->filling);
    inbox_lot_free(&inbox->sorting);
    inbox_spare_free(&inbox->spare);
}

/* Allocates and touches the memory of both lots now, so that a catch-up needs no more. */
static bool make_lots(struct inbox *inbox)
{
    return inbox_lot_make(&inbox->filling, INBOX_HELD_MOST, INBOX_HELD_ROWS) &&
           inbox_lot_make(&inbox->sorting, INBOX_HELD_MOST, INBOX_HELD_ROWS) &&
           inbox_spare_make(&inbox->spare, INBOX_HELD_MOST);
}

/* Adds a message that was found in the table. Without a usable scratch file the lot grows in
 * memory. */
static int add_loaded(struct inbox *inbox, struct inbox_lot *lot, int64_t n, uint32_t device)
{
    if (inbox_memory_is_full(lot) && inbox_can_spill(inbox, lot)) {
        inbox_spill(inbox, lot);
    }
    if (lot->held == lot->capacity && !inbox_lot_grow(lot)) {
        return INBOX_E_MEMORY;
    }
    inbox_lot_add(lot, n, device, 0, 0);
    return STORE_OK;
}

struct loading {
    struct inbox *inbox;
    struct store_inbox_position position;
};

static int load_one(void *context, int64_t n, uint32_t device)
{
    struct loading *loading = context;
    struct inbox *inbox = loading->inbox;
    const struct store_inbox_position *position = &loading->position;
    bool in_turn = n >= position->first && n <= position->last;
    bool done = n < position->first ||
                (in_turn &&
                 (device < position->device || (device == position->device && n <= position->n)));

    pulse_beat();
    if (inbox->deleted < 0) {
        inbox->deleted = n - 1;
    }
    return done ? STORE_OK
                : add_loaded(inbox, in_turn ? &inbox->sorting : &inbox->filling, n, device);
}

/* Fills the empty lots with the messages of the table: those of the position's lot that are not
 * sorted in yet, and those after it. */
static int load_lots(struct inbox *inbox, const struct store_inbox_position *position)
{
    struct loading loading = {.inbox = inbox, .position = *position};
    int result;

    inbox_lot_clear(&inbox->sorting, position->first);
    inbox_lot_clear(&inbox->filling, position->last + 1);
    inbox->filling_knows = 0; /* not on record: every device counts as unknown in this lot */
    inbox_sizes_begin(&inbox->sizes);
    inbox->deleted = -1;
    inbox->undeleted = 0;
    result = store_inbox_read(inbox->store, load_one, &loading);
    inbox->sorting.end = position->last + 1;
    if (inbox->deleted < 0) {
        inbox->deleted = inbox->filling.end - 1;
    }
    if (result == STORE_OK && inbox_lot_begin(&inbox->sorting, &inbox->spare) != 0) {
        result = INBOX_E_MEMORY;
    }
    if (result == STORE_OK) {
        inbox_committed(inbox, 0, 0);
    }
    return result;
}

int inbox_load(struct inbox *inbox)
{
    struct store_inbox_position position = {0};
    int result = store_inbox_position(inbox->store, &position);

    if (result != STORE_OK) {
        return result;
    }
    free_lots(inbox);
    inbox->no_scratch = false;
    return make_lots(inbox) ? load_lots(inbox, &position) : INBOX_E_MEMORY;
}

struct inbox *inbox_new(struct store *store)
{
    struct inbox *inbox = calloc(1, sizeof(*inbox));

    if (inbox != NULL) {
        inbox->store = store;
        inbox->free_bytes = INT64_MAX;
        inbox_sizes_begin(&inbox->sizes);
    }
    return inbox;
}

void inbox_free(struct inbox *inbox)
{
    if (inbox != NULL) {
        free_lots(inbox);
        free(inbox);
    }
}
