/*
 * The prepared statements: each is compiled once, when the database is opened, and found by its
 * number. Values are always bound, never printed into the SQL. Must never happen: a statement is
 * left without a reset, because it would keep checkpoints from completing.
 *
 * The text `doing` completes "cannot ..." in the sentence for a person.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "store/sqlite/inbox_tables_internal.h"
#include "store/sqlite/rollup_sums_internal.h"
#include "store/sqlite/rollup_tables_internal.h"
#include "store/sqlite/rollup_trend_internal.h"
#include "store/sqlite/sqlite_internal.h"

/* The VALUES of a statement that inserts STORE_INBOX_TOGETHER rows. */
#define FOUR_TIMES(text) text ", " text ", " text ", " text
#define ROWS(text)       FOUR_TIMES(FOUR_TIMES(text))
#define INBOX_VALUES     ROWS("(?, ?, ?, ?, ?, ?)")
_Static_assert(STORE_INBOX_TOGETHER == 4 * 4, "ROWS() makes as many");

/* Inserts rows into `inbox`. Rows with these numbers may exist already, of other messages: after a
 * commit that failed and took effect all the same. They are overwritten. */
#define PUT_INTO_INBOX(values)                                                                     \
    "INSERT INTO inbox (n, device, client_id, topic, payload, received_ms) VALUES " values         \
    " ON CONFLICT (n) DO UPDATE SET device = excluded.device, client_id = excluded.client_id,"     \
    " topic = excluded.topic, payload = excluded.payload, received_ms = excluded.received_ms"

/* Of an upsert into `sessions`: the protocol on record stays where the new one is not known. */
#define SET_PROTOCOL                                                                               \
    ", protocol_asked_ms = iif(excluded.protocol IS NULL, protocol_asked_ms,"                      \
    " excluded.protocol_asked_ms), protocol = coalesce(excluded.protocol, protocol)"

