/*
 * Stores the rows of a round, reads what was there, and derives the result of each message in the
 * order of arrival, as SQLite's engine does row by row.
 *
 * A row of a message is new when its key was not in the database and no earlier message of the
 * batch has it; it is compared with the stored row where there was one, else with the first row of
 * the batch with its key, which is the stored one now.
 */
#include <stdio.h>
#include <string.h>

#include "store/postgresql/batch_internal.h"
#include "store/postgresql/postgresql_internal.h"

static const struct {
    enum pg_statement put, stored;
    const char *table;
    int values; /* before the JSON */
} kinds[BATCH_KINDS] = {
    [BATCH_BATTERY] = {PG_BATTERY_PUT, PG_BATTERY_STORED, "battery", 2},
    [BATCH_TEMPERATURE] = {PG_TEMPERATURE_PUT, PG_TEMPERATURE_STORED, "temperature", 1},
    [BATCH_MESSAGES] = {PG_MESSAGES_PUT, PG_MESSAGES_STORED, "messages", 0},
};

/* Sends `statements[kind]` for each kind that `wanted` has. */
static int send_each(struct store *store, bool stored, const bool wanted[BATCH_KINDS])
{
    int result = pg_pipeline_begin(store);

    if (result == STORE_OK && !stored && store->batch->way == BATCH_FEW) {
        result = batch_few_send(store);
    }
    for (int kind = 0; kind < BATCH_KINDS && result == STORE_OK; kind++) {
        struct pg_args args = {.count = 0};

        if (wanted[kind]) {
            pg_arg_int4(&args, (int32_t)store->batch->round);
            result = pg_send(store, stored ? kinds[kind].stored : kinds[kind].put, &args);
        }
    }
    return result == STORE_OK ? pg_pipeline_sync(store) : result;
}

static int insert(struct store *store, int64_t inserted[BATCH_KINDS])
{
    const struct pg_batch *batch = store->batch;
    bool wanted[BATCH_KINDS];
    int result;

    for (int kind = 0; kind < BATCH_KINDS; kind++) {
        wanted[kind] = batch->sent[kind] > 0;
        inserted[kind] = 0;
    }
    result = send_each(store, false, wanted);
    if (result == STORE_OK && batch->way == BATCH_FEW) {
        result = batch_few_expect(store);
    }
    for (int kind = 0; kind < BATCH_KINDS && result == STORE_OK; kind++) {
        PGresult *answer = NULL;

        if (wanted[kind]) {
            result = pg_expect(store, pg_doing(kinds[kind].put), &answer);
            inserted[kind] = answer != NULL ? pg_touched(answer) : 0;
        }
        PQclear(answer);
    }
    return pg_pipeline_end(store, result);
}

/* --- what was there ------------------------------------------------------------------------ */

/* Copies the stored values of a key. Returns false when memory is out. */
static bool keep_stored(struct pg_batch *batch, const PGresult *found, int row,
                        struct batch_key *key)
{
    int reals = kinds[key->kind].values;
    const char *copy = NULL;
    size_t length = 0;

    key->was_there = true;
    for (int i = 0; i < reals; i++) {
        key->stored[i] = (struct judge_value){.kind = JUDGE_REAL,
                                              .null = PQgetisnull(found, row, i + 1) != 0,
                                              .real = pg_real(found, row, i + 1)};
    }
    if (reals > 0 && !PQgetisnull(found, row, 3)) {
        length = (size_t)PQgetlength(found, row, 3);
        copy = batch_copy(batch, PQgetvalue(found, row, 3), length);
        if (copy == NULL) {
            return false;
        }
    }
    key->stored[reals] = judge_json("extra", copy, length);
    return true;
}

static int take_stored(struct store *store, enum batch_kind kind, const PGresult *found,
                       int64_t wanted)
{
    struct pg_batch *batch = store->batch;

    if (PQntuples(found) != wanted) {
        store->missing = kinds[kind].table; /* the pipeline must end first */
        return STORE_E_RETRY;
    }
    for (int row = 0; row < PQntuples(found); row++) {
        int32_t k = pg_int4(found, row, 0);

        if (k < 0 || (uint32_t)k >= batch->key_count) {
            store->fatal = true;
            return pg_refuse(store, STORE_FATAL, "%s: an answer names no row of the batch",
                             store->shown);
        }
        if (!keep_stored(batch, found, row, &batch->keys[k])) {
            return pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown);
        }
    }
    return STORE_OK;
}

/* A trigger that somebody has made can ignore a row. Otherwise another program has deleted rows
 * between two statements. */
