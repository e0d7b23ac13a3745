/*
 * One message of replay: parses it again, decides, and writes the decision in a transaction of its
 * own, which takes the locks in the order of a batch.
 *
 * Must never happen: a message is in both places, or in neither. Its rows are written in the
 * transaction that removes it. If somebody else has removed it meanwhile, another daemon or another
 * replay has stored the same rows.
 */
#include "store/postgresql/replay_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wall.h"
#include "store/postgresql/batch_internal.h"

#define DOING "take a message out of quarantine"

int pg_replay_no_memory(struct store *store)
{
    return pg_refuse(store, STORE_E_RETRY, "%s: cannot go on with replay: out of memory",
                     store->shown);
}

void pg_item_clear(struct pg_item *item)
{
    free(item->topic);
    foxtrackr_message_clear(&item->message);
}

/* --- reading ------------------------------------------------------------------------------- */

static int64_t now_of(const struct store_replay *replay)
{
    return replay->now_ms != 0 ? replay->now_ms : wall_now_ms();
}

/* Returns 0, a reason (enum foxtrackr_reason), or a negative value: out of memory. */
static int parse(struct pg_item *item, const struct store_replay *replay)
{
    int result =
        foxtrackr_message_parse(replay->fields, now_of(replay), replay->max_future_ms,
                                item->packet.topic, item->packet.topic_length, item->packet.payload,
                                item->packet.payload_length, &item->message, &item->problem);

    if (result == 0 && !batch_can_store(&item->message, &item->packet, &item->problem)) {
        foxtrackr_message_clear(&item->message);
        return item->problem.reason;
    }
    return result;
}

static bool take_digest(const PGresult *rows, int row, int column, uint8_t digest[DIGEST_SIZE])
{
    if (PQgetlength(rows, row, column) != DIGEST_SIZE) {
        return false;
    }
    memcpy(digest, PQgetvalue(rows, row, column), DIGEST_SIZE);
    return true;
}

int pg_item_quarantined(struct store *store, const struct store_replay *replay,
                        const PGresult *rows, int row, struct pg_item *item)
{
    const char *reason = PQgetvalue(rows, row, 3);
    const char *detail = PQgetvalue(rows, row, 4);
    int result;

    item->source = foxtrackr_reason_from_name(reason);
    if (item->source < 0 || !take_digest(rows, row, 0, item->digest)) {
        return pg_refuse(store, STORE_E_RETRY,
                         "%s: quarantine holds a row that foxtrackrd did not write; see "
                         "foxtrackrctl verify",
                         store->shown);
    }
    item->packet = (struct store_packet){
        .topic = PQgetvalue(rows, row, 1),
        .topic_length = (size_t)PQgetlength(rows, row, 1),
        .payload = PQgetvalue(rows, row, 2),
        .payload_length = (size_t)PQgetlength(rows, row, 2),
        .received_ms = pg_int8(rows, row, 5),
    };
    if (item->source == FOXTRACKR_E_OVERSIZE) {
        return STORE_OK; /* only the beginning of the payload is stored */
    }
    result = parse(item, replay);
    if (result < 0) {
        return pg_replay_no_memory(store);
    }
    if (result == 0) {
        item->verdict = PG_MOVE;
    } else if (strcmp(reason, foxtrackr_reason_name(result)) != 0 ||
               /* For a time in the future, detail contains the limit, which changes with the
                * clock. */
               (result != FOXTRACKR_E_TIME && strcmp(detail, item->problem.detail) != 0)) {
        item->verdict = PG_NOTE;
    }
    return STORE_OK;
}

/* The second topic level of a row is not stored and not needed: the group was recorded at its
 * arrival. */
int pg_item_message(struct store *store, const struct store_replay *replay, const PGresult *rows,
                    int row, struct pg_item *item)
{
    int length;
    int parsed;

    item->source = STORE_REPLAY_MESSAGES;
    item->device = pg_int8(rows, row, 0);
    item->time_ms = pg_int8(rows, row, 1);
    item->type = PQgetvalue(rows, row, 2);
    if (!take_digest(rows, row, 3, item->digest)) {
        return STORE_OK; /* not written by foxtrackrd; see verify */
    }
    length = asprintf(&item->topic, "%s/-/%s/%s", PQgetvalue(rows, row, 4),
                      PQgetvalue(rows, row, 5), item->type);
    if (length < 0) {
        item->topic = NULL;
        return pg_replay_no_memory(store);
    }
    item->packet = (struct store_packet){
        .topic = item->topic,
        .topic_length = (size_t)length,
        .payload = PQgetvalue(rows, row, 6),
        .payload_length = (size_t)PQgetlength(rows, row, 6),
        .received_ms = pg_int8(rows, row, 7),
    };
    parsed = parse(item, replay);
    item->message.group = NULL;
    item->verdict = parsed == 0 && !item->message.has_other ? PG_MOVE : PG_KEEP;
    return parsed < 0 ? pg_replay_no_memory(store) : STORE_OK;
}

/* --- writing ------------------------------------------------------------------------------- */

static void key_of(const struct pg_item *item, struct pg_args *args)
{
    pg_arg_bytes(args, (const char *)item->digest, DIGEST_SIZE);
    if (item->source == STORE_REPLAY_MESSAGES) {
        pg_arg_int8(args, item->device);
        pg_arg_int8(args, item->time_ms);
        pg_arg_text(args, item->type);
    }
}

#define OF_MESSAGES                                                                                \
    "messages WHERE digest = $1::bytea AND device = $2::int8 AND time_ms = $3::int8"               \
    " AND type = $4::text"
#define OF_QUARANTINE "quarantine WHERE digest = $1::bytea"

