/*
 * Monthly partitions. The bounds of those that exist are read once a connection. A month that a row
 * needs and that is not there yet is made first, in the transaction of the batch, under a lock that
 * orders the daemons. A rollback takes the month away with the rows, so the list is read again
 * after one.
 *
 * The list is not sorted, and searched from its last hit: rows of a batch are of one month nearly
 * always.
 */
#include "store/postgresql/months_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgresql/batch_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define MONTHS_MAX    2048
#define AHEAD         6 /* steps; 75 days */
#define AHEAD_STEP_MS (INT64_C(15) * 86400000)

struct month {
    char parent[12];
    int64_t from_ms, until_ms;
};

struct pg_months {
    struct month list[MONTHS_MAX];
    int count;
    int last; /* index of the last hit */
    bool known;
};

struct pg_months *months_new(void)
{
    return calloc(1, sizeof(struct pg_months));
}

void months_free(struct pg_months *months)
{
    free(months);
}

void months_clear(struct pg_months *months)
{
    months->count = 0;
    months->last = 0;
    months->known = false;
}

static int load(struct store *store)
{
    struct pg_months *months = store->months;
    struct pg_args none = {.count = 0};
    PGresult *found = NULL;
    int result = pg_run(store, PG_MONTHS, &none, &found);

    if (result != STORE_OK) {
        return result;
    }
    months_clear(months);
    for (int row = 0; row < PQntuples(found) && row < MONTHS_MAX; row++) {
        struct month *month = &months->list[months->count++];

        snprintf(month->parent, sizeof(month->parent), "%s", PQgetvalue(found, row, 0));
        month->from_ms = PQgetisnull(found, row, 1) ? INT64_MIN : pg_int8(found, row, 1);
        month->until_ms = PQgetisnull(found, row, 2) ? INT64_MAX : pg_int8(found, row, 2);
    }
    months->known = true;
    PQclear(found);
    return STORE_OK;
}

static bool holds(const struct month *month, const char *table, int64_t time_ms)
{
    return time_ms >= month->from_ms && time_ms < month->until_ms &&
           strcmp(month->parent, table) == 0;
}

static bool find(struct pg_months *months, const char *table, int64_t time_ms)
{
    if (months->last < months->count && holds(&months->list[months->last], table, time_ms)) {
        return true;
    }
    for (int i = 0; i < months->count; i++) {
        if (holds(&months->list[i], table, time_ms)) {
            months->last = i;
            return true;
        }
    }
    return false;
}

static int add(struct store *store, const char *table, int64_t time_ms)
{
    struct pg_args lock = {.count = 0};
    struct pg_args month = {.count = 0};
    int result;

    pg_arg_int8(&lock, pg_lock_key("months", "", ""));
    pg_arg_text(&month, table);
    pg_arg_int8(&month, time_ms);
    result = batch_transaction(store); /* which the month goes with, if it is rolled back */
    if (result == STORE_OK) {
        result = pg_run(store, PG_MONTHS_LOCK, &lock, NULL);
    }
    if (result == STORE_OK) {
        result = pg_run(store, PG_MONTH_ADD, &month, NULL);
    }
    return result == STORE_OK ? load(store) : result;
}

int months_need(struct store *store, const char *table, int64_t time_ms)
{
    int result = store->months->known ? STORE_OK : load(store);

    if (result != STORE_OK || find(store->months, table, time_ms)) {
        return result;
    }
    result = add(store, table, time_ms);
    if (result == STORE_OK && !find(store->months, table, time_ms)) {
        return pg_refuse(store, STORE_E_RETRY,
                         "%s: the month of %lld ms cannot be added to %s: a table has its name and "
                         "is no partition of %s: rename that table",
                         store->shown, (long long)time_ms, table, table);
    }
    return result;
}

int months_ahead(struct store *store, int64_t now_ms)
{
    static const char *const tables[] = {"battery", "temperature", "messages"};
    int result = STORE_OK;

    for (int i = 0; i < 3 * AHEAD && result == STORE_OK; i++) {
        /* A month has 31 days at most: no month between the first and the last is left out. */
        result = months_need(store, tables[i % 3], now_ms + i / 3 * AHEAD_STEP_MS);
    }
    if (store->in_transaction) {
        /* Nothing else is in it. */
        int ended = result == STORE_OK ? pg_simple(store, "COMMIT", "make months", NULL) : result;

        store->in_transaction = result != STORE_OK; /* the caller rolls back */
        result = ended;
    }
    return result;
}
