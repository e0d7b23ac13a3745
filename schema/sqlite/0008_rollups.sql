-- Roll-ups: one row a device and day, which the daemon makes in idle time of the days that are over, and the views that
-- join them with the readings that are not rolled up. This step makes empty tables only.

CREATE TABLE day_offsets (
    -- The time zone of database.time_zone: the day of a time is (time_ms + offset_ms) / 86400000. Days whose readings are
    -- gone (rollup_days) keep the zone in which they were rolled up.
    from_ms   INTEGER PRIMARY KEY, -- this row is for times from here; ms since 1970 UTC
    until_ms  INTEGER NOT NULL,    -- to before this
    offset_ms INTEGER NOT NULL     -- local time minus UTC
) STRICT;

INSERT INTO day_offsets VALUES (-9223372036854775808, 9223372036854775807, 0);

CREATE TABLE calendar (
    -- The days for which there are roll-ups, and those between them. Days are of database.time_zone.
    day       INTEGER PRIMARY KEY, -- days since 1970-01-01 of the local date
    date      TEXT NOT NULL,       -- the local date, e.g. 2026-01-31
    from_ms   INTEGER NOT NULL,    -- its first moment; ms since 1970 UTC
    until_ms  INTEGER NOT NULL,    -- the first moment of the next day
    begin_utc TEXT NOT NULL        -- date of from_ms in UTC
) STRICT;

CREATE INDEX calendar_by_date ON calendar (date);
CREATE INDEX calendar_by_time ON calendar (from_ms);
CREATE INDEX calendar_by_utc ON calendar (begin_utc);

CREATE TABLE battery_days (
    -- The battery readings of a device and day (of the calendar), rolled up in few bytes. Read battery_daily or
    -- battery_pieces instead.
    day             INTEGER NOT NULL, -- see calendar
    device          INTEGER NOT NULL, -- see devices
    readings        INTEGER NOT NULL, -- how many
    first_after_ms  INTEGER NOT NULL, -- time of the first reading since the day's first moment; device clock
    last_after_ms   INTEGER NOT NULL, -- the same of the last reading
    voltage_v_count INTEGER NOT NULL, -- readings with a voltage
    voltage_v_min   REAL,             -- volts, as the next two; NULL: no reading has a voltage
    voltage_v_sum   REAL,             -- sum of all
    voltage_v_max   REAL,             -- highest
    level_pct_count INTEGER NOT NULL, -- readings with a level
    level_pct_min   REAL,             -- percent, as the next two; NULL: no reading has a level
    level_pct_sum   REAL,             -- sum of all
    level_pct_max   REAL,             -- highest
    level_pct_first REAL,             -- the first level; NULL: it is level_pct_max
    level_pct_last  REAL,             -- the last level; NULL: it is level_pct_min
    level_first_ms  INTEGER,          -- time of the first level; NULL: that of the first reading
    level_last_ms   INTEGER,          -- time of the last level; NULL: that of the last reading
    drop_pct        REAL,             -- sum of the drops between one level and the next
    drop_ms         INTEGER,          -- time between levels that dropped, or stayed the same. NULL, both: no level
                                      -- rose, so that they are the differences of the last and the first
    rise_pct        REAL NOT NULL,    -- the same of rises below 5 points
    rise_ms         INTEGER NOT NULL, -- their time
    recharges       INTEGER NOT NULL, -- rises of 5 points or more
    recharge_pct    REAL NOT NULL,    -- their sum
    recharged_ms    INTEGER,          -- time of the last of them
    pause_max_ms    INTEGER,          -- longest time between two readings of the day
    PRIMARY KEY (day, device)
) STRICT, WITHOUT ROWID;

