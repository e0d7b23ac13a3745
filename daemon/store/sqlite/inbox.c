/*
 * Why there is an inbox. A row belongs beside the other rows of its device: that is what makes a
 * question about a device quick. But the messages of a catch-up come in the order of time, so each
 * of a thousand that are committed together changes another page, which is written to the log and
 * again into the database: 8 KiB for 40 bytes, and the disk is what limits. So they go to the end
 * of one table first, as they came, with the same transaction and the same promise; and when a
 * third of a million are there, or more, into their places in the order of devices, when each page
 * takes several rows and is written once.
 *
 * There is no pause for that. Two lots of messages exist at a time: one is filled, and the one
 * before it is being sorted in. Every batch does some of both (inbox_sort_some(), inbox_put()) in
 * its transaction, with the position up to which the lot is done; a crash loses nothing of either
 * and does nothing twice. What is done is deleted from the inbox in the same small steps.
 *
 * How large a lot is, and how much is sorted in with a batch, is in store/sqlite/inbox_sizes.c.
 *
 * A message in the inbox is not counted in `runs`, and in no table that an analyst looks at; some
 * seconds later it is, and that is why only a catch-up does this: when messages come so fast, and
 * change so many pages, that the disk is busy with it. A lot is taken up after INBOX_LOT_AGE_MS, or
 * INBOX_LOT_AGE_LARGE_MS if it is large, at the latest. When nothing comes, or little, what is
 * there is sorted in and the inbox is closed.
 *
 * The order of messages of one topic is kept, unless a lot is full and they have to go past it. So
 * newcomers follow what a crash has left, though nothing is known of a catch-up yet; and a device
 * that becomes known while a lot is filled is none for that lot: later messages would come before
 * those that met it unknown. Of a device that is published on its own topic and on a group's, the
 * group's come last: they are duplicates, and change no page.
 */
#include "store/sqlite/inbox_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error_text.h"
#include "base/log.h"
#include "base/pulse.h"
#include "store/sqlite/inbox_groups_internal.h"
#include "store/sqlite/inbox_lot_internal.h"
#include "store/sqlite/inbox_sizes_internal.h"
#include "store/sqlite/inbox_tables_internal.h"
#include "store/sqlite/sqlite_internal.h"

#define NAME_SIZE 64

/* A message's numbers in the table, which take some bytes. */
#define NUMBERS_SIZE 24

struct inbox {
    struct store *store;
    bool open;     /* newcomers go in, also when it is empty */
    bool draining; /* it closes when everything is sorted in */
    struct inbox_lot filling;
    struct inbox_lot sorting;
    struct inbox_spare spare;
    struct inbox_groups groups;
    struct inbox_sizes sizes;
    struct store_inbox_message coming[STORE_INBOX_TOGETHER]; /* of the open batch, the newest */
    int coming_count;                                        /* which are not in the table yet */
    int64_t filling_since_ms;                                /* 0: nothing is in it */
    uint32_t filling_knows; /* devices up to this one; those that come later have no number in it */
    uint64_t filling_writes; /* the store's foreign_writes when it began, */
    uint64_t sorting_writes; /* and of the other lot */
    uint64_t undeleted;      /* may be deleted since some last were, if there are so many */
    int64_t deleted;         /* n up to which the table has nothing */
    int64_t deleted_durably; /* as of the last commit */
    int64_t free_bytes;      /* on disk */

    bool no_scratch;     /* it could not be written, for this lot... */
    bool scratch_is_bad; /* ...or read */
    bool scratch_said;
    char error[INBOX_ERROR_SIZE];
};

/* --- lots ---------------------------------------------------------------------------------- */

/* What is in memory of a lot is as much as goes to disk at a time. */
static bool memory_is_full(const struct inbox_lot *lot)
{
    return lot->held >= INBOX_HELD_ENOUGH || (lot->rows.full && lot->held >= INBOX_HELD_WORTH);
}

static bool can_spill(const struct inbox *inbox, const struct inbox_lot *lot)
{
    return !inbox->no_scratch && !inbox->scratch_is_bad && lot->runs.count < INBOX_RUNS;
}

/* Where that is impossible the lot is as large as memory, and a catch-up slower. */
static void spill(struct inbox *inbox, struct inbox_lot *lot)
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

/* What has been filled is the next to be sorted in. The database knows it with the position that
 * the open batch leaves; until then this is its waiting lot, in another order. */
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

/* A lot's first message comes. */
static int size_lot(struct inbox *inbox)
{
    int64_t used_bytes = 0;
    int result = store_inbox_newest_device(inbox->store, &inbox->filling_knows);

    inbox->filling_writes = store_foreign_writes(inbox->store);

    if (result == STORE_OK) {
        result = store_used_bytes(inbox->store, &used_bytes);
    }
    inbox_sizes_new_lot(&inbox->sizes, inbox->filling_knows, used_bytes, inbox->sorting.bytes,
                        inbox->free_bytes);
    return result;
}

