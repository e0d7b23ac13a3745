/*
 * A lot: the messages that the inbox sorts in together, in the order of (device, n).
 *
 * A lot grows in memory. When that is full, its content is written to the scratch file as a sorted
 * run (store/sqlite/inbox_runs.c), and the memory is filled again. Each run, and the memory, is
 * sorted by device and then by n, and all numbers n of a run are lower than those of the next run.
 * The next message of the lot is therefore the head with the lowest device and, of equal devices,
 * the head of the earliest run.
 */
#include "store/sqlite/inbox_lot_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct inbox_entry *make_entries(uint32_t count)
{
    struct inbox_entry *entries = calloc(count, sizeof(*entries));

    if (entries != NULL) {
        memset(entries, 0xff, count * sizeof(*entries));
    }
    return entries;
}

bool inbox_spare_make(struct inbox_spare *spare, uint32_t messages)
{
    spare->entries = make_entries(messages);
    spare->capacity = spare->entries != NULL ? messages : 0;
    return spare->entries != NULL;
}

void inbox_spare_free(struct inbox_spare *spare)
{
    free(spare->entries);
    *spare = (struct inbox_spare){0};
}

bool inbox_lot_make(struct inbox_lot *lot, uint32_t messages, uint32_t rows)
{
    *lot = (struct inbox_lot){.entries = make_entries(messages)};
    if (lot->entries == NULL || !inbox_rows_make(&lot->rows, rows) ||
        !inbox_runs_make(&lot->runs)) {
        return false;
    }
    lot->capacity = messages;
    inbox_lot_mark(lot);
    return true;
}

void inbox_lot_free(struct inbox_lot *lot)
{
    free(lot->entries);
    inbox_rows_free(&lot->rows);
    inbox_runs_free(&lot->runs);
    *lot = (struct inbox_lot){0};
}

static void clear_memory(struct inbox_lot *lot)
{
    lot->held = 0;
    inbox_rows_clear(&lot->rows);
}

void inbox_lot_clear(struct inbox_lot *lot, int64_t first)
{
    clear_memory(lot);
    inbox_runs_clear(&lot->runs);
    lot->first = lot->end = first;
    lot->count = lot->done = lot->next = 0;
    lot->bytes = 0;
    inbox_lot_mark(lot);
}

void inbox_lot_add(struct inbox_lot *lot, int64_t n, uint32_t device, uint32_t row, size_t bytes)
{
    lot->entries[lot->held++] =
        (struct inbox_entry){.device = device, .n = (uint32_t)(n - lot->first), .row = row};
    lot->end = n + 1;
    lot->count++;
    lot->bytes += bytes;
}

bool inbox_lot_grow(struct inbox_lot *lot)
{
    uint32_t capacity = 2 * lot->capacity;
    struct inbox_entry *entries = reallocarray(lot->entries, capacity, sizeof(*entries));

    if (entries == NULL) {
        return false;
    }
    lot->entries = entries;
    lot->capacity = capacity;
    return true;
}

/*
 * Sorts by device with a stable radix sort, eight bits a pass. The entries are in the order of n
 * already, so those of one device stay in it. `spare` has room for as many entries.
 */
static void sort_entries(struct inbox_entry *entries, struct inbox_entry *spare, uint32_t count)
{
    for (unsigned shift = 0; shift < 32; shift += 8) {
        struct inbox_entry *from = shift % 16 == 0 ? entries : spare;
        struct inbox_entry *to = from == entries ? spare : entries;
        uint32_t place[257] = {0};

        for (uint32_t i = 0; i < count; i++) {
            place[(from[i].device >> shift & 0xff) + 1]++;
        }
        for (int byte = 0; byte < 255; byte++) {
            place[byte + 1] += place[byte];
        }
        for (uint32_t i = 0; i < count; i++) {
            to[place[from[i].device >> shift & 0xff]++] = from[i];
        }
    }
}

/* Sorts the part of a lot that is in memory; after inbox_lot_grow() the spare has to grow too. */
static int sort(struct inbox_lot *lot, struct inbox_spare *spare)
{
    if (spare->capacity < lot->held) {
        inbox_spare_free(spare);
        if (!inbox_spare_make(spare, lot->capacity)) {
            return ENOMEM;
        }
    }
    sort_entries(lot->entries, spare->entries, lot->held);
    return 0;
}

