/*
 * One message of replay: reads it from its old place, parses it again, decides, and writes the
 * decision. Reading happens outside of any transaction, writing in the caller's. A message that was
 * removed in between is left alone.
 *
 * Must never happen: a message is in both places, or in neither. Its rows are written in the
 * transaction that removes it.
 */
#include "store/sqlite/replay_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wall.h"

int replay_no_memory(struct store *store)
{
    return store_refuse(store, STORE_E_RETRY, "%s: cannot go on with replay: out of memory",
                        store->path);
}

void replay_item_clear(struct replay_item *item)
{
    free(item->bytes);
    foxtrackr_message_clear(&item->message);
}

/* --- reading ------------------------------------------------------------------------------- */

/* Copies topic and payload, because the statement is reset before they are used. */
static bool keep_packet(struct replay_item *item, const void *topic, size_t topic_length,
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
static int parse(struct replay_item *item, const struct store_replay *replay)
{
    return foxtrackr_message_parse(replay->fields, now_of(replay), replay->max_future_ms,
                                   item->packet.topic, item->packet.topic_length,
                                   item->packet.payload, item->packet.payload_length,
                                   &item->message, &item->problem);
}

/* Parses a row of quarantine again and sets the verdict. */
static int judge_quarantined(struct store *store, const struct store_replay *replay,
                             struct replay_item *item, const char *reason, const char *detail)
{
    int result;

    if (item->source == FOXTRACKR_E_OVERSIZE) {
        return STORE_OK; /* only the beginning of the payload is stored */
    }
    result = parse(item, replay);
    if (result < 0) {
        return replay_no_memory(store);
    }
    if (result == 0) {
        item->verdict = REPLAY_MOVE;
    } else if (strcmp(reason, foxtrackr_reason_name(result)) != 0 ||
               /* For a time in the future, detail contains the limit, which changes with the
                * clock. */
               (result != FOXTRACKR_E_TIME && strcmp(detail, item->problem.detail) != 0)) {
        item->verdict = REPLAY_NOTE;
    }
    return STORE_OK;
}

int replay_take_quarantined(struct store *store, const struct store_replay *replay,
                            sqlite3_stmt *statement, struct replay_item *item)
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
    return keep_packet(item, sqlite3_column_blob(statement, 1),
                       (size_t)sqlite3_column_bytes(statement, 1), statement, 2,
                       sqlite3_column_int64(statement, 5))
               ? judge_quarantined(store, replay, item, reason, detail)
               : replay_no_memory(store);
}

int replay_read_quarantined(struct store *store, const struct store_replay *replay,
                            struct replay_cursor *cursor, struct replay_item *item, bool *end)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_REPLAY_NEXT];
    const struct store_value values[] = {
        store_bytes(false, cursor->digest, cursor->begun ? DIGEST_SIZE : 0),
        store_text(replay->reason == 0 ? "" : foxtrackr_reason_name(replay->reason))};
    bool row = false;
    int result = store_step(store, STATEMENT_REPLAY_NEXT, values, 2, &row);

    *end = !row;
    if (result == STORE_OK && row) {
        result = replay_take_quarantined(store, replay, statement, item);
        memcpy(cursor->digest, item->digest, DIGEST_SIZE);
        cursor->begun = true;
    }
    store_reset(store, STATEMENT_REPLAY_NEXT);
    return result;
}

int replay_read_message(struct store *store, const struct store_replay *replay,
                        struct replay_cursor *cursor, struct replay_item *item, bool *end)
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
        result = parsed < 0 ? replay_no_memory(store) : STORE_OK;
        item->message.group = NULL;
        item->verdict = parsed == 0 && !item->message.has_other ? REPLAY_MOVE : REPLAY_KEEP;
        free(topic);
    }
    store_reset(store, STATEMENT_REPLAY_MESSAGE);
    return result;
}

/* --- writing ------------------------------------------------------------------------------- */

/* Sets *there to whether the message is still where it was read. */
static int still_there(struct store *store, const struct replay_item *item, bool *there)
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

static int note_why(struct store *store, const struct replay_item *item, int64_t now_ms,
                    const struct foxtrackr_problem *problem)
{
    const struct store_value values[] = {store_bytes(false, item->digest, DIGEST_SIZE),
                                         store_text(foxtrackr_reason_name(problem->reason)),
                                         store_text(problem->detail), store_integer(now_ms)};

    return store_execute(store, STATEMENT_REPLAY_STAYS, values, 4);
}

/* Removes the message from its old place, and updates the device's "first seen". */
static int take_out(struct store *store, const struct replay_item *item)
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

/* Writes the rows of a message that is understood now, removes it from its old place, and counts
 * the result in `change`. Where its rows conflict with stored ones the message stays where it is;
 * its entry in quarantine gets that reason. A dry run counts alone. */
static int write_moved(struct store *store, const struct replay_item *item,
                       struct store_replay *change)
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

int replay_write_item(struct store *store, const struct replay_item *item,
                      struct store_replay *change)
{
    bool there = true;
    int result = item->verdict == REPLAY_KEEP ? STORE_OK : still_there(store, item, &there);

    if (result != STORE_OK || !there) {
        return result;
    }
    change->counts[item->source].examined++;
    if (item->verdict == REPLAY_MOVE) {
        return write_moved(store, item, change);
    }
    change->counts[item->source].kept++;
    return item->verdict == REPLAY_NOTE && !change->dry_run
               ? note_why(store, item, change->restamp ? now_of(change) : 0, &item->problem)
               : STORE_OK;
}
