-- Answers for analysts: views over the readings and their roll-ups, and the limits that an analyst sets.
-- README.md in this directory explains each with an example. This step makes views and an empty table only.
--
-- Every view gives the same whether days are rolled up or not; only usual intervals that the daemon has learnt may be a
-- day old. "Now" is the clock of the machine that asks.

CREATE TABLE limits (
    -- The limits of temperature_excursions and of low batteries: one row a limit, filled by people.
    limit_id      INTEGER PRIMARY KEY, -- number of the limit
    group_name    TEXT,    -- the limit is for devices of this group; NULL: whatever their groups
    device_id     TEXT,    -- the limit is for this device; NULL: for every one of the group, or of all
    celsius_min   REAL,    -- colder than this is an excursion; NULL: no lower limit
    celsius_max   REAL,    -- warmer than this is an excursion; NULL: no upper limit
    duration_s    INTEGER NOT NULL DEFAULT 0, -- shorter excursions do not count; seconds
    hysteresis    REAL NOT NULL DEFAULT 0, -- an excursion ends this far inside its limit; degrees Celsius
    level_pct_min REAL,    -- a battery below this is low; percent; NULL: no limit
    CHECK (duration_s >= 0 AND hysteresis >= 0),
    CHECK (celsius_min < celsius_max),
    CHECK (level_pct_min BETWEEN 0 AND 100),
    CHECK (coalesce(celsius_min, celsius_max, level_pct_min) IS NOT NULL) -- a limit has at least one of them
) STRICT;

CREATE VIEW usual_intervals AS
    -- How often each device reports: one line a device and type (bat, temp) of which it has a reading. usual_ms is the
    -- median of its newest 51 intervals (of an even number the shorter of the two in the middle): learnt by the daemon
    -- (device_habits), or here where it is not learnt yet; NULL: fewer than four intervals. A device may send several
    -- readings at a time: intervals shorter than a tenth of the one that nine of ten do not exceed do not count. GROUP BY:
    -- with it SQLite asks each device once, and a WHERE seeks its device.
    SELECT d.device, d.family, d.device_id, 'bat' AS type,
           ifnull((SELECT usual_ms FROM device_habits WHERE device = d.device AND type = 'bat'),
                  (SELECT pause_ms -- the median of those that are not inside a burst
                     FROM (SELECT pause_ms, row_number() OVER (ORDER BY pause_ms) AS k, count(*) OVER () AS n
                             FROM (SELECT pause_ms, n, max(iif(k = (n - 1) * 9 / 10 + 1, pause_ms, 0)) OVER () AS long_ms
                                     FROM (SELECT pause_ms, row_number() OVER (ORDER BY pause_ms) AS k,
                                                  count(*) OVER () AS n
                                             FROM (SELECT time_ms - lag(time_ms) OVER (ORDER BY time_ms) AS pause_ms
                                                     FROM (SELECT time_ms FROM battery WHERE device = d.device
                                                            ORDER BY time_ms DESC LIMIT 52))
                                            WHERE pause_ms IS NOT NULL))
                            WHERE n >= 4 AND pause_ms * 10 >= long_ms)
                    WHERE k = (n + 1) / 2)) AS usual_ms
      FROM devices AS d
     WHERE EXISTS (SELECT 1 FROM battery WHERE device = d.device)
     GROUP BY d.device, d.family, d.device_id
     UNION ALL
    SELECT d.device, d.family, d.device_id, 'temp',
           ifnull((SELECT usual_ms FROM device_habits WHERE device = d.device AND type = 'temp'),
                  (SELECT pause_ms -- the median of those that are not inside a burst
                     FROM (SELECT pause_ms, row_number() OVER (ORDER BY pause_ms) AS k, count(*) OVER () AS n
                             FROM (SELECT pause_ms, n, max(iif(k = (n - 1) * 9 / 10 + 1, pause_ms, 0)) OVER () AS long_ms
                                     FROM (SELECT pause_ms, row_number() OVER (ORDER BY pause_ms) AS k,
                                                  count(*) OVER () AS n
                                             FROM (SELECT time_ms - lag(time_ms) OVER (ORDER BY time_ms) AS pause_ms
                                                     FROM (SELECT time_ms FROM temperature WHERE device = d.device
                                                            ORDER BY time_ms DESC LIMIT 52))
                                            WHERE pause_ms IS NOT NULL))
                            WHERE n >= 4 AND pause_ms * 10 >= long_ms)
                    WHERE k = (n + 1) / 2))
      FROM devices AS d
     WHERE EXISTS (SELECT 1 FROM temperature WHERE device = d.device)
     GROUP BY d.device, d.family, d.device_id;

CREATE VIEW days AS
    -- The days of the readings: of database.time_zone, from that of the first reading until today.
    WITH RECURSIVE first (number) AS (
        SELECT (time_ms + (SELECT offset_ms FROM day_offsets WHERE from_ms <= o.time_ms
                            ORDER BY from_ms DESC LIMIT 1)) / 86400000
          FROM (SELECT min(time_ms) AS time_ms
                  FROM (SELECT min((SELECT min(time_ms) FROM battery WHERE device = d.device)) AS time_ms
                          FROM devices AS d
                         UNION ALL
                        SELECT min((SELECT min(time_ms) FROM temperature WHERE device = d.device)) FROM devices AS d
                         UNION ALL
                        SELECT from_ms FROM calendar WHERE day = (SELECT min(day) FROM calendar))) AS o
         WHERE time_ms IS NOT NULL
    ), numbers (number, day, day_ms, until_ms) AS ( -- a day begins where the one before ends
        SELECT number, date(number * 86400, 'unixepoch'),
               (SELECT max(from_ms, number * 86400000 - offset_ms) FROM day_offsets
                 WHERE until_ms > number * 86400000 - offset_ms ORDER BY from_ms LIMIT 1),
               (SELECT max(from_ms, (number + 1) * 86400000 - offset_ms) FROM day_offsets
                 WHERE until_ms > (number + 1) * 86400000 - offset_ms ORDER BY from_ms LIMIT 1)
          FROM first
         UNION ALL
        SELECT number + 1, date((number + 1) * 86400, 'unixepoch'), until_ms,
               (SELECT max(from_ms, (number + 2) * 86400000 - offset_ms) FROM day_offsets
                 WHERE until_ms > (number + 2) * 86400000 - offset_ms ORDER BY from_ms LIMIT 1)
          FROM numbers WHERE until_ms <= unixepoch() * 1000
    )
    SELECT number, day, day_ms, until_ms FROM numbers;

