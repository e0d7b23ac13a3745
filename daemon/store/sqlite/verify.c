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
 *   view ...      each answers
 *
 * Counts are compared in one direction only: replay takes messages out of quarantine, and retention
 * deletes them and readings, as an owner of the file may.
 *
 * These statements run once a verification, so they are not among the prepared ones.
 */
#include "store/tools.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/plural.h"
#include "migrations.h"
#include "store/sqlite/sqlite_internal.h"

#define PROGRESS_OPS 100000
#define FINDING_SIZE 768

struct verify {
    struct store *store;
    const struct store_watcher *watcher;
    store_finding_fn finding;
    void *context;
    const char *what; /* the check in progress */
};

static void tell(struct verify *verify, const char *check, bool good, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void tell(struct verify *verify, const char *check, bool good, const char *format, ...)
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

/* A damaged database makes a check BAD; only other errors end the verification. */
static int sql_failed(struct verify *verify, const char *check)
{
    sqlite3 *db = verify->store->db;
    int code = sqlite3_errcode(db);

    if (code == SQLITE_INTERRUPT) {
        return store_refuse(verify->store, STORE_E_STOPPED, "stopped before the end");
    }
    if (store_classify(sqlite3_extended_errcode(db), errno) == STORE_E_RETRY) {
        return store_fail(verify->store, check);
    }
    tell(verify, check, false, "cannot be checked: %s; keep the file, and restore a backup",
         sqlite3_errmsg(db));
    return STORE_OK;
}

static int prepare(struct verify *verify, const char *sql, sqlite3_stmt **statement)
{
    errno = 0;
    return sqlite3_prepare_v2(verify->store->db, sql, -1, statement, NULL);
}

/* Reads the numbers of a statement's only row. *good is false when there was none. */
static int read_numbers(struct verify *verify, const char *check, const char *sql, int64_t *numbers,
                        int count, bool *good)
{
    sqlite3_stmt *statement = NULL;
    int result = STORE_OK;

    *good = prepare(verify, sql, &statement) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW;
    for (int i = 0; i < count && *good; i++) {
        numbers[i] = sqlite3_column_int64(statement, i);
    }
    if (!*good) {
        result = sql_failed(verify, check);
    }
    sqlite3_finalize(statement);
    return result;
}

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
            tell(verify, "schema", false,
                 "%s %s %s; restore a backup, or make it again from the documentation", type, name,
                 wrong);
            return STORE_OK;
        }
        objects++;
    }
    tell(verify, "schema", true,
         "version %d; %d tables, indexes and views as foxtrackrd makes them", migration_count,
         objects);
    return STORE_OK;
}

/* Compares the schema with that of a new database. Additional objects are ignored. */
static int check_schema(struct verify *verify)
{
    sqlite3 *empty = NULL;
    sqlite3_stmt *reference = NULL;
    sqlite3_stmt *find = NULL;
    int code = sqlite3_open(":memory:", &empty);
    int result;

    for (int i = 0; i < migration_count && code == SQLITE_OK; i++) {
        code = sqlite3_exec(empty, migrations[i], NULL, NULL, NULL);
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
    } else if (prepare(verify, "SELECT sql FROM sqlite_schema WHERE type = ?1 AND name = ?2",
                       &find) != SQLITE_OK) {
        result = sql_failed(verify, "schema");
    } else {
        result = compare_schema(verify, reference, find);
    }
    sqlite3_finalize(find);
    sqlite3_finalize(reference);
    sqlite3_close(empty);
    return result;
}

/* --- SQLite's own checks ------------------------------------------------------------------- */

