/*
 * The sentences of verify about the accounts: that every message the runs have counted is in a
 * table, in quarantine, or may have left either. Counts are compared in one direction only: replay
 * takes messages out of quarantine, and retention deletes them and readings, as an owner of the
 * database may.
 */
#include "store/accounts.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/plural.h"

#define FINDING_SIZE 768

static void tell(store_finding_fn finding, void *context, const char *check, bool good,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

static void tell(store_finding_fn finding, void *context, const char *check, bool good,
                 const char *format, ...)
{
    char text[FINDING_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    finding(context, check, good, text);
}

void accounts_tell_runs(const struct accounts *accounts, store_finding_fn finding, void *context)
{
    if (accounts->wrong_runs != 0) {
        tell(finding, context, "runs", false,
             "%lld of %lld %s not add up: received is not stored + duplicate "
             "+ quarantined; somebody changed the table runs",
             (long long)accounts->wrong_runs, (long long)accounts->runs,
             plural(accounts->wrong_runs, "does", "do"));
    } else {
        tell(finding, context, "runs", true,
             "%lld: %lld received = %lld stored + %lld duplicate + %lld "
             "quarantined",
             (long long)accounts->runs, (long long)accounts->received, (long long)accounts->stored,
             (long long)accounts->duplicate, (long long)accounts->quarantined);
    }
}

static void tell_quarantine(const struct accounts *accounts, store_finding_fn finding,
                            void *context)
{
    int64_t left = accounts->quarantined - accounts->occurrences;

    if (accounts->wrong_kept != 0) {
        tell(finding, context, "quarantine", false,
             "%lld %s an unknown reason, or no occurrences: somebody changed the table quarantine",
             (long long)accounts->wrong_kept, plural(accounts->wrong_kept, "row has", "rows have"));
    } else if (left < 0) {
        tell(finding, context, "quarantine", false,
             "%lld message%s arrived %lld time%s, but the runs count "
             "only %lld: somebody changed the table quarantine or runs",
             (long long)accounts->kept, plural_s(accounts->kept), (long long)accounts->occurrences,
             plural_s(accounts->occurrences), (long long)accounts->quarantined);
    } else if (left > 0) {
        tell(finding, context, "quarantine", true,
             "%lld message%s, which arrived %lld time%s; %lld %s "
             "left it, by replay, by retention or by hand",
             (long long)accounts->kept, plural_s(accounts->kept), (long long)accounts->occurrences,
             plural_s(accounts->occurrences), (long long)left,
             plural(left, "other has", "others have"));
    } else {
        tell(finding, context, "quarantine", true,
             "%lld message%s, which arrived %lld time%s, as the runs "
             "count",
             (long long)accounts->kept, plural_s(accounts->kept), (long long)accounts->occurrences,
             plural_s(accounts->occurrences));
    }
}

/*
 * A message makes one row or two (battery and temperature), in its run or when it is replayed. One
 * that is in quarantine for one of its readings may have made a row of the other; the row that it
 * conflicts with is of a message that was stored and made only that one, so the bound holds.
 */
static void tell_readings(const struct accounts *accounts, store_finding_fn finding, void *context)
{
    int64_t rows =
        accounts->battery + accounts->temperature + accounts->messages + accounts->expired;
    int64_t replayed = accounts->quarantined - accounts->occurrences;
    int64_t most = 2 * (accounts->stored + (replayed > 0 ? replayed : 0));
    char expired[48] = "";

    if (accounts->expired > 0) {
        snprintf(expired, sizeof(expired), ", %lld expired", (long long)accounts->expired);
    }
    if (rows > most) {
        tell(finding, context, "readings", false,
             "%lld row%s, but the %lld message%s stored can have made only "
             "%lld: somebody added rows",
             (long long)rows, plural_s(rows), (long long)accounts->stored,
             plural_s(accounts->stored), (long long)most);
    } else if (rows < accounts->stored) {
        tell(finding, context, "readings", true,
             "%lld battery, %lld temperature, %lld message%s%s; at least "
             "%lld of what was stored %s been deleted, by retention or by hand",
             (long long)accounts->battery, (long long)accounts->temperature,
             (long long)accounts->messages, plural_s(accounts->messages), expired,
             (long long)(accounts->stored - rows), plural(accounts->stored - rows, "has", "have"));
    } else {
        tell(finding, context, "readings", true,
             "%lld battery, %lld temperature, %lld message%s%s, of %lld "
             "message%s stored",
             (long long)accounts->battery, (long long)accounts->temperature,
             (long long)accounts->messages, plural_s(accounts->messages), expired,
             (long long)accounts->stored, plural_s(accounts->stored));
    }
}

void accounts_tell_rows(const struct accounts *accounts, store_finding_fn finding, void *context)
{
    tell_quarantine(accounts, finding, context);
    tell_readings(accounts, finding, context);
}