CREATE VIEW silent_devices AS
    -- Devices from which nothing has come for longer than two and a half times the usual interval of every type that they
    -- send; for 24 hours where no usual interval is known.
    SELECT device, family, device_id, last_seen_ms, datetime(last_seen_ms / 1000, 'unixepoch') AS last_seen_utc,
           unixepoch() * 1000 - last_seen_ms AS silent_ms, usual_ms,
           (SELECT level_pct FROM battery
             WHERE device = s.device AND level_pct IS NOT NULL ORDER BY time_ms DESC LIMIT 1) AS level_pct
      FROM (SELECT device, family, device_id, first_seen_ms,
                   min(ifnull(usual_b, usual_t), ifnull(usual_t, usual_b)) AS usual_ms,
                   nullif(max(ifnull(last_b, 0), ifnull(last_t, 0), ifnull(last_m, 0)), 0) AS last_seen_ms,
                   max(ifnull(last_b + ifnull(usual_b * 5 / 2, 86400000), 0),
                       ifnull(last_t + ifnull(usual_t * 5 / 2, 86400000), 0)) AS due_ms
              FROM (SELECT d.device, d.family, d.device_id, d.first_seen_ms,
                           (SELECT max(time_ms) FROM battery WHERE device = d.device) AS last_b,
                           (SELECT max(time_ms) FROM temperature WHERE device = d.device) AS last_t,
                           (SELECT max(time_ms) FROM messages WHERE device = d.device) AS last_m,
                           ub.usual_ms AS usual_b, ut.usual_ms AS usual_t
                      FROM devices AS d
                      LEFT JOIN usual_intervals AS ub ON ub.device = d.device AND ub.type = 'bat'
                      LEFT JOIN usual_intervals AS ut ON ut.device = d.device AND ut.type = 'temp'
                     GROUP BY d.device, d.family, d.device_id)) AS s
     WHERE max(due_ms, ifnull(last_seen_ms, first_seen_ms) + ifnull(usual_ms * 5 / 2, 86400000)) < unixepoch() * 1000;

