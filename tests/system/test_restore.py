"""An older state of the database in its place: a backup that was copied there, or foxtrackrctl restore."""

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess

import pytest

import fleet
from foxtrackrd import CLIENT_ID, foxtrackrctl
from harness import (FOXTRACKRCTL, PATIENCE, ROOT, check_sound, count_rows, query, sanitizer, value,
                     wait_until)

FOXB = b"FOXB"


def log_of(path):
    return path.with_name(path.name + "-wal")


def gaps(path):
    return query(path, "SELECT client_id, last_durable_ms, resumed_ms, reason FROM gaps "
                       "ORDER BY resumed_ms, client_id")


def publish(broker, daemon, device, count):
    """So many readings of a device, stored when this returns."""
    now = fleet.now_ms()
    rows = count_rows(daemon.database)
    for i in range(count):
        broker.publish(f"foxtrackr/{device}/V3.0/bat", fleet.battery(device, now + i))
    daemon.wait_rows(rows + count)


@pytest.fixture
def history(broker, daemon, tmp_path):
    """A backup, readings that came after it, and a daemon that was killed: its WAL is not empty."""
    daemon.start()
    publish(broker, daemon, "before", 30)
    with contextlib.closing(sqlite3.connect(daemon.database, timeout=20)) as people, people:
        people.execute("INSERT INTO limits (celsius_max) VALUES (8)")
    backup = tmp_path / "backup.db"
    begun = fleet.now_ms()
    foxtrackrctl(daemon, "backup", backup)
    publish(broker, daemon, "after", 40)
    daemon.kill()
    assert log_of(daemon.database).stat().st_size > 0
    return backup, begun


def digest(path):
    return {name.name: name.read_bytes() for name in path.parent.glob(path.name + "*")
            if not name.name.endswith(("-shm", ".lock"))}


def test_a_backup_says_so(daemon, history):
    """Goal: a backup is recognised by its header, opens like any database, and says of when it is."""
    backup, begun = history
    assert backup.read_bytes()[68:72] == FOXB
    taken = value(backup, "SELECT taken_ms FROM foxtrackr_backup")
    assert begun <= taken <= fleet.now_ms()
    assert query(backup, "PRAGMA integrity_check") == [("ok",)]
    assert query(backup, "PRAGMA journal_mode") == [("wal",)]
    said = foxtrackrctl(daemon, "verify", backup)
    assert "backup of" in said.stdout
    # A backup of it is a backup of the same moment.
    daemon.configure(database={"path": backup})
    assert "backup of" in foxtrackrctl(daemon, "check", check=False).stdout
    copy = backup.with_name("copy.db")
    foxtrackrctl(daemon, "backup", copy)
    assert value(copy, "SELECT taken_ms FROM foxtrackr_backup") == taken


def test_a_backup_copied_over_a_wal(daemon, history):
    """Goal: a backup beside another database's WAL is refused, and nothing is touched."""
    backup, _ = history
    shutil.copyfile(backup, daemon.database)
    before = digest(daemon.database)
    for _ in range(2):
        daemon.start(wait=False)
        assert daemon.wait_exit() == 74
        assert "is a backup" in daemon.log() and "foxtrackrctl restore" in daemon.log()
        assert digest(daemon.database) == before
    for command in ("check", "verify"):
        said = foxtrackrctl(daemon, command, check=False)
        assert said.returncode == 1 and "is a backup" in said.stdout
    assert digest(daemon.database) == before


