/*
 * Why there is an inbox. A row belongs beside the other rows of its device: that is what makes a
 * question about a device quick. But the messages of a catch-up come in the order of time, so each
 * of a thousand that are committed together changes another page, which is written to the log and
 * again into the database: 8 KiB for 40 bytes, and the disk is what limits. So they go to the end
 * of one table first, as they came, with the same transaction and the same promise; and when a
 * third of a million are there, into their places in the order of devices, when each page takes
 * several rows and is written once.
 *
 * There is no pause for that. Two lots of messages exist at a time: one is filled, and the one
 * before it is being sorted in. Every batch does some of both (inbox_sort_some(), inbox_put()) in
 * its transaction, with the position up to which the lot is done; a crash loses nothing of either
 * and does nothing twice. What is done is deleted from the inbox in the same small steps.
 *
 * A message in the inbox is not counted in `runs`, and in no table that an analyst looks at; some
 * seconds later it is, and that is why only a catch-up does this: when messages come so fast, and
 * change so many pages, that the disk is busy with it. A lot is taken up after INBOX_LOT_AGE_MS at
 * the latest. When nothing comes, or little, what is there is sorted in and the inbox is closed.
 *
 * The order of messages of one topic is kept, unless a lot is full and they have to go past it. So
 * newcomers follow what a crash has left, though nothing is known of a catch-up yet; and a device
 * that becomes known while a lot is filled is none for that lot: later messages would come before
 * those that met it unknown. Of a device that is published on its own topic and on a group's, the
 * group's come last: they are duplicates, and change no page.
 */
#include "inbox.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "inbox_groups.h"
#include "inbox_rows.h"
#include "store_inbox.h"

#define STEP_LEAST 1 /* beyond a quarter more than came */
#define STEP_DRAIN 4000
#define NAME_SIZE  64

/* A message, in the order in which it is sorted in. */
struct entry {
    uint32_t device;
    uint32_t n;   /* from the lot's first on */
    uint32_t row; /* place in the lot's rows; 0: it has none there */
};

struct lot {
    struct entry *entries;
    struct inbox_rows rows;
    uint32_t capacity;
    uint32_t count;
    uint32_t done; /* of them sorted in */
    int64_t first; /* n of its first message... */
    int64_t end;   /* ...and of the first one that is not in it */
};

struct inbox {
    struct store *store;
    bool open;     /* newcomers go in, also when it is empty */
    bool draining; /* it closes when everything is sorted in */
    struct lot filling;
    struct lot sorting;
    int64_t filling_since_ms; /* 0: nothing is in it */
    uint32_t filling_knows; /* devices up to this one; those that come later have no number in it */
    int64_t deleted;        /* n up to which the table has nothing */
    uint64_t arrived;       /* with the last batch */

    /* As of the last commit. */
    uint32_t filled;
    uint32_t filled_rows;
    uint32_t sorted;
    int64_t deleted_durably;

    /* For opening. */
    int64_t counted_since_ms;
    uint64_t counted_messages;
    uint64_t counted_pages;
};

/* --- lots ---------------------------------------------------------------------------------- */

/* There is room for it. */
static void add_entry(struct lot *lot, int64_t n, uint32_t device, uint32_t row)
{
    lot->entries[lot->count++] =
        (struct entry){.device = device, .n = (uint32_t)(n - lot->first), .row = row};
    lot->end = n + 1;
}

/*
 * By device, and by n where that is the same: they are in the order of n already, and each pass,
 * over eight bits of the device, leaves equal ones as they were. `spare` has room for as many.
 */
