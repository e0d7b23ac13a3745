/*
 * The COMMIT of a batch: the only place of this engine where STORE_OK means that messages may be
 * acknowledged.
 *
 * A COMMIT counts only if all of this holds: the server has answered COMMIT with the tag COMMIT (a
 * failed transaction is answered with ROLLBACK); no WARNING came before the answer (a wait for a
 * synchronous standby that was cancelled ends with one, and the transaction is then on one machine
 * only); and the row of the run was changed by exactly this batch. Anything else is "not known":
 * the batch is applied again, and pg_run_resume() learns what happened.
 *
 * Must never happen: PQcancel() while in_commit. It would end the wait for the standby.
 */
#include <string.h>

#include "store/postgresql/postgresql_internal.h"

static int send_counts(struct store *store)
{
    struct pg_args args = {.count = 0};

    pg_arg_int8(&args, store->run);
    pg_arg_int8(&args, (int64_t)store->counts.received);
    pg_arg_int8(&args, (int64_t)store->counts.stored);
    pg_arg_int8(&args, (int64_t)store->counts.duplicate);
    pg_arg_int8(&args, (int64_t)store->counts.quarantined);
    pg_arg_int8(&args, (int64_t)store->durable.received);
    return pg_send(store, PG_RUN_COUNT, &args);
}

/* Judges the answer to COMMIT. */
static int judge(struct store *store, PGresult *answer)
{
    if (strcmp(PQcmdStatus(answer), "COMMIT") != 0) {
        return pg_refuse(store, STORE_E_RETRY, "%s: the transaction had failed before its COMMIT",
                         store->shown);
    }
    if (store->warned) {
        store->unknown = true;
        pg_disconnect(store);
        return pg_refuse(store, STORE_E_RETRY, "%s: committed, but not as durably as asked: %s",
                         store->shown, store->notice);
    }
    return STORE_OK;
}

static int read_answers(struct store *store, bool begun)
{
    PGresult *answer = NULL;
    int64_t touched = 0;
    int result = begun ? STORE_OK : pg_expect(store, "begin a batch", NULL);

    if (result == STORE_OK) {
        result = pg_expect(store, pg_doing(PG_RUN_COUNT), &answer);
    }
    if (result == STORE_OK) {
        touched = pg_touched(answer);
    }
    PQclear(answer);
    if (result == STORE_OK && touched != 1) {
        store->fatal = true;
        result = pg_refuse(store, STORE_FATAL,
                           "%s: the row of this run in runs was changed by another program",
                           store->shown);
    }
    if (result == STORE_OK) {
        result = pg_expect(store, "commit", &answer);
        if (result == STORE_OK) {
            store->in_transaction = false;
            result = judge(store, answer);
            PQclear(answer);
        } else {
            store->unknown = true;
        }
    }
    return result;
}

int pg_commit_durably(struct store *store, const char *doing)
{
    PGresult *answer = NULL;
    int result;

    store->warned = false;
    store->in_commit = true;
    result = pg_simple(store, "COMMIT", doing, &answer);
    store->in_commit = false;
    if (result == STORE_OK && strcmp(PQcmdStatus(answer), "COMMIT") != 0) {
        result = pg_refuse(store, STORE_E_RETRY, "%s: cannot %s: the transaction had failed",
                           store->shown, doing);
    } else if (result == STORE_OK && store->warned) {
        result = pg_refuse(store, STORE_E_RETRY, "%s: cannot %s: %s", store->shown, doing,
                           store->notice);
    }
    PQclear(answer);
    return result;
}

int pg_commit(struct store *store)
{
    bool begun = store->in_transaction;
    bool committed = false;
    int result = pg_pipeline_begin(store);

    if (result == STORE_OK && !begun) {
        result = pg_send_sql(store, PG_BEGIN);
    }
    if (result == STORE_OK) {
        result = send_counts(store);
    }
    if (result == STORE_OK) {
        result = pg_send_sql(store, "COMMIT");
    }
    store->pending = store->counts;
    store->pending_messages = store->batch_messages;
    store->warned = false;
    store->in_commit = true;
    if (result == STORE_OK) {
        /* From here on the server may commit, whatever this side learns of it. */
        store->unknown = true;
        result = pg_pipeline_sync(store);
    }
    if (result == STORE_OK) {
        store->unknown = false;
        result = read_answers(store, begun);
        committed = result == STORE_OK;
        store->unknown = store->unknown || store->db == NULL;
    }
    result = pg_pipeline_end(store, result);
    store->in_commit = false;
    if (!committed) {
        return result;
    }
    if (result != STORE_OK) {
        /* The connection has ended behind the answer, which counts all the same. */
        pg_disconnect(store);
    }
    store->durable = store->pending;
    store->unknown = false;
    return STORE_OK;
}
