/*
 * The named statements of store/answers.h. Each is compiled when it is opened: a tool needs few of
 * them, and the daemon none. Values are always bound.
 *
 * The text `doing` completes "cannot ..." in the sentence for a person.
 */
#include "store/sqlite/answers_internal.h"

static const struct {
    const char *doing;
    const char *sql;
} texts[STORE_NAMED_COUNT] = {
    [STORE_NAMED_DEVICE] = {"look up the name of a device",
                            "SELECT family, device_id FROM main.devices WHERE device = ?1"},
    [STORE_NAMED_DEVICES_CALLED] = {"look up a device by its name",
                                    "SELECT device FROM main.devices WHERE device_id = ?1"
                                    " ORDER BY device"},
    [STORE_NAMED_VALUES_OF_TYPE] =
        {"look for the values of a view",
         "SELECT count(*), count(json_type(body, '$.\"' || replace(?2, '.', '\".\"') || '\"'))"
         " FROM (SELECT m.body FROM main.devices AS d CROSS JOIN main.messages AS m"
         " ON m.device = d.device WHERE m.type = ?1 LIMIT 10000)"},
    [STORE_NAMED_PATHS_OF_TYPE] =
        {"read what a message has",
         "SELECT count(*), (SELECT group_concat(substr(fullkey, 3), ', ')"
         " FROM (SELECT fullkey FROM json_tree(b.body)"
         " WHERE type NOT IN ('object', 'array') AND fullkey NOT LIKE '%[%'"
         " AND fullkey NOT IN ('$.messageType', '$.deviceId', '$.version', '$.timeMs') LIMIT 10))"
         " FROM (SELECT m.body FROM main.devices AS d CROSS JOIN main.messages AS m"
         " ON m.device = d.device WHERE m.type = ?1 LIMIT 1) AS b"},
    [STORE_NAMED_LIMITS_OF_NOBODY] =
        {"look for limits of nobody",
         "SELECT limit_id, CASE WHEN group_name IS NOT NULL AND NOT EXISTS"
         " (SELECT 1 FROM main.device_groups WHERE group_name = l.group_name)"
         " THEN 'no device is in the group ' || group_name"
         " WHEN NOT EXISTS (SELECT 1 FROM main.devices WHERE device_id = l.device_id)"
         " THEN 'there is no device ' || device_id"
         " ELSE 'the device ' || device_id || ' is not in the group ' || group_name END"
         " FROM main.limits AS l"
         " WHERE (group_name IS NOT NULL OR device_id IS NOT NULL) AND NOT EXISTS"
         " (SELECT 1 FROM main.devices AS d"
         " WHERE ifnull(d.device_id = l.device_id, l.device_id IS NULL)"
         " AND (l.group_name IS NULL OR EXISTS (SELECT 1 FROM main.device_groups"
         " WHERE group_name = l.group_name AND device = d.device)))"
         " ORDER BY limit_id"},
    [STORE_NAMED_FIRST_READINGS] =
        {"look for the first readings",
         "SELECT device, (SELECT min(time_ms) FROM main.battery WHERE device = d.device),"
         " (SELECT min(time_ms) FROM main.temperature WHERE device = d.device)"
         " FROM main.devices AS d WHERE device BETWEEN ?1 AND ?2"},
};

int sqlite_query_named(struct store *store, enum store_named named, const struct store_cell *values,
                       int count, struct store_query **out)
{
    return answers_open(store, texts[named].sql, texts[named].doing, values, count, out);
}
