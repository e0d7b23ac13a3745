/*
 * Opening: connect (connect.c: check the server, migrate), then take the locks of the client ids,
 * unless the caller is a tool, or waits as a standby and takes them by store_take().
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "store/postgresql/batch_internal.h"
#include "store/postgresql/devices_internal.h"
#include "store/postgresql/expire_internal.h"
#include "store/postgresql/months_internal.h"
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

/* A tool's query may read the whole database; its user can end it, and TCP a dead connection. */
#define TOOL_WAIT_MS (24 * 3600 * 1000)

static void discard(struct store *store)
{
    pg_disconnect(store);
    pg_transfer_free(store);
    batch_free(store->batch);
    devices_free(store->devices);
    months_free(store->months);
    pg_zone_free(store);
    free(store->expire);
    for (unsigned i = 0; store->client_ids != NULL && i < store->client_count; i++) {
        free(store->client_ids[i]);
    }
    free(store->client_ids);
    free(store->lock_keys);
    free(store->broker);
    free(store->shown);
    free(store->uri);
    free(store);
}

static int ascending(const void *first, const void *second)
{
    int64_t one = *(const int64_t *)first;
    int64_t other = *(const int64_t *)second;

    return (one > other) - (one < other);
}

static bool make_keys(struct store *store, const struct store_options *options)
{
    store->client_count = options->client_count;
    store->lock_keys = calloc(options->client_count + 1, sizeof(*store->lock_keys));
    store->client_ids = calloc(options->client_count + 1, sizeof(*store->client_ids));
    if (store->lock_keys == NULL || store->client_ids == NULL) {
        return false;
    }
    for (unsigned i = 0; i < store->client_count; i++) {
        store->client_ids[i] = strdup(options->client_ids[i]);
        if (store->client_ids[i] == NULL) {
            return false;
        }
        store->lock_keys[i] = pg_lock_key("session", store->broker, options->client_ids[i]);
    }
    qsort(store->lock_keys, store->client_count, sizeof(*store->lock_keys), ascending);
    return true;
}

static void make_token(struct store *store)
{
    uint64_t random = 0;

    if (getrandom(&random, sizeof(random), 0) == (ssize_t)sizeof(random)) {
        snprintf(store->token, sizeof(store->token), "%016llx", (unsigned long long)random);
    }
}

static struct store *make(const struct store_options *options)
{
    struct store *store = calloc(1, sizeof(*store));

    if (store == NULL) {
        return NULL;
    }
    store->handle.engine = &store_postgresql;
    store->entries = store->entries_durable = -1;
    store->bytes = -1;
    store->uri = strdup(options->uri);
    store->shown = strdup(options->path);
    store->broker = strdup(options->broker != NULL ? options->broker : "");
    store->password = options->password;
    store->answer_timeout_ms = options->answer_timeout_ms;
    store->wait_ms =
        options->read_only && options->stopped != NULL ? TOOL_WAIT_MS : options->answer_timeout_ms;
    store->busy_timeout_ms = options->busy_timeout_ms;
    store->durability = options->durability;
    store->read_only = options->read_only;
    store->beside = options->beside;
    store->standby = options->standby;
    store->moving = options->moving;
    store->stopped = options->stopped;
    store->batch = batch_new();
    store->devices = devices_new();
    store->months = months_new();
    store->expire = calloc(1, sizeof(*store->expire));
    make_token(store);
    if (store->uri == NULL || store->shown == NULL || store->broker == NULL ||
        store->batch == NULL || store->devices == NULL || store->months == NULL ||
        store->expire == NULL || !make_keys(store, options) ||
        !pg_zone_keep(store, options->zone)) {
        discard(store);
        return NULL;
    }
    return store;
}

int postgresql_open(const struct store_options *options, struct store **out, char *problem,
                    size_t problem_size)
{
    struct store *store = make(options);
    struct store_holder holder;
    int result;

    if (store == NULL) {
        snprintf(problem, problem_size, "%s: out of memory", options->path);
        return STORE_E_RETRY;
    }
    result = pg_connect(store);
    if (result == STORE_OK && !options->read_only && !options->beside &&
        (!options->standby || options->moving)) {
        result = postgresql_take(store, &holder);
    }
    if (result == STORE_OK) {
        *out = store;
        return STORE_OK;
    }
    snprintf(problem, problem_size, "%s", store->error);
    discard(store);
    return result;
}

int postgresql_take(struct store *store, struct store_holder *holder)
{
    int result = store->link == PG_CLOSED ? pg_connect(store) : STORE_OK;

    if (result == STORE_OK) {
        result = pg_lock_take(store, holder);
    }
    if (result == STORE_E_LOCKED) {
        return pg_refuse(store, STORE_E_LOCKED,
                         "%s: %s has the client id %s: stop that daemon, or set standby = yes in "
                         "both, or another session.number in one",
                         store->shown, holder->text,
                         store->taken_id != NULL ? store->taken_id : "of this one");
    }
    if (result == STORE_OK) {
        result = pg_zone_apply(store);
    }
    return result == STORE_E_RETRY ? STORE_E_WAIT : result;
}

int postgresql_close(struct store *store)
{
    int result = store->fatal ? STORE_FATAL : STORE_OK;

    discard(store);
    return result;
}

const char *postgresql_error(const struct store *store)
{
    return store->error;
}

void postgresql_limit_wait(struct store *store, int wait_ms)
{
    store->wait_ms = wait_ms < store->wait_ms ? wait_ms : store->wait_ms;
}