CREATE VIEW battery_trend AS
    -- How fast each battery discharges, and when it will be empty: one line a device that discharges and is not silent.
    -- The rate is the drop between the means of one day and the next by the time between them, over all pairs of days
    -- without a recharge in or between them. Devices without roll-ups, or that do not report every day: the slope of a
    -- straight line through the means of the days, fitted to all stretches between recharges at once. Devices that are
    -- recharged too often for either: that of levels in pieces of three hours, without the pieces that rise.
    -- A rise is more than noise: 3.5 points between readings, 1.5 between means of many.
    WITH now AS MATERIALIZED (
        SELECT unixepoch() * 1000 AS now_ms, unixepoch() / 86400 - 30 AS from_day,
               (unixepoch() / 86400 - 30) * 86400000 AS from_ms, (unixepoch() - 7 * 86400) * 1000 AS week_ms
    ), pairs AS MATERIALIZED ( -- days that are rolled up, each with the day before
        SELECT device, sum(iif(flat AND week, drop_pct, 0)) AS drop_7, sum(iif(flat AND week, days, 0)) AS span_7,
               sum(iif(flat, drop_pct, 0)) AS drop_30, sum(iif(flat, days, 0)) AS span_30, avg(n) AS n,
               -- A recharge that goes on from the day before, without a drop between, is one.
               sum((rises AND NOT ifnull(continues, 0)) OR jumps) AS recharges,
               sum((rises OR jumps) AND week) AS recharges_week,
               max(iif(jumps, first_ms, NULL)) AS jumped_ms, max(iif(rises, first_ms, NULL)) AS rise_from_ms,
               max(iif(rises, last_ms, NULL)) AS rise_until_ms
          FROM (SELECT device, n, first_ms, last_ms, week, rises, days, drop_pct, rises AND rose AND goes_on AS continues,
                       NOT rises AND NOT rose AND drop_pct >= -1.5 - 2.0 / fewer AND step <= 3.5 AS flat,
                       NOT rises AND ifnull(step > 3.5 OR (NOT rose AND drop_pct < -1.5 - 2.0 / fewer), 0) AS jumps
                  FROM (SELECT d.device, r.level_pct_count AS n, min(r.level_pct_count, p.level_pct_count) AS fewer,
                               c.from_ms + r.first_after_ms AS first_ms, c.from_ms + r.last_after_ms AS last_ms,
                               c.from_ms >= now.week_ms AS week,
                               max(r.level_pct_max - ifnull(r.level_pct_first, r.level_pct_max),
                                   ifnull(r.level_pct_last, r.level_pct_min) - r.level_pct_min)
                                   > 3.5 + min(r.level_pct_count, 100) / 100.0 AS rises,
                               max(p.level_pct_max - ifnull(p.level_pct_first, p.level_pct_max),
                                   ifnull(p.level_pct_last, p.level_pct_min) - p.level_pct_min)
                                   > 3.5 + min(p.level_pct_count, 100) / 100.0 AS rose,
                               ifnull(r.level_pct_first, r.level_pct_max) - ifnull(p.level_pct_last, p.level_pct_min)
                                   AS step,
                               1.0 + (r.first_after_ms + r.last_after_ms - p.first_after_ms - p.last_after_ms)
                                     / 172800000.0 AS days,
                               p.level_pct_sum / p.level_pct_count - r.level_pct_sum / r.level_pct_count AS drop_pct,
                               ifnull(p.level_pct_max - ifnull(p.level_pct_last, p.level_pct_min) <= 3.5
                                      AND ifnull(p.level_pct_last, p.level_pct_min) - r.level_pct_min <= 3.5, 0)
                                   AS goes_on
                          FROM now CROSS JOIN devices AS d CROSS JOIN calendar AS c ON c.day >= now.from_day
                         CROSS JOIN battery_days AS r
                            ON r.day = c.day AND r.device = d.device AND r.level_pct_count > 0
                          LEFT JOIN battery_days AS p
                            ON p.day = c.day - 1 AND p.device = d.device AND p.level_pct_count > 0
                         LIMIT -1) -- LIMIT: so that SQLite calculates each of these once, and not at every use
                 LIMIT -1)
         GROUP BY device
    ), days AS ( -- devices that the roll-ups say too little of: one row a device and day, from the readings
        SELECT g.device, g.first_ms, g.last_ms, g.n, g.level, g.lowest, g.highest,
               f.level_pct AS first, l.level_pct AS last
          FROM (SELECT b.device, count(*) AS n, avg(b.level_pct) AS level, min(b.level_pct) AS lowest,
                       max(b.level_pct) AS highest, min(b.time_ms) AS first_ms, max(b.time_ms) AS last_ms
                  FROM now CROSS JOIN devices AS d
                 CROSS JOIN battery AS b
                    ON b.device = d.device AND b.time_ms >= now.from_ms AND b.level_pct IS NOT NULL
                 WHERE d.device NOT IN (SELECT device FROM pairs WHERE span_30 >= 2)
                 GROUP BY b.device, b.time_ms / 86400000) AS g
         CROSS JOIN battery AS f ON f.device = g.device AND f.time_ms = g.first_ms
         CROSS JOIN battery AS l ON l.device = g.device AND l.time_ms = g.last_ms
    ), steps AS (
        SELECT device, first_ms, last_ms, n, level, lowest,
               max(highest - first, last - lowest) > 3.5 + min(n, 100) / 100.0 AS rises,
               ifnull(first - lag(last) OVER w > 3.5, 0) AS jumps,
               ifnull(level - lag(level) OVER w > 1.5 + 2.0 / min(n, lag(n) OVER w), 0) AS climbs,
               -- Much longer than the time to the day before: a recharge may hide in it.
               ifnull(first_ms - lag(first_ms) OVER w
                      > max(216000000, 3 * (lag(first_ms) OVER w - lag(first_ms, 2) OVER w)), 0) AS hides,
               ifnull(lag(max(highest - first, last - lowest) > 3.5 + min(n, 100) / 100.0) OVER w, 0) AS rose,
               lag(last) OVER w AS last_before, lag(highest) OVER w AS highest_before
          FROM days
        WINDOW w AS (PARTITION BY device ORDER BY first_ms)
    ), recharges AS (
        SELECT device,
               -- A recharge that goes on from the day before, without a drop between, is one.
               sum(NOT (rose AND rises AND highest_before - last_before <= 3.5 AND lowest >= last_before - 3.5))
                   AS recharges,
               sum(first_ms >= week_ms) AS recharges_week,
               max(first_ms) FILTER (WHERE NOT rises) AS jumped_ms, -- between two days
               max(first_ms) FILTER (WHERE rises) AS rise_from_ms, max(last_ms) FILTER (WHERE rises) AS rise_until_ms
          FROM steps, now
         WHERE rises OR jumps OR (climbs AND NOT rose)
         GROUP BY device
    ), sums AS ( -- x in days before now; weights, because a day with more readings is known better
        SELECT device, stretch, week, sum(w) AS w, sum(w * x) AS wx, sum(w * y) AS wy, sum(w * x * x) AS wxx,
               sum(w * x * y) AS wxy, min(x) AS x_from, max(x) AS x_until,
               sum(n) * 1.0 AS n, count(*) AS points
          FROM (SELECT device, first_ms >= week_ms AS week, n, n / (n + 6.0) AS w, level AS y,
                       (first_ms / 2 + last_ms / 2 - now_ms) / 86400000.0 AS x, rises,
                       sum(rises OR rose OR jumps OR climbs OR hides)
                           OVER (PARTITION BY device ORDER BY first_ms) AS stretch
                  FROM steps, now)
         WHERE NOT rises
         GROUP BY device, stretch, week
    ), lines AS ( -- of 7 days and of 30: rate in percent a day, and the days that it was fitted to
        SELECT device, drop_7 / nullif(span_7, 0) AS rate_7, span_7, drop_30 / span_30 AS rate_30, span_30, n,
               recharges, recharges_week, jumped_ms, rise_from_ms, rise_until_ms,
               iif(device <= s.passed, s.until_ms, s.from_ms) AS since_ms -- later readings are not in it
          FROM pairs, (SELECT device AS passed, from_ms, until_ms FROM rollup_state) AS s WHERE span_30 >= 2
         UNION ALL
        SELECT o.*, r.recharges, r.recharges_week, r.jumped_ms, r.rise_from_ms, r.rise_until_ms, NULL
          FROM (
                SELECT device, -sum(xy_7) / nullif(sum(xx_7), 0) AS rate_7, total(span_7) AS span_7,
                       -sum(xy) / nullif(sum(xx), 0) AS rate_30, total(span) AS span_30, avg(n) AS n
                  FROM (SELECT device, sum(wxx) - sum(wx) * sum(wx) / sum(w) AS xx,
                               sum(wxy) - sum(wx) * sum(wy) / sum(w) AS xy,
                               max(x_until) - min(x_from) AS span, sum(n) / sum(points) AS n,
                               sum(iif(week, wxx - wx * wx / w, NULL)) AS xx_7,
                               sum(iif(week, wxy - wx * wy / w, NULL)) AS xy_7,
                               sum(iif(week, x_until - x_from, NULL)) AS span_7
                          FROM sums GROUP BY device, stretch)
                 GROUP BY device) AS o
          LEFT JOIN recharges AS r USING (device)
    ), pieces AS ( -- of devices without two days between recharges
        SELECT device, sum(drop_pct) / nullif(sum(drop_ms), 0) * 86400000.0 AS rate, total(drop_pct) AS drop_pct
          FROM (SELECT device, n, lag(level) OVER w - level AS drop_pct, at_ms - lag(at_ms) OVER w AS drop_ms,
                       min(n, lag(n) OVER w) AS fewer
                  FROM (SELECT b.device, count(*) AS n, avg(b.level_pct) AS level, avg(b.time_ms) AS at_ms
                          FROM now CROSS JOIN lines AS i
                         CROSS JOIN battery AS b
                            ON i.span_7 < 2 AND i.recharges_week > 0 AND b.device = i.device
                           AND b.time_ms >= now.week_ms AND b.level_pct IS NOT NULL
                         GROUP BY b.device, b.time_ms / 10800000)
                WINDOW w AS (PARTITION BY device ORDER BY at_ms))
         WHERE drop_pct >= -1.5 - 2.0 / fewer
         GROUP BY device
    ), rates AS (
        SELECT device,
               CASE WHEN span_7 >= 2 AND rate_7 * span_7 >= 3 + 10 / n THEN rate_7
                    WHEN p.drop_pct >= 3 THEN p.rate
                    -- A week says too little of a slow discharge, unless it says that there is none.
                    WHEN span_7 >= 4 AND rate_7 * span_7 < 1 AND (rate_30 - rate_7) * span_7 > 2 THEN NULL
                    WHEN span_30 >= 2 AND rate_30 * span_30 >= 2 THEN rate_30
               END AS pct_per_day,
               iif(span_30 >= 2 AND rate_30 * span_30 >= 2, rate_30, p.rate) AS pct_per_day_30,
               recharges, jumped_ms, rise_from_ms, rise_until_ms, since_ms
          FROM lines LEFT JOIN pieces AS p USING (device)
    )
    SELECT d.device, d.family, d.device_id, b.level_pct, b.time_ms, datetime(b.time_ms / 1000, 'unixepoch') AS time_utc,
           r.pct_per_day, r.pct_per_day_30,
           max(0.0, b.level_pct / r.pct_per_day - (now.now_ms - b.time_ms) / 86400000.0) AS days_left,
           max(now.now_ms, b.time_ms + CAST(b.level_pct / r.pct_per_day * 86400000 AS INTEGER)) AS empty_ms,
           datetime(max(now.now_ms, b.time_ms + CAST(b.level_pct / r.pct_per_day * 86400000 AS INTEGER)) / 1000,
                    'unixepoch') AS empty_utc,
           r.recharges + r.risen AS recharges_30, r.recharged_ms,
           datetime(r.recharged_ms / 1000, 'unixepoch') AS recharged_utc
      FROM now CROSS JOIN (
        SELECT device, pct_per_day, pct_per_day_30, recharges, risen,
               iif(risen, (SELECT time_ms FROM battery -- the highest level since
                            WHERE device = r.device AND time_ms >= since_ms
                            ORDER BY level_pct DESC, time_ms LIMIT 1),
                   nullif(max(ifnull(jumped_ms, 0), -- else: the highest after the lowest of the last day that rose
                              ifnull((SELECT e.time_ms FROM battery AS e
                                       WHERE e.device = r.device AND e.time_ms <= rise_until_ms
                                         AND e.time_ms >= (SELECT time_ms FROM battery
                                                            WHERE device = r.device AND level_pct IS NOT NULL
                                                              AND time_ms BETWEEN rise_from_ms AND rise_until_ms
                                                            ORDER BY level_pct, time_ms LIMIT 1)
                                       ORDER BY e.level_pct DESC, e.time_ms LIMIT 1), 0)), 0)) AS recharged_ms
          FROM (SELECT device, pct_per_day, pct_per_day_30, ifnull(recharges, 0) AS recharges, since_ms,
                       jumped_ms, rise_from_ms, rise_until_ms, -- risen: recharged since the roll-ups
                       ifnull((SELECT level_pct FROM battery
                                WHERE device = q.device AND time_ms >= since_ms AND level_pct IS NOT NULL
                                ORDER BY time_ms DESC LIMIT 1)
                              - (SELECT level_pct FROM battery
                                  WHERE device = q.device AND time_ms < since_ms AND level_pct IS NOT NULL
                                  ORDER BY time_ms DESC LIMIT 1) > 3.5, 0) AS risen
                  FROM rates AS q WHERE pct_per_day > 0 LIMIT -1) AS r) AS r
     CROSS JOIN devices AS d ON d.device = r.device
     CROSS JOIN battery AS b
        ON b.device = d.device
       AND b.time_ms = (SELECT max(time_ms) FROM battery WHERE device = d.device AND level_pct IS NOT NULL)
     WHERE d.device NOT IN (SELECT device FROM silent_devices);

