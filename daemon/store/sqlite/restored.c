/*
 * Accepts a backup as the database: removes its mark, and records which messages it lacks.
 *
 * The broker does not send again what was acknowledged between the moment of the backup and now, so
 * those readings are lost. A row in `gaps` records that for every session in the backup or the
 * configuration. See store/sqlite/mark.c for how this happens once, and store/start.h for the
 * result.
 *
 * A moment in the file that lies ahead of our clock is not trusted: then the moment is "not known".
 */
#include "store/sqlite/restored_internal.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "store/sqlite/mark_internal.h"
#include "store/sqlite/sqlite_internal.h"
#include "store/tools.h"

static int failed(struct store *store)
{
    return store_open_failed(store, "take over the backup");
}

static int prepare(struct store *store, const char *sql, sqlite3_stmt **statement)
{
    errno = 0;
    return sqlite3_prepare_v2(store->db, sql, -1, statement, NULL) == SQLITE_OK ? STORE_OK
                                                                                : failed(store);
}

int store_newest_moment(sqlite3 *db, int64_t now_ms, int64_t *newest_ms)
{
    static const char *const sql =
        "SELECT coalesce(max(ms), 0) FROM (SELECT last_durable_ms AS ms FROM sessions UNION ALL"
        " SELECT started_ms FROM runs UNION ALL SELECT stopped_ms FROM runs) WHERE ms <= ?1";
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    *newest_ms = 0;
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, now_ms);
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            *newest_ms = sqlite3_column_int64(statement, 0);
        }
    }
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SQLITE_OK : code;
}

static const char *reason(const struct store *store)
{
    return store->restoration.kind == STORE_RESTORED_OLDER ? "older database" : "restored";
}

/* Adds one row for the client `client_id`, or with NULL one for every session of the database. */
static int add_gaps_of(struct store *store, const char *client_id)
{
    static const char *const sql =
        "INSERT INTO gaps (client_id, last_durable_ms, resumed_ms, reason)"
        " SELECT client_id, nullif(?1, 0), ?2, ?4 FROM sessions WHERE ?3 IS NULL"
        " UNION SELECT ?3, nullif(?1, 0), ?2, ?4 WHERE ?3 IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM sessions WHERE client_id = ?3)"
        " ON CONFLICT (client_id, resumed_ms) DO UPDATE"
        " SET last_durable_ms = excluded.last_durable_ms, reason = excluded.reason";
    const struct store_restoration *restoration = &store->restoration;
    sqlite3_stmt *statement = NULL;
    int result = prepare(store, sql, &statement);

    if (result == STORE_OK) {
        sqlite3_bind_int64(statement, 1, restoration->from_ms);
        sqlite3_bind_int64(statement, 2, restoration->to_ms);
        sqlite3_bind_text(statement, 3, client_id, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 4, reason(store), -1, SQLITE_STATIC);
        errno = 0;
        result = sqlite3_step(statement) == SQLITE_DONE ? STORE_OK : failed(store);
    }
    if (result == STORE_OK) {
        store->restoration.clients += sqlite3_changes64(store->db);
    }
    sqlite3_finalize(statement);
    return result;
}

static int execute(struct store *store, const char *sql)
{
    errno = 0;
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? STORE_OK : failed(store);
}

/* Finds the moment until which every commit is in the file. */
static int find_moment(struct store *store, int64_t now_ms, int64_t *from_ms)
{
    errno = 0;
    if (store_mark_moment(store->db, from_ms) != SQLITE_OK) {
        return failed(store);
    }
    if (*from_ms <= 0 || *from_ms > now_ms) {
        errno = 0;
        if (store_newest_moment(store->db, now_ms, from_ms) != SQLITE_OK) {
            return failed(store);
        }
    }
    return STORE_OK;
}

/* Adds rows for every session of the database, and for the configured ones that it lacks. */
static int add_gaps(struct store *store)
{
    int result = add_gaps_of(store, NULL);

    for (unsigned i = 0; i < store->client_count && result == STORE_OK; i++) {
        result = add_gaps_of(store, store->client_ids[i]);
    }
    return result;
}

static int accept_in_transaction(struct store *store)
{
    int64_t now_ms = clock_wall_ms();
    char sql[64];
    int application = 0;
    int result = store_read_number(store, "PRAGMA application_id", &application);

    if (result != STORE_OK || store_mark_of(application) == STORE_MARK_NONE) {
        return result;
    }
    store->restoration.kind = STORE_RESTORED_BACKUP;
    store->restoration.to_ms = now_ms;
    result = find_moment(store, now_ms, &store->restoration.from_ms);
    if (result == STORE_OK) {
        result = add_gaps(store);
    }
    if (result == STORE_OK) {
        result = execute(store, "DROP TABLE IF EXISTS foxtrackr_backup");
    }
    if (result == STORE_OK) {
        snprintf(sql, sizeof(sql), "PRAGMA application_id = %d", STORE_APPLICATION_ID);
        result = execute(store, sql);
    }
    return result;
}

