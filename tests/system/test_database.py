"""Faults of the database and of its disk: the daemon notices them and never damages a database."""

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import threading
import time

import pytest

import fleet
from foxtrackrd import CLIENT_ID
from harness import (PATIENCE, check_sound, count_received, count_rows, db, find_program, query,
                     small_disk, value, wait_until)

MIB = 1024 * 1024
DAY_MS = 86_400_000
PUBREC = f"Received PUBREC from {CLIENT_ID}"


@contextlib.contextmanager
def locked(path):
    """Somebody else writes, and takes a long time over it."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30 * PATIENCE)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


def test_locked_database_stops_the_acknowledgements(make_broker, make_daemon):
    """
    Goal: while somebody else holds the database for longer than busy_timeout, the status says so
    and nothing is acknowledged; afterwards everything arrives without help.
    """
    broker = make_broker(verbose=True)
    daemon = make_daemon(broker, database={"busy_timeout": "500ms"}).start()

    with locked(daemon.database):
        manifest = fleet.play(broker, messages=300)
        daemon.wait_notified("busy|locked")
        # The whole sentence, with its advice.
        daemon.wait_log(r"^err.*(busy|locked).*\(fuser -v on the file names the programs that have it open\)")
        daemon.wait_status(lambda now: now["sessions"][0]["last_error"].endswith("that have it open)"))
        daemon.wait_status(lambda s: s["state"] == "database takes nothing")
        assert broker.count_log(PUBREC) == 0
    daemon.wait_received(manifest.messages)
    daemon.wait_subscribed()
    daemon.stop()

    manifest.check(daemon.database)
    check_sound(daemon.database)
    assert query(daemon.database, "SELECT * FROM gaps") == []


def test_short_pauses_of_another_writer(broker, make_daemon):
    """
    Goal: somebody who writes without end but lets go for a moment each time does not keep the daemon
    out: it takes its turn in such a moment, within busy_timeout.
    """
    daemon = make_daemon(broker, database={"busy_timeout": f"{1500 * PATIENCE}ms"}).start()
    end = threading.Event()

    def write():
        with contextlib.closing(sqlite3.connect(daemon.database, isolation_level=None,
                                                timeout=30 * PATIENCE)) as connection:
            while not end.is_set():
                connection.execute("BEGIN IMMEDIATE")
                time.sleep(0.04)
                connection.execute("ROLLBACK")
                time.sleep(0.004)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        manifest = fleet.play(broker, messages=400, rate=100)
        daemon.wait_received(manifest.messages)
    finally:
        end.set()
        writer.join()
    assert "database" not in daemon.log(), daemon.log_tail()
    daemon.stop()
    manifest.check(daemon.database)
    check_sound(daemon.database)


def test_sigterm_while_the_database_is_locked(broker, make_daemon):
    """Goal: the stop does not wait for whoever holds the database, and nothing is lost by that."""
    daemon = make_daemon(broker, database={"busy_timeout": "500ms"}).start()
    with locked(daemon.database):
        manifest = fleet.play(broker, messages=100)
        daemon.wait_notified("busy|locked")
        daemon.stop()
    daemon.start()
    daemon.wait_rows(manifest.row_count)
    daemon.stop()

    manifest.check(daemon.database)
    check_sound(daemon.database)


def test_locked_at_the_start(broker, make_daemon):
    """Goal: a database that cannot be had at the start is a failure that systemd can repeat."""
    daemon = make_daemon(broker, database={"busy_timeout": "100ms"}).start()
    daemon.stop()
    with locked(daemon.database):
        daemon.start(wait=None)
        assert daemon.wait_exit() == 74
        daemon.wait_log("busy|locked")
    daemon.start()
    daemon.stop()


def test_readers_neither_wait_nor_disturb(broker, daemon):
    """Goal: an analyst's long read sees one moment of the data while the daemon goes on writing."""
    daemon.start()
    first = fleet.play(broker, messages=100)
    daemon.wait_received(first.messages)
    with db(daemon.database) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM fleet").fetchone()[0] == 12
        rows = reader.execute("SELECT count(*) FROM battery").fetchone()[0]
        fleet.play(broker, messages=1000, seed=2, end_ms=fleet.now_ms() - 10 * 86_400_000)
        daemon.wait_received(1100)
        assert reader.execute("SELECT count(*) FROM battery").fetchone()[0] == rows
    assert value(daemon.database, "SELECT count(*) FROM battery") > rows
    daemon.stop()


