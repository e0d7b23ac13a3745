/*
 * The writer's batches: stores each message in its tables, or in the inbox first.
 *
 * Every message passes the handler of sqlite_attach(), which parses it and is told the result. A
 * message that goes to the inbox is parsed when it arrives, because its device decides its place in
 * the lot, and again when it is sorted in, unless the inbox has kept its row
 * (store/sqlite/inbox_rows.c).
 *
 * The first sqlite_attach() reads the inbox, whose state then stays in memory. Changes of a batch
 * to it become final with sqlite_commit() and are undone by sqlite_rollback(). When the scratch
 * file cannot be read, the batch fails with STORE_E_RETRY, and the next sqlite_begin() reads the
 * inbox again.
 *
 * A batch that is committed without a message tells the inbox that none arrive at the moment: it
 * then sorts in all that it has, and closes.
 */
#include "base/clock.h"
#include "base/pulse.h"
#include "store/sqlite/inbox_internal.h"
#include "store/sqlite/sqlite_internal.h"

#define SORTING_WAIT_US 20000 /* how long a batch that sorts in waits for messages */

static int no_memory(struct store *store)
{
    return store_refuse(store, STORE_E_RETRY, "out of memory");
}

/* Turns a result of the inbox into one of the store's, with its sentence. */
static int told(struct store *store, int result)
{
    switch (result) {
    case INBOX_E_MEMORY:
        return no_memory(store);
    case INBOX_E_SCRATCH:
        store->inbox_loaded = false;
        return store_refuse(store, STORE_E_RETRY, "%s", inbox_error(store->inbox));
    default:
        return result;
    }
}

static int load(struct store *store)
{
    int result = told(store, inbox_load(store->inbox));

    store->inbox_loaded = result == STORE_OK;
    return result;
}

int sqlite_attach(struct store *store, const struct store_handler *handler)
{
    store->handler = *handler;
    if (store->inbox == NULL) {
        store->inbox = inbox_new(store);
    }
    return store->inbox != NULL ? load(store) : no_memory(store);
}

/* --- messages ------------------------------------------------------------------------------ */

/* Stores a parsed message in its tables and tells the handler. */
static int put_rows(struct store *store, const struct store_packet *packet,
                    const struct foxtrackr_message *message)
{
    const struct store_handler *handler = &store->handler;
    enum store_outcome outcome;
    int result = store_message(store, message, packet, &outcome);

    if (result != STORE_OK) {
        return result;
    }
    handler->understood(handler->context, message->time_ms);
    if (outcome == STORE_QUARANTINED) {
        const struct foxtrackr_problem problem = {
            .reason = FOXTRACKR_E_CONFLICT,
            .detail = "other values are stored for this device and time"};

        handler->quarantined(handler->context, packet, &problem);
    }
    return STORE_OK;
}

/* Puts a message that cannot be parsed into quarantine and tells the handler. */
static int put_aside(struct store *store, const struct store_packet *packet,
                     const struct foxtrackr_problem *problem)
{
    const struct store_handler *handler = &store->handler;
    int result = store_put_aside(store, problem, packet);

    if (result == STORE_OK) {
        handler->quarantined(handler->context, packet, problem);
    }
    return result;
}

/* Parses a message and stores its rows or its quarantine entry. With `try_inbox` the message goes
 * to the inbox instead, if that takes it. */
static int apply(struct store *store, const struct store_packet *packet, bool try_inbox)
{
    const struct store_handler *handler = &store->handler;
    struct foxtrackr_message message;
    struct foxtrackr_problem problem;
    int parsed = handler->parse(handler->context, packet, &message, &problem);
    bool in_inbox = false;
    int result = STORE_OK;

    if (parsed < 0) {
        return no_memory(store);
    }
    if (try_inbox) {
        result = told(store, inbox_put(store->inbox, packet->client_id, packet,
                                       parsed == 0 ? &message : NULL, &in_inbox));
    }
    if (result == STORE_OK && !in_inbox) {
        result =
            parsed == 0 ? put_rows(store, packet, &message) : put_aside(store, packet, &problem);
    }
    if (parsed == 0) {
        foxtrackr_message_clear(&message);
    }
    return result;
}

int sqlite_apply(struct store *store, const struct store_packet *packet)
{
    store->batch_items++;
    return apply(store, packet, inbox_takes(store->inbox));
}

int sqlite_quarantine(struct store *store, const struct foxtrackr_problem *problem,
                      const struct store_packet *packet)
{
    store->batch_items++;
    return store_put_aside(store, problem, packet);
}

/* --- sorting in ---------------------------------------------------------------------------- */

static int sort_message(void *context, const char *client_id, const struct store_packet *packet)
{
    struct store_packet whole = *packet;

    whole.client_id = client_id;
    pulse_beat();
    return apply(context, &whole, false);
}

static int sort_reading(void *context, const struct store_reading *reading, bool *done)
{
    struct store *store = context;
    const struct store_handler *handler = &store->handler;
    int result;

    pulse_beat();
    result = store_put_reading(store, reading, done);
    if (result == STORE_OK && *done) {
        handler->understood(handler->context, reading->message.time_ms);
    }
    return result;
}

int sqlite_sort_in(struct store *store, bool idle, uint64_t most, int64_t *wait_us)
{
    const struct inbox_sink sink = {sort_message, sort_reading, store};
    int result =
        told(store, inbox_sort_some(store->inbox, idle, most, clock_monotonic_ms(), &sink));

    store->rollup.work.caught_up = true;
    if (result == STORE_OK) {
        *wait_us = inbox_is_draining(store->inbox) ? 0 : SORTING_WAIT_US;
    }
    return result;
}

bool sqlite_sorts_in(const struct store *store)
{
    return store->inbox != NULL && inbox_is_busy(store->inbox);
}

uint64_t sqlite_waiting(const struct store *store)
{
    return store->inbox != NULL ? inbox_waiting(store->inbox) : 0;
}

/* --- the batch ----------------------------------------------------------------------------- */

int sqlite_begin(struct store *store)
{
    int result = store->inbox != NULL && !store->inbox_loaded ? load(store) : STORE_OK;

    store->batch_items = 0;
    return result == STORE_OK ? store_transaction_begin(store) : result;
}

int sqlite_flush(struct store *store)
{
    return store->inbox != NULL ? inbox_finish(store->inbox) : STORE_OK;
}

int sqlite_commit(struct store *store)
{
    int result = sqlite_flush(store);
    int64_t now_ms;

    if (result == STORE_OK) {
        result = store_transaction_commit(store);
    }
    if (result != STORE_OK) {
        return result;
    }
    now_ms = clock_monotonic_ms();
    if (store->batch_items > 0) {
        store->batch_ms = now_ms;
    }
    if (store->inbox != NULL) {
        if (store->batch_items == 0) {
            inbox_drain(store->inbox);
        }
        inbox_committed(store->inbox, store->batch_items, now_ms);
        inbox_note_space(store->inbox, store->free_bytes);
    }
    return STORE_OK;
}

int sqlite_rollback(struct store *store)
{
    if (store->inbox != NULL) {
        inbox_rolled_back(store->inbox);
    }
    return store_transaction_rollback(store);
}
