"""The SQL files for an administrator of PostgreSQL, and the configurations for two machines and three."""

import os
import re

import pytest

import fleet
from foxtrackrd import foxtrackrctl
from harness import FOXTRACKRD, ROOT, run, wait_until
from test_postgresql import cluster, fixture_pg, sections  # noqa: F401: fixtures

SCHEMA = ROOT / "schema" / "postgresql"


def test_readers_read_and_nothing_else(broker, make_daemon, pg, cluster):
    """Goal: roles.sql lets analysts read every table and view, also what comes later, and change nothing; a role
    that is no reader cannot even connect. It can be run again."""
    daemon = make_daemon(broker, **sections(pg)).start()
    for _ in range(2):
        cluster.psql((SCHEMA / "roles.sql").read_text(), pg.name)
    cluster.psql("CREATE ROLE ana LOGIN IN ROLE foxtrackr_readers; CREATE ROLE stranger LOGIN")
    broker.publish("foxtrackr/r1/V3.0/bat", fleet.battery("r1", 1_300_000_000_000))  # long before the first month
    wait_until(lambda: pg.received() == 1, timeout=30, what="the message")
    daemon.stop()
    cluster.psql("CREATE VIEW later AS SELECT 1 AS one; SELECT foxtrackr_add_month('battery', 2500000000000)",
                 pg.name, "foxtrackrd")
    names = [name for name, in pg.rows("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                                       " AND relkind IN ('r', 'p', 'v')")]
    assert {"battery", "later", "quarantine", "sessions", "battery_2049_03"} <= set(names)
    cluster.psql("".join(f"SELECT * FROM {name} LIMIT 1;" for name in names), pg.name, "ana")
    assert cluster.psql("SELECT count(*) FROM battery", pg.name, "ana").split()[1] == "1"
    for statement in ("DELETE FROM runs", "UPDATE battery SET level_pct = 1", "CREATE TABLE mine (a int)",
                      "CREATE TEMPORARY TABLE mine (a int)", "TRUNCATE quarantine", "DROP VIEW later",
                      "INSERT INTO limits (celsius_max) VALUES (1)", "SELECT * FROM pg_authid",
                      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
                      "SET ROLE foxtrackrd"):
        with pytest.raises(RuntimeError, match="permission denied|must be"):
            cluster.psql(statement, pg.name, "ana")
    with pytest.raises(RuntimeError, match="permission denied for database"):
        cluster.psql("SELECT 1", pg.name, "stranger")
    daemon.configure(database={"uri": pg.uri.replace("foxtrackrd", "ana")})
    checked = foxtrackrctl(daemon, "check", check=False).stdout
    assert 'the role "ana" may not create tables: name the role "foxtrackrd" in database.uri' in checked, checked
    cluster.psql("DROP ROLE ana; DROP ROLE stranger")


def test_tables_without_partitions(broker, make_daemon, pg, cluster):
    """Goal: timescale.sql, with a function in the place of the extension's, leaves tables and views in which the
    daemon stores readings of any month, and every comment; it refuses a database with readings."""
    make_daemon(broker, **sections(pg)).start().stop()
    described = ("SELECT count(*) FROM pg_description WHERE classoid = 'pg_class'::regclass AND objoid IN"
                 " (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND NOT relispartition)")
    views = "SELECT relname FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace ORDER BY 1"
    before = pg.rows(described), pg.rows(views)
    cluster.psql("CREATE FUNCTION create_hypertable(regclass, name, chunk_time_interval bigint) RETURNS text"
                 " LANGUAGE sql RETURN $1::text", pg.name, "foxtrackrd")
    text = (SCHEMA / "timescale.sql").read_text()
    cluster.psql(text, pg.name, "foxtrackrd", single=True)
    assert (pg.rows(described), pg.rows(views)) == before
    daemon = make_daemon(broker, **sections(pg)).start()
    manifest = fleet.play(broker, messages=300, garbage=10, other=10)
    broker.publish("foxtrackr/r1/V3.0/bat", fleet.battery("r1", 1_300_000_000_000))
    wait_until(lambda: pg.received() == manifest.messages + 1, timeout=30, what="the messages")
    daemon.stop()
    assert pg.value("SELECT count(*) FROM pg_inherits") == "0"
    assert not pg.differences(manifest)[0]
    with pytest.raises(RuntimeError, match="there are readings already"):
        cluster.psql(text, pg.name, "foxtrackrd", single=True)


def test_copies_for_a_distributed_database(broker, make_daemon, pg, cluster):
    """Goal: citus.sql, with functions in the place of the extension's, copies each reading once, and what comes later
    with the next call."""
    daemon = make_daemon(broker, **sections(pg)).start()
    manifest = fleet.play(broker, messages=200)
    wait_until(lambda: pg.received() == manifest.messages, timeout=30, what="the messages")
    daemon.stop()
    pg.value("UPDATE battery SET received_ms = received_ms - 7200000 RETURNING 1")
    cluster.psql("CREATE SCHEMA fleet; CREATE SCHEMA copy; CREATE FUNCTION copy.create_reference_table(text)"
                 " RETURNS int LANGUAGE sql RETURN 1; CREATE FUNCTION copy.create_distributed_table(text, text,"
                 " colocate_with text DEFAULT '') RETURNS int LANGUAGE sql RETURN 1;"
                 + "".join(f"CREATE VIEW fleet.{name} AS SELECT * FROM public.{name};"
                           for name in ("devices", "battery", "temperature")), pg.name, "foxtrackrd")
    cluster.psql("SET search_path = copy;" + (SCHEMA / "citus.sql").read_text(), pg.name, "foxtrackrd", single=True)
    call = "SET search_path = copy; SELECT foxtrackr_to_citus()"
    old = pg.value("SELECT count(*) FROM battery")
    assert cluster.psql(call, pg.name, "foxtrackrd").split()[-1] == old != "0"
    assert cluster.psql(call, pg.name, "foxtrackrd").split()[-1] == "0"
    assert pg.value("SELECT count(*) FROM copy.temperature") == "0", "younger than an hour"


@pytest.mark.parametrize("name", ["two-hosts.conf", "three-hosts.conf"])
def test_examples_are_configurations(name, tmp_path):
    """Goal: each example is taken as it is, with the passwords as credentials."""
    for credential in "foxtrackrd.password", "foxtrackrd.postgresql":
        (tmp_path / credential).write_text("secret\n")
    done = run(FOXTRACKRD, "-c", ROOT / "packaging" / "examples" / name, "--check-config",
               env={**os.environ, "CREDENTIALS_DIRECTORY": str(tmp_path)})
    said = [line for line in (done.stdout + done.stderr).splitlines() if re.search("warning|error", line)]
    assert len(said) == 1 and "reads like a placeholder" in said[0], said