@pytest.mark.parametrize("size", ["3m", "4m", "16m"])
def test_full_disk(make_broker, make_daemon, tmp_path, size):
    """
    Goal: a full disk stops the acknowledgements and the status says so; when there is room again
    the daemon goes on by itself, and everything is there once. On the smaller disks the WAL of
    the database alone would fill them again: the short readers of wait_rows() hold it, and
    meanwhile it grows.
    """
    broker = make_broker(verbose=True)
    with small_disk(tmp_path / "disk", size) as disk:
        daemon = make_daemon(broker, database={"path": disk / "foxtrackr.db", "min_free_mb": 0})
        daemon.start()
        filler = disk / "filler"
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        manifest = fleet.play(broker, messages=5000, garbage=20)
        daemon.wait_notified("full|no space|disk")
        # Some may have fitted in what the files had already.
        durable = count_received(daemon.database)
        assert durable < manifest.messages, "the disk was not full"
        assert broker.count_log(PUBREC) <= durable

        filler.unlink()
        daemon.wait_rows(manifest.row_count)
        daemon.wait_subscribed(60)
        daemon.stop()

        manifest.check(daemon.database)
        check_sound(daemon.database)
        assert query(daemon.database, "SELECT * FROM gaps") == []


def test_minimum_of_free_space(broker, daemon):
    """
    Goal: below min_free_mb nothing is taken any more, before the disk is full, and a reload with a
    lower minimum is enough to go on.
    """
    daemon.start()
    daemon.configure(database={"min_free_mb": 1048576})
    daemon.reload()
    daemon.wait_notified("min_free_mb")
    broker.publish("foxtrackr/m1/V3.0/bat", fleet.battery("m1", fleet.now_ms()))
    daemon.wait_log("connection lost|is not writable")
    assert count_rows(daemon.database) == 0

    daemon.configure(database={"min_free_mb": 0})
    daemon.reload()
    daemon.wait_rows(1)
    daemon.wait_subscribed()
    daemon.stop()


def fill_up(path, free_bytes):
    """Leave so much of a file system, with one file that grows or shrinks; returns the file."""
    path.touch()
    space = os.statvfs(path.parent)
    size = path.stat().st_size + space.f_bavail * space.f_frsize - free_bytes
    with open(path, "r+b") as file:
        file.truncate(size)
        os.posix_fallocate(file.fileno(), 0, size)
    return path


def wait_looked_again(daemon, times=2):
    """Wait until the daemon has looked at everything a few times more."""
    seen = set()
    daemon.wait_status(lambda s: seen.add(s["updated_ms"]) or len(seen) > times, 30)


