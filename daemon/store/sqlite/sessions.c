/*
 * The rows that are not readings: runs, sessions, subscriptions, gaps.
 *
 * Sessions and subscriptions are keyed by client id and broker (store_options.broker), because
 * another broker has another session with another queue. They record the state when the broker was
 * last connected; every connection still subscribes to all filters.
 */
#include <string.h>

#include "store/sqlite/sqlite_internal.h"

int sqlite_run_begin(struct store *store, const char *version, int64_t now_ms)
{
    const struct store_value values[] = {store_integer(now_ms), store_text(version)};
    int result = store_set_synced(store, true); /* recorded data must be on disk */

    if (result == STORE_OK) {
        result = store_execute(store, STATEMENT_RUN_BEGIN, values, 2);
    }
    /* An earlier run may have left a WAL that takes the last free space of the disk. */
    if (result == STORE_E_RETRY && store->no_room && store_tidy_wal(store, false) == STORE_OK) {
        result = store_execute(store, STATEMENT_RUN_BEGIN, values, 2);
    }
    if (result != STORE_OK) {
        return result;
    }
    store->run = sqlite3_last_insert_rowid(store->db);
    store->counts = (struct store_counts){0};
    store->received_durable = 0;
    store_record_run(store, now_ms, 0);
    return STORE_OK;
}

int sqlite_run_end(struct store *store, int64_t now_ms)
{
    const struct store_value values[] = {store_integer(store->run), store_integer(now_ms)};
    int result;

    if (store->run == 0) {
        return STORE_OK;
    }
    result = store_check_target(store);
    if (result == STORE_OK) {
        result = store_set_synced(store, true);
    }
    if (result == STORE_OK) {
        result = store_execute(store, STATEMENT_RUN_END, values, 2);
    }
    if (result == STORE_OK && sqlite3_get_autocommit(store->db)) {
        store_record_run(store, 0, now_ms);
    }
    return result;
}

int store_adopt_sessions(struct store *store)
{
    const struct store_value broker = store_text(store->broker);
    int result = store_execute(store, STATEMENT_SESSIONS_ADOPT, &broker, 1);

    return result == STORE_OK ? store_execute(store, STATEMENT_SUBSCRIPTIONS_ADOPT, &broker, 1)
                              : result;
}

int sqlite_session_durable(struct store *store, const char *client_id, int64_t now_ms)
{
    const struct store_value values[] = {store_text(client_id), store_text(store->broker),
                                         store_integer(now_ms)};

    return store_execute(store, STATEMENT_SESSION_DURABLE, values, 3);
}

int sqlite_session_connecting(struct store *store, const char *client_id)
{
    const struct store_value values[] = {store_text(client_id), store_text(store->broker)};

    store->batch_items++;
    return store_execute(store, STATEMENT_SESSION_CONNECTING, values, 2);
}

/*
 * Adds a gap, before the session's row changes: the gap begins with the last durable message of the
 * earlier session.
 *
 * A broker that ends the connection at every SUBSCRIBE may make a new session at every connection.
 * A lost session that began where a gap ended, brought no data and has no subscription on record
 * gets no gap of its own: the one before it ends later, and covers the time of both.
 */
static int add_gap(struct store *store, const char *client_id, enum store_gap gap, int64_t now_ms)
{
    static const char *const reasons[] = {
        [STORE_GAP_NONE] = "",
        [STORE_GAP_LOST] = "session lost",
        [STORE_GAP_UNCERTAIN] = "session uncertain",
        [STORE_GAP_MOVED] = "broker changed",
    };
    const struct store_value values[] = {store_text(client_id), store_text(store->broker),
                                         store_integer(now_ms), store_text(reasons[gap])};

    if (gap == STORE_GAP_NONE) {
        return STORE_OK;
    }
    if (gap == STORE_GAP_LOST) {
        int result = store_execute(store, STATEMENT_GAP_EXTEND, values, 3);

        if (result != STORE_OK || sqlite3_changes(store->db) > 0) {
            return result;
        }
    }
    return store_execute(store, STATEMENT_GAP_ADD, values, 4);
}

/* Puts the answer to a CONNECT on record, with the statement for it, and the gap that it tells of.
 */
static int put_answer(struct store *store, enum store_statement statement, const char *client_id,
                      enum store_gap gap, const struct store_protocol *protocol, int64_t now_ms)
{
    const struct store_protocol known = protocol != NULL ? *protocol : (struct store_protocol){0};
    const struct store_value values[] = {store_text(client_id), store_text(store->broker),
                                         store_integer(now_ms), store_integer(known.version),
                                         store_integer(known.asked_ms)};
    int result = add_gap(store, client_id, gap, now_ms);

    store->batch_items++;
    return result == STORE_OK ? store_execute(store, statement, values, 5) : result;
}

