/*
 * Replay: parses messages again that were not accepted when they came.
 *
 * Reading and parsing happen outside of any transaction, a few messages at a time. Then those that
 * change something are written in transactions that hold the daemon up for about REPLAY_HOLD_MS,
 * and a pause follows in which it gets its turn: it asks every millisecond. Such a short
 * transaction mostly ends before the scheduler preempts it, which on a busy machine would make the
 * daemon wait. It is not synced: the daemon's next commit, or the checkpoint at the end, syncs it
 * too; after an earlier power failure the messages are back where they were.
 *
 * Exactly once, however the process ends: the rows of a message appear in the transaction that
 * removes it from its old place, so it is in exactly one of the two places. Rows are idempotent, so
 * that two replays at once, or one after the other, do no harm either. A message that was removed
 * while we parsed it is left alone.
 *
 * A message is judged by the clock of now and not of its arrival: a time that lay in the future
 * then was perhaps right, and our clock behind. Its rows say received_ms = first_received_ms. The
 * daemon itself does so with those whose time has come (sqlite_rejudge(),
 * pipeline/writer_rejudge.c). A message that stays for another reason than before has been judged
 * anew: its last_received_ms becomes that moment, from which retention counts, because the clock of
 * its arrival may have been wrong.
 *
 * `runs` does not change: it counts the results at the messages' arrival.
 */
#include "store/tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/wall.h"
#include "store/sqlite/replay_internal.h"
#include "store/sqlite/sqlite_internal.h"

#define BATCH_ITEMS 256
/* Times before 2010 are wrong in any case; the parser has the same limit. */
#define TIME_FIRST_MS INT64_C(1262304000000)

#define BATCH_BYTES ((size_t)4 * 1024 * 1024)

enum verdict { KEEP, MOVE, NOTE };

struct item {
    enum store_statement taken; /* the statement that removes the message from its old place */
    int source;                 /* index of store_replay.counts */
    int64_t rowid;              /* in messages */
    uint8_t digest[DIGEST_SIZE];
    char *bytes; /* topic, then payload */
    struct store_packet packet;
    enum verdict verdict;
    struct foxtrackr_message message; /* with MOVE */
    struct foxtrackr_problem problem; /* with NOTE: the new reason why it stays */
};

struct batch {
    struct item items[BATCH_ITEMS];
    int count;
    size_t bytes;
};

static void clear_batch(struct batch *batch)
{
    for (int i = 0; i < batch->count; i++) {
        free(batch->items[i].bytes);
        foxtrackr_message_clear(&batch->items[i].message);
    }
    batch->count = 0;
    batch->bytes = 0;
}

static int no_memory(struct store *store)
{
    return store_refuse(store, STORE_E_RETRY, "%s: cannot go on with replay: out of memory",
                        store->path);
}

/* Copies topic and payload, because the statement is reset before they are used. */
static bool keep_packet(struct item *item, const void *topic, size_t topic_length,
                        sqlite3_stmt *statement, int payload_column, int64_t received_ms)
{
    size_t length = (size_t)sqlite3_column_bytes(statement, payload_column);

    item->bytes = malloc(topic_length + length + 1);
    if (item->bytes == NULL) {
        return false;
    }
    if (topic_length > 0) {
        memcpy(item->bytes, topic, topic_length);
    }
    if (length > 0) {
        memcpy(item->bytes + topic_length, sqlite3_column_blob(statement, payload_column), length);
    }
    item->packet = (struct store_packet){
        .topic = item->bytes,
        .topic_length = topic_length,
        .payload = item->bytes + topic_length,
        .payload_length = length,
        .received_ms = received_ms,
    };
    return true;
}

static int64_t now_of(const struct store_replay *replay)
{
    return replay->now_ms != 0 ? replay->now_ms : wall_now_ms();
}

/* Returns 0, a reason (enum foxtrackr_reason), or a negative value: out of memory. */
static int parse(struct item *item, const struct store_replay *replay)
{
    return foxtrackr_message_parse(replay->fields, now_of(replay), replay->max_future_ms,
                                   item->packet.topic, item->packet.topic_length,
                                   item->packet.payload, item->packet.payload_length,
                                   &item->message, &item->problem);
}

/* --- reading ------------------------------------------------------------------------------- */

/* Parses a row of quarantine again and sets the verdict. */
static int judge_quarantined(struct store *store, const struct store_replay *replay,
                             struct item *item, const char *reason, const char *detail)
{
    int result;