static const struct {
    const char *doing;
    const char *sql;
} texts[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = {"begin a batch", "BEGIN IMMEDIATE"},
    [STATEMENT_COMMIT] = {"commit the batch", "COMMIT"},
    [STATEMENT_ROLLBACK] = {"roll the batch back", "ROLLBACK"},
    [STATEMENT_RUN_BEGIN] = {"begin the run",
                             "INSERT INTO runs (started_ms, version) VALUES (?1, ?2)"},
    [STATEMENT_RUN_END] = {"end the run",
                           "UPDATE runs SET stopped_ms = max(started_ms, ?2) WHERE run = ?1"},
    [STATEMENT_RUN_COUNT] = {"write the run's counts",
                             "UPDATE runs SET received = ?2, stored = ?3, duplicate = ?4,"
                             " quarantined = ?5 WHERE run = ?1 AND received = ?6"},
    [STATEMENT_RUN_READ] = {"read the run's counts",
                            "SELECT received, stored, duplicate, quarantined FROM runs"
                            " WHERE run = ?1"},
    [STATEMENT_DEVICE_FIND] = {"look up a device",
                               "SELECT device FROM devices WHERE family = ?1 AND device_id = ?2"},
    [STATEMENT_DEVICE_ADD] = {"add a device",
                              "INSERT INTO devices (family, device_id, first_seen_ms)"
                              " VALUES (?1, ?2, ?3)"},
    [STATEMENT_DEVICE_NEWEST] = {"look up the newest device", "SELECT max(device) FROM devices"},
    [STATEMENT_GROUP_ADD] = {"add a device to its group",
                             "INSERT INTO device_groups (group_name, device, first_seen_ms)"
                             " VALUES (?1, ?2, ?3) ON CONFLICT (group_name, device) DO NOTHING"},
    [STATEMENT_BATTERY_ADD] = {"store a battery reading",
                               "INSERT INTO battery (device, time_ms, voltage_v, level_pct,"
                               " extra, message_type, received_ms)"
                               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
                               " ON CONFLICT (device, time_ms) DO NOTHING"},
    [STATEMENT_BATTERY_FIND] = {"compare a battery reading",
                                "SELECT voltage_v, level_pct, extra FROM battery"
                                " WHERE device = ?1 AND time_ms = ?2"},
    [STATEMENT_TEMPERATURE_ADD] = {"store a temperature reading",
                                   "INSERT INTO temperature (device, time_ms, celsius,"
                                   " extra, message_type, received_ms)"
                                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
                                   " ON CONFLICT (device, time_ms) DO NOTHING"},
    [STATEMENT_TEMPERATURE_FIND] = {"compare a temperature reading",
                                    "SELECT celsius, extra FROM temperature"
                                    " WHERE device = ?1 AND time_ms = ?2"},
    [STATEMENT_MESSAGE_ADD] = {"store a message",
                               "INSERT INTO messages (device, type, time_ms, version,"
                               " message_type, body, digest, received_ms)"
                               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
                               " ON CONFLICT (device, type, time_ms, digest) DO NOTHING"},
    [STATEMENT_QUARANTINE_ADD] = {"put a message into quarantine",
                                  "INSERT INTO quarantine (digest, topic, payload, reason, detail,"
                                  " first_received_ms, last_received_ms, occurrences)"
                                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, 1)"
                                  " ON CONFLICT (digest) DO UPDATE SET reason = excluded.reason,"
                                  " detail = excluded.detail,"
                                  " last_received_ms = excluded.last_received_ms,"
                                  " occurrences = occurrences + 1"},
    [STATEMENT_INBOX_POSITION] = {"read how far the inbox is sorted in",
                                  "SELECT first_n, last_n, device, n FROM inbox_position"},
    [STATEMENT_INBOX_READ] = {"read the inbox", "SELECT n, device FROM inbox ORDER BY n"},
    [STATEMENT_INBOX_PUT] = {"put a message into the inbox", PUT_INTO_INBOX("(?, ?, ?, ?, ?, ?)")},
    [STATEMENT_INBOX_PUT_TOGETHER] = {"put messages into the inbox", PUT_INTO_INBOX(INBOX_VALUES)},
    [STATEMENT_INBOX_GET] = {"read a message of the inbox",
                             "SELECT client_id, topic, payload, received_ms FROM inbox"
                             " WHERE n = ?1"},
    [STATEMENT_INBOX_MOVE] = {"note how far the inbox is sorted in",
                              "UPDATE inbox_position SET first_n = ?1, last_n = ?2, device = ?3,"
                              " n = ?4"},
    [STATEMENT_INBOX_DELETE] = {"take messages out of the inbox",
                                "DELETE FROM inbox WHERE n <= ?1"},
    [STATEMENT_INBOX_CLEAR] = {"empty the inbox", "DELETE FROM inbox"},
    [STATEMENT_SESSIONS_ADOPT] = {"put a broker to the sessions of an earlier version",
                                  "UPDATE OR REPLACE sessions SET broker = ?1 WHERE broker = ''"},
    [STATEMENT_SUBSCRIPTIONS_ADOPT] = {"put a broker to the subscriptions of an earlier version",
                                       "UPDATE OR REPLACE subscriptions SET broker = ?1"
                                       " WHERE broker = ''"},
    [STATEMENT_SESSION_DURABLE] = {"note a session's last data",
                                   "INSERT INTO sessions (client_id, broker, last_durable_ms)"
                                   " VALUES (?1, ?2, ?3) ON CONFLICT (client_id, broker)"
                                   " DO UPDATE SET last_durable_ms = excluded.last_durable_ms"},
    [STATEMENT_SESSION_CONNECTING] = {"note that a session connects",
                                      "INSERT INTO sessions (client_id, broker, connecting)"
                                      " VALUES (?1, ?2, 1) ON CONFLICT (client_id, broker)"
                                      " DO UPDATE SET connecting = 1"},
    [STATEMENT_SESSION_SETTLED] = {"note that a session is as it was",
                                   "INSERT INTO sessions (client_id, broker, established_ms,"
                                   " connected_ms, protocol, protocol_asked_ms)"
                                   " VALUES (?1, ?2, nullif(?3, 0), nullif(?3, 0),"
                                   " nullif(?4, 0), nullif(?5, 0))"
                                   " ON CONFLICT (client_id, broker)"
                                   " DO UPDATE SET connecting = 0, established_ms ="
                                   " coalesce(established_ms, excluded.established_ms),"
                                   " connected_ms ="
                                   " coalesce(excluded.connected_ms, connected_ms)" SET_PROTOCOL},
    [STATEMENT_SESSION_ESTABLISHED] = {"note a new session",
                                       "INSERT INTO sessions (client_id, broker, established_ms,"
                                       " connected_ms, protocol, protocol_asked_ms)"
                                       " VALUES (?1, ?2, ?3, ?3, nullif(?4, 0), nullif(?5, 0))"
                                       " ON CONFLICT (client_id, broker)"
                                       " DO UPDATE SET connecting = 0,"
                                       " established_ms = excluded.established_ms,"
                                       " connected_ms = excluded.connected_ms" SET_PROTOCOL},
    [STATEMENT_SESSION_FIND] = {"look up a session",
                                "SELECT broker = ?2, established_ms IS NOT NULL, connecting,"
                                " coalesce(connected_ms, last_durable_ms, established_ms, 0),"
                                " protocol, protocol_asked_ms"
                                " FROM sessions WHERE client_id = ?1"},
    [STATEMENT_SESSIONS] = {"read the sessions",
                            "SELECT client_id, broker,"
                            " coalesce(connected_ms, last_durable_ms, established_ms)"
                            " FROM sessions WHERE established_ms IS NOT NULL"
                            " ORDER BY client_id, broker"},
    /* With "broker changed" the gap begins with the last data from any broker. */
    [STATEMENT_GAP_ADD] = {"note a gap",
                           "INSERT INTO gaps (client_id, last_durable_ms, resumed_ms, reason)"
                           " VALUES (?1, (SELECT nullif(max(min(coalesce(last_durable_ms,"
                           " established_ms), ?3 + 1)), ?3 + 1) FROM sessions WHERE client_id = ?1"
                           " AND (broker = ?2 OR ?4 = 'broker changed')), ?3, ?4)"
                           " ON CONFLICT (client_id, resumed_ms) DO NOTHING"},
    [STATEMENT_GAP_EXTEND] = {"extend a gap",
                              "UPDATE OR IGNORE gaps SET resumed_ms = ?3 WHERE client_id = ?1"
                              " AND reason = 'session lost' AND resumed_ms <= ?3 AND resumed_ms ="
                              " (SELECT established_ms FROM sessions WHERE client_id = ?1"
                              " AND broker = ?2 AND coalesce(last_durable_ms < established_ms, 1))"
                              " AND NOT EXISTS (SELECT 1 FROM subscriptions WHERE client_id = ?1"
                              " AND broker = ?2)"},
    [STATEMENT_SUBSCRIPTION_ADD] = {"remember a subscription",
                                    "INSERT INTO subscriptions (client_id, broker, filter, qos,"
                                    " subscribed_ms) VALUES (?1, ?2, ?3, ?4, ?5)"
                                    " ON CONFLICT (client_id, broker, filter) DO UPDATE SET"
                                    " qos = excluded.qos, subscribed_ms = excluded.subscribed_ms"},
    [STATEMENT_SUBSCRIPTION_REMOVE] = {"forget a subscription",
                                       "DELETE FROM subscriptions"
                                       " WHERE client_id = ?1 AND broker = ?2 AND filter = ?3"},
    [STATEMENT_SUBSCRIPTIONS_FORGET] = {"forget a session's subscriptions",
                                        "DELETE FROM subscriptions"
                                        " WHERE client_id = ?1 AND broker = ?2"},
    [STATEMENT_SUBSCRIPTIONS] = {"read the subscriptions",
                                 "SELECT filter, qos FROM subscriptions"
                                 " WHERE client_id = ?1 AND broker = ?2 ORDER BY filter"},
    /* One device at a time: its oldest rows are found by a seek, without a walk through the table.
     */
    [STATEMENT_BATTERY_EXPIRE] = {"delete old battery readings",
                                  "DELETE FROM battery WHERE device = ?1 AND time_ms IN"
                                  " (SELECT time_ms FROM battery WHERE device = ?1"
                                  " AND time_ms < ?2 ORDER BY time_ms LIMIT ?3)"},
    [STATEMENT_TEMPERATURE_EXPIRE] = {"delete old temperature readings",
                                      "DELETE FROM temperature WHERE device = ?1 AND time_ms IN"
                                      " (SELECT time_ms FROM temperature WHERE device = ?1"
                                      " AND time_ms < ?2 ORDER BY time_ms LIMIT ?3)"},
    [STATEMENT_MESSAGES_EXPIRE] = {"delete old messages",
                                   "DELETE FROM messages WHERE rowid IN"
                                   " (SELECT rowid FROM messages WHERE device = ?1"
                                   " AND time_ms < ?2 ORDER BY time_ms LIMIT ?3)"},
    [STATEMENT_QUARANTINE_EXPIRE] = {"delete old messages of quarantine",
                                     "DELETE FROM quarantine WHERE rowid IN"
                                     " (SELECT rowid FROM quarantine WHERE last_received_ms < ?2"
                                     " ORDER BY last_received_ms LIMIT ?3)"},
    [STATEMENT_DEVICE_NEXT] = {"go on to the next device",
                               "SELECT device FROM devices WHERE device > ?1"
                               " ORDER BY device LIMIT 1"},
    [STATEMENT_SURVEY_DEVICE] =
        {"look up a device's newest reading",
         "SELECT device, max("
         "ifnull((SELECT iif(time_ms <= received_ms + ?3, time_ms, 0) FROM battery AS b"
         " WHERE b.device = d.device AND time_ms <= ?2 ORDER BY time_ms DESC LIMIT 1), 0),"
         " ifnull((SELECT iif(time_ms <= received_ms + ?3, time_ms, 0) FROM temperature AS t"
         " WHERE t.device = d.device AND time_ms <= ?2 ORDER BY time_ms DESC LIMIT 1), 0),"
         " ifnull((SELECT iif(time_ms <= received_ms + ?3, time_ms, 0) FROM messages AS m"
         " WHERE m.device = d.device AND time_ms <= ?2 ORDER BY time_ms DESC LIMIT 1), 0)),"
         " EXISTS (SELECT 1 FROM battery AS b WHERE b.device = d.device)"
         " OR EXISTS (SELECT 1 FROM temperature AS t WHERE t.device = d.device)"
         " OR EXISTS (SELECT 1 FROM messages AS m WHERE m.device = d.device)"
         " FROM devices AS d WHERE device > ?1 ORDER BY device LIMIT 1"},
    /* Used only when a single device has readings, so the walk over all devices finds its reading.
     */
    [STATEMENT_SURVEY_BEFORE] =
        {"look up the reading before the newest",
         "SELECT max(max(ifnull((SELECT max(time_ms) FROM battery AS b WHERE b.device = d.device"
         " AND time_ms < ?1), 0), ifnull((SELECT max(time_ms) FROM temperature AS t"
         " WHERE t.device = d.device AND time_ms < ?1), 0), ifnull((SELECT max(time_ms)"
         " FROM messages AS m WHERE m.device = d.device AND time_ms < ?1), 0)))"
         " FROM devices AS d"},
    [STATEMENT_SURVEY_QUARANTINE] = {"look up the newest message of quarantine",
                                     "SELECT max(last_received_ms) FROM quarantine"},
    [STATEMENT_BATTERY_COUNT] = {"count battery readings",
                                 "SELECT count(*), max(time_ms) FROM (SELECT time_ms FROM battery"
                                 " WHERE device = ?1 AND time_ms >= ?2 AND time_ms < ?3"
                                 " ORDER BY time_ms LIMIT ?4)"},
    [STATEMENT_TEMPERATURE_COUNT] = {"count temperature readings",
                                     "SELECT count(*), max(time_ms) FROM (SELECT time_ms"
                                     " FROM temperature WHERE device = ?1 AND time_ms >= ?2"
                                     " AND time_ms < ?3 ORDER BY time_ms LIMIT ?4)"},
    [STATEMENT_MESSAGES_COUNT] = {"count messages",
                                  "SELECT count(*), max(time_ms) FROM (SELECT time_ms FROM messages"
                                  " WHERE device = ?1 AND time_ms >= ?2 AND time_ms < ?3"
                                  " ORDER BY time_ms LIMIT ?4)"},
    [STATEMENT_QUARANTINE_COUNT] = {"count the quarantine by age",
                                    "SELECT count(*), max(last_received_ms) FROM"
                                    " (SELECT last_received_ms FROM quarantine"
                                    " WHERE ?1 IS NOT NULL AND last_received_ms >= ?2"
                                    " AND last_received_ms < ?3"
                                    " ORDER BY last_received_ms LIMIT ?4)"},
    /* Looks at the 256 newest devices only, so that the time of a start is bounded. */
    [STATEMENT_NEWEST_RECEIVED] =
        {"look up when the last messages came",
         "SELECT (SELECT max(last_durable_ms) FROM sessions), (SELECT max(max(ifnull("
         "(SELECT received_ms FROM battery AS b WHERE b.device = d.device"
         " ORDER BY time_ms DESC LIMIT 1), 0), ifnull((SELECT received_ms FROM temperature AS t"
         " WHERE t.device = d.device ORDER BY time_ms DESC LIMIT 1), 0)))"
         " FROM (SELECT device FROM devices ORDER BY device DESC LIMIT 256) AS d)"},
    [STATEMENT_EXPIRED_ADD] = {"count what was deleted",
                               "INSERT INTO expired (run, table_name, row_count, before_ms,"
                               " last_ms) VALUES (?1, ?2, ?3, ?4, ?5)"
                               " ON CONFLICT (run, table_name) DO UPDATE SET"
                               " row_count = row_count + excluded.row_count,"
                               " before_ms = max(before_ms, excluded.before_ms),"
                               " last_ms = excluded.last_ms"},
    [STATEMENT_PAGES] = {"count free pages", "SELECT freelist_count, page_count"
                                             " FROM pragma_freelist_count, pragma_page_count"},
    [STATEMENT_GAPS] = {"read the gaps", "SELECT (SELECT count(*) FROM gaps), client_id, reason,"
                                         " coalesce(last_durable_ms, 0), resumed_ms FROM gaps"
                                         " ORDER BY resumed_ms DESC LIMIT 1"},
    [STATEMENT_RESTORED] = {"read when it was restored",
                            "SELECT reason = 'restored', resumed_ms, coalesce(last_durable_ms, 0)"
                            " FROM gaps WHERE reason IN ('restored', 'older database')"
                            " ORDER BY resumed_ms DESC LIMIT 1"},
    /* Counts up to a limit, so that a huge quarantine does not delay the writer. */
    [STATEMENT_QUARANTINE_SIZE] = {"count the quarantine",
                                   "SELECT count(*) FROM"
                                   " (SELECT digest FROM quarantine LIMIT ?1)"},
    [STATEMENT_DATA_VERSION] = {"look for changes of others", "PRAGMA data_version"},
    [STATEMENT_SIZE] = {"measure the database",
                        "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count,"
                        " pragma_freelist_count, pragma_page_size"},
    [STATEMENT_VACUUM] = {"give free pages back", "PRAGMA incremental_vacuum"},
    [STATEMENT_GROWTH] = {"read how it grew",
                          "SELECT (SELECT page_count * page_size"
                          " FROM pragma_page_count, pragma_page_size),"
                          " (SELECT coalesce(sum(received), 0) FROM runs),"
                          " coalesce(sum(received), 0),"
                          " max(?2 - coalesce(min(started_ms), ?2),"
                          " min(?2 - ?1, ?2 - coalesce((SELECT min("
                          " ifnull((SELECT min(time_ms) FROM battery WHERE device = d.device), ?2),"
                          " ifnull((SELECT min(time_ms) FROM temperature WHERE device = d.device),"
                          " ?2)) AS oldest_ms FROM devices AS d ORDER BY oldest_ms"
                          " LIMIT 1 OFFSET (SELECT count(*) / 20 FROM devices)), ?2)))"
                          " FROM runs WHERE coalesce(stopped_ms, ?2) > ?1"},
    [STATEMENT_MESSAGE_FIND] = {"compare a message",
                                "SELECT 1 FROM messages WHERE device = ?1 AND type = ?2"
                                " AND time_ms = ?3 AND digest = ?7"},
    /* Replay. The empty text, or 0, stands for every reason and for the beginning. */
    [STATEMENT_REPLAY_COUNT] = {"count what is in quarantine",
                                "SELECT (SELECT count(*) FROM quarantine"
                                " WHERE ?1 = '' OR reason = ?1),"
                                " (SELECT count(*) FROM messages WHERE ?1 = '')"},
    [STATEMENT_REPLAY_NEXT] = {"read from quarantine",
                               "SELECT digest, topic, payload, reason, detail, first_received_ms"
                               " FROM quarantine WHERE digest > ?1 AND (?2 = '' OR reason = ?2)"
                               " ORDER BY digest LIMIT 1"},
    [STATEMENT_REPLAY_THERE] = {"look for a message in quarantine",
                                "SELECT 1 FROM quarantine WHERE digest = ?1"},
    [STATEMENT_REPLAY_TAKEN] = {"take a message out of quarantine",
                                "DELETE FROM quarantine WHERE digest = ?1"},
    [STATEMENT_REPLAY_STAYS] = {"note why a message stays in quarantine",
                                "UPDATE quarantine SET reason = ?2, detail = ?3,"
                                " last_received_ms = max(last_received_ms, ?4)"
                                " WHERE digest = ?1"},
    [STATEMENT_REPLAY_MESSAGE] = {"read a message",
                                  "SELECT m.rowid, d.family, m.version, m.type, m.body,"
                                  " m.received_ms, m.digest FROM messages AS m"
                                  " JOIN devices AS d USING (device) WHERE m.rowid > ?1"
                                  " ORDER BY m.rowid LIMIT 1"},
    [STATEMENT_REPLAY_MESSAGE_THERE] = {"look for a message",
                                        "SELECT 1 FROM messages WHERE rowid = ?1 AND digest = ?2"},
    [STATEMENT_REPLAY_MESSAGE_TAKEN] = {"take a message out of messages",
                                        "DELETE FROM messages WHERE rowid = ?1 AND digest = ?2"},
    /* Uses the index quarantine_with_time. The last column is the time in the message's body, which
     * is not part of the index: json_extract() cannot be used there when the schema is not trusted.
     */
    [STATEMENT_REJUDGE_NEXT] = {"look for messages whose time has come",
                                "SELECT digest, topic, payload, reason, detail,"
                                " first_received_ms, CASE WHEN json_valid(CAST(payload AS TEXT))"
                                " THEN CAST(json_extract(CAST(payload AS TEXT), '$.timeMs')"
                                " AS INTEGER) END FROM quarantine"
                                " WHERE reason = 'time' AND digest > ?1 ORDER BY digest LIMIT 1"},
    [STATEMENT_REJUDGE_RESTAMP] = {"correct when messages of quarantine came",
                                   "UPDATE quarantine SET last_received_ms = ?3 WHERE rowid IN"
                                   " (SELECT rowid FROM quarantine WHERE last_received_ms >= ?1"
                                   " AND last_received_ms <= ?2 LIMIT ?4)"},
    [STATEMENT_REPLAY_DEVICE_SEEN] = {"correct when a device was first seen",
                                      "UPDATE devices SET first_seen_ms = ?3"
                                      " WHERE family = ?1 AND device_id = ?2"
                                      " AND first_seen_ms > ?3"},
    [STATEMENT_REPLAY_GROUP_SEEN] = {"correct when a group was first seen",
                                     "UPDATE device_groups SET first_seen_ms = ?3"
                                     " WHERE group_name = ?4 AND device ="
                                     " (SELECT device FROM devices WHERE family = ?1"
                                     " AND device_id = ?2) AND first_seen_ms > ?3"},
    [STATEMENT_REPLAY_BATTERY] = {"read battery readings",
                                  "SELECT device, time_ms, extra, voltage_v, level_pct"
                                  " FROM battery WHERE (device, time_ms) > (?1, ?2)"
                                  " AND extra IS NOT NULL"
                                  " AND (voltage_v IS NULL OR level_pct IS NULL)"
                                  " ORDER BY device, time_ms LIMIT 1"},
    [STATEMENT_REPLAY_BATTERY_MAPPED] = {"fill columns of a battery reading",
                                         "UPDATE battery SET extra = ?4, voltage_v = ?5,"
                                         " level_pct = ?6 WHERE device = ?1 AND time_ms = ?2"
                                         " AND extra = ?3"},
    [STATEMENT_REPLAY_TEMPERATURE] = {"read temperature readings",
                                      "SELECT device, time_ms, extra, celsius"
                                      " FROM temperature WHERE (device, time_ms) > (?1, ?2)"
                                      " AND extra IS NOT NULL AND celsius IS NULL"
                                      " ORDER BY device, time_ms LIMIT 1"},
    [STATEMENT_REPLAY_TEMPERATURE_MAPPED] = {"fill the column of a temperature reading",
                                             "UPDATE temperature SET extra = ?4, celsius = ?5"
                                             " WHERE device = ?1 AND time_ms = ?2"
                                             " AND extra = ?3"},
    [STATEMENT_ROLLUP_STATE] = {"read how far readings are rolled up",
                                "SELECT device, from_ms, until_ms, battery_gone_ms,"
                                " temperature_gone_ms, analyzed_ms FROM rollup_state"},
    [STATEMENT_ROLLUP_SET_STATE] = {"note how far readings are rolled up",
                                    "UPDATE rollup_state SET device = ?1, from_ms = ?2,"
                                    " from_day = ?3, until_ms = ?4, until_day = ?5,"
                                    " offset_from_ms = ?6, offset_until_ms = ?7, offset_ms = ?8,"
                                    " battery_gone_ms = ?9, temperature_gone_ms = ?10,"
                                    " analyzed_ms = ?11 WHERE only = 1"},
    [STATEMENT_ROLLUP_OFFSETS] = {"read the time zone",
                                  "SELECT from_ms, until_ms, offset_ms FROM day_offsets"
                                  " ORDER BY from_ms"},
    /* Each of the two is one seek. */
    [STATEMENT_ROLLUP_DAYS] = {"read the calendar", "SELECT (SELECT min(day) FROM calendar),"
                                                    " (SELECT max(day) FROM calendar)"},
    [STATEMENT_ROLLUP_DAY_ADD] = {"add a day to the calendar",
                                  "INSERT INTO calendar (day, date, from_ms, until_ms, begin_utc)"
                                  " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING"},
    [STATEMENT_ROLLUP_MARK] = {"note a day to be rolled up anew",
                               "INSERT INTO rollup_dirty (type, device, day, from_ms, until_ms)"
                               " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING"},
    [STATEMENT_ROLLUP_UNMARK] = {"note that a day is rolled up",
                                 "DELETE FROM rollup_dirty"
                                 " WHERE type = ?1 AND device = ?2 AND day = ?3"},
    [STATEMENT_ROLLUP_MARKED] = {"look for a day to be rolled up anew",
                                 "SELECT 1 FROM rollup_dirty"
                                 " WHERE type = ?1 AND device = ?2 AND day = ?3"},
    [STATEMENT_ROLLUP_DIRTY] = {"read the days to be rolled up anew",
                                "SELECT type, device, day, from_ms, until_ms FROM rollup_dirty"
                                " LIMIT 1"},
    [STATEMENT_BATTERY_FROM] = {"roll battery readings up",
                                "SELECT time_ms, voltage_v, level_pct FROM battery"
                                " WHERE device = ?1 AND time_ms >= ?2 ORDER BY time_ms"},
    [STATEMENT_BATTERY_DAY_PUT] = {"store a day of battery readings",
                                   "INSERT OR REPLACE INTO battery_days VALUES (?1, ?2, ?3, ?4,"
                                   " ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"},
    [STATEMENT_TEMPERATURE_FROM] = {"roll temperature readings up",
                                    "SELECT time_ms, celsius FROM temperature"
                                    " WHERE device = ?1 AND time_ms >= ?2 ORDER BY time_ms"},
    [STATEMENT_TEMPERATURE_DAY_PUT] = {"store a day of temperature readings",
                                       "INSERT OR REPLACE INTO temperature_days VALUES (?1, ?2, ?3,"
                                       " ?4, ?5, ?6, ?7, ?8, ?9, ?10)"},
    [STATEMENT_ROLLUP_ZONE] = {"read the time zone", "SELECT zone FROM rollup_state"},
    [STATEMENT_ROLLUP_SET_ZONE] = {"change the time zone", "UPDATE rollup_state SET zone = ?1"},
    [STATEMENT_ROLLUP_OFFSETS_CLEAR] = {"change the time zone", "DELETE FROM day_offsets"},
    [STATEMENT_ROLLUP_OFFSET_ADD] = {"change the time zone",
                                     "INSERT INTO day_offsets (from_ms, until_ms, offset_ms)"
                                     " VALUES (?1, ?2, ?3)"},
    [STATEMENT_ROLLUP_CALENDAR_CLEAR] = {"change the calendar", "DELETE FROM calendar"},
    [STATEMENT_ROLLUP_CALENDAR_FROM] = {"change the calendar",
                                        "DELETE FROM calendar WHERE day >= ?1"},
    [STATEMENT_ROLLUP_CALENDAR_TRIM] = {"delete old days of the calendar",
                                        "DELETE FROM calendar WHERE day < ?1"},
    [STATEMENT_ROLLUP_UNMARK_ALL] = {"begin the roll-ups anew", "DELETE FROM rollup_dirty"},
    [STATEMENT_ROLLUP_UNMARK_FROM] = {"begin the roll-ups anew",
                                      "DELETE FROM rollup_dirty WHERE day >= ?1"},
    [STATEMENT_ROLLUP_OLDEST] = {"look up the oldest roll-ups",
                                 "SELECT (SELECT min(day) FROM battery_days),"
                                 " (SELECT min(day) FROM temperature_days)"},
    [STATEMENT_SUM_NEXT] = {"look for a day to be added up", STORE_SUMS_NEXT},
    [STATEMENT_SUM_BEGIN] = {"begin to add up a day", STORE_SUMS_BEGIN},
    [STATEMENT_SUM_DEVICES] = {"read the devices to be added up", STORE_SUMS_DEVICES},
    [STATEMENT_SUM_FLEET] = {"add up a day", STORE_SUMS_FLEET},
    [STATEMENT_SUM_GROUPS] = {"add up a day of groups", STORE_SUMS_GROUPS},
    [STATEMENT_SUM_END] = {"note that a day is added up",
                           "UPDATE fleet_days SET device = NULL WHERE day = ?1"},
    [STATEMENT_SUM_FORGET] = {"note a day to be added up anew",
                              "DELETE FROM fleet_days WHERE day = ?1"},
    [STATEMENT_SUM_FORGET_UNTIL] = {"note days to be added up anew",
                                    "DELETE FROM fleet_days WHERE day <= ?1"},
    [STATEMENT_GROUP_DAY_CLEAR] = {"add up a day of groups anew",
                                   "DELETE FROM group_days WHERE day = ?1"},
    [STATEMENT_GROUP_DAYS_TRIM] = {"delete old days of groups",
                                   "DELETE FROM group_days WHERE day <= ?1"},
    [STATEMENT_TREND_LEARNT] = {"read how a battery discharges", STORE_TREND_LEARNT},
    [STATEMENT_TREND_LEARN] = {"note how a battery discharges", STORE_TREND_LEARN},
    [STATEMENT_TREND_CHANGED] = {"note that a battery's days changed",
                                 "UPDATE battery_trends SET changed = 1"
                                 " WHERE device = ?1 AND NOT changed"},
    [STATEMENT_TRENDS_CHANGED] = {"note that days of batteries changed",
                                  "UPDATE battery_trends SET changed = 1 WHERE NOT changed"},
    [STATEMENT_TREND_CLEAR] = {"begin the roll-ups anew", "DELETE FROM battery_trends"},
    STORE_ROLLUPS_OF(BATTERY, "battery"),
    STORE_ROLLUPS_OF(TEMPERATURE, "temperature"),
    [STATEMENT_HABIT_FIND] = {"read a device's habits",
                              "SELECT learnt_ms, usual_ms, intervals FROM device_habits"
                              " WHERE device = ?1 AND type = ?2"},
    [STATEMENT_HABIT_PUT] = {"note a device's habits",
                             "INSERT OR REPLACE INTO device_habits (device, type, usual_ms,"
                             " intervals, learnt_ms) VALUES (?1, ?2, ?3, ?4, ?5)"},
    /* Triggers have names of their own. */
    [STATEMENT_VIEW_FIND] = {"look for what has the name of a view",
                             "SELECT s.type, s.type = 'view' AND s.sql IS t.sql,"
                             " s.sql = ?2 FROM sqlite_schema AS s"
                             " LEFT JOIN typed_views AS t ON t.name = s.name COLLATE NOCASE"
                             " WHERE s.name = ?1 COLLATE NOCASE AND s.type <> 'trigger'"},
    [STATEMENT_VIEW_NEXT] = {"read which views it has made",
                             "SELECT name FROM typed_views WHERE name > ?1 ORDER BY name LIMIT 1"},
    [STATEMENT_VIEW_NOTE] = {"note a view that it has made",
                             "INSERT INTO typed_views (name, sql) SELECT name, sql"
                             " FROM sqlite_schema WHERE type = 'view' AND name = ?1"
                             " ON CONFLICT (name) DO UPDATE SET name = excluded.name,"
                             " sql = excluded.sql"},
    [STATEMENT_VIEW_FORGET] = {"forget a view that it had made",
                               "DELETE FROM typed_views WHERE name = ?1"},
};

