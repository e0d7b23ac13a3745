/*
 * Verifies the rows: the months, that each row is in its month and of a device, and the accounts
 * (store/accounts.c).
 *
 * A month that retention has detached and not dropped yet is a table of its own, see expire.c. Its
 * rows are expired, and not missing: they count as rows of messages that were stored. The months
 * and these tables are listed by one statement, so no row is counted twice. A month that retention
 * detaches or drops before its turn is left out.
 */
#include "store/postgresql/verify_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/plural.h"
#include "store/postgresql/expire_internal.h"

#define MONTHS_SQL                                                                                 \
    "SELECT parent, name, coalesce(from_ms, $1::int8), coalesce(until_ms, $2::int8),"              \
    " detaching::int4, coalesce(from_ms = lag(until_ms) OVER (PARTITION BY parent"                 \
    " ORDER BY from_ms NULLS FIRST), from_ms IS NULL)::int4"                                       \
    " FROM foxtrackr_partitions ORDER BY parent, from_ms NULLS FIRST"

enum { PARENT, NAME, FROM, UNTIL, DETACHING, FOLLOWS };

/* The same columns up to UNTIL. PARENT of a detached month is empty, and any time is in its range.
 */
#define COUNTED_SQL                                                                                \
    "SELECT parent, name, coalesce(from_ms, $1::int8), coalesce(until_ms, $2::int8)"               \
    " FROM foxtrackr_partitions UNION ALL SELECT '', relname::text, $1::int8, $2::int8"            \
    " FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"         \
    " AND relname ~ '^" PG_EXPIRED_PREFIX "(battery|temperature|messages)_' ORDER BY 1, 3, 2"

/* The sums of count_rows(). */
struct counted {
    int64_t rows;
    int64_t misplaced; /* out of the range of their month */
    int64_t orphans;   /* without a device */
    int64_t expired;   /* rows of detached months: they are not among `rows` */
    int months;        /* detached ones */
    char first[PG_PARTITION_SIZE];
};

static int read_months(struct pg_verify *verify, const char *check, const char *sql,
                       PGresult **months)
{
    struct pg_args args = {.count = 0};

    pg_arg_int8(&args, INT64_MIN);
    pg_arg_int8(&args, INT64_MAX);
    return pg_verify_query(verify, check, sql, &args, months);
}

/* A hole holds no rows, and the daemon fills it when a reading of that month comes: only a
 * partition that is half removed is a fault. */
int pg_verify_months(struct pg_verify *verify)
{
    PGresult *months = NULL;
    int holes = 0;
    int result = read_months(verify, "months", MONTHS_SQL, &months);

    for (int row = 0; months != NULL && row < PQntuples(months); row++) {
        if (pg_int4(months, row, DETACHING) != 0) {
            pg_verify_tell(verify, "months", false,
                           "%s is half removed: a retention was interrupted, and the next one of "
                           "a foxtrackrd goes on",
                           PQgetvalue(months, row, NAME));
            PQclear(months);
            return result;
        }
        holes += pg_int4(months, row, FOLLOWS) == 0;
    }
    if (months != NULL) {
        pg_verify_tell(verify, "months", true, "%d partition%s%s", PQntuples(months),
                       plural_s(PQntuples(months)),
                       holes > 0 ? "; months of which nothing is kept have none" : "");
    }
    PQclear(months);
    return result;
}

/* Counts the rows of a month, those out of its range, and those without a device. *gone: retention
 * has just detached or dropped the month. */
static int count_month(struct pg_verify *verify, const PGresult *months, int row,
                       int64_t numbers[3], bool *gone)
{
    struct store *store = verify->store;
    const char *name = PQgetvalue(months, row, NAME);
    char *quoted = PQescapeIdentifier(store->db, name, strlen(name));
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    char sql[320];
    int result;

    if (quoted == NULL) {
        return pg_fail(store, NULL, "count rows");
    }
    snprintf(sql, sizeof(sql),
             "SELECT count(*), count(*) FILTER (WHERE time_ms < $1::int8 OR time_ms >= $2::int8),"
             " count(*) FILTER (WHERE d.device IS NULL) FROM %s AS r"
             " LEFT JOIN devices AS d ON d.device = r.device",
             quoted);
    PQfreemem(quoted);
    pg_arg_int8(&args, pg_int8(months, row, FROM));
    pg_arg_int8(&args, pg_int8(months, row, UNTIL));
    result = pg_verify_query_of(verify, "ranges", sql, &args, &found, gone);
    for (int i = 0; found != NULL && i < 3; i++) {
        numbers[i] = pg_int8(found, 0, i);
    }
    PQclear(found);
    return result == STORE_OK ? pg_verify_count(verify, (int)(numbers[0] % INT32_MAX)) : result;
}

