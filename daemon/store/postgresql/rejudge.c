/*
 * The entries of quarantine that the daemon itself looks at again; pipeline/writer_rejudge.c
 * decides when.
 *
 * postgresql_rejudge() parses entries with the reason `time` again once their time has come, by the
 * functions of replay: each in a transaction of its own. postgresql_restamp() corrects
 * last_received_ms of entries that came while the clock was behind.
 */
#include <string.h>

#include "base/clock.h"
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/replay_internal.h"

/* Times before 2010 are wrong in any case; the parser has the same limit. */
#define TIME_FIRST_MS INT64_C(1262304000000)

#define PAGE        100
#define PAGE_TEXT   "100"
#define HOLD_MS     5 /* how long the writer is held up, and by one message more */
#define NO_LIMIT_MS (INT64_MAX / 2)

/* Sets *claimed_ms to the time that the message names, or to 0: another thing is wrong with it. */
static int read_claim(struct store *store, const struct store_replay *replay,
                      const struct store_packet *packet, int64_t *claimed_ms)
{
    struct foxtrackr_message message = {0};
    struct foxtrackr_problem problem;
    int result = foxtrackr_message_parse(replay->fields, replay->now_ms, NO_LIMIT_MS, packet->topic,
                                         packet->topic_length, packet->payload,
                                         packet->payload_length, &message, &problem);

    *claimed_ms = result == 0 ? message.time_ms : 0;
    foxtrackr_message_clear(&message);
    return result < 0 ? pg_replay_no_memory(store) : STORE_OK;
}

/* Judges an entry whose time has come, or notes when it comes. */
static int judge(struct store *store, struct store_replay *replay, struct store_rejudge *pass,
                 const PGresult *rows, int row)
{
    struct pg_item item = {.verdict = PG_KEEP};
    int64_t claimed_ms = 0;
    int64_t due_ms = 0;
    bool in_future;
    int result = pg_item_quarantined(store, replay, rows, row, &item);

    if (result == STORE_OK) {
        result = read_claim(store, replay, &item.packet, &claimed_ms);
    }
    due_ms = claimed_ms - replay->max_future_ms;
    in_future = claimed_ms >= TIME_FIRST_MS && due_ms > item.packet.received_ms;
    if (result == STORE_OK && in_future && due_ms > replay->now_ms) {
        pass->next_due_ms = due_ms < pass->next_due_ms ? due_ms : pass->next_due_ms;
    } else if (result == STORE_OK && item.verdict != PG_KEEP && (in_future || claimed_ms == 0)) {
        result = pg_item_write(store, &item, replay);
    }
    if (result == STORE_OK) {
        memcpy(pass->digest, item.digest, DIGEST_SIZE);
        pass->begun = true;
    }
    pg_item_clear(&item);
    return result;
}

static int read_page(struct store *store, const struct store_rejudge *pass, PGresult **rows)
{
    struct pg_args args = {.count = 0};

    pg_arg_bytes(&args, (const char *)pass->digest, pass->begun ? DIGEST_SIZE : 0);
    return pg_query(store,
                    "SELECT " PG_QUARANTINE_COLUMNS " FROM quarantine"
                    " WHERE reason = 'time' AND digest > $1::bytea ORDER BY digest"
                    " LIMIT " PAGE_TEXT,
                    "look for messages whose time has come", &args, rows);
}

int postgresql_rejudge(struct store *store, struct store_rejudge *pass, bool *done)
{
    struct store_rejudge next = *pass;
    struct store_replay replay = {.fields = pass->fields,
                                  .max_future_ms = pass->max_future_ms,
                                  .now_ms = pass->now_ms,
                                  .restamp = true,
                                  .reason = FOXTRACKR_E_TIME};
    const struct store_replay_counts *counts = &replay.counts[FOXTRACKR_E_TIME];
    PGresult *rows = NULL;
    int64_t end_ms = clock_monotonic_ms() + HOLD_MS;
    int row = 0;
    int result = pg_usable(store);

    if (result == STORE_OK) {
        result = read_page(store, &next, &rows);
    }
    while (result == STORE_OK && row < PQntuples(rows) &&
           (row == 0 || clock_monotonic_ms() < end_ms)) {
        result = judge(store, &replay, &next, rows, row);
        row += result == STORE_OK;
    }
    /* Entries moved before a failure are committed: the next call meets the failure alone. */
    if (result == STORE_OK || (result == STORE_E_RETRY && row > 0)) {
        next.moved += counts->moved + counts->duplicate;
        *pass = next;
        *done = result == STORE_OK && row == PQntuples(rows) && row < PAGE;
        result = STORE_OK;
    }
    PQclear(rows);
    return result;
}

int postgresql_restamp(struct store *store, int64_t from_ms, int64_t to_ms, int64_t now_ms,
                       bool *done)
{
    struct pg_args args = {.count = 0};
    PGresult *answer = NULL;
    int result = pg_usable(store);

    pg_arg_int8(&args, from_ms);
    pg_arg_int8(&args, to_ms);
    pg_arg_int8(&args, now_ms);
    if (result == STORE_OK) {
        result = pg_query(store,
                          "UPDATE quarantine SET last_received_ms = $3::int8"
                          " WHERE digest IN (SELECT digest FROM quarantine"
                          " WHERE last_received_ms >= $1::int8 AND last_received_ms <= $2::int8"
                          " ORDER BY digest LIMIT " PAGE_TEXT " FOR UPDATE)",
                          "correct when messages of quarantine came", &args, &answer);
    }
    if (result == STORE_OK) {
        *done = pg_touched(answer) < PAGE;
    }
    PQclear(answer);
    return result;
}
