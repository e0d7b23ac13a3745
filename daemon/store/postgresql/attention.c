/*
 * Counts the devices that need attention, some at a time: a statement for a few devices, by seeks
 * of the primary keys, however many devices and readings there are. The rules are those of
 * store/sqlite/attention.c, and a test compares the counts with those of the views.
 *
 * The statement reads a view and the table `limits`, which people may change: a view that is gone
 * leaves the devices uncounted, and messages go on (pg_query()).
 */
#include "store/postgresql/operations_internal.h"
#include "store/postgresql/postgresql_internal.h"

#define DEVICES "20" /* of one statement */

/* Whether the row l of `limits` is one for the device d. */
#define LIMIT_APPLIES                                                                              \
    "(l.device_id IS NULL OR l.device_id = d.device_id)"                                           \
    " AND (l.group_name IS NULL OR EXISTS (SELECT 1 FROM device_groups AS g"                       \
    " WHERE g.group_name = l.group_name AND g.device = d.device))"

/* Whether nothing has come from the device until $2 for longer than two and a half times the usual
 * interval of every type that it sends; for a day where no usual interval is known. */
#define SILENT                                                                                     \
    "SELECT greatest(coalesce(last_b + coalesce(usual_b * 5 / 2, 86400000), 0),"                   \
    " coalesce(last_t + coalesce(usual_t * 5 / 2, 86400000), 0),"                                  \
    " coalesce(nullif(greatest(last_b, last_t, last_m, 0), 0), d.first_seen_ms)"                   \
    " + coalesce(least(usual_b, usual_t) * 5 / 2, 86400000)) < $2::int8 AS silent FROM ("          \
    "SELECT (SELECT max(time_ms) FROM battery WHERE device = d.device) AS last_b,"                 \
    " (SELECT max(time_ms) FROM temperature WHERE device = d.device) AS last_t,"                   \
    " (SELECT max(time_ms) FROM messages WHERE device = d.device) AS last_m,"                      \
    " (SELECT usual_ms FROM usual_intervals WHERE device = d.device AND type = 'bat') AS usual_b," \
    " (SELECT usual_ms FROM usual_intervals WHERE device = d.device AND type = 'temp')"            \
    " AS usual_t OFFSET 0) AS m"

#define LOW                                                                                        \
    "coalesce((SELECT level_pct FROM (SELECT time_ms, level_pct FROM battery"                      \
    " WHERE device = d.device ORDER BY time_ms DESC LIMIT 52) AS newest"                           \
    " WHERE level_pct IS NOT NULL ORDER BY time_ms DESC LIMIT 1)"                                  \
    " < coalesce((SELECT level_pct_min FROM limits AS l WHERE level_pct_min IS NOT NULL"           \
    " AND " LIMIT_APPLIES " ORDER BY device_id IS NULL, group_name IS NULL, level_pct_min DESC"    \
    " LIMIT 1), $3::int8), false)"

/* For how many limits the device's temperature is `beyond` and not `back` yet, until $2 for
 * l.duration_s at least. Looks at a month of readings at most. */
#define OPEN_EXCURSIONS(limit, beyond, back)                                                       \
    "(SELECT count(*) FROM limits AS l WHERE " limit " IS NOT NULL AND " LIMIT_APPLIES             \
    " AND $2::int8 - l.duration_s * 1000 >= (SELECT time_ms FROM temperature"                      \
    " WHERE device = d.device AND " beyond                                                         \
    " AND time_ms > coalesce((SELECT time_ms FROM temperature WHERE device = d.device AND " back   \
    " AND time_ms > month.from_ms ORDER BY time_ms DESC LIMIT 1), month.from_ms)"                  \
    " ORDER BY time_ms LIMIT 1))"

static const char look[] =
    "SELECT count(*), coalesce(max(d.device), 0), count(*) FILTER (WHERE s.silent),"
    " count(*) FILTER (WHERE " LOW "), coalesce(sum(" OPEN_EXCURSIONS(
        "celsius_max", "celsius > l.celsius_max",
        "celsius <= l.celsius_max - l.hysteresis") " + " OPEN_EXCURSIONS("celsius_min",
                                                                         "celsius < l.celsius_min",
                                                                         "celsius >= l.celsius_min"
                                                                         " + l.hysteresis") "),"
                                                                                            " 0)::"
                                                                                            "int8 "
                                                                                            "FROM "
                                                                                            "(SELEC"
                                                                                            "T * "
                                                                                            "FROM "
                                                                                            "device"
                                                                                            "s "
                                                                                            "WHERE "
                                                                                            "device"
                                                                                            " > "
                                                                                            "$1::"
                                                                                            "int8 "
                                                                                            "ORDER "
                                                                                            "BY "
                                                                                            "device"
                                                                                            " LIMIT"
                                                                                            " " DEVICES
                                                                                            ") AS "
                                                                                            "d "
                                                                                            "CROSS "
                                                                                            "JOIN "
                                                                                            "LATERA"
                                                                                            "L "
                                                                                            "(" SILENT
                                                                                            ") AS s"
                                                                                            " CROSS"
                                                                                            " JOIN "
                                                                                            "LATERA"
                                                                                            "L "
                                                                                            "(SELEC"
                                                                                            "T "
                                                                                            "max("
                                                                                            "time_"
                                                                                            "ms) - "
                                                                                            "31 * "
                                                                                            "864000"
                                                                                            "00::"
                                                                                            "int8 "
                                                                                            "AS "
                                                                                            "from_"
                                                                                            "ms "
                                                                                            "FROM "
                                                                                            "temper"
                                                                                            "ature"
                                                                                            " WHERE"
                                                                                            " devic"
                                                                                            "e = "
                                                                                            "d."
                                                                                            "device"
                                                                                            ") AS "
                                                                                            "month";

int postgresql_attention(struct store *store, struct store_attention *pass,
                         const struct store_chunk *chunk)
{
    int64_t deadline_us = chunk->clock_us() + chunk->budget_us;
    int result = pg_usable(store);

    while (result == STORE_OK) {
        struct pg_args args = {.count = 0};
        PGresult *found = NULL;

        pg_arg_int8(&args, pass->device);
        pg_arg_int8(&args, pass->now_ms);
        pg_arg_int8(&args, STORE_LEVEL_LOW_PCT);
        result = pg_query(store, look, "count the devices", &args, &found);
        if (result == STORE_OK) {
            pass->done = pg_int8(found, 0, 0) == 0;
            pass->device = pass->done ? pass->device : pg_int8(found, 0, 1);
            pass->devices += pg_int8(found, 0, 0);
            pass->silent += pg_int8(found, 0, 2);
            pass->low += pg_int8(found, 0, 3);
            pass->excursions += pg_int8(found, 0, 4);
        }
        PQclear(found);
        if (pass->done || chunk->clock_us() >= deadline_us) {
            break;
        }
    }
    return result;
}