CREATE VIEW reporting_gaps AS
    -- Where readings are missing: times without a reading longer than two and a half usual intervals of the device, so that
    -- at least two are missing. One that lasts until now has to_ms NULL and open = 1. cause: what explains at least half of
    -- it; a row of `gaps` explains what is between its times, if both are known and something is missing for sure.
    -- day, day_ms: the day in which it ended (today); ask for a range of days by them where there are many.
    WITH sample AS MATERIALIZED ( -- devices that stand for all: the first that became known, and the last
        SELECT device FROM (SELECT device FROM devices ORDER BY device LIMIT 50)
         UNION
        SELECT device FROM (SELECT device FROM devices ORDER BY device DESC LIMIT 50)
    ), downs AS MATERIALIZED (
        -- When the daemon did not run and the broker kept nothing: from the newest reading of before the next start. An
        -- end that is not recorded (a kill) is found in this way too, if the run has a reading. A twenty-fifth of the
        -- newest readings is left out: clocks may be fast. Less than five minutes explain nothing.
        SELECT max(ifnull(stopped_ms, last_ms), ifnull(last_ms, stopped_ms)) AS from_ms, next_ms AS to_ms
          FROM (SELECT stopped_ms, next_ms,
                       (SELECT time_ms
                          FROM (SELECT time_ms, row_number() OVER (ORDER BY time_ms DESC) AS k, count(*) OVER () AS n
                                  FROM (SELECT (SELECT max(time_ms) FROM battery
                                                 WHERE device = d.device AND time_ms < next_ms) AS time_ms
                                          FROM sample AS d
                                         UNION ALL
                                        SELECT (SELECT max(time_ms) FROM temperature
                                                 WHERE device = d.device AND time_ms < next_ms)
                                          FROM sample AS d)
                                 WHERE time_ms >= started_ms)
                         WHERE k = n / 25 + 1) AS last_ms
                  FROM (SELECT started_ms, stopped_ms,
                               ifnull(lead(started_ms) OVER (ORDER BY run),
                                      iif(stopped_ms IS NULL, NULL, unixepoch() * 1000)) AS next_ms
                          FROM runs)
                 WHERE next_ms - ifnull(stopped_ms, started_ms) >= 300000)
    ), battery_steps AS NOT MATERIALIZED ( -- every reading, with the time of the one before
        SELECT b.device, b.time_ms,
               (SELECT max(time_ms) FROM battery WHERE device = b.device AND time_ms < b.time_ms) AS before_ms
          FROM battery AS b
    ), temperature_steps AS NOT MATERIALIZED (
        SELECT t.device, t.time_ms,
               (SELECT max(time_ms) FROM temperature WHERE device = t.device AND time_ms < t.time_ms) AS before_ms
          FROM temperature AS t
    ), holes AS (
        -- Of roll-ups: only days with a gap are read reading by reading.
        SELECT u.device, u.family, u.device_id, u.type, u.usual_ms, b.before_ms AS from_ms, b.time_ms AS to_ms,
               c.date AS day, c.from_ms AS day_ms
          FROM usual_intervals AS u
         CROSS JOIN calendar AS c
         CROSS JOIN battery_days AS r
            ON r.day = c.day AND r.device = u.device
           AND (r.pause_max_ms > u.usual_ms * 5 / 2
                OR c.from_ms + r.first_after_ms
                   - (SELECT max(time_ms) FROM battery
                       WHERE device = u.device AND time_ms < c.from_ms + r.first_after_ms) > u.usual_ms * 5 / 2)
         CROSS JOIN battery_steps AS b
            ON b.device = u.device AND b.time_ms - b.before_ms > u.usual_ms * 5 / 2
           AND b.time_ms BETWEEN c.from_ms + r.first_after_ms AND c.from_ms + r.last_after_ms
         WHERE u.type = 'bat'
         UNION ALL
        SELECT u.device, u.family, u.device_id, u.type, u.usual_ms, b.before_ms, b.time_ms, c.date, c.from_ms
          FROM usual_intervals AS u
         CROSS JOIN calendar AS c
         CROSS JOIN temperature_days AS r
            ON r.day = c.day AND r.device = u.device
           AND (r.pause_max_ms > u.usual_ms * 5 / 2
                OR c.from_ms + r.first_after_ms
                   - (SELECT max(time_ms) FROM temperature
                       WHERE device = u.device AND time_ms < c.from_ms + r.first_after_ms) > u.usual_ms * 5 / 2)
         CROSS JOIN temperature_steps AS b
            ON b.device = u.device AND b.time_ms - b.before_ms > u.usual_ms * 5 / 2
           AND b.time_ms BETWEEN c.from_ms + r.first_after_ms AND c.from_ms + r.last_after_ms
         WHERE u.type = 'temp'
         UNION ALL -- of which there is no roll-up
        SELECT device, family, device_id, type, usual_ms, from_ms, to_ms, date(day * 86400, 'unixepoch'),
               (SELECT max(from_ms, day * 86400000 - offset_ms) FROM day_offsets
                 WHERE until_ms > day * 86400000 - offset_ms ORDER BY from_ms LIMIT 1)
          FROM (SELECT p.*, (ifnull(to_ms, unixepoch() * 1000)
                             + (SELECT offset_ms FROM day_offsets WHERE from_ms <= ifnull(to_ms, unixepoch() * 1000)
                                 ORDER BY from_ms DESC LIMIT 1)) / 86400000 AS day
                  FROM ( -- days that are to be made anew
                        SELECT u.device, u.family, u.device_id, u.type, u.usual_ms, b.before_ms AS from_ms,
                               b.time_ms AS to_ms
                          FROM rollup_state AS s
                         CROSS JOIN usual_intervals AS u
                         CROSS JOIN rollup_dirty AS x ON x.type = u.type AND x.device = u.device
                         CROSS JOIN battery_steps AS b
                            ON b.device = u.device AND b.time_ms - b.before_ms > u.usual_ms * 5 / 2
                           AND b.time_ms >= x.from_ms
                           AND b.time_ms < min(x.until_ms, iif(x.device <= s.device, s.until_ms, s.from_ms))
                         WHERE u.type = 'bat'
                         UNION ALL
                        SELECT u.device, u.family, u.device_id, u.type, u.usual_ms, b.before_ms, b.time_ms
                          FROM rollup_state AS s
                         CROSS JOIN usual_intervals AS u
                         CROSS JOIN rollup_dirty AS x ON x.type = u.type AND x.device = u.device
                         CROSS JOIN temperature_steps AS b
                            ON b.device = u.device AND b.time_ms - b.before_ms > u.usual_ms * 5 / 2
                           AND b.time_ms >= x.from_ms
                           AND b.time_ms < min(x.until_ms, iif(x.device <= s.device, s.until_ms, s.from_ms))
                         WHERE u.type = 'temp'
                         UNION ALL -- newer than the roll-ups
                        SELECT u.device, u.family, u.device_id, u.type, u.usual_ms, b.before_ms, b.time_ms
                          FROM rollup_state AS s
                         CROSS JOIN usual_intervals AS u
                         CROSS JOIN battery_steps AS b
                            ON b.device = u.device AND b.time_ms - b.before_ms > u.usual_ms * 5 / 2
                           AND b.time_ms >= iif(u.device <= s.device, s.until_ms, s.from_ms)
                         WHERE u.type = 'bat'
                         UNION ALL
                        SELECT u.device, u.family, u.device_id, u.type, u.usual_ms, b.before_ms, b.time_ms
                          FROM rollup_state AS s
                         CROSS JOIN usual_intervals AS u
                         CROSS JOIN temperature_steps AS b
                            ON b.device = u.device AND b.time_ms - b.before_ms > u.usual_ms * 5 / 2
                           AND b.time_ms >= iif(u.device <= s.device, s.until_ms, s.from_ms)
                         WHERE u.type = 'temp'
                         UNION ALL -- open ones
                        SELECT device, family, device_id, type, usual_ms, last_ms, NULL
                          FROM (SELECT u.*, iif(type = 'bat',
                                                (SELECT max(time_ms) FROM battery AS p WHERE p.device = u.device),
                                                (SELECT max(time_ms) FROM temperature AS p WHERE p.device = u.device))
                                            AS last_ms
                                  FROM usual_intervals AS u)
                         WHERE unixepoch() * 1000 - last_ms > usual_ms * 5 / 2) AS p)
    )
    SELECT device, family, device_id, type, from_ms, datetime(from_ms / 1000, 'unixepoch') AS from_utc,
           to_ms, datetime(to_ms / 1000, 'unixepoch') AS to_utc,
           ifnull(to_ms, unixepoch() * 1000) - from_ms AS duration_ms, usual_ms, to_ms IS NULL AS open,
           CASE WHEN EXISTS (SELECT 1 FROM gaps AS g
                              WHERE g.reason <> 'session uncertain' -- then perhaps nothing is missing
                                AND min(g.resumed_ms, ifnull(h.to_ms, unixepoch() * 1000))
                                    - max(g.last_durable_ms, h.from_ms) -- NULL: begin not known
                                    >= (ifnull(h.to_ms, unixepoch() * 1000) - h.from_ms) / 2) THEN 'broker'
                WHEN EXISTS (SELECT 1 FROM downs AS g
                              WHERE min(g.to_ms, ifnull(h.to_ms, unixepoch() * 1000)) - max(g.from_ms, h.from_ms)
                                    >= (ifnull(h.to_ms, unixepoch() * 1000) - h.from_ms) / 2) THEN 'daemon'
                ELSE 'device'
           END AS cause, day, day_ms
      FROM holes AS h;

