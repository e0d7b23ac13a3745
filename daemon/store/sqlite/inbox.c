/*
 * The inbox: a table in which the messages of a catch-up wait until they are sorted into their own
 * tables.
 *
 * Why. A row is stored beside the other rows of its device, which makes queries about one device
 * fast. The messages of a catch-up arrive in the order of time, so the thousand messages of a batch
 * belong to many devices and change almost as many pages. Each changed page is written twice, to
 * the WAL and by the checkpoint to the database: 8 KiB for a row of 40 bytes, and the disk limits
 * the rate. In a catch-up the messages are therefore appended to one table, `inbox`, in the order
 * of arrival, in the same transaction and with the same promise. When a third of a million of them
 * or more are there (a lot), they are moved to their tables in the order of devices: each page then
 * takes several rows and is written once.
 *
 * How. Two lots exist at a time: one is being filled, and the one before it is being sorted in.
 * Every batch does a part of both in its transaction (inbox_sort_some(), inbox_put()) and stores
 * the position up to which the lot is sorted in. A crash therefore loses no message and sorts none
 * in twice. Messages that are sorted in are deleted from the inbox in equally small steps.
 * store/sqlite/inbox_sizes.c decides how large a lot is and how much is sorted in with a batch.
 *
 * When. A message in the inbox is not counted in `runs` yet and is in none of the tables that
 * analysts query; it gets there some seconds later. The inbox is therefore open in a catch-up only:
 * when messages arrive so fast, and change so many pages, that the disk is busy with them. A lot is
 * sorted in from INBOX_LOT_AGE_MS after its first message at the latest, a large lot from
 * INBOX_LOT_AGE_LARGE_MS. When few messages arrive, or none, the inbox is sorted in completely and
 * closed.
 *
 * Order. Messages of one topic are sorted in in the order of arrival, except that messages which
 * find the filling lot full go to their tables directly. For the sake of this order, messages that
 * arrive after a crash go to the inbox while it holds messages of the earlier run, and a device
 * that becomes known while a lot is being filled counts as unknown for that lot: its later messages
 * would otherwise be sorted in before those that arrived while it was unknown. Messages of group
 * topics are sorted in last. Where a device publishes on its own topic too they are duplicates, and
 * change no page.
 *
 * Parts. A part stays that brings 5 % in rate, CPU or bytes written. Measured without each of them,
 * with 10,000 devices and window 1,000, on two cores and a disk that syncs 4 KiB in 80 to 150 µs;
 * CPU of the daemon and bytes that it wrote, a message. Bench: 10 million messages of the
 * benchmark's broker. Real: a queue of 1 million on mosquitto 2.0.21.
 *
 *                               bench: msg/s  CPU, µs  bytes    real: msg/s  CPU, µs  bytes
 *     all of it (mean of 3)          177,700      7.0  1,150         69,100     12.2  1,160
 *     no inbox (3 million)            60,000     14.4  7,010         59,100     13.6  3,030
 *     no runs on a scratch file      113,400     10.3  2,660         71,300     11.5  1,290
 *     no packed rows                 132,600      9.4  1,150         63,600     13.3  1,160
 *     fixed sizes                    151,200      7.9  1,700         66,200     12.8  1,210
 *     one row a statement            180,100      7.0  1,150         65,900     12.7  1,170
 *
 * The three runs with all of it differ by 10 % (bench) and 6 % (real) in msg/s, by 5 % and 9 % in
 * CPU, by 1 % and 2 % in bytes; of the others there is one run each. The last line is how it is
 * now: "all of it" inserted sixteen readings of a table with one statement, which is 4.7 % of the
 * rate on mosquitto, 4.3 % of CPU, and nothing on the bench.
 *
 * "No runs" has lots of 147,456 messages, as many as memory holds; a million messages are too few
 * to show what larger lots save. "No packed rows" takes 5 of the daemon's 39 MiB less. "Fixed
 * sizes" has lots of 344,064 messages and sorts in 5 for every 4 that arrive. A larger constant was
 * not measured. The sizes stay for two promises too, which no constant keeps: a lot is sorted in
 * within INBOX_SORT_MS, and takes an eighth of the free space at most.
 */
#include "store/sqlite/inbox_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error_text.h"
#include "base/log.h"
#include "base/pulse.h"
#include "store/sqlite/inbox_lot_internal.h"
#include "store/sqlite/inbox_sizes_internal.h"
#include "store/sqlite/inbox_tables_internal.h"
#include "store/sqlite/sqlite_internal.h"

/* Estimate of the bytes that a row of `inbox` takes beside its strings and the payload. */
#define NUMBERS_SIZE 24

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

/* --- lots ---------------------------------------------------------------------------------- */

/* Returns true when the part of a lot that is in memory is large enough for a sorted run. */
static bool memory_is_full(const struct inbox_lot *lot)
{
    return lot->held >= INBOX_HELD_ENOUGH || (lot->rows.full && lot->held >= INBOX_HELD_WORTH);
}

static bool can_spill(const struct inbox *inbox, const struct inbox_lot *lot)
{
    return !inbox->no_scratch && !inbox->scratch_is_bad && lot->runs.count < INBOX_RUNS;
}

/* Writes the part of a lot that is in memory to the scratch file, as a sorted run. If that fails,
 * the lot stays as large as memory allows and the catch-up is slower; the failure is logged once.
 */
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

/* Sizes the filling lot when its first message arrives. */
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

/* Returns true when the filling lot has reached its size, or cannot grow further. */
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

/* The scratch file cannot be read. No message is lost: the table `inbox` has all of them, and the
 * next inbox_load() reads their order from there. */
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

    for (; result == STORE_OK && messages > 0 && lot->done < lot->count; messages--) {
        struct inbox_head head;
        int error = inbox_lot_head(lot, &head);

        if (error != 0) {
            return scratch_failed(inbox, error);
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

/* --- new messages --------------------------------------------------------------------------- */

/* Finds the device of a message if it was known when the filling lot began, else STORE_NO_DEVICE.
 * Only the order in which the lot is sorted in depends on the result. `message` is NULL unless its
 * topic names a device and no group. */
static int find_device(struct inbox *inbox, const struct foxtrackr_topic *topic,
                       const struct foxtrackr_message *message, uint32_t *device)
{
    int result = message != NULL ? store_inbox_device_of_message(inbox->store, message, device)
                                 : store_inbox_device_of_topic(inbox->store, topic, device);

    if (*device > inbox->filling_knows) {
        *device = STORE_NO_DEVICE;
    }
    return result;
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

    /* With slashes or without: which rule holds for it is the parser's matter, now and when the
     * message is sorted into its tables. */
    *taken = inbox_takes(inbox) &&
             (own || foxtrackr_topic_parse_slashes(packet->topic, packet->topic_length, &topic,
                                                   &problem) == 0);
    if (!*taken) {
        return STORE_OK;
    }
    if (inbox->filling.count == 0) {
        result = size_lot(inbox);
    }
    if (result == STORE_OK) {
        result = find_device(inbox, &topic, own ? message : NULL, &device);
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
