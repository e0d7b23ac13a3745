-- The views of answers, of the days that are added up (0011) where there are such. README.md in this directory explains
-- each with an example. This step makes views only. Every view gives the same whether days are rolled up, added up or
-- not; only usual intervals and rates of discharge that the daemon has learnt may be a day old. "Now" is the clock of
-- the machine that asks.

CREATE VIEW days AS
    -- The days of the readings: of database.time_zone, from that of the first reading until today.
    -- Readings before the first day of the calendar are in rollup_dirty; without a calendar all devices are asked.
    WITH RECURSIVE first (number) AS (
        SELECT number
          FROM (SELECT min(number) AS number
                  FROM (SELECT min(day) AS number FROM calendar
                         UNION ALL
                        SELECT min(day) FROM rollup_dirty WHERE EXISTS (SELECT 1 FROM calendar)
                         UNION ALL
                        SELECT (time_ms + (SELECT offset_ms FROM day_offsets WHERE from_ms <= o.time_ms
                                            ORDER BY from_ms DESC LIMIT 1)) / 86400000
                          FROM (SELECT min((SELECT min(time_ms) FROM battery WHERE device = d.device)) AS time_ms
                                  FROM devices AS d WHERE NOT EXISTS (SELECT 1 FROM calendar)
                                 UNION ALL
                                SELECT min((SELECT min(time_ms) FROM temperature WHERE device = d.device))
                                  FROM devices AS d WHERE NOT EXISTS (SELECT 1 FROM calendar)) AS o
                         WHERE time_ms IS NOT NULL))
         WHERE number IS NOT NULL
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
    -- send; for 24 hours where no usual interval is known. UNION ALL and a window in the place of joins: so a WHERE
    -- seeks its device in each part.
    SELECT device, family, device_id, last_seen_ms, datetime(last_seen_ms / 1000, 'unixepoch') AS last_seen_utc,
           unixepoch() * 1000 - last_seen_ms AS silent_ms, usual_ms,
           (SELECT level_pct FROM battery
             WHERE device = s.device AND level_pct IS NOT NULL ORDER BY time_ms DESC LIMIT 1) AS level_pct
      FROM (SELECT device, family, device_id, first_seen_ms,
                   min(ifnull(usual_b, usual_t), ifnull(usual_t, usual_b)) AS usual_ms,
                   nullif(max(ifnull(last_b, 0), ifnull(last_t, 0), ifnull(last_m, 0)), 0) AS last_seen_ms,
                   max(ifnull(last_b + ifnull(usual_b * 5 / 2, 86400000), 0),
                       ifnull(last_t + ifnull(usual_t * 5 / 2, 86400000), 0)) AS due_ms
              FROM (SELECT device, family, device_id, first_seen_ms, last_b, last_t, last_m,
                           max(usual_b) OVER one AS usual_b, max(usual_t) OVER one AS usual_t
                      FROM (SELECT device, family, device_id, first_seen_ms,
                                   (SELECT max(time_ms) FROM battery WHERE device = d.device) AS last_b,
                                   (SELECT max(time_ms) FROM temperature WHERE device = d.device) AS last_t,
                                   (SELECT max(time_ms) FROM messages WHERE device = d.device) AS last_m,
                                   NULL AS usual_b, NULL AS usual_t
                              FROM devices AS d
                             UNION ALL
                            SELECT device, family, device_id, NULL, NULL, NULL, NULL,
                                   iif(type = 'bat', usual_ms, NULL), iif(type = 'temp', usual_ms, NULL)
                              FROM usual_intervals)
                    WINDOW one AS (PARTITION BY device, family, device_id))
             WHERE first_seen_ms IS NOT NULL) AS s
     WHERE max(due_ms, ifnull(last_seen_ms, first_seen_ms) + ifnull(usual_ms * 5 / 2, 86400000)) < unixepoch() * 1000;

CREATE VIEW battery_trend AS
    -- How fast each battery discharges, and when it will be empty: one line a device that discharges and is not silent.
    -- The rate is the drop between the means of one day and the next by the time between them, over all pairs of days
    -- without a recharge in or between them: battery_trends has their sums. Devices of which it has too little, or that
    -- do not report every day: the slope of a straight line through the means of the days, fitted to all stretches
    -- between recharges at once. Devices that are recharged too often for either: that of levels in pieces of three
    -- hours, without the pieces that rise. A rise is more than noise: 3.5 points between readings, 1.5 between means of
    -- many. No step adds up more than one device, so that a WHERE on the device seeks it in every table.
    WITH now AS MATERIALIZED (
        SELECT unixepoch() * 1000 AS now_ms, (unixepoch() / 86400 - 30) * 86400000 AS from_ms,
               (unixepoch() - 7 * 86400) * 1000 AS week_ms, (unixepoch() - 3 * 86400) * 1000 AS learnt_ms
    ), lines AS ( -- of 7 days and of 30: rate in percent a day, and the days that it was fitted to
        SELECT d.device, d.family, d.device_id, t.drop_7 / nullif(t.days_7, 0) AS rate_7, t.days_7 AS span_7,
               t.drop_30 / t.days_30 AS rate_30, t.days_30 AS span_30, t.readings AS n, t.recharges,
               t.recharges_7 AS recharges_week, t.recharged_ms, t.until_ms AS since_ms -- later readings are not in it
          FROM now CROSS JOIN devices AS d
         CROSS JOIN battery_trends AS t ON t.device = d.device AND t.days_30 >= 2 AND t.until_ms >= now.learnt_ms
         UNION ALL
        SELECT device, family, device_id, line ->> 0, line ->> 1, line ->> 2, line ->> 3, line ->> 4, line ->> 5,
               line ->> 6, line ->> 7, NULL
          FROM (SELECT d.device, d.family, d.device_id, (
            WITH days AS ( -- one row a day, from the readings
                SELECT g.first_ms, g.last_ms, g.n, g.level, g.lowest, g.highest, f.level_pct AS first, l.level_pct AS last
                  FROM (SELECT count(*) AS n, avg(level_pct) AS level, min(level_pct) AS lowest,
                               max(level_pct) AS highest, min(time_ms) AS first_ms, max(time_ms) AS last_ms
                          FROM battery
                         WHERE device = d.device AND time_ms >= now.from_ms AND level_pct IS NOT NULL
                         GROUP BY time_ms / 86400000) AS g
                 CROSS JOIN battery AS f ON f.device = d.device AND f.time_ms = g.first_ms
                 CROSS JOIN battery AS l ON l.device = d.device AND l.time_ms = g.last_ms
            ), steps AS (
                SELECT first_ms, last_ms, n, level,
                       max(highest - first, last - lowest) > 3.5 + min(n, 100) / 100.0 AS rises,
                       ifnull(first - lag(last) OVER w > 3.5, 0) AS jumps,
                       ifnull(level - lag(level) OVER w > 1.5 + 2.0 / min(n, lag(n) OVER w), 0) AS climbs,
                       -- Much longer than the time to the day before: a recharge may hide in it.
                       ifnull(first_ms - lag(first_ms) OVER w
                              > max(216000000, 3 * (lag(first_ms) OVER w - lag(first_ms, 2) OVER w)), 0) AS hides,
                       ifnull(lag(max(highest - first, last - lowest) > 3.5 + min(n, 100) / 100.0) OVER w, 0) AS rose,
                       -- A recharge that goes on from the day before, without a drop between, is one.
                       ifnull(lag(highest) OVER w - lag(last) OVER w <= 3.5 AND lowest >= lag(last) OVER w - 3.5, 0)
                           AS goes_on
                  FROM days
                WINDOW w AS (ORDER BY first_ms)
            ), points AS ( -- x in days before now; w: a day with more readings is known better
                SELECT first_ms >= now.week_ms AS week, first_ms, last_ms, n, rises, level AS y,
                       iif(rises, NULL, n / (n + 6.0)) AS w,
                       (first_ms / 2 + last_ms / 2 - now.now_ms) / 86400000.0 AS x,
                       rises OR jumps OR (climbs AND NOT rose) AS recharged, rises AND rose AND goes_on AS continues,
                       sum(rises OR rose OR jumps OR climbs OR hides) OVER (ORDER BY first_ms) AS stretch
                  FROM steps
            ), sums AS (
                SELECT stretch, week, sum(w) AS w, sum(w * x) AS wx, sum(w * y) AS wy, sum(w * x * x) AS wxx,
                       sum(w * x * y) AS wxy, min(iif(rises, NULL, x)) AS x_from, max(iif(rises, NULL, x)) AS x_until,
                       sum(iif(rises, NULL, n)) * 1.0 AS n, sum(NOT rises) AS points,
                       sum(recharged AND NOT continues) AS recharges, sum(recharged AND week) AS recharges_week,
                       max(iif(recharged AND NOT rises, first_ms, NULL)) AS jumped_ms, -- between two days
                       max(iif(rises, first_ms, NULL)) AS rise_from_ms, max(iif(rises, last_ms, NULL)) AS rise_until_ms
                  FROM points GROUP BY stretch, week
            ), stretches AS (
                SELECT sum(wxx) - sum(wx) * sum(wx) / sum(w) AS xx, sum(wxy) - sum(wx) * sum(wy) / sum(w) AS xy,
                       max(x_until) - min(x_from) AS span, sum(n) / sum(points) AS n,
                       sum(iif(week, wxx - wx * wx / w, NULL)) AS xx_7, sum(iif(week, wxy - wx * wy / w, NULL)) AS xy_7,
                       sum(iif(week, x_until - x_from, NULL)) AS span_7,
                       sum(recharges) AS recharges, sum(recharges_week) AS recharges_week, max(jumped_ms) AS jumped_ms,
                       max(rise_from_ms) AS rise_from_ms, max(rise_until_ms) AS rise_until_ms
                  FROM sums GROUP BY stretch
            )
            SELECT json_array(rate_7, span_7, rate_30, span_30, n, recharges, recharges_week,
                              nullif(max(ifnull(jumped_ms, 0), -- the highest after the lowest of the last day that rose
                                         ifnull((SELECT e.time_ms FROM battery AS e
                                                  WHERE e.device = d.device AND e.time_ms <= rise_until_ms
                                                    AND e.time_ms >= (
                                                      SELECT time_ms FROM battery
                                                       WHERE device = d.device AND level_pct IS NOT NULL
                                                         AND time_ms BETWEEN rise_from_ms AND rise_until_ms
                                                       ORDER BY level_pct, time_ms LIMIT 1)
                                                  ORDER BY e.level_pct DESC, e.time_ms LIMIT 1), 0)), 0))
              FROM (SELECT -sum(xy_7) / nullif(sum(xx_7), 0) AS rate_7, total(span_7) AS span_7,
                           -sum(xy) / nullif(sum(xx), 0) AS rate_30, total(span) AS span_30, avg(n) AS n,
                           sum(recharges) AS recharges, sum(recharges_week) AS recharges_week,
                           max(jumped_ms) AS jumped_ms, max(rise_from_ms) AS rise_from_ms,
                           max(rise_until_ms) AS rise_until_ms
                      FROM stretches)) AS line
                  FROM now CROSS JOIN devices AS d
                 WHERE NOT EXISTS (SELECT 1 FROM battery_trends
                                    WHERE device = d.device AND days_30 >= 2 AND until_ms >= now.learnt_ms)
                   AND EXISTS (SELECT 1 FROM battery
                                WHERE device = d.device AND time_ms >= now.from_ms AND level_pct IS NOT NULL)
                 GROUP BY d.device, d.family, d.device_id)
    ), rates AS ( -- one row a device, without the silent ones
        SELECT device, family, device_id, since_ms, recharges, risen, recharged_ms,
               CASE WHEN span_7 >= 2 AND rate_7 * span_7 >= 3 + 10 / n THEN rate_7
                    WHEN rate_3h IS NOT NULL THEN rate_3h
                    -- A week says too little of a slow discharge, unless it says that there is none.
                    WHEN span_7 >= 4 AND rate_7 * span_7 < 1 AND (rate_30 - rate_7) * span_7 > 2 THEN NULL
                    WHEN span_30 >= 2 AND rate_30 * span_30 >= 2 THEN rate_30
               END AS pct_per_day,
               iif(span_30 >= 2 AND rate_30 * span_30 >= 2, rate_30, rate_3h) AS pct_per_day_30
          FROM (SELECT *, max(silent) OVER (PARTITION BY device, family, device_id) AS is_silent
                  FROM (SELECT i.*, 0 AS silent,
                               CASE WHEN span_7 < 2 AND recharges_week > 0 THEN -- no two days between recharges
                                   (SELECT iif(total(drop_pct) >= 3,
                                               sum(drop_pct) / nullif(sum(drop_ms), 0) * 86400000.0, NULL)
                                      FROM (SELECT n, lag(level) OVER w - level AS drop_pct,
                                                   at_ms - lag(at_ms) OVER w AS drop_ms, min(n, lag(n) OVER w) AS fewer
                                              FROM (SELECT count(*) AS n, avg(level_pct) AS level,
                                                           avg(time_ms) AS at_ms
                                                      FROM battery
                                                     WHERE device = i.device AND time_ms >= now.week_ms
                                                       AND level_pct IS NOT NULL
                                                     GROUP BY time_ms / 10800000)
                                            WINDOW w AS (ORDER BY at_ms))
                                     WHERE drop_pct >= -1.5 - 2.0 / fewer)
                               END AS rate_3h,
                               ifnull((SELECT level_pct FROM battery -- recharged since
                                        WHERE device = i.device AND time_ms >= since_ms AND level_pct IS NOT NULL
                                        ORDER BY time_ms DESC LIMIT 1)
                                      - (SELECT level_pct FROM battery
                                          WHERE device = i.device AND time_ms < since_ms AND level_pct IS NOT NULL
                                          ORDER BY time_ms DESC LIMIT 1) > 3.5, 0) AS risen
                          FROM now CROSS JOIN lines AS i
                         UNION ALL
                        SELECT device, family, device_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1,
                               NULL, NULL
                          FROM silent_devices))
         WHERE NOT is_silent
    )
    SELECT r.device, r.family, r.device_id, b.level_pct, b.time_ms, datetime(b.time_ms / 1000, 'unixepoch') AS time_utc,
           r.pct_per_day, r.pct_per_day_30,
           max(0.0, b.level_pct / r.pct_per_day - (now.now_ms - b.time_ms) / 86400000.0) AS days_left,
           max(now.now_ms, b.time_ms + CAST(b.level_pct / r.pct_per_day * 86400000 AS INTEGER)) AS empty_ms,
           datetime(max(now.now_ms, b.time_ms + CAST(b.level_pct / r.pct_per_day * 86400000 AS INTEGER)) / 1000,
                    'unixepoch') AS empty_utc,
           r.recharges + r.risen AS recharges_30, r.recharged_ms,
           datetime(r.recharged_ms / 1000, 'unixepoch') AS recharged_utc
      FROM now CROSS JOIN (
        SELECT device, family, device_id, pct_per_day, pct_per_day_30, recharges, risen,
               iif(risen, (SELECT time_ms FROM battery -- the highest level since
                            WHERE device = q.device AND time_ms >= since_ms
                            ORDER BY level_pct DESC, time_ms LIMIT 1), recharged_ms) AS recharged_ms
          FROM rates AS q WHERE pct_per_day > 0) AS r
     CROSS JOIN battery AS b
        ON b.device = r.device
       AND b.time_ms = (SELECT max(time_ms) FROM battery WHERE device = r.device AND level_pct IS NOT NULL);

CREATE VIEW reporting_gaps AS
    -- Where readings are missing: times without a reading longer than two and a half usual intervals of the device, so that
    -- at least two are missing. One that lasts until now has to_ms NULL and open = 1. cause: what explains at least half of
    -- it; a row of `gaps` explains what is between its times, if both are known and something is missing for sure.
    -- day, day_ms: the day in which it ended (today); ask for a range of days by them where there are many.
    -- IN (SELECT ...) in the place of =: with = and one device SQLite reads all readings once, for a Bloom filter.
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
           AND ifnull(r.pause_max_ms, 2 * (r.last_after_ms - r.first_after_ms) / (r.readings - 1))
               > u.usual_ms * 5 / 2
         CROSS JOIN battery_steps AS b
            ON b.device IN (SELECT u.device) AND b.time_ms - b.before_ms > u.usual_ms * 5 / 2
           AND b.time_ms BETWEEN c.from_ms + r.first_after_ms AND c.from_ms + r.last_after_ms
         WHERE u.type = 'bat'
         UNION ALL
        SELECT u.device, u.family, u.device_id, u.type, u.usual_ms, b.before_ms, b.time_ms, c.date, c.from_ms
          FROM usual_intervals AS u
         CROSS JOIN calendar AS c
         CROSS JOIN temperature_days AS r
            ON r.day = c.day AND r.device = u.device
           AND ifnull(r.pause_max_ms, 2 * (r.last_after_ms - r.first_after_ms) / (r.readings - 1))
               > u.usual_ms * 5 / 2
         CROSS JOIN temperature_steps AS b
            ON b.device IN (SELECT u.device) AND b.time_ms - b.before_ms > u.usual_ms * 5 / 2
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
                            ON b.device IN (SELECT u.device) AND b.time_ms - b.before_ms > u.usual_ms * 5 / 2
                           AND b.time_ms >= x.from_ms
                           AND b.time_ms < min(x.until_ms, iif(x.device <= s.device, s.until_ms, s.from_ms))
                         WHERE u.type = 'bat'
                         UNION ALL
                        SELECT u.device, u.family, u.device_id, u.type, u.usual_ms, b.before_ms, b.time_ms
                          FROM rollup_state AS s
                         CROSS JOIN usual_intervals AS u
                         CROSS JOIN rollup_dirty AS x ON x.type = u.type AND x.device = u.device
                         CROSS JOIN temperature_steps AS b
                            ON b.device IN (SELECT u.device) AND b.time_ms - b.before_ms > u.usual_ms * 5 / 2
                           AND b.time_ms >= x.from_ms
                           AND b.time_ms < min(x.until_ms, iif(x.device <= s.device, s.until_ms, s.from_ms))
                         WHERE u.type = 'temp'
                         UNION ALL -- newer than the roll-ups
                        SELECT u.device, u.family, u.device_id, u.type, u.usual_ms, b.before_ms, b.time_ms
                          FROM rollup_state AS s
                         CROSS JOIN usual_intervals AS u
                         CROSS JOIN battery_steps AS b
                            ON b.device IN (SELECT u.device) AND b.time_ms - b.before_ms > u.usual_ms * 5 / 2
                           AND b.time_ms >= iif(u.device <= s.device, s.until_ms, s.from_ms)
                         WHERE u.type = 'bat'
                         UNION ALL
                        SELECT u.device, u.family, u.device_id, u.type, u.usual_ms, b.before_ms, b.time_ms
                          FROM rollup_state AS s
                         CROSS JOIN usual_intervals AS u
                         CROSS JOIN temperature_steps AS b
                            ON b.device IN (SELECT u.device) AND b.time_ms - b.before_ms > u.usual_ms * 5 / 2
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
     CROSS JOIN (SELECT DISTINCT i.*, (SELECT min(time_ms) FROM battery WHERE device = i.device) AS first_ms
                   FROM usual_intervals AS i WHERE i.type = 'bat') AS u -- DISTINCT: once, not for each day
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
     CROSS JOIN (SELECT DISTINCT i.*, (SELECT min(time_ms) FROM temperature WHERE device = i.device) AS first_ms
                   FROM usual_intervals AS i WHERE i.type = 'temp') AS u -- DISTINCT: once, not for each day
        ON u.first_ms < c.until_ms
      LEFT JOIN temperature_days AS r ON r.day = c.number AND r.device = u.device);