static int check_integrity(struct verify *verify)
{
    sqlite3_stmt *statement = NULL;
    char first[256] = "";
    int rows = 0;
    int code = prepare(verify, "PRAGMA integrity_check(100)", &statement);
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
        result = sql_failed(verify, "integrity");
    } else if (strcmp(first, "ok") == 0) {
        tell(verify, "integrity", true, "every page, index and value");
    } else {
        tell(verify, "integrity", false,
             "%d problem%s%s, the first: %s; keep the file, and restore "
             "a backup",
             rows, plural_s(rows), rows >= 100 ? " or more" : "", first);
    }
    sqlite3_finalize(statement);
    return result;
}

static int check_foreign_keys(struct verify *verify)
{
    int64_t numbers[1] = {0};
    bool good = false;
    int result = read_numbers(verify, "foreign keys",
                              "SELECT count(*) FROM pragma_foreign_key_check", numbers, 1, &good);

    if (result == STORE_OK && good) {
        if (numbers[0] == 0) {
            tell(verify, "foreign keys", true, "every row belongs to a device");
        } else {
            tell(verify, "foreign keys", false,
                 "%lld %s to no device: somebody deleted devices; PRAGMA foreign_key_check lists "
                 "what has none",
                 (long long)numbers[0], plural(numbers[0], "row belongs", "rows belong"));
        }
    }
    return result;
}

/* --- accounting ---------------------------------------------------------------------------- */

enum { RUNS, RECEIVED, STORED, DUPLICATE, QUARANTINED, WRONG_RUNS, RUN_NUMBERS };
enum { IN_INBOX, POSITIONS, INBOX_NUMBERS };
enum { KEPT, OCCURRENCES, WRONG_KEPT, BATTERY, TEMPERATURE, MESSAGES, ROW_NUMBERS };

static void tell_runs(struct verify *verify, const int64_t *run)
{
    if (run[WRONG_RUNS] != 0) {
        tell(verify, "runs", false,
             "%lld of %lld %s not add up: received is not stored + duplicate "
             "+ quarantined; somebody changed the table runs",
             (long long)run[WRONG_RUNS], (long long)run[RUNS],
             plural(run[WRONG_RUNS], "does", "do"));
    } else {
        tell(verify, "runs", true,
             "%lld: %lld received = %lld stored + %lld duplicate + %lld "
             "quarantined",
             (long long)run[RUNS], (long long)run[RECEIVED], (long long)run[STORED],
             (long long)run[DUPLICATE], (long long)run[QUARANTINED]);
    }
}

static void tell_inbox(struct verify *verify, const int64_t *inbox)
{
    if (inbox[POSITIONS] != 1) {
        tell(verify, "inbox", false,
             "inbox_position has %lld row%s instead of one: somebody changed it; restore a backup",
             (long long)inbox[POSITIONS], plural_s(inbox[POSITIONS]));
    } else if (inbox[IN_INBOX] > 0) {
        tell(verify, "inbox", true, "%lld %s then", (long long)inbox[IN_INBOX],
             plural(inbox[IN_INBOX],
                    "message is on its way into the tables; a running foxtrackrd takes seconds for "
                    "it, and the runs count it",
                    "messages are on their way into the tables; a running foxtrackrd takes seconds "
                    "for them, and the runs count them"));
    } else {
        tell(verify, "inbox", true, "every message that came is in its table");
    }
}

static void tell_quarantine(struct verify *verify, const int64_t *run, const int64_t *row)
{
    int64_t left = run[QUARANTINED] - row[OCCURRENCES];

    if (row[WRONG_KEPT] != 0) {
        tell(verify, "quarantine", false,
             "%lld %s an unknown reason, or no occurrences: somebody changed the table quarantine",
             (long long)row[WRONG_KEPT], plural(row[WRONG_KEPT], "row has", "rows have"));
    } else if (left < 0) {
        tell(verify, "quarantine", false,
             "%lld message%s arrived %lld time%s, but the runs count "
             "only %lld: somebody changed the table quarantine or runs",
             (long long)row[KEPT], plural_s(row[KEPT]), (long long)row[OCCURRENCES],
             plural_s(row[OCCURRENCES]), (long long)run[QUARANTINED]);
    } else if (left > 0) {
        tell(verify, "quarantine", true,
             "%lld message%s, which arrived %lld time%s; %lld %s "
             "left it, by replay, by retention or by hand",
             (long long)row[KEPT], plural_s(row[KEPT]), (long long)row[OCCURRENCES],
             plural_s(row[OCCURRENCES]), (long long)left, plural(left, "other has", "others have"));
    } else {
        tell(verify, "quarantine", true,
             "%lld message%s, which arrived %lld time%s, as the runs "
             "count",
             (long long)row[KEPT], plural_s(row[KEPT]), (long long)row[OCCURRENCES],
             plural_s(row[OCCURRENCES]));
    }
}