struct store_value store_integer(int64_t integer)
{
    return (struct store_value){.kind = VALUE_INTEGER, .integer = integer};
}

struct store_value store_real(double real)
{
    return (struct store_value){.kind = VALUE_REAL, .real = real};
}

struct store_value store_text(const char *text)
{
    return store_bytes(true, text, text == NULL ? 0 : strlen(text));
}

struct store_value store_bytes(bool is_text, const void *bytes, size_t length)
{
    return (struct store_value){
        .kind = is_text ? VALUE_TEXT : VALUE_BLOB, .bytes = bytes, .length = length};
}

int store_prepare(struct store *store)
{
    errno = 0;
    for (int id = 0; id < STATEMENT_COUNT; id++) {
        if (sqlite3_prepare_v3(store->db, texts[id].sql, -1, SQLITE_PREPARE_PERSISTENT,
                               &store->statements[id], NULL) != SQLITE_OK) {
            return store_fail(store, texts[id].doing);
        }
    }
    return STORE_OK;
}

void store_finalize(struct store *store)
{
    for (int id = 0; id < STATEMENT_COUNT; id++) {
        sqlite3_finalize(store->statements[id]);
        store->statements[id] = NULL;
    }
}

/* Binds one value. SQLITE_STATIC, because every caller's bytes live until the statement is reset.
 */
