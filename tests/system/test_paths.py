"""One file, one purpose: nothing that is not the daemon's own is replaced, cut short or removed."""

import json
import os
import pathlib
import re
import shutil

import pytest

from foxtrackrd import foxtrackrctl
from harness import FOXTRACKRCTL, FOXTRACKRD, check_sound, run, wait_until

FILES = ["foxtrackrd.conf", "foxtrackr.db", "password", "ca.crt"]


@pytest.fixture
def set_up(broker, make_daemon, pki):
    """A daemon that has run once, with everything that it uses in its directory, stopped."""
    daemon = make_daemon(broker)
    shutil.copy(pki.certificate("ca"), daemon.directory / "ca.crt")
    daemon.configure(broker={"ca_file": daemon.directory / "ca.crt"})
    daemon.start()
    daemon.stop()
    return daemon


def contents(directory):
    """Every file, but what SQLite makes and removes around a reader, and the lock with a pid."""
    return {path.name: path.read_bytes() for path in directory.iterdir()
            if path.is_file() and path.name != "stderr.log"
            and not path.name.endswith((".lock", "-wal", "-shm"))}


def spell(daemon, name, how):
    """Another way to write the path of a file in the daemon's directory."""
    target = daemon.directory / name
    if how == "plain":
        return target
    if how == "dots":
        return f"{daemon.directory}/./../{daemon.directory.name}//{name}"
    if how == "directory link":
        link = daemon.directory / "elsewhere"
        link.symlink_to(daemon.directory)
        return link / name
    link = daemon.directory / "link"
    if how == "symbolic link":
        link.symlink_to(target)
    else:
        os.link(target, link)
    return link


def refused(daemon, *words):
    """The daemon, --check-config and `check` all say so, and nothing has changed."""
    before = contents(daemon.directory)
    daemon.start(wait=None)
    assert daemon.wait_exit() == 78, daemon.log_tail()
    assert all(word in daemon.log() for word in words), daemon.log()
    done = run(FOXTRACKRD, "--check-config", "-c", daemon.config, check=False)
    assert done.returncode == 78 and all(word in done.stderr for word in words)
    done = foxtrackrctl(daemon, "check", "--json", check=False)
    said = " ".join(check["detail"] for check in json.loads(done.stdout)["checks"]
                    if check["check"] == "paths" and not check["good"])
    assert all(word in said for word in words), done.stdout
    assert contents(daemon.directory) == before


@pytest.mark.parametrize("how", ["plain", "dots", "directory link", "symbolic link", "hard link"])
@pytest.mark.parametrize("key", ["status.file", "status.metrics_file", "log.file"])
def test_no_other_file_of_the_daemon(set_up, key, how):
    """
    Goal: a status file, a metrics file or a log that is the database, the configuration, the
    password or the CA, however it is spelled, is refused with a sentence and changes nothing.
    """
    section, name = key.split(".")
    for file in FILES:
        if how == "hard link" and file == "foxtrackr.db":
            continue  # a database of two names is refused for that alone
        path = spell(set_up, file, how)
        extra = {"target": "file"} if section == "log" else {}
        set_up.configure(**{section: {name: path, **extra}})
        refused(set_up, key, file)
        for link in ("link", "elsewhere"):
            (set_up.directory / link).unlink(missing_ok=True)


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", ".lock"])
def test_no_companion_of_the_database(set_up, suffix):
    """Goal: names that SQLite or the lock will use are taken, also while there is no such file."""
    set_up.configure(status={"file": f"{set_up.database}{suffix}"})
    refused(set_up, "status.file", f"{set_up.database.name}{suffix}")


def test_no_rotated_log_and_no_temporary_file(set_up):
    """Goal: what logrotate will call the log, and what a status file is called first, is taken."""
    log = set_up.directory / "foxtrackrd.log"
    set_up.configure(log={"target": "file", "file": log},
                     status={"metrics_file": f"{log}.1"})
    refused(set_up, "log.file", "status.metrics_file")
    set_up.configure(log={"target": "stderr", "file": None},
                     status={"metrics_file": f"{set_up.status_path}.tmp"})
    refused(set_up, "status.metrics_file", "temporary file")


def test_no_file_of_a_neighbour(set_up):
    """
    Goal: a file of another configuration beside this one is not used for another purpose; a copy
    of this configuration is no mistake, and a shared status file of two daemons is a warning.
    """
    other = set_up.directory / "north.conf"
    theirs = set_up.directory / "north.db"
    shutil.copy(set_up.config, other)
    set_up.start()
    set_up.stop()
    assert "is that of" not in set_up.log()

    set_up.configure(status={"file": other})
    refused(set_up, "status.file", "north.conf")
    other.write_text(set_up.config.read_text().replace(str(set_up.database), str(theirs)).replace(
        f"file = {other}", f"file = {set_up.directory}/status.json"))
    set_up.configure(status={"file": f"{theirs}-wal"})
    refused(set_up, "status.file", "north.db-wal", "north.conf")

    set_up.configure(status={"file": set_up.directory / "status.json"})
    set_up.start()
    set_up.wait_log("warning: .*status.file.*is that of .*north.conf too")
    set_up.stop()
    done = foxtrackrctl(set_up, "check", check=False)
    assert done.returncode == 1 and "is that of" in done.stdout