/*
 * A message makes one row or two (battery and temperature), in its run or when it is replayed. One
 * that is in quarantine for one of its readings may have made a row of the other; the row that it
 * conflicts with is of a message that was stored and made only that one, so the bound holds.
 */
static void tell_readings(struct verify *verify, const int64_t *run, const int64_t *row)
{
    int64_t rows = row[BATTERY] + row[TEMPERATURE] + row[MESSAGES];
    int64_t replayed = run[QUARANTINED] - row[OCCURRENCES];
    int64_t most = 2 * (run[STORED] + (replayed > 0 ? replayed : 0));

    if (rows > most) {
        tell(verify, "readings", false,
             "%lld row%s, but the %lld message%s stored can have made only "
             "%lld: somebody added rows",
             (long long)rows, plural_s(rows), (long long)run[STORED], plural_s(run[STORED]),
             (long long)most);
    } else if (rows < run[STORED]) {
        tell(verify, "readings", true,
             "%lld battery, %lld temperature, %lld message%s; at least "
             "%lld of what was stored %s been deleted, by retention or by hand",
             (long long)row[BATTERY], (long long)row[TEMPERATURE], (long long)row[MESSAGES],
             plural_s(row[MESSAGES]), (long long)(run[STORED] - rows),
             plural(run[STORED] - rows, "has", "have"));
    } else {
        tell(verify, "readings", true,
             "%lld battery, %lld temperature, %lld message%s, of %lld "
             "message%s stored",
             (long long)row[BATTERY], (long long)row[TEMPERATURE], (long long)row[MESSAGES],
             plural_s(row[MESSAGES]), (long long)run[STORED], plural_s(run[STORED]));
    }
}

/* Runs all statements in one read transaction, because the daemon keeps writing. */
static int check_accounting(struct verify *verify)
{
    static const char *const runs_sql =
        "SELECT count(*), total(received), total(stored), total(duplicate), total(quarantined),"
        " total(received <> stored + duplicate + quarantined OR min(stored, duplicate, quarantined)"
        " < 0) FROM runs";
    static const char *const inbox_sql =
        "SELECT count(inbox.n), count(DISTINCT p.only) FROM inbox_position AS p LEFT JOIN inbox"
        " ON inbox.n > p.last_n OR (inbox.n >= p.first_n"
        " AND (inbox.device, inbox.n) > (p.device, p.n))";
    static const char *const rows_sql =
        "SELECT count(*), total(occurrences), total(occurrences < 1 OR reason NOT IN ('topic',"
        " 'version', 'encoding', 'json', 'envelope', 'body', 'time', 'conflict', 'oversize', "
        "'empty')),"
        " (SELECT count(*) FROM battery), (SELECT count(*) FROM temperature),"
        " (SELECT count(*) FROM messages) FROM quarantine";
    sqlite3 *db = verify->store->db;
    int64_t run[RUN_NUMBERS] = {0};
    int64_t inbox[INBOX_NUMBERS] = {0};
    int64_t row[ROW_NUMBERS] = {0};
    bool good = false;
    int result;

    errno = 0;
    if (sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
        return sql_failed(verify, "runs");
    }
    result = read_numbers(verify, "runs", runs_sql, run, RUN_NUMBERS, &good);
    if (result == STORE_OK && good) {
        tell_runs(verify, run);
        result = read_numbers(verify, "inbox", inbox_sql, inbox, INBOX_NUMBERS, &good);
    }
    if (result == STORE_OK && good) {
        tell_inbox(verify, inbox);
        result = read_numbers(verify, "quarantine", rows_sql, row, ROW_NUMBERS, &good);
    }
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    if (result == STORE_OK && good) {
        tell_quarantine(verify, run, row);
        tell_readings(verify, run, row);
    }
    return result;
}

