-- What retention needs: a record of what it deleted, and old rows found and deleted with less work.
-- The first statement says what the others will cost: the rows that are written anew, and the bytes
-- that have to be free for it. Of each row the log holds the new pages and the old, and the file
-- grows by the new ones before the old ones are free.

SELECT count(*) AS rows, ifnull(sum(length(CAST(body AS BLOB)) + 150), 0) * 3 AS bytes FROM messages;

CREATE TABLE expired (
    -- What retention has deleted: one row a run of the daemon and table that it deleted from.
    run        INTEGER NOT NULL REFERENCES runs (run), -- the run that deleted them
    table_name TEXT NOT NULL,    -- battery, temperature, messages or quarantine
    row_count  INTEGER NOT NULL, -- rows deleted in that run
    before_ms  INTEGER NOT NULL, -- all of them were older than this; ms, our clock
    last_ms    INTEGER NOT NULL, -- when the last of them were deleted; ms, our clock
    PRIMARY KEY (run, table_name)
) STRICT, WITHOUT ROWID;

CREATE INDEX quarantine_by_time ON quarantine (last_received_ms);

-- messages: one index instead of two. Its key begins with device and time, so that it also does what
-- messages_by_time did, and the rows of a device stand together.

DROP VIEW fleet;

-- Only the table gets the other name: views that people added go on reading `messages`, and one that
-- does not work any more does not stand in the way.
PRAGMA legacy_alter_table = ON;
ALTER TABLE messages RENAME TO messages_1;
PRAGMA legacy_alter_table = OFF;

CREATE TABLE messages (
    -- Every other type of message, whole. Read into it with body ->> '$.path'.
    device       INTEGER NOT NULL REFERENCES devices (device),
    type         TEXT NOT NULL,        -- last topic level, e.g. gps
    time_ms      INTEGER NOT NULL,     -- timeMs of the body; ms, device clock
    version      TEXT NOT NULL,        -- third topic level, e.g. V3.0
    message_type INTEGER NOT NULL,     -- messageType of the body
    body         TEXT NOT NULL,        -- the payload: JSON, as it came
    digest       BLOB NOT NULL,        -- SHA-256 of the payload: a repeated message is one row
    received_ms  INTEGER NOT NULL,     -- when the message arrived; ms, our clock
    PRIMARY KEY (device, time_ms, type, digest)
) STRICT;

-- In the order of the new index, which then only grows at its end.
INSERT INTO messages (device, type, time_ms, version, message_type, body, digest, received_ms)
SELECT device, type, time_ms, version, message_type, body, digest, received_ms
  FROM messages_1
 ORDER BY device, time_ms;

DROP TABLE messages_1;

CREATE VIEW fleet AS
    -- One line a device: who it is, when it was last heard of, and its newest values.
    -- last_seen is the newest time_ms in battery, temperature and messages (the device's clock).
    SELECT device, family, device_id, groups,
           first_seen_ms, datetime(first_seen_ms / 1000, 'unixepoch') AS first_seen_utc,
           last_seen_ms, datetime(last_seen_ms / 1000, 'unixepoch') AS last_seen_utc,
           battery_time_ms, datetime(battery_time_ms / 1000, 'unixepoch') AS battery_time_utc,
           voltage_v, level_pct,
           temperature_time_ms,
           datetime(temperature_time_ms / 1000, 'unixepoch') AS temperature_time_utc,
           celsius
      FROM (SELECT d.device, d.family, d.device_id, d.first_seen_ms,
                   (SELECT group_concat(group_name, ', ')
                      FROM (SELECT group_name FROM device_groups
                             WHERE device = d.device ORDER BY group_name)) AS groups,
                   nullif(max(ifnull(b.time_ms, 0), ifnull(t.time_ms, 0),
                              ifnull((SELECT max(time_ms) FROM messages
                                       WHERE device = d.device), 0)),
                          0) AS last_seen_ms,
                   b.time_ms AS battery_time_ms, b.voltage_v, b.level_pct,
                   t.time_ms AS temperature_time_ms, t.celsius
              FROM devices AS d
              LEFT JOIN battery AS b
                ON b.device = d.device
               AND b.time_ms = (SELECT max(time_ms) FROM battery WHERE device = d.device)
              LEFT JOIN temperature AS t
                ON t.device = d.device
               AND t.time_ms = (SELECT max(time_ms) FROM temperature WHERE device = d.device));
