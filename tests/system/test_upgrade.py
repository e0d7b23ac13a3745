"""
An upgrade from the release before, 0.1.0: its database, its configuration, and what its operator may have written.

0.1.0 has no tag: its changelog was begun on 24 November 2026, and packages could be built of every commit after that. It
is taken here to be the last one before the work on 1.0.0 began (27 November, fef813e), with everything that 0.1.0 had
and schema version 3. Databases of earlier commits (versions 1 and 2) differ from its database by the order of `messages`,
an index and the tables `expired` and `inbox`; tests/faults/migration begins with version 1.

tests/released/0.1.0 holds what remains of it: a database whose every row its daemon wrote, as SQL text
(tests/released/make_database), and the files of its package.
"""

import contextlib
import json
import shutil
import sqlite3

import pytest

import fleet
from foxtrackrd import CLIENT_ID, foxtrackrctl
from harness import (BUILD, FOXTRACKRD, ROOT, SANITIZED, change, check_sound, count_waiting, make_clock, query, run, value,
                     wait_until)
from left_out import NO_MATTER
from shims import Report
from test_rollups import same, wait_rolled_up

RELEASED = ROOT / "tests" / "released" / "0.1.0"
SCHEMA = 3
NEWEST = len(list((ROOT / "schema" / "sqlite").glob("[0-9]*.sql")))
RUNS = "run, version, started_ms, received, stored, duplicate, quarantined"