    if (item->source == FOXTRACKR_E_OVERSIZE) {
        return STORE_OK; /* only the beginning of the payload is stored */
    }
    result = parse(item, replay);
    if (result < 0) {
        return no_memory(store);
    }
    if (result == 0) {
        item->verdict = MOVE;
    } else if (strcmp(reason, foxtrackr_reason_name(result)) != 0 ||
               /* For a time in the future, detail contains the limit, which changes with the
                * clock. */
               (result != FOXTRACKR_E_TIME && strcmp(detail, item->problem.detail) != 0)) {
        item->verdict = NOTE;
    }
    return STORE_OK;
}

/* Takes a statement's current row of quarantine, with the columns of STATEMENT_REPLAY_NEXT. */
static int take_quarantined(struct store *store, const struct store_replay *replay,
                            sqlite3_stmt *statement, struct item *item)
{
    const char *reason = (const char *)sqlite3_column_text(statement, 3);
    const char *detail = (const char *)sqlite3_column_text(statement, 4);
    int known = reason == NULL ? -1 : foxtrackr_reason_from_name(reason);

    if (detail == NULL || sqlite3_column_bytes(statement, 0) != DIGEST_SIZE || known < 0) {
        return store_refuse(store, STORE_FATAL,
                            "%s: quarantine holds a row that foxtrackrd did not write; see "
                            "foxtrackrctl verify",
                            store->path);
    }
    memcpy(item->digest, sqlite3_column_blob(statement, 0), DIGEST_SIZE);
    item->source = known;
    item->taken = STATEMENT_REPLAY_TAKEN;
    return keep_packet(item, sqlite3_column_blob(statement, 1),
                       (size_t)sqlite3_column_bytes(statement, 1), statement, 2,
                       sqlite3_column_int64(statement, 5))
               ? judge_quarantined(store, replay, item, reason, detail)
               : no_memory(store);
}

/* Reads the next row of quarantine into `item`; sets *end when there is none. `cursor` is the last
 * digest. */
static int read_quarantined(struct store *store, const struct store_replay *replay,
                            struct replay_cursor *cursor, struct item *item, bool *end)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_REPLAY_NEXT];
    const struct store_value values[] = {
        store_bytes(false, cursor->digest, cursor->begun ? DIGEST_SIZE : 0),
        store_text(replay->reason == 0 ? "" : foxtrackr_reason_name(replay->reason))};
    bool row = false;
    int result = store_step(store, STATEMENT_REPLAY_NEXT, values, 2, &row);

    *end = !row;
    if (result == STORE_OK && row) {
        result = take_quarantined(store, replay, statement, item);
        memcpy(cursor->digest, item->digest, DIGEST_SIZE);
        cursor->begun = true;
    }
    store_reset(store, STATEMENT_REPLAY_NEXT);
    return result;
}

/* Reads the next row of `messages`. Its second topic level is not stored and not needed: the group
 * was recorded at its arrival. */
static int read_message(struct store *store, const struct store_replay *replay,
                        struct replay_cursor *cursor, struct item *item, bool *end)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_REPLAY_MESSAGE];
    const struct store_value value = store_integer(cursor->rowid);
    char *topic = NULL;
    bool row = false;
    int parsed = -1;
    int result = store_step(store, STATEMENT_REPLAY_MESSAGE, &value, 1, &row);

    *end = !row;
    if (result == STORE_OK && row) {
        cursor->rowid = sqlite3_column_int64(statement, 0);
        item->rowid = cursor->rowid;
        item->source = STORE_REPLAY_MESSAGES;
        item->taken = STATEMENT_REPLAY_MESSAGE_TAKEN;
        memcpy(item->digest, sqlite3_column_blob(statement, 6),
               sqlite3_column_bytes(statement, 6) == DIGEST_SIZE ? DIGEST_SIZE : 0);
        if (asprintf(&topic, "%s/-/%s/%s", sqlite3_column_text(statement, 1),
                     sqlite3_column_text(statement, 2), sqlite3_column_text(statement, 3)) < 0) {
            topic = NULL;
        }
        if (topic != NULL && keep_packet(item, topic, strlen(topic), statement, 4,
                                         sqlite3_column_int64(statement, 5))) {
            parsed = parse(item, replay);
        }
        result = parsed < 0 ? no_memory(store) : STORE_OK;
        item->message.group = NULL;
        item->verdict = parsed == 0 && !item->message.has_other ? MOVE : KEEP;
        free(topic);
    }
    store_reset(store, STATEMENT_REPLAY_MESSAGE);
    return result;
}

/* --- writing ------------------------------------------------------------------------------- */

