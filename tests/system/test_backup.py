"""foxtrackrctl backup: a copy that can be trusted, while the daemon writes."""

import contextlib
import os
import pty
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import threading
import time

import pytest

import fleet
from foxtrackrd import foxtrackrctl
from harness import (FOXTRACKRCTL, PATIENCE, check_sound, query, run, sanitizer,
                     slow_disk, value,
                     wait_until)

FILLER = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
    INSERT INTO messages (device, type, time_ms, version, message_type, body, digest, received_ms)
    SELECT 1, 'filler', 1700000000000 + i, 'V3.0', 9, ?, randomblob(32), 1700000000000 FROM n"""


def fill(path, rows, size=3000):
    """Make the database large, as an owner of the file may."""
    body = '{"filler": "%s"}' % ("x" * size)
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT OR IGNORE INTO devices VALUES (1, 'foxtrackr', 'filler', 0)")
        connection.execute(FILLER, (rows, body))
    connection.close()


@pytest.fixture
def stored(broker, daemon):
    """A daemon with some rows, running."""
    daemon.start()
    manifest = fleet.play(broker, messages=300, garbage=30, other=30)
    daemon.wait_received(manifest.messages)
    return manifest


def left_beside(directory):
    return sorted(path.name for path in directory.iterdir())


def test_backup_is_a_database(broker, daemon, stored, tmp_path):
    """Goal: a backup holds everything, has the right mode, and a daemon can go on with it."""
    place = tmp_path / "backups"
    place.mkdir()
    file = place / "fox ?%41#.db"
    with contextlib.closing(sqlite3.connect(daemon.database, timeout=20)) as people, people:
        people.execute("INSERT INTO limits (celsius_max) VALUES (8)")
    said = foxtrackrctl(daemon, "backup", file)
    assert "verified" in said.stdout and said.stderr == ""
    assert left_beside(place) == [file.name]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    copy = place / "copy.db"
    shutil.copy(file, copy)  # so that reading it leaves nothing beside the backup
    stored.check(copy)
    check_sound(copy)
    assert value(copy, "SELECT celsius_max FROM limits") == 8
    assert foxtrackrctl(daemon, "verify", copy).returncode == 0

    daemon.stop()
    daemon.configure(database={"path": copy})
    daemon.start()
    broker.publish("foxtrackr/after/V3.0/bat", fleet.battery("after", fleet.now_ms()))
    daemon.wait_rows(stored.row_count + 1)
    daemon.stop()
    assert query(copy, "PRAGMA journal_mode") == [("wal",)]
    assert value(copy, "SELECT celsius_max FROM limits") == 8


def write_without_pause(path, end):
    """Commit all the time, so that no two looks at the database see the same."""
    with contextlib.closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE noise (a)")
        connection.execute("PRAGMA synchronous = OFF")
        while not end.is_set():
            connection.execute("INSERT INTO noise VALUES (1)")
            time.sleep(0.0005)  # others want to write too


def test_backup_under_constant_writing(broker, daemon):
    """
    Goal: a backup ends while others commit all the time, is one state of the database, and the
    daemon goes on storing meanwhile.
    """
    daemon.start()
    fill(daemon.database, 6000)
    end = threading.Event()
    manifests = []

    def publish():
        while not end.is_set():
            manifests.append(fleet.play(
                broker, manifest=daemon.directory / f"manifest-{len(manifests)}", messages=400,
                seed=len(manifests), end_ms=fleet.now_ms() - 8 * 86_400_000 * len(manifests)))

    threads = [threading.Thread(target=publish),
               threading.Thread(target=write_without_pause, args=(daemon.database, end))]
    for thread in threads:
        thread.start()
    received = []
    try:
        daemon.wait_received(400)
        for number in range(2):
            file = daemon.directory / f"backup-{number}.db"
            foxtrackrctl(daemon, "backup", file, timeout=20)
            check_sound(file)
            received.append(value(file, "SELECT sum(received) FROM runs"))
            daemon.wait_received(received[-1] + 1)
    finally:
        end.set()
        for thread in threads:
            thread.join()
    assert received == sorted(set(received)), received
    daemon.wait_received(sum(one.messages for one in manifests))
    daemon.stop()


def test_backup_refuses(daemon, stored, tmp_path):
    """Goal: nothing is replaced without --force, never the database itself; each refusal says why."""
    file = tmp_path / "backup.db"
    file.write_text("precious")

    def refused(*arguments, status, words):
        done = foxtrackrctl(daemon, "backup", *arguments, check=False)
        assert done.returncode == status, done.stderr
        assert words in done.stderr

    refused(file, status=73, words="--force")
    assert file.read_text() == "precious"
    refused("--force", daemon.database, status=73, words="the database itself")
    refused(tmp_path / "none" / "backup.db", status=73, words="No such file")
    refused(tmp_path, status=73, words="regular file")
    refused(status=64, words="FILE is missing")
    companion = tmp_path / "backup.db-wal"
    companion.touch()
    refused("--force", file, status=73, words="backup.db-wal")
    companion.unlink()

    foxtrackrctl(daemon, "backup", "--force", file)
    assert file.read_bytes().startswith(b"SQLite format 3\0")
    assert not (tmp_path / "none").exists()
    daemon.stop()


def test_backup_without_space(daemon, tmp_path):
    """Goal: a backup that does not fit says so, and leaves nothing."""
    if os.getuid() != 0:
        pytest.skip("mounting a small file system needs root")
    daemon.start()
    fill(daemon.database, 3000)
    daemon.stop()
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", small], check=False)
    if mounted.returncode != 0:
        pytest.skip("mount is not allowed here")
    try:
        done = foxtrackrctl(daemon, "backup", small / "backup.db", check=False)
        assert done.returncode == 1
        assert re.search(r"needs about \d+ MiB, and \d+ MiB are free", done.stderr)
        assert left_beside(small) == []
    finally:
        run("umount", small)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_backup_interrupted(daemon, tmp_path, number):
    """Goal: Ctrl-C in the middle ends it soon and leaves nothing, not even what was there changed."""
    daemon.start()
    fill(daemon.database, 12000)
    place = tmp_path / "backups"
    place.mkdir()
    file = place / "backup.db"
    file.write_text("precious")
    process = subprocess.Popen(
        [FOXTRACKRCTL, "-c", daemon.config, "backup", "--force", file], stderr=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
        env={**os.environ, **slow_disk(write_us=500)})  # 5 s for all of it, at least
    wait_until(lambda: any(p.stat().st_size > 1 << 20 for p in place.glob("*.part-*")), every=0.001,
               what="a part of the copy")
    process.send_signal(number)
    out, err = process.communicate(timeout=20 * PATIENCE)
    assert process.returncode == 1 and out == ""
    assert "stopped" in err
    assert left_beside(place) == ["backup.db"] and file.read_text() == "precious"
    daemon.stop()


def test_backup_of_a_damaged_database(daemon, tmp_path):
    """Goal: what is damaged gives no backup that looks like one."""
    daemon.start()
    fill(daemon.database, 2000)
    daemon.stop()
    middle = daemon.database.stat().st_size // 2 // 4096 * 4096  # the beginning of a page
    with open(daemon.database, "r+b") as file:
        for offset in range(middle, middle + 20 * 4096, 4096):
            file.seek(offset)
            file.write(b"\xa5" * 512)
    done = foxtrackrctl(daemon, "backup", tmp_path / "backup.db", check=False)
    assert done.returncode == 74
    assert "damaged" in done.stderr
    assert not list(tmp_path.glob("backup.db*"))


def test_backup_shows_progress(daemon, tmp_path):
    """Goal: on a terminal one sees how far it is."""
    daemon.start()
    fill(daemon.database, 12000)
    daemon.stop()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [FOXTRACKRCTL, "-c", daemon.config, "backup", tmp_path / "backup.db"], stderr=theirs,
        stdout=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait(20 * PATIENCE) == 0
    assert re.search(rb"copying +\d+ %  [0-9.]+ of [0-9.]+ MiB", shown), shown
    assert b"verifying" in shown


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", ".lock"])
def test_backup_never_takes_the_name_of_what_belongs_to_the_database(daemon, stored, suffix):
    """
    Goal: no spelling of the database's log, shared memory, journal or lock is replaced, also with
    --force, while the daemon runs; the daemon goes on and loses nothing.
    """
    target = daemon.directory / (daemon.database.name + suffix)
    before = target.stat().st_ino if target.exists() else None
    link = daemon.directory / "hard-link"
    if before is not None:
        os.link(target, link)
    spelled = daemon.directory / ".." / daemon.directory.name / "." / target.name
    for name in [target, spelled] + ([link] if before is not None else []):
        done = foxtrackrctl(daemon, "backup", "--force", name, check=False)
        assert done.returncode == 73, (name, done)
        assert "another name for the backup" in done.stderr
    assert (target.stat().st_ino if target.exists() else None) == before
    daemon.stop()
    link.unlink(missing_ok=True)
    stored.check(daemon.database)
    check_sound(daemon.database)


def test_backup_is_not_led_away(daemon, stored, tmp_path):
    """
    Goal: whoever owns the directory of a backup and exchanges the unfinished copy for a symbolic
    link to another database leads nothing there: that database stays as it is, byte for byte.
    """
    daemon.stop()
    victim = tmp_path / "victim.db"
    with contextlib.closing(sqlite3.connect(victim)) as connection:
        connection.execute("CREATE TABLE precious (a)")
        connection.execute("INSERT INTO precious VALUES (1)")
        connection.commit()
    before = victim.read_bytes()
    place = tmp_path / "backups"
    place.mkdir()
    # The copy's mode is set between making it and opening it: that is where time stands still.
    process = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fchmod",
         "-e", "inject=fchmod:delay_enter=3000000",
         FOXTRACKRCTL, "-c", daemon.config, "backup", place / "backup.db"],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, **sanitizer("detect_leaks=0")})
    try:
        part = wait_until(
            lambda: process.poll() is not None or next(place.glob("*.part-*"), None), every=0.001)
        if process.poll() is not None and "ptrace" in process.stderr.read():
            pytest.skip("strace may not trace here")
        part.rename(place / "moved away")
        part.symlink_to(victim)
        _, err = process.communicate(timeout=60 * PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert victim.read_bytes() == before
    assert process.returncode == 73 and "exchanged" in err, err
    assert not (place / "backup.db").exists()


def test_backup_does_not_follow_a_link(daemon, stored, tmp_path):
    """Goal: a symbolic link of the wanted name, also one that leads nowhere, is left as it is."""
    elsewhere = tmp_path / "elsewhere"
    link = tmp_path / "backup.db"
    link.symlink_to(elsewhere)
    for arguments in [(), ("--force",)]:
        done = foxtrackrctl(daemon, "backup", *arguments, link, check=False)
        assert done.returncode == 73 and "regular file" in done.stderr
        assert link.is_symlink() and not elsewhere.exists()
    daemon.stop()
