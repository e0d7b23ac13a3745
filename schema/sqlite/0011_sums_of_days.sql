-- Days added up: roll-ups of the fleet and of groups by day, and what is learnt of each battery, so that a question of
-- a month reads a row a day. battery_days and temperature_days are made anew, with fewer bytes a row. The new tables
-- are empty: the daemon fills them in idle time, and the views read the roll-ups of devices until then. The views of
-- answers come back with the next step.
-- The first statement says what the others will cost: the rows that are written anew, and the bytes that have to be
-- free for it. Of each row the log holds the new pages and the old, and the file grows by the new ones before the old
-- ones are free.

SELECT count(*) AS rows, count(*) * 240 AS bytes
  FROM (SELECT 1 FROM battery_days UNION ALL SELECT 1 FROM temperature_days);

DROP VIEW battery_daily;
DROP VIEW temperature_daily;
DROP VIEW battery_pieces;
DROP VIEW temperature_pieces;
DROP VIEW days;
DROP VIEW silent_devices;
DROP VIEW battery_trend;
DROP VIEW reporting_gaps;
DROP VIEW coverage_daily;
DROP VIEW temperature_excursions;
DROP VIEW group_daily;
DROP VIEW fleet_daily;

-- A question by device_id seeks it.
CREATE INDEX devices_by_id ON devices (device_id);

-- Only the tables get the other name: views that people added go on reading them, and one that does not work any more
-- does not stand in the way.
PRAGMA legacy_alter_table = ON;
ALTER TABLE battery_days RENAME TO battery_days_10;
ALTER TABLE temperature_days RENAME TO temperature_days_10;
PRAGMA legacy_alter_table = OFF;

CREATE TABLE battery_days (
    -- The battery readings of a device and day (of the calendar), rolled up in few bytes. Read battery_daily or
    -- battery_pieces instead.
    day             INTEGER NOT NULL, -- see calendar
    device          INTEGER NOT NULL, -- see devices
    readings        INTEGER NOT NULL, -- how many
    first_after_ms  INTEGER NOT NULL, -- time of the first reading since the day's first moment; device clock
    last_after_ms   INTEGER NOT NULL, -- the same of the last reading
    voltage_v_count INTEGER,          -- readings with a voltage; NULL: all
    voltage_v_min   REAL,             -- volts, as the next two; NULL: no reading has a voltage
    voltage_v_sum   REAL,             -- sum of all
    voltage_v_max   REAL,             -- highest
    level_pct_count INTEGER,          -- readings with a level; NULL: all
    level_pct_min   REAL,             -- percent, as the next two; NULL: no reading has a level
    level_pct_sum   REAL,             -- sum of all
    level_pct_max   REAL,             -- highest
    level_pct_first REAL,             -- the first level; NULL: it is level_pct_max
    level_pct_last  REAL,             -- the last level; NULL: it is level_pct_min
    pause_max_ms    INTEGER,          -- no reading came later after the one before it, on this day or an earlier one;
                                      -- NULL: none came later than twice the mean time between readings of the day
    PRIMARY KEY (day, device)
) STRICT, WITHOUT ROWID;

INSERT INTO battery_days
SELECT day, device, readings, first_after_ms, last_after_ms, nullif(voltage_v_count, readings),
       voltage_v_min, voltage_v_sum, voltage_v_max, nullif(level_pct_count, readings), level_pct_min, level_pct_sum,
       level_pct_max, level_pct_first, level_pct_last,
       iif(pause_ms > 2 * (last_after_ms - first_after_ms) / (readings - 1) OR readings = 1, pause_ms, NULL)
  FROM (SELECT r.*, -- with the pause before the day's first reading
               nullif(max(ifnull(r.pause_max_ms, -1),
                          ifnull(c.from_ms + r.first_after_ms
                                 - (SELECT max(time_ms) FROM battery
                                     WHERE device = r.device AND time_ms < c.from_ms + r.first_after_ms), -1)), -1)
                   AS pause_ms
          FROM battery_days_10 AS r
         CROSS JOIN calendar AS c ON c.day = r.day)
 ORDER BY day, device;

DROP TABLE battery_days_10;