/* Sets *there to whether the message is still where it was read. */
static int still_there(struct store *store, const struct item *item, bool *there)
{
    const struct store_value digest = store_bytes(false, item->digest, DIGEST_SIZE);
    const struct store_value message[] = {store_integer(item->rowid), digest};
    bool quarantined = item->source < STORE_REPLAY_MESSAGES;
    enum store_statement id = quarantined ? STATEMENT_REPLAY_THERE : STATEMENT_REPLAY_MESSAGE_THERE;
    int result = quarantined ? store_step(store, id, &digest, 1, there)
                             : store_step(store, id, message, 2, there);

    store_reset(store, id);
    return result;
}

static int note_why(struct store *store, const struct item *item, int64_t now_ms,
                    const struct foxtrackr_problem *problem)
{
    const struct store_value values[] = {store_bytes(false, item->digest, DIGEST_SIZE),
                                         store_text(foxtrackr_reason_name(problem->reason)),
                                         store_text(problem->detail), store_integer(now_ms)};

    return store_execute(store, STATEMENT_REPLAY_STAYS, values, 4);
}

/* Removes the message from its old place, and updates the device's "first seen". */
static int take_out(struct store *store, const struct item *item)
{
    const struct store_value digest = store_bytes(false, item->digest, DIGEST_SIZE);
    const struct store_value message[] = {store_integer(item->rowid), digest};
    const struct store_value seen[] = {
        store_text(item->message.family), store_text(item->message.device_id),
        store_integer(item->packet.received_ms), store_text(item->message.group)};
    int result;

    if (item->source == STORE_REPLAY_MESSAGES) {
        return store_execute(store, STATEMENT_REPLAY_MESSAGE_TAKEN, message, 2);
    }
    result = store_execute(store, STATEMENT_REPLAY_TAKEN, &digest, 1);
    if (result == STORE_OK) {
        store_note_entries(store, -sqlite3_changes(store->db));
        result = store_execute(store, STATEMENT_REPLAY_DEVICE_SEEN, seen, 3);
    }
    if (result == STORE_OK && item->message.group != NULL) {
        result = store_execute(store, STATEMENT_REPLAY_GROUP_SEEN, seen, 4);
    }
    return result;
}

static int write_moved(struct store *store, const struct item *item, struct store_replay *change)
{
    struct store_replay_counts *counts = &change->counts[item->source];
    struct foxtrackr_problem conflict = {0};
    enum store_outcome outcome = STORE_QUARANTINED;
    int result = change->dry_run
                     ? store_would_put(store, &item->message, &item->packet, &outcome, &conflict)
                     : store_put(store, &item->message, &item->packet, &outcome, &conflict);

    if (result != STORE_OK) {
        return result;
    }
    if (outcome == STORE_QUARANTINED) {
        counts->conflict++; /* its other row, if any, is stored now */
        /* A row of `messages` stays: without its topic it cannot go to quarantine. */
        return item->source < STORE_REPLAY_MESSAGES && !change->dry_run
                   ? note_why(store, item, change->restamp ? now_of(change) : 0, &conflict)
                   : STORE_OK;
    }
    if (outcome == STORE_STORED) {
        counts->moved++;
    } else {
        counts->duplicate++;
    }
    return change->dry_run ? STORE_OK : take_out(store, item);
}

/* Applies one item, and counts the result in `change`. */
static int write_item(struct store *store, const struct item *item, struct store_replay *change)
{
    bool there = true;
    int result = item->verdict == KEEP ? STORE_OK : still_there(store, item, &there);

    if (result != STORE_OK || !there) {
        return result;
    }
    change->counts[item->source].examined++;
    if (item->verdict == MOVE) {
        return write_moved(store, item, change);
    }
    change->counts[item->source].kept++;
    return item->verdict == NOTE && !change->dry_run
               ? note_why(store, item, change->restamp ? now_of(change) : 0, &item->problem)
               : STORE_OK;
}

static bool changes_something(const struct batch *batch)
{
    for (int i = 0; i < batch->count; i++) {
        if (batch->items[i].verdict != KEEP) {
            return true;
        }
    }
    return false;
}

