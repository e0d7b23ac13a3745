/*
 * Retention: deletes old rows, in chunks so short that acknowledgements are not delayed noticeably.
 *
 * A month whose every row is old goes as a whole: it is detached from its table and renamed, in one
 * transaction that changes the catalogue only. Then its rows are counted, some pages a chunk, which
 * nobody can change any more; and the last transaction drops it and counts its rows in `expired`. A
 * daemon that ends in between leaves a table whose name begins with foxtrackr_expired_: the next
 * pass of any daemon goes on with it.
 *
 * Detaching waits for whoever reads the table, and everybody else waits behind that. So it waits
 * for DETACH_MS only; a month that is in use for longer is left to the next pass, which says so.
 *
 * Rows of the month that a cutoff cuts, and of the partition of everything older, are deleted by
 * DELETE: the devices in the order of their numbers, DEVICES a statement, by seeks of the primary
 * key. The pass notes the last device without old rows.
 *
 * One daemon at a time does a chunk; others find the lock taken and do theirs later. A chunk is not
 * synced: the next batch's commit is, and comes after it in the server's log.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgresql/expire_internal.h"
#include "store/postgresql/months_internal.h"
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define DEVICES       100
#define DETACH_MS     "200"
#define ROWS_OF_PAGE  32
#define PAGES_COUNTED 64 /* in a statement */
#define CUT_MAX       4
#define SQL_SIZE      1024

struct work {
    struct store *store;
    struct store_expiry place;
    const struct store_chunk *chunk;
    struct store_expired *out;
    int64_t deadline_us;
    int64_t limit;                        /* rows to delete */
    bool detached;                        /* a month: the locks must not be held for longer */
    int cut_table;                        /* whose partitions these are; STORE_TABLES: none */
    char cut[CUT_MAX][PG_PARTITION_SIZE]; /* those with rows on both sides of the cutoff */
    int cut_count;
};

static bool used_up(struct work *work)
{
    uint64_t rows = 0;

    for (int i = 0; i < STORE_TABLES; i++) {
        rows += work->out->rows[i];
    }
    work->out->reached_limit = rows >= (uint64_t)work->limit;
    return work->out->reached_limit || work->detached ||
           work->chunk->clock_us() >= work->deadline_us;
}

static const char *table_of(const struct work *work)
{
    return store_table_name((enum store_table)work->place.table);
}

static int64_t cutoff_of(const struct work *work)
{
    return work->place.cutoff_ms[work->place.table];
}

static void next_table(struct work *work)
{
    work->place.table++;
    work->place.device = 0;
}

/* Counts rows of the present table in `expired`, in the open transaction. */
static int count(struct work *work, int64_t rows)
{
    struct pg_args args = {.count = 0};

    work->out->rows[work->place.table] += (uint64_t)rows;
    if (rows == 0) {
        return STORE_OK;
    }
    pg_arg_int8(&args, work->store->run);
    pg_arg_text(&args, table_of(work));
    pg_arg_int8(&args, rows);
    pg_arg_int8(&args, cutoff_of(work));
    pg_arg_int8(&args, work->chunk->now_ms);
    return pg_run(work->store, PG_EXPIRED_ADD, &args, NULL);
}

/* --- whole months -------------------------------------------------------------------------- */

/* Sets *name to a text of the only row of a query about the present table, "" without a row. */
static int read_name(struct work *work, enum pg_statement id, char name[PG_PARTITION_SIZE],
                     int64_t *number)
{
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    int result;

    pg_arg_text(&args, table_of(work));
    pg_arg_int8(&args, cutoff_of(work));
    result = pg_run(work->store, id, &args, &found);
    name[0] = '\0';
    *number = 0;
    if (result == STORE_OK && PQntuples(found) > 0) {
        snprintf(name, PG_PARTITION_SIZE, "%s", PQgetvalue(found, 0, 0));
        *number = pg_int8(found, 0, 1);
    }
    PQclear(found);
    return result;
}