/* --- the content of the rows --------------------------------------------------------------- */

/* Reads the SHA-256 of the whole payload, which the detail of a message that was too large ends
 * with. */
static bool read_whole_digest(const char *detail, uint8_t digest[DIGEST_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    const size_t size = (size_t)2 * DIGEST_SIZE;
    size_t length = detail == NULL ? 0 : strlen(detail);

    if (length < size) {
        return false;
    }
    detail += length - size;
    memset(digest, 0, DIGEST_SIZE);
    for (size_t i = 0; i < size; i++) {
        const char *digit = memchr(digits, detail[i], sizeof(digits) - 1);

        if (digit == NULL) {
            return false;
        }
        digest[i / 2] = (uint8_t)(digest[i / 2] << 4 | (digit - digits));
    }
    return true;
}

/* Sets `digest` to the key of a message that was too large, whose detail column 3 holds. A row
 * whose key is `digest` already is left alone: earlier versions did not tell such messages apart.
 */
static int try_cut_digest(sqlite3_stmt *statement, const struct store_packet *packet,
                          uint8_t digest[DIGEST_SIZE])
{
    uint8_t whole[DIGEST_SIZE];
    struct store_packet cut = *packet;

    cut.whole_digest = whole;
    if (memcmp(sqlite3_column_blob(statement, 0), digest, DIGEST_SIZE) == 0 ||
        !read_whole_digest((const char *)sqlite3_column_text(statement, 3), whole)) {
        return 0;
    }
    return store_quarantine_digest(&cut, digest);
}

/* Compares each row's digest (column 0) with that of its content: topic (1) and payload (2). Column
 * 3 is the detail of a message that was too large. */
static int count_wrong_digests(struct verify *verify, const char *sql, bool with_topic,
                               int64_t *rows, int64_t *wrong)
{
    sqlite3_stmt *statement = NULL;
    uint8_t digest[DIGEST_SIZE];
    int code = prepare(verify, sql, &statement);
    int result = STORE_OK;

    while (result == STORE_OK && (code == SQLITE_OK || code == SQLITE_ROW)) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            const struct store_packet packet = {
                .topic = with_topic ? sqlite3_column_blob(statement, 1) : NULL,
                .topic_length = with_topic ? (size_t)sqlite3_column_bytes(statement, 1) : 0,
                .payload = sqlite3_column_blob(statement, 2),
                .payload_length = (size_t)sqlite3_column_bytes(statement, 2),
            };
            int failed =
                with_topic ? store_quarantine_digest(&packet, digest)
                           : digest_sha256(packet.payload, packet.payload_length, NULL, 0, digest);

            if (failed == 0 && sqlite3_column_bytes(statement, 0) == DIGEST_SIZE) {
                failed = try_cut_digest(statement, &packet, digest);
            }
            if (failed < 0) {
                result = store_refuse(verify->store, STORE_E_RETRY, "out of memory");
            }
            ++*rows;
            *wrong += sqlite3_column_bytes(statement, 0) != DIGEST_SIZE ||
                      memcmp(sqlite3_column_blob(statement, 0), digest, DIGEST_SIZE) != 0;
        }
    }
    if (result == STORE_OK && code != SQLITE_DONE) {
        *rows = -1;
        result = sql_failed(verify, "digests");
    }
    sqlite3_finalize(statement);
    return result;
}