def test_minimum_of_free_space_on_a_small_disk(make_broker, make_daemon, tmp_path):
    """
    Goal: below min_free_mb the daemon stops before the disk is full and says so in log, STATUS and
    status file; nothing is acknowledged, the sessions are not cut and made again meanwhile; an eighth
    more than the minimum lets it go on by itself, and every message is there once.
    """
    broker = make_broker(verbose=True)
    connected = f"New client connected .* as {CLIENT_ID}"
    with small_disk(tmp_path / "disk", "64m") as disk:
        daemon = make_daemon(broker, database={"path": disk / "foxtrackr.db", "min_free_mb": 16})
        daemon.start()
        filler = fill_up(disk / "filler", 14 * MIB)
        daemon.wait_notified("min_free_mb = 16")
        daemon.wait_log("^err.*min_free_mb = 16")
        daemon.wait_status(lambda s: s["state"] == "database takes nothing"
                           and all(one["state"] == "paused" for one in s["sessions"]))
        connects = broker.count_log(connected)
        manifest = fleet.play(broker, messages=2000, garbage=20)
        wait_looked_again(daemon)
        assert count_received(daemon.database) == 0 and broker.count_log(PUBREC) == 0

        fill_up(filler, 17 * MIB)       # more than the minimum, but not an eighth more
        daemon.wait_status(lambda s: s["database"]["free_bytes"] > 16 * MIB)
        wait_looked_again(daemon)
        assert daemon.status()["state"] == "database takes nothing"
        assert count_received(daemon.database) == 0
        assert broker.count_log(connected) == connects, "sessions were made while it is not writable"

        filler.unlink()
        daemon.wait_rows(manifest.row_count)
        daemon.wait_subscribed()
        daemon.stop()
        assert os.statvfs(disk).f_bavail > 0

        manifest.check(daemon.database)
        check_sound(daemon.database)
        assert query(daemon.database, "SELECT * FROM gaps") == []


@pytest.mark.parametrize("free_bytes", [14 * MIB, 0])
def test_sigterm_while_it_waits_for_space(make_broker, make_daemon, tmp_path, free_bytes):
    """
    Goal: there is nothing to wait for below min_free_mb: the stop is prompt and on record where the
    disk takes it, on a full one said in the log, and what was not stored was not acknowledged.
    """
    broker = make_broker(verbose=True)
    with small_disk(tmp_path / "disk", "64m") as disk:
        daemon = make_daemon(broker, database={"path": disk / "foxtrackr.db", "min_free_mb": 16})
        daemon.start()
        filler = fill_up(disk / "filler", free_bytes)
        daemon.wait_notified("min_free_mb = 16")
        manifest = fleet.play(broker, messages=200)
        wait_looked_again(daemon)
        took = daemon.stop()
        assert took < 0.75 * PATIENCE, f"{took:.2f} s"
        daemon.wait_log("^warning.*stopped while the database is not writable.* was not acknowledged")
        stopped_ms = value(daemon.database, "SELECT stopped_ms FROM runs")
        assert stopped_ms is not None or free_bytes == 0
        if stopped_ms is None:
            daemon.wait_log("^warning.*database: .*(full|no space)")
        assert count_received(daemon.database) == 0 and broker.count_log(PUBREC) == 0
        check_sound(daemon.database)

        filler.unlink()
        daemon.start()
        daemon.wait_rows(manifest.row_count)
        daemon.stop()
        manifest.check(daemon.database)
        check_sound(daemon.database)
        assert query(daemon.database, "SELECT * FROM gaps") == []


def test_retention_makes_room(broker, make_daemon, tmp_path):
    """
    Goal: a daemon that has stopped for want of space deletes what retention allows, gives the space
    back to the file system, and goes on by itself.
    """
    with small_disk(tmp_path / "disk", "64m") as disk:
        daemon = make_daemon(broker, database={"path": disk / "foxtrackr.db", "min_free_mb": 16})
        daemon.start()
        broker.publish("foxtrackr/r1/V3.0/bat", fleet.battery("r1", fleet.now_ms() - 100 * DAY_MS))
        daemon.wait_rows(1)
        daemon.stop()
        # Half of them is older than what will be the limit: more than half would wait an hour.
        with contextlib.closing(sqlite3.connect(daemon.database)) as connection, connection:
            connection.execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
                " INSERT INTO battery SELECT 1, time_ms - i, 3.7, 50, 5, printf('{\"x\":\"%0100d\"}', i),"
                " 1 FROM n, battery")
            connection.execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100001)"
                " INSERT INTO battery SELECT 1, ?1 - i, 3.7, 50, 5, NULL, ?1 FROM n",
                (fleet.now_ms(),))
        size = daemon.database.stat().st_size
        assert size > 10 * MIB
        daemon.start()
        fill_up(disk / "filler", 14 * MIB)
        daemon.wait_notified("min_free_mb")
        broker.publish("foxtrackr/r1/V3.0/bat", fleet.battery("r1", fleet.now_ms()))

        daemon.configure(database={"retention_days": 30})
        daemon.reload()
        wait_until(lambda: value(daemon.database, "SELECT count(*) FROM battery") == 100002
                   and value(daemon.database, "SELECT max(time_ms) FROM battery")
                   > fleet.now_ms() - DAY_MS, 60, what="the old to go and the new to come")
        daemon.wait_subscribed()
        daemon.wait_status(lambda s: s["database"]["expired_by_table"]["battery"] == 100001)
        # The daemon has gone on as soon as there was space enough; it gives the rest back after that.
        wait_until(lambda: value(daemon.database, "PRAGMA page_count") * 4096 < size / 2,
                   what="the space to be given back")
        daemon.stop()
        assert daemon.database.stat().st_size < size / 2
        daemon.wait_log("retention_days: deleted 100001 rows of battery from before")
        assert query(daemon.database, "SELECT table_name, row_count FROM expired") == [
            ("battery", 100001)]
        check_sound(daemon.database)


