-- The sums of groups and of the fleet again, faster for a day that is not added up yet, as today: its two roll-ups of a
-- device are one row of the join, and what is found in no table is not counted. This step makes views only.

DROP VIEW group_daily;
DROP VIEW fleet_daily;

CREATE VIEW group_daily AS
    -- Readings of each group by day (of database.time_zone, the device's clock): all its devices together.
    -- First the days that are added up already.
    SELECT g.group_name, c.date AS day, c.from_ms AS day_ms, g.devices, g.battery_readings, g.level_pct_min,
           g.level_pct_sum / g.level_pct_count AS level_pct_avg, g.voltage_v_min, g.temperature_readings, g.celsius_min,
           g.celsius_sum / g.celsius_count AS celsius_avg, g.celsius_max
      FROM calendar AS c
     CROSS JOIN fleet_days AS f ON f.day = c.day AND f.device IS NULL AND f.grouped
     CROSS JOIN group_days AS g ON g.day = c.day
     UNION ALL
    SELECT g.group_name, c.day, c.day_ms, count(DISTINCT g.device) AS devices,
           ifnull(sum(r.readings), 0) + count(b.device) AS battery_readings,
           min(ifnull(r.level_pct_min, b.level_pct)) AS level_pct_min,
           sum(ifnull(r.level_pct_sum, b.level_pct))
               / (ifnull(sum(ifnull(r.level_pct_count, r.readings)), 0) + count(b.level_pct)) AS level_pct_avg,
           min(ifnull(r.voltage_v_min, b.voltage_v)) AS voltage_v_min,
           ifnull(sum(h.readings), 0) + count(t.device) AS temperature_readings,
           min(ifnull(h.celsius_min, t.celsius)) AS celsius_min,
           sum(ifnull(h.celsius_sum, t.celsius))
               / (ifnull(sum(ifnull(h.celsius_count, h.readings)), 0) + count(t.celsius)) AS celsius_avg,
           max(ifnull(h.celsius_max, t.celsius)) AS celsius_max
      FROM rollup_state AS s
     CROSS JOIN days AS c
     -- A reading once: 1 in a roll-up, 2 a battery reading by itself, 3 one of temperature. NULL finds nothing.
     CROSS JOIN (VALUES (1), (2), (3)) AS k
     CROSS JOIN device_groups AS g
      LEFT JOIN battery_days AS r ON r.day = iif(k.column1 = 1, c.number, NULL) AND r.device = g.device
      LEFT JOIN temperature_days AS h ON h.day = iif(k.column1 = 1, c.number, NULL) AND h.device = g.device
      LEFT JOIN battery AS b
        ON b.device = iif(k.column1 = 2, g.device, NULL) AND b.time_ms < c.until_ms
       AND b.time_ms >= iif(EXISTS (SELECT 1 FROM rollup_dirty WHERE type = 'bat'
                                               AND device = g.device AND day = c.number),
                            c.day_ms, max(c.day_ms, iif(g.device <= s.device, s.until_ms, s.from_ms)))
      LEFT JOIN temperature AS t
        ON t.device = iif(k.column1 = 3, g.device, NULL) AND t.time_ms < c.until_ms
       AND t.time_ms >= iif(EXISTS (SELECT 1 FROM rollup_dirty WHERE type = 'temp'
                                               AND device = g.device AND day = c.number),
                            c.day_ms, max(c.day_ms, iif(g.device <= s.device, s.until_ms, s.from_ms)))
     WHERE NOT EXISTS (SELECT 1 FROM fleet_days WHERE day = c.number AND device IS NULL AND grouped)
       AND CASE k.column1 WHEN 1 THEN EXISTS (SELECT 1 FROM battery_days WHERE day = c.number)
                                      OR EXISTS (SELECT 1 FROM temperature_days WHERE day = c.number)
                          ELSE c.until_ms > s.from_ms OR c.number IN (SELECT day FROM rollup_dirty) END
       AND coalesce(r.device, h.device, b.device, t.device) IS NOT NULL
     GROUP BY g.group_name, c.day, c.day_ms;

CREATE VIEW fleet_daily AS
    -- The same of all devices, whatever their groups: days that are added up already; others of the calendar; and those
    -- of which nothing is rolled up yet.
    SELECT c.date AS day, c.from_ms AS day_ms, f.devices, f.battery_readings, f.level_pct_min,
           f.level_pct_sum / f.level_pct_count AS level_pct_avg, f.voltage_v_min, f.temperature_readings, f.celsius_min,
           f.celsius_sum / f.celsius_count AS celsius_avg, f.celsius_max
      FROM calendar AS c
     CROSS JOIN fleet_days AS f ON f.day = c.day AND f.device IS NULL AND f.devices > 0
     UNION ALL
    SELECT c.date AS day, c.from_ms AS day_ms, count(DISTINCT g.device) AS devices,
           ifnull(sum(r.readings), 0) + count(b.device) AS battery_readings,
           min(ifnull(r.level_pct_min, b.level_pct)) AS level_pct_min,
           sum(ifnull(r.level_pct_sum, b.level_pct))
               / (ifnull(sum(ifnull(r.level_pct_count, r.readings)), 0) + count(b.level_pct)) AS level_pct_avg,
           min(ifnull(r.voltage_v_min, b.voltage_v)) AS voltage_v_min,
           ifnull(sum(h.readings), 0) + count(t.device) AS temperature_readings,
           min(ifnull(h.celsius_min, t.celsius)) AS celsius_min,
           sum(ifnull(h.celsius_sum, t.celsius))
               / (ifnull(sum(ifnull(h.celsius_count, h.readings)), 0) + count(t.celsius)) AS celsius_avg,
           max(ifnull(h.celsius_max, t.celsius)) AS celsius_max
      FROM rollup_state AS s
     CROSS JOIN calendar AS c
     CROSS JOIN (VALUES (1), (2), (3)) AS k -- as in group_daily
     CROSS JOIN devices AS g
      LEFT JOIN battery_days AS r ON r.day = iif(k.column1 = 1, c.day, NULL) AND r.device = g.device
      LEFT JOIN temperature_days AS h ON h.day = iif(k.column1 = 1, c.day, NULL) AND h.device = g.device
      LEFT JOIN battery AS b
        ON b.device = iif(k.column1 = 2, g.device, NULL) AND b.time_ms < c.until_ms
       AND b.time_ms >= iif(EXISTS (SELECT 1 FROM rollup_dirty WHERE type = 'bat'
                                               AND device = g.device AND day = c.day),
                            c.from_ms, max(c.from_ms, iif(g.device <= s.device, s.until_ms, s.from_ms)))
      LEFT JOIN temperature AS t
        ON t.device = iif(k.column1 = 3, g.device, NULL) AND t.time_ms < c.until_ms
       AND t.time_ms >= iif(EXISTS (SELECT 1 FROM rollup_dirty WHERE type = 'temp'
                                               AND device = g.device AND day = c.day),
                            c.from_ms, max(c.from_ms, iif(g.device <= s.device, s.until_ms, s.from_ms)))
     WHERE NOT EXISTS (SELECT 1 FROM fleet_days WHERE day = c.day AND device IS NULL)
       AND CASE k.column1 WHEN 1 THEN EXISTS (SELECT 1 FROM battery_days WHERE day = c.day)
                                      OR EXISTS (SELECT 1 FROM temperature_days WHERE day = c.day)
                          ELSE c.until_ms > s.from_ms OR c.day IN (SELECT day FROM rollup_dirty) END
       AND coalesce(r.device, h.device, b.device, t.device) IS NOT NULL
     GROUP BY c.from_ms, c.day, c.date
     UNION ALL
    SELECT c.day, c.day_ms, count(DISTINCT g.device), count(b.device), min(b.level_pct), avg(b.level_pct),
           min(b.voltage_v), count(t.device), min(t.celsius), avg(t.celsius), max(t.celsius)
      FROM days AS c
     CROSS JOIN (VALUES (2), (3)) AS k
     CROSS JOIN devices AS g
      LEFT JOIN battery AS b
        ON b.device = iif(k.column1 = 2, g.device, NULL) AND b.time_ms >= c.day_ms AND b.time_ms < c.until_ms
      LEFT JOIN temperature AS t
        ON t.device = iif(k.column1 = 3, g.device, NULL) AND t.time_ms >= c.day_ms AND t.time_ms < c.until_ms
     WHERE c.number NOT IN (SELECT day FROM calendar) AND coalesce(b.device, t.device) IS NOT NULL
     GROUP BY c.day, c.day_ms;