CREATE VIEW temperature_excursions AS
    -- When it was warmer or colder than a row of `limits` says, for at least its duration_s. An excursion begins with the
    -- first reading beyond the limit and ends with the first that is back inside it by the hysteresis; one that has no
    -- end yet has to_ms NULL and open = 1. day, day_ms: the day in which it began; ask for a range of days by them where
    -- there are many. Days that stay inside are not read: their roll-ups say so, and where nobody was beyond, the sum of
    -- the day. DISTINCT: so that SQLite finds each end once, and a WHERE still seeks its device and days. IN (SELECT ...):
    -- as in reporting_gaps.
    WITH checks AS ( -- the two sides of each limit; sign: -1 turns cold into warm
        SELECT limit_id, device_id AS for_device, group_name AS for_group, duration_s * 1000 AS least_ms,
               side.column1 AS side, side.column2 AS sign, iif(side.column2 > 0, celsius_max, celsius_min) AS threshold,
               iif(side.column2 > 0, celsius_max, -celsius_min) AS most, -- sign * degrees, as the next
               iif(side.column2 > 0, celsius_max, -celsius_min) - hysteresis AS inside
          FROM limits CROSS JOIN (VALUES ('above', 1), ('below', -1)) AS side
         WHERE iif(side.column2 > 0, celsius_max, celsius_min) IS NOT NULL
    ), beyond AS ( -- readings beyond a limit
        SELECT d.device, d.family, d.device_id, k.limit_id, k.least_ms, k.side, k.sign, k.threshold, k.most, k.inside,
               t.time_ms, c.date AS day, c.from_ms AS day_ms
          FROM checks AS k
         CROSS JOIN calendar AS c
            ON NOT EXISTS (SELECT 1 FROM fleet_days
                            WHERE day = c.day AND device IS NULL
                              AND ifnull(iif(k.sign > 0, celsius_max, -celsius_min) <= k.most, 1))
         CROSS JOIN devices AS d
            ON (k.for_device IS NULL OR d.device_id = k.for_device)
           AND (k.for_group IS NULL
                OR EXISTS (SELECT 1 FROM device_groups WHERE group_name = k.for_group AND device = d.device))
         CROSS JOIN temperature_days AS r
            ON r.day = c.day AND r.device = d.device AND iif(k.sign > 0, r.celsius_max, -r.celsius_min) > k.most
         CROSS JOIN temperature AS t
            ON t.device IN (SELECT d.device) AND t.time_ms >= c.from_ms + r.first_after_ms
           AND t.time_ms <= c.from_ms + r.last_after_ms AND k.sign * t.celsius > k.most
         UNION ALL -- of which there is no roll-up
        SELECT device, family, device_id, limit_id, least_ms, side, sign, threshold, most, inside, time_ms,
               date(day * 86400, 'unixepoch'),
               (SELECT max(from_ms, day * 86400000 - offset_ms) FROM day_offsets
                 WHERE until_ms > day * 86400000 - offset_ms ORDER BY from_ms LIMIT 1)
          FROM (SELECT d.device, d.family, d.device_id, k.*, t.time_ms, x.day
                  FROM rollup_state AS s
                 CROSS JOIN checks AS k
                 CROSS JOIN devices AS d
                    ON (k.for_device IS NULL OR d.device_id = k.for_device)
                   AND (k.for_group IS NULL
                        OR EXISTS (SELECT 1 FROM device_groups WHERE group_name = k.for_group AND device = d.device))
                 CROSS JOIN rollup_dirty AS x ON x.type = 'temp' AND x.device = d.device
                 CROSS JOIN temperature AS t
                    ON t.device IN (SELECT x.device) AND t.time_ms >= x.from_ms
                   AND t.time_ms < min(x.until_ms, iif(x.device <= s.device, s.until_ms, s.from_ms))
                   AND k.sign * t.celsius > k.most
                 UNION ALL
                SELECT d.device, d.family, d.device_id, k.*, t.time_ms,
                       (t.time_ms + (SELECT offset_ms FROM day_offsets WHERE from_ms <= t.time_ms
                                      ORDER BY from_ms DESC LIMIT 1)) / 86400000
                  FROM rollup_state AS s
                 CROSS JOIN checks AS k
                 CROSS JOIN devices AS d
                    ON (k.for_device IS NULL OR d.device_id = k.for_device)
                   AND (k.for_group IS NULL
                        OR EXISTS (SELECT 1 FROM device_groups WHERE group_name = k.for_group AND device = d.device))
                 CROSS JOIN temperature AS t
                    ON t.device IN (SELECT d.device) AND t.time_ms >= iif(d.device <= s.device, s.until_ms, s.from_ms)
                   AND k.sign * t.celsius > k.most)
    ), begins AS ( -- those before which the last reading that says anything was inside
        SELECT DISTINCT o.*,
               (SELECT time_ms FROM temperature
                 WHERE device = o.device AND time_ms > o.time_ms AND o.sign * celsius <= o.inside
                 ORDER BY time_ms LIMIT 1) AS to_ms
          FROM beyond AS o
         WHERE ifnull((SELECT o.sign * celsius <= o.inside FROM temperature
                        WHERE device = o.device AND time_ms < o.time_ms
                          AND (o.sign * celsius <= o.inside OR o.sign * celsius > o.most)
                        ORDER BY time_ms DESC LIMIT 1), 1)
    )
    SELECT device, family, device_id, limit_id, side, threshold,
           time_ms AS from_ms, datetime(time_ms / 1000, 'unixepoch') AS from_utc,
           to_ms, datetime(to_ms / 1000, 'unixepoch') AS to_utc,
           ifnull(to_ms, unixepoch() * 1000) - time_ms AS duration_ms,
           (SELECT sign * max(sign * celsius) FROM temperature
             WHERE device = g.device AND time_ms >= g.time_ms AND time_ms < ifnull(g.to_ms, 9223372036854775807))
               AS celsius_extreme,
           to_ms IS NULL AS open, day, day_ms
      FROM begins AS g
     WHERE ifnull(to_ms, unixepoch() * 1000) - time_ms >= least_ms;

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
    SELECT g.group_name, c.day, c.day_ms, count(DISTINCT coalesce(r.device, h.device, b.device, t.device)) AS devices,
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
     WHERE NOT EXISTS (SELECT 1 FROM fleet_days WHERE day = c.number AND device IS NULL AND grouped)
       AND CASE k.column1 WHEN 1 THEN EXISTS (SELECT 1 FROM battery_days WHERE day = c.number)
                          WHEN 2 THEN EXISTS (SELECT 1 FROM temperature_days WHERE day = c.number)
                          ELSE c.until_ms > s.from_ms OR c.number IN (SELECT day FROM rollup_dirty) END
     GROUP BY g.group_name, c.day, c.day_ms
    HAVING devices > 0;

