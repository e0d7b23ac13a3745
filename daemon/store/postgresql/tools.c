/*
 * The smaller operations of store/tools.h. Backup and restore are PostgreSQL's own programs; the
 * sentences name them. The server's facts are in server.c, verify in verify.c, replay in replay.c.
 */
#include <stdio.h>
#include <string.h>

#include "migrations.h"
#include "store/postgresql/arrays_internal.h"
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define NO_BACKUP                                                                                  \
    "backups of PostgreSQL are made by its own programs, while the daemon goes on: "               \
    "pg_dump --format=custom --file=FILE --dbname='%s' for this database, pg_basebackup for the "  \
    "whole server; foxtrackrctl(8) says what to mind"
#define NO_RESTORE                                                                                 \
    "dumps of PostgreSQL are restored by its own program: stop every foxtrackrd of this "          \
    "database, "                                                                                   \
    "make an empty one, then pg_restore --no-owner --dbname=URI FILE; foxtrackrctl(8) "            \
    "says what to mind"

/* Whether it was restored is not marked in a database of a server. */
bool postgresql_is_backup(struct store *store, int64_t *taken_ms)
{
    (void)store;
    (void)taken_ms;
    return false;
}

int postgresql_schema_version(void)
{
    return postgresql_migration_count;
}

unsigned postgresql_links(const struct store *store)
{
    (void)store;
    return 1;
}

int postgresql_backup(struct store *store, const char *file, bool force,
                      const struct store_watcher *watcher, int64_t *bytes)
{
    (void)file;
    (void)force;
    (void)watcher;
    (void)bytes;
    return pg_refuse(store, STORE_E_PATH, NO_BACKUP, store->uri);
}

int postgresql_restore(const struct store_options *options, struct store_restore *request,
                       const struct store_watcher *watcher, store_finding_fn finding, void *context,
                       char *problem, size_t problem_size)
{
    (void)options;
    (void)request;
    (void)watcher;
    (void)finding;
    (void)context;
    snprintf(problem, problem_size, NO_RESTORE);
    return STORE_E_PATH;
}

/* --- the holder ---------------------------------------------------------------------------- */

int pg_find_holder(struct store *store, bool *held, struct store_holder *holder)
{
    struct pg_array keys = {0};
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    int result = STORE_OK;

    array_begin(&keys, ARRAY_INT8);
    for (unsigned i = 0; i < store->client_count; i++) {
        array_int8(&keys, store->lock_keys[i]);
    }
    if (!array_arg(&keys, &args)) {
        result = pg_refuse(store, STORE_E_RETRY, "%s: out of memory", store->shown);
    }
    if (result == STORE_OK) {
        result = pg_query(store, pg_sql(PG_LOCK_HOLDERS), pg_doing(PG_LOCK_HOLDERS), &args, &found);
    }
    *held = result == STORE_OK && PQntuples(found) > 0;
    *holder = (struct store_holder){.pid = 0};
    if (*held) {
        holder->silent_ms = pg_int8(found, 0, 4);
        pg_lock_describe(PQgetvalue(found, 0, 1), PQgetvalue(found, 0, 2), holder);
    }
    PQclear(found);
    array_free(&keys);
    return result;
}

bool postgresql_is_held(const struct store_options *options, struct store_holder *holder)
{
    struct store_options reading = *options;
    struct store *store = NULL;
    char problem[PG_ERROR_SIZE];
    bool held = false;

    *holder = (struct store_holder){.pid = 0};
    reading.read_only = true;
    reading.beside = false;
    if (postgresql_open(&reading, &store, problem, sizeof(problem)) != STORE_OK) {
        return false;
    }
    if (pg_find_holder(store, &held, holder) != STORE_OK) {
        held = false;
    }
    postgresql_close(store);
    return held;
}

/* --- numbers ------------------------------------------------------------------------------- */

int postgresql_growth(struct store *store, int64_t since_ms, int64_t now_ms,
                      struct store_growth *out)
{
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    int result = pg_usable(store);

    pg_arg_int8(&args, since_ms);
    pg_arg_int8(&args, now_ms);
    if (result == STORE_OK) {
        result = pg_transfer_check(store); /* half a database has not grown, and no daemon starts */
    }
    if (result == STORE_OK) {
        result = pg_query(store,
                          "SELECT pg_database_size(current_database()),"
                          " (SELECT coalesce(sum(received), 0)::int8 FROM runs),"
                          " coalesce(sum(received), 0)::int8,"
                          " $2::int8 - coalesce(min(started_ms), $2::int8)"
                          " FROM runs WHERE coalesce(stopped_ms, $2::int8) > $1::int8",
                          "read how it grew", &args, &found);
    }
    if (result == STORE_OK) {
        *out = (struct store_growth){.bytes = pg_int8(found, 0, 0),
                                     .received = pg_int8(found, 0, 1),
                                     .lately = pg_int8(found, 0, 2),
                                     .span_ms = pg_int8(found, 0, 3)};
    }
    PQclear(found);
    return result;
}

int postgresql_quarantine_reasons(struct store *store, const struct store_watcher *watcher,
                                  int64_t counts[FOXTRACKR_E_FIELD])
{
    int64_t found[FOXTRACKR_E_FIELD] = {0};
    PGresult *rows = NULL;
    int result = pg_usable(store);

    if (result == STORE_OK) {
        result = pg_query(store, "SELECT reason, count(*) FROM quarantine GROUP BY reason",
                          "count the quarantine by reason", NULL, &rows);
    }
    for (int row = 0; result == STORE_OK && row < PQntuples(rows); row++) {
        int reason = foxtrackr_reason_from_name(PQgetvalue(rows, row, 0));

        if (reason > 0 && reason < FOXTRACKR_E_FIELD) {
            found[reason] = pg_int8(rows, row, 1);
        }
    }
    PQclear(rows);
    if (result == STORE_OK &&
        !watcher->progress(watcher->context, "quarantine", STORE_ROWS, 0, 0)) {
        result = pg_refuse(store, STORE_E_STOPPED, "stopped before the end");
    }
    if (result == STORE_OK) {
        memcpy(counts, found, sizeof(found));
    }
    return result;
}
