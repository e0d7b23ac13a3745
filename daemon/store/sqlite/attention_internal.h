/*
 * The statement that looks at one device, ?1; see store/sqlite/attention.c about the rules. ?2 is
 * the level below which a battery is low without a limit, and ?3 the present moment. The device is
 * bound, and not a column of an outer query, because SQLite takes no such column into the views.
 */
#ifndef STORE_SQLITE_ATTENTION_INTERNAL_H
#define STORE_SQLITE_ATTENTION_INTERNAL_H

/* Whether the row l of `limits` is one for the device ?1. */
#define LIMIT_APPLIES                                                                              \
    "(l.device_id IS NULL OR l.device_id = (SELECT device_id FROM devices WHERE device = ?1))"     \
    " AND (l.group_name IS NULL OR EXISTS (SELECT 1 FROM device_groups AS g"                       \
    " WHERE g.group_name = l.group_name AND g.device = ?1))"

/* Whether nothing has come from the device ?1 until ?3 for longer than two
 * and a half times the usual interval of every type that it sends; for a day where no usual
 * interval is known. */
#define SILENT                                                                                     \
    "(WITH m AS MATERIALIZED (SELECT first_seen_ms,"                                               \
    " (SELECT max(time_ms) FROM battery WHERE device = ?1) AS last_b,"                             \
    " (SELECT max(time_ms) FROM temperature WHERE device = ?1) AS last_t,"                         \
    " (SELECT max(time_ms) FROM messages WHERE device = ?1) AS last_m,"                            \
    " (SELECT usual_ms FROM usual_intervals WHERE device = ?1 AND type = 'bat') AS usual_b,"       \
    " (SELECT usual_ms FROM usual_intervals WHERE device = ?1 AND type = 'temp') AS usual_t"       \
    " FROM devices WHERE device = ?1)"                                                             \
    " SELECT max(ifnull(last_b + ifnull(usual_b * 5 / 2, 86400000), 0),"                           \
    " ifnull(last_t + ifnull(usual_t * 5 / 2, 86400000), 0), ifnull(nullif(max("                   \
    "ifnull(last_b, 0), ifnull(last_t, 0), ifnull(last_m, 0)), 0), first_seen_ms)"                 \
    " + ifnull(min(ifnull(usual_b, usual_t), ifnull(usual_t, usual_b)) * 5 / 2, 86400000)) < ?3"   \
    " FROM m)"

/* For how many limits the device's temperature is `beyond` and not `back`
 * yet, until ?3 for l.duration_s at least. Looks at a month of readings at most. */
#define OPEN_EXCURSIONS(limit, beyond, back)                                                       \
    "(SELECT count(*) FROM limits AS l WHERE " limit " IS NOT NULL AND " LIMIT_APPLIES             \
    " AND ?3 - l.duration_s * 1000 >= (SELECT time_ms FROM temperature WHERE device = ?1 "         \
    "AND " beyond                                                                                  \
    " AND time_ms > ifnull((SELECT time_ms FROM temperature WHERE device = ?1 AND " back           \
    " AND time_ms > " MONTH_BEFORE_NEWEST " ORDER BY time_ms DESC LIMIT 1), " MONTH_BEFORE_NEWEST  \
    ") ORDER BY time_ms LIMIT 1))"
#define MONTH_BEFORE_NEWEST                                                                        \
    "(SELECT max(time_ms) - 31 * 86400000 FROM temperature WHERE device = ?1)"
#define TOO_WARM                                                                                   \
    OPEN_EXCURSIONS("celsius_max", "celsius > l.celsius_max",                                      \
                    "celsius <= l.celsius_max - l.hysteresis")
#define TOO_COLD                                                                                   \
    OPEN_EXCURSIONS("celsius_min", "celsius < l.celsius_min",                                      \
                    "celsius >= l.celsius_min + l.hysteresis")

/* Columns: 1 where it is silent; 1 where its battery is low; how many open excursions it has. */
#define STORE_ATTENTION                                                                            \
    "SELECT " SILENT ", ifnull((SELECT level_pct "                                                 \
    "FROM (SELECT time_ms, level_pct FROM battery"                                                 \
    " WHERE device = ?1 ORDER BY time_ms DESC LIMIT 52) WHERE level_pct IS NOT NULL"               \
    " ORDER BY time_ms DESC LIMIT 1) < ifnull((SELECT level_pct_min FROM limits AS l"              \
    " WHERE level_pct_min IS NOT NULL AND " LIMIT_APPLIES                                          \
    " ORDER BY device_id IS NULL, group_name IS NULL, level_pct_min DESC LIMIT 1), ?2), 0),"       \
    " " TOO_WARM " + " TOO_COLD

#endif