/* Sets *there to whether the message is still where it was read. */
static int still_there(struct store *store, const struct pg_item *item, bool *there)
{
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    int result;

    key_of(item, &args);
    result = pg_query(store,
                      item->source == STORE_REPLAY_MESSAGES ? "SELECT 1 FROM " OF_MESSAGES
                                                            : "SELECT 1 FROM " OF_QUARANTINE,
                      "look for a message in quarantine", &args, &found);
    *there = result == STORE_OK && PQntuples(found) > 0;
    PQclear(found);
    return result;
}

static int note_why(struct store *store, const struct pg_item *item, int64_t now_ms,
                    const struct foxtrackr_problem *problem)
{
    struct pg_args args = {.count = 0};

    pg_arg_bytes(&args, (const char *)item->digest, DIGEST_SIZE);
    pg_arg_text(&args, foxtrackr_reason_name(problem->reason));
    pg_arg_text(&args, problem->detail);
    pg_arg_int8(&args, now_ms);
    return pg_query(store,
                    "UPDATE quarantine SET reason = $2::text, detail = $3::text,"
                    " last_received_ms = greatest(last_received_ms, $4::int8)"
                    " WHERE digest = $1::bytea",
                    "note why a message stays in quarantine", &args, NULL);
}

/* Notes that device and group were seen when the message came. */
static int note_seen(struct store *store, const struct pg_item *item)
{
    const struct foxtrackr_message *message = &item->message;
    struct pg_args args = {.count = 0};
    int result;

    pg_arg_int8(&args, item->packet.received_ms);
    pg_arg_text(&args, message->family);
    pg_arg_text(&args, message->device_id);
    result = pg_query(store,
                      "UPDATE devices SET first_seen_ms = $1::int8 WHERE family = $2::text"
                      " AND device_id = $3::text AND first_seen_ms > $1::int8",
                      "correct when a device was first seen", &args, NULL);
    if (result == STORE_OK && message->group != NULL) {
        pg_arg_text(&args, message->group);
        result = pg_query(store,
                          "UPDATE device_groups SET first_seen_ms = $1::int8"
                          " WHERE group_name = $4::text AND first_seen_ms > $1::int8"
                          " AND device = (SELECT device FROM devices WHERE family = $2::text"
                          " AND device_id = $3::text)",
                          "correct when a group was first seen", &args, NULL);
    }
    return result;
}

/* Removes the message from its old place. *taken: 1, or 0 when another has removed it. */
static int take_out(struct store *store, const struct pg_item *item, int64_t *taken)
{
    bool message = item->source == STORE_REPLAY_MESSAGES;
    struct pg_args args = {.count = 0};
    PGresult *answer = NULL;
    int result = message ? STORE_OK : note_seen(store, item);

    key_of(item, &args);
    if (result == STORE_OK) {
        result =
            pg_query(store, message ? "DELETE FROM " OF_MESSAGES : "DELETE FROM " OF_QUARANTINE,
                     DOING, &args, &answer);
    }
    *taken = result == STORE_OK ? pg_touched(answer) : 0;
    PQclear(answer);
    return result;
}

/* Stores the rows, and takes the message out unless it conflicts. */
static int move(struct store *store, const struct pg_item *item, const struct store_replay *replay,
                struct store_replay_counts *counts, int64_t *taken)
{
    struct foxtrackr_problem conflict;
    enum judge_row outcome = JUDGE_NEW;
    int result = pg_put(store, &item->message, &item->packet, replay->dry_run, &outcome, &conflict);

    if (result != STORE_OK) {
        return result;
    }
    if (outcome == JUDGE_CONFLICT) {
        counts->conflict++; /* its other row, if any, is stored now */
        /* A row of `messages` stays: without its topic it cannot go to quarantine. */
        return item->source < STORE_REPLAY_MESSAGES && !replay->dry_run
                   ? note_why(store, item, replay->restamp ? now_of(replay) : 0, &conflict)
                   : STORE_OK;
    }
    counts->moved += outcome == JUDGE_NEW;
    counts->duplicate += outcome == JUDGE_SAME;
    return replay->dry_run ? STORE_OK : take_out(store, item, taken);
}

static int change(struct store *store, const struct pg_item *item,
                  const struct store_replay *replay, struct store_replay_counts *counts,
                  int64_t *taken)
{
    bool there = false;
    int result = still_there(store, item, &there);

    if (result != STORE_OK || !there) {
        return result;
    }
    counts->examined++;
    if (item->verdict == PG_MOVE) {
        return move(store, item, replay, counts, taken);
    }
    counts->kept++;
    return replay->dry_run
               ? STORE_OK
               : note_why(store, item, replay->restamp ? now_of(replay) : 0, &item->problem);
}

static void note_entries(struct store *store, int64_t taken)
{
    if (store->entries >= taken && store->entries < STORE_QUARANTINE_COUNTED) {
        store->entries -= taken;
        store->entries_durable = store->entries;
    }
}

int pg_item_write(struct store *store, const struct pg_item *item, struct store_replay *replay)
{
    struct store_replay_counts counts = replay->counts[item->source];
    int64_t taken = 0;
    int result = STORE_OK;

    if (item->verdict == PG_KEEP) {
        replay->counts[item->source].examined++;
        replay->counts[item->source].kept++;
        return STORE_OK;
    }
    if (!replay->dry_run) {
        result = pg_own_begin(store);
    }
    if (result == STORE_OK) {
        result = change(store, item, replay, &counts, &taken);
    }
    if (!replay->dry_run && result == STORE_OK) {
        result = pg_own_commit(store);
    } else if (!replay->dry_run) {
        pg_own_undo(store);
    }
    if (result == STORE_OK) {
        replay->counts[item->source] = counts;
        note_entries(store, item->source < STORE_REPLAY_MESSAGES ? taken : 0);
    }
    return result;
}