def test_a_pause_moves_the_log(broker, make_daemon):
    """Goal: a short WAL is moved into the database while no message waits."""
    daemon = make_daemon(broker).start()
    for number in range(15):            # 3 MiB; 16 make it move under load
        broker.publish("foxtrackr/p1/V3.0/bat", chr(ord("a") + number) * 200_000)
    daemon.wait_rows(15)
    # The file grows only when the WAL moves.
    wait_until(lambda: daemon.database.stat().st_size > 2 * MIB, what="the WAL to move")
    daemon.stop()
    assert value(daemon.database, "SELECT count(*) FROM quarantine") == 15


def test_retention_does_not_wait_for_a_pause(broker, make_daemon):
    """
    Goal: old rows go while messages keep coming, none of which is lost or late; and each table keeps
    what it is told to.
    """
    daemon = make_daemon(broker).start()
    old_ms = fleet.now_ms() - 100 * DAY_MS
    broker.publish("foxtrackr/o1/V3.0/bat", fleet.battery("o1", old_ms))
    broker.publish("foxtrackr/o1/V3.0/temp", fleet.temperature("o1", old_ms))
    broker.publish("foxtrackr/o1/V3.0/bat", "{")
    daemon.wait_rows(3)
    daemon.stop()
    with contextlib.closing(sqlite3.connect(daemon.database)) as connection, connection:
        connection.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
            " INSERT INTO battery SELECT 1, time_ms - i, 3.7, 50, 5, NULL, 1 FROM n, battery")
        # As many that stay: more than half would wait an hour.
        connection.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50001)"
            " INSERT INTO battery SELECT 1, ?1 - i, 3.7, 50, 5, NULL, ?1 FROM n", (fleet.now_ms(),))

    daemon.configure(database={"retention_days": 30, "retention_days_temperature": 0})
    daemon.start()
    manifest = fleet.play(broker, messages=3000, rate=600, end_ms=fleet.now_ms())
    assert value(daemon.database, "SELECT sum(row_count) FROM expired"), "it waits for a pause"
    daemon.wait_received(3 + manifest.messages)
    wait_until(lambda: value(daemon.database, "SELECT count(*) FROM battery WHERE time_ms <= ?",
                             old_ms) == 0, 60, what="old rows to go")
    assert value(daemon.database, "SELECT count(*) FROM temperature WHERE time_ms = ?", old_ms) == 1
    assert value(daemon.database, "SELECT count(*) FROM quarantine") == 1
    daemon.stop()
    assert count_rows(daemon.database) == manifest.row_count + 2 + 50001
    check_sound(daemon.database)


def obeying_permissions():
    """A command to run the daemon with, so that permissions hold for it: root is above them."""
    if os.geteuid() != 0:
        return ()
    command = (find_program("setpriv"), "--bounding-set", "-dac_override,-dac_read_search")
    if subprocess.run([*command, "true"], capture_output=True).returncode != 0:
        pytest.skip("cannot give up root's power over permissions here")
    return command


