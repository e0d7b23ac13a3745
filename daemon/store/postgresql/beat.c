/*
 * The sign of life of a daemon that has the sessions. With it the daemon asks whether the server
 * still commits durably, and how large the database is.
 *
 * A standby ends a connection that says nothing for STORE_SILENT_MS, so the writer calls this twice
 * a second, in a stall too. A lost connection is noticed here and made anew by the next batch, or
 * here while no message comes: else another daemon could take the sessions, and this one would
 * learn of it from the broker.
 */
#include <string.h>

#include "base/clock.h"
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define BEAT_MS    900
#define MEASURE_MS 60000 /* the server looks at every file of the database */
#define DIAL_MS    5000

/* A setting that was changed since the connection was made: it is closed, and pg_connect() says why
 * it makes no other. */
static void distrust(struct store *store, const char *setting)
{
    pg_disconnect(store);
    pg_refuse(store, STORE_E_RETRY, "%s: the server has %s = off now", store->shown, setting);
}

void postgresql_beat(struct store *store)
{
    struct pg_args none = {.count = 0};
    int64_t now_ms = clock_monotonic_ms();
    PGresult *answer = NULL;

    if (store->link != PG_HOLDER || store->in_transaction || now_ms - store->spoke_ms < BEAT_MS) {
        return;
    }
    store->spoke_ms = now_ms;
    if (pg_run(store, PG_HEARTBEAT, &none, &answer) == STORE_OK &&
        store->durability == STORE_FULL && pg_int4(answer, 0, 0) == 0) {
        distrust(store, "fsync");
    }
    PQclear(answer);
}

/* Once a minute. */
static void look_at_database(struct store *store)
{
    struct pg_args none = {.count = 0};
    int64_t now_ms = clock_monotonic_ms();
    PGresult *answer = NULL;

    if (store->link != PG_HOLDER || store->in_transaction ||
        (store->measured_ms != 0 && now_ms - store->measured_ms < MEASURE_MS)) {
        return;
    }
    store->measured_ms = now_ms;
    if (pg_run(store, PG_MEASURE, &none, &answer) == STORE_OK) {
        store->bytes = pg_int8(answer, 0, 0);
        if (store->durability == STORE_FULL && strcmp(PQgetvalue(answer, 0, 1), "off") == 0) {
            distrust(store, "synchronous_commit");
        }
    }
    PQclear(answer);
}

/* Takes the sessions again after the connection was lost. Only that another daemon has them is of
 * interest: the next batch tells of everything else. */
static int hold(struct store *store)
{
    int64_t now_ms = clock_monotonic_ms();
    int result;

    if (store->link != PG_CLOSED || store->run == 0 || now_ms - store->dialled_ms < DIAL_MS) {
        return STORE_OK;
    }
    store->dialled_ms = now_ms;
    result = pg_ready(store);
    return result < 0 ? result : STORE_OK;
}

/* The writer calls this about once a second, also when no message comes. */
int postgresql_measure(struct store *store, struct store_measures *out)
{
    int result = store->fatal ? STORE_OK : hold(store);

    postgresql_beat(store);
    look_at_database(store);
    *out = (struct store_measures){.free_bytes = INT64_MAX / 2,
                                   .database_bytes = store->bytes,
                                   .wal_bytes = -1,
                                   .link = store->told};
    return result;
}
