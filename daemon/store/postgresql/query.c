/*
 * Statements that are not prepared, and transactions beside the batches: for foxtrackrctl, and for
 * what the daemon does rarely. The SQL stands in the file that uses it.
 *
 * Must never happen: a statement of this kind ends the daemon. It may read what belongs to other
 * people, such as a view; the messages go on without it.
 */
#include <stdio.h>

#include "store/postgresql/months_internal.h"
#include "store/postgresql/postgresql_internal.h"

int pg_usable(struct store *store)
{
    int result = STORE_OK;

    if (!store->read_only && !store->beside) {
        return store->in_transaction ? STORE_OK : pg_ready(store);
    }
    if (store->link == PG_CLOSED) {
        result = pg_connect(store);
    }
    return result == STORE_OK || result == STORE_FATAL || result == STORE_E_STOPPED ? result
                                                                                    : STORE_E_RETRY;
}

/* An error of the statement itself leaves the connection open; see the opening. */
static int forgive(struct store *store, int result, bool was_fatal)
{
    if (result == STORE_FATAL && store->db != NULL && !was_fatal) {
        store->fatal = false;
        return STORE_E_RETRY;
    }
    return result;
}

int pg_query(struct store *store, const char *sql, const char *doing, const struct pg_args *args,
             PGresult **out)
{
    static const struct pg_args none;
    bool was_fatal = store->fatal;
    int result;

    if (out != NULL) {
        *out = NULL;
    }
    args = args != NULL ? args : &none;
    if (store->db == NULL || PQsendQueryParams(store->db, sql, args->count, NULL, args->values,
                                               args->lengths, args->formats, 1) != 1) {
        result = pg_fail(store, NULL, doing);
    } else {
        result = pg_results(store, doing, out);
    }
    return forgive(store, result, was_fatal);
}

int pg_own_begin(struct store *store)
{
    int result = pg_usable(store);

    if (result == STORE_OK) {
        result = pg_simple(store, PG_BEGIN "; SET LOCAL synchronous_commit = off",
                           "begin a transaction", NULL);
    }
    store->in_transaction = result == STORE_OK;
    return result;
}

void pg_own_undo(struct store *store)
{
    char error[PG_ERROR_SIZE];

    snprintf(error, sizeof(error), "%s", store->error);
    if (store->db != NULL && PQtransactionStatus(store->db) != PQTRANS_IDLE &&
        pg_simple(store, "ROLLBACK", "roll back", NULL) != STORE_OK) {
        pg_disconnect(store);
    }
    snprintf(store->error, sizeof(store->error), "%s", error);
    store->in_transaction = false;
    months_clear(store->months); /* one that was made is gone */
}

int pg_own_commit(struct store *store)
{
    PGresult *answer = NULL;
    int result;

    store->committing = true;
    result = pg_simple(store, "COMMIT", "commit", &answer);
    store->committing = false;
    if (result == STORE_OK && PQcmdStatus(answer)[0] != 'C') { /* the tag is ROLLBACK */
        result = pg_refuse(store, STORE_E_RETRY, "%s: the transaction had failed before its COMMIT",
                           store->shown);
    }
    PQclear(answer);
    if (result != STORE_OK) {
        pg_own_undo(store);
    }
    store->in_transaction = false;
    return result;
}
