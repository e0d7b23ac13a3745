/*
 * The SQL of this engine, prepared once a connection. Nothing is put into a statement as text:
 * values are parameters in binary, or columns of the temporary table `stage`.
 *
 * Locks are taken in one order by every transaction of every daemon: devices, device_groups, the
 * months' lock, battery, temperature, messages, quarantine, runs; within a table by ascending key.
 * That is why rows are inserted with ORDER BY: a daemon that waits for a row of another daemon
 * holds nothing that the other one still wants, so that they cannot deadlock.
 */
#include <endian.h>
#include <math.h>
#include <string.h>

#include "store/postgresql/expire_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define NAME_SIZE 8

/* Rows that another transaction has committed: those of `stage` that this transaction has not
 * inserted. Frozen rows keep their xmin; if one of four billion transactions ago has the number of
 * this one, the sum of new and stored rows is wrong, and the batch is applied again. */
#define OF_OTHERS "xmin <> pg_catalog.pg_current_xact_id()::xid OFFSET 0"

static const struct {
    const char *sql;
    const char *doing;
} statements[PG_STATEMENTS] = {
    [PG_LOCK_TRY] = {"SELECT k, pg_try_advisory_lock(k)::int4"
                     " FROM unnest($1::int8[]) WITH ORDINALITY AS u (k, n) ORDER BY n",
                     "take the lock of its client ids"},
    [PG_LOCK_GIVE] = {"SELECT pg_advisory_unlock($1::int8)", "give back a lock"},
    [PG_LOCK_HOLDERS] =
        {"SELECT a.pid, a.application_name, coalesce(host(a.client_addr), 'this host'),"
         " (a.state = 'active' AND a.wait_event_type IS DISTINCT FROM 'Client')::int4,"
         " (extract(epoch FROM clock_timestamp() - greatest(a.query_start, a.state_change,"
         " a.backend_start)) * 1000)::int8"
         " FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)"
         " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
         " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
         " AND (l.classid::int8 << 32 | l.objid::int8) = ANY ($1::int8[])"
         " ORDER BY a.pid LIMIT 1",
         "see who has its client ids"},
    [PG_END_HOLDER] = {"SELECT pg_terminate_backend($1::int4)::int4", "end a silent connection"},
    [PG_RUN_BEGIN] = {"INSERT INTO runs (started_ms, version) VALUES ($1::int8, $2::text)"
                      " RETURNING run",
                      "begin a run"},
    [PG_RUN_END] =
        {"UPDATE runs SET stopped_ms = greatest(started_ms, $2::int8) WHERE run = $1::int8",
         "end a run"},
    [PG_RUN_COUNT] =
        {"UPDATE runs SET received = $2::int8, stored = $3::int8, duplicate = $4::int8,"
         " quarantined = $5::int8 WHERE run = $1::int8 AND received = $6::int8",
         "count messages"},
    /* Writes, so that its COMMIT waits until everything before it is as durable as a batch. */
    [PG_RUN_READ] = {"UPDATE runs SET version = version WHERE run = $1::int8"
                     " RETURNING received, stored, duplicate, quarantined",
                     "see what became of the last commit"},
    [PG_DEVICES_ADD] = {"INSERT INTO devices (family, device_id, first_seen_ms)"
                        " SELECT f, d, min(s) FROM unnest($1::text[], $2::text[], $3::int8[])"
                        " AS u (f, d, s) GROUP BY f, d ORDER BY f COLLATE \"C\", d COLLATE \"C\""
                        " ON CONFLICT (family, device_id) DO NOTHING",
                        "add devices"},
    [PG_DEVICES_FIND] = {"SELECT (u.n - 1)::int4, v.device"
                         " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS u (f, d, n)"
                         " JOIN devices AS v ON v.family = u.f AND v.device_id = u.d ORDER BY u.n",
                         "find devices"},
    [PG_GROUPS_ADD] = {"INSERT INTO device_groups (group_name, device, first_seen_ms)"
                       " SELECT g, d, min(s) FROM unnest($1::text[], $2::int8[], $3::int8[])"
                       " AS u (g, d, s) GROUP BY g, d ORDER BY g COLLATE \"C\", d"
                       " ON CONFLICT DO NOTHING",
                       "add members of groups"},
    [PG_STAGE] = {"INSERT INTO pg_temp.stage (k, kind, device, time_ms, a, b, doc, message_type,"
                  " received_ms, type, version, digest) SELECT k, kind, device, time_ms, a, b,"
                  " doc::json, message_type, received_ms, type, version, digest FROM"
                  " unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::float8[],"
                  " $6::float8[], $7::text[], $8::int8[], $9::int8[], $10::text[], $11::text[],"
                  " $12::bytea[]) AS u (k, kind, device, time_ms, a, b, doc, message_type,"
                  " received_ms, type, version, digest)",
                  "send readings"},
    [PG_BATTERY_PUT] = {"INSERT INTO battery (device, time_ms, voltage_v, level_pct, message_type,"
                        " extra, received_ms) SELECT device, time_ms, a, b, message_type, doc,"
                        " received_ms FROM pg_temp.stage WHERE kind = 0 AND k >= $1::int4"
                        " ORDER BY device, time_ms ON CONFLICT (device, time_ms) DO NOTHING",
                        "store battery readings"},
    [PG_BATTERY_STORED] = {"SELECT s.k, b.voltage_v, b.level_pct, b.extra"
                           " FROM pg_temp.stage AS s CROSS JOIN LATERAL ("
                           "SELECT voltage_v, level_pct, extra FROM battery"
                           " WHERE device = s.device AND time_ms = s.time_ms AND " OF_OTHERS
                           ") AS b WHERE s.kind = 0 AND s.k >= $1::int4",
                           "compare battery readings"},
    [PG_TEMPERATURE_PUT] =
        {"INSERT INTO temperature (device, time_ms, celsius, message_type, extra,"
         " received_ms) SELECT device, time_ms, a, message_type, doc, received_ms"
         " FROM pg_temp.stage WHERE kind = 1 AND k >= $1::int4"
         " ORDER BY device, time_ms ON CONFLICT (device, time_ms) DO NOTHING",
         "store temperature readings"},
    [PG_TEMPERATURE_STORED] = {"SELECT s.k, b.celsius, NULL::float8, b.extra"
                               " FROM pg_temp.stage AS s CROSS JOIN LATERAL ("
                               "SELECT celsius, extra FROM temperature"
                               " WHERE device = s.device AND time_ms = s.time_ms AND " OF_OTHERS
                               ") AS b WHERE s.kind = 1 AND s.k >= $1::int4",
                               "compare temperature readings"},
    [PG_MESSAGES_PUT] =
        {"INSERT INTO messages (device, type, time_ms, version, message_type, body,"
         " digest, received_ms) SELECT device, type, time_ms, version, message_type,"
         " doc, digest, received_ms FROM pg_temp.stage"
         " WHERE kind = 2 AND k >= $1::int4"
         " ORDER BY device, time_ms, type COLLATE \"C\", digest"
         " ON CONFLICT DO NOTHING",
         "store messages"},
    [PG_MESSAGES_STORED] = {"SELECT s.k, NULL::float8, NULL::float8, NULL::json"
                            " FROM pg_temp.stage AS s CROSS JOIN LATERAL ("
                            "SELECT 1 FROM messages WHERE device = s.device"
                            " AND time_ms = s.time_ms AND type = s.type AND digest = s.digest"
                            " AND " OF_OTHERS ") AS b WHERE s.kind = 2 AND s.k >= $1::int4",
                            "compare messages"},
#define QUARANTINE                                                                                 \
    "INSERT INTO quarantine AS q (digest, topic, topic_bytes, payload, reason, detail,"            \
    " first_received_ms, last_received_ms, occurrences)"                                           \
    " SELECT d, t, b, p, r, x, f, l, n FROM unnest($1::bytea[], $2::text[], $3::bytea[],"          \
    " $4::bytea[], $5::text[], $6::text[], $7::int8[], $8::int8[], $9::int8[])"                    \
    " WITH ORDINALITY AS u (d, t, b, p, r, x, f, l, n, o) ORDER BY o ON CONFLICT (digest) DO "
    [PG_QUARANTINE_ADD] = {QUARANTINE
                           "UPDATE SET reason = excluded.reason, detail = excluded.detail,"
                           " last_received_ms = excluded.last_received_ms,"
                           " occurrences = q.occurrences + excluded.occurrences"
                           " RETURNING (xmax = 0)::int4",
                           "put messages into quarantine"},
    [PG_QUARANTINE_AGAIN] = {QUARANTINE "NOTHING RETURNING 1::int4",
                             "put messages into quarantine"},
#undef QUARANTINE
    /* Of the table and its partitions: those that run before a row is inserted. */
    [PG_TRIGGERS] = {"SELECT coalesce(string_agg(DISTINCT tgname, ', '), '') FROM pg_trigger"
                     " WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 7 = 7"
                     " AND (tgrelid = $1::text::regclass OR tgrelid IN (SELECT inhrelid"
                     " FROM pg_inherits WHERE inhparent = $1::text::regclass))",
                     "look for triggers"},
    [PG_SESSION_DURABLE] = {"INSERT INTO sessions (client_id, broker, last_durable_ms)"
                            " VALUES ($1::text, $2::text, $3::int8)"
                            " ON CONFLICT (client_id, broker)"
                            " DO UPDATE SET last_durable_ms = excluded.last_durable_ms",
                            "note a session's last data"},
    [PG_SESSION_CONNECTING] = {"INSERT INTO sessions (client_id, broker, connecting)"
                               " VALUES ($1::text, $2::text, 1) ON CONFLICT (client_id, broker)"
                               " DO UPDATE SET connecting = 1",
                               "note that a session connects"},
#define SET_PROTOCOL                                                                               \
    ", protocol_asked_ms = CASE WHEN excluded.protocol IS NULL THEN s.protocol_asked_ms"           \
    " ELSE excluded.protocol_asked_ms END, protocol = coalesce(excluded.protocol, s.protocol)"
    [PG_SESSION_SETTLED] =
        {"INSERT INTO sessions AS s (client_id, broker, established_ms,"
         " connected_ms, protocol, protocol_asked_ms) VALUES ($1::text,"
         " $2::text, nullif($3::int8, 0), nullif($3::int8, 0),"
         " nullif($4::int8, 0), nullif($5::int8, 0))"
         " ON CONFLICT (client_id, broker) DO UPDATE SET connecting = 0,"
         " established_ms = coalesce(s.established_ms, excluded.established_ms),"
         " connected_ms = coalesce(excluded.connected_ms, s.connected_ms)" SET_PROTOCOL,
         "note that a session is as it was"},
    [PG_SESSION_ESTABLISHED] = {"INSERT INTO sessions AS s (client_id, broker, established_ms,"
                                " connected_ms, protocol, protocol_asked_ms) VALUES ($1::text,"
                                " $2::text, $3::int8, $3::int8, nullif($4::int8, 0),"
                                " nullif($5::int8, 0)) ON CONFLICT (client_id, broker)"
                                " DO UPDATE SET connecting = 0,"
                                " established_ms = excluded.established_ms,"
                                " connected_ms = excluded.connected_ms" SET_PROTOCOL,
                                "note a new session"},
#undef SET_PROTOCOL
    [PG_SESSION_FIND] = {"SELECT (broker = $2::text)::int4, (established_ms IS NOT NULL)::int4,"
                         " connecting::int4,"
                         " coalesce(connected_ms, last_durable_ms, established_ms, 0),"
                         " coalesce(protocol, 0)::int4, coalesce(protocol_asked_ms, 0)"
                         " FROM sessions WHERE client_id = $1::text",
                         "look up a session"},
    [PG_SESSIONS] = {"SELECT client_id, broker,"
                     " coalesce(connected_ms, last_durable_ms, established_ms)"
                     " FROM sessions WHERE established_ms IS NOT NULL ORDER BY client_id, broker",
                     "read the sessions"},
    /* With "broker changed" the gap begins with the last data from any broker. */
    [PG_GAP_ADD] = {"INSERT INTO gaps (client_id, last_durable_ms, resumed_ms, reason)"
                    " SELECT $1::text, (SELECT nullif(max(least(coalesce(last_durable_ms,"
                    " established_ms), $3::int8 + 1)), $3::int8 + 1) FROM sessions"
                    " WHERE client_id = $1::text AND (broker = $2::text"
                    " OR $4::text = 'broker changed')"
                    " AND coalesce(last_durable_ms, established_ms) IS NOT NULL),"
                    " $3::int8, $4::text ON CONFLICT DO NOTHING",
                    "note a gap"},
    [PG_GAP_EXTEND] = {"UPDATE gaps SET resumed_ms = $3::int8 WHERE client_id = $1::text"
                       " AND reason = 'session lost' AND resumed_ms <= $3::int8 AND resumed_ms ="
                       " (SELECT established_ms FROM sessions WHERE client_id = $1::text"
                       " AND broker = $2::text"
                       " AND coalesce(last_durable_ms < established_ms, true))"
                       " AND NOT EXISTS (SELECT 1 FROM subscriptions WHERE client_id = $1::text"
                       " AND broker = $2::text)"
                       " AND NOT EXISTS (SELECT 1 FROM gaps AS g WHERE g.client_id = $1::text"
                       " AND g.resumed_ms = $3::int8 AND g.resumed_ms <> gaps.resumed_ms)",
                       "extend a gap"},
    /* This database has everything of a session until its last commit that is here. */
    [PG_GAP_OLDER] = {"INSERT INTO gaps (client_id, last_durable_ms, resumed_ms, reason)"
                      " SELECT c, (SELECT max(ms) FROM (SELECT last_durable_ms FROM sessions"
                      " WHERE client_id = c AND broker = $2::text UNION ALL SELECT max(started_ms)"
                      " FROM runs WHERE started_ms < $4::int8) AS m (ms) WHERE ms <= $3::int8),"
                      " $3::int8, 'older database' FROM unnest($1::text[]) AS c"
                      " ON CONFLICT (client_id, resumed_ms) DO UPDATE"
                      " SET last_durable_ms = excluded.last_durable_ms, reason = excluded.reason",
                      "note a gap"},
    [PG_SUBSCRIPTION_ADD] = {"INSERT INTO subscriptions (client_id, broker, filter, qos,"
                             " subscribed_ms) VALUES ($1::text, $2::text, $3::text, $4::int8,"
                             " $5::int8) ON CONFLICT (client_id, broker, filter) DO UPDATE SET"
                             " qos = excluded.qos, subscribed_ms = excluded.subscribed_ms",
                             "remember a subscription"},
    [PG_SUBSCRIPTION_REMOVE] = {"DELETE FROM subscriptions WHERE client_id = $1::text"
                                " AND broker = $2::text AND filter = $3::text",
                                "forget a subscription"},
    [PG_SUBSCRIPTIONS_FORGET] = {"DELETE FROM subscriptions WHERE client_id = $1::text"
                                 " AND broker = $2::text",
                                 "forget a session's subscriptions"},
    [PG_SUBSCRIPTIONS] = {"SELECT filter, qos::int4 FROM subscriptions"
                          " WHERE client_id = $1::text AND broker = $2::text ORDER BY filter",
                          "read the subscriptions"},
    [PG_GAPS] = {"SELECT (SELECT count(*) FROM gaps), client_id, reason,"
                 " coalesce(last_durable_ms, 0), resumed_ms FROM gaps"
                 " ORDER BY resumed_ms DESC LIMIT 1",
                 "read the gaps"},
    [PG_RESTORED] = {"SELECT (reason = 'restored')::int4, resumed_ms, coalesce(last_durable_ms, 0)"
                     " FROM gaps WHERE reason IN ('restored', 'older database')"
                     " ORDER BY resumed_ms DESC LIMIT 1",
                     "read when it was restored"},
    [PG_QUARANTINE_SIZE] = {"SELECT count(*) FROM (SELECT 1 FROM quarantine LIMIT $1::int8) AS q",
                            "count the quarantine"},
    [PG_NEWEST_RECEIVED] = {"SELECT greatest((SELECT max(last_durable_ms) FROM sessions),"
                            " (SELECT max(greatest(b.received_ms, t.received_ms)) FROM"
                            " (SELECT device FROM devices ORDER BY device DESC LIMIT 256) AS d"
                            " LEFT JOIN LATERAL (SELECT received_ms FROM battery"
                            " WHERE device = d.device ORDER BY time_ms DESC LIMIT 1) AS b ON true"
                            " LEFT JOIN LATERAL (SELECT received_ms FROM temperature"
                            " WHERE device = d.device ORDER BY time_ms DESC LIMIT 1) AS t ON true),"
                            " 0)",
                            "look up when the last messages came"},
    [PG_HEARTBEAT] = {"SELECT (current_setting('fsync') = 'on')::int4",
                      "tell the server that it lives"},
    /* The statistics are a second old at most. TRUNCATE changes the live rows alone. These cancel
     * the rows inserted: the daemon's own entries are no change. Only people write `limits`, which
     * they may even drop. */
    [PG_OTHERS] = {"SELECT coalesce(sum(pg_stat_get_tuples_inserted(o)"
                   " + pg_stat_get_tuples_updated(o) + pg_stat_get_tuples_deleted(o)"
                   " - CASE WHEN people THEN 0 ELSE pg_stat_get_live_tuples(o) END), 0)::int8"
                   " FROM (VALUES ('quarantine'::regclass::oid, false),"
                   " ('gaps'::regclass::oid, false), (to_regclass('limits')::oid, true))"
                   " AS t (o, people)",
                   "look for changes of others"},
    /* reset_val: of the configuration as it is now, not of this session. */
    [PG_MEASURE] = {"SELECT pg_database_size(current_database()), (SELECT reset_val"
                    " FROM pg_settings WHERE name = 'synchronous_commit')::text",
                    "measure the database"},
    [PG_SURVEY_DEVICES] =
        {"SELECT d.device, greatest(b.n, t.n, m.n, 0),"
         " (EXISTS (SELECT 1 FROM battery WHERE device = d.device)"
         " OR EXISTS (SELECT 1 FROM temperature WHERE device = d.device)"
         " OR EXISTS (SELECT 1 FROM messages WHERE device = d.device))::int4"
         " FROM (SELECT device FROM devices WHERE device > $1::int8"
         " ORDER BY device LIMIT 200) AS d"
         " LEFT JOIN LATERAL (SELECT CASE WHEN time_ms <= received_ms + $3::int8 THEN time_ms"
         " ELSE 0 END AS n FROM battery WHERE device = d.device"
         " AND time_ms <= $2::int8 ORDER BY time_ms DESC LIMIT 1) AS b ON true"
         " LEFT JOIN LATERAL (SELECT CASE WHEN time_ms <= received_ms + $3::int8 THEN time_ms"
         " ELSE 0 END AS n FROM temperature WHERE device = d.device"
         " AND time_ms <= $2::int8 ORDER BY time_ms DESC LIMIT 1) AS t ON true"
         " LEFT JOIN LATERAL (SELECT CASE WHEN time_ms <= received_ms + $3::int8 THEN time_ms"
         " ELSE 0 END AS n FROM messages WHERE device = d.device"
         " AND time_ms <= $2::int8 ORDER BY time_ms DESC LIMIT 1) AS m ON true"
         " ORDER BY d.device",
         "look up the devices' newest readings"},
    [PG_SURVEY_BEFORE] = {"SELECT max(time_ms) FROM (SELECT time_ms FROM battery"
                          " WHERE time_ms < $1::int8 UNION ALL SELECT time_ms FROM temperature"
                          " WHERE time_ms < $1::int8 UNION ALL SELECT time_ms FROM messages"
                          " WHERE time_ms < $1::int8) AS r",
                          "look up the reading before the newest"},
    [PG_SURVEY_QUARANTINE] = {"SELECT coalesce(max(last_received_ms), 0) FROM quarantine",
                              "look up the newest message of quarantine"},
#define COUNT_OLD(table)                                                                           \
    {                                                                                              \
        "SELECT d.device, r.n, r.t FROM (SELECT device FROM devices WHERE device > $1::int8"       \
        " ORDER BY device LIMIT $5::int8) AS d CROSS JOIN LATERAL (SELECT count(*), max(time_ms)"  \
        " FROM (SELECT time_ms FROM " table " WHERE device = d.device AND time_ms >= $2::int8"     \
        " AND time_ms < $3::int8 ORDER BY time_ms LIMIT $4::int8) AS s) AS r (n, t)"               \
        " ORDER BY d.device",                                                                      \
            "count old rows of " table                                                             \
    }
    [PG_BATTERY_COUNT] = COUNT_OLD("battery"),
    [PG_TEMPERATURE_COUNT] = COUNT_OLD("temperature"),
    [PG_MESSAGES_COUNT] = COUNT_OLD("messages"),
#undef COUNT_OLD
    [PG_QUARANTINE_COUNT] = {"SELECT 1::int8, count(*), max(last_received_ms) FROM"
                             " (SELECT last_received_ms FROM quarantine WHERE $1::int8 = 0"
                             " AND last_received_ms >= $2::int8 AND last_received_ms < $3::int8"
                             " AND $5::int8 > 0 ORDER BY last_received_ms LIMIT $4::int8) AS s",
                             "count the quarantine by age"},
    [PG_RETENTION_LOCK] = {"SELECT pg_try_advisory_xact_lock($1::int8)::int4",
                           "begin to delete old rows"},
    /* The second parameter is of no use here: the two statements are called alike. */
    [PG_EXPIRED_MONTH] = {"SELECT relname::text, pg_relation_size(oid)"
                          " / current_setting('block_size')::int8 + 1 FROM pg_class"
                          " WHERE relnamespace = current_schema()::regnamespace"
                          " AND relkind = 'r' AND $2::int8 IS NOT NULL"
                          " AND starts_with(relname, '" PG_EXPIRED_PREFIX "' || $1::text || '_')"
                          " ORDER BY relname LIMIT 1",
                          "find a month that is half deleted"},
    [PG_OLD_MONTH] = {"SELECT name, until_ms FROM foxtrackr_partitions WHERE parent = $1::text"
                      " AND from_ms IS NOT NULL AND until_ms <= $2::int8 AND NOT detaching"
                      " ORDER BY from_ms LIMIT 1",
                      "find an old month"},
    [PG_CUT_MONTHS] = {"SELECT name FROM foxtrackr_partitions WHERE parent = $1::text"
                       " AND NOT detaching AND (from_ms IS NULL OR from_ms < $2::int8"
                       " AND (until_ms > $2::int8 OR until_ms IS NULL)) ORDER BY name",
                       "find the months with old rows"},
    [PG_QUARANTINE_EXPIRE] = {"DELETE FROM quarantine WHERE ctid = ANY (ARRAY(SELECT ctid"
                              " FROM quarantine WHERE last_received_ms < $1::int8"
                              " ORDER BY last_received_ms LIMIT $2::int8))",
                              "delete old messages of quarantine"},
    [PG_EXPIRED_ADD] = {"INSERT INTO expired AS e (run, table_name, row_count, before_ms, last_ms)"
                        " VALUES ($1::int8, $2::text, $3::int8, $4::int8, $5::int8)"
                        " ON CONFLICT (run, table_name) DO UPDATE SET"
                        " row_count = e.row_count + excluded.row_count,"
                        " before_ms = greatest(e.before_ms, excluded.before_ms),"
                        " last_ms = excluded.last_ms",
                        "count what was deleted"},
    [PG_MONTHS] = {"SELECT p.parent, p.from_ms, p.until_ms FROM foxtrackr_partitions AS p"
                   " WHERE NOT p.detaching",
                   "look at the months"},
    [PG_MONTHS_LOCK] = {"SELECT pg_advisory_xact_lock($1::int8)", "make a month"},
    [PG_MONTH_ADD] = {"SELECT foxtrackr_add_month($1::text, $2::int8)::int4", "make a month"},
};

