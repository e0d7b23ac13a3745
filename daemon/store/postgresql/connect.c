/*
 * The connection: made, checked and prepared as a whole. A connection that does not stand every
 * check is closed.
 *
 * The sentence that everything rests on: one connection holds the locks of the client ids, copies
 * the readings and commits them. A lost connection is a lost lock, and no transaction that writes
 * begins on a connection that has not taken the locks (pg_ready()). So a daemon that is cut off
 * cannot commit, and what is not committed is not acknowledged.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pulse.h"
#include "store/postgresql/batch_internal.h"
#include "store/postgresql/devices_internal.h"
#include "store/postgresql/months_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define CONNECT_MS     20000 /* through all hosts */
#define OLDEST_VERSION 150000

/* libpq calls this in the thread of the call that reads the notice. */
static void take_notice(void *context, const PGresult *result)
{
    struct store *store = context;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    if (store->in_commit && severity != NULL && strcmp(severity, "WARNING") == 0) {
        store->warned = true;
        snprintf(store->notice, sizeof(store->notice), "%s", text != NULL ? text : "");
    }
}

void pg_disconnect(struct store *store)
{
    if (store->db != NULL) {
        PQfinish(store->db); /* does not wait: the connection does not block */
        store->db = NULL;
    }
    store->link = PG_CLOSED;
    store->in_transaction = false;
    store->backend = 0;
}

/* --- connecting ---------------------------------------------------------------------------- */

/* Records why there is no connection. STORE_E_PATH where a wait is of no use. */
static int not_connected(struct store *store)
{
    const char *text = store->db != NULL ? PQerrorMessage(store->db) : "out of memory";
    struct pg_reason reason;

    pg_reason_find(text, store->uri, &reason);
    pg_refuse(store, reason.result, "%s: cannot connect: %s%s%s%s%s%s", store->shown, reason.line,
              reason.state[0] != '\0' ? " (" : "", reason.state, reason.state[0] != '\0' ? ")" : "",
              reason.advice != NULL ? "; " : "", reason.advice != NULL ? reason.advice : "");
    pg_disconnect(store);
    return reason.result;
}

/* Waits for the sockets of PQconnectPoll(), which may be another one at each call. */
static int poll_connection(struct store *store)
{
    int64_t deadline_ms = clock_monotonic_ms() + CONNECT_MS;
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;

    while (state != PGRES_POLLING_OK) {
        struct pollfd socket = {.fd = PQsocket(store->db),
                                .events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT};

        if (PQsocket(store->db) < 0 || state == PGRES_POLLING_FAILED) {
            return not_connected(store);
        }
        poll(&socket, 1, 200);
        pulse_beat();
        if (store->stopped != NULL && store->stopped()) {
            pg_disconnect(store);
            return pg_refuse(store, STORE_E_STOPPED, "%s: stopped while waiting for the database",
                             store->shown);
        }
        if (clock_monotonic_ms() > deadline_ms) {
            pg_disconnect(store);
            return pg_refuse(store, STORE_E_WAIT, "%s: cannot connect: no answer for %d s",
                             store->shown, CONNECT_MS / 1000);
        }
        if (socket.revents != 0) {
            state = PQconnectPoll(store->db);
        }
    }
    return STORE_OK;
}

static int dial(struct store *store)
{
    struct pg_parameters parameters;
    char name[PG_NAME_SIZE];
    char host[32] = "";
    int result;

    gethostname(host, sizeof(host) - 1);
    snprintf(name, sizeof(name), "foxtrackrd %.20s/%d/%s", host, (int)getpid(), store->token);
    pg_parameters_choose(store->uri, name, store->read_only, &parameters);
    if (store->password != NULL) {
        pg_parameters_add(&parameters, "password", store->password);
    }
    store->db = PQconnectStartParams(parameters.keys, parameters.values, 1);
    if (store->db == NULL || PQstatus(store->db) == CONNECTION_BAD) {
        return not_connected(store);
    }
    PQsetNoticeReceiver(store->db, take_notice, store);
    PQsetErrorVerbosity(store->db, PQERRORS_VERBOSE);
    result = poll_connection(store);
    if (result == STORE_OK) {
        PQsetErrorVerbosity(store->db, PQERRORS_DEFAULT);
    }
    return result;
}

/* --- checks -------------------------------------------------------------------------------- */

enum { VERSION, ENCODING, FSYNC, COMMITS, RECOVERY, READ_ONLY, PID, SCHEMA, TEMP, CREATE, ROLE };