int sqlite_session_settled(struct store *store, const char *client_id, enum store_gap gap,
                           const struct store_protocol *protocol, int64_t now_ms)
{
    return put_answer(store, STATEMENT_SESSION_SETTLED, client_id, gap, protocol, now_ms);
}

int sqlite_session_established(struct store *store, const char *client_id, enum store_gap gap,
                               const struct store_protocol *protocol, int64_t now_ms)
{
    const struct store_value values[] = {store_text(client_id), store_text(store->broker)};
    int result = put_answer(store, STATEMENT_SESSION_ESTABLISHED, client_id, gap, protocol, now_ms);

    /* A new session has no subscriptions. */
    if (result == STORE_OK) {
        result = store_execute(store, STATEMENT_SUBSCRIPTIONS_FORGET, values, 2);
    }
    return result;
}

int sqlite_subscribed(struct store *store, const char *client_id, const char *filter, int qos,
                      int64_t now_ms)
{
    const struct store_value values[] = {store_text(client_id), store_text(store->broker),
                                         store_text(filter), store_integer(qos),
                                         store_integer(now_ms)};

    store->batch_items++;
    return store_execute(store, STATEMENT_SUBSCRIPTION_ADD, values, 5);
}

int sqlite_unsubscribed(struct store *store, const char *client_id, const char *filter)
{
    const struct store_value values[] = {store_text(client_id), store_text(store->broker),
                                         store_text(filter)};

    store->batch_items++;
    return store_execute(store, STATEMENT_SUBSCRIPTION_REMOVE, values, 3);
}

int sqlite_session_find(struct store *store, const char *client_id, struct store_session *out)
{
    const struct store_value values[] = {store_text(client_id), store_text(store->broker)};
    sqlite3_stmt *statement = store->statements[STATEMENT_SESSION_FIND];
    struct store_session found = {0};
    int64_t here_ms = 0;
    int64_t elsewhere_ms = 0;
    bool row = false;
    int result = store_step(store, STATEMENT_SESSION_FIND, values, 2, &row);

    while (result == STORE_OK && row) {
        int64_t connected_ms = sqlite3_column_int64(statement, 3);

        if (sqlite3_column_int(statement, 0) != 0) {
            found.known = sqlite3_column_int(statement, 1) != 0;
            found.uncertain = sqlite3_column_int(statement, 2) != 0;
            found.protocol.version = sqlite3_column_int(statement, 4);
            found.protocol.asked_ms = sqlite3_column_int64(statement, 5);
            here_ms = connected_ms;
        } else if (connected_ms > elsewhere_ms) {
            elsewhere_ms = connected_ms;
        }
        result = store_step(store, STATEMENT_SESSION_FIND, NULL, 0, &row);
    }
    store_reset(store, STATEMENT_SESSION_FIND);
    found.elsewhere = elsewhere_ms > here_ms;
    if (result == STORE_OK) {
        *out = found;
    }
    return result;
}

int sqlite_sessions_unused(struct store *store, const char *const client_ids[], unsigned count,
                           store_unused_fn *each, void *context)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_SESSIONS];
    bool row = false;
    int result = store_step(store, STATEMENT_SESSIONS, NULL, 0, &row);

    while (result == STORE_OK && row) {
        const char *client_id = (const char *)sqlite3_column_text(statement, 0);
        const char *broker = (const char *)sqlite3_column_text(statement, 1);
        bool used = false;

        for (unsigned i = 0; i < count && client_id != NULL; i++) {
            used |= strcmp(client_id, client_ids[i]) == 0;
        }
        if (!used && client_id != NULL && broker != NULL) {
            each(context, client_id, broker, sqlite3_column_int64(statement, 2));
        }
        result = store_step(store, STATEMENT_SESSIONS, NULL, 0, &row);
    }
    store_reset(store, STATEMENT_SESSIONS);
    return result;
}

int sqlite_subscriptions(struct store *store, const char *client_id,
                         int (*each)(void *context, const char *filter, int qos), void *context)
{
    const struct store_value values[] = {store_text(client_id), store_text(store->broker)};
    sqlite3_stmt *statement = store->statements[STATEMENT_SUBSCRIPTIONS];
    bool row = false;
    int result = store_step(store, STATEMENT_SUBSCRIPTIONS, values, 2, &row);

    while (result == STORE_OK && row) {
        result = each(context, (const char *)sqlite3_column_text(statement, 0),
                      sqlite3_column_int(statement, 1));
        if (result == STORE_OK) {
            result = store_step(store, STATEMENT_SUBSCRIPTIONS, NULL, 0, &row);
        }
    }
    store_reset(store, STATEMENT_SUBSCRIPTIONS);
    return result;
}