const char *pg_doing(enum pg_statement id)
{
    return statements[id].doing;
}

const char *pg_sql(enum pg_statement id)
{
    return statements[id].sql;
}

/* --- parameters ---------------------------------------------------------------------------- */

void pg_arg_bytes(struct pg_args *args, const char *bytes, size_t length)
{
    args->values[args->count] = bytes;
    args->lengths[args->count] = (int)length;
    args->formats[args->count] = 1;
    args->count++;
}

void pg_arg_int8(struct pg_args *args, int64_t value)
{
    uint64_t order = htobe64((uint64_t)value);
    char *place = args->integers[args->count];

    memcpy(place, &order, sizeof(order));
    pg_arg_bytes(args, place, sizeof(order));
}

void pg_arg_int4(struct pg_args *args, int32_t value)
{
    uint32_t order = htobe32((uint32_t)value);
    char *place = args->integers[args->count];

    memcpy(place, &order, sizeof(order));
    pg_arg_bytes(args, place, sizeof(order));
}

void pg_arg_text(struct pg_args *args, const char *text)
{
    pg_arg_bytes(args, text, text != NULL ? strlen(text) : 0);
}

void pg_arg_real(struct pg_args *args, double real)
{
    int64_t bits;

    memcpy(&bits, &real, sizeof(bits));
    if (isnan(real)) {
        pg_arg_bytes(args, NULL, 0);
    } else {
        pg_arg_int8(args, bits);
    }
}