CREATE TABLE temperature_days (
    -- The temperature readings of a device and day, rolled up. Read temperature_daily or temperature_pieces instead.
    day           INTEGER NOT NULL, -- see calendar
    device        INTEGER NOT NULL, -- see devices
    readings      INTEGER NOT NULL, -- how many
    first_after_ms INTEGER NOT NULL, -- time of the first reading since the day's first moment; device clock
    last_after_ms INTEGER NOT NULL, -- the same of the last reading
    celsius_count INTEGER,          -- readings with a temperature; NULL: all
    celsius_min   REAL,             -- degrees, as the next two; NULL: no reading has a temperature
    celsius_sum   REAL,             -- sum of all
    celsius_max   REAL,             -- highest
    pause_max_ms  INTEGER,          -- as in battery_days
    PRIMARY KEY (day, device)
) STRICT, WITHOUT ROWID;

INSERT INTO temperature_days
SELECT day, device, readings, first_after_ms, last_after_ms, nullif(celsius_count, readings),
       celsius_min, celsius_sum, celsius_max,
       iif(pause_ms > 2 * (last_after_ms - first_after_ms) / (readings - 1) OR readings = 1, pause_ms, NULL)
  FROM (SELECT r.*, -- with the pause before the day's first reading
               nullif(max(ifnull(r.pause_max_ms, -1),
                          ifnull(c.from_ms + r.first_after_ms
                                 - (SELECT max(time_ms) FROM temperature
                                     WHERE device = r.device AND time_ms < c.from_ms + r.first_after_ms), -1)), -1)
                   AS pause_ms
          FROM temperature_days_10 AS r
         CROSS JOIN calendar AS c ON c.day = r.day)
 ORDER BY day, device;

DROP TABLE temperature_days_10;

CREATE TABLE fleet_days (
    -- The roll-ups of a day added up over all devices, of days that are over. Read fleet_daily instead.
    day                  INTEGER PRIMARY KEY, -- see calendar
    device               INTEGER,          -- devices up to this one are added; NULL: all are, the row is complete
    grouped              INTEGER NOT NULL, -- 1: group_days has the day too; 0: there are too many groups for that
    devices              INTEGER NOT NULL, -- with a battery or temperature reading
    battery_readings     INTEGER NOT NULL, -- how many
    level_pct_min        REAL,             -- percent; NULL: no reading has a level
    level_pct_sum        REAL NOT NULL,    -- sum of all levels
    level_pct_count      INTEGER NOT NULL, -- readings with a level
    voltage_v_min        REAL,             -- volts; NULL: no reading has a voltage
    temperature_readings INTEGER NOT NULL, -- how many
    celsius_min          REAL,             -- degrees; NULL: no reading has a temperature
    celsius_sum          REAL NOT NULL,    -- sum of all temperatures
    celsius_count        INTEGER NOT NULL, -- readings with a temperature
    celsius_max          REAL              -- highest
) STRICT;

CREATE TABLE group_days (
    -- The same of each group. Valid where fleet_days has a complete row of the day with grouped = 1. Read group_daily.
    day                  INTEGER NOT NULL, -- see calendar
    group_name           TEXT NOT NULL,    -- see device_groups
    devices              INTEGER NOT NULL, -- with a battery or temperature reading
    battery_readings     INTEGER NOT NULL, -- how many
    level_pct_min        REAL,             -- percent; NULL: no reading has a level
    level_pct_sum        REAL NOT NULL,    -- sum of all levels
    level_pct_count      INTEGER NOT NULL, -- readings with a level
    voltage_v_min        REAL,             -- volts; NULL: no reading has a voltage
    temperature_readings INTEGER NOT NULL, -- how many
    celsius_min          REAL,             -- degrees; NULL: no reading has a temperature
    celsius_sum          REAL NOT NULL,    -- sum of all temperatures
    celsius_count        INTEGER NOT NULL, -- readings with a temperature
    celsius_max          REAL,             -- highest
    PRIMARY KEY (day, group_name)
) STRICT, WITHOUT ROWID;

-- A device that joins or leaves a group changes the group's past: the days for which it has roll-ups are added up anew.

CREATE TRIGGER device_groups_added AFTER INSERT ON device_groups BEGIN
    DELETE FROM fleet_days
     WHERE grouped AND (EXISTS (SELECT 1 FROM battery_days WHERE day = fleet_days.day AND device = NEW.device)
                        OR EXISTS (SELECT 1 FROM temperature_days WHERE day = fleet_days.day AND device = NEW.device));