static int check_digests(struct verify *verify)
{
    int64_t rows = 0;
    int64_t wrong = 0;
    int result = count_wrong_digests(verify,
                                     "SELECT digest, topic, payload, iif(reason = 'oversize',"
                                     " detail, NULL) FROM quarantine",
                                     true, &rows, &wrong);

    if (result == STORE_OK && rows >= 0) {
        result = count_wrong_digests(verify, "SELECT digest, NULL, body, NULL FROM messages", false,
                                     &rows, &wrong);
    }
    if (result == STORE_OK && rows >= 0) {
        if (wrong == 0) {
            tell(verify, "digests", true, "%lld %s", (long long)rows,
                 plural(rows, "row of quarantine and messages is as it came",
                        "rows of quarantine and messages are as they came"));
        } else {
            tell(verify, "digests", false,
                 "%lld of %lld row%s of quarantine and messages %s not as stored: restore a backup",
                 (long long)wrong, (long long)rows, plural_s(rows), plural(wrong, "is", "are"));
        }
    }
    return result;
}

static int check_json(struct verify *verify)
{
    static const char *const sql =
        "SELECT (SELECT count(*) FROM battery WHERE extra IS NOT NULL AND NOT json_valid(extra)),"
        " (SELECT count(*) FROM temperature WHERE extra IS NOT NULL AND NOT json_valid(extra)),"
        " (SELECT count(*) FROM messages WHERE NOT json_valid(body))";
    int64_t bad[3] = {0};
    bool good = false;
    int result = read_numbers(verify, "JSON", sql, bad, 3, &good);

    if (result == STORE_OK && good) {
        if (bad[0] + bad[1] + bad[2] == 0) {
            tell(verify, "JSON", true, "every extra and every body can be read");
        } else {
            tell(verify, "JSON", false,
                 "rows with what is not JSON: battery %lld, temperature %lld, messages %lld: "
                 "somebody changed them",
                 (long long)bad[0], (long long)bad[1], (long long)bad[2]);
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
    int code = sql == NULL ? SQLITE_NOMEM : prepare(verify, sql, &statement);
    int result = STORE_OK;

    snprintf(check, sizeof(check), "view %s", name);
    if (sql == NULL) {
        result = store_refuse(verify->store, STORE_E_RETRY, "out of memory");
    } else if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (result == STORE_OK && code == SQLITE_INTERRUPT) {
        result = sql_failed(verify, check);
    } else if (result == STORE_OK && code != SQLITE_ROW && code != SQLITE_DONE) {
        tell(verify, check, false, "%s; make it again, or drop it",
             sqlite3_errmsg(verify->store->db));
    } else if (result == STORE_OK) {
        tell(verify, check, true, code == SQLITE_ROW ? "answers" : "answers, with no row yet");
    }
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return result;
}

/* Checks all views, also additional ones, so that a failing view is noticed here and not in a
 * report. */
static int check_views(struct verify *verify)
{
    sqlite3_stmt *statement = NULL;
    int code = prepare(verify, "SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name",
                       &statement);
    int result = STORE_OK;

    while (result == STORE_OK && (code == SQLITE_OK || code == SQLITE_ROW)) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            result = check_view(verify, (const char *)sqlite3_column_text(statement, 0));
        }
    }
    if (result == STORE_OK && code != SQLITE_DONE) {
        result = sql_failed(verify, "views");
    }
    sqlite3_finalize(statement);
    return result;
}

int store_verify(struct store *store, const struct store_watcher *watcher, store_finding_fn finding,
                 void *context)
{
    static const struct {
        const char *what;
        int (*check)(struct verify *verify);
    } checks[] = {
        {"schema", check_schema},
        {"integrity", check_integrity},
        {"foreign keys", check_foreign_keys},
        {"accounting", check_accounting},
        {"digests", check_digests},
        {"JSON", check_json},
        {"views", check_views},
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
