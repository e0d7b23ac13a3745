/*
 * SQLite's connection to the database: how it waits for other users, what is read from the file
 * before anything is changed, and the settings.
 */
#include "store/sqlite/open_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pulse.h"
#include "migrations.h"
#include "store/sqlite/mark_internal.h"
#include "store/sqlite/wal_vfs_internal.h"

/* How long a tool beside the daemon waits for the write lock, and how often it tries: the daemon
 * holds the lock most of the time, with short pauses that slower attempts would miss.
 */
#define BESIDE_WAIT_MS     60000
#define BESIDE_QUESTION_US 500

/* The daemon tries this often, for busy_timeout. SQLite's own handler tries more and more rarely,
 * and so could miss the pauses of a program that writes continuously. */
#define QUESTION_US 1000

#define PROGRESS_OPS 100000 /* of SQLite's virtual machine: some milliseconds */

int store_open_failed(struct store *store, const char *doing)
{
    int code = sqlite3_errcode(store->db);
    int result = store_fail(store, doing);

    switch (code) {
    case SQLITE_NOTADB:
        return store_refuse(store, STORE_E_PATH, "%s: is not a database; %s", store->path,
                            store->named ? STORE_NAME_ANOTHER
                                         : "move the file away, or correct database.path");
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
        return STORE_E_PATH;
    default:
        return result;
    }
}

/* A progress handler: a long read of a tool ends. */
static int ask_whether_stopped(void *context)
{
    return store_is_stopped(context) ? 1 : 0;
}

static int wait_beside(void *context, int asked)
{
    if (store_is_stopped(context)) {
        return 0;
    }
    usleep(BESIDE_QUESTION_US);
    return asked < BESIDE_WAIT_MS * 1000 / BESIDE_QUESTION_US;
}

static int wait_turn(void *context, int asked)
{
    struct store *store = context;
    int64_t now_ms = clock_monotonic_ms();

    if (asked == 0) {
        store->waiting_since_ms = now_ms;
    }
    if (now_ms - store->waiting_since_ms >= store->wait_ms || store_is_stopped(store)) {
        return 0;
    }
    pulse_beat();
    usleep(QUESTION_US);
    return 1;
}

int open_connect(struct store *store)
{
    int flags = (store->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;

    errno = 0;
    if (sqlite3_open_v2(store->path, &store->db, flags, store_wal_vfs()) != SQLITE_OK) {
        if (store->db == NULL) {
            return open_no_memory(store);
        }
        return store_open_failed(store, "open it");
    }
    if (store->beside) {
        sqlite3_busy_handler(store->db, wait_beside, store);
    } else {
        sqlite3_busy_handler(store->db, wait_turn, store);
    }
    if (store->stopped != NULL) {
        sqlite3_progress_handler(store->db, PROGRESS_OPS, ask_whether_stopped, store);
    }
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    /* SQLite 3.40 counts ->> and json_extract() among the functions that a view may call only in a
     * trusted schema. A tool that reads can trust every schema: the connection cannot write, and
     * has neither extensions nor functions of its own. */
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, store->read_only ? 1 : 0, NULL);
    if (!store->read_only && sqlite3_db_readonly(store->db, "main") == 1) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: may be read but not written; make the file and its file system "
                            "writable for the user of foxtrackrd",
                            store->path);
    }
    return STORE_OK;
}

/* Reads the single text result of a pragma or a query. */
static int read_text(struct store *store, const char *sql, const char *doing, char *text,
                     size_t size)
{
    sqlite3_stmt *statement = NULL;
    int result = STORE_OK;

    errno = 0;
    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        result = store_open_failed(store, doing);
    } else {
        snprintf(text, size, "%s", (const char *)sqlite3_column_text(statement, 0));
    }
    /* A pragma that writes returns its row first and commits when it is finalized. */
    if (sqlite3_finalize(statement) != SQLITE_OK && result == STORE_OK) {
        result = store_open_failed(store, doing);
    }
    return result;
}

int store_read_number(struct store *store, const char *sql, int *number)
{
    char text[16] = "";
    int result = read_text(store, sql, "read it", text, sizeof(text));

    if (result == STORE_OK) {
        *number = (int)strtol(text, NULL, 10);
    }
    return result;
}

int open_inspect(struct store *store, int *version)
{
    int application = 0;
    int objects = 0;
    int result = store_read_number(store, "PRAGMA user_version", version);

    if (result == STORE_OK) {
        result = store_read_number(store, "PRAGMA application_id", &application);
    }
    if (result == STORE_OK) {
        result = store_read_number(store, "SELECT count(*) FROM sqlite_schema", &objects);
    }
    if (result != STORE_OK) {
        return result;
    }

    store->marked = store_mark_of(application) != STORE_MARK_NONE;
    if (application != STORE_APPLICATION_ID && !store->marked &&
        (application != 0 || *version != 0 || objects != 0)) {
        return store_refuse(
            store, STORE_E_PATH, "%s: is not a foxtrackrd database but another program's; %s",
            store->path, store->named ? STORE_NAME_ANOTHER : "correct database.path");
    }
    if (*version > sqlite_migration_count) {
        return store_refuse(store, STORE_E_NEWER,
                            "%s: has schema version %d, and this foxtrackrd knows versions up to "
                            "%d; install a newer foxtrackrd",
                            store->path, *version, sqlite_migration_count);
    }
    if (open_owns(store) && *version == 0 && store->record.known) {
        return open_refuse_anew(store, "holds nothing");
    }
    if (store->beside && store->marked) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: is a backup that foxtrackrd has not taken over yet; start "
                            "foxtrackrd, which does that",
                            store->path);
    }
    if (!open_owns(store) && *version < sqlite_migration_count) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: has schema version %d, and this program needs %d; start "
                            "foxtrackrd once, which brings it up to date",
                            store->path, *version, sqlite_migration_count);
    }
    return STORE_OK;
}

static int execute(struct store *store, const char *sql)
{
    errno = 0;
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? STORE_OK
               : store_open_failed(store, "set it up");
}

int open_configure(struct store *store, bool fresh)
{
    char mode[16] = "";
    char sql[160];
    int result = STORE_OK;

    /* Only possible before a new database gets its first page, which turning on the WAL writes. */
    if (fresh) {
        result = execute(store, "PRAGMA auto_vacuum = INCREMENTAL");
    }
    if (result != STORE_OK) {
        return result;
    }

    result = read_text(store, "PRAGMA journal_mode = WAL", "turn on its write-ahead log", mode,
                       sizeof(mode));
    if (result != STORE_OK) {
        return result;
    }
    if (strcmp(mode, "wal") != 0) {
        return store_refuse(store, STORE_E_PATH,
                            "%s: its file system has no shared memory, which the write-ahead log "
                            "needs; put the database on a local file system",
                            store->path);
    }

    /* Long readers let the WAL grow; the limit gives the space back afterwards. Debian's SQLite
     * overwrites every freed page with zeros, which doubles the inbox's writes. FAST does that only
     * for pages that are written anyway. No temporary files: a service may have no other directory
     * to write to. */
    snprintf(sql, sizeof(sql),
             "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -%d;"
             "PRAGMA secure_delete = FAST;"
             "PRAGMA temp_store = MEMORY",
             STORE_CACHE_KIB);
    result = execute(store, sql);
    if (result != STORE_OK) {
        return result;
    }
    store->synced = store->durability == STORE_FULL;
    return execute(store,
                   store->synced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
}
