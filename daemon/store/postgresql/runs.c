/*
 * The row of the run in `runs`, and what it tells after a lost connection.
 *
 * When a connection breaks in COMMIT, it is not known whether the COMMIT took effect. The row of
 * the run was updated in that transaction, so it knows: with the counts that were sent, the batch
 * is stored. The same messages are then applied again, in the same order, without being counted
 * again; their rows are there, so they are duplicates of themselves.
 *
 * With any other counts, or without the row, this database is not the one that the last commits
 * went to: a failover to a server that did not have them, or a backup. What was acknowledged is
 * lost, and the broker does not send it again. A row in `gaps` says so for each client id ("older
 * database", as SQLite's engine writes after a restore), and the daemon goes on with what is there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/postgresql/arrays_internal.h"
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

/* Adds the run's row. */
static int add_row(struct store *store, int64_t *run)
{
    struct pg_args args = {.count = 0};
    PGresult *made = NULL;
    int result;

    pg_arg_int8(&args, store->started_ms);
    pg_arg_text(&args, store->version);
    result = pg_run(store, PG_RUN_BEGIN, &args, &made);
    if (result == STORE_OK) {
        *run = pg_int8(made, 0, 0);
    }
    PQclear(made);
    return result;
}

int postgresql_run_begin(struct store *store, const char *version, int64_t now_ms)
{
    int result = pg_ready(store);

    if (result != STORE_OK) {
        return result;
    }
    snprintf(store->version, sizeof(store->version), "%s", version);
    store->started_ms = now_ms;
    result = add_row(store, &store->run); /* a transaction of its own */
    if (result == STORE_OK) {
        store->counts = (struct store_counts){0};
        store->durable = store->pending = store->counts;
        store->resumed = true;
    }
    return result;
}

int postgresql_run_end(struct store *store, int64_t now_ms)
{
    struct pg_args args = {.count = 0};
    int result = store->run != 0 ? pg_ready(store) : STORE_OK;

    if (result != STORE_OK || store->run == 0) {
        return result;
    }
    pg_arg_int8(&args, store->run);
    pg_arg_int8(&args, now_ms);
    return pg_run(store, PG_RUN_END, &args, NULL);
}

/* Reads the row in a transaction that is committed: its COMMIT waits for what came before. */
static int read_row(struct store *store, bool *found, struct store_counts *out)
{
    struct pg_args args = {.count = 0};
    PGresult *row = NULL;
    int result;

    pg_arg_int8(&args, store->run);
    store->warned = false;
    store->in_commit = true;
    result = pg_run(store, PG_RUN_READ, &args, &row);
    store->in_commit = false;
    if (result == STORE_OK && store->warned) {
        result =
            pg_refuse(store, STORE_E_RETRY, "%s: cannot see what became of the last commit: %s",
                      store->shown, store->notice);
    }
    *found = result == STORE_OK && PQntuples(row) == 1;
    if (*found) {
        *out = (struct store_counts){
            .received = (uint64_t)pg_int8(row, 0, 0),
            .stored = (uint64_t)pg_int8(row, 0, 1),
            .duplicate = (uint64_t)pg_int8(row, 0, 2),
            .quarantined = (uint64_t)pg_int8(row, 0, 3),
        };
    }
    PQclear(row);
    return result;
}

/* --- an older database ----------------------------------------------------------------------- */

static int add_gaps(struct store *store)
{
    struct pg_array ids = {0};
    struct pg_args args = {.count = 0};
    int result;

    array_begin(&ids, ARRAY_TEXT);
    for (unsigned i = 0; i < store->client_count; i++) {
        array_bytes(&ids, store->client_ids[i], strlen(store->client_ids[i]));
    }
    if (array_arg(&ids, &args)) {
        pg_arg_text(&args, store->broker);
        pg_arg_int8(&args, clock_wall_ms());
        pg_arg_int8(&args, store->started_ms);
        result = pg_run(store, PG_GAP_OLDER, &args, NULL);
    } else {
        result = pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown);
    }
    array_free(&ids);
    return result;
}

/* Notes the gap, makes the run's row if it is gone, and goes on with the counts that are there. */
static int accept_older(struct store *store, bool found, const struct store_counts *row)
{
    uint64_t had = store->durable.received;
    int64_t run = store->run;
    int result = pg_simple(store, PG_BEGIN, "note a gap", NULL);

    if (result == STORE_OK && !found) {
        result = add_row(store, &run);
    }
    if (result == STORE_OK) {
        result = add_gaps(store);
    }
    if (result == STORE_OK) {
        result = pg_commit_durably(store, "note a gap");
    }
    if (result != STORE_OK) {
        pg_disconnect(store); /* a rollback */
        return result;
    }
    store->run = run;
    store->durable = *row;
    store->counts = store->durable;
    store->unknown = false;
    store->resumed = true;
    snprintf(
        store->news, sizeof(store->news),
        "%s: this database does not have everything that was acknowledged: it has %" PRIu64
        " of the %" PRIu64 " that this run has received, so it is an older state (a failover"
        " without a synchronous standby, or a backup); gaps has a row for each client id, with the"
        " reason \"older database\"",
        store->shown, row->received, had);
    return STORE_OK;
}

int pg_run_resume(struct store *store)
{
    struct store_counts row = {0};
    bool found = false;
    int result = read_row(store, &found, &row);

    if (result != STORE_OK) {
        return result;
    }
    store->told.unknown_commits += store->unknown;
    if (found && store->unknown && row.received == store->pending.received) {
        store->told.committed_after_all++;
        store->durable = store->pending;
        store->counted_already = store->pending_messages;
        store->counted_at_begin = store->counted_already;
    } else if (!found || row.received != store->durable.received) {
        return accept_older(store, found, &row);
    }
    store->counts = store->durable;
    store->unknown = false;
    store->resumed = true;
    return STORE_OK;
}