static int read_runs(struct pg_verify *verify, struct accounts *out)
{
    PGresult *found = NULL;
    int result = pg_verify_query(
        verify, "runs",
        "SELECT count(*), coalesce(sum(received), 0)::int8, coalesce(sum(stored), 0)::int8,"
        " coalesce(sum(duplicate), 0)::int8, coalesce(sum(quarantined), 0)::int8,"
        " count(*) FILTER (WHERE received <> stored + duplicate + quarantined"
        " OR least(stored, duplicate, quarantined) < 0),"
        " (SELECT count(*) FROM quarantine),"
        " (SELECT coalesce(sum(occurrences), 0)::int8 FROM quarantine),"
        " (SELECT count(*) FROM quarantine WHERE occurrences < 1 OR reason NOT IN ('topic',"
        " 'version', 'encoding', 'json', 'envelope', 'body', 'time', 'conflict', 'oversize',"
        " 'empty')) FROM runs",
        NULL, &found);

    if (found != NULL) {
        *out = (struct accounts){
            .runs = pg_int8(found, 0, 0),
            .received = pg_int8(found, 0, 1),
            .stored = pg_int8(found, 0, 2),
            .duplicate = pg_int8(found, 0, 3),
            .quarantined = pg_int8(found, 0, 4),
            .wrong_runs = pg_int8(found, 0, 5),
            .kept = pg_int8(found, 0, 6),
            .occurrences = pg_int8(found, 0, 7),
            .wrong_kept = pg_int8(found, 0, 8),
            .battery = out->battery,
            .temperature = out->temperature,
            .messages = out->messages,
            .expired = out->expired,
        };
    }
    PQclear(found);
    return result;
}

/* Adds a month's numbers to those of all. */
static void add_month(struct accounts *accounts, struct counted *all, const char *parent,
                      const char *name, const int64_t numbers[3])
{
    if (parent[0] == '\0') {
        if (all->months == 0) {
            snprintf(all->first, sizeof(all->first), "%s", name);
        }
        all->months++;
        all->expired += numbers[0];
        return;
    }
    *(strcmp(parent, "battery") == 0       ? &accounts->battery
      : strcmp(parent, "temperature") == 0 ? &accounts->temperature
                                           : &accounts->messages) += numbers[0];
    all->rows += numbers[0];
    all->misplaced += numbers[1];
    all->orphans += numbers[2];
}

static int count_rows(struct pg_verify *verify, const PGresult *months, struct counted *all)
{
    int result = STORE_OK;

    for (int row = 0; result == STORE_OK && row < PQntuples(months); row++) {
        int64_t numbers[3] = {0};
        bool gone = false;

        result = count_month(verify, months, row, numbers, &gone);
        if (!gone) {
            add_month(&verify->accounts, all, PQgetvalue(months, row, PARENT),
                      PQgetvalue(months, row, NAME), numbers);
        }
    }
    verify->accounts.expired = all->expired;
    return result;
}

static void tell_rows(struct pg_verify *verify, const struct counted *all)
{
    if (all->misplaced > 0) {
        pg_verify_tell(
            verify, "ranges", false,
            "of the rows, %lld of %lld are not in the partition of their month: the server's "
            "files are damaged, restore a dump",
            (long long)all->misplaced, (long long)all->rows);
    } else {
        pg_verify_tell(verify, "ranges", true, "%lld %s of its month", (long long)all->rows,
                       plural(all->rows, "row is in the partition", "rows, each in the partition"));
    }
    if (all->orphans > 0) {
        pg_verify_tell(
            verify, "foreign keys", false,
            "of the rows, %lld of %lld belong to no device: somebody deleted from the table "
            "devices",
            (long long)all->orphans, (long long)all->rows);
    } else {
        pg_verify_tell(verify, "foreign keys", true, "every row belongs to a device");
    }
}

static void tell_expired(struct pg_verify *verify, const struct counted *all)
{
    if (all->months == 0) {
        pg_verify_tell(verify, "expired", true, "no month is left that retention has to drop");
    } else if (all->months == 1) {
        pg_verify_tell(verify, "expired", true,
                       "%lld row%s of a month that retention has detached (table %s): the next "
                       "retention of a foxtrackrd drops it",
                       (long long)all->expired, plural_s(all->expired), all->first);
    } else {
        pg_verify_tell(verify, "expired", true,
                       "%lld row%s of %d %s that retention has detached (tables %s, ...): the "
                       "next retention of a foxtrackrd drops them",
                       (long long)all->expired, plural_s(all->expired), all->months,
                       plural(all->months, "month", "months"), all->first);
    }
}

int pg_verify_rows(struct pg_verify *verify)
{
    struct accounts before = {0};
    PGresult *months = NULL;
    struct counted all = {0};
    int result = read_runs(verify, &before);

    if (result == STORE_OK) {
        result = read_months(verify, "ranges", COUNTED_SQL, &months);
    }
    if (result == STORE_OK && months != NULL) {
        result = count_rows(verify, months, &all);
    }
    if (result == STORE_OK && months != NULL) {
        result = read_runs(verify, &verify->accounts);
    }
    if (result == STORE_OK && months != NULL) {
        struct accounts *accounts = &verify->accounts;
        int64_t rows = all.rows + all.expired;

        tell_rows(verify, &all);
        tell_expired(verify, &all);
        accounts_tell_runs(accounts, verify->finding, verify->context);
        /* Rows stored while these were counted are not among them. */
        if (rows < accounts->stored && rows >= before.stored) {
            accounts->stored = rows;
        }
        accounts_tell_rows(accounts, verify->finding, verify->context);
    }
    PQclear(months);
    return result;
}
