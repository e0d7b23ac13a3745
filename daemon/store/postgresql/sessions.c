/*
 * The records of MQTT sessions: sessions, subscriptions, gaps. Those of the open batch are written
 * in its transaction, one round trip each: they are few. Their rows belong to the holder of the
 * client id's lock, so that no other daemon waits for them.
 */
#include <stdio.h>
#include <string.h>

#include "store/postgresql/batch_internal.h"
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

/* The parameters that every statement begins with. */
static struct pg_args args_for(struct store *store, const char *client_id)
{
    struct pg_args args = {.count = 0};

    pg_arg_text(&args, client_id);
    pg_arg_text(&args, store->broker);
    return args;
}

/* Runs a statement in the open batch. */
static int write(struct store *store, enum pg_statement id, const struct pg_args *args,
                 int64_t *touched)
{
    PGresult *answer = NULL;
    int result = batch_transaction(store);

    if (result == STORE_OK) {
        result = pg_run(store, id, args, &answer);
    }
    if (result == STORE_OK && touched != NULL) {
        *touched = pg_touched(answer);
    }
    PQclear(answer);
    return result;
}

/* --- in the open batch --------------------------------------------------------------------- */

int postgresql_session_durable(struct store *store, const char *client_id, int64_t now_ms)
{
    struct pg_args args = args_for(store, client_id);

    pg_arg_int8(&args, now_ms);
    return write(store, PG_SESSION_DURABLE, &args, NULL);
}

int postgresql_session_connecting(struct store *store, const char *client_id)
{
    struct pg_args args = args_for(store, client_id);

    return write(store, PG_SESSION_CONNECTING, &args, NULL);
}

/* Adds a gap, before the session's row changes; the rules are those of store/sqlite/sessions.c. */
static int add_gap(struct store *store, const char *client_id, enum store_gap gap, int64_t now_ms)
{
    static const char *const reasons[] = {
        [STORE_GAP_NONE] = "",
        [STORE_GAP_LOST] = "session lost",
        [STORE_GAP_UNCERTAIN] = "session uncertain",
        [STORE_GAP_MOVED] = "broker changed",
    };
    struct pg_args args = args_for(store, client_id);

    if (gap == STORE_GAP_NONE) {
        return STORE_OK;
    }
    pg_arg_int8(&args, now_ms);
    if (gap == STORE_GAP_LOST) {
        int64_t extended = 0;
        int result = write(store, PG_GAP_EXTEND, &args, &extended);

        if (result != STORE_OK || extended > 0) {
            return result;
        }
    }
    pg_arg_text(&args, reasons[gap]);
    return write(store, PG_GAP_ADD, &args, NULL);
}

static int put_answer(struct store *store, enum pg_statement id, const char *client_id,
                      enum store_gap gap, const struct store_protocol *protocol, int64_t now_ms)
{
    const struct store_protocol known = protocol != NULL ? *protocol : (struct store_protocol){0};
    struct pg_args args = args_for(store, client_id);
    int result = add_gap(store, client_id, gap, now_ms);

    pg_arg_int8(&args, now_ms);
    pg_arg_int8(&args, known.version);
    pg_arg_int8(&args, known.asked_ms);
    return result == STORE_OK ? write(store, id, &args, NULL) : result;
}

int postgresql_session_settled(struct store *store, const char *client_id, enum store_gap gap,
                               const struct store_protocol *protocol, int64_t now_ms)
{
    return put_answer(store, PG_SESSION_SETTLED, client_id, gap, protocol, now_ms);
}

int postgresql_session_established(struct store *store, const char *client_id, enum store_gap gap,
                                   const struct store_protocol *protocol, int64_t now_ms)
{
    struct pg_args args = args_for(store, client_id);
    int result = put_answer(store, PG_SESSION_ESTABLISHED, client_id, gap, protocol, now_ms);

    /* A new session has no subscriptions. */
    return result == STORE_OK ? write(store, PG_SUBSCRIPTIONS_FORGET, &args, NULL) : result;
}

int postgresql_subscribed(struct store *store, const char *client_id, const char *filter, int qos,
                          int64_t now_ms)
{
    struct pg_args args = args_for(store, client_id);

    pg_arg_text(&args, filter);
    pg_arg_int8(&args, qos);
    pg_arg_int8(&args, now_ms);
    return write(store, PG_SUBSCRIPTION_ADD, &args, NULL);
}

int postgresql_unsubscribed(struct store *store, const char *client_id, const char *filter)
{
    struct pg_args args = args_for(store, client_id);

    pg_arg_text(&args, filter);
    return write(store, PG_SUBSCRIPTION_REMOVE, &args, NULL);
}

/* --- without a batch ----------------------------------------------------------------------- */

/* Reads over a connection that may have been lost meanwhile. */
static int read(struct store *store, enum pg_statement id, const struct pg_args *args,
                PGresult **out)
{
    int result = store->in_transaction ? STORE_OK : pg_ready(store);

    *out = NULL;
    return result == STORE_OK ? pg_run(store, id, args, out) : result;
}

int postgresql_session_find(struct store *store, const char *client_id, struct store_session *out)
{
    struct pg_args args = args_for(store, client_id);
    struct store_session found = {0};
    int64_t here_ms = 0;
    int64_t elsewhere_ms = 0;
    PGresult *rows = NULL;
    int result = read(store, PG_SESSION_FIND, &args, &rows);

    for (int row = 0; result == STORE_OK && row < PQntuples(rows); row++) {
        int64_t connected_ms = pg_int8(rows, row, 3);

        if (pg_int4(rows, row, 0) != 0) {
            found.known = pg_int4(rows, row, 1) != 0;
            found.uncertain = pg_int4(rows, row, 2) != 0;
            found.protocol.version = pg_int4(rows, row, 4);
            found.protocol.asked_ms = pg_int8(rows, row, 5);
            here_ms = connected_ms;
        } else if (connected_ms > elsewhere_ms) {
            elsewhere_ms = connected_ms;
        }
    }
    PQclear(rows);
    found.elsewhere = elsewhere_ms > here_ms;
    if (result == STORE_OK) {
        *out = found;
    }
    return result;
}

int postgresql_sessions_unused(struct store *store, const char *const client_ids[], unsigned count,
                               store_unused_fn *each, void *context)
{
    struct pg_args none = {.count = 0};
    PGresult *rows = NULL;
    int result = read(store, PG_SESSIONS, &none, &rows);

    for (int row = 0; result == STORE_OK && row < PQntuples(rows); row++) {
        const char *client_id = PQgetvalue(rows, row, 0);
        bool used = false;

        for (unsigned i = 0; i < count; i++) {
            used = used || strcmp(client_id, client_ids[i]) == 0;
        }
        if (!used) {
            each(context, client_id, PQgetvalue(rows, row, 1), pg_int8(rows, row, 2));
        }
    }
    PQclear(rows);
    return result;
}

int postgresql_subscriptions(struct store *store, const char *client_id,
                             int (*each)(void *context, const char *filter, int qos), void *context)
{
    struct pg_args args = args_for(store, client_id);
    PGresult *rows = NULL;
    int result = read(store, PG_SUBSCRIPTIONS, &args, &rows);

    for (int row = 0; result == STORE_OK && row < PQntuples(rows); row++) {
        result = each(context, PQgetvalue(rows, row, 0), pg_int4(rows, row, 1));
    }
    PQclear(rows);
    return result;
}
