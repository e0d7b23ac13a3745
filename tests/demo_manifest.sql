-- How many messages a manifest of tests/fleet (the parameter @file) announces: all copies, rows, quarantined.
.separator " "
SELECT sum(value ->> '$.copies'),
       count(*) FILTER (WHERE value ->> '$.table' <> 'quarantine'),
       sum(value ->> '$.copies') FILTER (WHERE value ->> '$.table' = 'quarantine')
FROM json_each('[' || replace(trim(CAST(readfile(@file) AS TEXT), char(10)), char(10), ',') || ']')
WHERE value ->> '$.table' <> 'device_groups';
