/*
 * The rows that are not readings: runs, sessions, subscriptions, gaps.
 */
#include "store_internal.h"

int store_run_begin(struct store *store, const char *version, int64_t now_ms)
{
    const struct store_value values[] = {store_integer(now_ms), store_text(version)};
    int result = store_execute(store, STATEMENT_RUN_BEGIN, values, 2);

    if (result != STORE_OK) {
        return result;
    }
    store->run = sqlite3_last_insert_rowid(store->db);
    store->counts = (struct store_counts){0};
    return STORE_OK;
}

int store_run_end(struct store *store, int64_t now_ms)
{
    const struct store_value values[] = {store_integer(store->run), store_integer(now_ms)};

    return store_execute(store, STATEMENT_RUN_END, values, 2);
}

int store_session_durable(struct store *store, const char *client_id, int64_t now_ms)
{
    const struct store_value values[] = {store_text(client_id), store_integer(now_ms)};

    return store_execute(store, STATEMENT_SESSION_DURABLE, values, 2);
}

int store_session_connecting(struct store *store, const char *client_id)
{
    const struct store_value client = store_text(client_id);

    return store_execute(store, STATEMENT_SESSION_CONNECTING, &client, 1);
}

int store_session_settled(struct store *store, const char *client_id, int64_t now_ms)
{
    const struct store_value values[] = {store_text(client_id), store_integer(now_ms)};

    return store_execute(store, STATEMENT_SESSION_SETTLED, values, 2);
}

int store_session_established(struct store *store, const char *client_id, enum store_gap gap,
                              int64_t now_ms)
{
    const struct store_value values[] = {
        store_text(client_id),
        store_integer(now_ms),
        store_text(gap == STORE_GAP_LOST ? "session lost" : "session uncertain"),
    };
    int result = STORE_OK;

    /* The gap first: it begins where the session of before was last heard of. */
    if (gap != STORE_GAP_NONE) {
        result = store_execute(store, STATEMENT_GAP_ADD, values, 3);
    }
    if (result == STORE_OK) {
        result = store_execute(store, STATEMENT_SESSION_ESTABLISHED, values, 2);
    }
    /* A new session has no subscriptions. */
    if (result == STORE_OK) {
        result = store_execute(store, STATEMENT_SUBSCRIPTIONS_FORGET, values, 1);
    }
    return result;
}

int store_subscribed(struct store *store, const char *client_id, const char *filter, int qos,
                     int64_t now_ms)
{
    const struct store_value values[] = {store_text(client_id), store_text(filter),
                                         store_integer(qos), store_integer(now_ms)};

    return store_execute(store, STATEMENT_SUBSCRIPTION_ADD, values, 4);
}

int store_unsubscribed(struct store *store, const char *client_id, const char *filter)
{
    const struct store_value values[] = {store_text(client_id), store_text(filter)};

    return store_execute(store, STATEMENT_SUBSCRIPTION_REMOVE, values, 2);
}

int store_session_known(struct store *store, const char *client_id, bool *known, bool *uncertain)
{
    const struct store_value client = store_text(client_id);
    sqlite3_stmt *statement = store->statements[STATEMENT_SESSION_FIND];
    bool row = false;
    int result = store_step(store, STATEMENT_SESSION_FIND, &client, 1, &row);

    if (result == STORE_OK) {
        *known = row && sqlite3_column_int(statement, 0) != 0;
        *uncertain = row && sqlite3_column_int(statement, 1) != 0;
    }
    store_reset(store, STATEMENT_SESSION_FIND);
    return result;
}

int store_subscriptions(struct store *store, const char *client_id,
                        int (*each)(void *context, const char *filter, int qos), void *context)
{
    const struct store_value client = store_text(client_id);
    sqlite3_stmt *statement = store->statements[STATEMENT_SUBSCRIPTIONS];
    bool row = false;
    int result = store_step(store, STATEMENT_SUBSCRIPTIONS, &client, 1, &row);

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