def test_directory_that_cannot_be_written(broker, make_daemon, tmp_path):
    """Goal: an unwritable directory is said with its name, at once."""
    directory = tmp_path / "locked-up"
    directory.mkdir(mode=0o500)
    daemon = make_daemon(broker, wrapper=obeying_permissions(),
                         database={"path": directory / "foxtrackr.db"})
    daemon.start(wait=None)

    assert daemon.wait_exit() == 74
    assert str(directory) in daemon.wait_log("denied|writ")
    assert list(directory.iterdir()) == []


def test_database_that_cannot_be_written(broker, make_daemon):
    """Goal: a read-only database is refused with a sentence and left as it is."""
    daemon = make_daemon(broker, wrapper=obeying_permissions()).start()
    daemon.stop()
    daemon.database.chmod(0o440)
    before = daemon.database.read_bytes()

    daemon.start(wait=None)
    assert daemon.wait_exit() == 74
    daemon.wait_log("read-only|not written|denied")
    assert daemon.database.read_bytes() == before


def test_limit_on_file_sizes(broker, daemon):
    """Goal: a limit on file sizes does not end the daemon: it says what to do, and goes on when there is room."""
    daemon.start()
    daemon.wait_subscribed()
    hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (16384, hard))
    manifest = fleet.play(broker, messages=300)
    daemon.wait_notified("database takes nothing.*raise the limit on file sizes")
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    daemon.wait_received(manifest.messages)
    daemon.stop()

    manifest.check(daemon.database)
    check_sound(daemon.database)


def test_newer_schema_is_left_alone(broker, daemon):
    """Goal: a database of a later version is refused, and not a byte of it changes."""
    daemon.start()
    daemon.stop()
    with contextlib.closing(sqlite3.connect(daemon.database)) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.commit()
    before = daemon.database.read_bytes()

    daemon.start(wait=None)
    assert daemon.wait_exit() == 74
    daemon.wait_log("version 99")
    assert daemon.database.read_bytes() == before


@pytest.mark.parametrize("kind", ["another program's database", "text"])
def test_file_of_somebody_else_is_left_alone(broker, daemon, kind):
    """Goal: database.path by mistake names another file: it is refused and does not change."""
    if kind == "text":
        daemon.database.write_text("Dear diary, " * 500)
    else:
        with contextlib.closing(sqlite3.connect(daemon.database)) as connection:
            connection.execute("CREATE TABLE diary (entry TEXT)")
    before = daemon.database.read_bytes()

    daemon.start(wait=None)
    assert daemon.wait_exit() == 74
    daemon.wait_log("not a (foxtrackrd )?database")
    assert daemon.database.read_bytes() == before


def test_database_moved_away_while_running(make_broker, make_daemon):
    """
    Goal: the daemon never goes on writing into a file that is not where the configuration says:
    it ends with 74, and what it could not store there is with the broker.
    """
    broker = make_broker(verbose=True)
    daemon = make_daemon(broker).start()
    broker.publish("foxtrackr/v1/V3.0/bat", fleet.battery("v1", fleet.now_ms()))
    daemon.wait_rows(1)
    wait_until(lambda: broker.count_log(PUBREC) == 1, what="the first acknowledgement")
    away = daemon.database.with_name("away.db")
    daemon.database.rename(away)

    manifest = fleet.play(broker, messages=20)
    assert daemon.wait_exit() == 74
    daemon.wait_log(r"^err.*foxtrackr\.db")
    assert broker.count_log(PUBREC) == 1

    # The WAL belongs to the file that was moved, and beside a new database it would be poison; the
    # record says that there was a database. Both are the operator's to remove.
    for words, suffixes in (("is missing or empty, but its write-ahead log", ("-wal", "-shm")),
                            ("is missing, and .*lock says that there was one", (".lock",))):
        daemon.start(wait=None)
        assert daemon.wait_exit() == 74
        daemon.wait_log(f"^err: .*{words}")
        assert not daemon.database.exists()
        for suffix in suffixes:
            daemon.database.with_name(daemon.database.name + suffix).unlink()
    daemon.start()
    daemon.wait_rows(manifest.row_count)
    daemon.stop()
    manifest.check(daemon.database)