def test_a_backup_copied_properly(broker, daemon, history):
    """Goal: a backup that stands alone becomes the database, with a gap from its moment to now."""
    backup, _ = history
    taken = value(backup, "SELECT taken_ms FROM foxtrackr_backup")
    for name in daemon.database.parent.glob(daemon.database.name + "-*"):
        name.unlink()
    shutil.copyfile(backup, daemon.database)
    started = fleet.now_ms()
    daemon.start()
    line = daemon.wait_log("err: .*backup that was put in its place")
    assert "noted in the table gaps for 1 session" in line
    found = gaps(daemon.database)
    assert [row[::3] for row in found] == [(CLIENT_ID, "restored")]
    assert found[0][1] == taken and started <= found[0][2] <= fleet.now_ms()
    daemon.wait_status(lambda s: s["gaps"]["count"] == 1 and s["gaps"]["last"]["reason"] == "restored")
    publish(broker, daemon, "later", 5)
    daemon.stop()
    daemon.start()
    assert len(gaps(daemon.database)) == 1
    assert "backup that was put" not in daemon.log()
    daemon.stop()
    assert daemon.database.read_bytes()[68:72] == b"FOXT"
    check_sound(daemon.database)
    assert value(daemon.database, "SELECT count(*) FROM sqlite_schema "
                                  "WHERE name = 'foxtrackr_backup'") == 0


def set_aside(database):
    """The old database after a restore."""
    found = [path for path in database.parent.glob(database.name + ".replaced-*")
             if not path.name.endswith(("-wal", "-shm"))]
    assert len(found) == 1, found
    return found[0]


def devices(path):
    return dict(query(path, "SELECT device_id, count(*) FROM battery JOIN devices USING (device) "
                            "GROUP BY 1 ORDER BY 1"))


def test_restore(broker, daemon, history):
    """Goal: restore does all of it: the old files stay, the new database has the gap, and works."""
    backup, _ = history
    original = backup.read_bytes()
    old = digest(daemon.database)
    os.chmod(daemon.database, 0o604)
    started = fleet.now_ms()
    said = foxtrackrctl(daemon, "restore", backup)
    taken = value(backup, "SELECT taken_ms FROM foxtrackr_backup")
    assert "good  integrity" in said.stdout and "set aside" not in said.stderr
    assert backup.read_bytes() == original
    aside = set_aside(daemon.database)
    assert str(aside) in said.stdout
    assert {name.replace(aside.name, daemon.database.name): content
            for name, content in digest(aside).items()} == old
    assert daemon.database.stat().st_mode & 0o777 == 0o604
    found = gaps(daemon.database)
    assert [(row[0], row[1], row[3]) for row in found] == [(CLIENT_ID, taken, "restored")]
    assert started <= found[0][2] <= fleet.now_ms()
    assert foxtrackrctl(daemon, "verify").returncode == 0
    assert value(daemon.database, "SELECT celsius_max FROM limits") == 8
    assert devices(daemon.database) == {"before": 30}
    assert devices(aside) == {"after": 40, "before": 30}
    assert not list(daemon.database.parent.glob("*.restoring-*"))

    daemon.start()
    daemon.wait_log(r"err(or)?: database: it is a backup that was put in its place: .* are not in it")
    publish(broker, daemon, "later", 5)
    assert len(gaps(daemon.database)) == 1
    daemon.stop()
    daemon.start()
    assert "a backup that was put" not in daemon.log()  # a run has begun since
    refused = foxtrackrctl(daemon, "restore", aside, check=False)
    assert refused.returncode == 1 and "stop it" in refused.stderr
    daemon.stop()
    # Back again: the database that was set aside is restored with its WAL.
    foxtrackrctl(daemon, "restore", aside)
    assert devices(daemon.database) == {"after": 40, "before": 30}
    assert [row[3] for row in gaps(daemon.database)] == ["restored"]
    check_sound(daemon.database)


def test_the_missing_rows_can_be_copied(broker, daemon, history):
    """Goal: the manual's commands bring what came after the backup into the restored database, sound."""
    backup, _ = history
    broker.publish("foxtrackr/x/V3.0/bat", "{")
    daemon.start()
    daemon.wait_received(71)
    daemon.stop()
    foxtrackrctl(daemon, "restore", backup)
    page = (ROOT / "daemon" / "foxtrackrctl.8").read_text()
    [sql] = re.findall(r"^# sqlite3 \S+/foxtrackr.db <<'END'\n(.*?)^END$", page, re.DOTALL | re.MULTILINE)
    sql, count = re.subn(r"/\S+/foxtrackr.db.replaced-\w+", str(set_aside(daemon.database)), sql)
    assert count == 1
    subprocess.run(["sqlite3", "-bail", daemon.database], input=sql, text=True, check=True)
    assert devices(daemon.database) == {"after": 40, "before": 30}
    assert value(daemon.database, "SELECT count(*) FROM quarantine") == 1
    assert foxtrackrctl(daemon, "verify").returncode == 0
    daemon.start()
    publish(broker, daemon, "later", 5)
    daemon.stop()
    assert foxtrackrctl(daemon, "verify").returncode == 0


