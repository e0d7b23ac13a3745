/*
 * Verifies a database. A database into which another one is being moved is half of it: that is the
 * one finding then. Else each check proves one statement:
 *
 *   schema        it has every table, with its key, and no index is half made
 *   months        no monthly partition is half removed
 *   ranges        every row is in the partition of its month
 *   foreign keys  every reading belongs to a device
 *   expired       the rows that retention has detached, and not dropped yet
 *   runs          received = stored + duplicate + quarantined, for each
 *   quarantine    holds no more than the runs say they put there
 *   readings      are no more than the messages stored can have made
 *   digests       the bytes of quarantine and messages are still those that came
 *   JSON          everything can be read with ->> and cast to jsonb
 *   view ...      each answers
 *   integrity     who looks after the server's files
 *
 * The server keeps types, keys and the rows' ranges by itself, unless its files are damaged. A
 * statement is one partition, or a page of rows: no snapshot lasts longer than that, so that the
 * server can tidy up behind the daemon meanwhile. Since the daemon goes on, the counts of `runs`
 * are read before and after the rows are counted.
 */
#include "store/postgresql/verify_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "store/postgresql/operations_internal.h"

#define FINDING_SIZE 768

void pg_verify_tell(struct pg_verify *verify, const char *check, bool good, const char *format, ...)
{
    char text[FINDING_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    verify->finding(verify->context, check, good, text);
}

int pg_verify_query(struct pg_verify *verify, const char *check, const char *sql,
                    const struct pg_args *args, PGresult **rows)
{
    bool gone = false;
    int result = pg_verify_query_of(verify, check, sql, args, rows, &gone);

    if (gone) {
        pg_verify_tell(verify, check, false, "cannot be checked: %s", verify->store->error);
    }
    return result;
}

int pg_verify_query_of(struct pg_verify *verify, const char *check, const char *sql,
                       const struct pg_args *args, PGresult **rows, bool *gone)
{
    struct store *store = verify->store;
    char doing[sizeof("verify its view ") + PG_NAME_SIZE];
    int result;

    snprintf(doing, sizeof(doing), "verify its %s", check);
    result = pg_query(store, sql, doing, args, rows);
    if (result == STORE_E_RETRY && store->db != NULL) {
        *gone = strcmp(store->state, "42P01") == 0;
        if (!*gone) {
            pg_verify_tell(verify, check, false, "cannot be checked: %s", store->error);
        }
        return STORE_OK;
    }
    return result;
}

int pg_verify_count(struct pg_verify *verify, int rows)
{
    const struct store_watcher *watcher = verify->watcher;

    verify->rows += rows;
    return watcher->progress(watcher->context, verify->what, STORE_ROWS, verify->rows, 0)
               ? STORE_OK
               : pg_refuse(verify->store, STORE_E_STOPPED, "stopped before the end");
}

static int check_schema(struct pg_verify *verify)
{
    static const char sql[] =
        "SELECT string_agg(t.name, ', ') FILTER (WHERE c.oid IS NULL),"
        " string_agg(t.name, ', ') FILTER (WHERE t.kind IN ('r', 'p') AND c.oid IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM pg_index AS i WHERE i.indrelid = c.oid"
        " AND i.indisprimary)),"
        " (SELECT string_agg(i.indexrelid::regclass::text, ', ') FROM pg_index AS i"
        " JOIN pg_class AS x ON x.oid = i.indexrelid"
        " WHERE x.relnamespace = current_schema()::regnamespace"
        " AND NOT (i.indisvalid AND i.indisready)),"
        " (SELECT version FROM schema_version) FROM " PG_RELATIONS
        " LEFT JOIN pg_class AS c ON c.relname = t.name AND c.relkind::text = t.kind"
        " AND c.relnamespace = current_schema()::regnamespace";
    PGresult *found = NULL;
    int result = pg_verify_query(verify, "schema", sql, NULL, &found);

    if (found != NULL && !PQgetisnull(found, 0, 0)) {
        pg_verify_tell(verify, "schema", false,
                       "is without %s: somebody dropped it; restore a dump, or make it as the "
                       "schema does",
                       PQgetvalue(found, 0, 0));
    } else if (found != NULL && !PQgetisnull(found, 0, 1)) {
        pg_verify_tell(verify, "schema", false,
                       "without a primary key: %s: a reading could be there twice",
                       PQgetvalue(found, 0, 1));
    } else if (found != NULL && !PQgetisnull(found, 0, 2)) {
        pg_verify_tell(verify, "schema", false, "indexes that are half made: %s: REINDEX them",
                       PQgetvalue(found, 0, 2));
    } else if (found != NULL) {
        pg_verify_tell(verify, "schema", true,
                       "version %d, with every table, key, index and view of it",
                       pg_int4(found, 0, 3));
    }
    PQclear(found);
    return result;
}

static int check_view(struct pg_verify *verify, const char *name)
{
    struct store *store = verify->store;
    char *quoted = PQescapeIdentifier(store->db, name, strlen(name));
    char check[sizeof("view ") + PG_NAME_SIZE];
    char sql[3 * PG_NAME_SIZE];
    PGresult *found = NULL;
    int result;

    if (quoted == NULL) {
        return pg_fail(store, NULL, "read a view");
    }
    snprintf(sql, sizeof(sql), "SELECT * FROM %s LIMIT 1", quoted);
    PQfreemem(quoted);
    snprintf(check, sizeof(check), "view %s", name);
    result = pg_verify_query(verify, check, sql, NULL, &found);
    if (found != NULL) {
        pg_verify_tell(verify, check, true, "answers");
    }
    PQclear(found);
    return result == STORE_OK ? pg_verify_count(verify, 1) : result;
}

static int check_views(struct pg_verify *verify)
{
    PGresult *names = NULL;
    int result = pg_verify_query(verify, "views",
                                 "SELECT relname FROM pg_class WHERE relkind = 'v'"
                                 " AND relnamespace = current_schema()::regnamespace"
                                 " AND relname NOT LIKE 'foxtrackr\\_%'"
                                 " ORDER BY relname COLLATE \"C\"",
                                 NULL, &names);

    for (int row = 0; names != NULL && result == STORE_OK && row < PQntuples(names); row++) {
        result = check_view(verify, PQgetvalue(names, row, 0));
    }
    PQclear(names);
    return result;
}

static int check_integrity(struct pg_verify *verify)
{
    PGresult *found = NULL;
    int result = pg_verify_query(verify, "integrity", "SELECT current_setting('data_checksums')",
                                 NULL, &found);

    if (found != NULL) {
        pg_verify_tell(verify, "integrity", true,
                       "not read here: they are the server's (checksums are %s); pg_amcheck looks "
                       "at its tables and indexes",
                       PQgetvalue(found, 0, 0));
    }
    PQclear(found);
    return result;
}

int postgresql_verify(struct store *store, const struct store_watcher *watcher,
                      store_finding_fn finding, void *context)
{
    static const struct {
        const char *what;
        int (*check)(struct pg_verify *verify);
    } checks[] = {
        {"schema", check_schema},       {"months", pg_verify_months}, {"rows", pg_verify_rows},
        {"digests", pg_verify_digests}, {"JSON", pg_verify_json},     {"views", check_views},
        {"integrity", check_integrity},
    };
    struct pg_verify verify = {
        .store = store, .watcher = watcher, .finding = finding, .context = context};
    int result = pg_usable(store);

    if (result == STORE_OK) {
        result = pg_transfer_check(store);
        if (result == STORE_E_PATH) {
            pg_verify_tell(&verify, "move", false, "%s", store->error);
            return STORE_OK;
        }
    }
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && result == STORE_OK; i++) {
        verify.what = checks[i].what;
        verify.rows = 0;
        result = pg_verify_count(&verify, 0);
        if (result == STORE_OK) {
            result = checks[i].check(&verify);
        }
    }
    return result;
}
