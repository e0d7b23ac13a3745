/*
 * The time zone of the days. The daemon that has the sessions writes the offsets of
 * database.time_zone into the table day_offsets, which the views by day read, and its name into
 * schema_version. Nothing else depends on them: this engine keeps nothing by day.
 *
 * Of several daemons with different zones the last one that starts wins, for all of them.
 */
#include <stdlib.h>
#include <string.h>

#include "store/postgresql/arrays_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define DOING "write the offsets of the time zone"

bool pg_zone_keep(struct store *store, const struct zone *zone)
{
    size_t size;

    if (zone == NULL) {
        return true;
    }
    size = (size_t)zone->count * sizeof(*zone->offsets);
    store->zone = calloc(1, sizeof(*store->zone));
    if (store->zone == NULL) {
        return false;
    }
    memcpy(store->zone->name, zone->name, sizeof(zone->name));
    store->zone->offsets = malloc(size + 1);
    if (store->zone->offsets == NULL) {
        return false;
    }
    if (size > 0) {
        memcpy(store->zone->offsets, zone->offsets, size);
    }
    store->zone->count = zone->count;
    return true;
}

void pg_zone_free(struct store *store)
{
    if (store->zone != NULL) {
        free(store->zone->offsets);
    }
    free(store->zone);
    store->zone = NULL;
}

static bool is_there(const struct zone *zone, const PGresult *found)
{
    bool same = PQntuples(found) == zone->count && strcmp(PQgetvalue(found, 0, 3), zone->name) == 0;

    for (int i = 0; i < zone->count && same; i++) {
        same = pg_int8(found, i, 0) == zone->offsets[i].from_ms &&
               pg_int8(found, i, 1) == zone->offsets[i].until_ms &&
               pg_int8(found, i, 2) == zone->offsets[i].offset_ms;
    }
    return same;
}

static int insert(struct store *store, struct pg_array columns[3])
{
    const struct zone *zone = store->zone;
    struct pg_args args = {.count = 0};

    for (int i = 0; i < 3; i++) {
        array_begin(&columns[i], ARRAY_INT8);
    }
    for (int i = 0; i < zone->count; i++) {
        array_int8(&columns[0], zone->offsets[i].from_ms);
        array_int8(&columns[1], zone->offsets[i].until_ms);
        array_int8(&columns[2], zone->offsets[i].offset_ms);
    }
    for (int i = 0; i < 3; i++) {
        if (!array_arg(&columns[i], &args)) {
            return pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown);
        }
    }
    pg_arg_text(&args, zone->name);
    return pg_query(store,
                    "WITH named AS (UPDATE schema_version SET zone = $4::text) INSERT INTO "
                    "day_offsets (from_ms, until_ms, offset_ms)"
                    " SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[])",
                    DOING, &args, NULL);
}

static int replace(struct store *store)
{
    struct pg_array columns[3] = {{0}};
    int result = pg_simple(store,
                           PG_BEGIN "; LOCK TABLE day_offsets IN SHARE ROW EXCLUSIVE MODE;"
                                    " DELETE FROM day_offsets",
                           DOING, NULL);

    store->in_transaction = true;
    if (result == STORE_OK) {
        result = insert(store, columns);
    }
    for (int i = 0; i < 3; i++) {
        array_free(&columns[i]);
    }
    if (result != STORE_OK) {
        pg_own_undo(store);
        return result;
    }
    return pg_own_commit(store);
}

int pg_zone_apply(struct store *store)
{
    PGresult *found = NULL;
    bool same;
    int result;

    if (store->zone == NULL) {
        return STORE_OK;
    }
    result = pg_query(store,
                      "SELECT from_ms, until_ms, offset_ms, (SELECT zone FROM schema_version) FROM "
                      "day_offsets ORDER BY from_ms",
                      "read the offsets of the time zone", NULL, &found);
    same = result == STORE_OK && is_there(store->zone, found);
    PQclear(found);
    return result == STORE_OK && !same ? replace(store) : result;
}