END;

CREATE TRIGGER device_groups_removed AFTER DELETE ON device_groups BEGIN
    DELETE FROM fleet_days WHERE grouped;
END;

CREATE TRIGGER device_groups_changed AFTER UPDATE OF group_name, device ON device_groups BEGIN
    DELETE FROM fleet_days WHERE grouped;
END;

CREATE TABLE battery_trends (
    -- How each battery discharged on the last 30 days that are over: one row a device, learnt once a day. Read
    -- battery_trend instead. A pair: a day and the day before, without a recharge in or between them.
    device       INTEGER PRIMARY KEY, -- see devices
    until_ms     INTEGER NOT NULL, -- the first moment of the day in which it was learnt, which is not in it
    changed      INTEGER NOT NULL, -- 1: a day was rolled up anew since
    drop_7       REAL NOT NULL,    -- percent by which the means of the pairs fell, of 7 days
    days_7       REAL NOT NULL,    -- days between the days of these pairs
    drop_30      REAL NOT NULL,    -- the same of 30 days
    days_30      REAL NOT NULL,    -- days between the days of these
    readings     REAL NOT NULL,    -- mean of the readings a day
    recharges    INTEGER NOT NULL, -- days with a recharge; one that goes on over midnight is one
    recharges_7  INTEGER NOT NULL, -- days of the last 7 with one
    recharged_ms INTEGER           -- about when the last one ended; NULL: none
) STRICT;

CREATE VIEW battery_pieces AS
    -- Roll-ups, and each reading that is not rolled up as a piece of its own: together every reading once.
    -- CROSS: days first, so that a WHERE on the device seeks it in each.
    SELECT r.day, r.device, r.readings, c.from_ms + r.first_after_ms AS first_ms, c.from_ms + r.last_after_ms AS last_ms,
           ifnull(r.voltage_v_count, r.readings) AS voltage_v_count, r.voltage_v_min, r.voltage_v_sum, r.voltage_v_max,
           ifnull(r.level_pct_count, r.readings) AS level_pct_count, r.level_pct_min, r.level_pct_sum, r.level_pct_max,
           ifnull(r.level_pct_first, r.level_pct_max) AS level_pct_first,
           ifnull(r.level_pct_last, r.level_pct_min) AS level_pct_last,
           ifnull(r.pause_max_ms, 2 * (r.last_after_ms - r.first_after_ms) / (r.readings - 1)) AS pause_max_ms
      FROM calendar AS c
     CROSS JOIN battery_days AS r ON r.day = c.day
     UNION ALL -- days that are to be made anew
    SELECT x.day, b.device, 1, b.time_ms, b.time_ms, b.voltage_v IS NOT NULL, b.voltage_v, b.voltage_v, b.voltage_v,
           b.level_pct IS NOT NULL, b.level_pct, b.level_pct, b.level_pct, b.level_pct, b.level_pct, NULL
      FROM rollup_state AS s
     CROSS JOIN rollup_dirty AS x ON x.type = 'bat'
     CROSS JOIN battery AS b
        ON b.device = x.device AND b.time_ms >= x.from_ms
       AND b.time_ms < min(x.until_ms, iif(x.device <= s.device, s.until_ms, s.from_ms))
     UNION ALL -- what is newer than the roll-ups
    SELECT (b.time_ms + iif(b.time_ms >= s.offset_from_ms AND b.time_ms < s.offset_until_ms, s.offset_ms,
                            (SELECT offset_ms FROM day_offsets WHERE from_ms <= b.time_ms
                              ORDER BY from_ms DESC LIMIT 1))) / 86400000,
           b.device, 1, b.time_ms, b.time_ms, b.voltage_v IS NOT NULL, b.voltage_v, b.voltage_v, b.voltage_v,
           b.level_pct IS NOT NULL, b.level_pct, b.level_pct, b.level_pct, b.level_pct, b.level_pct, NULL
      FROM rollup_state AS s
     CROSS JOIN devices AS d
     CROSS JOIN battery AS b
        ON b.device = d.device AND b.time_ms >= iif(d.device <= s.device, s.until_ms, s.from_ms);

