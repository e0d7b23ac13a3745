"""Analysts: users of a group that may read the database and nothing else."""

import os
import pathlib
import shutil
import tempfile

import pytest

from harness import FOXTRACKRD, find_program, run, wait_until

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
    daemon = make_daemon(None, directory=place / "etc", prefix=prefix,
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
    """What an analyst may do and may not, and that a stranger may nothing."""
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


def test_a_lock_of_an_earlier_version_is_closed_to_readers(installed):
    """Goal: a reader cannot keep the daemon from starting by locking its lock file."""
    lock = pathlib.Path(f"{installed.database}.lock")
    lock.touch()
    os.chown(lock, DAEMON, READERS)
    lock.chmod(0o640)
    start(installed)
    wait_until(lambda: lock.stat().st_mode & 0o7777 == 0o600, what="the mode of the lock")
    installed.stop()