def test_check_names_a_neighbour(set_up):
    """
    Goal: `check` says that another configuration beside this one has the same database, and which
    process has it; and that one with another database has the same client id at the same broker.
    """
    other = set_up.directory / "north.conf"
    text = set_up.config.read_text()
    other.write_text(text.replace("given = test", "given = north"))
    said = foxtrackrctl(set_up, "check").stdout
    assert re.search(r"configuration +warn .*database.path .* is that of .*north.conf too: only one", said)
    set_up.start()
    said = run(FOXTRACKRCTL, "-c", other, "check").stdout
    assert f"too, which process {set_up.process.pid} has now: only one" in said
    set_up.stop()

    theirs = set_up.directory / "north.db"
    other.write_text(text.replace(str(set_up.database), str(theirs)).replace("status.json", "north.json"))
    done = foxtrackrctl(set_up, "check", check=False)
    assert done.returncode == 1
    assert re.search(r"configuration +BAD .*client id id-test-01 at .* is that of .*north.conf", done.stdout)
    other.write_text(other.read_text().replace("given = test", "given = north"))
    assert "north.conf" not in foxtrackrctl(set_up, "check").stdout


@pytest.mark.parametrize("key", ["file", "metrics_file"])
@pytest.mark.parametrize("what", ["text", "database", "link", "dangling link", "pipe", "json"])
def test_what_is_not_ours_is_not_replaced(set_up, key, what, tmp_path):
    """Goal: a status file knows its own kind: anything else at its path is left alone, and said."""
    target = tmp_path / "precious"
    path = set_up.directory / "not-ours"
    if what == "text":
        path.write_text("# notes of a person\n")
    elif what == "json":
        path.write_text('{"notes": ["of a person"]}')
    elif what == "database":
        run("sqlite3", path, "CREATE TABLE precious (a)")
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(target)
        if what == "link":
            target.write_text("precious")
    set_up.configure(status={key: path})
    refused(set_up, f"status.{key}", "not-ours")
    assert path.is_symlink() or path.is_fifo() or path.exists()
    assert target.exists() == (what == "link")


def test_what_becomes_another_file_while_the_daemon_runs(set_up):
    """
    Goal: a file that is put in the place of the status file while the daemon runs is neither
    replaced nor removed at the end; the daemon goes on, and says so.
    """
    set_up.start()
    diary = set_up.directory / "diary"
    diary.write_text("Dear diary")
    diary.replace(set_up.status_path)
    set_up.wait_log("status.file .* no status file of foxtrackrd")
    set_up.stop()
    assert set_up.status_path.read_text() == "Dear diary"


@pytest.mark.parametrize("planted", ["link", "file", "pipe"])
def test_temporary_files_follow_nothing(set_up, planted, tmp_path):
    """
    Goal: a symbolic link, a file or a pipe that waits under the name of a status file's temporary
    file is not followed, cut short or removed, and the operator is told.
    """
    metrics = set_up.directory / "fox.prom"
    victim = tmp_path / "victim"
    victim.write_text("precious")
    set_up.configure(status={"metrics_file": metrics})
    for path in (set_up.status_path, metrics):
        temporary = path.with_name(path.name + ".tmp")
        if planted == "link":
            temporary.symlink_to(victim)
        elif planted == "file":
            temporary.write_text("precious")
        else:
            os.mkfifo(temporary)
    set_up.start(wait="ready")
    for name in ("status.json.tmp", "fox.prom.tmp"):
        set_up.wait_log(f"{name} stands in its directory")
    assert victim.read_text() == "precious"
    for path in (set_up.status_path, metrics):
        temporary = path.with_name(path.name + ".tmp")
        assert planted != "file" or temporary.read_text() == "precious"
        temporary.unlink()
    set_up.wait_subscribed()
    set_up.stop()
    assert not set_up.status_path.exists() and not metrics.exists()


def test_a_killed_daemons_files_are_taken_over(set_up):
    """Goal: what a killed daemon leaves, half a temporary file included, is in nobody's way."""
    set_up.start()
    set_up.kill()
    left = set_up.status_path.read_bytes()
    temporary = set_up.status_path.with_name("status.json.tmp")
    temporary.write_bytes(left[:50])
    set_up.start()
    wait_until(lambda: not temporary.exists(), what="the end of the temporary file")
    set_up.stop()
    assert not set_up.status_path.exists()


