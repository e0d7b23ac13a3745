"""Readers: analysts, who may read the database and nothing else; and those who keep the WAL."""

import contextlib
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time

import pytest

import fleet
from foxtrackrd import foxtrackrctl
from harness import FOXTRACKRCTL, FOXTRACKRD, PATIENCE, find_program, run, sanitizer, wait_until

DAEMON, ANALYST, STRANGER = 64001, 64002, 64003
"""User and group numbers. No names are needed, so nothing is added to this machine."""
READERS, CONFIGURATION = 64011, 64012
"""The groups foxtrackr-readers and foxtrackrd of the packages."""


def as_user(user, group, *groups):
    """A command that runs another one as this user."""
    more = ["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"]
    return (find_program("setpriv"), "--reuid", str(user), "--regid", str(group), *more)


@pytest.fixture
def place():
    """A directory that every user can reach, which the directories of a test are not."""
    if os.geteuid() != 0:
        pytest.skip("cannot become another user: it needs root")
    with tempfile.TemporaryDirectory(prefix="foxtrackr-readers.", dir="/tmp") as directory:
        os.chmod(directory, 0o755)
        yield pathlib.Path(directory)


@pytest.fixture
def installed(place, make_daemon):
    """A daemon with the users, groups and modes that the unit and the packages give it."""
    program = shutil.copy(FOXTRACKRD, place / "foxtrackrd")
    for name, mode, owner, group in (("etc", 0o755, 0, 0),
                                     ("lib", 0o2750, DAEMON, READERS),
                                     ("run", 0o755, DAEMON, READERS)):
        (place / name).mkdir()
        os.chown(place / name, owner, group)
        os.chmod(place / name, mode)
    command = " ".join(as_user(DAEMON, READERS, CONFIGURATION))
    prefix = ("sh", "-c", f'umask 0027; shift; exec {command} {program} "$@"', "sh")
    daemon = make_daemon(None, directory=place / "etc", wrapper=prefix,
                         database={"path": place / "lib" / "foxtrackr.db"},
                         status={"file": place / "run" / "status.json"})
    for secret in (daemon.config, daemon.password_path):
        os.chown(secret, 0, CONFIGURATION)
        secret.chmod(0o640)
    return daemon


def start(daemon):
    """Start; there is no broker, so it becomes ready much later than the database is open."""
    daemon.start(wait=None)
    daemon.wait_status(lambda status: status["pid"] == daemon.process.pid)


def sqlite(user, database, sql, *options):
    return run(*user, "sqlite3", *options, database, sql, check=False)


def check_rights(daemon, runs):
    """Check that an analyst may read and not write, and that any other user may do neither."""
    analyst = as_user(ANALYST, ANALYST, READERS)
    for options in ((), ("-readonly",)):
        done = sqlite(analyst, daemon.database, "SELECT count(*) FROM runs", *options)
        assert (done.returncode, done.stdout.strip()) == (0, str(runs)), done.stderr
    for statement in ("DELETE FROM runs", "CREATE TABLE mine (a)", "PRAGMA journal_mode = DELETE"):
        done = sqlite(analyst, daemon.database, statement)
        assert done.returncode != 0 and done.stderr, (statement, done)
    for name in (daemon.config, daemon.password_path, f"{daemon.database}.lock"):
        done = run(*analyst, "cat", name, check=False)
        assert done.returncode != 0 and "denied" in done.stderr, name
    assert run(*analyst, "touch", daemon.database.with_name("mine"), check=False).returncode != 0
    assert run(*analyst, "flock", "-n", f"{daemon.database}.lock", "true",
               check=False).returncode != 0
    assert run(*analyst, "cat", daemon.status_path.parent / ".", check=False).returncode != 0
    done = sqlite(as_user(STRANGER, STRANGER), daemon.database, "SELECT 1 FROM runs")
    assert done.returncode != 0 and "unable to open" in done.stderr