CREATE VIEW temperature_pieces AS
    -- The same of temperature.
    SELECT r.day, r.device, r.readings, c.from_ms + r.first_after_ms AS first_ms, c.from_ms + r.last_after_ms AS last_ms,
           ifnull(r.celsius_count, r.readings) AS celsius_count, r.celsius_min, r.celsius_sum, r.celsius_max,
           ifnull(r.pause_max_ms, 2 * (r.last_after_ms - r.first_after_ms) / (r.readings - 1)) AS pause_max_ms
      FROM calendar AS c
     CROSS JOIN temperature_days AS r ON r.day = c.day
     UNION ALL
    SELECT x.day, t.device, 1, t.time_ms, t.time_ms, t.celsius IS NOT NULL, t.celsius, t.celsius, t.celsius, NULL
      FROM rollup_state AS s
     CROSS JOIN rollup_dirty AS x ON x.type = 'temp'
     CROSS JOIN temperature AS t
        ON t.device = x.device AND t.time_ms >= x.from_ms
       AND t.time_ms < min(x.until_ms, iif(x.device <= s.device, s.until_ms, s.from_ms))
     UNION ALL
    SELECT (t.time_ms + iif(t.time_ms >= s.offset_from_ms AND t.time_ms < s.offset_until_ms, s.offset_ms,
                            (SELECT offset_ms FROM day_offsets WHERE from_ms <= t.time_ms
                              ORDER BY from_ms DESC LIMIT 1))) / 86400000,
           t.device, 1, t.time_ms, t.time_ms, t.celsius IS NOT NULL, t.celsius, t.celsius, t.celsius, NULL
      FROM rollup_state AS s
     CROSS JOIN devices AS d
     CROSS JOIN temperature AS t
        ON t.device = d.device AND t.time_ms >= iif(d.device <= s.device, s.until_ms, s.from_ms);

