/* The numbers about the database's content: for status, and for the writer's decisions. */
#include <stdio.h>

#include "base/clock.h"
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define OTHERS_MS 10000

static int read(struct store *store, enum pg_statement id, const struct pg_args *args,
                PGresult **out)
{
    int result = store->in_transaction || store->read_only ? STORE_OK : pg_ready(store);

    *out = NULL;
    return result == STORE_OK ? pg_run(store, id, args, out) : result;
}

static int read_gaps(struct store *store, struct store_summary *summary)
{
    struct pg_args none = {.count = 0};
    PGresult *found = NULL;
    int result = read(store, PG_GAPS, &none, &found);

    if (result == STORE_OK && PQntuples(found) > 0) {
        summary->gaps = (uint64_t)pg_int8(found, 0, 0);
        snprintf(summary->gap_client_id, sizeof(summary->gap_client_id), "%s",
                 PQgetvalue(found, 0, 1));
        snprintf(summary->gap_reason, sizeof(summary->gap_reason), "%s", PQgetvalue(found, 0, 2));
        summary->gap_from_ms = pg_int8(found, 0, 3);
        summary->gap_to_ms = pg_int8(found, 0, 4);
    }
    PQclear(found);
    return result;
}

static int read_restored(struct store *store, struct store_summary *summary)
{
    struct pg_args none = {.count = 0};
    PGresult *found = NULL;
    int result = read(store, PG_RESTORED, &none, &found);

    if (result == STORE_OK && PQntuples(found) > 0) {
        summary->restored = true;
        summary->restored_backup = pg_int4(found, 0, 0) != 0;
        summary->restored_ms = pg_int8(found, 0, 1);
        summary->restored_from_ms = pg_int8(found, 0, 2);
    }
    PQclear(found);
    return result;
}

int postgresql_summary(struct store *store, struct store_summary *out)
{
    struct store_summary summary = {0};
    struct pg_args limit = {.count = 0};
    PGresult *found = NULL;
    int result = read_gaps(store, &summary);

    if (result == STORE_OK) {
        result = read_restored(store, &summary);
    }
    if (result == STORE_OK) {
        pg_arg_int8(&limit, STORE_QUARANTINE_COUNTED);
        result = read(store, PG_QUARANTINE_SIZE, &limit, &found);
    }
    if (result == STORE_OK) {
        store->entries = store->entries_durable = pg_int8(found, 0, 0);
        summary.quarantine_entries = (uint64_t)store->entries;
        *out = summary;
    }
    PQclear(found);
    return result;
}

int64_t postgresql_quarantine_entries(const struct store *store)
{
    return store->entries_durable;
}

int postgresql_newest_ms(struct store *store, int64_t *newest_ms)
{
    struct pg_args none = {.count = 0};
    PGresult *found = NULL;
    int result = read(store, PG_NEWEST_RECEIVED, &none, &found);

    if (result == STORE_OK) {
        *newest_ms = pg_int8(found, 0, 0);
    }
    PQclear(found);
    return result;
}

/* Asks every OTHERS_MS, and changes with this daemon's own entries, too: the summary is then read
 * once more. */
int postgresql_version_of_others(struct store *store, int64_t *version)
{
    int64_t now_ms = clock_monotonic_ms();
    struct pg_args none = {.count = 0};
    PGresult *found = NULL;

    if (store->link == PG_HOLDER && !store->in_transaction &&
        (store->others_ms == 0 || now_ms - store->others_ms >= OTHERS_MS)) {
        store->others_ms = now_ms;
        if (pg_run(store, PG_OTHERS, &none, &found) == STORE_OK) {
            store->others = pg_int8(found, 0, 0);
        }
        PQclear(found);
    }
    *version = store->others; /* after a failure: of before; the next statement meets the cause */
    return STORE_OK;
}