def test_an_analyst_reads_and_no_more(installed):
    """
    Goal: a user of the readers' group reads the database while the daemon runs, after it has
    stopped and after it was killed, and can neither change anything nor read a secret.
    """
    daemon = installed
    start(daemon)
    for suffix in ("", "-wal", "-shm"):
        status = os.stat(f"{daemon.database}{suffix}")
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (DAEMON, READERS, 0o640)
    assert os.stat(f"{daemon.database}.lock").st_mode & 0o7777 == 0o600
    check_rights(daemon, 1)
    daemon.stop()
    check_rights(daemon, 1)
    check_rights(daemon, 1)  # the readers before have taken nothing away

    start(daemon)
    daemon.kill()
    assert os.stat(f"{daemon.database}-wal").st_size > 0  # the second run is in there
    check_rights(daemon, 2)

    start(daemon)
    check_rights(daemon, 3)
    daemon.stop()
    check_rights(daemon, 3)


def test_an_analyst_exports(installed, place):
    """Goal: who may read the database and not the configuration exports tables and views, while the daemon
    runs and after it has stopped."""
    daemon = installed
    program = shutil.copy(FOXTRACKRCTL, place / "foxtrackrctl")
    analyst = as_user(ANALYST, ANALYST, READERS)
    start(daemon)
    for _ in range(2):
        for name in ("runs", "fleet"):
            done = run(*analyst, program, "export", name, daemon.database)
            assert done.stderr == "" and done.stdout.startswith(("run,started_ms,", "device,family,"))
        done = run(*analyst, program, "-c", daemon.config, "export", "runs", check=False)
        assert done.returncode == 78 and done.stdout == ""
        if daemon.process:
            daemon.stop()
    done = run(*as_user(STRANGER, STRANGER), program, "export", "runs", daemon.database, check=False)
    assert done.returncode == 66 and "denied" in done.stderr


def test_a_lock_of_an_earlier_version_is_closed_to_readers(installed):
    """Goal: a reader cannot keep the daemon from starting by locking its lock file."""
    lock = pathlib.Path(f"{installed.database}.lock")
    lock.touch()
    os.chown(lock, DAEMON, READERS)
    lock.chmod(0o640)
    start(installed)
    wait_until(lambda: lock.stat().st_mode & 0o7777 == 0o600, what="the mode of the lock")
    installed.stop()


HELD = 256 << 20
"""From so many bytes on, a WAL that a reader keeps is too long."""