CREATE VIEW fleet_daily AS
    -- The same of all devices, whatever their groups: days that are added up already; others of the calendar; and those
    -- of which nothing is rolled up yet.
    SELECT c.date AS day, c.from_ms AS day_ms, f.devices, f.battery_readings, f.level_pct_min,
           f.level_pct_sum / f.level_pct_count AS level_pct_avg, f.voltage_v_min, f.temperature_readings, f.celsius_min,
           f.celsius_sum / f.celsius_count AS celsius_avg, f.celsius_max
      FROM calendar AS c
     CROSS JOIN fleet_days AS f ON f.day = c.day AND f.device IS NULL AND f.devices > 0
     UNION ALL
    SELECT c.date AS day, c.from_ms AS day_ms,
           count(DISTINCT coalesce(r.device, h.device, b.device, t.device)) AS devices,
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
     CROSS JOIN (VALUES (1), (2), (3), (4)) AS k -- a reading once: in a roll-up, or by itself; NULL finds nothing
      LEFT JOIN battery_days AS r ON r.day = iif(k.column1 = 1, c.day, NULL)
      LEFT JOIN temperature_days AS h ON h.day = iif(k.column1 = 2, c.day, NULL)
      LEFT JOIN devices AS g ON g.device > iif(k.column1 > 2, -9223372036854775808, NULL)
      LEFT JOIN battery AS b
        ON b.device = iif(k.column1 = 3, g.device, NULL) AND b.time_ms < c.until_ms
       AND b.time_ms >= iif(EXISTS (SELECT 1 FROM rollup_dirty WHERE type = 'bat'
                                               AND device = g.device AND day = c.day),
                            c.from_ms, max(c.from_ms, iif(g.device <= s.device, s.until_ms, s.from_ms)))
      LEFT JOIN temperature AS t
        ON t.device = iif(k.column1 = 4, g.device, NULL) AND t.time_ms < c.until_ms
       AND t.time_ms >= iif(EXISTS (SELECT 1 FROM rollup_dirty WHERE type = 'temp'
                                               AND device = g.device AND day = c.day),
                            c.from_ms, max(c.from_ms, iif(g.device <= s.device, s.until_ms, s.from_ms)))
     WHERE NOT EXISTS (SELECT 1 FROM fleet_days WHERE day = c.day AND device IS NULL)
       AND CASE k.column1 WHEN 1 THEN EXISTS (SELECT 1 FROM battery_days WHERE day = c.day)
                          WHEN 2 THEN EXISTS (SELECT 1 FROM temperature_days WHERE day = c.day)
                          ELSE c.until_ms > s.from_ms OR c.day IN (SELECT day FROM rollup_dirty) END
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