def test_restore_of_other_files(daemon, history, tmp_path):
    """Goal: a copy that is no backup of ours can be restored; what is none, or damaged, is refused."""
    backup, _ = history
    before = digest(daemon.database)

    def refused(file, status, words):
        done = foxtrackrctl(daemon, "restore", file, check=False)
        assert done.returncode == status, (done.stdout, done.stderr)
        assert words in done.stderr
        assert digest(daemon.database) == before

    refused(daemon.database, 66, "the database itself")
    refused(tmp_path / "none.db", 66, "No such file")
    refused(tmp_path, 66, "regular file")
    notes = tmp_path / "notes.db"
    notes.write_text("no database at all, but long enough for a header" * 10)
    refused(notes, 66, "not a database")
    other = tmp_path / "other.db"
    subprocess.run(["sqlite3", other, "CREATE TABLE t (a)"], check=True)
    refused(other, 66, "not a foxtrackrd database")
    newer = tmp_path / "newer.db"
    shutil.copy(backup, newer)
    subprocess.run(["sqlite3", newer, "PRAGMA user_version = 99"], check=True)
    refused(newer, 66, "install a newer")
    damaged = tmp_path / "damaged.db"
    content = bytearray(backup.read_bytes())
    for offset in range(3 * 4096, len(content), 4096):
        content[offset:offset + 512] = b"\xa5" * 512
    damaged.write_bytes(content)
    refused(damaged, 74, "nothing was changed")
    beside = tmp_path / "beside.db"
    shutil.copy(backup, beside)
    shutil.copy(log_of(daemon.database), log_of(beside))
    refused(beside, 66, "not its own")

    plain = tmp_path / "plain.db"
    subprocess.run(["sqlite3", daemon.database, f".backup {plain}"], check=True)
    durable = value(plain, "SELECT max(last_durable_ms) FROM sessions")
    foxtrackrctl(daemon, "restore", plain)
    assert devices(daemon.database) == {"after": 40, "before": 30}
    assert [row[1] >= durable for row in gaps(daemon.database)] == [True]


def test_restore_where_there_is_none(daemon, history):
    """Goal: a database that was deleted, with or without its WAL, is restored."""
    backup, _ = history
    os.unlink(daemon.database)
    foxtrackrctl(daemon, "restore", backup)
    assert devices(daemon.database) == {"before": 30}
    assert len(gaps(daemon.database)) == 1
    check_sound(daemon.database)


def record(daemon):
    """The daemon's record beside its database, as a dictionary of numbers."""
    words = daemon.database.with_name(daemon.database.name + ".lock").read_text()[32:].split()
    return {words[i]: int(words[i + 1]) for i in range(0, len(words) - 1, 2)}