/* Runs a statement that names a partition, which no parameter can. */
static int run_for(struct store *store, const char *before, const char *name, const char *after,
                   const struct pg_args *args, const char *doing, PGresult **out)
{
    char *quoted = PQescapeIdentifier(store->db, name, strlen(name));
    char sql[SQL_SIZE];
    int result;

    if (quoted == NULL) {
        return pg_fail(store, NULL, doing);
    }
    snprintf(sql, sizeof(sql), "%s %s %s", before, quoted, after);
    PQfreemem(quoted);
    result = pg_run_text(store, sql, args, doing, out);
    return result;
}

/* Drops the detached month whose rows are counted. */
static int drop(struct work *work)
{
    struct store *store = work->store;
    struct pg_expire *expire = store->expire;
    int result = count(work, expire->rows);

    if (result == STORE_OK) {
        result = run_for(store, "DROP TABLE", expire->counted, "", NULL, "drop an old month", NULL);
    }
    expire->counted[0] = '\0';
    return result;
}

/* Counts the next pages of the detached month `name`, which has `pages`, and drops it when all are
 * counted. */
static int count_pages(struct work *work, const char *name, int64_t pages)
{
    struct pg_expire *expire = work->store->expire;
    int result = STORE_OK;

    if (strcmp(expire->counted, name) != 0) {
        snprintf(expire->counted, sizeof(expire->counted), "%s", name);
        expire->page = 0;
        expire->rows = 0;
    }
    while (result == STORE_OK && expire->page < pages && !used_up(work)) {
        char range[128];
        PGresult *found = NULL;

        snprintf(range, sizeof(range), "WHERE ctid >= '(%lld,0)' AND ctid < '(%lld,0)'",
                 (long long)expire->page, (long long)expire->page + PAGES_COUNTED);
        result = run_for(work->store, "SELECT count(*) FROM", name, range, NULL,
                         "count the rows of an old month", &found);
        if (result == STORE_OK) {
            expire->rows += pg_int8(found, 0, 0);
            expire->page += PAGES_COUNTED;
        }
        PQclear(found);
    }
    return result == STORE_OK && expire->page >= pages ? drop(work) : result;
}

static bool is_in_use(const struct store *store)
{
    return strcmp(store->state, "55P03") == 0;
}

/* Detaches a month and renames it. One that is in use is left to the next pass. */
static int detach(struct work *work, const char *name)
{
    struct store *store = work->store;
    char target[PG_PARTITION_SIZE * 2];
    char sql[SQL_SIZE];
    int result;

    snprintf(sql, sizeof(sql),
             "SET LOCAL lock_timeout = " DETACH_MS "; ALTER TABLE %s DETACH PARTITION ",
             table_of(work)); /* names of ours need no quotes */
    snprintf(target, sizeof(target), "%s%.40s", PG_EXPIRED_PREFIX, name);
    result = pg_simple(store, "SAVEPOINT month", "detach an old month", NULL);
    if (result == STORE_OK) {
        char *quoted = PQescapeIdentifier(store->db, name, strlen(name));
        char *renamed = PQescapeIdentifier(store->db, target, strlen(target));

        if (quoted != NULL && renamed != NULL) {
            snprintf(sql + strlen(sql), sizeof(sql) - strlen(sql),
                     "%s; ALTER TABLE %s RENAME TO %s", quoted, quoted, renamed);
            result = pg_simple(store, sql, "detach an old month", NULL);
        } else {
            result = pg_fail(store, NULL, "detach an old month");
        }
        PQfreemem(quoted);
        PQfreemem(renamed);
    }
    if (result == STORE_E_RETRY && store->db != NULL && is_in_use(store)) {
        snprintf(store->expire->held, sizeof(store->expire->held), "%s", name);
        store->expire->skip[work->place.table] = true;
        return pg_simple(store, "ROLLBACK TO SAVEPOINT month", "go on without an old month", NULL);
    }
    months_clear(store->months);
    work->detached = result == STORE_OK;
    return result;
}