/* --- sorting in ---------------------------------------------------------------------------- */

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

/* Where it can be no larger, it is large enough. */
static bool is_enough(const struct inbox *inbox)
{
    const struct inbox_lot *lot = &inbox->filling;

    return inbox_sizes_enough(&inbox->sizes, lot) ||
           (memory_is_full(lot) && !can_spill(inbox, lot));
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
    if (memory_is_full(&inbox->filling) && can_spill(inbox, &inbox->filling)) {
        spill(inbox, &inbox->filling);
    }
    return STORE_OK;
}

static int use_head(struct inbox *inbox, const struct inbox_head *head, int64_t n)
{
    int result;

    /* The row has the number that its device had then. Another program may have deleted the device
     * since, and the number be another's: the message itself knows better. */
    if (head->row != NULL && inbox->sorting_writes == store_foreign_writes(inbox->store)) {
        struct store_reading reading = {.device = (uint32_t)head->device};

        inbox_row_read(head->row, head->base_ms, &reading.message, &reading.received_ms);
        return inbox_groups_add(&inbox->groups, n, &reading);
    }
    result = inbox_groups_use(&inbox->groups);
    return result == STORE_OK ? inbox_groups_use_message(&inbox->groups, n) : result;
}

/* Nothing is lost, it is all in the table: what is in no file is found there. */
static int scratch_failed(struct inbox *inbox, int error)
{
    inbox->scratch_is_bad = true;
    snprintf(inbox->error, sizeof(inbox->error),
             "the scratch file of a catch-up cannot be read again: %s; going on without it: check "
             "the disk",
             error_text(error));
    return INBOX_E_SCRATCH;
}

static int sort_in(struct inbox *inbox, uint64_t messages, const struct inbox_sink *sink)
{
    struct inbox_lot *lot = &inbox->sorting;
    struct store_inbox_position position = {.first = lot->first, .last = lot->end - 1};
    int result = STORE_OK;

    inbox_groups_begin(&inbox->groups, inbox->store, sink);
    for (; result == STORE_OK && messages > 0 && lot->done < lot->count; messages--) {
        struct inbox_head head;
        int error = inbox_lot_head(lot, &head);

        if (error != 0) {
            return scratch_failed(inbox, error);
        }
        position.device = (uint32_t)head.device;
        position.n = lot->first + head.n;
        result = use_head(inbox, &head, position.n);
        inbox_lot_pass(lot);
    }
    if (result == STORE_OK) {
        result = inbox_groups_use(&inbox->groups);
    }
    return result == STORE_OK ? store_inbox_set_position(inbox->store, &position) : result;
}

/* Everything is done: an empty table, and new messages under new numbers. */
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

/* Rows of lots that are done leave in the order in which they came, page by page: as many as were
 * sorted in, some pages of them at a time, unless `at_once`. */
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
    /* Where that is all that a batch may have, it does not become more by waiting. */
    return result == STORE_OK ? delete_some(inbox, step, step == most) : result;
}

void inbox_drain(struct inbox *inbox)
{
    inbox->draining = inbox_waiting(inbox) > 0;
    inbox->open = inbox->open && inbox->draining;
}

/* --- newcomers ------------------------------------------------------------------------------ */

/* The device that a message's topic names, if it was known when the lot began: only the order
 * depends on it. */
static int find_device(struct inbox *inbox, const char *family, const char *name, uint32_t *device)
{
    int result = store_inbox_device(inbox->store, family, name, device);

    if (*device > inbox->filling_knows) {
        *device = STORE_NO_DEVICE;
    }
    return result;
}

static int find_by_topic(struct inbox *inbox, const struct foxtrackr_topic *topic, uint32_t *device)
{
    char family[NAME_SIZE];
    char name[NAME_SIZE];

    *device = STORE_NO_DEVICE;
    if (topic->family_length >= sizeof(family) || topic->device_or_group_length >= sizeof(name)) {
        return STORE_OK;
    }
    for (size_t i = 0; i < topic->family_length; i++) {
        family[i] = (char)tolower((unsigned char)topic->family[i]);
    }
    family[topic->family_length] = '\0';
    memcpy(name, topic->device_or_group, topic->device_or_group_length);
    name[topic->device_or_group_length] = '\0';
    return find_device(inbox, family, name, device);
}

/* The same for a message that has been parsed, and whose topic is its own. */
static int find_by_message(struct inbox *inbox, const struct foxtrackr_message *message,
                           uint32_t *device)
{
    *device = STORE_NO_DEVICE;
    return strlen(message->family) >= NAME_SIZE || strlen(message->device_id) >= NAME_SIZE
               ? STORE_OK
               : find_device(inbox, message->family, message->device_id, device);
}

