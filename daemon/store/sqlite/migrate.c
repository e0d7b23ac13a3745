/*
 * Migrations: bring a database's schema to this program's version.
 *
 * Each migration is one transaction that ends by setting user_version, so a database always has one
 * version or the next: after a kill, a full disk or a power failure too. An interrupted one leaves
 * frames without a commit in the WAL; the next start ignores them and overwrites them when it
 * repeats the migration.
 *
 * A migration that rewrites much begins with a SELECT of two numbers: the rows that it rewrites, by
 * which progress is measured, and the bytes that it needs free. Rows are counted by SQLite's update
 * hook, which sees every row that enters a table with rowids; those of other tables are counted
 * when their statement ends.
 */
#include "store/sqlite/sqlite_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/free_space.h"

#define PROGRESS_STEPS     20000 /* of SQLite's virtual machine: some milliseconds */
#define PROGRESS_PERIOD_MS 200
#define MIB                (INT64_C(1024) * 1024)

struct migration {
    struct store *store;
    struct store_progress progress;
    int64_t told_ms;
    int changes; /* rows that the connection had written when it began */
    bool stopped;
};

/* Reports progress. Returns false when the migration is to stop. */
static bool tell(struct migration *migration)
{
    struct store *store = migration->store;

    migration->told_ms = clock_monotonic_ms();
    if (store->progress != NULL &&
        !store->progress(store->progress_context, &migration->progress)) {
        migration->stopped = true;
    }
    return !migration->stopped;
}

/* SQLite interrupts the statement when this returns something else than 0. */
static int while_it_runs(void *context)
{
    struct migration *migration = context;

    if (clock_monotonic_ms() - migration->told_ms < PROGRESS_PERIOD_MS) {
        return 0;
    }
    return !tell(migration);
}

static void count_row(void *context, int operation, const char *database, const char *table,
                      sqlite3_int64 row)
{
    struct migration *migration = context;

    (void)database;
    (void)table;
    (void)row;
    migration->progress.rows_done += operation == SQLITE_INSERT;
}

/* Returns true when the error is that a name is taken: CREATE and ALTER TABLE say it differently.
 */
static bool is_taken(const char *error)
{
    return strstr(error, " already exists") != NULL ||
           strstr(error, "there is already another table or index with this name") != NULL;
}

static int failed(struct migration *migration)
{
    struct store *store = migration->store;
    char doing[64];

    if (migration->stopped) {
        return store_refuse(store, STORE_E_STOPPED,
                            "%s: stopped while its schema was brought from version %d to %d; "
                            "nothing has changed, the next start does it",
                            store->path, migration->progress.from, migration->progress.to);
    }
    if (is_taken(sqlite3_errmsg(store->db))) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: %s, and version %d of the schema makes one of this name: rename "
                            "or drop yours with sqlite3, then start again",
                            store->path, sqlite3_errmsg(store->db), migration->progress.to);
    }
    snprintf(doing, sizeof(doing), "apply migration %d", migration->progress.to);
    return store_open_failed(store, doing);
}

/* Checks that the file system has room for `bytes` more. */
static int check_space(struct migration *migration, int64_t bytes)
{
    struct store *store = migration->store;
    int64_t free_bytes = free_space(store->directory);

    if (free_bytes < 0 || bytes <= free_bytes) {
        return STORE_OK; /* or unknown: SQLite reports a disk that becomes full */
    }
    return store_refuse(store, STORE_E_RETRY,
                        "%s: bringing its schema from version %d to %d needs about %" PRId64
                        " MiB on its file system for a while, and %" PRId64
                        " MiB are free; make room and start again (nothing has changed)",
                        store->path, migration->progress.from, migration->progress.to,
                        bytes / MIB + 1, free_bytes / MIB);
}

/* Adds the rows that the update hook has not seen. */
static void count_rows(struct migration *migration)
{
    int rows = sqlite3_total_changes(migration->store->db) - migration->changes;

    if (rows > 0 && (uint64_t)rows > migration->progress.rows_done) {
        migration->progress.rows_done = (uint64_t)rows;
    }
}

