/*
 * The facts about the server that `foxtrackrctl check` shows, and warnings about its settings. All
 * of them are visible to the daemon's own role, which is no superuser.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/plural.h"
#include "base/wall.h"
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define MONTHS_WANTED    2
#define CONNECTIONS_FREE 5
#define DEAD_PERCENT     50    /* dead rows that autovacuum has not come to */
#define DEAD_ROWS        50000 /* fewer do not matter */
#define WRAP_AGE         1500000000

enum {
    VERSION,
    HOST,
    FSYNC,
    COMMITS,
    PAGES,
    STANDBYS,
    BYTES,
    DEADLOCKS,
    FREE,
    MONTHS,
    RECOVERY,
    TEMPORARY,
    CREATE,
    AGE,
    VACUUM,
    ROLE
};

static const char facts[] =
    "SELECT split_part(current_setting('server_version'), ' ', 1),"
    " coalesce(host(inet_server_addr()) || ' port ' || inet_server_port(), 'the socket'),"
    " current_setting('fsync'), current_setting('synchronous_commit'),"
    " current_setting('full_page_writes'), current_setting('synchronous_standby_names') <> '',"
    " pg_database_size(current_database()),"
    " (SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()),"
    " current_setting('max_connections')::int8 - current_setting('superuser_reserved_connections')"
    "::int8 - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
    " (SELECT min(n) FROM (SELECT count(*) FILTER (WHERE from_ms > $1::int8) AS n"
    " FROM foxtrackr_partitions WHERE NOT detaching GROUP BY parent) AS m),"
    " pg_is_in_recovery(), has_database_privilege(current_database(), 'TEMP'),"
    " coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),"
    " (SELECT age(datfrozenxid)::int8 FROM pg_database WHERE datname = current_database()),"
    " current_setting('autovacuum'), " PG_ROLES;

static const char dead[] = "SELECT relname, n_dead_tup, n_live_tup FROM pg_stat_user_tables"
                           " WHERE schemaname = current_schema() AND n_dead_tup > $1::int8"
                           " AND n_dead_tup * 100 > $2::int8 * (n_live_tup + n_dead_tup)"
                           " ORDER BY n_dead_tup DESC LIMIT 1";

static void warn(struct store_server *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void warn(struct store_server *out, const char *format, ...)
{
    va_list arguments;

    if (out->warning_count == STORE_WARNINGS_MAX) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(out->warnings[out->warning_count++], sizeof(out->warnings[0]), format, arguments);
    va_end(arguments);
}

static bool yes(const PGresult *found, int column)
{
    return PQgetvalue(found, 0, column)[0] != 0; /* a bool in binary */
}

static bool is_off(const PGresult *found, int column)
{
    return strcmp(PQgetvalue(found, 0, column), "off") == 0;
}

static void judge(const struct store *store, const PGresult *found, struct store_server *out)
{
    bool full = store->durability == STORE_FULL;
    char role[sizeof(out->warnings[0])];
    int64_t free_connections = pg_int8(found, 0, FREE);

    out->refused = full && (is_off(found, FSYNC) || is_off(found, COMMITS));
    if (out->refused) {
        warn(out,
             "%s = off: the server may lose what it has committed, so foxtrackrd does not start "
             "with durability = full%s",
             is_off(found, FSYNC) ? "fsync" : "synchronous_commit",
             is_off(found, FSYNC) ? "" : PG_COMMITS_SET_BY);
    }
    if (is_off(found, PAGES)) {
        warn(out, "full_page_writes = off: a power failure may damage the server's files");
    }
    if (yes(found, RECOVERY)) {
        warn(out, "it is a standby, which cannot be written: name the primary in database.uri, or "
                  "all hosts");
    } else if (!yes(found, TEMPORARY) || !yes(found, CREATE)) {
        pg_explain_role(found, ROLE, role, sizeof(role));
        warn(out, "%s", role);
    }
    if (free_connections < CONNECTIONS_FREE) {
        warn(out, "%lld connection%s free: raise max_connections, or end those that are idle",
             (long long)free_connections, plural(free_connections, " is", "s are"));
    }
    if (out->months_ahead >= 0 && out->months_ahead < MONTHS_WANTED) {
        warn(out,
             "%d month%s made ahead: a running foxtrackrd makes %d, and what is missing when "
             "a reading needs it",
             out->months_ahead, plural(out->months_ahead, " is", "s are"), MONTHS_WANTED);
    }
    if (is_off(found, VACUUM)) {
        warn(out,
             "autovacuum = off: the tables grow without need, and the server stops in the end");
    }
    if (pg_int8(found, 0, AGE) > WRAP_AGE) {
        warn(out,
             "its oldest transaction is %lld million old: VACUUM FREEZE the database before "
             "the server refuses to write",
             (long long)(pg_int8(found, 0, AGE) / 1000000));
    }
}

/* Many dead rows: nothing tidies up behind deletions, or a transaction somewhere stays open. */
static int judge_dead(struct store *store, struct store_server *out)
{
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    int result;

    pg_arg_int8(&args, DEAD_ROWS);
    pg_arg_int8(&args, DEAD_PERCENT);
    result = pg_query(store, dead, "look for dead rows", &args, &found);
    if (result == STORE_OK && PQntuples(found) > 0) {
        warn(out,
             "%s has dead rows, %lld beside %lld that live: VACUUM it, and look in "
             "pg_stat_activity for a transaction that stays open",
             PQgetvalue(found, 0, 0), (long long)pg_int8(found, 0, 1),
             (long long)pg_int8(found, 0, 2));
    }
    PQclear(found);
    return result;
}

int postgresql_server(struct store *store, struct store_server *out)
{
    struct pg_args args = {.count = 0};
    PGresult *found = NULL;
    bool held = false;
    int result = pg_usable(store);

    *out = (struct store_server){.months_ahead = -1};
    pg_arg_int8(&args, wall_now_ms());
    if (result == STORE_OK) {
        result = pg_query(store, facts, "ask the server about itself", &args, &found);
    }
    if (result == STORE_OK) {
        snprintf(out->version, sizeof(out->version), "%s", PQgetvalue(found, 0, VERSION));
        snprintf(out->where, sizeof(out->where), "%s", PQgetvalue(found, 0, HOST));
        snprintf(out->durable, sizeof(out->durable), "fsync %s, synchronous_commit %s%s",
                 PQgetvalue(found, 0, FSYNC), PQgetvalue(found, 0, COMMITS),
                 yes(found, STANDBYS) ? ", synchronous standbys" : "");
        out->bytes = pg_int8(found, 0, BYTES);
        out->deadlocks = pg_int8(found, 0, DEADLOCKS);
        out->months_ahead = PQgetisnull(found, 0, MONTHS) ? -1 : (int)pg_int8(found, 0, MONTHS);
        judge(store, found, out);
        result = judge_dead(store, out);
    }
    PQclear(found);
    return result == STORE_OK ? pg_find_holder(store, &held, &out->holder) : result;
}