int inbox_finish(struct inbox *inbox)
{
    int count = inbox->coming_count;

    inbox->coming_count = 0;
    return store_inbox_put(inbox->store, inbox->coming, count);
}

static int put(struct inbox *inbox, const char *client_id, const struct store_packet *packet,
               const struct foxtrackr_message *message, uint32_t device)
{
    struct inbox_lot *lot = &inbox->filling;
    uint32_t row = 0;

    inbox->coming[inbox->coming_count++] = (struct store_inbox_message){
        .n = lot->end, .device = device, .client_id = client_id, .packet = *packet};
    if (message != NULL && device != STORE_NO_DEVICE) {
        row = inbox_rows_add(&lot->rows, message, packet->received_ms);
    }
    inbox_lot_add(lot, lot->end, device, row,
                  NUMBERS_SIZE + strlen(client_id) + packet->topic_length + packet->payload_length);
    return inbox->coming_count == STORE_INBOX_TOGETHER ? inbox_finish(inbox) : STORE_OK;
}

bool inbox_takes(const struct inbox *inbox)
{
    return (inbox->open || inbox_waiting(inbox) > 0) &&
           inbox->filling.held < inbox->filling.capacity;
}

int inbox_put(struct inbox *inbox, const char *client_id, const struct store_packet *packet,
              const struct foxtrackr_message *message, bool *taken)
{
    struct foxtrackr_topic topic;
    struct foxtrackr_problem problem;
    bool own = message != NULL && message->group == NULL;
    uint32_t device;
    int result = STORE_OK;

    *taken =
        inbox_takes(inbox) &&
        (own || foxtrackr_topic_parse(packet->topic, packet->topic_length, &topic, &problem) == 0);
    if (!*taken) {
        return STORE_OK;
    }
    if (inbox->filling.count == 0) {
        result = size_lot(inbox);
    }
    if (result == STORE_OK) {
        result =
            own ? find_by_message(inbox, message, &device) : find_by_topic(inbox, &topic, &device);
    }
    return result == STORE_OK ? put(inbox, client_id, packet, message, device) : result;
}

/* --- batches -------------------------------------------------------------------------------- */

void inbox_committed(struct inbox *inbox, uint64_t messages, int64_t now_ms)
{
    if (inbox->coming_count > 0) {
        log_line(LOG_CRIT, "inbox: messages were left out of a commit that they are acknowledged "
                           "for: ending, before they are; this is a bug");
        abort();
    }
    if (!inbox->open) {
        inbox->open =
            inbox_sizes_pay(&inbox->sizes, messages, store_commit_pages(inbox->store), now_ms);
    }
    if (inbox->filling.count > 0 && inbox->filling_since_ms == 0) {
        inbox->filling_since_ms = now_ms;
    }
    inbox->sizes.arrived = messages;
    inbox_lot_mark(&inbox->filling);
    inbox_lot_mark(&inbox->sorting);
    inbox->deleted_durably = inbox->deleted;
}

void inbox_rolled_back(struct inbox *inbox)
{
    inbox->coming_count = 0;
    inbox_lot_restore(&inbox->filling);
    inbox_lot_restore(&inbox->sorting);
    inbox->deleted = inbox->deleted_durably;
}

/* --- the disk ------------------------------------------------------------------------------- */

void inbox_note_space(struct inbox *inbox, int64_t free_bytes)
{
    inbox->free_bytes = free_bytes;
    if (free_bytes < INBOX_ROOM) {
        inbox_drain(inbox);
    }
}

const char *inbox_error(const struct inbox *inbox)
{
    return inbox->error;
}

/* --- the contract --------------------------------------------------------------------------- */

static void free_lots(struct inbox *inbox)
{
    inbox_lot_free(&inbox->filling);
    inbox_lot_free(&inbox->sorting);
    inbox_spare_free(&inbox->spare);
}

/* In memory that is there from now on, not when a catch-up needs it. */
static bool make_lots(struct inbox *inbox)
{
    return inbox_lot_make(&inbox->filling, INBOX_HELD_MOST, INBOX_HELD_ROWS) &&
           inbox_lot_make(&inbox->sorting, INBOX_HELD_MOST, INBOX_HELD_ROWS) &&
           inbox_spare_make(&inbox->spare, INBOX_HELD_MOST);
}

/* Without a file there has to be memory for it. */
static int add_loaded(struct inbox *inbox, struct inbox_lot *lot, int64_t n, uint32_t device)
{
    if (memory_is_full(lot) && can_spill(inbox, lot)) {
        spill(inbox, lot);
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

/* Fill empty lots with what is in the table. */
static int load_lots(struct inbox *inbox, const struct store_inbox_position *position)
{
    struct loading loading = {.inbox = inbox, .position = *position};
    int result;

    inbox_lot_clear(&inbox->sorting, position->first);
    inbox_lot_clear(&inbox->filling, position->last + 1);
    inbox->filling_knows = 0; /* what was known when it began is forgotten */
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