CREATE VIEW coverage_daily AS
    -- How complete the readings of each day are: one line a device, type and day, from its first reading until today, also
    -- of days without a reading. expected: of the day (today: of its part that is over) at the usual interval.
    SELECT device, family, device_id, type, day, day_ms, received, round(expected, 1) AS expected,
           iif(expected >= 1, round(min(100.0, 100.0 * received / expected), 1), NULL) AS coverage_pct
      FROM (
    SELECT u.device, u.family, u.device_id, u.type, c.day AS day, c.day_ms AS day_ms,
           ifnull(r.readings, 0)
           + (SELECT count(*) FROM battery AS b
               WHERE b.device = u.device AND b.time_ms < c.until_ms
                 AND b.time_ms >= iif(r.readings IS NULL, c.day_ms,
                                      max(c.day_ms, iif(u.device <= s.device, s.until_ms, s.from_ms)))) AS received,
           (min(c.until_ms, unixepoch() * 1000) - max(c.day_ms, u.first_ms)) * 1.0 / u.usual_ms AS expected
      FROM rollup_state AS s
     CROSS JOIN days AS c
     CROSS JOIN (SELECT i.*, (SELECT min(time_ms) FROM battery WHERE device = i.device) AS first_ms
                   FROM usual_intervals AS i WHERE i.type = 'bat' LIMIT -1) AS u -- LIMIT: once, not for each day
        ON u.first_ms < c.until_ms
      LEFT JOIN battery_days AS r ON r.day = c.number AND r.device = u.device
     UNION ALL
    SELECT u.device, u.family, u.device_id, u.type, c.day, c.day_ms,
           ifnull(r.readings, 0)
           + (SELECT count(*) FROM temperature AS b
               WHERE b.device = u.device AND b.time_ms < c.until_ms
                 AND b.time_ms >= iif(r.readings IS NULL, c.day_ms,
                                      max(c.day_ms, iif(u.device <= s.device, s.until_ms, s.from_ms)))),
           (min(c.until_ms, unixepoch() * 1000) - max(c.day_ms, u.first_ms)) * 1.0 / u.usual_ms
      FROM rollup_state AS s
     CROSS JOIN days AS c
     CROSS JOIN (SELECT i.*, (SELECT min(time_ms) FROM temperature WHERE device = i.device) AS first_ms
                   FROM usual_intervals AS i WHERE i.type = 'temp' LIMIT -1) AS u -- LIMIT: once, not for each day
        ON u.first_ms < c.until_ms
      LEFT JOIN temperature_days AS r ON r.day = c.number AND r.device = u.device);