/* Does a step with the whole months of a table. *more: there may be another one. */
static int expire_months(struct work *work, bool *more)
{
    char name[PG_PARTITION_SIZE];
    char old[PG_PARTITION_SIZE];
    int64_t number = 0;
    int result = read_name(work, PG_EXPIRED_MONTH, name, &number);

    *more = true;
    if (result != STORE_OK) {
        return result;
    }
    if (name[0] != '\0') {
        return count_pages(work, name, number);
    }
    if (!work->store->expire->skip[work->place.table]) {
        result = read_name(work, PG_OLD_MONTH, old, &number);
        if (result == STORE_OK && old[0] != '\0') {
            return detach(work, old);
        }
    }
    *more = false;
    return result;
}

/* --- single rows --------------------------------------------------------------------------- */

/* Deletes old rows of the next devices from one partition. *deleted, and *last: the last of these
 * devices, 0: there are none. */
static int delete_from(struct work *work, const char *name, int64_t *deleted, int64_t *last)
{
    static const char before[] =
        "WITH few AS MATERIALIZED (SELECT device FROM devices WHERE device > $1::int8"
        " ORDER BY device LIMIT $2::int8), gone AS (DELETE FROM";
    char *quoted = PQescapeIdentifier(work->store->db, name, strlen(name));
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    char after[SQL_SIZE];
    int result;

    if (quoted == NULL) {
        return pg_fail(work->store, NULL, "delete old rows");
    }
    snprintf(after, sizeof(after),
             " WHERE ctid = ANY (ARRAY(SELECT o.ctid FROM few CROSS JOIN LATERAL"
             " (SELECT r.ctid FROM %s AS r WHERE r.device = few.device AND r.time_ms < $3::int8"
             " LIMIT $4::int8) AS o LIMIT $4::int8)) RETURNING 1)"
             " SELECT (SELECT count(*) FROM gone), coalesce((SELECT max(device) FROM few), 0)",
             quoted);
    PQfreemem(quoted);
    pg_arg_int8(&args, work->place.device);
    pg_arg_int8(&args, DEVICES);
    pg_arg_int8(&args, cutoff_of(work));
    pg_arg_int8(&args, work->limit);
    result = run_for(work->store, before, name, after, &args, "delete old rows", &found);
    if (result == STORE_OK) {
        *deleted = pg_int8(found, 0, 0);
        *last = pg_int8(found, 0, 1);
    }
    PQclear(found);
    return result;
}

/* Finds the month that the cutoff cuts, and the partition of everything older. */
static int find_cut(struct work *work)
{
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    int result;

    if (work->cut_table == work->place.table) {
        return STORE_OK;
    }
    pg_arg_text(&args, table_of(work));
    pg_arg_int8(&args, cutoff_of(work));
    result = pg_run(work->store, PG_CUT_MONTHS, &args, &found);
    if (result == STORE_OK) {
        work->cut_table = work->place.table;
        work->cut_count = 0;
    }
    for (int row = 0; result == STORE_OK && row < PQntuples(found) && row < CUT_MAX; row++) {
        snprintf(work->cut[work->cut_count++], PG_PARTITION_SIZE, "%s", PQgetvalue(found, row, 0));
    }
    PQclear(found);
    return result;
}

static int delete_some(struct work *work)
{
    int64_t last = 0;
    bool all = true;
    int result = find_cut(work);

    for (int i = 0; result == STORE_OK && i < work->cut_count; i++) {
        int64_t deleted = 0;

        result = delete_from(work, work->cut[i], &deleted, &last);
        if (result == STORE_OK) {
            result = count(work, deleted);
            all = all && deleted < work->limit;
        }
    }
    if (result == STORE_OK && last == 0) {
        next_table(work);
    } else if (result == STORE_OK && all) {
        work->place.device = last;
    }
    return result;
}

