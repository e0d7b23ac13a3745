"""One database file with two names: SQLite names the WAL after the database, so it has two WALs."""

import os
import subprocess

import pytest

import fleet
from foxtrackrd import foxtrackrctl
from harness import check_sound, find_program, run, value


def test_two_daemons_on_a_hard_link(broker, make_daemon, tmp_path):
    """Goal: a second daemon on another name of the file is refused, and the first one says it."""
    first = make_daemon(broker)
    first.start()
    other = tmp_path / "other"
    other.mkdir()
    second = make_daemon(broker, directory=other, session={"given": "second"})
    os.link(first.database, second.database)
    second.start(wait=None)
    assert second.wait_exit() == 74
    assert "has 2 names (hard links)" in second.log()
    assert not list(other.glob("*.lock")) and not list(other.glob("*-wal"))
    first.wait_log("err: .*has 2 names")
    assert "2 names" in foxtrackrctl(first, "check", check=False).stdout
    # A tool that writes is a program that opens it by another name.
    assert "2 names" in foxtrackrctl(second, "replay", check=False).stderr
    manifest = fleet.play(broker, messages=300)
    first.wait_received(manifest.messages)
    os.unlink(second.database)
    first.wait_log("one name again")
    first.stop()
    manifest.check(first.database)
    check_sound(first.database)


def test_a_database_with_two_names_does_not_start(daemon):
    """Goal: also the first daemon refuses, and goes on when the name is gone."""
    daemon.start()
    daemon.stop()
    link = daemon.directory / "link.db"
    os.link(daemon.database, link)
    daemon.start(wait=None)
    assert daemon.wait_exit() == 74
    assert "find -samefile" in daemon.log()
    link.unlink()
    daemon.start()
    daemon.stop()


def test_two_daemons_by_a_bind_mount(broker, make_daemon, tmp_path):
    """Goal: the file is locked and not only its name: a bind mount, as a container has it."""
    first = make_daemon(broker)
    first.start()
    second = make_daemon(broker, session={"given": "second"})
    second.database.touch()
    mount = subprocess.run([find_program("mount"), "--bind", first.database, second.database],
                           capture_output=True, text=True, check=False)
    if mount.returncode != 0:
        pytest.skip(f"cannot mount here: {mount.stderr.strip()}")
    try:
        second.start(wait=None)
        assert second.wait_exit() == 74
        assert "this very file" in second.log()
        manifest = fleet.play(broker, messages=300)
        first.wait_received(manifest.messages)
        assert value(first.database, "SELECT count(*) FROM runs") == 1
    finally:
        run(find_program("umount"), "-l", second.database)
    first.stop()
    manifest.check(first.database)
