-- The readings of a large fleet in Citus, beside the database of the daemons: tables distributed by device, filled by
-- foxtrackr_to_citus() from the daemons' database.
--
-- TESTED WITH A STAND-IN ONLY: Debian has no package of Citus, so tests/system/test_postgresql_roles.py runs this file with a
-- function of its own in the place of create_distributed_table().
--
-- Why the daemons do not store into distributed tables themselves: to tell a new row from one that was there, they compare the
-- row's xmin with their own transaction, and a row of a distributed table has the xmin of a worker's transaction. Locks and
-- temporary tables are the coordinator's, too. So a daemon's database is a plain PostgreSQL, which takes what few machines
-- can send (README, When one machine is not enough), and Citus is for what is asked of years of it.
--
-- On the coordinator, with a foreign server to the daemons' database:
--     CREATE EXTENSION postgres_fdw;
--     CREATE SERVER fleet FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'db.example.org', dbname 'fleet', sslmode 'verify-full');
--     CREATE USER MAPPING FOR CURRENT_USER SERVER fleet OPTIONS (user 'ana', password '...');  -- of foxtrackr_readers
--     CREATE SCHEMA fleet;
--     IMPORT FOREIGN SCHEMA public LIMIT TO (devices, battery, temperature) FROM SERVER fleet INTO fleet;
--     psql -v ON_ERROR_STOP=1 -1 -f citus.sql
-- and, every few minutes, SELECT foxtrackr_to_citus();
--
-- A reading is copied once it is an hour old by its arrival: by then its transaction has ended. The copy is idempotent.

CREATE TABLE devices (device bigint PRIMARY KEY, family text NOT NULL, device_id text NOT NULL, first_seen_ms bigint NOT NULL);
CREATE TABLE battery (
    device bigint NOT NULL, time_ms bigint NOT NULL, voltage_v double precision, level_pct double precision,
    message_type bigint NOT NULL, extra json, received_ms bigint NOT NULL, PRIMARY KEY (device, time_ms));
CREATE TABLE temperature (
    device bigint NOT NULL, time_ms bigint NOT NULL, celsius double precision,
    message_type bigint NOT NULL, extra json, received_ms bigint NOT NULL, PRIMARY KEY (device, time_ms));
CREATE TABLE copied (single boolean PRIMARY KEY DEFAULT true CHECK (single), until_ms bigint NOT NULL);
INSERT INTO copied (until_ms) VALUES (0);

SELECT create_reference_table('devices');
SELECT create_distributed_table('battery', 'device');
SELECT create_distributed_table('temperature', 'device', colocate_with => 'battery');

CREATE FUNCTION foxtrackr_to_citus() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    from_ms bigint := (SELECT until_ms FROM copied FOR UPDATE);
    to_ms   bigint := extract(epoch FROM now() - interval '1 hour')::bigint * 1000;
    moved   bigint := 0;
    here    bigint;
BEGIN
    INSERT INTO devices SELECT device, family, device_id, first_seen_ms FROM fleet.devices ON CONFLICT DO NOTHING;
    INSERT INTO battery SELECT device, time_ms, voltage_v, level_pct, message_type, extra, received_ms
        FROM fleet.battery WHERE received_ms >= from_ms AND received_ms < to_ms ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS here = ROW_COUNT;
    moved := moved + here;
    INSERT INTO temperature SELECT device, time_ms, celsius, message_type, extra, received_ms
        FROM fleet.temperature WHERE received_ms >= from_ms AND received_ms < to_ms ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS here = ROW_COUNT;
    moved := moved + here;
    UPDATE copied SET until_ms = to_ms;
    RETURN moved;
END $$;
