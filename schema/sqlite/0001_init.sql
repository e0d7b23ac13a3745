-- The first schema: see README.md in this directory for the data dictionary and for queries.
-- The comments stand inside the statements so that `.schema` of the sqlite3 shell shows them.

CREATE TABLE devices (
    -- One row a tracker, made when its first message arrives.
    device        INTEGER PRIMARY KEY, -- this database's own number for it, used by every other table
    family        TEXT NOT NULL,       -- first topic level in lower case, e.g. foxtrackr
    device_id     TEXT NOT NULL,       -- deviceId of the message body: the tracker's name
    first_seen_ms INTEGER NOT NULL,    -- when its first message arrived; ms since 1970 UTC, our clock
    UNIQUE (family, device_id)
) STRICT;

CREATE TABLE device_groups (
    -- A device in a group is published on the group's topic too: one row a device and group.
    group_name    TEXT NOT NULL,       -- second topic level, where it is not the deviceId of the body
    device        INTEGER NOT NULL REFERENCES devices (device),
    first_seen_ms INTEGER NOT NULL,    -- when its first message on that topic arrived; ms, our clock
    PRIMARY KEY (group_name, device)
) STRICT;

CREATE INDEX device_groups_by_device ON device_groups (device);

CREATE TABLE battery (
    -- One row a battery reading (topics family/+/V3.x/bat). A device has one reading for a time.
    device       INTEGER NOT NULL REFERENCES devices (device),
    time_ms      INTEGER NOT NULL,     -- timeMs of the body: when it was measured; ms, device clock
    voltage_v    REAL,                 -- volts; NULL: not in the message
    level_pct    REAL,                 -- state of charge, percent 0 to 100; NULL: not in the message
    message_type INTEGER NOT NULL,     -- messageType of the body
    extra        TEXT,                 -- JSON: what has no column, in its place; NULL: nothing
    received_ms  INTEGER NOT NULL,     -- when the message arrived; ms, our clock
    PRIMARY KEY (device, time_ms)
) STRICT, WITHOUT ROWID;

CREATE TABLE temperature (
    -- One row a temperature reading (topics family/+/V3.x/temp).
    device       INTEGER NOT NULL REFERENCES devices (device),
    time_ms      INTEGER NOT NULL,     -- timeMs of the body: when it was measured; ms, device clock
    celsius      REAL,                 -- degrees Celsius; NULL: not in the message
    message_type INTEGER NOT NULL,     -- messageType of the body
    extra        TEXT,                 -- JSON: what has no column, in its place; NULL: nothing
    received_ms  INTEGER NOT NULL,     -- when the message arrived; ms, our clock
    PRIMARY KEY (device, time_ms)
) STRICT, WITHOUT ROWID;

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
    PRIMARY KEY (device, type, time_ms, digest)
) STRICT;

CREATE INDEX messages_by_time ON messages (device, time_ms);

CREATE TABLE quarantine (
    -- Messages that could not be understood, byte for byte. Nothing is thrown away.
    digest            BLOB PRIMARY KEY NOT NULL, -- SHA-256 of topic length (8 bytes, big endian),
                                                 -- topic and payload
    topic             ANY NOT NULL,     -- TEXT; a BLOB where the topic is not valid UTF-8
    payload           BLOB NOT NULL,    -- as it came; only its beginning where reason is oversize
    reason            TEXT NOT NULL,    -- topic, version, encoding, json, envelope, body, time,
                                        -- conflict or oversize
    detail            TEXT NOT NULL,    -- what exactly is wrong, a sentence
    first_received_ms INTEGER NOT NULL, -- when it arrived first; ms, our clock
    last_received_ms  INTEGER NOT NULL, -- when it arrived last; reason and detail are of then
    occurrences       INTEGER NOT NULL  -- how often it arrived
) STRICT;

CREATE TABLE gaps (
    -- Times for which data may be missing: the broker lost a session and the queue in it.
    client_id       TEXT NOT NULL,     -- MQTT client id of the session
    last_durable_ms INTEGER,           -- last commit with data of this session; ms, our clock; NULL: unknown
    resumed_ms      INTEGER NOT NULL,  -- when the broker made a new session; ms, our clock
    reason          TEXT NOT NULL,     -- session lost, session uncertain
    PRIMARY KEY (client_id, resumed_ms)
) STRICT;