CREATE VIEW temperature_excursions AS
    -- When it was warmer or colder than a row of `limits` says, for at least its duration_s. An excursion begins with the
    -- first reading beyond the limit and ends with the first that is back inside it by the hysteresis; one that has no
    -- end yet has to_ms NULL and open = 1. Days that stay inside are not read: their roll-ups say so.
    WITH applied AS MATERIALIZED ( -- a limit for each device that it is for; sign: -1 turns cold into warm
        SELECT m.limit_id, m.duration_s * 1000 AS duration_ms, m.hysteresis, side.column1 AS side, side.column2 AS sign,
               iif(side.column2 > 0, m.celsius_max, m.celsius_min) AS threshold, d.device, d.family, d.device_id
          FROM limits AS m
         CROSS JOIN (VALUES ('above', 1), ('below', -1)) AS side
         CROSS JOIN devices AS d
            ON (m.device_id IS NULL OR d.device_id = m.device_id)
           AND (m.group_name IS NULL
                OR EXISTS (SELECT 1 FROM device_groups WHERE group_name = m.group_name AND device = d.device))
         WHERE iif(side.column2 > 0, m.celsius_max, m.celsius_min) IS NOT NULL
    ), suspects AS ( -- times with a reading that is not inside by the hysteresis
        SELECT a.limit_id, a.side, a.device, c.from_ms + r.first_after_ms AS from_ms,
               c.from_ms + r.last_after_ms AS until_ms
          FROM applied AS a CROSS JOIN calendar AS c
         CROSS JOIN temperature_days AS r
            ON r.day = c.day AND r.device = a.device
           AND iif(a.sign > 0, r.celsius_max, -r.celsius_min) > a.sign * a.threshold - a.hysteresis
         UNION ALL
        SELECT a.limit_id, a.side, a.device, x.from_ms,
               min(x.until_ms, iif(x.device <= s.device, s.until_ms, s.from_ms)) - 1
          FROM rollup_state AS s CROSS JOIN applied AS a
         CROSS JOIN rollup_dirty AS x ON x.type = 'temp' AND x.device = a.device
         UNION ALL
        SELECT a.limit_id, a.side, a.device, iif(a.device <= s.device, s.until_ms, s.from_ms), 9223372036854775806
          FROM rollup_state AS s CROSS JOIN applied AS a
    ), readings AS (
        SELECT p.limit_id, p.side, p.device, t.time_ms, t.celsius
          FROM suspects AS p CROSS JOIN temperature AS t
            ON t.device = p.device AND t.time_ms BETWEEN p.from_ms AND p.until_ms AND t.celsius IS NOT NULL
         UNION ALL -- and the first one after each: it may be the end
        SELECT p.limit_id, p.side, p.device, t.time_ms, t.celsius
          FROM suspects AS p CROSS JOIN temperature AS t
            ON t.device = p.device
           AND t.time_ms = (SELECT min(time_ms) FROM temperature
                             WHERE device = p.device AND time_ms > p.until_ms AND celsius IS NOT NULL)
    ), ends AS (
        SELECT a.*, r.time_ms, r.celsius,
               min(iif(a.sign * r.celsius <= a.sign * a.threshold - a.hysteresis, r.time_ms, NULL))
                   OVER (PARTITION BY a.limit_id, a.side, a.device ORDER BY r.time_ms DESC) AS to_ms
          FROM readings AS r
          JOIN applied AS a ON a.limit_id = r.limit_id AND a.side = r.side AND a.device = r.device
    )
    SELECT device, family, device_id, limit_id, side, threshold,
           from_ms, datetime(from_ms / 1000, 'unixepoch') AS from_utc,
           to_ms, datetime(to_ms / 1000, 'unixepoch') AS to_utc,
           ifnull(to_ms, unixepoch() * 1000) - from_ms AS duration_ms, celsius_extreme, to_ms IS NULL AS open
      FROM (SELECT device, family, device_id, limit_id, side, threshold, duration_ms AS least_ms, to_ms,
                   min(time_ms) AS from_ms, sign * max(sign * celsius) AS celsius_extreme
              FROM ends
             WHERE sign * celsius > sign * threshold
             GROUP BY device, family, device_id, limit_id, side, threshold, duration_ms, sign, to_ms)
     WHERE ifnull(to_ms, unixepoch() * 1000) - from_ms >= least_ms;

