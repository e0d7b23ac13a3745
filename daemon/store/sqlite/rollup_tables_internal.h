/*
 * The statements of roll-ups that battery and temperature have alike; see
 * store/sqlite/statements.c.
 */
#ifndef STORE_SQLITE_ROLLUP_TABLES_INTERNAL_H
#define STORE_SQLITE_ROLLUP_TABLES_INTERNAL_H

/* A statement reads better in lines of its own. */
/* clang-format off */

/* _DAY_PAUSE: the first reading of day ?2 is at ?3, and the pause before it counts as one of the
 * day. */
#define STORE_ROLLUPS_OF(TABLE, table)                                                             \
    [STATEMENT_##TABLE##_FIRST] = {"look up a " table " reading",                                  \
        "SELECT min(time_ms) FROM " table " WHERE device = ?1 AND time_ms >= ?2"},                 \
    [STATEMENT_##TABLE##_BEFORE] = {"look up a " table " reading",                                 \
        "SELECT max(time_ms) FROM " table " WHERE device = ?1 AND time_ms < ?2"},                  \
    [STATEMENT_##TABLE##_NEWEST] = {"read the newest " table " readings",                          \
        "SELECT time_ms FROM " table " WHERE device = ?1 ORDER BY time_ms DESC LIMIT ?2"},         \
    [STATEMENT_##TABLE##_DAY_PAUSE] = {"note a pause of " table " readings",                       \
        "UPDATE " table "_days SET pause_max_ms = ?3 - p.time_ms"                                  \
        " FROM (SELECT max(time_ms) AS time_ms FROM " table                                        \
        " WHERE device = ?1 AND time_ms < ?3) AS p"                                                \
        " WHERE device = ?1 AND day = ?2 AND ?3 - p.time_ms > coalesce(pause_max_ms,"              \
        " 2 * (last_after_ms - first_after_ms) / (readings - 1), 0)"},                             \
    [STATEMENT_##TABLE##_DAY_DELETE] = {"delete a day of " table " readings",                      \
        "DELETE FROM " table "_days WHERE device = ?1 AND day = ?2"},                              \
    [STATEMENT_##TABLE##_DAYS_DELETE] = {"delete old days of " table " readings",                  \
        "DELETE FROM " table "_days WHERE device = ?1 AND day IN (SELECT day FROM calendar"        \
        " WHERE day < ?2 AND day >= (SELECT min(day) FROM " table "_days))"},                      \
    [STATEMENT_##TABLE##_DAYS_CLEAR] = {"begin the roll-ups anew",                                 \
        "DELETE FROM " table "_days"},                                                             \
    [STATEMENT_##TABLE##_DAYS_FROM] = {"begin the roll-ups anew",                                  \
        "DELETE FROM " table "_days WHERE day >= ?1"},                                             \
    [STATEMENT_##TABLE##_DAY_CLEAR] = {"delete an old day",                                        \
        "DELETE FROM " table "_days WHERE day = ?1 AND device IN"                                  \
        " (SELECT device FROM " table "_days WHERE day = ?1 LIMIT ?2)"}

/* clang-format on */

#endif