def fill_log(database):
    """Another program writes more than HELD, so that no message has to."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE pad (bytes)")
        for _ in range(HELD // (64 << 20) + 1):
            connection.execute("INSERT INTO pad VALUES (zeroblob(?))", (64 << 20,))


def test_readers_that_cannot_be_looked_for(broker, make_daemon):
    """
    Goal: a daemon that cannot open the index by which it finds readers says so at the start: which
    file, why, and what to do. Everything else works.
    """
    daemon = make_daemon(broker)
    daemon.environment = sanitizer("detect_leaks=0")
    # The first open is SQLite's own.
    daemon.wrapper = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-P", f"{daemon.database}-shm",
                      "-e", "inject=open,openat:error=EMFILE:when=2+"]
    daemon.start()
    line = daemon.wait_log("cannot be opened to look for readers")
    assert line.startswith("warning") and "DIRECTORY/foxtrackr.db-shm" in line, line
    assert "Too many open files" in line and "LimitNOFILE=" in line and "restart" in line, line
    broker.publish("foxtrackr/1/V3.0/bat", fleet.battery("1", fleet.now_ms()))
    daemon.wait_received(1)
    daemon.stop()
    daemon.wrapper = []
    daemon.start()
    assert "look for readers" not in daemon.log()
    daemon.stop()


@contextlib.contextmanager
def log_kept_by_reader(daemon):
    """A shell with an open read transaction, and a WAL that is too long because of it."""
    shell = subprocess.Popen(["sqlite3", daemon.database], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    try:
        shell.stdin.write("BEGIN; SELECT count(*) FROM runs;\n")
        shell.stdin.flush()
        assert shell.stdout.readline() == "1\n"
        fill_log(daemon.database)
        yield shell
    finally:
        shell.kill()
        shell.wait(10)
        shell.stdin.close()
        shell.stdout.close()


@pytest.fixture
def held_reader(broker, make_daemon, tmp_path):
    daemon = make_daemon(broker, database={"busy_timeout": "300ms"},
                         status={"metrics_file": tmp_path / "foxtrackrd.prom"})
    daemon.start()
    with log_kept_by_reader(daemon) as shell:
        yield daemon, shell


def test_a_reader_that_keeps_the_log_is_named(broker, held_reader, tmp_path):
    """
    Goal: a reader past 256 MiB of WAL is named by log, status and metrics, with its process and its
    age; messages go on meanwhile; and when it has ended all of them say so.
    """
    daemon, shell = held_reader
    metric = re.compile(r"^foxtrackrd_log_reader_age_seconds\{.*\} ([0-9.]+)$", re.MULTILINE)

    def age():
        return float(metric.search((tmp_path / "foxtrackrd.prom").read_text())[1])

    assert age() == 0
    assert foxtrackrctl(daemon, "status").returncode == 0
    broker.publish("foxtrackr/1/V3.0/bat", fleet.battery("1", fleet.now_ms()))
    status = daemon.wait_status(lambda s: s["database"]["log_reader"])
    reader = status["database"]["log_reader"]
    assert (reader["pid"], reader["name"]) == (shell.pid, "sqlite3")
    assert status["state"] == "subscribed" and status["database"]["wal_bytes"] > HELD
    line = daemon.wait_log("a reader keeps the write-ahead log")
    assert line.startswith("warning") and f"process {shell.pid} (sqlite3)" in line
    later = daemon.wait_status(lambda s: s["database"]["log_reader"]["for_ms"] > reader["for_ms"])
    assert later["database"]["log_reader"]["pid"] == shell.pid
    assert age() > 0
    said = foxtrackrctl(daemon, "status", check=False)
    assert said.returncode == 1 and f"by process {shell.pid} (sqlite3), for " in said.stdout
    broker.publish("foxtrackr/1/V3.0/bat", fleet.battery("1", fleet.now_ms()))
    daemon.wait_received(2)

    shell.kill()
    daemon.wait_status(lambda s: s["database"]["log_reader"] is None)
    daemon.wait_log("no reader keeps the write-ahead log")
    wait_until(lambda: age() == 0, what="the metric")
    assert foxtrackrctl(daemon, "status").returncode == 0
    assert daemon.log().count("a reader keeps") == 1
    daemon.stop(timeout=60)  # the daemon moves the whole WAL


def test_messages_wait_for_readers_five_seconds_and_once(broker, make_daemon):
    """
    Goal: the daemon waits for a reader that keeps a long WAL for 5 s, however long it may wait for
    other programs; its watchdog is fed meanwhile, and the next message does not wait again.
    """
    daemon = make_daemon(broker, environment={"WATCHDOG_USEC": "2000000"},
                         database={"busy_timeout": "60s"})
    daemon.start()

    def stored_in(number):
        begun = time.monotonic()
        broker.publish("foxtrackr/1/V3.0/bat", fleet.battery("1", fleet.now_ms() - number))
        daemon.wait_received(number, timeout=30)
        return time.monotonic() - begun

    with log_kept_by_reader(daemon):
        # The first commit finds out how long the WAL is; the following ones wait. The two are never in
        # one batch: the second is published when the first is stored.
        begun = time.monotonic()
        stored_in(1)
        stored_in(2)
        waited = time.monotonic() - begun
        assert 5 <= waited < 5 + 5 * PATIENCE
        assert stored_in(3) < 5
        assert stored_in(4) < 5
        assert "hang" not in daemon.log() and "no step" not in daemon.log()
        daemon.stop(timeout=20)  # without waiting for busy_timeout