def test_status_tells_a_restoration(broker, daemon, history):
    """
    Goal: status says of a backup that was copied in the place of the database that it is one, while
    no daemon runs; a daemon that took it over, or found an older copy, tells when that was.
    """
    backup, begun = history

    def restored():
        return daemon.wait_status(lambda s: s["database"]["restored"])["database"]["restored"]

    assert "backup" not in foxtrackrctl(daemon, "status", check=False).stderr   # it was killed
    log_of(daemon.database).unlink()
    shutil.copyfile(backup, daemon.database)
    for status_file in True, False:
        done = foxtrackrctl(daemon, "status", check=False)
        assert done.returncode == 1
        assert f"{daemon.database}: is a backup of 20" in done.stderr, (status_file, done)
        daemon.status_path.unlink(missing_ok=True)

    started = fleet.now_ms()
    daemon.start()
    told = restored()
    assert told["what"] == "backup" and begun <= told["from_ms"] < started <= told["at_ms"]
    words = foxtrackrctl(daemon, "status").stdout
    assert "a backup was put in its place; what was acknowledged from 20" in words
    publish(broker, daemon, "later", 5)
    copy = copy_of(daemon, "copy.db")
    daemon.stop()
    daemon.start()
    publish(broker, daemon, "later still", 5)
    assert restored() == told       # also in a later run
    daemon.stop()
    assert "is a backup" not in foxtrackrctl(daemon, "status", check=False).stderr

    shutil.copyfile(copy, daemon.database)
    daemon.start()
    assert restored()["what"] == "older database" and restored()["at_ms"] > told["at_ms"]
    assert "an older copy was found in its place" in foxtrackrctl(daemon, "status").stdout
    daemon.stop()


def copy_of(daemon, name):
    """A copy that carries no mark, by other means than foxtrackrctl backup."""
    copy = daemon.directory / name
    subprocess.run(["sqlite3", daemon.database, f".backup {copy}"], check=True)
    return copy


def check_older(broker, daemon):
    """The next start finds an older database: one row in gaps, and one line, once."""
    started = fleet.now_ms()
    daemon.start()
    assert "for 1 session" in daemon.wait_log("err: .*older than what foxtrackrd wrote here last")
    found = gaps(daemon.database)
    assert [row[::3] for row in found] == [(CLIENT_ID, "older database")]
    assert found[0][1] < started <= found[0][2]
    publish(broker, daemon, "later", 5)
    daemon.stop()
    daemon.start()
    assert len(gaps(daemon.database)) == 1 and "older than" not in daemon.log()
    daemon.stop()
    check_sound(daemon.database)


def test_an_unmarked_copy_of_an_earlier_run(broker, daemon):
    """Goal: a copy of a closed database from before the last run is noticed, after a clean stop too."""
    daemon.start()
    publish(broker, daemon, "before", 10)
    daemon.stop()
    copy = copy_of(daemon, "copy.db")
    daemon.start()
    publish(broker, daemon, "after", 10)
    daemon.stop()
    shutil.copyfile(copy, daemon.database)
    check_older(broker, daemon)


def test_an_unmarked_copy_of_the_same_run(broker, daemon):
    """Goal: a copy made and put back within one run is noticed by the number of its messages."""
    daemon.start()
    publish(broker, daemon, "before", 10)
    copy = copy_of(daemon, "copy.db")
    received = record(daemon)["received"]

    def recorded():
        publish(broker, daemon, "after", 1)
        return record(daemon)["received"] > max(received, 10)

    wait_until(recorded, what="the record of a later second")
    daemon.kill()
    for name in daemon.database.parent.glob(daemon.database.name + "-*"):
        name.unlink()
    shutil.copyfile(copy, daemon.database)
    check_older(broker, daemon)


def test_an_older_copy_of_the_same_size(broker, daemon, tmp_path):
    """
    Goal: a copy of the closed database from before the last runs, written into the file of the same
    size, is refused beside the WAL of a killed daemon: SQLite would lose in silence what lies between
    the two. Without the WAL, or with the right file, the daemon starts.
    """
    daemon.start()
    publish(broker, daemon, "early", 30)
    publish(broker, daemon, "middle", 30)
    daemon.stop()
    daemon.start()  # its roll-ups, which take pages of their own, come before the copy
    wait_until(lambda: value(daemon.database, "SELECT analyzed_ms FROM rollup_state"),
               what="roll-ups")
    daemon.stop()
    copy = tmp_path / "plain.db"
    shutil.copyfile(daemon.database, copy)
    daemon.start()
    publish(broker, daemon, "middle", 3)
    daemon.stop()
    daemon.start()
    publish(broker, daemon, "early", 3)
    daemon.kill()
    whole = daemon.database.read_bytes()
    assert copy.stat().st_size == len(whole) and copy.read_bytes() != whole
    shutil.copyfile(copy, daemon.database)
    before = digest(daemon.database)
    for _ in range(2):
        daemon.start(wait=None)
        assert daemon.wait_exit() == 74
        assert "an older copy was written into it" in daemon.log()
        assert digest(daemon.database) == before

    log = log_of(daemon.database).read_bytes()
    with open(daemon.database, "r+b") as file:
        file.write(whole)
    daemon.start()
    daemon.kill()
    assert devices(daemon.database) == {"early": 33, "middle": 33}
    check_sound(daemon.database)
    # Alone it is accepted, and is the base from then on.
    log_of(daemon.database).unlink()
    shutil.copyfile(copy, daemon.database)
    assert log
    for _ in range(3):
        daemon.start()
        daemon.kill()
    assert devices(daemon.database) == {"early": 30, "middle": 30}