CREATE VIEW group_daily AS
    -- Readings of each group by day (of database.time_zone, the device's clock): all its devices together.
    SELECT g.group_name, c.day, c.day_ms, count(DISTINCT coalesce(r.device, h.device, b.device, t.device)) AS devices,
           ifnull(sum(r.readings), 0) + count(b.device) AS battery_readings,
           min(ifnull(r.level_pct_min, b.level_pct)) AS level_pct_min,
           sum(ifnull(r.level_pct_sum, b.level_pct))
               / (ifnull(sum(r.level_pct_count), 0) + count(b.level_pct)) AS level_pct_avg,
           min(ifnull(r.voltage_v_min, b.voltage_v)) AS voltage_v_min,
           ifnull(sum(h.readings), 0) + count(t.device) AS temperature_readings,
           min(ifnull(h.celsius_min, t.celsius)) AS celsius_min,
           sum(ifnull(h.celsius_sum, t.celsius))
               / (ifnull(sum(h.celsius_count), 0) + count(t.celsius)) AS celsius_avg,
           max(ifnull(h.celsius_max, t.celsius)) AS celsius_max
      FROM rollup_state AS s
     CROSS JOIN days AS c
     CROSS JOIN (VALUES (1), (2), (3), (4)) AS k -- a reading once: in a roll-up, or by itself; NULL finds nothing
     CROSS JOIN device_groups AS g
      LEFT JOIN battery_days AS r ON r.day = iif(k.column1 = 1, c.number, NULL) AND r.device = g.device
      LEFT JOIN temperature_days AS h ON h.day = iif(k.column1 = 2, c.number, NULL) AND h.device = g.device
      LEFT JOIN battery AS b
        ON b.device = iif(k.column1 = 3, g.device, NULL) AND b.time_ms < c.until_ms
       AND b.time_ms >= iif(EXISTS (SELECT 1 FROM rollup_dirty WHERE type = 'bat'
                                               AND device = g.device AND day = c.number),
                            c.day_ms, max(c.day_ms, iif(g.device <= s.device, s.until_ms, s.from_ms)))
      LEFT JOIN temperature AS t
        ON t.device = iif(k.column1 = 4, g.device, NULL) AND t.time_ms < c.until_ms
       AND t.time_ms >= iif(EXISTS (SELECT 1 FROM rollup_dirty WHERE type = 'temp'
                                               AND device = g.device AND day = c.number),
                            c.day_ms, max(c.day_ms, iif(g.device <= s.device, s.until_ms, s.from_ms)))
     WHERE CASE k.column1 WHEN 1 THEN EXISTS (SELECT 1 FROM battery_days WHERE day = c.number)
                          WHEN 2 THEN EXISTS (SELECT 1 FROM temperature_days WHERE day = c.number)
                          ELSE c.until_ms > s.from_ms OR c.number IN (SELECT day FROM rollup_dirty) END
     GROUP BY g.group_name, c.day, c.day_ms
    HAVING devices > 0;

CREATE VIEW fleet_daily AS
    -- The same of all devices, whatever their groups: first the days of the calendar, in its order; then those of which
    -- nothing is rolled up yet.
    SELECT c.date AS day, c.from_ms AS day_ms,
           count(DISTINCT coalesce(r.device, h.device, b.device, t.device)) AS devices,
           ifnull(sum(r.readings), 0) + count(b.device) AS battery_readings,
           min(ifnull(r.level_pct_min, b.level_pct)) AS level_pct_min,
           sum(ifnull(r.level_pct_sum, b.level_pct))
               / (ifnull(sum(r.level_pct_count), 0) + count(b.level_pct)) AS level_pct_avg,
           min(ifnull(r.voltage_v_min, b.voltage_v)) AS voltage_v_min,
           ifnull(sum(h.readings), 0) + count(t.device) AS temperature_readings,
           min(ifnull(h.celsius_min, t.celsius)) AS celsius_min,
           sum(ifnull(h.celsius_sum, t.celsius))
               / (ifnull(sum(h.celsius_count), 0) + count(t.celsius)) AS celsius_avg,
           max(ifnull(h.celsius_max, t.celsius)) AS celsius_max
      FROM calendar AS c
     CROSS JOIN (VALUES (1), (2), (3), (4)) AS k -- a reading once: in a roll-up, or by itself; NULL finds nothing
      LEFT JOIN battery_days AS r ON r.day = iif(k.column1 = 1, c.day, NULL)
      LEFT JOIN temperature_days AS h ON h.day = iif(k.column1 = 2, c.day, NULL)
      LEFT JOIN devices AS g ON g.device > iif(k.column1 > 2, -9223372036854775808, NULL)
      LEFT JOIN battery AS b
        ON b.device = iif(k.column1 = 3, g.device, NULL) AND b.time_ms < c.until_ms
       AND b.time_ms >= iif(EXISTS (SELECT 1 FROM rollup_dirty WHERE type = 'bat'
                                               AND device = g.device AND day = c.day),
                            c.from_ms, max(c.from_ms, (SELECT iif(g.device <= s.device, s.until_ms, s.from_ms)
                                                         FROM rollup_state AS s)))
      LEFT JOIN temperature AS t
        ON t.device = iif(k.column1 = 4, g.device, NULL) AND t.time_ms < c.until_ms
       AND t.time_ms >= iif(EXISTS (SELECT 1 FROM rollup_dirty WHERE type = 'temp'
                                               AND device = g.device AND day = c.day),
                            c.from_ms, max(c.from_ms, (SELECT iif(g.device <= s.device, s.until_ms, s.from_ms)
                                                         FROM rollup_state AS s)))
     WHERE CASE k.column1 WHEN 1 THEN EXISTS (SELECT 1 FROM battery_days WHERE day = c.day)
                          WHEN 2 THEN EXISTS (SELECT 1 FROM temperature_days WHERE day = c.day)
                          ELSE c.until_ms > (SELECT from_ms FROM rollup_state) OR c.day IN (SELECT day FROM rollup_dirty) END
     GROUP BY c.from_ms, c.day, c.date
    HAVING devices > 0
     UNION ALL
    SELECT c.day, c.day_ms, count(DISTINCT g.device), count(b.device), min(b.level_pct), avg(b.level_pct),
           min(b.voltage_v), count(t.device), min(t.celsius), avg(t.celsius), max(t.celsius)
      FROM days AS c
     CROSS JOIN (VALUES (3), (4)) AS k
     CROSS JOIN devices AS g
      LEFT JOIN battery AS b
        ON b.device = iif(k.column1 = 3, g.device, NULL) AND b.time_ms >= c.day_ms AND b.time_ms < c.until_ms
      LEFT JOIN temperature AS t
        ON t.device = iif(k.column1 = 4, g.device, NULL) AND t.time_ms >= c.day_ms AND t.time_ms < c.until_ms
     WHERE c.number NOT IN (SELECT day FROM calendar) AND coalesce(b.device, t.device) IS NOT NULL
     GROUP BY c.day, c.day_ms;

CREATE VIEW quarantine_summary AS
    -- What is in quarantine, by reason, with the topic and detail of the newest message of each.
    SELECT reason, messages, occurrences,
           first_received_ms, datetime(first_received_ms / 1000, 'unixepoch') AS first_received_utc,
           last_received_ms, datetime(last_received_ms / 1000, 'unixepoch') AS last_received_utc,
           (SELECT iif(typeof(topic) = 'blob', hex(topic), topic) FROM quarantine AS e
             WHERE e.last_received_ms = q.last_received_ms AND e.reason = q.reason
             ORDER BY digest LIMIT 1) AS example_topic,
           (SELECT detail FROM quarantine AS e
             WHERE e.last_received_ms = q.last_received_ms AND e.reason = q.reason
             ORDER BY digest LIMIT 1) AS example_detail
      FROM (SELECT reason, count(*) AS messages, sum(occurrences) AS occurrences,
                   min(first_received_ms) AS first_received_ms, max(last_received_ms) AS last_received_ms
              FROM quarantine GROUP BY reason) AS q;
