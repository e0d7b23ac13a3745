-- The readings as hypertables of TimescaleDB in the place of monthly partitions: for compression and continuous
-- aggregates, on an empty database.
--
-- TESTED WITH A STAND-IN ONLY: Debian 12 and 13 have no package of TimescaleDB, so tests/system/test_postgresql_roles.py runs
-- this file with functions of its own in the place of the extension's: the daemon then stores in tables without partitions.
-- That a hypertable behaves as such a table is TimescaleDB's documentation: a unique key with the time column, INSERT ... ON
-- CONFLICT DO NOTHING, and chunks that are local tables, whose xmin is that of the transaction. Try it with your own load.
--
-- Start foxtrackrd once, which makes the schema, stop it, and:
--     sudo -u postgres psql -d fleet -c 'CREATE EXTENSION timescaledb'
--     psql -d fleet -U foxtrackrd -v ON_ERROR_STOP=1 -1 -f timescale.sql
--
-- Retention (database.retention_days) then deletes rows; drop_chunks() is faster, and the table expired does not know of it.

DO $$
BEGIN
    IF EXISTS (SELECT FROM battery) OR EXISTS (SELECT FROM temperature) OR EXISTS (SELECT FROM messages) THEN
        RAISE EXCEPTION 'there are readings already: this file is for an empty database';
    END IF;
END $$;

-- A partitioned table cannot become a plain one: its views are kept aside, and made again.
CREATE TEMPORARY TABLE kept_view ON COMMIT DROP AS
    SELECT row_number() OVER (ORDER BY c.oid) AS n, c.relname, pg_get_viewdef(c.oid) AS definition,
           obj_description(c.oid, 'pg_class') AS comment
      FROM pg_class AS c
     WHERE c.relkind = 'v' AND c.relnamespace = current_schema()::regnamespace AND c.relname <> 'foxtrackr_partitions';
CREATE TEMPORARY TABLE kept_comment ON COMMIT DROP AS
    SELECT c.relname, a.attname, col_description(c.oid, a.attnum) AS comment
      FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relnamespace = current_schema()::regnamespace AND col_description(c.oid, a.attnum) IS NOT NULL
       AND (c.relkind = 'v' OR c.relname IN ('battery', 'temperature', 'messages'));

DO $$
DECLARE
    parent     text;
    one        record;
    comment    text;
    of_helpers text := obj_description('foxtrackr_partitions'::regclass, 'pg_class');
BEGIN
    FOR one IN SELECT relname FROM kept_view ORDER BY n DESC LOOP
        EXECUTE format('DROP VIEW %I', one.relname);
    END LOOP;
    DROP VIEW foxtrackr_partitions;
    FOREACH parent IN ARRAY ARRAY['battery', 'temperature', 'messages'] LOOP
        comment := obj_description(to_regclass(parent), 'pg_class');
        EXECUTE format('ALTER TABLE %I RENAME TO %I', parent, parent || '_parts');
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', parent, parent || '_parts');
        EXECUTE format('DROP TABLE %I', parent || '_parts');
        EXECUTE format('COMMENT ON TABLE %I IS %L', parent, comment);
    END LOOP;
    -- One that holds everything: so the daemon makes no months, and deletes rows in the place of dropping them.
    EXECUTE 'CREATE VIEW foxtrackr_partitions AS
        SELECT t.name AS parent, t.name, to_regclass(t.name)::oid AS relation, NULL::bigint AS from_ms,
               NULL::bigint AS until_ms, false AS detaching
          FROM (VALUES (''battery''), (''temperature''), (''messages'')) AS t (name)';
    EXECUTE format('COMMENT ON VIEW foxtrackr_partitions IS %L', of_helpers);
    FOR one IN SELECT relname, definition, kept_view.comment FROM kept_view ORDER BY n LOOP
        EXECUTE format('CREATE VIEW %I AS %s', one.relname, one.definition);
        IF one.comment IS NOT NULL THEN
            EXECUTE format('COMMENT ON VIEW %I IS %L', one.relname, one.comment);
        END IF;
    END LOOP;
    FOR one IN SELECT * FROM kept_comment LOOP
        EXECUTE format('COMMENT ON COLUMN %I.%I IS %L', one.relname, one.attname, one.comment);
    END LOOP;
END $$;

SELECT create_hypertable('battery', 'time_ms', chunk_time_interval => 2592000000);
SELECT create_hypertable('temperature', 'time_ms', chunk_time_interval => 2592000000);
SELECT create_hypertable('messages', 'time_ms', chunk_time_interval => 2592000000);