def grow(broker, daemon):
    """Rows that move into the database with the WAL, and then some that stay in the WAL."""
    body = "x" * 3000
    with sqlite3.connect(daemon.database, timeout=20) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # the daemon does it
        connection.execute("INSERT OR IGNORE INTO devices VALUES (99, 'foxtrackr', 'filler', 0)")
        connection.executemany(
            "INSERT INTO messages VALUES (99, 'filler', ?, 'V3.0', 9, ?, randomblob(32), 0)",
            [(i, body) for i in range(3000)])
    connection.close()
    publish(broker, daemon, "grow", 20)


def test_an_unmarked_copy_beside_a_wal(broker, daemon):
    """
    Goal: a copy that is put in the place of the database, with the WAL of a killed daemon beside it,
    is refused: by its inode, because it lacks the state that the WAL builds on, or because the two
    together are damaged.
    """
    daemon.start()
    publish(broker, daemon, "before", 10)
    daemon.stop()
    copy = copy_of(daemon, "copy.db")
    daemon.start()
    grow(broker, daemon)
    daemon.stop()
    daemon.start()
    publish(broker, daemon, "after", 10)
    daemon.kill()
    assert log_of(daemon.database).stat().st_size > 0
    saved = daemon.directory / "saved.db"
    os.rename(daemon.database, saved)
    shutil.copyfile(copy, daemon.database)
    before = digest(daemon.database)
    daemon.start(wait=None)
    assert daemon.wait_exit() == 74
    assert "another file was put in the place" in daemon.log()
    assert digest(daemon.database) == before

    os.unlink(daemon.database)
    os.rename(saved, daemon.database)
    whole = daemon.database.read_bytes()
    shutil.copyfile(copy, daemon.database)      # the same inode
    before = digest(daemon.database)
    lock = daemon.database.with_name(daemon.database.name + ".lock")
    for words in "an older copy was written into it", "is damaged with the write-ahead log that stands":
        daemon.start(wait=None)
        assert daemon.wait_exit() == 74
        assert words in daemon.log()
        assert digest(daemon.database) == before
        # A record of an earlier foxtrackrd, which did not note what was in the file.
        lock.write_text(re.sub(r"page .* end", "end", lock.read_text()))

    with open(daemon.database, "r+b") as file:  # another program has written, but the right thing
        file.write(whole)
    daemon.start()
    daemon.wait_log("warning: .*is not as foxtrackrd left it.*no damage was found")
    assert devices(daemon.database) == {"after": 10, "before": 10, "grow": 20}
    assert gaps(daemon.database) == []
    daemon.stop()


def test_kill_is_not_strange(broker, daemon):
    """Goal: an ordinary kill -9, with a checkpoint before or without one, needs no check."""
    daemon.start()
    publish(broker, daemon, "before", 10)
    for _ in range(3):
        grow(broker, daemon)
        daemon.kill()
        daemon.start()
        assert "not as foxtrackrd left it" not in daemon.log()
        with sqlite3.connect(daemon.database, timeout=20) as connection:
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute("DELETE FROM messages")
        connection.close()
    assert gaps(daemon.database) == []
    daemon.stop()


CALLS = "link,linkat,rename,renameat2,unlink,fsync,fdatasync,pwrite64,ftruncate,fchown,fchmod"


