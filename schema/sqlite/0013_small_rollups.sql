-- Smaller rows in battery_days and temperature_days: what a device measures in thousandths of a volt, or hundredths of
-- a degree, is stored in these, as whole numbers, which take one to three bytes instead of eight. The columns that were
-- there before are calculated from them, and are where they were, so that views and queries read what they read; with *
-- they read four columns more.
-- The first statement says what the others will cost: the rows that are written anew, and the bytes that have to be
-- free for it. Of each row the log holds the new pages and the old, and the file grows by the new ones before the old
-- ones are free.

SELECT sum(n) AS rows, sum(n * bytes) AS bytes
  FROM (SELECT count(*) AS n, 360 AS bytes FROM battery_days UNION ALL SELECT count(*), 300 FROM temperature_days);

-- Only the tables get the other name: views go on reading battery_days and temperature_days.
PRAGMA legacy_alter_table = ON;
ALTER TABLE battery_days RENAME TO battery_days_12;
ALTER TABLE temperature_days RENAME TO temperature_days_12;
PRAGMA legacy_alter_table = OFF;

CREATE TABLE battery_days (
    -- The battery readings of a device and day (of the calendar), rolled up in few bytes. Read battery_daily or
    -- battery_pieces instead.
    day                INTEGER NOT NULL, -- see calendar
    device             INTEGER NOT NULL, -- see devices
    readings           INTEGER NOT NULL, -- how many
    first_after_ms     INTEGER NOT NULL, -- time of the first reading since the day's first moment; device clock
    last_after_ms      INTEGER AS (86400000 - last_before_ms), -- the same of the last reading
    voltage_v_count    INTEGER,          -- readings with a voltage; NULL: all
    voltage_v_min      REAL AS ( -- volts, as the next two; NULL: no reading has a voltage
        iif(typeof(voltage_min_packed) = 'integer', voltage_min_packed / 1000.0, voltage_min_packed)),
    voltage_v_sum      REAL AS ( -- sum of all
        iif(typeof(voltage_min_packed) = 'integer',
            (voltage_min_packed * ifnull(voltage_v_count, readings) + voltage_sum_packed) / 1000.0, voltage_sum_packed)),
    voltage_v_max      REAL AS ( -- highest
        iif(typeof(voltage_min_packed) = 'integer', (voltage_min_packed + voltage_max_packed) / 1000.0,
            voltage_max_packed)),
    level_pct_count    INTEGER,          -- readings with a level; NULL: all
    level_pct_min      REAL,             -- percent, as the next two; NULL: no reading has a level
    level_pct_sum      REAL,             -- sum of all
    level_pct_max      REAL,             -- highest
    level_pct_first    REAL,             -- the first level; NULL: it is level_pct_max
    level_pct_last     REAL,             -- the last level; NULL: it is level_pct_min
    pause_max_ms       INTEGER,          -- no reading came later after the one before it, on this day or an earlier one;
                                         -- NULL: none came later than twice the mean time between readings of the day
    last_before_ms     INTEGER NOT NULL, -- 24 hours less last_after_ms, which is calculated from it
    voltage_min_packed ANY,              -- INTEGER: the lowest voltage in thousandths of a volt; REAL: in volts, because
                                         -- of one of the three this is no whole number; NULL: no reading has a voltage
    voltage_sum_packed ANY,              -- the same of the sum; INTEGER: of what each voltage has above the lowest
    voltage_max_packed ANY,              -- the same of the highest; INTEGER: what it has above the lowest
    PRIMARY KEY (day, device)
) STRICT, WITHOUT ROWID;

