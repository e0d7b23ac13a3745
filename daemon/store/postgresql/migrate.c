/*
 * Brings the schema up to date: each migration in a transaction of its own, under an advisory lock,
 * so that of several daemons that start at once one migrates, and the others find it done.
 *
 * The version is a row of the table schema_version, which the first migration makes. A schema that
 * has tables of its names without that row is not touched.
 */
#include <stdio.h>
#include <stdlib.h>

#include "migrations.h"
#include "store/postgresql/postgresql_internal.h"

#define TRY_PAUSE_SQL "SELECT pg_sleep(0.2)"

static int read_version(struct store *store, int *version)
{
    PGresult *found = NULL;
    int result = pg_simple(store, "SELECT to_regclass('schema_version') IS NOT NULL",
                           "read its schema version", &found);
    bool made = result == STORE_OK && PQgetvalue(found, 0, 0)[0] == 't';

    PQclear(found);
    *version = 0;
    if (result != STORE_OK || !made) {
        return result;
    }
    result =
        pg_simple(store, "SELECT version FROM schema_version", "read its schema version", &found);
    if (result == STORE_OK && PQntuples(found) == 1) {
        *version = (int)strtol(PQgetvalue(found, 0, 0), NULL, 10);
    }
    PQclear(found);
    return result;
}

static int apply(struct store *store, int version)
{
    char sql[128];
    int result = pg_simple(store, PG_BEGIN, "begin a migration", NULL);

    if (result == STORE_OK) {
        result = pg_simple(store, postgresql_migrations[version], "migrate its schema", NULL);
    }
    snprintf(sql, sizeof(sql), "UPDATE schema_version SET version = %d", version + 1);
    if (result == STORE_OK) {
        result = pg_simple(store, sql, "migrate its schema", NULL);
    }
    if (result == STORE_OK) {
        return pg_simple(store, "COMMIT", "commit a migration", NULL);
    }
    if (store->db != NULL) {
        char error[PG_ERROR_SIZE];

        snprintf(error, sizeof(error), "%s", store->error);
        pg_simple(store, "ROLLBACK", "roll back a migration", NULL);
        snprintf(store->error, sizeof(store->error), "%s", error);
    }
    return result;
}

/* Takes the lock of migrations by trying: a wait inside the server would not see a stop. */
static int lock(struct store *store, int64_t key)
{
    char sql[96];
    PGresult *taken = NULL;
    bool granted = false;
    int result = STORE_OK;

    snprintf(sql, sizeof(sql), "SELECT pg_try_advisory_lock(%lld)", (long long)key);
    while (result == STORE_OK && !granted) {
        result = pg_simple(store, sql, "lock its schema", &taken);
        granted = result == STORE_OK && PQgetvalue(taken, 0, 0)[0] == 't';
        PQclear(taken);
        if (result == STORE_OK && !granted) {
            result = pg_simple(store, TRY_PAUSE_SQL, "wait for another migration", NULL);
        }
    }
    return result;
}

static int check_version(struct store *store, int version)
{
    if (version > postgresql_migration_count) {
        return pg_refuse(store, STORE_E_NEWER,
                         "%s: has schema version %d, and this program knows %d: it was used by a "
                         "newer foxtrackrd; install that one, nothing was changed",
                         store->shown, version, postgresql_migration_count);
    }
    return STORE_OK;
}

/*
 * Refuses a schema without a version where a migration would fail, because it has relations of the
 * names that the migration makes. *version is read again behind the names: a daemon that made its
 * tables between the first reading and this one is no fault.
 */
static int check_names(struct store *store, int *version)
{
    PGresult *found = NULL;
    int result = pg_simple(store,
                           "SELECT n.nspname, c.relname, to_regclass('schema_version') IS NOT NULL"
                           " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
                           " JOIN " PG_RELATIONS " ON t.name = c.relname"
                           " WHERE n.nspname = current_schema() ORDER BY c.relname LIMIT 1",
                           "look for tables of its names", &found);

    if (result == STORE_OK && PQntuples(found) > 0) {
        result = read_version(store, version);
        if (result == STORE_OK && *version == 0) {
            result = pg_refuse(store, STORE_E_PATH,
                               "%s: its schema %s has %s, which is a name of foxtrackrd's tables, "
                               "but no %sschema_version: these are another program's tables, or "
                               "schema_version was %s; name another database or schema "
                               "(search_path), or restore a backup",
                               store->shown, PQgetvalue(found, 0, 0), PQgetvalue(found, 0, 1),
                               PQgetvalue(found, 0, 2)[0] == 't' ? "row in " : "",
                               PQgetvalue(found, 0, 2)[0] == 't' ? "emptied" : "dropped");
        }
    }
    PQclear(found);
    return result;
}

int pg_migrate(struct store *store)
{
    int64_t key = pg_lock_key("migrate", "", "");
    char sql[96];
    int version = 0;
    int result = read_version(store, &version);

    if (result == STORE_OK) {
        result = check_version(store, version);
    }
    if (result != STORE_OK || version == postgresql_migration_count) {
        return result;
    }
    result = lock(store, key);
    if (result == STORE_OK) {
        result = read_version(store, &version); /* another daemon may have done it meanwhile */
    }
    if (result == STORE_OK && version == 0) {
        result = check_names(store, &version);
    }
    if (result == STORE_OK) {
        result = check_version(store, version);
    }
    for (; result == STORE_OK && version < postgresql_migration_count; version++) {
        result = apply(store, version);
    }
    if (store->db != NULL) {
        snprintf(sql, sizeof(sql), "SELECT pg_advisory_unlock(%lld)", (long long)key);
        if (result == STORE_OK) {
            return pg_simple(store, sql, "unlock its schema", NULL);
        }
        pg_disconnect(store); /* which unlocks, and keeps the sentence */
    }
    return result;
}

int pg_check_schema(struct store *store)
{
    int version = 0;
    int result = read_version(store, &version);

    if (result == STORE_OK) {
        result = check_version(store, version);
    }
    if (result == STORE_OK && version == 0) {
        result = check_names(store, &version);
    }
    if (result == STORE_OK && version == 0) {
        return pg_refuse(store, STORE_E_EMPTY,
                         "%s: is empty: start foxtrackrd once, which makes its tables",
                         store->shown);
    }
    if (result == STORE_OK && version < postgresql_migration_count) {
        result = pg_refuse(store, STORE_E_PATH,
                           "%s: has schema version %d, and this program needs %d: start foxtrackrd "
                           "once, which brings it up to date",
                           store->shown, version, postgresql_migration_count);
    }
    return result;
}