def strace(*arguments):
    return subprocess.run(["strace", "-f", "-qq", *arguments], capture_output=True, text=True,
                          timeout=60 * PATIENCE, env={**os.environ, **sanitizer("detect_leaks=0")})


@pytest.mark.limit(400)
@pytest.mark.long
def test_restore_killed_at_every_step(make_daemon, daemon, history, tmp_path):
    """
    Goal: killed before any of the calls that change files, restore leaves the old database with its
    log, or the new one with one gap, once a daemon has been started, or restore said again.
    """
    backup, _ = history
    probe = strace("-e", "trace=fsync", "true")
    if probe.returncode != 0:
        pytest.skip(f"strace may not trace here: {probe.stderr.strip()}")
    place = tmp_path / "place"
    lone = make_daemon(None, directory=place)
    files = {name.name: name.read_bytes() for name in daemon.database.parent.glob(
        daemon.database.name + "*") if not name.name.endswith("-shm")}

    def lay():
        for name in place.glob("*.db*"):
            name.unlink()
        for name, content in files.items():
            (place / name).write_bytes(content)

    command = (FOXTRACKRCTL, "-c", lone.config, "restore", backup)
    lay()
    trace = tmp_path / "trace"
    done = strace("-e", f"trace={CALLS}", "-o", trace, *command)
    assert done.returncode == 0, done.stderr
    calls = [line.split("(")[0].split()[-1] for line in trace.read_text().splitlines() if "(" in line]
    assert {"link", "renameat2", "unlink", "rename"} <= set(calls)
    outcomes = []
    for at, call in enumerate(calls):
        lay()
        number = calls[:at + 1].count(call)
        killed = strace("-e", f"trace={CALLS}", "-e", f"inject={call}:signal=SIGKILL:when={number}",
                        *command)
        assert killed.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), killed.stderr
        lone.start(wait=None)
        lone.wait_log("starting")
        wait_until(lambda: lone.process.poll() is not None or value(
            lone.database, "SELECT count(*) FROM runs WHERE stopped_ms IS NULL"), what="a run")
        lone.stop()
        found = devices(lone.database)
        restored = [row[3] for row in gaps(lone.database)]
        assert (found, restored) in (({"after": 40, "before": 30}, []),
                                     ({"before": 30}, ["restored"])), (at, call, found, restored)
        check_sound(lone.database)
        outcomes.append(len(restored))
        if restored:
            kept = [path for path in place.glob("*.db.re*") if path.read_bytes()[:6] == b"SQLite"
                    and devices(path) == {"after": 40, "before": 30}]
            assert len(kept) == 1, list(place.iterdir())
        foxtrackrctl(lone, "restore", backup)
        assert devices(lone.database) == {"before": 30}
    print(*zip(calls, outcomes))
    assert outcomes == sorted(outcomes) and 0 < sum(outcomes) < len(outcomes), outcomes


def test_restore_without_exchange_that_fails(make_daemon, daemon, history, tmp_path):
    """
    Goal: on a file system that cannot exchange two names, a database whose name cannot be given to
    the copy keeps one name and its content: with two names the daemon would refuse it.
    """
    backup, _ = history
    lone = make_daemon(None, directory=tmp_path / "place")
    for name in daemon.database.parent.glob(daemon.database.name + "*"):
        if not name.name.endswith("-shm"):
            (lone.database.parent / name.name).write_bytes(name.read_bytes())

    failed = strace("-e", "trace=rename,renameat2", "-e", "inject=renameat2:error=EINVAL",
                    "-e", "inject=rename:error=EIO", FOXTRACKRCTL, "-c", lone.config, "restore", backup)

    if "may not trace" in failed.stderr:
        pytest.skip("strace may not trace here")
    assert failed.returncode != 0
    assert "cannot get its new content" in failed.stderr, failed.stderr
    assert lone.database.stat().st_nlink == 1, list(lone.database.parent.iterdir())
    foxtrackrctl(lone, "restore", backup)
    assert devices(lone.database) == {"before": 30}
