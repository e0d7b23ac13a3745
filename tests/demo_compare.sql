-- What a manifest of tests/fleet (the parameter @file) and the database do not have in common; no rows if they agree.
CREATE TEMP TABLE line AS
SELECT value AS body, value ->> '$.table' AS name
FROM json_each('[' || replace(trim(CAST(readfile(@file) AS TEXT), char(10)), char(10), ',') || ']');

CREATE TEMP TABLE expected AS
SELECT name, body ->> '$.device' AS device, body ->> '$.time_ms' AS time_ms, body ->> '$.message_type' AS kind,
       body ->> '$.voltage_v' AS a, body ->> '$.level_pct' AS b, body -> '$.extra' AS c FROM line WHERE name = 'battery'
UNION ALL
SELECT name, body ->> '$.device', body ->> '$.time_ms', body ->> '$.message_type',
       body ->> '$.celsius', NULL, body -> '$.extra' FROM line WHERE name = 'temperature'
UNION ALL
SELECT name, body ->> '$.device', body ->> '$.time_ms', body ->> '$.message_type',
       body ->> '$.type', NULL, body -> '$.body' FROM line WHERE name = 'messages'
UNION ALL
SELECT name, body ->> '$.device', NULL, NULL, body ->> '$.group', NULL, NULL FROM line WHERE name = 'device_groups'
UNION ALL
SELECT name, NULL, NULL, NULL, body ->> '$.reason', body ->> '$.topic', upper(body ->> '$.payload')
FROM line WHERE name = 'quarantine';

CREATE TEMP TABLE actual AS
SELECT 'battery' AS name, device_id AS device, time_ms, message_type AS kind, voltage_v AS a, level_pct AS b,
       json(extra) AS c FROM battery JOIN devices USING (device)
UNION ALL
SELECT 'temperature', device_id, time_ms, message_type, celsius, NULL, json(extra)
FROM temperature JOIN devices USING (device)
UNION ALL
SELECT 'messages', device_id, time_ms, message_type, type, NULL, json(body) FROM messages JOIN devices USING (device)
UNION ALL
SELECT 'device_groups', device_id, NULL, NULL, group_name, NULL, NULL FROM device_groups JOIN devices USING (device)
UNION ALL
SELECT 'quarantine', NULL, NULL, NULL, reason, topic, hex(payload) FROM quarantine;

SELECT 'missing', * FROM (SELECT * FROM expected EXCEPT SELECT * FROM actual)
UNION ALL
SELECT 'surplus', * FROM (SELECT * FROM actual EXCEPT SELECT * FROM expected)
UNION ALL
SELECT 'rows', (SELECT count(*) FROM expected), (SELECT count(*) FROM actual), NULL, NULL, NULL, NULL, NULL
WHERE (SELECT count(*) FROM expected) <> (SELECT count(*) FROM actual)
LIMIT 10;