def test_two_daemons_and_one_status_file(broker, make_daemon, set_up, tmp_path):
    """Goal: a second daemon does not take the status file of one that runs, but of one that died."""
    other = make_daemon(broker, session={"given": "other"})
    other.configure(status={"file": set_up.status_path})
    set_up.start()
    other.start(wait=None)
    assert other.wait_exit() == 78
    assert "another foxtrackrd" in other.log() and str(set_up.status_path) in other.log()
    assert set_up.status()["pid"] == set_up.process.pid
    set_up.kill()
    other.start()
    other.stop()


def test_a_reload_compares_too(set_up):
    """Goal: a mistake that comes with a reload is refused as a whole, and changes nothing."""
    set_up.start()
    set_up.configure(status={"metrics_file": set_up.database, "interval": "2s"})
    set_up.reload()
    set_up.wait_log("status.metrics_file.*same file.*keeping the configuration")
    set_up.stop()
    check_sound(set_up.database)


@pytest.mark.parametrize("content", [b"SQLite format 3\0", b"\x7fELF\x02\x01\x01\0",
                                     b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_log_is_text(set_up, content):
    """Goal: nothing is appended to a file that is no log, neither at the start nor by a reload."""
    log = set_up.directory / "foxtrackrd.log"
    set_up.configure(log={"target": "file", "file": log})
    log.write_bytes(content)
    set_up.start(wait=None)
    assert set_up.wait_exit() == 78 and "log.file" in set_up.log()
    assert log.read_bytes() == content
    log.unlink()
    set_up.start()
    log.rename(log.with_name("moved"))
    log.write_bytes(content)
    set_up.reload()
    assert log.read_bytes() == content
    assert "going on with the old file" in log.with_name("moved").read_text()
    set_up.stop()


def test_a_log_is_not_made_through_a_link(set_up, tmp_path):
    """Goal: a symbolic link that leads nowhere makes no file elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    log = set_up.directory / "foxtrackrd.log"
    log.symlink_to(elsewhere)
    set_up.configure(log={"target": "file", "file": log})
    set_up.start(wait=None)
    assert set_up.wait_exit() == 78 and "leads nowhere" in set_up.log()
    assert not elsewhere.exists()


def test_commands_that_write(set_up):
    """Goal: backup and replay refuse a contradictory configuration, and backup every file of it."""
    for name in FILES[:1] + FILES[2:]:
        path = pathlib.Path(spell(set_up, name, "dots"))
        before = (set_up.directory / name).read_bytes()
        done = foxtrackrctl(set_up, "backup", "--force", path, check=False)
        assert done.returncode == 73 and "same file" in done.stderr, done
        assert (set_up.directory / name).read_bytes() == before
    set_up.configure(status={"file": set_up.database})
    before = set_up.database.read_bytes()
    for command in (["backup", set_up.directory / "b.db"], ["replay"]):
        done = foxtrackrctl(set_up, *command, check=False)
        assert done.returncode != 0 and "status.file" in done.stderr
    assert set_up.database.read_bytes() == before


def test_restore_compares(set_up, tmp_path):
    """Goal: restore refuses a contradictory configuration, and a FILE that is one of the daemon's
    own, by any name; nothing is changed, and a copy elsewhere is restored."""
    backup = tmp_path / "backup.db"
    foxtrackrctl(set_up, "backup", backup)
    before = contents(set_up.directory)
    metrics = set_up.directory / "foxtrackr.metrics"
    metrics.symlink_to(backup)
    set_up.configure(status={"metrics_file": metrics})
    done = foxtrackrctl(set_up, "restore", backup, check=False)
    assert done.returncode == 66 and "status.metrics_file" in done.stderr, done
    metrics.unlink()
    set_up.configure(status={"metrics_file": set_up.database})
    done = foxtrackrctl(set_up, "restore", "--force", backup, check=False)
    assert done.returncode == 73 and "one would destroy the other" in done.stderr, done
    set_up.configure(status={"metrics_file": metrics})
    after = contents(set_up.directory)
    assert {name: after[name] for name in before if not name.endswith(".conf")} == {
        name: content for name, content in before.items() if not name.endswith(".conf")}
    assert foxtrackrctl(set_up, "restore", backup).returncode == 0


@pytest.mark.parametrize("content", [
    b"precious\n", b"12 and more\n", b"-1\n", b"\0\0precious", b"1" * 40, bytes(4096),
    b"%-31d\nrubbish" % 12, b"%-31d\nrun 9 started 1 Received 9" % 12],
    ids=["words", "words behind", "sign", "zeros before", "long", "zeros", "no record", "capital"])
def test_a_lock_that_is_another_file(set_up, content):
    """
    Goal: a file at the lock's name that is no lock is never written, emptied or given another mode
    or owner, by the daemon, restore, replay or check; it still locks, and a warning and `check` say
    what to do.
    """
    lock = set_up.database.with_name(set_up.database.name + ".lock")
    backup = set_up.directory / "backup.sqlite"
    foxtrackrctl(set_up, "backup", backup)
    lock.write_bytes(content)
    lock.chmod(0o644)
    before = lock.stat()
    set_up.start()
    set_up.wait_log("warning: .*foxtrackr.db.lock holds what is not foxtrackrd's.*move the file away")
    done = foxtrackrctl(set_up, "restore", backup, check=False)
    assert done.returncode == 1 and "foxtrackrd (process 0)" not in done.stderr, done
    assert "foxtrackrd has this database" in done.stderr, done
    assert "stop it first (systemctl stop foxtrackrd), then restore" in done.stderr, done
    set_up.stop()
    done = foxtrackrctl(set_up, "check", "--json", check=False)
    assert any("lock of database.path" in one["detail"] and not one["good"]
               for one in json.loads(done.stdout)["checks"]), done.stdout
    foxtrackrctl(set_up, "replay")
    assert foxtrackrctl(set_up, "restore", backup).returncode == 0
    set_up.start()
    set_up.kill()
    after = lock.stat()
    assert lock.read_bytes() == content
    assert (after.st_mode, after.st_uid, after.st_ino, after.st_mtime_ns) == (
        before.st_mode, before.st_uid, before.st_ino, before.st_mtime_ns)


RECORD = (b"%-31d\nrun 9 started 1 received 9 moment 1 stopped 0 device 1 inode 1 log 1 size 1"
          b" changed 1 end" % 4194304).ljust(447) + b"\n"


@pytest.mark.parametrize("content", [
    b"", b"4194304\n", bytes(8), bytes(448), RECORD, RECORD[:100], RECORD[:35], RECORD[:3],
    RECORD[:40] + bytes(408), bytes(32) + RECORD[32:], RECORD[:200] + bytes(48) + RECORD[248:],
    b"%-31d\n" % 7 + RECORD[32:60], b"4194304\n" + bytes(440)])
def test_a_lock_of_an_earlier_daemon(set_up, content):
    """Goal: a lock of an earlier daemon, whole or as a power failure left it, is used."""
    lock = set_up.database.with_name(set_up.database.name + ".lock")
    lock.write_bytes(content)
    set_up.start()
    assert lock.read_text().split()[0] == str(set_up.process.pid)
    assert lock.stat().st_mode & 0o777 == 0o600
    assert "what is not foxtrackrd's" not in set_up.log()
    set_up.stop()


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_a_lock_that_is_no_file(set_up, kind):
    """Goal: what is not even a file is refused, with what to do, and nothing is made behind a link."""
    lock = set_up.database.with_name(set_up.database.name + ".lock")
    elsewhere = set_up.directory / "elsewhere"
    lock.unlink()
    {"link": lambda: lock.symlink_to(elsewhere), "pipe": lambda: os.mkfifo(lock),
     "directory": lock.mkdir}[kind]()
    set_up.start(wait=None)
    assert set_up.wait_exit() == 74
    assert {"link": "remove the link", "pipe": "is not a regular file",
            "directory": "Is a directory"}[kind] in set_up.log()
    assert not elsewhere.exists()


def test_check_beside_a_running_daemon(set_up):
    """Goal: the files that a running daemon holds are its own: check finds nothing wrong with
    them; another program's file is still found."""
    metrics = set_up.directory / "metrics.prom"
    set_up.configure(status={"metrics_file": metrics},
                     log={"target": "file", "file": set_up.directory / "foxtrackrd.log"})
    set_up.start()

    def paths():
        checks = json.loads(foxtrackrctl(set_up, "check", "--json", check=False).stdout)["checks"]
        return [one for one in checks if one["check"] == "paths"]

    for _ in range(5):
        assert all(one["good"] for one in paths()), paths()
    metrics.unlink()
    metrics.write_text("precious\n")
    assert any(not one["good"] and "status.metrics_file" in one["detail"] for one in paths())
    set_up.stop()


@pytest.mark.parametrize("how", ["start", "reload"])
def test_a_line_after_a_torn_one(set_up, how):
    """Goal: what a full disk left of a line is not glued to the next one, also when the file is
    opened anew in between."""
    log = set_up.directory / "foxtrackrd.log"
    set_up.configure(log={"target": "file", "file": log})
    torn = "2026-01-01T00:00:00.000Z notice half a li"
    if how == "start":
        log.write_text(torn)
        set_up.start()
    else:
        set_up.start()
        with open(log, "a", encoding="utf-8") as file:
            file.write(torn)
        set_up.reload()
    set_up.stop()
    lines = log.read_text().split("\n")
    assert torn in lines and all(line.startswith("20") for line in lines if line), lines
