/*
 * Verifies the file and its schema: the checks that know nothing of what the rows mean.
 */
#include "store/sqlite/verify_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/plural.h"
#include "migrations.h"

/* --- schema -------------------------------------------------------------------------------- */

/* Compares one object of the schema. Returns a sentence about the difference, or NULL. */
static const char *compare_object(sqlite3_stmt *find, const unsigned char *type,
                                  const unsigned char *name, const unsigned char *sql)
{
    const char *wrong = "is missing";

    sqlite3_bind_text(find, 1, (const char *)type, -1, SQLITE_STATIC);
    sqlite3_bind_text(find, 2, (const char *)name, -1, SQLITE_STATIC);
    if (sqlite3_step(find) == SQLITE_ROW) {
        const unsigned char *found = sqlite3_column_text(find, 0);

        wrong = found != NULL && strcmp((const char *)found, (const char *)sql) == 0
                    ? NULL
                    : "is not as foxtrackrd made it";
    }
    sqlite3_reset(find);
    return wrong;
}

static int compare_schema(struct verify *verify, sqlite3_stmt *reference, sqlite3_stmt *find)
{
    int objects = 0;

    while (sqlite3_step(reference) == SQLITE_ROW) {
        const unsigned char *type = sqlite3_column_text(reference, 0);
        const unsigned char *name = sqlite3_column_text(reference, 1);
        const char *wrong = compare_object(find, type, name, sqlite3_column_text(reference, 2));

        if (wrong != NULL) {
            verify_tell(verify, "schema", false,
                        "%s %s %s; restore a backup, or make it again from the documentation", type,
                        name, wrong);
            return STORE_OK;
        }
        objects++;
    }
    verify_tell(verify, "schema", true,
                "version %d; %d tables, indexes and views as foxtrackrd makes them",
                sqlite_migration_count, objects);
    return STORE_OK;
}

/* Compares the schema with that of a new database. Additional objects are ignored. */
int verify_schema(struct verify *verify)
{
    sqlite3 *empty = NULL;
    sqlite3_stmt *reference = NULL;
    sqlite3_stmt *find = NULL;
    int code = sqlite3_open(":memory:", &empty);
    int result;

    for (int i = 0; i < sqlite_migration_count && code == SQLITE_OK; i++) {
        code = sqlite3_exec(empty, sqlite_migrations[i], NULL, NULL, NULL);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_prepare_v2(empty,
                                  "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL",
                                  -1, &reference, NULL);
    }
    if (code != SQLITE_OK) {
        result = store_refuse(verify->store, STORE_E_RETRY,
                              "%s: cannot make a schema to compare with: %s", verify->store->path,
                              sqlite3_errmsg(empty));
    } else if (verify_prepare(verify, "SELECT sql FROM sqlite_schema WHERE type = ?1 AND name = ?2",
                              &find) != SQLITE_OK) {
        result = verify_sql_failed(verify, "schema");
    } else {
        result = compare_schema(verify, reference, find);
    }
    sqlite3_finalize(find);
    sqlite3_finalize(reference);
    sqlite3_close(empty);
    return result;
}

/* --- SQLite's own checks ------------------------------------------------------------------- */

int verify_integrity(struct verify *verify)
{
    sqlite3_stmt *statement = NULL;
    char first[256] = "";
    int rows = 0;
    int code = verify_prepare(verify, "PRAGMA integrity_check(100)", &statement);
    int result = STORE_OK;

    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            rows++;
            if (rows == 1) {
                snprintf(first, sizeof(first), "%s",
                         (const char *)sqlite3_column_text(statement, 0));
            }
        }
    }
    if (code != SQLITE_DONE) {
        result = verify_sql_failed(verify, "integrity");
    } else if (strcmp(first, "ok") == 0) {
        verify_tell(verify, "integrity", true, "every page, index and value");
    } else {
        verify_tell(verify, "integrity", false,
                    "%d problem%s%s, the first: %s; keep the file, and restore "
                    "a backup",
                    rows, plural_s(rows), rows >= 100 ? " or more" : "", first);
    }
    sqlite3_finalize(statement);
    return result;
}

int verify_foreign_keys(struct verify *verify)
{
    int64_t numbers[1] = {0};
    bool good = false;
    int result = verify_read_numbers(
        verify, "foreign keys", "SELECT count(*) FROM pragma_foreign_key_check", numbers, 1, &good);

    if (result == STORE_OK && good) {
        if (numbers[0] == 0) {
            verify_tell(verify, "foreign keys", true, "every row belongs to a device");
        } else {
            verify_tell(
                verify, "foreign keys", false,
                "%lld %s to no device: somebody deleted devices; PRAGMA foreign_key_check lists "
                "what has none",
                (long long)numbers[0], plural(numbers[0], "row belongs", "rows belong"));
        }
    }
    return result;
}

/* --- views --------------------------------------------------------------------------------- */

static int check_view(struct verify *verify, const char *name)
{
    sqlite3_stmt *statement = NULL;
    char check[64];
    /* A name cannot be bound; %w quotes it. One row says that the view works. */
    char *sql = sqlite3_mprintf("SELECT * FROM \"%w\" LIMIT 1", name);
    int code = sql == NULL ? SQLITE_NOMEM : verify_prepare(verify, sql, &statement);
    int result = STORE_OK;

    snprintf(check, sizeof(check), "view %s", name);
    if (sql == NULL) {
        result = store_refuse(verify->store, STORE_E_RETRY, "out of memory");
    } else if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (result == STORE_OK && code == SQLITE_INTERRUPT) {
        result = verify_sql_failed(verify, check);
    } else if (result == STORE_OK && code != SQLITE_ROW && code != SQLITE_DONE) {
        verify_tell(verify, check, false, "%s; make it again, or drop it",
                    sqlite3_errmsg(verify->store->db));
    } else if (result == STORE_OK) {
        verify_tell(verify, check, true,
                    code == SQLITE_ROW ? "answers" : "answers, with no row yet");
    }
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return result;
}

/* Checks all views, also additional ones, so that a failing view is noticed here and not in a
 * report. */
int verify_views(struct verify *verify)
{
    sqlite3_stmt *statement = NULL;
    int code = verify_prepare(
        verify, "SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name", &statement);
    int result = STORE_OK;

    while (result == STORE_OK && (code == SQLITE_OK || code == SQLITE_ROW)) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            result = check_view(verify, (const char *)sqlite3_column_text(statement, 0));
        }
    }
    if (result == STORE_OK && code != SQLITE_DONE) {
        result = verify_sql_failed(verify, "views");
    }
    sqlite3_finalize(statement);
    return result;
}
