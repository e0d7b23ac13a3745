/* The named statements of store/answers.h. */
#include "store/postgresql/answers_internal.h"
#include "store/postgresql/operations_internal.h"

static const struct {
    const char *doing;
    const char *sql;
} texts[STORE_NAMED_COUNT] = {
    [STORE_NAMED_DEVICE] = {"look up a device",
                            "SELECT family, device_id FROM devices WHERE device = $1"},
    [STORE_NAMED_DEVICES_CALLED] = {"look up a device",
                                    "SELECT device FROM devices WHERE device_id = $1"
                                    " ORDER BY device"},
    [STORE_NAMED_VALUES_OF_TYPE] =
        {"look for the values of a view",
         "SELECT count(*), count(body #> string_to_array($2::text, '.'))"
         " FROM (SELECT body FROM messages WHERE type = $1::text LIMIT 10000) AS m"},
    [STORE_NAMED_PATHS_OF_TYPE] =
        {"read what a message has",
         "WITH RECURSIVE b AS (SELECT body FROM messages WHERE type = $1::text LIMIT 1),"
         " tree (path, value, place) AS ("
         "SELECT e.key, e.value, ARRAY[e.n] FROM b CROSS JOIN LATERAL json_each("
         "CASE json_typeof(b.body) WHEN 'object' THEN b.body END)"
         " WITH ORDINALITY AS e (key, value, n) UNION ALL"
         " SELECT t.path || '.' || e.key, e.value, t.place || e.n FROM tree AS t"
         " CROSS JOIN LATERAL json_each(CASE json_typeof(t.value) WHEN 'object' THEN t.value END)"
         " WITH ORDINALITY AS e (key, value, n)),"
         " leaves AS (SELECT path, place FROM tree"
         " WHERE json_typeof(value) NOT IN ('object', 'array')"
         " AND path NOT IN ('messageType', 'deviceId', 'version', 'timeMs')"
         " ORDER BY place LIMIT 10)"
         " SELECT (SELECT count(*) FROM b),"
         " (SELECT string_agg(path, ', ' ORDER BY place) FROM leaves)"},
    [STORE_NAMED_LIMITS_OF_NOBODY] =
        {"look for limits of nobody",
         "SELECT limit_id, CASE WHEN group_name IS NOT NULL AND NOT EXISTS"
         " (SELECT 1 FROM device_groups WHERE group_name = l.group_name)"
         " THEN 'no device is in the group ' || group_name"
         " WHEN NOT EXISTS (SELECT 1 FROM devices WHERE device_id = l.device_id)"
         " THEN 'there is no device ' || device_id"
         " ELSE 'the device ' || device_id || ' is not in the group ' || group_name END"
         " FROM limits AS l WHERE (group_name IS NOT NULL OR device_id IS NOT NULL)"
         " AND NOT EXISTS (SELECT 1 FROM devices AS d"
         " WHERE (l.device_id IS NULL OR d.device_id = l.device_id)"
         " AND (l.group_name IS NULL OR EXISTS (SELECT 1 FROM device_groups AS g"
         " WHERE g.group_name = l.group_name AND g.device = d.device)))"
         " ORDER BY limit_id"},
    [STORE_NAMED_FIRST_READINGS] =
        {"look for the first readings",
         "SELECT device, (SELECT min(time_ms) FROM battery WHERE device = d.device),"
         " (SELECT min(time_ms) FROM temperature WHERE device = d.device)"
         " FROM devices AS d WHERE device BETWEEN $1 AND $2"},
};

int postgresql_query_named(struct store *store, enum store_named named,
                           const struct store_cell *values, int count, struct store_query **out)
{
    return pg_answers_open(store, texts[named].sql, texts[named].doing, values, count, out);
}