int batch_refuse_missing(struct store *store, const char *table)
{
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    const char *triggers = "";
    int result;

    store->missing = NULL;
    pg_arg_text(&args, table);
    result = pg_run(store, PG_TRIGGERS, &args, &found);
    if (result == STORE_OK && PQntuples(found) > 0) {
        triggers = PQgetvalue(found, 0, 0);
    }
    if (result == STORE_OK && triggers[0] != '\0') {
        result = pg_refuse(store, STORE_E_RETRY,
                           "%s: a row was put into the table %s and is not there; drop the trigger "
                           "that ignores it, which foxtrackrd has not made: %.100s",
                           store->shown, table, triggers);
    } else if (result == STORE_OK) {
        result =
            pg_refuse(store, STORE_E_RETRY, "%s: rows of %s were deleted while a batch was stored",
                      store->shown, table);
    }
    PQclear(found);
    return result;
}

/* Reads the rows that this transaction has not inserted; none, where all were new. */
static int read_stored(struct store *store, const int64_t inserted[BATCH_KINDS])
{
    const struct pg_batch *batch = store->batch;
    bool wanted[BATCH_KINDS];
    bool any = false;
    int result;

    for (int kind = 0; kind < BATCH_KINDS; kind++) {
        wanted[kind] = batch->sent[kind] > inserted[kind];
        any = any || wanted[kind];
    }
    if (!any) {
        return STORE_OK;
    }
    result = send_each(store, true, wanted);
    for (int kind = 0; kind < BATCH_KINDS && result == STORE_OK; kind++) {
        PGresult *found = NULL;

        if (wanted[kind]) {
            result = pg_expect(store, pg_doing(kinds[kind].stored), &found);
        }
        if (wanted[kind] && result == STORE_OK) {
            result = take_stored(store, (enum batch_kind)kind, found,
                                 batch->sent[kind] - inserted[kind]);
        }
        PQclear(found);
    }
    result = pg_pipeline_end(store, result);
    return store->missing != NULL ? batch_refuse_missing(store, store->missing) : result;
}

/* --- results ------------------------------------------------------------------------------- */

static enum judge_row judge_part(const struct pg_batch *batch, uint32_t index, int part_index,
                                 struct foxtrackr_problem *problem)
{
    const struct batch_part *part = &batch->messages[index].parts[part_index];
    const struct batch_key *key = &batch->keys[part->key];
    const struct judge_value *stored = key->stored;

    if (!key->was_there) {
        if (key->message == index && key->part == part_index) {
            return JUDGE_NEW;
        }
        stored = batch->messages[key->message].parts[key->part].values;
    }
    return judge_compare(kinds[part->kind].table, part->values, stored, part->count, problem);
}

static enum judge_row judge_message(const struct pg_batch *batch, uint32_t index,
                                    struct foxtrackr_problem *problem)
{
    const struct batch_message *message = &batch->messages[index];
    const char *tables[BATCH_PARTS] = {NULL, NULL};
    enum judge_row each[BATCH_PARTS] = {JUDGE_SAME, JUDGE_SAME};

    *problem = (struct foxtrackr_problem){.reason = FOXTRACKR_E_CONFLICT};
    for (int i = 0; i < message->part_count; i++) {
        struct foxtrackr_problem own = {.reason = FOXTRACKR_E_CONFLICT};

        tables[i] = kinds[message->parts[i].kind].table;
        each[i] = judge_part(batch, index, i, &own);
        if (each[i] == JUDGE_CONFLICT && problem->detail[0] == '\0') {
            *problem = own;
        }
    }
    return judge_rows(tables, each, message->part_count, problem);
}

static int settle_message(struct store *store, uint32_t index)
{
    const struct batch_message *message = &store->batch->messages[index];
    struct foxtrackr_problem problem;
    enum judge_row row = judge_message(store->batch, index, &problem);
    struct store_counts *counts = &store->counts;

    if (row == JUDGE_CONFLICT) {
        int result = batch_quarantine(store, &problem, &message->packet, message->again);

        if (result != STORE_OK) {
            return result;
        }
        store->handler.quarantined(store->handler.context, &message->packet, &problem);
    }
    if (!message->again) {
        counts->received++;
        counts->stored += row == JUDGE_NEW;
        counts->duplicate += row == JUDGE_SAME;
        counts->quarantined += row == JUDGE_CONFLICT;
    }
    return STORE_OK;
}

/* Stores the rows of the round that are new, and reads the others. */
static int store_rows(struct store *store)
{
    int64_t inserted[BATCH_KINDS];
    int result = STORE_OK;

    if (store->batch->way == BATCH_DIRECT) {
        result = batch_store_direct(store);
        if (result != STORE_OK || store->batch->way == BATCH_DIRECT) {
            return result;
        }
    }
    result = insert(store, inserted);
    if (result == STORE_OK) {
        result = read_stored(store, inserted);
        batch_note_new(store, inserted);
    }
    return result;
}

int batch_judge(struct store *store)
{
    struct pg_batch *batch = store->batch;
    int result = STORE_OK;

    if (batch->judged == batch->placed) {
        return STORE_OK;
    }
    if (batch->key_count > batch->round) {
        result = store_rows(store);
        memset(batch->sent, 0, sizeof(batch->sent));
    }
    while (batch->judged < batch->placed && result == STORE_OK) {
        result = settle_message(store, batch->judged);
        batch->judged += result == STORE_OK;
    }
    return result;
}