def make_released(path):
    """The database as the daemon of 0.1.0 left it when it was killed in a catch-up."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript((RELEASED / "database.sql").read_text(encoding="utf-8"))
        connection.execute("PRAGMA journal_mode = WAL")
    assert value(path, "PRAGMA user_version") == SCHEMA


@pytest.fixture
def old(tmp_path):
    """The database of 0.1.0, to compare with."""
    path = tmp_path / "old" / "foxtrackr.db"
    path.parent.mkdir()
    make_released(path)
    return path


def tables_of(path):
    """{table: its columns} of a database."""
    return {table: [name for name, in query(path, "SELECT name FROM pragma_table_info(?)", table)]
            for table, in query(path, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")}


def rows_of(path, table, columns):
    """Rows, each value with its type: 1 and 1.0 are two values."""
    return {tuple((type(one).__name__, one) for one in row)
            for row in query(path, f"SELECT {', '.join(columns)} FROM {table}")}


def difference(old, new):
    """{table: (rows that are gone, rows that have come)}, by the columns that the table had."""
    found = {}
    for table, columns in tables_of(old).items():
        before, after = rows_of(old, table, columns), rows_of(new, table, columns)
        found[table] = [tuple(one for _, one in row) for row in before - after], \
                       [tuple(one for _, one in row) for row in after - before]
    return found


def waiting(path):
    """The messages of the inbox that are not sorted in: (topic, payload)."""
    return query(path, """SELECT topic, payload FROM inbox, inbox_position AS p WHERE inbox.n > p.last_n
                             OR (inbox.n >= p.first_n AND (inbox.device, inbox.n) > (p.device, p.n))""")


def assert_stored(path, topic, payload):
    """A message of the fleet has its row, with the values it came with, or is in quarantine byte for byte."""
    try:
        body = json.loads(payload)
        kind = topic.rsplit("/", 1)[1]
        key = body["deviceId"], body["timeMs"]
    except (ValueError, TypeError, KeyError, IndexError):
        assert query(path, "SELECT 1 FROM quarantine WHERE topic = ? AND payload = ?", topic, payload), (topic, payload)
        return
    of = "JOIN devices USING (device) WHERE device_id = ? AND time_ms = ?"
    rows = {"bat": "SELECT voltage_v, level_pct FROM battery ", "temp": "SELECT celsius FROM temperature "}.get(
        kind, "SELECT body FROM messages ")
    found = query(path, rows + of, *key)
    wanted = {"bat": lambda: (body["battery"].get("voltage"), body["battery"].get("level")),
              "temp": lambda: (body["temperature"].get("celsius"),)}.get(kind, lambda: (payload.decode(),))()
    assert wanted in found, (topic, payload, found)


def test_the_fixture_has_everything(old):
    """Goal: what the other tests compare is there: rows in every table, every reason, messages that wait."""
    for table in tables_of(old):
        assert value(old, f"SELECT count(*) FROM {table}") > 0, table
    assert {reason for reason, in query(old, "SELECT DISTINCT reason FROM quarantine")} >= \
        {"topic", "version", "json", "envelope", "time", "conflict", "oversize"}
    assert {version for version, in query(old, "SELECT DISTINCT version FROM runs")} == {"0.1.0"}
    assert 0 < len(waiting(old)) < value(old, "SELECT count(*) FROM inbox") + 1
    assert value(old, "SELECT count(*) FROM runs WHERE stopped_ms IS NULL") >= 2, "it was killed"


def check_upgraded(old, new):
    """
    Nothing of 0.1.0 is gone but what has become something else: the messages that waited in the inbox are rows, and a
    reading that was quarantined because its time lay in the future is one, too.
    """
    changed = difference(old, new)
    left = {"quarantine", "inbox", "inbox_position", "sessions", "subscriptions"}
    assert {table: gone for table, (gone, _) in changed.items() if gone and table not in left} == {}
    judged = query(old, "SELECT topic, payload FROM quarantine WHERE reason = 'time'")
    gone, _ = changed["quarantine"]
    assert [row[1:3] for row in gone] == judged and len(judged) == 1
    for topic, payload in judged + waiting(old):
        assert_stored(new, topic, payload)
    come = sum(len(changed[table][1]) for table in ("battery", "temperature", "messages", "quarantine"))
    assert come <= len(judged + waiting(old)), "more has come than there was"
    assert [table for table in ("gaps", "expired") if changed[table] != ([], [])] == []


def test_the_database_of_the_release_before(broker, make_daemon, old):
    """
    Goal: the daemon takes over what 0.1.0 left when it was killed in a catch-up: every row keeps its values, messages
    that waited become rows, the broker's session goes on without a gap, days are rolled up; and that once.
    """
    daemon = make_daemon(broker, parser={"max_payload": "1KiB"})
    daemon.environment = make_clock(daemon.directory, synced=True).environment
    shutil.copy(old, daemon.database)
    fleet.register(broker, CLIENT_ID, daemon.password_path)
    daemon.start()
    daemon.wait_log(f"its schema is now version {NEWEST}")
    wait_until(lambda: count_waiting(daemon.database) == 0, what="an inbox with nothing in it")
    received = value(old, "SELECT sum(received) FROM runs") + len(waiting(old))
    daemon.wait_received(received)
    daemon.wait_status(lambda status: status["database"]["rejudged"] == 1)
    daemon.wait_subscribed()
    wait_rolled_up(daemon, 1)
    assert same(daemon.database), "the days that are rolled up are not those of the readings"
    daemon.stop()

    check_upgraded(old, daemon.database)
    assert query(daemon.database, f"SELECT {RUNS} FROM runs WHERE run <= (SELECT count(*) FROM runs) - 1") == \
        query(old, f"SELECT {RUNS} FROM runs")
    sessions = query(daemon.database, "SELECT client_id, broker, established_ms FROM sessions")
    assert sessions == [(CLIENT_ID, f"localhost:{broker.tls_port}", value(old, "SELECT established_ms FROM sessions"))]
    check_sound(daemon.database)
    assert "BAD" not in foxtrackrctl(daemon, "verify").stdout

    manifest = fleet.play(broker, messages=50, devices=3, seed=77)
    daemon.start()
    daemon.wait_received(received + manifest.messages)
    daemon.stop()
    assert "schema" not in daemon.log()
    assert value(daemon.database, "PRAGMA user_version") == NEWEST
    assert set(manifest.expected()) <= set(fleet.read_rows(daemon.database))
    assert query(daemon.database, "SELECT * FROM gaps") == query(old, "SELECT * FROM gaps")


class Killed:
    """A daemon that migrates the database of 0.1.0, without a broker, and is killed before a call that writes or syncs."""

    def __init__(self, daemon, old):
        self.daemon = daemon
        self.old = old
        self.report = Report(daemon.directory / "report")
        self.plan = {"LD_PRELOAD": str(BUILD / "tests" / "io_shim.so"), "FAULT_BELOW": str(daemon.database),
                     "FAULT_CALLS": "pwrite64,fsync,fdatasync,ftruncate,unlink", "FAULT_LENGTH": "1",
                     "FAULT_ERRNO": "0", "FAULT_REPORT": str(self.report.path)}

    def begin_anew(self):
        for path in self.daemon.directory.glob("foxtrackr.db*"):
            path.unlink()
        shutil.copy(self.old, self.daemon.database)
        self.report.reset()

    def migrate(self, **environment):
        """Until the last migration is done, or the daemon is killed; then it is, in any case. The calls that it made."""
        self.daemon.environment = environment
        self.daemon.start(wait=None)
        wait_until(lambda: self.daemon.process.poll() is not None
                   or f"its schema is now version {NEWEST}" in self.daemon.log(), what="the last migration")
        calls = self.report.read()[0]
        self.daemon.kill()
        return calls

    def check(self):
        """Every row that migrations leave alone is there with its values. Returns the version of the schema."""
        changed = difference(self.old, self.daemon.database)
        assert {table for table, (gone, _) in changed.items() if gone} <= \
            {"inbox", "inbox_position", "sessions", "subscriptions"}
        check_sound(self.daemon.database)
        return value(self.daemon.database, "PRAGMA user_version")


@pytest.mark.skipif(SANITIZED, reason=f"{NO_MATTER}the sanitizers see the migrations without a kill")
def test_killed_in_the_migrations(make_daemon, old):
    """
    Goal: kill -9 before a write or a sync, from the first to the last migration: whatever version is there then, its rows
    are those of 0.1.0; the next start goes on, and nothing is lost.
    """
    scene = Killed(make_daemon(None, database={"min_free_mb": 0}), old)
    scene.begin_anew()
    calls = scene.migrate(**scene.plan, FAULT_NTH="0")
    versions = []
    for nth in range(1, calls, max(1, calls // 10)):
        scene.begin_anew()
        scene.migrate(**scene.plan, FAULT_NTH=str(nth))
        versions.append(scene.check())
        if versions[-1] < NEWEST:
            scene.migrate()
        assert scene.check() == NEWEST
    assert versions[0] == SCHEMA and versions == sorted(versions) and len(set(versions)) > 4, versions


def test_a_name_that_an_analyst_has_taken(make_daemon, old):
    """
    Goal: a view of an analyst with the name of a new one stops the upgrade with advice, and not for good: nothing is
    lost, and once it is dropped the next start goes on. Views over what was there before go on answering.
    """
    change(old, "CREATE VIEW mine AS SELECT device_id, day_utc FROM battery_daily")
    change(old, "CREATE VIEW silent_devices AS SELECT device_id FROM devices")
    daemon = make_daemon(None)
    shutil.copy(old, daemon.database)
    daemon.start(wait=None)
    assert daemon.wait_exit() == 74
    assert "silent_devices already exists" in daemon.log() and "rename or drop yours with sqlite3" in daemon.log()
    assert {table for table, (gone, _) in difference(old, daemon.database).items() if gone} == set()
    change(daemon.database, "DROP VIEW silent_devices")
    daemon.start(wait=None)
    daemon.wait_log(f"its schema is now version {NEWEST}")
    daemon.stop()
    assert set(query(old, "SELECT * FROM mine")) <= set(query(daemon.database, "SELECT * FROM mine"))


def old_configuration(directory):
    """The configuration as 0.1.0 shipped it, with what an operator had to set."""
    password = directory / "password"
    password.write_text("secret\n")
    password.chmod(0o640)
    text = (RELEASED / "package" / "etc" / "foxtrackrd" / "foxtrackrd.conf").read_text()
    for before, after in (("#host =", "host = broker.acme.net"), ("#username =", "username = me"),
                          ("#password_file =", f"password_file = {password}"), ("#given =", "given = acme")):
        assert text.count(f"\n{before}\n") == 1, before
        text = text.replace(f"\n{before}\n", f"\n{after}\n")
    conf = directory / "foxtrackrd.conf"
    conf.write_text(text)
    return conf


def test_the_configuration_of_the_release_before(tmp_path):
    """Goal: the configuration of 0.1.0 is understood without a word, also with every default of it written out."""
    conf = old_configuration(tmp_path)
    done = run(FOXTRACKRD, "-c", conf, "--check-config")
    assert done.stdout + done.stderr == f"{conf}: good\n"
    text = conf.read_text()
    keys = [line for line in text.splitlines() if line.startswith("#") and " = " in line and line[1] != " "]
    assert len(keys) > 15
    for line in keys:
        text = text.replace(f"\n{line}\n", f"\n{line[1:]}\n")
    conf.write_text(text)
    done = run(FOXTRACKRD, "-c", conf, "--check-config")
    assert done.stdout + done.stderr == f"{conf}: good\n"


@pytest.mark.parametrize("before, after, said", [
    ("#host =", "host = broker.acme.net ; the provider's", "a comment behind a value would become part of it"),
    ("#filters = foxtrackr/#", "filters = foxtrackr/+/V3.0/bat foxtrackr/+/V3.0/temp", "separate filters with a comma"),
])
def test_habits_that_are_errors_now(tmp_path, before, after, said):
    """Goal: what 0.1.0 took in its configuration and this version does not is refused, with the line and what to do."""
    conf = old_configuration(tmp_path)
    text = conf.read_text()
    written = {"#host =": "host = broker.acme.net"}.get(before, before)
    line = text.splitlines().index(written) + 1
    conf.write_text(text.replace(f"\n{written}\n", f"\n{after}\n"))
    done = run(FOXTRACKRD, "-c", conf, "--check-config", check=False)
    assert done.returncode == 78
    assert f"{conf}:{line}: " in done.stderr and said in done.stderr, done.stderr