static int delete_quarantine(struct work *work)
{
    struct pg_args args = {.count = 0};
    PGresult *answer = NULL;
    int64_t deleted;
    int result;

    pg_arg_int8(&args, cutoff_of(work));
    pg_arg_int8(&args, work->limit);
    result = pg_run(work->store, PG_QUARANTINE_EXPIRE, &args, &answer);
    if (result != STORE_OK) {
        return result;
    }
    deleted = pg_touched(answer);
    PQclear(answer);
    if (work->store->entries >= deleted && work->store->entries < STORE_QUARANTINE_COUNTED) {
        work->store->entries -= deleted;
    }
    result = count(work, deleted);
    if (result == STORE_OK && deleted < work->limit) {
        next_table(work);
    }
    return result;
}

/* --- a chunk ------------------------------------------------------------------------------- */

/* Does a step of the pass; one statement may take longer than the rest of the chunk. */
static int step(struct work *work)
{
    bool more = false;
    int result = STORE_OK;

    if (cutoff_of(work) == STORE_KEEP) {
        next_table(work);
        return STORE_OK;
    }
    if (work->place.table == STORE_QUARANTINE) {
        return delete_quarantine(work);
    }
    if (work->place.device == 0) {
        result = expire_months(work, &more);
    }
    return result == STORE_OK && !more ? delete_some(work) : result;
}

/* Begins a transaction, unless another daemon does a chunk: then *granted is false. */
static int begin(struct store *store, bool *granted)
{
    struct pg_args key = {.count = 0};
    PGresult *answer = NULL;
    int result = pg_ready(store);

    if (result == STORE_OK) {
        result = pg_simple(store, PG_BEGIN "; SET LOCAL synchronous_commit = off",
                           "begin to delete old rows", NULL);
    }
    if (result == STORE_OK) {
        pg_arg_int8(&key, pg_lock_key("retention", "", ""));
        result = pg_run(store, PG_RETENTION_LOCK, &key, &answer);
    }
    *granted = result == STORE_OK && pg_int4(answer, 0, 0) != 0;
    PQclear(answer);
    return result;
}

/* The end of a pass; it is a failure if a month had to stay, so that somebody learns of it. */
static int end_pass(struct work *work)
{
    struct pg_expire *expire = work->store->expire;
    char held[PG_PARTITION_SIZE];

    snprintf(held, sizeof(held), "%s", expire->held);
    *expire = (struct pg_expire){0};
    if (held[0] != '\0') {
        return pg_refuse(work->store, STORE_E_RETRY,
                         "%s: %s is old as a whole and cannot be dropped while another program "
                         "reads its table: end its transaction (pg_stat_activity shows it)",
                         work->store->shown, held);
    }
    work->out->done = true;
    return STORE_OK;
}

int postgresql_expire(struct store *store, struct store_expiry *expiry,
                      const struct store_chunk *chunk, struct store_expired *out)
{
    struct work work = {.store = store,
                        .place = *expiry,
                        .chunk = chunk,
                        .out = out,
                        .deadline_us = chunk->clock_us() + chunk->budget_us,
                        .limit = (int64_t)chunk->limit_pages * ROWS_OF_PAGE,
                        .cut_table = STORE_TABLES};
    bool granted = false;
    int result;

    *out = (struct store_expired){0};
    if (work.place.table == STORE_TABLES) {
        return end_pass(&work);
    }
    result = begin(store, &granted);
    while (result == STORE_OK && granted && work.place.table < STORE_TABLES) {
        result = step(&work);
        if (used_up(&work)) {
            break;
        }
    }
    if (result == STORE_OK) {
        result = pg_simple(store, "COMMIT", "delete old rows", NULL);
    }
    if (result != STORE_OK) {
        *store->expire = (struct pg_expire){0};
        return result; /* the caller rolls back */
    }
    store->entries_durable = store->entries;
    out->later = !granted;
    *expiry = work.place;
    return STORE_OK;
}