CREATE TABLE runs (
    -- One row a run of the daemon: where every message went.
    run         INTEGER PRIMARY KEY,       -- counts up
    started_ms  INTEGER NOT NULL,          -- ms, our clock
    stopped_ms  INTEGER,                   -- ms, our clock; NULL: still running, or it was killed
    version     TEXT NOT NULL,             -- version of foxtrackrd
    received    INTEGER NOT NULL DEFAULT 0, -- messages; always stored + duplicate + quarantined
    stored      INTEGER NOT NULL DEFAULT 0, -- became at least one new row
    duplicate   INTEGER NOT NULL DEFAULT 0, -- their rows were there, with the same values
    quarantined INTEGER NOT NULL DEFAULT 0, -- are in quarantine
    CHECK (received = stored + duplicate + quarantined)
) STRICT;

CREATE TABLE sessions (
    -- The daemon's memory: one row a client id.
    client_id       TEXT NOT NULL PRIMARY KEY, -- MQTT client id
    established_ms  INTEGER, -- when the broker last made the session; ms, our clock; NULL: none known
    last_durable_ms INTEGER, -- last commit with data of this session; ms, our clock; NULL: none yet
    connecting      INTEGER NOT NULL DEFAULT 0 -- 1: a CONNECT was sent and its outcome is not known
) STRICT;

CREATE TABLE subscriptions (
    -- The daemon's memory: the subscriptions that the broker holds for us.
    client_id     TEXT NOT NULL,       -- MQTT client id
    filter        TEXT NOT NULL,       -- topic filter, e.g. foxtrackr/#
    qos           INTEGER NOT NULL,    -- as granted: 0, 1 or 2
    subscribed_ms INTEGER NOT NULL,    -- when it was last granted; ms, our clock
    PRIMARY KEY (client_id, filter)
) STRICT;

CREATE VIEW battery_latest AS
    -- The newest battery reading of each device.
    SELECT d.device, d.family, d.device_id,
           b.time_ms, datetime(b.time_ms / 1000, 'unixepoch') AS time_utc,
           b.voltage_v, b.level_pct, b.message_type, b.extra,
           b.received_ms, datetime(b.received_ms / 1000, 'unixepoch') AS received_utc
      FROM devices AS d
     CROSS JOIN battery AS b -- CROSS: devices first, then one seek in the primary key for each
        ON b.device = d.device
       AND b.time_ms = (SELECT max(time_ms) FROM battery WHERE device = d.device);

CREATE VIEW temperature_latest AS
    -- The newest temperature reading of each device.
    SELECT d.device, d.family, d.device_id,
           t.time_ms, datetime(t.time_ms / 1000, 'unixepoch') AS time_utc,
           t.celsius, t.message_type, t.extra,
           t.received_ms, datetime(t.received_ms / 1000, 'unixepoch') AS received_utc
      FROM devices AS d
     CROSS JOIN temperature AS t -- CROSS: devices first, then one seek in the primary key for each
        ON t.device = d.device
       AND t.time_ms = (SELECT max(time_ms) FROM temperature WHERE device = d.device);

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

CREATE VIEW battery_daily AS
    -- Battery readings of each device by day (UTC, the device's clock).
    SELECT d.device, d.family, d.device_id,
           b.time_ms / 86400000 * 86400000 AS day_ms,
           date(b.time_ms / 1000, 'unixepoch') AS day_utc,
           count(*) AS readings,
           min(b.voltage_v) AS voltage_v_min, avg(b.voltage_v) AS voltage_v_avg,
           max(b.voltage_v) AS voltage_v_max,
           min(b.level_pct) AS level_pct_min, avg(b.level_pct) AS level_pct_avg,
           max(b.level_pct) AS level_pct_max
      FROM devices AS d
     CROSS JOIN battery AS b ON b.device = d.device
     -- Number and name, so that a WHERE on either narrows the search itself.
     GROUP BY d.device, d.family, d.device_id, b.time_ms / 86400000;

CREATE VIEW temperature_daily AS
    -- Temperature readings of each device by day (UTC, the device's clock).
    SELECT d.device, d.family, d.device_id,
           t.time_ms / 86400000 * 86400000 AS day_ms,
           date(t.time_ms / 1000, 'unixepoch') AS day_utc,
           count(*) AS readings,
           min(t.celsius) AS celsius_min, avg(t.celsius) AS celsius_avg,
           max(t.celsius) AS celsius_max
      FROM devices AS d
     CROSS JOIN temperature AS t ON t.device = d.device
     -- Number and name, so that a WHERE on either narrows the search itself.
     GROUP BY d.device, d.family, d.device_id, t.time_ms / 86400000;