/* --- results ------------------------------------------------------------------------------- */

int64_t pg_int8(const PGresult *result, int row, int column)
{
    uint64_t order = 0;

    if (PQgetlength(result, row, column) == (int)sizeof(order)) {
        memcpy(&order, PQgetvalue(result, row, column), sizeof(order));
    }
    return (int64_t)be64toh(order);
}

int32_t pg_int4(const PGresult *result, int row, int column)
{
    uint32_t order = 0;

    if (PQgetlength(result, row, column) == (int)sizeof(order)) {
        memcpy(&order, PQgetvalue(result, row, column), sizeof(order));
    }
    return (int32_t)be32toh(order);
}

double pg_real(const PGresult *result, int row, int column)
{
    int64_t bits = pg_int8(result, row, column);
    double real;

    memcpy(&real, &bits, sizeof(real));
    return real;
}

int64_t pg_touched(PGresult *result)
{
    int64_t touched = 0;

    for (const char *digit = PQcmdTuples(result); *digit >= '0' && *digit <= '9'; digit++) {
        touched = touched * 10 + (*digit - '0');
    }
    return touched;
}

/* --- running ------------------------------------------------------------------------------- */

static void name_of(enum pg_statement id, char name[NAME_SIZE])
{
    name[0] = 'f';
    name[1] = (char)('0' + (int)id / 10);
    name[2] = (char)('0' + (int)id % 10);
    name[3] = '\0';
}

