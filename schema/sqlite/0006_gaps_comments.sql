-- The table `gaps` anew, so that `.schema gaps` names every reason there is. It has a row for each time
-- that a session was lost, so this takes no time in a database of any size.

-- Only the table gets the other name: views that people added go on reading `gaps`, and one that does
-- not work any more does not stand in the way.
PRAGMA legacy_alter_table = ON;
ALTER TABLE gaps RENAME TO gaps_5;
PRAGMA legacy_alter_table = OFF;

CREATE TABLE gaps (
    -- Times for which data may be missing: the broker lost a session and the queue in it, another broker
    -- was configured, or an earlier state of the database was put in its place.
    client_id       TEXT NOT NULL,     -- MQTT client id of the session
    last_durable_ms INTEGER,           -- until when nothing is missing; ms, our clock; NULL: unknown
    resumed_ms      INTEGER NOT NULL,  -- when messages could come again; ms, our clock
    reason          TEXT NOT NULL,     -- session lost, session uncertain, broker changed, restored or
                                       -- older database
    PRIMARY KEY (client_id, resumed_ms)
) STRICT;

INSERT INTO gaps (client_id, last_durable_ms, resumed_ms, reason)
SELECT client_id, last_durable_ms, resumed_ms, reason FROM gaps_5;

DROP TABLE gaps_5;