static void sort_entries(struct entry *entries, struct entry *spare, uint32_t count)
{
    for (unsigned shift = 0; shift < 32; shift += 8) {
        struct entry *from = shift % 16 == 0 ? entries : spare;
        struct entry *to = from == entries ? spare : entries;
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

/* What has been filled is the next to be sorted in. The database knows it with the position that
 * the open batch leaves; until then this is its waiting lot, in another order. */
static void begin_lot(struct inbox *inbox)
{
    struct lot done = inbox->sorting;

    inbox->sorting = inbox->filling;
    inbox->filling = done;
    inbox->filling.count = 0;
    inbox->filling.done = 0;
    inbox_rows_clear(&inbox->filling.rows);
    inbox->filling.first = inbox->filling.end = inbox->sorting.end;
    inbox->filling_since_ms = 0;
    inbox->filled = 0;
    inbox->filled_rows = inbox->filling.rows.used;
    inbox->sorted = 0;
    sort_entries(inbox->sorting.entries, inbox->filling.entries, inbox->sorting.count);
}

/* --- sorting in ---------------------------------------------------------------------------- */

uint64_t inbox_waiting(const struct inbox *inbox)
{
    return inbox->filling.count + inbox->sorting.count - inbox->sorting.done;
}

bool inbox_is_busy(const struct inbox *inbox)
{
    return inbox->deleted + 1 < inbox->filling.end;
}

bool inbox_is_draining(const struct inbox *inbox)
{
    return inbox->draining || !inbox->open;
}

/* Large enough to be sorted in. */
static bool is_enough(const struct lot *lot)
{
    return lot->count >= INBOX_LOT_ENOUGH || (lot->rows.full && lot->count >= INBOX_LOT_WORTH);
}

static void take_next_lot(struct inbox *inbox, int64_t now_ms)
{
    bool old = inbox->filling_since_ms != 0 && now_ms - inbox->filling_since_ms >= INBOX_LOT_AGE_MS;

    if (inbox->sorting.done < inbox->sorting.count || inbox->filling.count == 0) {
        return;
    }
    if (old && inbox->filling.count < INBOX_LOT_SMALL) {
        inbox->draining = true;
    }
    if (old || is_enough(&inbox->filling) || inbox_is_draining(inbox)) {
        begin_lot(inbox);
    }
}

/* So many messages are sorted in, or deleted, with a batch. */
static uint64_t step_of(const struct inbox *inbox)
{
    return inbox_is_draining(inbox) ? 2 * inbox->arrived + STEP_DRAIN
                                    : inbox->arrived + inbox->arrived / 4 + STEP_LEAST;
}

static int use_entry(struct inbox *inbox, struct inbox_groups *groups, const struct entry *entry,
                     int64_t n)
{
    int result;

    if (entry->row != 0) {
        struct store_reading reading = {.device = entry->device};

        inbox_rows_get(&inbox->sorting.rows, entry->row, &reading.message, &reading.received_ms);
        return inbox_groups_add(groups, n, &reading);
    }
    result = inbox_groups_use(groups);
    return result == STORE_OK ? inbox_groups_use_message(groups, n) : result;
}

static int sort_in(struct inbox *inbox, uint64_t messages, const struct inbox_sink *sink)
{
    struct inbox_groups groups = {.store = inbox->store, .sink = sink};
    struct lot *lot = &inbox->sorting;
    struct store_inbox_position position = {.first = lot->first, .last = lot->end - 1};
    int result = STORE_OK;

    for (; result == STORE_OK && messages > 0 && lot->done < lot->count; messages--) {
        const struct entry *entry = &lot->entries[lot->done];

        position.device = entry->device;
        position.n = lot->first + entry->n;
        result = use_entry(inbox, &groups, entry, position.n);
        lot->done++;
    }
    if (result == STORE_OK) {
        result = inbox_groups_use(&groups);
    }
    return result == STORE_OK ? store_inbox_set_position(inbox->store, &position) : result;
}

/* Everything is done: an empty table, and new messages under new numbers. */
static int clear(struct inbox *inbox)
{
    const struct store_inbox_position position = {.first = inbox->filling.end,
                                                  .last = inbox->filling.end - 1};
    int result = store_inbox_clear(inbox->store);

    if (result == STORE_OK) {
        result = store_inbox_set_position(inbox->store, &position);
    }
    inbox->deleted = inbox->filling.end - 1;
    return result;
}

/* Rows of lots that are done leave in the order in which they came, page by page. */
static int delete_some(struct inbox *inbox, uint64_t messages)
{
    int64_t upto = inbox->deleted + (int64_t)messages;

    upto = upto < inbox->sorting.first - 1 ? upto : inbox->sorting.first - 1;
    if (upto <= inbox->deleted) {
        return STORE_OK;
    }
    inbox->deleted = upto;
    return store_inbox_delete(inbox->store, upto);
}

int inbox_sort_some(struct inbox *inbox, uint64_t most, int64_t now_ms,
                    const struct inbox_sink *sink)
{
    uint64_t step;
    int result = STORE_OK;

    if (!inbox_is_busy(inbox)) {
        return STORE_OK;
    }
    take_next_lot(inbox, now_ms);
    step = step_of(inbox) < most ? step_of(inbox) : most;
    if (inbox->sorting.done < inbox->sorting.count) {
        result = sort_in(inbox, step, sink);
    }
    if (result == STORE_OK && inbox_waiting(inbox) == 0) {
        inbox->open = inbox->open && !inbox->draining;
        inbox->draining = false;
        return clear(inbox);
    }
    return result == STORE_OK ? delete_some(inbox, step) : result;
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

static int put(struct inbox *inbox, const char *client_id, const struct store_packet *packet,
               const struct foxtrackr_message *message, uint32_t device)
{
    struct lot *lot = &inbox->filling;
    uint32_t row = 0;
    int result = store_inbox_put(inbox->store, lot->end, device, client_id, packet);

    if (result == STORE_OK) {
        if (message != NULL && device != STORE_NO_DEVICE) {
            row = inbox_rows_add(&lot->rows, message, packet->received_ms);
        }
        add_entry(lot, lot->end, device, row);
    }
    return result;
}

bool inbox_takes(const struct inbox *inbox)
{
    return (inbox->open || inbox_waiting(inbox) > 0) &&
           inbox->filling.count < inbox->filling.capacity;
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
        result = store_inbox_newest_device(inbox->store, &inbox->filling_knows);
    }
    if (result == STORE_OK) {
        result =
            own ? find_by_message(inbox, message, &device) : find_by_topic(inbox, &topic, &device);
    }
    return result == STORE_OK ? put(inbox, client_id, packet, message, device) : result;
}

/* --- batches -------------------------------------------------------------------------------- */

/* Whether messages come so fast, and change so many pages, that the inbox pays. */
static bool pays(struct inbox *inbox, uint64_t messages, int64_t now_ms)
{
    if (now_ms - inbox->counted_since_ms > INBOX_OPEN_WITHIN_MS) {
        inbox->counted_since_ms = now_ms;
        inbox->counted_messages = 0;
        inbox->counted_pages = 0;
    }
    inbox->counted_messages += messages;
    inbox->counted_pages += (uint64_t)store_commit_pages(inbox->store);
    return inbox->counted_messages >= INBOX_OPEN_MESSAGES &&
           inbox->counted_pages >= inbox->counted_messages / INBOX_OPEN_SHARE;
}

void inbox_committed(struct inbox *inbox, uint64_t messages, int64_t now_ms)
{
    if (!inbox->open && pays(inbox, messages, now_ms)) {
        inbox->open = true;
        inbox->counted_since_ms = INT64_MIN / 2;
    }
    if (inbox->filling.count > 0 && inbox->filling_since_ms == 0) {
        inbox->filling_since_ms = now_ms;
    }
    inbox->arrived = messages;
    inbox->filled = inbox->filling.count;
    inbox->filled_rows = inbox->filling.rows.used;
    inbox->sorted = inbox->sorting.done;
    inbox->deleted_durably = inbox->deleted;
}

void inbox_rolled_back(struct inbox *inbox)
{
    struct lot *lot = &inbox->filling;

    lot->end -= lot->count - inbox->filled;
    lot->count = inbox->filled;
    lot->rows.used = inbox->filled_rows;
    inbox->sorting.done = inbox->sorted;
    inbox->deleted = inbox->deleted_durably;
}

/* --- the contract --------------------------------------------------------------------------- */

static void free_lots(struct inbox *inbox)
{
    free(inbox->filling.entries);
    free(inbox->sorting.entries);
    inbox_rows_free(&inbox->filling.rows);
    inbox_rows_free(&inbox->sorting.rows);
    inbox->filling = inbox->sorting = (struct lot){0};
}

/* In memory that is there from now on, not when a catch-up needs it. */
static struct entry *make_entries(uint32_t count)
{
    struct entry *entries = calloc(count, sizeof(*entries));

    if (entries != NULL) {
        memset(entries, 0xff, count * sizeof(*entries));
    }
    return entries;
}

/* Empty lots, each with room for everything that is in the inbox. */
static int make_lots(struct inbox *inbox, uint32_t messages)
{
    uint32_t capacity = messages > INBOX_LOT_MOST ? messages : INBOX_LOT_MOST;

    free_lots(inbox);
    inbox->filling.entries = make_entries(capacity);
    inbox->sorting.entries = make_entries(capacity);
    if (inbox->filling.entries == NULL || inbox->sorting.entries == NULL ||
        !inbox_rows_make(&inbox->filling.rows, INBOX_LOT_ROWS) ||
        !inbox_rows_make(&inbox->sorting.rows, INBOX_LOT_ROWS)) {
        return INBOX_E_MEMORY;
    }
    inbox->filling.capacity = inbox->sorting.capacity = capacity;
    return STORE_OK;
}

static int count_one(void *context, int64_t n, uint32_t device)
{
    uint32_t *messages = context;

    (void)n;
    (void)device;
    ++*messages;
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

    if (inbox->deleted < 0) {
        inbox->deleted = n - 1;
    }
    if (!done) {
        add_entry(in_turn ? &inbox->sorting : &inbox->filling, n, device, 0);
    }
    return STORE_OK;
}

/* Fill empty lots with what is in the table. */
static int load_lots(struct inbox *inbox, const struct store_inbox_position *position,
                     struct entry *spare)
{
    struct loading loading = {.inbox = inbox, .position = *position};
    int result;

    inbox->sorting.first = position->first;
    inbox->filling.first = inbox->filling.end = position->last + 1;
    inbox->filling_knows = 0; /* what was known when it began is forgotten */
    inbox->deleted = -1;
    result = store_inbox_read(inbox->store, load_one, &loading);
    if (result != STORE_OK) {
        return result;
    }
    inbox->sorting.end = position->last + 1;
    if (inbox->deleted < 0) {
        inbox->deleted = inbox->filling.end - 1;
    }
    sort_entries(inbox->sorting.entries, spare, inbox->sorting.count);
    inbox_committed(inbox, 0, 0);
    return STORE_OK;
}

int inbox_load(struct inbox *inbox)
{
    struct store_inbox_position position = {0};
    struct entry *spare = NULL;
    uint32_t messages = 0;
    int result = store_inbox_position(inbox->store, &position);

    if (result == STORE_OK) {
        result = store_inbox_read(inbox->store, count_one, &messages);
    }
    if (result == STORE_OK) {
        result = make_lots(inbox, messages);
    }
    if (result == STORE_OK) {
        spare = make_entries(messages + 1);
        result = spare == NULL ? INBOX_E_MEMORY : load_lots(inbox, &position, spare);
    }
    free(spare);
    return result;
}

struct inbox *inbox_new(struct store *store)
{
    struct inbox *inbox = calloc(1, sizeof(*inbox));

    if (inbox != NULL) {
        inbox->store = store;
        inbox->counted_since_ms = INT64_MIN / 2;
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