/* Runs one statement of a migration. The first may be the SELECT of rows and bytes. */
static int run_statement(struct migration *migration, sqlite3_stmt *statement)
{
    int64_t bytes = 0;
    int code;

    errno = 0;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        migration->progress.rows = (uint64_t)sqlite3_column_int64(statement, 0);
        bytes = sqlite3_column_int64(statement, 1);
        migration->progress.bytes_to_sync = bytes;
    }
    if (code != SQLITE_DONE) {
        return failed(migration);
    }
    count_rows(migration);
    if (bytes > 0) {
        int result = check_space(migration, bytes);

        return result == STORE_OK && !tell(migration) ? failed(migration) : result;
    }
    return STORE_OK;
}

static int run_statements(struct migration *migration, const char *sql)
{
    struct store *store = migration->store;
    int result = STORE_OK;

    while (result == STORE_OK && *sql != '\0') {
        sqlite3_stmt *statement = NULL;

        errno = 0;
        if (sqlite3_prepare_v2(store->db, sql, -1, &statement, &sql) != SQLITE_OK) {
            return failed(migration);
        }
        if (statement != NULL) {
            result = run_statement(migration, statement);
        }
        sqlite3_finalize(statement);
    }
    return result;
}

static int execute(struct migration *migration, const char *sql)
{
    errno = 0;
    return sqlite3_exec(migration->store->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? STORE_OK
               : failed(migration);
}

/* Runs the statements of a migration, without BEGIN and COMMIT. */
static int apply(struct migration *migration, const char *sql)
{
    char version[128];
    int result = run_statements(migration, sql);

    if (result == STORE_OK) {
        /* A pragma takes no bound values. */
        snprintf(version, sizeof(version), "PRAGMA application_id = %d; PRAGMA user_version = %d",
                 STORE_APPLICATION_ID, migration->progress.to);
        result = execute(migration, version);
    }
    if (result == STORE_OK && migration->progress.rows > 0) {
        migration->progress.finishing = true;
        result = tell(migration) ? STORE_OK : failed(migration);
    }
    return result;
}

static int migrate_once(struct store *store, const char *sql, int version)
{
    struct migration migration = {.store = store,
                                  .progress = {.from = version, .to = version + 1},
                                  .changes = sqlite3_total_changes(store->db),
                                  .told_ms = clock_monotonic_ms()};
    int result;

    sqlite3_progress_handler(store->db, PROGRESS_STEPS, while_it_runs, &migration);
    sqlite3_update_hook(store->db, count_row, &migration);
    result = apply(&migration, sql);
    /* Without the handlers during COMMIT, which must not be interrupted. */
    sqlite3_progress_handler(store->db, 0, NULL, NULL);
    sqlite3_update_hook(store->db, NULL, NULL);
    if (result == STORE_OK) {
        result = execute(&migration, "COMMIT");
    }
    if (result == STORE_OK && migration.progress.rows > 0) {
        /* The WAL has become large. If a reader is in the way or the disk is full, it stays for a
         * later checkpoint. */
        result = sqlite_shrink(store) == STORE_FATAL ? STORE_FATAL : STORE_OK;
    }
    if (result == STORE_OK) {
        migration.progress.finishing = false;
        migration.progress.done = true;
        tell(&migration); /* too late to stop */
    }
    return result;
}

int store_migrate(struct store *store, const char *const *list, int count)
{
    struct migration before = {.store = store, .progress = {.to = 1}};
    int version = 0;
    int result = store_read_number(store, "PRAGMA user_version", &version);

    while (result == STORE_OK && version < count) {
        before.progress.to = version + 1;
        result = execute(&before, "BEGIN IMMEDIATE");
        if (result == STORE_OK) {
            result = store_read_number(store, "PRAGMA user_version", &version);
        }
        if (result == STORE_OK && version < count) {
            result = store_drop_views(store);
        }
        if (result == STORE_OK && version < count) {
            result = migrate_once(store, list[version], version);
        }
        if (!sqlite3_get_autocommit(store->db)) {
            sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
        }
        version++;
    }
    return result;
}