/* Writes the batch, in as many transactions as its length needs. */
static int write_batch(struct store *store, const struct batch *batch, struct store_replay *replay)
{
    bool dry = replay->dry_run || !changes_something(batch);
    int result = STORE_OK;
    int at = 0;

    while (at < batch->count && result == STORE_OK) {
        struct store_replay change = *replay;
        int64_t begun_ms;
        size_t bytes = 0;
        int next = at;

        result = dry ? STORE_OK : store_transaction_begin(store);
        begun_ms = clock_monotonic_ms(); /* waiting for our turn holds nobody up */
        while (result == STORE_OK && next < batch->count &&
               (dry || (next - at < REPLAY_HOLD_ROWS && bytes < REPLAY_HOLD_BYTES &&
                        clock_monotonic_ms() - begun_ms < REPLAY_HOLD_MS))) {
            result = write_item(store, &batch->items[next], &change);
            bytes +=
                batch->items[next].verdict == KEEP ? 0 : batch->items[next].packet.payload_length;
            next++;
        }
        if (result == STORE_OK && !dry) {
            result = replay_commit(store);
        } else if (!dry) {
            replay_undo(store);
        }
        if (result == STORE_OK) {
            *replay = change;
            at = next;
        }
    }
    return result;
}

int replay_commit(struct store *store)
{
    const struct timespec pause = {.tv_nsec = REPLAY_PAUSE_MS * 1000000L};
    int result = store_transaction_commit(store);

    if (result == STORE_OK) {
        nanosleep(&pause, NULL);
    } else {
        replay_undo(store);
    }
    return result;
}

void replay_undo(struct store *store)
{
    char why[STORE_ERROR_SIZE];

    /* Keep the sentence of the first error, not of the rollback. */
    snprintf(why, sizeof(why), "%s", store->error);
    (void)store_transaction_rollback(store);
    snprintf(store->error, sizeof(store->error), "%s", why);
}

/* --- the walk ------------------------------------------------------------------------------ */

bool replay_go_on(struct store *store, const struct store_watcher *watcher, const char *what,
                  int64_t done, int64_t total)
{
    if (watcher->progress(watcher->context, what, STORE_ROWS, done, total)) {
        return true;
    }
    store_refuse(store, STORE_E_STOPPED, "stopped; run it again to go on");
    return false;
}

typedef int (*read_fn)(struct store *store, const struct store_replay *replay,
                       struct replay_cursor *cursor, struct item *item, bool *end);

static int fill_batch(struct store *store, const struct store_replay *replay, read_fn read,
                      struct replay_cursor *cursor, struct batch *batch, bool *end)
{
    int result = STORE_OK;

    while (result == STORE_OK && !*end && batch->count < BATCH_ITEMS &&
           batch->bytes < BATCH_BYTES) {
        struct item *item = &batch->items[batch->count];

        *item = (struct item){.verdict = KEEP};
        result = read(store, replay, cursor, item, end);
        if (!*end) {
            batch->count++; /* also with a failure: what it holds is freed */
            batch->bytes += item->packet.topic_length + item->packet.payload_length;
        }
    }
    return result;
}

static int walk(struct store *store, struct store_replay *replay, read_fn read, const char *what,
                int64_t total, const struct store_watcher *watcher)
{
    struct batch *batch = calloc(1, sizeof(*batch));
    struct replay_cursor cursor = {0};
    bool end = false;
    int64_t done = 0;
    int result = STORE_OK;

    if (batch == NULL) {
        return no_memory(store);
    }
    while (result == STORE_OK && !end) {
        if (!replay_go_on(store, watcher, what, done, total)) {
            result = STORE_E_STOPPED;
            break;
        }
        result = fill_batch(store, replay, read, &cursor, batch, &end);
        if (result == STORE_OK) {
            result = write_batch(store, batch, replay);
        }
        done += batch->count;
        clear_batch(batch);
    }
    free(batch);
    return result;
}

/* Counts the messages to replay, for the watcher. */
static int count_work(struct store *store, const struct store_replay *replay, int64_t *quarantine,
                      int64_t *messages)
{
    const struct store_value value =
        store_text(replay->reason == 0 ? "" : foxtrackr_reason_name(replay->reason));
    bool row = false;
    int result = store_step(store, STATEMENT_REPLAY_COUNT, &value, 1, &row);

    if (result == STORE_OK) {
        *quarantine = sqlite3_column_int64(store->statements[STATEMENT_REPLAY_COUNT], 0);
        *messages = sqlite3_column_int64(store->statements[STATEMENT_REPLAY_COUNT], 1);
    }
    store_reset(store, STATEMENT_REPLAY_COUNT);
    return result;
}