/* Runs `work` in a synced transaction. */
static int in_transaction(struct store *store, int (*work)(struct store *store))
{
    int result = store_set_synced(store, true);

    if (result == STORE_OK) {
        result = execute(store, "BEGIN IMMEDIATE");
    }
    if (result == STORE_OK) {
        result = work(store);
    }
    if (result == STORE_OK) {
        result = execute(store, "COMMIT");
    }
    if (result != STORE_OK && !sqlite3_get_autocommit(store->db)) {
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    }
    if (result != STORE_OK) {
        store->restoration = (struct store_restoration){0};
    }
    return result;
}

int store_accept(struct store *store)
{
    int result = in_transaction(store, accept_in_transaction);

    if (result != STORE_OK) {
        return result;
    }
    store->marked = false;
    /* Makes a checkpoint, so that the file's header has the new mark too. A reader may delay that.
     */
    return sqlite_shrink(store) == STORE_FATAL ? STORE_FATAL : STORE_OK;
}

/* Sets *noted when `gaps` has the rows already: from a start that was killed before its run began,
 * or from foxtrackrctl restore. */
static int is_noted(struct store *store, bool *noted)
{
    static const char *const sql = "SELECT 1 FROM gaps WHERE reason IN ('restored', 'older "
                                   "database') AND resumed_ms >= ?1";
    sqlite3_stmt *statement = NULL;
    int result = prepare(store, sql, &statement);
    int code;

    if (result != STORE_OK) {
        return result;
    }
    sqlite3_bind_int64(statement, 1, store->record.moment_ms);
    errno = 0;
    code = sqlite3_step(statement);
    *noted = code == SQLITE_ROW;
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        result = failed(store);
    }
    sqlite3_finalize(statement);
    return result;
}

static int note_in_transaction(struct store *store)
{
    int64_t now_ms = clock_wall_ms();
    bool noted = false;
    int result = is_noted(store, &noted);

    if (result != STORE_OK || noted) {
        return result;
    }
    /* Not before the record's moment: otherwise a clock that was set back would lead to a second
     * set of rows. */
    store->restoration.kind = STORE_RESTORED_OLDER;
    store->restoration.to_ms = now_ms > store->record.moment_ms ? now_ms : store->record.moment_ms;
    errno = 0;
    if (store_newest_moment(store->db, now_ms, &store->restoration.from_ms) != SQLITE_OK) {
        return failed(store);
    }
    return add_gaps(store);
}

int store_note_older(struct store *store)
{
    bool older = false;
    int result = STORE_OK;

    if (store->record.known && store->restoration.kind == STORE_NOT_RESTORED) {
        result = store_record_is_older(store, &older);
    }
    return result == STORE_OK && older ? in_transaction(store, note_in_transaction) : result;
}

/* Reads a restoration that foxtrackrctl restore, or a start that was killed, has written to `gaps`.
 */
static int restored_by_tool(struct store *store, struct store_restoration *restoration)
{
    static const char *const sql =
        "SELECT reason = 'restored', coalesce(max(last_durable_ms), 0), resumed_ms, count(*)"
        "  FROM gaps WHERE reason IN ('restored', 'older database') GROUP BY resumed_ms"
        " HAVING resumed_ms > (SELECT coalesce(max(started_ms), 0) FROM runs)"
        " ORDER BY resumed_ms DESC LIMIT 1";
    sqlite3_stmt *statement = NULL;
    int result = prepare(store, sql, &statement);

    *restoration = (struct store_restoration){.kind = STORE_NOT_RESTORED};
    if (result != STORE_OK) {
        return result;
    }
    errno = 0;
    switch (sqlite3_step(statement)) {
    case SQLITE_ROW:
        restoration->kind =
            sqlite3_column_int(statement, 0) != 0 ? STORE_RESTORED_BACKUP : STORE_RESTORED_OLDER;
        restoration->from_ms = sqlite3_column_int64(statement, 1);
        restoration->to_ms = sqlite3_column_int64(statement, 2);
        restoration->clients = sqlite3_column_int64(statement, 3);
        break;
    case SQLITE_DONE:
        break;
    default:
        result = failed(store);
    }
    sqlite3_finalize(statement);
    return result;
}

int sqlite_find_out(struct store *store, struct store_found *out)
{
    *out = (struct store_found){.restoration = store->restoration,
                                .strange = store->strange,
                                .readers_error = store->readers.error,
                                .lock_is_other = store->lock_is_other};
    return store->restoration.kind == STORE_NOT_RESTORED
               ? restored_by_tool(store, &out->restoration)
               : STORE_OK;
}

bool sqlite_is_backup(struct store *store, int64_t *taken_ms)
{
    if (!store->marked) {
        return false;
    }
    if (store_mark_moment(store->db, taken_ms) != SQLITE_OK) {
        *taken_ms = 0;
    }
    return true;
}
