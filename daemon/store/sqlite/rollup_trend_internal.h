/*
 * The SQL by which the daemon learns how a battery discharges; see store/sqlite/rollup_trend.c. It
 * reads tables only, because views are in the hands of people. `device` and `day`: SQL for the
 * device, and for the day that is not over yet.
 */
#ifndef STORE_SQLITE_ROLLUP_TREND_INTERNAL_H
#define STORE_SQLITE_ROLLUP_TREND_INTERNAL_H

/* A statement reads better in lines of its own. */
/* clang-format off */

/* Whether a device (?1) is learnt up to a day (from ?2 on), and nothing has changed since. */
#define STORE_TREND_LEARNT                                                                         \
    "SELECT 1 FROM battery_trends WHERE device = ?1 AND until_ms = ?2 AND NOT changed"

#define STORE_TREND_FIRST(r) "ifnull(" r ".level_pct_first, " r ".level_pct_max)"
#define STORE_TREND_LAST(r) "ifnull(" r ".level_pct_last, " r ".level_pct_min)"
#define STORE_TREND_COUNT(r) "ifnull(" r ".level_pct_count, " r ".readings)"
#define STORE_TREND_MEAN(r) r ".level_pct_sum / " STORE_TREND_COUNT(r)

/* The level rose on the day by more than noise. */
#define STORE_TREND_RISES(r)                                                                       \
    "max(" r ".level_pct_max - " STORE_TREND_FIRST(r) ", " STORE_TREND_LAST(r)                     \
    " - " r ".level_pct_min) > 3.5 + min(" STORE_TREND_COUNT(r) ", 100) / 100.0"

/* Each day `r` of the last 30 with the day before, `p`, if there is one. LIMIT: so that SQLite
 * calculates each column once. */
#define STORE_TREND_DAYS(device, day)                                                              \
    "SELECT " STORE_TREND_COUNT("r") " AS n,"                                                      \
    " min(" STORE_TREND_COUNT("r") ", " STORE_TREND_COUNT("p") ") AS fewer,"                       \
    " c.from_ms + r.first_after_ms AS first_ms, c.from_ms + r.last_after_ms AS last_ms,"           \
    " c.day >= " day " - 6 AS week,"                                                               \
    " " STORE_TREND_RISES("r") " AS rises, " STORE_TREND_RISES("p") " AS rose,"                    \
    " " STORE_TREND_FIRST("r") " - " STORE_TREND_LAST("p") " AS step,"                             \
    " 1.0 + (r.first_after_ms + r.last_after_ms - p.first_after_ms - p.last_after_ms)"             \
    " / 172800000.0 AS days,"                                                                      \
    " " STORE_TREND_MEAN("p") " - " STORE_TREND_MEAN("r") " AS drop_pct,"                          \
    " p.level_pct_max - " STORE_TREND_LAST("p") " <= 3.5"                                          \
    " AND " STORE_TREND_LAST("p") " - r.level_pct_min <= 3.5 AS goes_on"                           \
    " FROM calendar AS c"                                                                          \
    " CROSS JOIN battery_days AS r ON r.day = c.day AND r.device = " device                        \
    " AND r.level_pct_sum IS NOT NULL"                                                             \
    " LEFT JOIN battery_days AS p ON p.day = c.day - 1 AND p.device = " device                     \
    " AND p.level_pct_sum IS NOT NULL"                                                             \
    " WHERE c.day >= " day " - 30 AND c.day < " day " LIMIT -1"

/* `flat`: the level fell from one day to the next; `jumps`: it rose between them. */
#define STORE_TREND_PAIRS(device, day)                                                             \
    "SELECT n, first_ms, last_ms, week, rises, days, drop_pct,"                                    \
    " ifnull(rises AND rose AND goes_on, 0) AS continues,"                                         \
    " ifnull(NOT rises AND NOT rose AND drop_pct >= -1.5 - 2.0 / fewer AND step <= 3.5, 0)"        \
    " AS flat,"                                                                                    \
    " NOT rises AND ifnull(step > 3.5 OR (NOT rose AND drop_pct < -1.5 - 2.0 / fewer), 0)"         \
    " AS jumps FROM (" STORE_TREND_DAYS(device, day) ") LIMIT -1"

/* The columns of battery_trends from drop_7 to recharges_7, and where the last recharge is. */
#define STORE_TREND_SUMS(device, day)                                                              \
    "SELECT total(iif(flat AND week, drop_pct, 0)) AS drop_7,"                                     \
    " total(iif(flat AND week, days, 0)) AS days_7,"                                               \
    " total(iif(flat, drop_pct, 0)) AS drop_30, total(iif(flat, days, 0)) AS days_30,"             \
    " ifnull(avg(n), 0.0) AS readings,"                                                            \
    " ifnull(sum((rises AND NOT continues) OR jumps), 0) AS recharges,"                            \
    " ifnull(sum((rises OR jumps) AND week), 0) AS recharges_7,"                                   \
    " max(iif(jumps, first_ms, NULL)) AS jumped_ms,"                                               \
    " max(iif(rises, first_ms, NULL)) AS rise_from_ms,"                                            \
    " max(iif(rises, last_ms, NULL)) AS rise_until_ms"                                             \
    " FROM (" STORE_TREND_PAIRS(device, day) ")"

/* The end of the last recharge: the highest level after the lowest of the last day that rose. With
 * very many readings a day it is the end of that day, so that the time in a chunk has a bound. */
#define STORE_TREND_RECHARGED                                                                      \
    "iif(readings > 5000, rise_until_ms,"                                                          \
    " (SELECT e.time_ms FROM battery AS e WHERE e.device = ?1 AND e.time_ms <= rise_until_ms"      \
    " AND e.time_ms >= (SELECT time_ms FROM battery WHERE device = ?1 AND level_pct IS NOT NULL"   \
    " AND time_ms BETWEEN rise_from_ms AND rise_until_ms ORDER BY level_pct, time_ms LIMIT 1)"     \
    " ORDER BY e.level_pct DESC, e.time_ms LIMIT 1))"

/* ?1: the device; ?2: the day; ?3: its first moment. */
#define STORE_TREND_LEARN                                                                          \
    "INSERT OR REPLACE INTO battery_trends SELECT ?1, ?3, 0, drop_7, days_7, drop_30, days_30,"    \
    " readings, recharges, recharges_7,"                                                           \
    " nullif(max(ifnull(jumped_ms, 0), ifnull(" STORE_TREND_RECHARGED ", 0)), 0)"                  \
    " FROM (" STORE_TREND_SUMS("?1", "?2") " LIMIT -1)"

/* clang-format on */

#endif
