/*
 * Verifies the accounts: reads the numbers that store/accounts.c judges, and looks at the inbox.
 */
#include "store/sqlite/verify_internal.h"

#include <errno.h>

#include "base/plural.h"
#include "store/accounts.h"

enum { RUNS, RECEIVED, STORED, DUPLICATE, QUARANTINED, WRONG_RUNS, RUN_NUMBERS };
enum { IN_INBOX, POSITIONS, INBOX_NUMBERS };
enum { KEPT, OCCURRENCES, WRONG_KEPT, BATTERY, TEMPERATURE, MESSAGES, ROW_NUMBERS };

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
    struct accounts accounts = {0};
    bool good = false;
    int result;

    errno = 0;
    if (sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
        return verify_sql_failed(verify, "runs");
    }
    result = verify_read_numbers(verify, "runs", runs_sql, run, RUN_NUMBERS, &good);
    if (result == STORE_OK && good) {
        accounts = (struct accounts){.runs = run[RUNS],
                                     .received = run[RECEIVED],
                                     .stored = run[STORED],
                                     .duplicate = run[DUPLICATE],
                                     .quarantined = run[QUARANTINED],
                                     .wrong_runs = run[WRONG_RUNS]};
        accounts_tell_runs(&accounts, verify->finding, verify->context);
        result = verify_read_numbers(verify, "inbox", inbox_sql, inbox, INBOX_NUMBERS, &good);
    }
    if (result == STORE_OK && good) {
        tell_inbox(verify, inbox);
        result = verify_read_numbers(verify, "quarantine", rows_sql, row, ROW_NUMBERS, &good);
    }
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    if (result == STORE_OK && good) {
        accounts.kept = row[KEPT];
        accounts.occurrences = row[OCCURRENCES];
        accounts.wrong_kept = row[WRONG_KEPT];
        accounts.battery = row[BATTERY];
        accounts.temperature = row[TEMPERATURE];
        accounts.messages = row[MESSAGES];
        accounts_tell_rows(&accounts, verify->finding, verify->context);
    }
    return result;
}
