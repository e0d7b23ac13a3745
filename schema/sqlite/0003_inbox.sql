-- What a catch-up needs: a place where messages are on disk before they are sorted into the tables.

CREATE TABLE inbox (
    -- Messages on their way into the tables above. Only a catch-up has some here, each for seconds:
    -- they come faster than rows can be put in places all over the file, and are sorted first.
    -- They are acknowledged; runs counts them when they are in their tables, or in quarantine.
    n           INTEGER PRIMARY KEY, -- counts up in the order of arrival
    device      INTEGER NOT NULL,    -- which one the topic names; 4294967295: none that is known
    client_id   TEXT NOT NULL,       -- MQTT client id of the session that they came through
    topic       TEXT NOT NULL,       -- as it came
    payload     BLOB NOT NULL,       -- as it came
    received_ms INTEGER NOT NULL     -- when it arrived; ms, our clock
) STRICT;

CREATE TABLE inbox_position (
    -- The daemon's memory, one row: how far the inbox is sorted in. Before first_n everything is,
    -- after last_n nothing. What is between them goes in the order of device and n.
    only    INTEGER PRIMARY KEY CHECK (only = 1), -- there is no second row
    first_n INTEGER NOT NULL, -- first message of those that are being sorted in
    last_n  INTEGER NOT NULL, -- last one of them
    device  INTEGER NOT NULL, -- those up to this device and n are done
    n       INTEGER NOT NULL  -- 0: none of them is
) STRICT;

INSERT INTO inbox_position (only, first_n, last_n, device, n) VALUES (1, 1, 0, 0, 0);