int inbox_lot_spill(struct inbox_lot *lot, struct inbox_spare *spare)
{
    int error = sort(lot, spare);

    if (error == 0) {
        error = inbox_runs_write(&lot->runs, lot->entries, lot->held, &lot->rows);
    }
    if (error == 0) {
        clear_memory(lot);
        inbox_lot_mark(lot);
    }
    return error;
}

int inbox_lot_begin(struct inbox_lot *lot, struct inbox_spare *spare)
{
    int error = sort(lot, spare);

    if (error == 0) {
        lot->all_unread = true;
        inbox_lot_mark(lot);
    }
    return error;
}

/* --- merging --------------------------------------------------------------------------------- */

static int read_head(struct inbox_lot *lot, int source)
{
    struct inbox_head *head = &lot->heads[source];
    const struct inbox_entry *entry = &lot->entries[lot->next];

    if (source < lot->runs.count) {
        return inbox_run_head(&lot->runs, source, head);
    }
    if (lot->next == lot->held) {
        *head = (struct inbox_head){.device = INBOX_NO_MORE};
        return 0;
    }
    head->device = entry->device;
    head->n = entry->n;
    head->row = entry->row != 0 ? lot->rows.bytes + entry->row : NULL;
    head->base_ms = lot->rows.base_ms;
    return 0;
}

static void find_lowest(struct inbox_lot *lot)
{
    lot->lowest = 0;
    for (int source = 1; source <= lot->runs.count; source++) {
        if (lot->heads[source].device < lot->heads[lot->lowest].device) {
            lot->lowest = source;
        }
    }
}

static int read_all_heads(struct inbox_lot *lot)
{
    int error = 0;

    for (int source = 0; source <= lot->runs.count && error == 0; source++) {
        error = read_head(lot, source);
    }
    if (error == 0) {
        lot->all_unread = lot->lowest_unread = false;
        find_lowest(lot);
    }
    return error;
}

/* Reads the next head of the source that had the lowest. While its device stays the same, no
 * earlier run has a message of that device, so the source stays the lowest. */
static int read_lowest_head(struct inbox_lot *lot)
{
    uint64_t device = lot->heads[lot->lowest].device;
    int error = read_head(lot, lot->lowest);

    if (error == 0) {
        lot->lowest_unread = false;
        if (lot->heads[lot->lowest].device != device) {
            find_lowest(lot);
        }
    }
    return error;
}

int inbox_lot_head(struct inbox_lot *lot, struct inbox_head *head)
{
    int error = lot->all_unread      ? read_all_heads(lot)
                : lot->lowest_unread ? read_lowest_head(lot)
                                     : 0;

    if (error == 0 && lot->heads[lot->lowest].device == INBOX_NO_MORE) {
        error = EBADMSG;
    }
    *head = lot->heads[lot->lowest];
    return error;
}

void inbox_lot_pass(struct inbox_lot *lot)
{
    if (lot->lowest < lot->runs.count) {
        inbox_run_pass(&lot->runs, lot->lowest);
    } else {
        lot->next++;
    }
    lot->lowest_unread = true;
    lot->done++;
}

/* --- batches --------------------------------------------------------------------------------- */

void inbox_lot_mark(struct inbox_lot *lot)
{
    lot->marked.held = lot->held;
    lot->marked.rows = lot->rows.used;
    lot->marked.bytes = lot->bytes;
    lot->marked.done = lot->done;
    lot->marked.next = lot->next;
    for (int i = 0; i < lot->runs.count; i++) {
        lot->marked.runs[i] = lot->runs.runs[i].next;
    }
}

void inbox_lot_restore(struct inbox_lot *lot)
{
    uint32_t added = lot->held - lot->marked.held;

    lot->count -= added;
    lot->end -= added;
    lot->held = lot->marked.held;
    lot->rows.used = lot->marked.rows;
    lot->bytes = lot->marked.bytes;
    lot->done = lot->marked.done;
    lot->next = lot->marked.next;
    for (int i = 0; i < lot->runs.count; i++) {
        lot->runs.runs[i].next = lot->marked.runs[i];
    }
    lot->all_unread = true;
}