static const char settings[] =
    "SET standard_conforming_strings = on; SET DateStyle = ISO; SET TimeZone = 'UTC';"
    "SET IntervalStyle = postgres; SET extra_float_digits = 1; SET bytea_output = hex;"
    /* The views of the fleet are planned as expensive, and compiled for seconds: they answer in
       one. */
    "SET jit = off; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;"
    "SET idle_session_timeout = 0; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2;"
    "SET tcp_keepalives_count = 3; SET tcp_user_timeout = 10000;"
    "SET client_connection_check_interval = '2s';"
    "SELECT current_setting('server_version_num'), current_setting('server_encoding'),"
    " current_setting('fsync'), current_setting('synchronous_commit'), pg_is_in_recovery(),"
    " current_setting('transaction_read_only'), pg_backend_pid(), current_schema(),"
    " has_database_privilege(current_database(), 'TEMP'),"
    " coalesce(has_schema_privilege(current_schema(), 'CREATE'), false), " PG_ROLES;

static bool is(PGresult *found, int column, const char *text)
{
    return strcmp(PQgetvalue(found, 0, column), text) == 0;
}

/* Where there are tables, their owner is the role that the daemon ran with. */
void pg_explain_role(const PGresult *found, int column, char *out, size_t size)
{
    const char *role = PQgetvalue(found, 0, column);
    const char *owner = PQgetvalue(found, 0, column + 1);

    if (!PQgetisnull(found, 0, column + 1) && strcmp(owner, role) != 0) {
        snprintf(
            out, size,
            "the role \"%s\" may not create tables: name the role \"%s\" in database.uri, which "
            "owns the tables that are there",
            role, owner);
    } else {
        snprintf(out, size,
                 "the role \"%s\" may not create tables: make it the owner of the database (ALTER "
                 "DATABASE ... OWNER TO ...), or GRANT CREATE ON SCHEMA and TEMP ON DATABASE",
                 role);
    }
}

static int check_server(struct store *store, PGresult *found)
{
    char role[PG_ERROR_SIZE / 2];

    if (strtol(PQgetvalue(found, 0, VERSION), NULL, 10) < OLDEST_VERSION) {
        return pg_refuse(store, STORE_E_PATH, "%s: PostgreSQL 15 or newer is needed", store->shown);
    }
    if (!is(found, ENCODING, "UTF8")) {
        return pg_refuse(store, STORE_E_PATH,
                         "%s: its encoding is %s: create the database with ENCODING 'UTF8'",
                         store->shown, PQgetvalue(found, 0, ENCODING));
    }
    if (strtol(PQgetvalue(found, 0, PID), NULL, 10) != PQbackendPID(store->db)) {
        return pg_refuse(store, STORE_E_PATH,
                         "%s: a pooler such as pgbouncer is in between, whose transactions have "
                         "other connections: connect to PostgreSQL itself",
                         store->shown);
    }
    if (store->read_only) {
        return STORE_OK;
    }
    if (is(found, RECOVERY, "t")) {
        return pg_refuse(store, STORE_E_WAIT, "%s: is read-only, as a standby is", store->shown);
    }
    if (is(found, READ_ONLY, "on")) { /* target_session_attrs of the URI lets it pass */
        return pg_refuse(store, STORE_E_WAIT,
                         "%s: session is read-only; its role or database has " PG_READ_ONLY_ADVICE,
                         store->shown);
    }
    if (store->durability == STORE_FULL && (is(found, FSYNC, "off") || is(found, COMMITS, "off"))) {
        bool server = is(found, FSYNC, "off");

        return pg_refuse(store, STORE_E_PATH,
                         "%s: the %s = off, so that the server may lose what it has committed, "
                         "and durability is full: set it to on%s",
                         store->shown,
                         server ? "server has fsync" : "connection has synchronous_commit",
                         server ? "" : PG_COMMITS_SET_BY);
    }
    if (is(found, SCHEMA, "") || !is(found, CREATE, "t") || !is(found, TEMP, "t")) {
        pg_explain_role(found, ROLE, role, sizeof(role));
        return pg_refuse(store, STORE_E_PATH, "%s: %s", store->shown, role);
    }
    return STORE_OK;
}

