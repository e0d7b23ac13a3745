-- The version of MQTT that a broker speaks is known per broker and client id, so a daemon that may use
-- MQTT 5 does not have to ask again at every start. `sessions` is made anew, so that `.schema sessions`
-- explains the new columns too. It has a row a client id and broker, so this takes no time.

-- Only the table gets the other name: views that people added go on reading `sessions`, and one that does
-- not work any more does not stand in the way.
PRAGMA legacy_alter_table = ON;
ALTER TABLE sessions RENAME TO sessions_6;
PRAGMA legacy_alter_table = OFF;

CREATE TABLE sessions (
    -- The daemon's memory: one row a client id and broker.
    client_id       TEXT NOT NULL,  -- MQTT client id
    broker          TEXT NOT NULL,  -- host:port, as configured
    established_ms  INTEGER, -- when the broker last made the session; ms, our clock; NULL: none known
    last_durable_ms INTEGER, -- last commit with data of this session; ms, our clock; NULL: none yet
    connected_ms    INTEGER, -- when the daemon last had a session there; ms, our clock; NULL: not known
    connecting      INTEGER NOT NULL DEFAULT 0, -- 1: a CONNECT was sent and its outcome is not known
    protocol        INTEGER, -- version of MQTT of the last connection: 5, or 4 for 3.1.1; NULL: not known
    protocol_asked_ms INTEGER, -- when MQTT 5 was last asked for there; ms, our clock; NULL: never
    PRIMARY KEY (client_id, broker)
) STRICT;

INSERT INTO sessions (client_id, broker, established_ms, last_durable_ms, connected_ms, connecting)
SELECT client_id, broker, established_ms, last_durable_ms, connected_ms, connecting FROM sessions_6;

DROP TABLE sessions_6;