int store_replay(struct store *store, struct store_replay *replay,
                 const struct store_watcher *watcher)
{
    int64_t quarantine = 0;
    int64_t messages = 0;
    int result = count_work(store, replay, &quarantine, &messages);

    if (result == STORE_OK) {
        result = walk(store, replay, read_quarantined, "quarantine", quarantine, watcher);
    }
    if (result == STORE_OK && replay->reason == 0) {
        result = walk(store, replay, read_message, "messages", messages, watcher);
    }
    if (result == STORE_OK && replay->reason == 0) {
        result = replay_extras(store, replay, watcher);
    }
    /* Closing would do it as well, but could not tell why it fails. */
    if (result == STORE_OK && !replay->dry_run && store_checkpoint(store) == STORE_FATAL) {
        result = STORE_FATAL;
    }
    return result;
}

/* --- by the daemon ------------------------------------------------------------------------- */

/* Reads the next entry with the reason `time`. Sets *there and `item` when its time has come by
 * replay->now_ms, and *end when there is no further entry. */
static int read_due(struct store *store, const struct store_replay *replay,
                    struct store_rejudge *pass, struct item *item, bool *there, bool *end)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_REJUDGE_NEXT];
    const struct store_value value =
        store_bytes(false, pass->digest, pass->begun ? DIGEST_SIZE : 0);
    bool row = false;
    int result = store_step(store, STATEMENT_REJUDGE_NEXT, &value, 1, &row);

    *end = !row;
    *there = false;
    if (result == STORE_OK && row) {
        int64_t claimed_ms = sqlite3_column_int64(statement, 6);
        int64_t due_ms = claimed_ms - replay->max_future_ms;
        bool in_future = claimed_ms >= TIME_FIRST_MS && due_ms > sqlite3_column_int64(statement, 5);

        if (in_future && due_ms <= replay->now_ms) {
            *there = true;
            result = take_quarantined(store, replay, statement, item);
        } else if (in_future && due_ms < pass->next_due_ms) {
            pass->next_due_ms = due_ms;
        }
        if (sqlite3_column_bytes(statement, 0) == DIGEST_SIZE) {
            memcpy(pass->digest, sqlite3_column_blob(statement, 0), DIGEST_SIZE);
        }
        pass->begun = true;
    }
    store_reset(store, STATEMENT_REJUDGE_NEXT);
    return result;
}

static int write_due(struct store *store, const struct batch *batch, struct store_replay *change)
{
    int result = store_transaction_begin(store);

    for (int i = 0; i < batch->count && result == STORE_OK; i++) {
        result = write_item(store, &batch->items[i], change);
    }
    return result == STORE_OK ? store_transaction_commit(store) : result;
}

int sqlite_rejudge(struct store *store, struct store_rejudge *pass, bool *done)
{
    struct batch *batch = calloc(1, sizeof(*batch));
    struct store_rejudge next = *pass;
    struct store_replay replay = {.fields = pass->fields,
                                  .max_future_ms = pass->max_future_ms,
                                  .now_ms = pass->now_ms,
                                  .restamp = true,
                                  .reason = FOXTRACKR_E_TIME};
    const struct store_replay_counts *counts = &replay.counts[FOXTRACKR_E_TIME];
    bool end = false;
    int result = STORE_OK;

    if (batch == NULL) {
        return no_memory(store);
    }
    for (int looked = 0; result == STORE_OK && !end && looked < BATCH_ITEMS &&
                         batch->count < REPLAY_HOLD_ROWS && batch->bytes < REPLAY_HOLD_BYTES;
         looked++) {
        struct item *item = &batch->items[batch->count];
        bool there = false;

        *item = (struct item){.verdict = KEEP};
        result = read_due(store, &replay, &next, item, &there, &end);
        if (there) {
            batch->count++; /* also with a failure: what it holds is freed */
            batch->bytes += item->packet.topic_length + item->packet.payload_length;
        }
    }
    if (result == STORE_OK && changes_something(batch)) {
        result = write_due(store, batch, &replay);
    }
    clear_batch(batch);
    free(batch);
    if (result == STORE_OK) {
        next.moved += counts->moved + counts->duplicate;
        *pass = next;
        *done = end;
    }
    return result;
}

int sqlite_restamp(struct store *store, int64_t from_ms, int64_t to_ms, int64_t now_ms, bool *done)
{
    const struct store_value values[] = {store_integer(from_ms), store_integer(to_ms),
                                         store_integer(now_ms), store_integer(REPLAY_HOLD_ROWS)};
    int changed = 0;
    int result = store_transaction_begin(store);

    if (result == STORE_OK) {
        result = store_execute(store, STATEMENT_REJUDGE_RESTAMP, values, 4);
        changed = sqlite3_changes(store->db);
    }
    if (result == STORE_OK) {
        result = store_transaction_commit(store);
    }
    if (result == STORE_OK) {
        *done = changed < REPLAY_HOLD_ROWS;
    }
    return result;
}
