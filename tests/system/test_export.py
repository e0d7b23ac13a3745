"""foxtrackrctl export: every row once, every value as it is, and the daemon is not held up."""

import fcntl
import json
import os
import pty
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import termios
import threading
import time

import pytest

from exported import (DAY, DURATIONS, HOUR, START, as_json, expected, export, exported, fill, make_database, read_csv,
                      read_ndjson, same)
from foxtrackrd import foxtrackrctl
from harness import FOXTRACKRCTL, PATIENCE, SANITIZED, run, small_disk, wait_until, within_a_second
from left_out import NO_MATTER

MIB = 1 << 20


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "fox.db"
    db = make_database(path, wal=True)
    fill(db)
    yield path, db
    db.close()


def relations(db):
    return [row[0] for row in db.execute(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'")]


def check_rows(got, want):
    """The same rows, in any order."""
    left = list(got)
    assert len(left) == len(want)
    for row in want:
        match = next((one for one in left if same(one, row)), None)
        assert match is not None, (row, left)
        left.remove(match)


def add_readings(db, devices, each, since=START, apart=60_000):
    db.execute("BEGIN")
    db.executemany("INSERT OR IGNORE INTO devices VALUES (?, 'foxtrackr', ?, ?)",
                   ((100 + d, f"dev-{d}", START) for d in range(devices)))
    db.executemany("INSERT INTO battery VALUES (?, ?, ?, ?, 5, NULL, ?)",
                   ((100 + d, since + n * apart, 3 + n % 997 / 1000, n % 101, since + n * apart + 77)
                    for d in range(devices) for n in range(each)))
    db.execute("COMMIT")


# --- every value ---------------------------------------------------------------------------------

def test_every_table_and_view_in_csv(database):
    """Goal: each column of each row is there as it is, times also as text with milliseconds, devices
    also by name; NULL is not an empty text."""
    path, db = database
    durations = ", ".join(f"5 AS {name}" for name in DURATIONS)
    db.execute(f"CREATE VIEW mine AS SELECT device, time_ms, 'x' AS time_utc, '' AS empty, {durations}"
               " FROM battery")
    for name in relations(db):
        (head, rows), (names, want) = within_a_second(lambda: (exported(path, name), expected(db, name)))
        assert head == names, name
        check_rows(rows, want)
    text = export(path, "quarantine").stdout.decode()
    assert ',"",1' in text or ',json,"",' in text  # an empty detail
    assert exported(path, "battery")[0] == [
        "device", "family", "device_id", "time_ms", "time_utc", "voltage_v", "level_pct", "message_type",
        "extra", "received_ms", "received_utc"]
    assert exported(path, "mine")[0] == ["device", "family", "device_id", "time_ms", "time_utc", "empty",
                                         *DURATIONS]


def test_every_table_and_view_in_ndjson(database):
    """Goal: the same, one object a line, with numbers as numbers, NULL as null."""
    path, db = database
    for name in relations(db):
        declared = {row[0]: row[1] for row in db.execute(f"SELECT name, type FROM pragma_table_xinfo('{name}')")}
        text, (names, want) = within_a_second(
            lambda: (export(path, name, "--format", "ndjson").stdout.decode(), expected(db, name)))
        objects = read_ndjson(text)
        assert all(list(one) == names for one in objects), name
        want = [dict(zip(names, (as_json(value, declared.get(column)) for column, value in zip(names, row))))
                for row in want]
        order = lambda one: repr(sorted(one.items(), key=lambda item: item[0]))
        assert sorted(objects, key=order) == sorted(want, key=order), name


def test_keys_ascend(database):
    """Goal: a table is in the order of its key, so that two exports can be compared line by line."""
    path, db = database
    rows = exported(path, "battery")[1]
    assert [(int(row[0]), int(row[3])) for row in rows] == db.execute(
        "SELECT device, time_ms FROM battery ORDER BY device, time_ms").fetchall()


def test_through_sqlite_import(database, tmp_path):
    """Goal: .import of the sqlite3 shell, with NULL put back, gives the very rows, in tables that check
    the types."""
    path, db = database
    copy = tmp_path / "copy.db"
    make_database(copy).close()
    for name in ("devices", "battery", "temperature", "runs", "gaps"):
        file = tmp_path / f"{name}.csv"
        export_done = run(FOXTRACKRCTL, "export", name, path, "--output", file)
        assert re.fullmatch(rf"{file}: \d+ rows, 0\.0 MiB, in 0 s\n", export_done.stdout)
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({name})")]
        values = ", ".join(f"nullif({column}, '')" for column in columns)
        run("sqlite3", copy, ".mode csv", f".import {file} staging",
            f"INSERT INTO {name} ({', '.join(columns)}) SELECT {values} FROM staging; DROP TABLE staging")
        with sqlite3.connect(copy) as other:
            every = f"SELECT *, {', '.join(f'typeof({column})' for column in columns)} FROM {name} ORDER BY 1, 2"
            assert repr(other.execute(every).fetchall()) == repr(db.execute(every).fetchall()), name
        other.close()


def test_through_jq(database):
    """Goal: jq reads each line and its values are those of the database."""
    path, db = database
    lines = export(path, "battery", "--format", "ndjson").stdout
    done = run("jq", "-c", "[.device_id, .time_ms, .voltage_v, .extra]", input=lines.decode())
    got = [line for line in done.stdout.splitlines()]
    assert len(got) == 7
    assert got[0] == f'["1BBCE",{START},3.7,null]'
    assert got[1] == f'["1BBCE",{START + 1},null,' + r'"{\"a\":\"b,\\n\\\"c\"}"]'
    assert '0.30000000000000004' in got[2]
    assert "ünïcode 🦊" in got[6]


def test_text_that_is_not_utf_8(database):
    """Goal: what another program has put there is written so that it can be told, and is counted."""
    path, db = database
    db.execute("CREATE TABLE mine (a TEXT, b BLOB, c ANY)")
    db.execute("INSERT INTO mine VALUES (CAST(x'66ff' AS TEXT), x'00', x'00'), ('a' || char(0) || 'b', NULL, 1)")
    done = export(path, "mine", check=False)
    assert done.returncode == 0
    assert done.stdout == b"a,b,c\r\n66FF,00,00\r\n610062,,1\r\n"
    assert done.stderr == b"foxtrackrctl: 2 texts are not UTF-8 and stand there in hexadecimal digits\n"
    done = export(path, "mine", "--format", "ndjson", check=False)
    assert done.stdout == (b'{"a":{"hex":"66FF"},"b":"00","c":{"hex":"00"}}\n'
                           b'{"a":{"hex":"610062"},"b":null,"c":1}\n')


def test_odd_names(database):
    """Goal: names of tables and columns that need quotes, and a table whose key may be NULL."""
    path, db = database
    db.execute('CREATE TABLE "a ""b"", c" ("x,y" TEXT PRIMARY KEY, "rowid" INTEGER, "q""" TEXT)')
    db.execute('INSERT INTO "a ""b"", c" VALUES (NULL, 5, 1), (NULL, 4, 2), (\'z\', 3, 3)')
    assert export(path, 'a "b", c').stdout == (
        b'"x,y",rowid,"q"""\r\n,5,1\r\n,4,2\r\nz,3,3\r\n')
    assert export(path, 'a "b", c', "--format", "ndjson").stdout.splitlines()[0] == (
        b'{"x,y":null,"rowid":5,"q\\"":"1"}')
    db.execute("CREATE TABLE empty (a INTEGER PRIMARY KEY, b)")
    assert export(path, "empty").stdout == b"a,b\r\n"
    assert export(path, "empty", "--format=ndjson").stdout == b""


# --- which rows ----------------------------------------------------------------------------------

RANGES = [(["--since", "2026-11-21"], START, None), (["--until", "2026-11-22"], None, START + DAY),
          (["--since", "2026-11-21T00:00:00.001Z", "--until", "2026-11-24"], START + 1, START + 3 * DAY),
          (["--since", "2000-01-01", "--until", "2001-01-01"], 946684800000, 978307200000)]

SPANS = {"battery": ("time_ms", "time_ms"), "temperature": ("time_ms", "time_ms"),
         "messages": ("time_ms", "time_ms"), "battery_daily": ("day_ms", "day_ms"),
         "battery_latest": ("time_ms", "time_ms"), "devices": ("first_seen_ms", "first_seen_ms"),
         "fleet": ("last_seen_ms", "last_seen_ms"),
         "quarantine": ("first_received_ms", "last_received_ms"), "gaps": ("last_durable_ms", "resumed_ms"),
         "runs": ("started_ms", "stopped_ms"), "expired": ("last_ms", "last_ms"),
         "inbox": ("received_ms", "received_ms")}


@pytest.mark.parametrize("name", SPANS)
@pytest.mark.parametrize("options, since, until", RANGES, ids=lambda value: str(value))
def test_a_range(database, name, options, since, until):
    """Goal: rows of that time, since inclusive, until exclusive; a row that lasts is there when it lasts
    in that time, and NULL is an open end."""
    path, db = database
    begin, end = SPANS[name]
    where = []
    if begin == end:
        where.append(f"{begin} IS NOT NULL")
    if since is not None:
        where.append(f"({end} IS NULL OR {end} >= {since})")
    if until is not None:
        where.append(f"({begin} IS NULL OR {begin} < {until})")
    check_rows(*within_a_second(
        lambda: (exported(path, name, *options)[1], expected(db, name, " AND ".join(where))[1])))


def test_before_now(database):
    """Goal: 2d is two days before now."""
    path, db = database
    now = int(time.time() * 1000)
    db.executemany("INSERT INTO temperature VALUES (3, ?, 1, 6, NULL, 0)",
                   [(now - 3 * DAY,), (now - DAY,)])
    assert [row[3] for row in exported(path, "temperature", "--since", "2d", "--until", "now")[1]] == [str(now - DAY)]


def test_a_range_of_rows_that_last(database):
    """Goal: a row from one time to another is in every range that it overlaps, whatever day it counts to."""
    path, db = database
    db.execute("CREATE TABLE holes (n INTEGER PRIMARY KEY, from_ms INTEGER, to_ms INTEGER, day_ms INTEGER)")
    db.executemany("INSERT INTO holes VALUES (?, ?, ?, 0)", [
        (1, START - DAY, START), (2, START - DAY, START - 1), (3, START - 9 * DAY, None), (4, START + DAY, None)])
    rows = exported(path, "holes", "--since", "2026-11-21", "--until", "2026-11-22")[1]
    assert [row[0] for row in rows] == ["1", "3"]


def test_a_range_of_gaps(database):
    """Goal: of the gaps those of the days in question are looked for, and not those of all times."""
    path, db = database
    now = int(time.time() * 1000)
    db.execute("CREATE TABLE holes (n INTEGER PRIMARY KEY, from_ms INTEGER, to_ms INTEGER, day_ms INTEGER)")
    db.executemany("INSERT INTO holes VALUES (?, ?, ?, ?)", [
        (1, now - 400 * DAY, now - 300 * DAY, (now - 300 * DAY) // DAY * DAY), (2, now - 9 * DAY, now - 4 * DAY, (now - 4 * DAY) // DAY * DAY),
        (3, now - 90 * DAY, now - 2 * DAY, (now - 2 * DAY) // DAY * DAY), (4, now - 90 * DAY, None, now // DAY * DAY)])
    db.execute("DROP VIEW reporting_gaps")
    db.execute(f"CREATE VIEW reporting_gaps AS SELECT n, from_ms, to_ms, day_ms, iif(day_ms < {now - 100 * DAY},"
               " abs(-9223372036854775807 - 1), 0) AS fails_for_old_days FROM holes")
    assert [row[0] for row in exported(path, "reporting_gaps", "--since", "3d")[1]] == ["3", "4"]
    assert [row[0] for row in exported(path, "reporting_gaps", "--since", "5d", "--until", "2d")[1]] == ["2", "3", "4"]
    assert [row[0] for row in exported(path, "reporting_gaps", "--since", "2200-01-01")[1]] == ["4"]


@pytest.mark.parametrize("name", ["battery", "messages", "devices", "device_groups", "fleet",
                                  "battery_daily", "temperature_latest"])
@pytest.mark.parametrize("device_id", ["1BBCE", 'a,"b"\n;'])
def test_one_device(database, name, device_id):
    """Goal: the rows of the devices of that name, of every family."""
    path, db = database
    numbers = [row[0] for row in db.execute("SELECT device FROM devices WHERE device_id = ?", (device_id,))]
    where = f"device IN ({', '.join(map(str, numbers))})"
    check_rows(exported(path, name, "--device", device_id)[1], expected(db, name, where)[1])


def test_one_device_and_a_range(database):
    path, db = database
    rows = exported(path, "battery", "--device", "1BBCE", "--since", "2026-11-22")[1]
    check_rows(rows, expected(db, "battery", f"device IN (1, 3) AND time_ms >= {START + DAY}")[1])


def test_a_range_seeks(database):
    """Goal: the statements that read a table by device and in chunks search its key and sort nothing."""
    _, db = database
    for where in ("device = ? AND time_ms >= ? AND time_ms < ?",
                  "device = ? AND time_ms >= ? AND time_ms < ? AND (device, time_ms) > (?, ?)",
                  "(device, time_ms) > (?, ?)"):
        plan = " ".join(row[3] for row in db.execute(
            f"EXPLAIN QUERY PLAN SELECT * FROM battery WHERE {where} ORDER BY device, time_ms",
            [0] * where.count("?")))
        assert "SEARCH battery USING PRIMARY KEY" in plan and "TEMP" not in plan, plan


# --- beside the daemon -----------------------------------------------------------------------------

def start_blocked(path, *arguments, **options):
    """Start an export into a pipe that nobody reads, and wait until it is full."""
    process = subprocess.Popen([FOXTRACKRCTL, "export", *arguments[:1], path, *arguments[1:]],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def blocked():
        assert process.poll() is None, process.stderr.read()
        waiting = fcntl.ioctl(process.stdout, termios.FIONREAD, b"\0" * 4)
        return int.from_bytes(waiting, sys.byteorder) >= 60_000

    wait_until(blocked, what="the export to wait for its reader")
    return process


@pytest.mark.parametrize("name", ["battery", "every_reading"])
def test_the_log_is_not_held(database, name):
    """Goal: while the reader of the output is slow, the write-ahead log can be emptied."""
    path, db = database
    db.execute("CREATE VIEW every_reading AS SELECT * FROM battery")
    add_readings(db, 10, 2000)
    process = start_blocked(path, name)
    db.execute("UPDATE devices SET first_seen_ms = 1")
    assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    assert len(read_csv(process.communicate()[0].decode())) == 1 + 20000 + 7
    assert process.returncode == 0


@pytest.mark.parametrize("options", [[], ["--since", "2026-11-01"]], ids=["all", "by device"])
def test_rows_that_come_and_go_meanwhile(database, options):
    """Goal: a row that is there all the time is there once; none is there twice."""
    path, db = database
    add_readings(db, 10, 2000)
    before = set(db.execute("SELECT device, time_ms FROM battery"))
    process = start_blocked(path, "battery", *options)
    # Between the rows, before the first, behind the last; and every tenth row goes.
    add_readings(db, 10, 2000, since=START + 30_000)
    add_readings(db, 12, 10, since=START - 10 * DAY)
    db.execute("DELETE FROM battery WHERE time_ms / 60000 % 10 = 0")
    stay = before & set(db.execute("SELECT device, time_ms FROM battery"))
    rows = [(int(row[0]), int(row[3])) for row in read_csv(process.communicate()[0].decode())[1:]]
    assert process.returncode == 0
    assert len(rows) == len(set(rows))
    wanted = {key for key in stay if not options or key[1] >= START - 20 * DAY}
    assert wanted <= set(rows)


def test_a_view_is_of_one_moment(database):
    """Goal: the rows of a view are those of the moment when it was read."""
    path, db = database
    db.execute("CREATE VIEW every_reading AS SELECT * FROM battery")
    add_readings(db, 10, 2000)
    process = start_blocked(path, "every_reading")
    db.execute("DELETE FROM battery")
    assert len(read_csv(process.communicate()[0].decode())) == 1 + 20000 + 7


def test_beside_a_running_daemon(make_daemon):
    """Goal: the configured database, while the daemon has it."""
    daemon = make_daemon(None)
    daemon.start(wait="ready")
    head, *rows = read_csv(foxtrackrctl(daemon, "export", "runs").stdout.replace("\n", "\r\n"))
    assert head[:4] == ("run", "started_ms", "started_utc", "stopped_ms") and len(rows) == 1
    daemon.stop()


def peak_kib(process):
    """Read all of the output slowly enough to see the peak of the memory. Returns it, and the bytes."""
    peak, length = 0, 0
    while chunk := process.stdout.read1(MIB):
        length += len(chunk)
        if process.poll() is None:
            status = open(f"/proc/{process.pid}/status").read()
            peak = max(peak, *map(int, re.findall(r"VmHWM:\s+(\d+) kB", status)), 0)
    assert process.wait() == 0
    return peak, length


@pytest.mark.skipif(SANITIZED, reason=f"{NO_MATTER}a sanitizer takes memory of its own")
@pytest.mark.parametrize("name", ["battery", "every_reading", "quarantine"])
def test_memory_does_not_grow(database, name):
    """Goal: 16 MiB at most, for a table, a view, and rows of a quarter of a MiB."""
    path, db = database
    db.execute("CREATE VIEW every_reading AS SELECT * FROM battery ORDER BY received_ms, device")
    add_readings(db, 100, 2000)
    db.execute("BEGIN")
    for n in range(60):
        db.execute("INSERT INTO quarantine VALUES (randomblob(32), 'x', randomblob(262144), 'json', '', 1, 2, 3)")
    db.execute("COMMIT")
    for form in ("csv", "ndjson"):
        process = subprocess.Popen([FOXTRACKRCTL, "export", name, path, "--format", form],
                                   stdout=subprocess.PIPE)
        peak, length = peak_kib(process)
        assert length > 10 * MIB and 0 < peak <= 16 * 1024, (form, peak)


# --- the output ------------------------------------------------------------------------------------

def test_a_file_is_complete_or_as_it_was(database, tmp_path):
    """Goal: a file is replaced by a complete one; an export that is ended leaves it as it was, and no
    other file."""
    path, db = database
    target = tmp_path / "out" / "battery.csv"
    target.parent.mkdir()
    add_readings(db, 200, 2000)
    for _ in range(20):  # on a machine that stops us for a while, it may be done before the signal
        target.write_text("as it was")
        process = subprocess.Popen([FOXTRACKRCTL, "export", "battery", path, "-o", target],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: len(list(target.parent.iterdir())) > 1 or process.poll() is not None,
                   what="the unfinished file", every=0.001)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
        if process.returncode != 0:
            break
    assert process.returncode == 1 and "stopped after" in said
    assert target.read_text() == "as it was" and len(list(target.parent.iterdir())) == 1

    done = run(FOXTRACKRCTL, "export", "battery", path, "-o", target)
    assert f"{target}: 400007 rows, " in done.stdout
    assert target.read_bytes().count(b"\r\n") == 400008 + 1  # one value has an end of a line
    assert len(list(target.parent.iterdir())) == 1


def test_a_reader_that_goes_away(database):
    """Goal: `| head` gets its lines, and the export ends at once and says why."""
    path, db = database
    add_readings(db, 20, 2000)
    process = start_blocked(path, "battery")
    assert process.stdout.readline().startswith(b"device,")
    process.stdout.close()
    said = process.stderr.read().decode()
    assert process.wait() == 73
    assert said == "foxtrackrctl: standard output: its reader has closed it, before the end\n"


def test_a_full_disk(database, tmp_path):
    """Goal: an error of the disk is told, and no half a file is left."""
    path, db = database
    add_readings(db, 20, 2000)
    done = export(path, "battery", "-o", "/dev/full", check=False)
    assert done.returncode == 73
    assert done.stderr == b"foxtrackrctl: /dev/full: cannot be written: No space left on device\n"
    with open("/dev/full", "wb") as full:
        done = subprocess.run([FOXTRACKRCTL, "export", "runs", path], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 73 and b"standard output: cannot be written" in done.stderr
    with small_disk(tmp_path / "small", "1m") as small:
        done = export(path, "battery", "-o", small / "battery.csv", check=False)
        assert done.returncode == 73 and b"No space left on device" in done.stderr
        assert list(small.iterdir()) == []


def test_a_limit_on_the_size_of_files(database, tmp_path):
    path, db = database
    add_readings(db, 20, 2000)
    done = export(path, "battery", "-o", tmp_path / "battery.csv", check=False,
                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB)))
    assert done.returncode == 73 and b"cannot be written: File too large" in done.stderr
    assert not list(tmp_path.glob("battery*"))


def test_no_room_for_a_temporary_file(database, tmp_path):
    """Goal: a view that does not fit there is an error that says where to make room."""
    path, db = database
    db.execute("CREATE VIEW every_reading AS SELECT * FROM battery")
    add_readings(db, 50, 2000)
    with small_disk(tmp_path / "small", "1m") as small:
        done = export(path, "every_reading", check=False, env={**os.environ, "SQLITE_TMPDIR": str(small)})
        assert done.returncode == 1 and b"there is no room for a temporary file in SQLITE_TMPDIR" in done.stderr


@pytest.mark.parametrize("target, says", [("fox.db", "database"), ("nowhere/x.csv", "its directory is not there; make it"), (".", "Is a directory")])
def test_where_no_file_can_be(make_daemon, target, says):
    """Goal: the database is not overwritten; a directory that is not there is told."""
    daemon = make_daemon(None)
    daemon.start(wait="ready")
    daemon.stop()
    name = daemon.database if target == "fox.db" else daemon.directory / target
    size = daemon.database.stat().st_size
    done = foxtrackrctl(daemon, "export", "runs", "-o", name, check=False)
    assert done.returncode == 73 and says in done.stderr, done.stderr
    assert daemon.database.stat().st_size == size


def test_an_export_is_not_written_over_its_database(database):
    """Goal: nor over one that is no configured one, for instance a backup."""
    path, db = database
    db.close()
    before = path.read_bytes()
    done = export(path, "runs", "-o", path, check=False)
    assert done.returncode == 73 and b"is a file of the database; choose another name" in done.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_an_export_is_not_written_over_the_log(database, suffix):
    """Goal: nor over the files beside the database: without its log it lacks what came last."""
    path, db = database
    done = export(path, "runs", "-o", f"{path}{suffix}", check=False)
    assert done.returncode == 73 and b"is a file of the database; choose another name" in done.stderr
    assert db.execute("SELECT count(*) FROM battery").fetchone() == (7,)


def test_output_that_is_a_dash(database, tmp_path):
    """Goal: -o - is standard output, as in the report."""
    path, _ = database
    assert export(path, "runs", "-o", "-", cwd=tmp_path).stdout == export(path, "runs").stdout
    assert not (tmp_path / "-").exists()

def test_progress_on_a_terminal(database):
    """Goal: on a terminal one sees how far it is; elsewhere nothing."""
    path, db = database
    add_readings(db, 100, 2000)
    ours, theirs = pty.openpty()
    process = subprocess.Popen([FOXTRACKRCTL, "export", "battery", path], stderr=theirs,
                               stdout=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:
            break
    os.close(ours)
    assert process.wait(20 * PATIENCE) == 0
    assert re.search(rb"exporting +\d+ rows, \d+ s", shown), shown
    assert shown.endswith(b"\r\x1b[K")


def shown(*words):
    """What a terminal gets."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([FOXTRACKRCTL, *words], stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        got = b""
        try:
            while more := os.read(ours, 4096):
                got += more
        except OSError:  # the other end is closed
            pass
        os.close(ours)
    assert process.returncode == 0, got
    return got.replace(b"\r\n", b"\n").replace(b"\r\n", b"\n")


def test_a_terminal_gets_no_control_characters(database):
    """Goal: a name from a topic cannot steer the terminal that it is written to; a file has it as it is."""
    path, db = database
    name = "\x1b[2J\x1b]0;x\x07 \u009b1m \u202egnp \x7f ü"
    db.execute("INSERT INTO devices VALUES (8, 'foxtrackr', ?, ?)", (name, START))
    assert name.encode() in export(path, "devices").stdout
    csv = shown("export", "devices", path)
    assert b"\n8,foxtrackr,\\x1b[2J\\x1b]0;x\\x07 \\xc2\\x9b1m \\xe2\\x80\\xaegnp \\x7f \xc3\xbc," in csv
    assert csv.startswith(b"device,family,device_id,") and csv.count(b"\n") == 7  # a quoted end of line among them
    lines = shown("export", "devices", path, "--format", "ndjson").decode().splitlines()
    assert r"\u001B[2J\u001B]0;x\u0007 \u009b1m \u202egnp \u007f ü" in lines[-1]
    assert json.loads(lines[-1])["device_id"] == name


# --- what is refused -------------------------------------------------------------------------------

@pytest.mark.parametrize("words, code, says", [
    (["batery"], 64, "there is no table or view batery (did you mean battery?)"),
    (["sqlite_schema"], 64, "there is no table or view sqlite_schema"),
    (["battery", "--format", "xml"], 64, "--format xml: there is no such format; they are csv and ndjson"),
    (["battery", "--since", "soon"], 64, "--since: soon is no moment; write"),
    (["battery", "--since", "1d", "--until", "2d"], 64, "--since 1d is not before --until 2d"),
    (["battery", "--device", "none"], 1, "--device none: there is no device of that name"),
    (["runs", "--device", "1BBCE"], 64, "--device: runs has no column device"),
    (["inbox_position", "--since", "1d"], 64, "--since, --until: inbox_position has no time to select by"),
    (["broken"], 66, "cannot list the columns of a table or view: no such column: absent"),
    (["wrong"], 66, "cannot read wrong: malformed JSON"),
], ids=str)
def test_refused(database, words, code, says):
    """Goal: one sentence says what is wrong; where the name is, there is a list of what there is."""
    path, db = database
    db.execute("CREATE VIEW broken AS SELECT absent FROM battery")
    db.execute("CREATE VIEW wrong AS SELECT json('{') AS x FROM devices")
    done = export(path, *words, check=False)
    assert (done.returncode, done.stdout) == (code, b"")
    first, *more = done.stderr.decode().splitlines()
    assert says in first
    if "no table" in says:
        assert re.search(r"tables: battery, .*, temperature\b", more[0])
        assert re.search(r"views: battery_daily, battery_latest, .*fleet", more[1])
    else:
        assert more == []


def test_databases_that_cannot_be_read(tmp_path):
    """Goal: no such file, no database, an older or newer schema, a locked one."""
    def refused(path):
        done = export(path, "runs", check=False)
        assert (done.returncode, done.stdout) == (66, b"")
        return done.stderr.decode()

    assert "fox.db" in refused(tmp_path / "fox.db")
    (tmp_path / "text").write_text("no database" * 100)
    assert "is not a database" in refused(tmp_path / "text")
    path = tmp_path / "fox.db"
    db = make_database(path)
    db.execute("PRAGMA user_version = 1")
    assert "start foxtrackrd once" in refused(path)
    db.execute("PRAGMA user_version = 999")
    assert "install a newer foxtrackrd" in refused(path)
    db.execute("BEGIN EXCLUSIVE")
    assert "another program is writing to it" in refused(path)
    db.execute("ROLLBACK")
    db.close()


@pytest.mark.parametrize("options", [[], ["--device", "dev-3"], ["--format", "ndjson"]], ids=str)
def test_a_damaged_database(database, options):
    """Goal: a table that cannot be read to its end is no export that could be done later: exit 74."""
    path, db = database
    add_readings(db, 10, 2000)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages = [page for (page,) in db.execute(
        "SELECT pageno FROM dbstat WHERE name = 'battery' AND pagetype = 'leaf' ORDER BY path")]
    db.close()
    with open(path, "r+b") as file:
        for page in pages[1:]:
            file.seek((page - 1) * 4096)
            file.write(b"\xa5" * 300)
    done = export(path, "battery", *options, check=False)
    assert done.returncode == 74 and b"malformed" in done.stderr, done.stderr


def test_table_is_missing():
    done = run(FOXTRACKRCTL, "export", check=False)
    assert done.returncode == 64 and "export: TABLE is missing" in done.stderr


def test_a_file_that_is_no_file_of_its_own(database, tmp_path):
    """Goal: a pipe is written itself."""
    path, _ = database
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    done = run(FOXTRACKRCTL, "export", "device_groups", path, "-o", pipe)
    reader.join()
    assert got[0].count(b"\r\n") == 4 and "3 rows" in done.stdout
    assert sorted(tmp_path.glob("pipe*")) == [pipe]