def test_database_deleted_in_a_pause(broker, daemon):
    """Goal: a stop after the database was deleted is an error, and its WAL is not emptied into it."""
    daemon.start()
    manifest = fleet.play(broker, messages=200)
    daemon.wait_received(manifest.messages)
    wal = daemon.database.with_name(daemon.database.name + "-wal")
    before = wal.read_bytes()
    daemon.database.unlink()
    daemon.process.terminate()
    assert daemon.wait_exit() == 74
    daemon.wait_log("^err: database: .*was deleted or replaced while in use")
    assert wal.read_bytes()[:len(before)] == before


def test_an_older_copy_written_into_the_running_database(broker, daemon, tmp_path):
    """
    Goal: cp over the file in use is noticed with the next commit, before a byte is written into it;
    the next start refuses the copy beside the WAL, too.
    """
    daemon.start()
    first = fleet.play(broker, messages=200)
    daemon.wait_received(first.messages)
    daemon.stop()
    copy = tmp_path / "copy.db"
    shutil.copyfile(daemon.database, copy)
    for seed in (2, 3):
        daemon.start()
        fleet.play(broker, messages=200, seed=seed)
        daemon.wait_received(200 * seed)
        if seed == 2:
            daemon.stop()
    shutil.copyfile(copy, daemon.database)

    def noticed():
        """With a commit, once a second."""
        broker.publish("foxtrackr/v1/V3.0/bat", fleet.battery("v1", fleet.now_ms()))
        return daemon.process.poll() is not None
    wait_until(noticed, what="the end of the daemon")
    assert daemon.wait_exit() == 74
    daemon.wait_log("^err: database: .*another file was written into it while it was in use")
    assert daemon.database.read_bytes() == copy.read_bytes()
    daemon.start(wait=None)
    assert daemon.wait_exit() == 74
    daemon.wait_log("an older copy was written into it")
    assert daemon.database.read_bytes() == copy.read_bytes()


def test_damaged_database_is_not_repaired(broker, daemon):
    """Goal: a damaged file is an error with exit status 74, never a reason to begin a new one."""
    daemon.start()
    manifest = fleet.play(broker, messages=2000)
    daemon.wait_received(manifest.messages)
    daemon.stop()
    with open(daemon.database, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(16384)
        file.write(b"\xff" * (size - 16384))

    fleet.play(broker, messages=100, seed=5)
    daemon.start(wait=None)
    assert daemon.wait_exit() == 74
    daemon.wait_log("malformed|corrupt|damaged")
    assert daemon.database.stat().st_size >= size
    assert b"\xff" * 65536 in daemon.database.read_bytes()


def test_a_directory_without_permission_for_a_moment(make_daemon, broker, tmp_path):
    """
    Goal: a directory that may not be searched for a while says nothing about the database in it:
    the daemon waits, acknowledges nothing, and goes on with the same process; no message is lost.
    """
    place = tmp_path / "place"
    place.mkdir(mode=0o700)
    # Root without the right to go through every directory is like everybody else.
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    daemon = make_daemon(broker, database={"path": place / "foxtrackr.db"})
    daemon.wrapper = prefix
    daemon.start()
    process = daemon.process
    broker.publish("foxtrackr/one/V3.0/bat", fleet.battery("one", fleet.now_ms()))
    daemon.wait_rows(1)
    place.chmod(0)
    try:
        broker.publish("foxtrackr/two/V3.0/bat", fleet.battery("two", fleet.now_ms()))
        daemon.wait_log("cannot be looked at: Permission denied")
    finally:
        place.chmod(0o700)
    daemon.wait_rows(2)
    assert "deleted or replaced" not in daemon.log()
    assert daemon.process is process and process.poll() is None
    daemon.stop()
    check_sound(daemon.database)
