-- Roles of a database of foxtrackrd. As an administrator, in that database, once; running it again changes nothing:
--     sudo -u postgres psql -d fleet -f roles.sql
--
-- foxtrackrd          owns the database: the daemons, and foxtrackrctl. Daemons that share a database share this role,
--                     because one must see and end the connection of another that has stopped.
-- foxtrackr_readers   may read every table and view, also those that come later, and nothing else. Nobody logs in as it:
--                     CREATE ROLE ana LOGIN PASSWORD '...' IN ROLE foxtrackr_readers;
--                     ALTER ROLE ana SET default_transaction_read_only = on;  -- so that a slip of the hand is an error
--                     ALTER ROLE ana SET statement_timeout = '10min';         -- a long query keeps old months from going
--                     ALTER ROLE ana SET idle_in_transaction_session_timeout = '1min';

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'foxtrackrd') THEN
        CREATE ROLE foxtrackrd LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'foxtrackr_readers') THEN
        CREATE ROLE foxtrackr_readers NOLOGIN;
    END IF;
    EXECUTE format('ALTER DATABASE %I OWNER TO foxtrackrd', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO foxtrackr_readers', current_database());
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO foxtrackr_readers;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO foxtrackr_readers;
-- What the daemon makes later: months, typed views, tables of a newer version.
ALTER DEFAULT PRIVILEGES FOR ROLE foxtrackrd IN SCHEMA public GRANT SELECT ON TABLES TO foxtrackr_readers;