int pg_pipeline_begin(struct store *store)
{
    if (store->db == NULL || PQenterPipelineMode(store->db) != 1) {
        return pg_fail(store, NULL, "begin a pipeline");
    }
    return STORE_OK;
}

int pg_send(struct store *store, enum pg_statement id, const struct pg_args *args)
{
    char name[NAME_SIZE];

    name_of(id, name);
    if (store->db == NULL || PQsendQueryPrepared(store->db, name, args->count, args->values,
                                                 args->lengths, args->formats, 1) != 1) {
        return pg_fail(store, NULL, pg_doing(id));
    }
    return STORE_OK;
}

int pg_send_sql(struct store *store, const char *sql)
{
    if (store->db == NULL || PQsendQueryParams(store->db, sql, 0, NULL, NULL, NULL, NULL, 1) != 1) {
        return pg_fail(store, NULL, sql);
    }
    return STORE_OK;
}

int pg_pipeline_sync(struct store *store)
{
    if (store->db == NULL || PQpipelineSync(store->db) != 1) {
        return pg_fail(store, NULL, "end a pipeline");
    }
    return pg_flush(store, "send a pipeline");
}

int pg_expect(struct store *store, const char *doing, PGresult **out)
{
    PGresult *one = NULL;
    PGresult *end = NULL;
    int result = pg_result(store, doing, &one);

    if (result == STORE_OK && (one == NULL || PQresultStatus(one) == PGRES_PIPELINE_ABORTED)) {
        result = STORE_E_RETRY; /* the sentence is that of the statement that failed */
    } else if (result == STORE_OK && PQresultStatus(one) != PGRES_TUPLES_OK &&
               PQresultStatus(one) != PGRES_COMMAND_OK) {
        result = pg_fail(store, one, doing);
    }
    if (one != NULL && store->db != NULL) {
        int closing = pg_result(store, doing, &end); /* NULL: the end of this statement */

        PQclear(end);
        result = result == STORE_OK ? closing : result;
    }
    if (result != STORE_OK || out == NULL) {
        PQclear(one);
        one = NULL;
    }
    if (out != NULL) {
        *out = one;
    }
    return result;
}