CREATE TABLE temperature_days (
    -- The temperature readings of a device and day, rolled up. Read temperature_daily or temperature_pieces instead.
    day           INTEGER NOT NULL, -- see calendar
    device        INTEGER NOT NULL, -- see devices
    readings      INTEGER NOT NULL, -- how many
    first_after_ms INTEGER NOT NULL, -- time of the first reading since the day's first moment; device clock
    last_after_ms INTEGER NOT NULL, -- the same of the last reading
    celsius_count INTEGER NOT NULL, -- readings with a temperature
    celsius_min   REAL,             -- degrees, as the next two; NULL: no reading has a temperature
    celsius_sum   REAL,             -- sum of all
    celsius_max   REAL,             -- highest
    pause_max_ms  INTEGER,          -- longest time between two readings of the day
    PRIMARY KEY (day, device)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_dirty (
    -- The daemon's memory: days of a device whose readings have changed since they were rolled up, or that were never
    -- rolled up. They have no roll-up until it is made anew.
    type     TEXT NOT NULL,    -- bat: of battery_days; temp: of temperature_days
    device   INTEGER NOT NULL, -- see devices
    day      INTEGER NOT NULL, -- see calendar
    from_ms  INTEGER NOT NULL, -- its first moment
    until_ms INTEGER NOT NULL, -- the first moment of the next day
    PRIMARY KEY (type, device, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollup_state (
    -- The daemon's memory, one row: how far readings are rolled up. Readings before until_ms of devices up to `device`,
    -- and readings before from_ms of all others, are in the roll-ups, unless rollup_dirty names their day.
    only              INTEGER PRIMARY KEY CHECK (only = 1), -- there is no second row
    zone              TEXT NOT NULL,    -- database.time_zone of the roll-ups
    device            INTEGER NOT NULL, -- the last device that the present step has passed
    from_ms           INTEGER NOT NULL, -- where the step begins; the lowest integer: nothing is rolled up
    from_day          INTEGER NOT NULL, -- the day of from_ms
    until_ms          INTEGER NOT NULL, -- where it ends
    until_day         INTEGER NOT NULL, -- the day of until_ms
    offset_from_ms    INTEGER NOT NULL, -- the row of day_offsets in which from_ms is: its from_ms
    offset_until_ms   INTEGER NOT NULL, -- its until_ms
    offset_ms         INTEGER NOT NULL, -- its offset_ms
    battery_gone_ms     INTEGER NOT NULL, -- roll-ups of days that begin before outlive their readings
    temperature_gone_ms INTEGER NOT NULL, -- the same of temperature
    analyzed_ms         INTEGER NOT NULL  -- when ANALYZE was last run; ms, our clock; 0: never
) STRICT;

INSERT INTO rollup_state VALUES (1, 'UTC', 0, -9223372036854775808, -106751991168, -9223372036854775808, -106751991168,
                                 -9223372036854775808, 9223372036854775807, 0, -9223372036854775808,
                                 -9223372036854775808, 0);

CREATE TABLE device_habits (
    -- How often a device usually reports: one row a device and type, learnt once a day; from fewer than 51 times, more often.
    device    INTEGER NOT NULL, -- see devices
    type      TEXT NOT NULL,    -- bat or temp
    usual_ms  INTEGER NOT NULL, -- median of the time between one reading and the next, of the newest readings
    intervals INTEGER NOT NULL, -- how many times it was learnt from, 4 to 51
    learnt_ms INTEGER NOT NULL, -- when; ms, our clock
    PRIMARY KEY (device, type)
) STRICT, WITHOUT ROWID;

CREATE VIEW battery_pieces AS
    -- Roll-ups, and each reading that is not rolled up as a piece of its own: together every reading once.
    -- CROSS: days first, so that a WHERE on the device seeks it in each.
    SELECT r.day, r.device, r.readings, c.from_ms + r.first_after_ms AS first_ms, c.from_ms + r.last_after_ms AS last_ms,
           r.voltage_v_count, r.voltage_v_min, r.voltage_v_sum, r.voltage_v_max,
           r.level_pct_count, r.level_pct_min, r.level_pct_sum, r.level_pct_max,
           ifnull(r.level_pct_first, r.level_pct_max) AS level_pct_first,
           ifnull(r.level_pct_last, r.level_pct_min) AS level_pct_last, r.level_first_ms, r.level_last_ms,
           ifnull(r.drop_pct, ifnull(r.level_pct_first, r.level_pct_max) - ifnull(r.level_pct_last, r.level_pct_min))
               AS drop_pct,
           ifnull(r.drop_ms, ifnull(r.level_last_ms, c.from_ms + r.last_after_ms)
                             - ifnull(r.level_first_ms, c.from_ms + r.first_after_ms)) AS drop_ms,
           r.rise_pct, r.rise_ms, r.recharges, r.recharge_pct, r.recharged_ms, r.pause_max_ms
      FROM calendar AS c
     CROSS JOIN battery_days AS r ON r.day = c.day
     UNION ALL -- days that are to be made anew
    SELECT x.day, b.device, 1, b.time_ms, b.time_ms, b.voltage_v IS NOT NULL, b.voltage_v, b.voltage_v, b.voltage_v,
           b.level_pct IS NOT NULL, b.level_pct, b.level_pct, b.level_pct, b.level_pct, b.level_pct,
           NULL, NULL, 0.0, 0, 0.0, 0, 0, 0.0, NULL, NULL
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
           b.level_pct IS NOT NULL, b.level_pct, b.level_pct, b.level_pct, b.level_pct, b.level_pct,
           NULL, NULL, 0.0, 0, 0.0, 0, 0, 0.0, NULL, NULL
      FROM rollup_state AS s
     CROSS JOIN devices AS d
     CROSS JOIN battery AS b
        ON b.device = d.device AND b.time_ms >= iif(d.device <= s.device, s.until_ms, s.from_ms);

CREATE VIEW temperature_pieces AS
    -- The same of temperature.
    SELECT r.day, r.device, r.readings, c.from_ms + r.first_after_ms AS first_ms, c.from_ms + r.last_after_ms AS last_ms,
           r.celsius_count, r.celsius_min, r.celsius_sum, r.celsius_max, r.pause_max_ms
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

DROP VIEW IF EXISTS battery_daily;
DROP VIEW IF EXISTS temperature_daily;

CREATE VIEW battery_daily AS
    -- Battery readings of each device by day (of database.time_zone, the device's clock).
    -- First the roll-ups, but for that of a day with newer readings, which is added to these below.
    -- CROSS: devices first, so that a WHERE on one of them seeks its days.
    SELECT d.device, d.family, d.device_id, c.from_ms AS day_ms, c.begin_utc AS day_utc, r.readings,
           r.voltage_v_min, r.voltage_v_sum / r.voltage_v_count AS voltage_v_avg, r.voltage_v_max,
           r.level_pct_min, r.level_pct_sum / r.level_pct_count AS level_pct_avg, r.level_pct_max,
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
               / (g.voltage_v_count + ifnull(r.voltage_v_count, 0)),
           max(ifnull(g.voltage_v_max, r.voltage_v_max), ifnull(r.voltage_v_max, g.voltage_v_max)),
           min(ifnull(g.level_pct_min, r.level_pct_min), ifnull(r.level_pct_min, g.level_pct_min)),
           (ifnull(r.level_pct_sum, 0) + ifnull(g.level_pct_sum, 0))
               / (g.level_pct_count + ifnull(r.level_pct_count, 0)),
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
           r.celsius_min, r.celsius_sum / r.celsius_count AS celsius_avg, r.celsius_max,
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
               / (g.celsius_count + ifnull(r.celsius_count, 0)),
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