INSERT INTO battery_days
SELECT day, device, readings, first_after_ms, voltage_v_count,
       level_pct_count, level_pct_min, level_pct_sum, level_pct_max, level_pct_first, level_pct_last, pause_max_ms,
       86400000 - last_after_ms, iif(whole, low, voltage_v_min),
       iif(whole, total - low * ifnull(voltage_v_count, readings), voltage_v_sum), iif(whole, high - low, voltage_v_max)
  FROM (SELECT *, abs(voltage_v_min) < 1e6 AND abs(voltage_v_max) < 1e6 AND abs(voltage_v_sum) < 1e12
                  AND ifnull(voltage_v_count, readings) <= 86400000 AND low / 1000.0 = voltage_v_min
                  AND high / 1000.0 = voltage_v_max AND abs(total / 1000.0 - voltage_v_sum) < 1e-9 AS whole
          FROM (SELECT *, CAST(round(voltage_v_min * 1000) AS INTEGER) AS low,
                       CAST(round(voltage_v_sum * 1000) AS INTEGER) AS total,
                       CAST(round(voltage_v_max * 1000) AS INTEGER) AS high
                  FROM battery_days_12))
 ORDER BY day, device;

DROP TABLE battery_days_12;

CREATE TABLE temperature_days (
    -- The temperature readings of a device and day, rolled up. Read temperature_daily or temperature_pieces instead.
    day                INTEGER NOT NULL, -- see calendar
    device             INTEGER NOT NULL, -- see devices
    readings           INTEGER NOT NULL, -- how many
    first_after_ms     INTEGER NOT NULL, -- time of the first reading since the day's first moment; device clock
    last_after_ms      INTEGER AS (86400000 - last_before_ms), -- the same of the last reading
    celsius_count      INTEGER,          -- readings with a temperature; NULL: all
    celsius_min        REAL AS ( -- degrees, as the next two; NULL: no reading has a temperature
        iif(typeof(celsius_min_packed) = 'integer', celsius_min_packed / 100.0, celsius_min_packed)),
    celsius_sum        REAL AS ( -- sum of all
        iif(typeof(celsius_min_packed) = 'integer',
            (celsius_min_packed * ifnull(celsius_count, readings) + celsius_sum_packed) / 100.0, celsius_sum_packed)),
    celsius_max        REAL AS ( -- highest
        iif(typeof(celsius_min_packed) = 'integer', (celsius_min_packed + celsius_max_packed) / 100.0,
            celsius_max_packed)),
    pause_max_ms       INTEGER,          -- as in battery_days
    last_before_ms     INTEGER NOT NULL, -- 24 hours less last_after_ms, which is calculated from it
    celsius_min_packed ANY,              -- INTEGER: the lowest temperature in hundredths of a degree; REAL: in degrees,
                                         -- as in battery_days; NULL: no reading has a temperature
    celsius_sum_packed ANY,              -- the same of the sum; INTEGER: of what each has above the lowest
    celsius_max_packed ANY,              -- the same of the highest; INTEGER: what it has above the lowest
    PRIMARY KEY (day, device)
) STRICT, WITHOUT ROWID;

INSERT INTO temperature_days
SELECT day, device, readings, first_after_ms, celsius_count, pause_max_ms, 86400000 - last_after_ms,
       iif(whole, low, celsius_min), iif(whole, total - low * ifnull(celsius_count, readings), celsius_sum),
       iif(whole, high - low, celsius_max)
  FROM (SELECT *, abs(celsius_min) < 1e6 AND abs(celsius_max) < 1e6 AND abs(celsius_sum) < 1e12
                  AND ifnull(celsius_count, readings) <= 86400000 AND low / 100.0 = celsius_min
                  AND high / 100.0 = celsius_max AND abs(total / 100.0 - celsius_sum) < 1e-9 AS whole
          FROM (SELECT *, CAST(round(celsius_min * 100) AS INTEGER) AS low,
                       CAST(round(celsius_sum * 100) AS INTEGER) AS total,
                       CAST(round(celsius_max * 100) AS INTEGER) AS high
                  FROM temperature_days_12))
 ORDER BY day, device;

DROP TABLE temperature_days_12;
