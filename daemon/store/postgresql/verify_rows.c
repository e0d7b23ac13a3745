/* Verifies the rows: the months, that each row is in its month and of a device, and the accounts
 * (store/accounts.c). */
#include "store/postgresql/verify_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/plural.h"

#define MONTHS_SQL                                                                                 \
    "SELECT parent, name, coalesce(from_ms, $1::int8), coalesce(until_ms, $2::int8),"              \
    " detaching::int4, coalesce(from_ms = lag(until_ms) OVER (PARTITION BY parent"                 \
    " ORDER BY from_ms NULLS FIRST), from_ms IS NULL)::int4"                                       \
    " FROM foxtrackr_partitions ORDER BY parent, from_ms NULLS FIRST"

enum { PARENT, NAME, FROM, UNTIL, DETACHING, FOLLOWS };

static int read_months(struct pg_verify *verify, PGresult **months)
{
    struct pg_args args = {.count = 0};

    pg_arg_int8(&args, INT64_MIN);
    pg_arg_int8(&args, INT64_MAX);
    return pg_verify_query(verify, "months", MONTHS_SQL, &args, months);
}

/* A hole holds no rows, and the daemon fills it when a reading of that month comes: only a
 * partition that is half removed is a fault. */
int pg_verify_months(struct pg_verify *verify)
{
    PGresult *months = NULL;
    int holes = 0;
    int result = read_months(verify, &months);

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

/* Counts the rows of a partition, those out of its range, and those without a device. */
static int count_month(struct pg_verify *verify, const PGresult *months, int row,
                       int64_t numbers[3])
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
    result = pg_verify_query(verify, "ranges", sql, &args, &found);
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
        };
    }
    PQclear(found);
    return result;
}

/* Counts all rows. numbers[1], [2]: out of their range, without a device. */
static int count_rows(struct pg_verify *verify, const PGresult *months, int64_t numbers[3])
{
    struct accounts *accounts = &verify->accounts;
    int result = STORE_OK;

    for (int row = 0; result == STORE_OK && row < PQntuples(months); row++) {
        const char *parent = PQgetvalue(months, row, PARENT);
        int64_t month[3] = {0};

        result = count_month(verify, months, row, month);
        *(strcmp(parent, "battery") == 0       ? &accounts->battery
          : strcmp(parent, "temperature") == 0 ? &accounts->temperature
                                               : &accounts->messages) += month[0];
        for (int i = 0; i < 3; i++) {
            numbers[i] += month[i];
        }
    }
    return result;
}

static void tell_rows(struct pg_verify *verify, const int64_t numbers[3])
{
    if (numbers[1] > 0) {
        pg_verify_tell(
            verify, "ranges", false,
            "of the rows, %lld of %lld are not in the partition of their month: the server's "
            "files are damaged, restore a dump",
            (long long)numbers[1], (long long)numbers[0]);
    } else {
        pg_verify_tell(
            verify, "ranges", true, "%lld %s of its month", (long long)numbers[0],
            plural(numbers[0], "row is in the partition", "rows, each in the partition"));
    }
    if (numbers[2] > 0) {
        pg_verify_tell(
            verify, "foreign keys", false,
            "of the rows, %lld of %lld belong to no device: somebody deleted from the table "
            "devices",
            (long long)numbers[2], (long long)numbers[0]);
    } else {
        pg_verify_tell(verify, "foreign keys", true, "every row belongs to a device");
    }
}

int pg_verify_rows(struct pg_verify *verify)
{
    struct accounts before = {0};
    PGresult *months = NULL;
    int64_t numbers[3] = {0};
    int result = read_runs(verify, &before);

    if (result == STORE_OK) {
        result = read_months(verify, &months);
    }
    if (result == STORE_OK && months != NULL) {
        result = count_rows(verify, months, numbers);
    }
    if (result == STORE_OK && months != NULL) {
        result = read_runs(verify, &verify->accounts);
    }
    if (result == STORE_OK && months != NULL) {
        struct accounts *accounts = &verify->accounts;
        int64_t rows = accounts->battery + accounts->temperature + accounts->messages;

        tell_rows(verify, numbers);
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