static int bind(sqlite3_stmt *statement, int index, const struct store_value *value)
{
    switch (value->kind) {
    case VALUE_INTEGER:
        return sqlite3_bind_int64(statement, index, value->integer);
    case VALUE_REAL:
        return isnan(value->real) ? sqlite3_bind_null(statement, index)
                                  : sqlite3_bind_double(statement, index, value->real);
    case VALUE_TEXT:
        return sqlite3_bind_text64(statement, index, value->bytes, value->length, SQLITE_STATIC,
                                   SQLITE_UTF8);
    case VALUE_BLOB:
        break;
    }
    return sqlite3_bind_blob64(statement, index, value->bytes == NULL ? "" : value->bytes,
                               value->length, SQLITE_STATIC);
}

int store_bind(struct store *store, enum store_statement id, int before,
               const struct store_value *values, int count)
{
    int code = SQLITE_OK;

    errno = 0;
    for (int i = 0; i < count && code == SQLITE_OK; i++) {
        code = bind(store->statements[id], before + i + 1, &values[i]);
    }
    return code == SQLITE_OK ? STORE_OK : store_fail(store, texts[id].doing);
}

int store_step(struct store *store, enum store_statement id, const struct store_value *values,
               int count, bool *row)
{
    int result = store_bind(store, id, 0, values, count);
    int code;

    if (result != STORE_OK) {
        return result;
    }
    errno = 0;
    code = sqlite3_step(store->statements[id]);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        return store_fail(store, texts[id].doing);
    }
    *row = code == SQLITE_ROW;
    return STORE_OK;
}

void store_reset(struct store *store, enum store_statement id)
{
    /* The result repeats the last step's, which store_step() has reported. */
    sqlite3_reset(store->statements[id]);
    sqlite3_clear_bindings(store->statements[id]);
}

int store_execute(struct store *store, enum store_statement id, const struct store_value *values,
                  int count)
{
    bool row = false;
    int result = store_step(store, id, values, count, &row);

    while (result == STORE_OK && row) {
        result = store_step(store, id, NULL, 0, &row);
    }
    store_reset(store, id);
    return result;
}

int store_execute_bound(struct store *store, enum store_statement id, int bound)
{
    if (bound == STORE_OK) {
        return store_execute(store, id, NULL, 0);
    }
    store_reset(store, id);
    return bound;
}
