"""The common parts of the system tests: paths of the programs, waiting, and reading the database."""

import contextlib
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))  # benchmarks and the service's checks use this file, too

import engines  # noqa: E402
from shims import Clock  # noqa: E402

BUILD = pathlib.Path(os.environ.get("FOXTRACKR_BUILD", ROOT / "build"))
FOXTRACKRD = BUILD / "foxtrackrd"
FOXTRACKRCTL = BUILD / "foxtrackrctl"
FLEET = BUILD / "tests" / "fleet"
SLOW_DISK = BUILD / "tests" / "slow_disk_shim.so"


def _calls(*functions):
    """Does the daemon call one of these?"""
    try:
        program = FOXTRACKRD.read_bytes()
        return any(function in program for function in functions)
    except OSError:
        return False


SANITIZED = _calls(b"__asan_init", b"__tsan_init")
"""With a sanitizer everything takes several times as long."""
WATCHES_THREADS = _calls(b"__tsan_init")
"""ThreadSanitizer takes the preloaded clock's waits for none at all, and so sees locks taken twice."""
PATIENCE = (4 if SANITIZED else 1) * (3 if "PYTEST_XDIST_WORKER" in os.environ else 1)
"""Other tests that run beside this one slow it down, too. Every limit is multiplied by this. A limit is for a hang, never for a measurement."""


def has_adapted_paho():
    """Linked with the adapted library, which checks packets, shortens large messages and speaks MQTT 5?"""
    return "shared library" not in run(FOXTRACKRD, "--version").stdout


def make_clock(directory, synced=False):
    """A clock (tests/shims.py) for a daemon's environment."""
    clock = Clock(directory / "clock", BUILD / "tests" / "clock_shim.so", synced)
    clock.environment.update(sanitizer("verify_asan_link_order=0"))
    return clock


def find_promtool():
    """Prometheus's tool, installed or where `make deps` puts it; without it the test is left out."""
    path = shutil.which("promtool", path=f"{os.environ.get('PATH', '')}:{ROOT / 'build/tools'}")
    if path is None:
        pytest.skip("promtool (of Debian's package prometheus) is not there: run make deps")
    return path


def wait_until(condition, timeout=20, what=None, every=0.02):
    """
    Wait until condition() is true and return what it returned; fail after `timeout` seconds. The condition is asked more and
    more rarely, down to ten times a second, or a fifth of how often it was at first: to ask a database takes milliseconds,
    and other tests run beside.
    """
    deadline = time.monotonic() + timeout * PATIENCE
    rarest = max(every, min(5 * every, 0.1))
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            what = what() if callable(what) else what
            raise AssertionError(f"waited {timeout * PATIENCE} s for {what or condition}")
        time.sleep(every)
        every = min(1.3 * every, rarest)


def within_a_second(read):
    """What read() returns, when it has run within one second of the clock: views count seconds until now."""
    def attempt():
        second, found = int(time.time()), read()
        return [found] if int(time.time()) == second else None

    return wait_until(attempt, timeout=60, what="a reading within one second", every=0)[0]


def run(*arguments, check=True, timeout=60, **options):
    """Run a command to its end; its output is captured as text unless `text` says otherwise."""
    options.setdefault("text", True)
    done = subprocess.run(
        [str(a) for a in arguments], capture_output=True, timeout=timeout * PATIENCE, **options)
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(str(a) for a in arguments)}: exit {done.returncode}\n"
            f"{done.stdout}\n{done.stderr}")
    return done


def sanitizer(*options):
    """The environment of a program under AddressSanitizer that has these options too. What is
    preloaded needs verify_asan_link_order=0: it insists on being the first library. What strace
    traces needs detect_leaks=0: its search for leaks is a tracer itself."""
    return {"ASAN_OPTIONS": ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), *options]))}


def slow_disk(sync_us=0, write_us=0):
    """The environment of a program whose disk is never faster than that, wherever the files are: so
    that there is a middle in which to end it. See tests/faults/slow_disk_shim.c."""
    return {"LD_PRELOAD": str(SLOW_DISK), "SLOW_SYNC_US": str(sync_us), "SLOW_WRITE_US": str(write_us),
            **sanitizer("verify_asan_link_order=0")}


def localhost_problem():
    """Why brokers on this machine cannot be reached as localhost, and what to do; None: they can."""
    try:
        found = {address[4][0] for address in socket.getaddrinfo("localhost", None)}
    except OSError as problem:
        found = problem
    else:
        if "127.0.0.1" in found:
            return None
        found = f"it is {', '.join(sorted(found))}"
    return (f"the name localhost does not lead to 127.0.0.1 on this machine ({found}), and the broker is"
            " there: add the line '127.0.0.1 localhost' to /etc/hosts, and see that the line 'hosts:'"
            " in /etc/nsswitch.conf has 'files'")


