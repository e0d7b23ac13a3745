/*
 * Verifies the accounts: that every message the runs have counted is in a table, in quarantine, or
 * may have left either.
 */
#include "store/sqlite/verify_internal.h"

#include <errno.h>

#include "base/plural.h"

enum { RUNS, RECEIVED, STORED, DUPLICATE, QUARANTINED, WRONG_RUNS, RUN_NUMBERS };
enum { IN_INBOX, POSITIONS, INBOX_NUMBERS };
enum { KEPT, OCCURRENCES, WRONG_KEPT, BATTERY, TEMPERATURE, MESSAGES, ROW_NUMBERS };

static void tell_runs(struct verify *verify, const int64_t *run)
{
    if (run[WRONG_RUNS] != 0) {
        verify_tell(verify, "runs", false,
                    "%lld of %lld %s not add up: received is not stored + duplicate "
                    "+ quarantined; somebody changed the table runs",
                    (long long)run[WRONG_RUNS], (long long)run[RUNS],
                    plural(run[WRONG_RUNS], "does", "do"));
    } else {
        verify_tell(verify, "runs", true,
                    "%lld: %lld received = %lld stored + %lld duplicate + %lld "
                    "quarantined",
                    (long long)run[RUNS], (long long)run[RECEIVED], (long long)run[STORED],
                    (long long)run[DUPLICATE], (long long)run[QUARANTINED]);
    }
}

static void tell_inbox(struct verify *verify, const int64_t *inbox)
{
    if (inbox[POSITIONS] != 1) {
        verify_tell(
            verify, "inbox", false,
            "inbox_position has %lld row%s instead of one: somebody changed it; restore a backup",
            (long long)inbox[POSITIONS], plural_s(inbox[POSITIONS]));
    } else if (inbox[IN_INBOX] > 0) {
        verify_tell(
            verify, "inbox", true, "%lld %s then", (long long)inbox[IN_INBOX],
            plural(inbox[IN_INBOX],
                   "message is on its way into the tables; a running foxtrackrd takes seconds for "
                   "it, and the runs count it",
                   "messages are on their way into the tables; a running foxtrackrd takes seconds "
                   "for them, and the runs count them"));
    } else {
        verify_tell(verify, "inbox", true, "every message that came is in its table");
    }
}

static void tell_quarantine(struct verify *verify, const int64_t *run, const int64_t *row)
{
    int64_t left = run[QUARANTINED] - row[OCCURRENCES];

    if (row[WRONG_KEPT] != 0) {
        verify_tell(
            verify, "quarantine", false,
            "%lld %s an unknown reason, or no occurrences: somebody changed the table quarantine",
            (long long)row[WRONG_KEPT], plural(row[WRONG_KEPT], "row has", "rows have"));
    } else if (left < 0) {
        verify_tell(verify, "quarantine", false,
                    "%lld message%s arrived %lld time%s, but the runs count "
                    "only %lld: somebody changed the table quarantine or runs",
                    (long long)row[KEPT], plural_s(row[KEPT]), (long long)row[OCCURRENCES],
                    plural_s(row[OCCURRENCES]), (long long)run[QUARANTINED]);
    } else if (left > 0) {
        verify_tell(verify, "quarantine", true,
                    "%lld message%s, which arrived %lld time%s; %lld %s "
                    "left it, by replay, by retention or by hand",
                    (long long)row[KEPT], plural_s(row[KEPT]), (long long)row[OCCURRENCES],
                    plural_s(row[OCCURRENCES]), (long long)left,
                    plural(left, "other has", "others have"));
    } else {
        verify_tell(verify, "quarantine", true,
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
        verify_tell(verify, "readings", false,
                    "%lld row%s, but the %lld message%s stored can have made only "
                    "%lld: somebody added rows",
                    (long long)rows, plural_s(rows), (long long)run[STORED], plural_s(run[STORED]),
                    (long long)most);
    } else if (rows < run[STORED]) {
        verify_tell(verify, "readings", true,
                    "%lld battery, %lld temperature, %lld message%s; at least "
                    "%lld of what was stored %s been deleted, by retention or by hand",
                    (long long)row[BATTERY], (long long)row[TEMPERATURE], (long long)row[MESSAGES],
                    plural_s(row[MESSAGES]), (long long)(run[STORED] - rows),
                    plural(run[STORED] - rows, "has", "have"));
    } else {
        verify_tell(verify, "readings", true,
                    "%lld battery, %lld temperature, %lld message%s, of %lld "
                    "message%s stored",
                    (long long)row[BATTERY], (long long)row[TEMPERATURE], (long long)row[MESSAGES],
                    plural_s(row[MESSAGES]), (long long)run[STORED], plural_s(run[STORED]));
    }
}

/* Runs all statements in one read transaction, because the daemon keeps writing. */
int verify_accounts(struct verify *verify)
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
        return verify_sql_failed(verify, "runs");
    }
    result = verify_read_numbers(verify, "runs", runs_sql, run, RUN_NUMBERS, &good);
    if (result == STORE_OK && good) {
        tell_runs(verify, run);
        result = verify_read_numbers(verify, "inbox", inbox_sql, inbox, INBOX_NUMBERS, &good);
    }
    if (result == STORE_OK && good) {
        tell_inbox(verify, inbox);
        result = verify_read_numbers(verify, "quarantine", rows_sql, row, ROW_NUMBERS, &good);
    }
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    if (result == STORE_OK && good) {
        tell_quarantine(verify, run, row);
        tell_readings(verify, run, row);
    }
    return result;
}