int pg_pipeline_end(struct store *store, int result)
{
    PGresult *one = NULL;
    bool synced = false;

    while (store->db != NULL && !synced) {
        int read = pg_result(store, "end a pipeline", &one);

        if (read != STORE_OK) {
            result = result == STORE_OK ? read : result;
            break;
        }
        synced = one != NULL && PQresultStatus(one) == PGRES_PIPELINE_SYNC;
        if (one != NULL && PQresultStatus(one) == PGRES_FATAL_ERROR) {
            int failed = pg_fail(store, one, "run a pipeline");

            result = result == STORE_OK ? failed : result;
        }
        PQclear(one);
    }
    if (store->db != NULL && PQexitPipelineMode(store->db) != 1) {
        int failed = pg_fail(store, NULL, "leave a pipeline");

        pg_disconnect(store);
        return result == STORE_OK ? failed : result;
    }
    return result;
}

int pg_run(struct store *store, enum pg_statement id, const struct pg_args *args, PGresult **out)
{
    int result;

    if (store->read_only) { /* nothing is prepared for a tool */
        return pg_query(store, statements[id].sql, statements[id].doing, args, out);
    }
    result = pg_send(store, id, args);
    if (out != NULL) {
        *out = NULL;
    }
    return result == STORE_OK ? pg_results(store, pg_doing(id), out) : result;
}