CREATE VIEW battery_daily AS
    -- Battery readings of each device by day (of database.time_zone, the device's clock).
    -- First the roll-ups, but for that of a day with newer readings, which is added to these below.
    -- CROSS: devices first, so that a WHERE on one of them seeks its days.
    SELECT d.device, d.family, d.device_id, c.from_ms AS day_ms, c.begin_utc AS day_utc, r.readings,
           r.voltage_v_min, r.voltage_v_sum / ifnull(r.voltage_v_count, r.readings) AS voltage_v_avg, r.voltage_v_max,
           r.level_pct_min, r.level_pct_sum / ifnull(r.level_pct_count, r.readings) AS level_pct_avg, r.level_pct_max,
           c.date AS day, c.from_ms + r.first_after_ms AS first_ms, c.from_ms + r.last_after_ms AS last_ms
      FROM rollup_state AS s
     CROSS JOIN devices AS d
     CROSS JOIN calendar AS c
     CROSS JOIN battery_days AS r ON r.day = c.day AND r.device = d.device
     WHERE c.day < iif(d.device <= s.device, s.until_day, s.from_day)
        OR NOT EXISTS (SELECT 1 FROM battery AS b
                        WHERE b.device = d.device AND b.time_ms < c.until_ms
                          AND b.time_ms >= iif(d.device <= s.device, s.until_ms, s.from_ms))
     UNION ALL -- what is newer than the roll-ups, with the roll-up of the day in which it ends
    SELECT g.device, g.family, g.device_id, g.day_ms, date(g.day_ms / 1000, 'unixepoch'),
           g.readings + ifnull(r.readings, 0),
           min(ifnull(g.voltage_v_min, r.voltage_v_min), ifnull(r.voltage_v_min, g.voltage_v_min)),
           (ifnull(r.voltage_v_sum, 0) + ifnull(g.voltage_v_sum, 0))
               / (g.voltage_v_count + coalesce(r.voltage_v_count, r.readings, 0)),
           max(ifnull(g.voltage_v_max, r.voltage_v_max), ifnull(r.voltage_v_max, g.voltage_v_max)),
           min(ifnull(g.level_pct_min, r.level_pct_min), ifnull(r.level_pct_min, g.level_pct_min)),
           (ifnull(r.level_pct_sum, 0) + ifnull(g.level_pct_sum, 0))
               / (g.level_pct_count + coalesce(r.level_pct_count, r.readings, 0)),
           max(ifnull(g.level_pct_max, r.level_pct_max), ifnull(r.level_pct_max, g.level_pct_max)),
           date(g.day * 86400, 'unixepoch'), ifnull(g.day_ms + r.first_after_ms, g.first_ms), g.last_ms
      FROM (SELECT n.*, -- the first moment of the day
                   iif(n.day * 86400000 - n.offset_ms > n.offset_from_ms
                       AND n.day * 86400000 - n.offset_ms < n.offset_until_ms, n.day * 86400000 - n.offset_ms,
                       (SELECT max(from_ms, n.day * 86400000 - offset_ms) FROM day_offsets
                         WHERE until_ms > n.day * 86400000 - offset_ms ORDER BY from_ms LIMIT 1)) AS day_ms
              FROM (SELECT d.device, d.family, d.device_id,
                           (b.time_ms + iif(b.time_ms >= s.offset_from_ms AND b.time_ms < s.offset_until_ms,
                                            s.offset_ms,
                                            (SELECT offset_ms FROM day_offsets WHERE from_ms <= b.time_ms
                                              ORDER BY from_ms DESC LIMIT 1))) / 86400000 AS day,
                           s.offset_ms, s.offset_from_ms, s.offset_until_ms,
                           count(*) AS readings, min(b.time_ms) AS first_ms, max(b.time_ms) AS last_ms,
                           count(b.voltage_v) AS voltage_v_count, min(b.voltage_v) AS voltage_v_min,
                           sum(b.voltage_v) AS voltage_v_sum, max(b.voltage_v) AS voltage_v_max,
                           count(b.level_pct) AS level_pct_count, min(b.level_pct) AS level_pct_min,
                           sum(b.level_pct) AS level_pct_sum, max(b.level_pct) AS level_pct_max
                      FROM rollup_state AS s
                     CROSS JOIN devices AS d
                     CROSS JOIN battery AS b
                        ON b.device = d.device
                       AND b.time_ms >= ifnull((SELECT x.from_ms FROM rollup_dirty AS x
                                                 WHERE x.type = 'bat' AND x.device = d.device
                                                   AND x.day = iif(d.device <= s.device, s.until_day, s.from_day)),
                                               iif(d.device <= s.device, s.until_ms, s.from_ms))
                     -- Number and name, so that a WHERE on either narrows the search itself.
                     GROUP BY d.device, d.family, d.device_id, 4) AS n) AS g
      LEFT JOIN battery_days AS r ON r.day = g.day AND r.device = g.device
     UNION ALL -- days that are to be made anew
    SELECT device, family, device_id, day_ms, date(day_ms / 1000, 'unixepoch'), readings,
           voltage_v_min, voltage_v_avg, voltage_v_max, level_pct_min, level_pct_avg, level_pct_max,
           date(day * 86400, 'unixepoch'), first_ms, last_ms
      FROM (SELECT d.device, d.family, d.device_id, x.from_ms AS day_ms, x.day, count(*) AS readings,
                   min(b.voltage_v) AS voltage_v_min, avg(b.voltage_v) AS voltage_v_avg,
                   max(b.voltage_v) AS voltage_v_max, min(b.level_pct) AS level_pct_min,
                   avg(b.level_pct) AS level_pct_avg, max(b.level_pct) AS level_pct_max,
                   min(b.time_ms) AS first_ms, max(b.time_ms) AS last_ms
              FROM rollup_state AS s
             CROSS JOIN rollup_dirty AS x
                ON x.type = 'bat' AND x.day < iif(x.device <= s.device, s.until_day, s.from_day)
             CROSS JOIN devices AS d ON d.device = x.device
             CROSS JOIN battery AS b
                ON b.device = x.device AND b.time_ms >= x.from_ms AND b.time_ms < x.until_ms
             GROUP BY d.device, d.family, d.device_id, x.day);

CREATE VIEW temperature_daily AS
    -- Temperature readings of each device by day (of database.time_zone, the device's clock).
    SELECT d.device, d.family, d.device_id, c.from_ms AS day_ms, c.begin_utc AS day_utc, r.readings,
           r.celsius_min, r.celsius_sum / ifnull(r.celsius_count, r.readings) AS celsius_avg, r.celsius_max,
           c.date AS day, c.from_ms + r.first_after_ms AS first_ms, c.from_ms + r.last_after_ms AS last_ms
      FROM rollup_state AS s
     CROSS JOIN devices AS d
     CROSS JOIN calendar AS c
     CROSS JOIN temperature_days AS r ON r.day = c.day AND r.device = d.device
     WHERE c.day < iif(d.device <= s.device, s.until_day, s.from_day)
        OR NOT EXISTS (SELECT 1 FROM temperature AS t
                        WHERE t.device = d.device AND t.time_ms < c.until_ms
                          AND t.time_ms >= iif(d.device <= s.device, s.until_ms, s.from_ms))
     UNION ALL -- what is newer than the roll-ups, with the roll-up of the day in which it ends
    SELECT g.device, g.family, g.device_id, g.day_ms, date(g.day_ms / 1000, 'unixepoch'),
           g.readings + ifnull(r.readings, 0),
           min(ifnull(g.celsius_min, r.celsius_min), ifnull(r.celsius_min, g.celsius_min)),
           (ifnull(r.celsius_sum, 0) + ifnull(g.celsius_sum, 0))
               / (g.celsius_count + coalesce(r.celsius_count, r.readings, 0)),
           max(ifnull(g.celsius_max, r.celsius_max), ifnull(r.celsius_max, g.celsius_max)),
           date(g.day * 86400, 'unixepoch'), ifnull(g.day_ms + r.first_after_ms, g.first_ms), g.last_ms
      FROM (SELECT n.*, -- the first moment of the day
                   iif(n.day * 86400000 - n.offset_ms > n.offset_from_ms
                       AND n.day * 86400000 - n.offset_ms < n.offset_until_ms, n.day * 86400000 - n.offset_ms,
                       (SELECT max(from_ms, n.day * 86400000 - offset_ms) FROM day_offsets
                         WHERE until_ms > n.day * 86400000 - offset_ms ORDER BY from_ms LIMIT 1)) AS day_ms
              FROM (SELECT d.device, d.family, d.device_id,
                           (t.time_ms + iif(t.time_ms >= s.offset_from_ms AND t.time_ms < s.offset_until_ms,
                                            s.offset_ms,
                                            (SELECT offset_ms FROM day_offsets WHERE from_ms <= t.time_ms
                                              ORDER BY from_ms DESC LIMIT 1))) / 86400000 AS day,
                           s.offset_ms, s.offset_from_ms, s.offset_until_ms,
                           count(*) AS readings, min(t.time_ms) AS first_ms, max(t.time_ms) AS last_ms,
                           count(t.celsius) AS celsius_count, min(t.celsius) AS celsius_min,
                           sum(t.celsius) AS celsius_sum, max(t.celsius) AS celsius_max
                      FROM rollup_state AS s
                     CROSS JOIN devices AS d
                     CROSS JOIN temperature AS t
                        ON t.device = d.device
                       AND t.time_ms >= ifnull((SELECT x.from_ms FROM rollup_dirty AS x
                                                 WHERE x.type = 'temp' AND x.device = d.device
                                                   AND x.day = iif(d.device <= s.device, s.until_day, s.from_day)),
                                               iif(d.device <= s.device, s.until_ms, s.from_ms))
                     -- Number and name, so that a WHERE on either narrows the search itself.
                     GROUP BY d.device, d.family, d.device_id, 4) AS n) AS g
      LEFT JOIN temperature_days AS r ON r.day = g.day AND r.device = g.device
     UNION ALL -- days that are to be made anew
    SELECT device, family, device_id, day_ms, date(day_ms / 1000, 'unixepoch'), readings,
           celsius_min, celsius_avg, celsius_max,
           date(day * 86400, 'unixepoch'), first_ms, last_ms
      FROM (SELECT d.device, d.family, d.device_id, x.from_ms AS day_ms, x.day, count(*) AS readings,
                   min(t.celsius) AS celsius_min, avg(t.celsius) AS celsius_avg,
                   max(t.celsius) AS celsius_max,
                   min(t.time_ms) AS first_ms, max(t.time_ms) AS last_ms
              FROM rollup_state AS s
             CROSS JOIN rollup_dirty AS x
                ON x.type = 'temp' AND x.day < iif(x.device <= s.device, s.until_day, s.from_day)
             CROSS JOIN devices AS d ON d.device = x.device
             CROSS JOIN temperature AS t
                ON t.device = x.device AND t.time_ms >= x.from_ms AND t.time_ms < x.until_ms
             GROUP BY d.device, d.family, d.device_id, x.day);
