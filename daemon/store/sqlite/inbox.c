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
 * Files. This file takes messages, opens the inbox and follows commits; store/sqlite/inbox_sort.c
 * sorts in; inbox_scratch.c writes large lots to a scratch file; inbox_load.c begins with what an
 * earlier run has left. They share the state of inbox_state_internal.h.
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
 * The larger the tables, the more the inbox brings. Of a queue of 10 million on mosquitto, one run
 * each: all of it 63,400 msg/s, 13.0 µs, 1,880 bytes; no runs 43,700, 18.1, 7,180; no inbox 31,000,
 * 24.6, 12,000. On another day: all of it 73,200 msg/s, 11.5 µs, 1,900 bytes; no packed rows
 * 64,700, 13.3, 1,770; fixed sizes 67,600, 12.5, 2,770.
 *
 * "No runs" has lots of 147,456 messages, as many as memory holds; a million messages are too few
 * to show what larger lots save. "No packed rows" takes 5 of the daemon's 39 MiB less. "Fixed
 * sizes" has lots of 344,064 messages and sorts in 5 for every 4 that arrive. A larger constant was
 * not measured. The sizes stay for two promises too, which no constant keeps: a lot is sorted in
 * within INBOX_SORT_MS, and takes an eighth of the free space at most.
 */
#include "store/sqlite/inbox_state_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/sqlite/sqlite_internal.h"

/* Estimate of the bytes that a row of `inbox` takes beside its strings and the payload. */
#define NUMBERS_SIZE 24

/* --- new messages --------------------------------------------------------------------------- */

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
    const char *known_id = client_id != NULL ? client_id : ""; /* the column is NOT NULL */
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
    return result == STORE_OK ? put(inbox, known_id, packet, message, device) : result;
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
