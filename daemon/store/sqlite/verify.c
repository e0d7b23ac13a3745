/*
 * Verifies a database. Each check proves one statement:
 *
 *   schema        it has every table, index and view just as the migrations make them (STRICT too)
 *   integrity     SQLite's own check: pages, indexes, NOT NULL, CHECK, the type of every value
 *   foreign keys  every reading belongs to a device
 *   runs          received = stored + duplicate + quarantined, for each
 *   inbox         how many messages are on their way into the tables
 *   quarantine    holds no more than the runs say they put there
 *   readings      are no more than the messages stored can have made
 *   digests       the bytes of quarantine and messages are still those that came
 *   JSON          everything that is read with ->> can be
 *   roll-ups      each says what its readings say, and no reading is missing in the views by day
 *   sums of days  what is added up of the roll-ups says what they say
 *   view ...      each answers
 *
 * Counts are compared in one direction only: replay takes messages out of quarantine, and retention
 * deletes them and readings, as an owner of the file may.
 *
 * The statements of verify run once a verification, so they are not among the prepared ones. The
 * checks are in verify_file.c (schema, integrity, foreign keys, views), verify_accounts.c (runs,
 * inbox, quarantine, readings), verify_content.c (digests, JSON), verify_rollups.c and
 * verify_sums.c.
 */
#include "store/sqlite/verify_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define PROGRESS_OPS 100000
#define FINDING_SIZE 768

void verify_tell(struct verify *verify, const char *check, bool good, const char *format, ...)
{
    char text[FINDING_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    verify->finding(verify->context, check, good, text);
}

static int watch(void *context)
{
    struct verify *verify = context;

    return !verify->watcher->progress(verify->watcher->context, verify->what, STORE_ROWS, 0, 0);
}

int verify_sql_failed(struct verify *verify, const char *check)
{
    sqlite3 *db = verify->store->db;
    int code = sqlite3_errcode(db);
    char doing[FINDING_SIZE];

    if (code == SQLITE_INTERRUPT) {
        return store_refuse(verify->store, STORE_E_STOPPED, "stopped before the end");
    }
    if (store_classify(sqlite3_extended_errcode(db), errno) == STORE_E_RETRY) {
        snprintf(doing, sizeof(doing), "verify its %s", check);
        return store_fail(verify->store, doing);
    }
    verify_tell(verify, check, false, "cannot be checked: %s; keep the file, and restore a backup",
                sqlite3_errmsg(db));
    return STORE_OK;
}

int verify_prepare(struct verify *verify, const char *sql, sqlite3_stmt **statement)
{
    errno = 0;
    return sqlite3_prepare_v2(verify->store->db, sql, -1, statement, NULL);
}

int verify_read_numbers(struct verify *verify, const char *check, const char *sql, int64_t *numbers,
                        int count, bool *good)
{
    sqlite3_stmt *statement = NULL;
    int result = STORE_OK;

    *good = verify_prepare(verify, sql, &statement) == SQLITE_OK &&
            sqlite3_step(statement) == SQLITE_ROW;
    for (int i = 0; i < count && *good; i++) {
        numbers[i] = sqlite3_column_int64(statement, i);
    }
    if (!*good) {
        result = verify_sql_failed(verify, check);
    }
    sqlite3_finalize(statement);
    return result;
}

int sqlite_verify(struct store *store, const struct store_watcher *watcher,
                  store_finding_fn finding, void *context)
{
    static const struct {
        const char *what;
        int (*check)(struct verify *verify);
    } checks[] = {
        {"schema", verify_schema},
        {"integrity", verify_integrity},
        {"foreign keys", verify_foreign_keys},
        {"accounting", verify_accounts},
        {"digests", verify_digests},
        {"JSON", verify_json},
        {"roll-ups", verify_rollups},
        {"views", verify_views},
    };
    struct verify verify = {
        .store = store, .watcher = watcher, .finding = finding, .context = context};
    int result = STORE_OK;

    sqlite3_progress_handler(store->db, PROGRESS_OPS, watch, &verify);
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && result == STORE_OK; i++) {
        verify.what = checks[i].what;
        result = watch(&verify) ? store_refuse(store, STORE_E_STOPPED, "stopped before the end")
                                : checks[i].check(&verify);
    }
    sqlite3_progress_handler(store->db, 0, NULL, NULL);
    return result;
}