/* Keeps what a reload of the server may change, and makes the temporary table. */
static int set_session(struct store *store, PGresult *found)
{
    const char *commits = store->durability == STORE_FULL ? PQgetvalue(found, 0, COMMITS) : "off";
    char *schema = PQescapeIdentifier(store->db, PQgetvalue(found, 0, SCHEMA),
                                      strlen(PQgetvalue(found, 0, SCHEMA)));
    char sql[1024];
    int result;

    if (schema == NULL) {
        return pg_fail(store, NULL, "set the search path");
    }
    snprintf(store->schema, sizeof(store->schema), "%s", PQgetvalue(found, 0, SCHEMA));
    snprintf(sql, sizeof(sql),
             /* The plans of the prepared statements must seek, also while the tables are small. */
             "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;"
             "SET synchronous_commit = %s; SET lock_timeout = %d;"
             "SET search_path = %s, pg_temp;"
             "CREATE TEMPORARY TABLE stage (k int4 NOT NULL, kind int2 NOT NULL,"
             " device int8 NOT NULL, time_ms int8 NOT NULL, a float8, b float8, doc json,"
             " message_type int8 NOT NULL, received_ms int8 NOT NULL, type text, version text,"
             " digest bytea) ON COMMIT DELETE ROWS",
             commits, store->busy_timeout_ms, schema);
    PQfreemem(schema);
    result = pg_simple(store, sql, "set up its connection", NULL);
    return result;
}

/* Notes which of the hosts it is: "PostgreSQL 15.18 at db.example.org:5432". */
static void name_server(struct store *store)
{
    const char *version = PQparameterStatus(store->db, "server_version");
    const char *host = PQhost(store->db);
    bool socket = host == NULL || host[0] == '/' || host[0] == '\0';

    version = version != NULL ? version : "";
    snprintf(store->told.server, sizeof(store->told.server), "PostgreSQL %.*s at %.64s%s%.8s",
             (int)strcspn(version, " "), version, socket && host == NULL ? "" : host,
             socket ? "" : ":", socket ? "" : PQport(store->db));
}

/* A failure while opening is told by its own results. */
static int while_opening(int result)
{
    return result == STORE_E_RETRY ? STORE_E_WAIT : result;
}

int pg_connect(struct store *store)
{
    PGresult *found = NULL;
    int result = dial(store);

    if (result != STORE_OK) {
        return result;
    }
    if (PQsetnonblocking(store->db, 1) != 0) {
        return not_connected(store);
    }
    result = pg_simple(store, settings, "ask the server for its settings", &found);
    if (result == STORE_OK) {
        result = check_server(store, found);
    }
    if (result == STORE_OK && !store->read_only) {
        result = set_session(store, found);
    }
    if (result == STORE_OK) {
        /* A tool makes no tables: the daemon does. */
        result = store->read_only || store->beside ? pg_check_schema(store) : pg_migrate(store);
    }
    if (result == STORE_OK && !store->read_only && !store->moving) {
        result = pg_transfer_check(store);
    }
    if (result == STORE_OK && !store->read_only) {
        result = pg_prepare_all(store);
    }
    if (result == STORE_OK) {
        store->backend = PQbackendPID(store->db);
        store->link = PG_OPEN;
        name_server(store);
        store->resumed = false;
        store->new_rows = 0;
        devices_clear(store->devices); /* another server may lack them */
        months_clear(store->months);
    }
    PQclear(found);
    if (result != STORE_OK) {
        pg_disconnect(store);
    }
    return while_opening(result);
}

int pg_ready(struct store *store)
{
    struct store_holder holder;
    int result = STORE_OK;

    if (store->fatal) {
        return STORE_FATAL;
    }
    if (store->read_only || store->beside) {
        return pg_usable(store); /* a tool takes no locks */
    }
    if (store->link == PG_HOLDER && PQstatus(store->db) == CONNECTION_OK && !store->unknown &&
        (store->resumed || store->run == 0)) {
        return STORE_OK;
    }
    if (store->link == PG_CLOSED) {
        result = pg_connect(store);
        store->told.reconnects += result == STORE_OK && store->run != 0;
    }
    if (result == STORE_OK && store->link == PG_OPEN) {
        result = pg_lock_take(store, &holder);
    }
    if (result == STORE_E_LOCKED) {
        pg_disconnect(store);
        return pg_refuse(store, store->run != 0 ? STORE_E_LOST : STORE_E_RETRY,
                         "%s: %s has the client ids of this daemon now: this one was stopped or "
                         "cut off from the server for too long; %s",
                         store->shown, holder.text,
                         store->standby ? "its restart makes it a standby"
                                        : "stop one of them, or set standby = yes in both");
    }
    if (result == STORE_OK && store->run != 0) {
        result = pg_run_resume(store);
    }
    if (result == STORE_OK || result == STORE_FATAL) {
        return result;
    }
    return STORE_E_RETRY; /* in a batch everything else is tried again */
}
