/*
 * The SQL that adds the roll-ups of some devices and a day to those that are added up already; see
 * store/sqlite/rollup_sum.c. ?1: the day; ?2, ?3: the devices are after ?2, up to ?3.
 */
#ifndef STORE_SQLITE_ROLLUP_SUMS_INTERNAL_H
#define STORE_SQLITE_ROLLUP_SUMS_INTERNAL_H

/* A day before the boundary (?1) that is not added up yet. The latest comes first: it is asked for
 * most. */
#define STORE_SUMS_NEXT                                                                            \
    "SELECT c.day, f.device, f.grouped FROM calendar AS c"                                         \
    " LEFT JOIN fleet_days AS f ON f.day = c.day"                                                  \
    " WHERE c.until_ms <= ?1 AND (f.day IS NULL OR f.device IS NOT NULL)"                          \
    " AND NOT EXISTS (SELECT 1 FROM rollup_dirty WHERE day = c.day) ORDER BY c.day DESC LIMIT 1"

/* A row a group and day is small beside those of twenty devices. */
#define STORE_SUMS_BEGIN                                                                           \
    "INSERT INTO fleet_days SELECT ?1, 0, (SELECT count(DISTINCT group_name) FROM device_groups)"  \
    " <= 10 + (SELECT count(*) FROM devices) / 20, 0, 0, NULL, 0, 0, NULL, 0, NULL, 0, 0, NULL"

/* The last of the devices after ?1 that are added together. */
#define STORE_SUMS_DEVICES                                                                         \
    "SELECT max(device) FROM (SELECT device FROM devices WHERE device > ?1"                        \
    " ORDER BY device LIMIT 256)"

/* Battery and temperature of some devices and a day as rows of one kind. */
#define STORE_SUMS_DEVICE_DAYS(condition)                                                          \
    "SELECT device, readings AS b, level_pct_min, level_pct_sum, ifnull(level_pct_count,"          \
    " readings) AS level_pct_count, voltage_v_min, 0 AS t,"                                        \
    " NULL AS celsius_min, NULL AS celsius_sum, NULL AS celsius_count, NULL AS celsius_max"        \
    " FROM battery_days WHERE " condition                                                          \
    " UNION ALL SELECT device, 0, NULL, NULL, NULL, NULL, readings, celsius_min, celsius_sum,"     \
    " ifnull(celsius_count, readings), celsius_max FROM temperature_days WHERE " condition

#define STORE_SUMS_SOME "day = ?1 AND device > ?2 AND device <= ?3"

/* The columns of fleet_days, and of group_days, in their order. */
#define STORE_SUMS_COLUMNS                                                                         \
    "count(DISTINCT r.device) AS devices, ifnull(sum(r.b), 0) AS battery_readings,"                \
    " min(r.level_pct_min) AS level_pct_min, total(r.level_pct_sum) AS level_pct_sum,"             \
    " ifnull(sum(r.level_pct_count), 0) AS level_pct_count, min(r.voltage_v_min) AS "              \
    "voltage_v_min,"                                                                               \
    " ifnull(sum(r.t), 0) AS temperature_readings, min(r.celsius_min) AS celsius_min,"             \
    " total(r.celsius_sum) AS celsius_sum, ifnull(sum(r.celsius_count), 0) AS celsius_count,"      \
    " max(r.celsius_max) AS celsius_max"

#define STORE_SUMS_BOTH(function, more, column)                                                    \
    " " column " = " function "(ifnull(f." column ", " more "." column "), ifnull(" more           \
    "." column ", f." column "))"

/* A statement reads better in lines of its own. */
/* clang-format off */

/* The sums of `f`, a row of the table, and of `more` together. */
#define STORE_SUMS_SET(more)                                                                       \
    "devices = f.devices + " more ".devices,"                                                      \
    " battery_readings = f.battery_readings + " more ".battery_readings,"                          \
    " temperature_readings = f.temperature_readings + " more ".temperature_readings,"              \
    " level_pct_sum = f.level_pct_sum + " more ".level_pct_sum,"                                   \
    " level_pct_count = f.level_pct_count + " more ".level_pct_count,"                             \
    " celsius_sum = f.celsius_sum + " more ".celsius_sum,"                                         \
    " celsius_count = f.celsius_count + " more ".celsius_count,"                                   \
    STORE_SUMS_BOTH("min", more, "level_pct_min") ","                                              \
    STORE_SUMS_BOTH("min", more, "voltage_v_min") ","                                              \
    STORE_SUMS_BOTH("min", more, "celsius_min") ","                                                \
    STORE_SUMS_BOTH("max", more, "celsius_max")
#define STORE_SUMS_FLEET                                                                           \
    "UPDATE fleet_days AS f SET device = ?3, " STORE_SUMS_SET("x")                                 \
    " FROM (SELECT " STORE_SUMS_COLUMNS                                                            \
    " FROM (" STORE_SUMS_DEVICE_DAYS(STORE_SUMS_SOME) ") AS r) AS x WHERE f.day = ?1"

#define STORE_SUMS_GROUPS                                                                          \
    "INSERT INTO group_days AS f SELECT ?1, g.group_name, " STORE_SUMS_COLUMNS                     \
    " FROM (" STORE_SUMS_DEVICE_DAYS(STORE_SUMS_SOME) ") AS r"                                     \
    " CROSS JOIN device_groups AS g WHERE g.device = r.device GROUP BY g.group_name"               \
    " ON CONFLICT (day, group_name) DO UPDATE SET " STORE_SUMS_SET("excluded")

/* clang-format on */

#endif
