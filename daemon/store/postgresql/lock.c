/*
 * The locks of the client ids: session-level advisory locks of the connection that commits. The
 * server releases them when the connection ends, after it has ended its transaction. So whoever has
 * them knows that no commit of another holder is still on its way.
 *
 * A daemon takes the locks of all its client ids or of none, in the order of the keys.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgresql/arrays_internal.h"
#include "store/postgresql/postgresql_internal.h"

int64_t pg_lock_key(const char *what, const char *broker, const char *client_id)
{
    uint8_t digest[DIGEST_SIZE];
    char *text = NULL;
    uint64_t key = 0;
    int length = asprintf(&text, "foxtrackrd %s%c%s%c%s", what, '\0', broker, '\0', client_id);

    if (length > 0 && digest_sha256(text, (size_t)length + 1, NULL, 0, digest) == 0) {
        memcpy(&key, digest, sizeof(key));
    }
    if (length > 0) {
        free(text);
    }
    return (int64_t)be64toh(key);
}

/* Gives back the locks of `taken` that were granted. */
static void give_back(struct store *store, const PGresult *taken)
{
    for (int row = 0; row < PQntuples(taken) && store->db != NULL; row++) {
        struct pg_args args = {.count = 0};

        if (pg_int4(taken, row, 1) != 0) {
            pg_arg_int8(&args, pg_int8(taken, row, 0));
            pg_run(store, PG_LOCK_GIVE, &args, NULL);
        }
    }
}

static bool all_granted(const PGresult *taken, unsigned count)
{
    bool granted = PQntuples(taken) == (int)count;

    for (int row = 0; row < PQntuples(taken); row++) {
        granted = granted && pg_int4(taken, row, 1) != 0;
    }
    return granted;
}

/* Notes which client id another process has. */
static void note_taken(struct store *store, const PGresult *taken)
{
    for (int row = 0; row < PQntuples(taken); row++) {
        for (unsigned i = 0; i < store->client_count && pg_int4(taken, row, 1) == 0; i++) {
            if (pg_lock_key("session", store->broker, store->client_ids[i]) ==
                pg_int8(taken, row, 0)) {
                store->taken_id = store->client_ids[i];
                return;
            }
        }
    }
}

/* Ends the connection of a holder that does nothing any more. One of our own process, which the
 * server has not yet given up, needs no wait: returns true. */
static bool end_holder(struct store *store, const PGresult *found, const char *name)
{
    bool works = pg_int4(found, 0, 3) != 0;
    bool own = store->token[0] != '\0' && strstr(name, store->token) != NULL;
    struct pg_args args = {.count = 0};

    if (own || (!works && pg_int8(found, 0, 4) > STORE_SILENT_MS)) {
        pg_arg_int4(&args, pg_int4(found, 0, 0));
        pg_run(store, PG_END_HOLDER, &args, NULL);
    }
    return own;
}

void pg_lock_describe(const char *name, const char *address, struct store_holder *holder)
{
    static const char prefix[] = "foxtrackrd ";
    const char *host = name + strlen(prefix);
    const char *slash = strncmp(name, prefix, strlen(prefix)) == 0 ? strchr(host, '/') : NULL;

    if (slash != NULL) {
        snprintf(holder->text, sizeof(holder->text), "host %.*s, process %ld", (int)(slash - host),
                 host, strtol(slash + 1, NULL, 10));
    } else {
        snprintf(holder->text, sizeof(holder->text), "\"%.50s\" at %.40s", name, address);
    }
}

/* Finds out who has the client ids, and ends a silent one. STORE_E_RETRY: it is of this process. */
static int see_holder(struct store *store, const struct pg_args *keys, struct store_holder *holder)
{
    PGresult *found = NULL;
    char name[PG_NAME_SIZE];
    int result = pg_run(store, PG_LOCK_HOLDERS, keys, &found);

    *holder = (struct store_holder){.text = "another daemon"};
    if (result == STORE_OK && PQntuples(found) > 0) {
        snprintf(name, sizeof(name), "%s", PQgetvalue(found, 0, 1));
        holder->silent_ms = pg_int8(found, 0, 4);
        pg_lock_describe(name, PQgetvalue(found, 0, 2), holder);
        if (end_holder(store, found, name)) {
            result = pg_refuse(store, STORE_E_RETRY,
                               "%s: its earlier connection still has the client ids, and is ended",
                               store->shown);
        }
    }
    PQclear(found);
    return result;
}

int pg_lock_take(struct store *store, struct store_holder *holder)
{
    struct pg_array keys = {0};
    struct pg_args args = {.count = 0};
    PGresult *taken = NULL;
    int result = STORE_OK;

    array_begin(&keys, ARRAY_INT8);
    for (unsigned i = 0; i < store->client_count; i++) {
        array_int8(&keys, store->lock_keys[i]);
    }
    if (!array_arg(&keys, &args)) {
        result = pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown);
    }
    if (result == STORE_OK) {
        result = pg_run(store, PG_LOCK_TRY, &args, &taken);
    }
    if (result == STORE_OK && all_granted(taken, store->client_count)) {
        store->link = PG_HOLDER;
    } else if (result == STORE_OK) {
        note_taken(store, taken);
        give_back(store, taken);
        result = see_holder(store, &args, holder);
        result = result == STORE_OK ? STORE_E_LOCKED : result;
    }
    PQclear(taken);
    array_free(&keys);
    return result;
}