int pg_run_text(struct store *store, const char *sql, const struct pg_args *args, const char *doing,
                PGresult **out)
{
    static const struct pg_args none = {.count = 0};

    if (out != NULL) {
        *out = NULL;
    }
    args = args != NULL ? args : &none;
    if (store->db == NULL || PQsendQueryParams(store->db, sql, args->count, NULL, args->values,
                                               args->lengths, args->formats, 1) != 1) {
        return pg_fail(store, NULL, doing);
    }
    return pg_results(store, doing, out);
}

int pg_prepare_all(struct store *store)
{
    int result = pg_pipeline_begin(store);
    char name[NAME_SIZE];

    if (result != STORE_OK) {
        return result;
    }
    for (int id = 0; id < PG_STATEMENTS && result == STORE_OK; id++) {
        name_of((enum pg_statement)id, name);
        if (PQsendPrepare(store->db, name, statements[id].sql, 0, NULL) != 1) {
            result = pg_fail(store, NULL, "prepare a statement");
        }
    }
    if (result == STORE_OK) {
        result = pg_pipeline_sync(store);
    }
    for (int id = 0; id < PG_STATEMENTS && result == STORE_OK; id++) {
        result = pg_expect(store, statements[id].doing, NULL);
    }
    return pg_pipeline_end(store, result);
}