def find_program(name):
    """Debian keeps some programs in sbin, which is not on everybody's PATH."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")
    if path is None:
        raise AssertionError(f"{name} is not installed: run make deps")
    return path


@contextlib.contextmanager
def db(path):
    """The database, read-only, as an analyst opens it. Rows can be read by column name."""
    if engines.POSTGRESQL:
        with engines.Connection(path) as connection:
            yield connection
        return
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10 * PATIENCE)
    connection.row_factory = sqlite3.Row
    try:
        yield connection
    finally:
        connection.close()


def query(path, sql, *parameters):
    """All rows of one statement, as tuples."""
    with db(path) as connection:
        return [tuple(row) for row in connection.execute(sql, parameters)]


def value(path, sql, *parameters):
    """The single value of one statement; None while the database or the table is not there."""
    try:
        rows = query(path, sql, *parameters)
    except sqlite3.OperationalError as problem:
        if any(text in str(problem) for text in ("unable to open", "no such table")):
            return None
        raise
    except engines.pq.Error as problem:
        if engines.is_missing(problem):
            return None
        raise
    return rows[0][0] if rows else None


def change(path, sql, *parameters):
    """Run one statement that writes, as somebody with a shell of the database would."""
    if engines.POSTGRESQL:
        with engines.Connection(path) as connection:
            connection.execute(sql, parameters)
        return
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql, parameters)


def change_many(path, sql, rows):
    """Run one statement that writes for each of these rows of parameters, in one transaction."""
    if engines.POSTGRESQL:
        with engines.Connection(path) as connection:
            connection.execute("BEGIN")
            for parameters in rows:
                connection.execute(sql, parameters)
            connection.execute("COMMIT")
        return
    with contextlib.closing(sqlite3.connect(path, timeout=10 * PATIENCE)) as connection, connection:
        connection.executemany(sql, rows)


@contextlib.contextmanager
def locked(path, *, readers=False):
    """The database while another program writes and does not end its transaction. readers: they wait, too."""
    if engines.POSTGRESQL:
        with engines.Connection(path) as connection:
            tables = connection.execute("SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p')"
                                        " AND NOT relispartition AND relnamespace = current_schema()::regnamespace")
            connection.execute("BEGIN")
            connection.execute(f"LOCK TABLE {', '.join(name for name, in tables)} IN"
                               f" {'ACCESS EXCLUSIVE' if readers else 'SHARE'} MODE")
            yield
            connection.execute("ROLLBACK")
        return
    with contextlib.closing(sqlite3.connect(path, timeout=10 * PATIENCE, isolation_level=None)) as connection:
        if readers:  # only a recovery of the WAL keeps a reader waiting
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("CREATE TABLE held (a)")
        else:
            connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def columns_of(path, relation):
    """The names of the columns of a table or view; none while there is no such one."""
    if engines.POSTGRESQL:
        found = query(path, "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0"
                            " AND NOT attisdropped ORDER BY attnum", relation)
    else:
        found = query(path, "SELECT name FROM pragma_table_info(?)", relation)
    return [name for name, in found]


WAITING = """SELECT count(*) FROM inbox, inbox_position AS p WHERE inbox.n > p.last_n
              OR (inbox.n >= p.first_n AND (inbox.device, inbox.n) > (p.device, p.n))"""

ROWS = """SELECT (SELECT count(*) FROM battery) + (SELECT count(*) FROM temperature)
               + (SELECT count(*) FROM messages) + (SELECT count(*) FROM quarantine)"""


def count_rows(path):
    """Rows that messages made."""
    return value(path, ROWS) or 0


def count_waiting(path):
    """Messages in the inbox that are not in their tables yet. PostgreSQL has no inbox."""
    return 0 if engines.POSTGRESQL else (value(path, WAITING) or 0)


def count_received(path):
    """Messages that all runs together say they received."""
    return value(path, "SELECT coalesce(sum(received), 0) FROM runs") or 0


def check_sound(path):
    """Whatever happened: the file is intact, and every run accounts for every message."""
    with db(path) as connection:
        if not engines.POSTGRESQL:
            assert [r[0] for r in connection.execute("PRAGMA integrity_check")] == ["ok"]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        for row in connection.execute("SELECT * FROM runs"):
            assert row["received"] == row["stored"] + row["duplicate"] + row["quarantined"], \
                f"run {row['run']} does not add up: {dict(row)}"


@contextlib.contextmanager
def small_disk(path, size):
    """A file system of its own, which can be filled."""
    path.mkdir()
    mounted = subprocess.run(
        [find_program("mount"), "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(path)],
        capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run([find_program("umount"), "-l", str(path)], check=True)
