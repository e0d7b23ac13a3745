-- What the daemon remembers of a session belongs to a broker and a client id, not to the client id alone:
-- another broker has another queue and other subscriptions. The rows that are there get an empty
-- broker; the daemon puts the configured one in its place when it opens the database.

-- Only the tables get other names: views that people added go on reading the new ones, and one that does
-- not work any more does not stand in the way.
PRAGMA legacy_alter_table = ON;
ALTER TABLE sessions RENAME TO sessions_4;
ALTER TABLE subscriptions RENAME TO subscriptions_4;
PRAGMA legacy_alter_table = OFF;

CREATE TABLE sessions (
    -- The daemon's memory: one row a client id and broker.
    client_id       TEXT NOT NULL,  -- MQTT client id
    broker          TEXT NOT NULL,  -- host:port, as configured
    established_ms  INTEGER, -- when the broker last made the session; ms, our clock; NULL: none known
    last_durable_ms INTEGER, -- last commit with data of this session; ms, our clock; NULL: none yet
    connected_ms    INTEGER, -- when the daemon last had a session there; ms, our clock; NULL: not known
    connecting      INTEGER NOT NULL DEFAULT 0, -- 1: a CONNECT was sent and its outcome is not known
    PRIMARY KEY (client_id, broker)
) STRICT;

INSERT INTO sessions (client_id, broker, established_ms, last_durable_ms, connecting)
SELECT client_id, '', established_ms, last_durable_ms, connecting FROM sessions_4;

DROP TABLE sessions_4;

CREATE TABLE subscriptions (
    -- The daemon's memory: the subscriptions that a broker was last seen to grant. What it holds now
    -- only the broker knows: the daemon subscribes again at every connection.
    client_id     TEXT NOT NULL,       -- MQTT client id
    broker        TEXT NOT NULL,       -- host:port, as configured
    filter        TEXT NOT NULL,       -- topic filter, e.g. foxtrackr/#
    qos           INTEGER NOT NULL,    -- as granted: 0, 1 or 2
    subscribed_ms INTEGER NOT NULL,    -- when this was first granted; ms, our clock
    PRIMARY KEY (client_id, broker, filter)
) STRICT;

INSERT INTO subscriptions (client_id, broker, filter, qos, subscribed_ms)
SELECT client_id, '', filter, qos, subscribed_ms FROM subscriptions_4;

DROP TABLE subscriptions_4;
