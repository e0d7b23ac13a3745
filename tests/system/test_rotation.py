"""The shipped logrotate file, run by the real logrotate on a daemon that writes all the time."""

import collections
import contextlib
import gzip
import grp
import os
import pathlib
import pwd
import re
import threading

import pytest

import fleet
from harness import ROOT, find_program, query, run, wait_until

ROTATIONS = 6
"""Fewer than the shipped file keeps."""

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (err|warning|notice|info|debug) .+\n")


class Logrotate:
    """
    The shipped file with the paths and the user of a test. It takes the way for machines without
    systemd; pkill finds the children of the test alone.
    """

    def __init__(self, directory, logs, *, leave_out=None):
        user = pwd.getpwuid(os.getuid()).pw_name
        group = grp.getgrgid(os.getgid()).gr_name
        self.config = directory / "logrotate.conf"
        self.state = directory / "logrotate.state"
        text = (ROOT / "packaging" / "foxtrackrd.logrotate").read_text()
        for shipped, here in (
                ("/var/log/foxtrackrd", str(logs)),
                ("foxtrackrd foxtrackrd\n", f"{user} {group}\n"),
                ("/run/systemd/system", str(directory / "no-systemd")),
                ("pkill -HUP ", f"pkill -HUP -P {os.getpid()} ")):
            assert shipped in text
            text = text.replace(shipped, here)
        lines = [line for line in text.splitlines() if not leave_out or leave_out not in line]
        self.config.write_text("\n".join(lines) + "\n")
        self.config.chmod(0o644)

    def rotate(self, *daemons):
        """Rotate now; return when the daemons have said that they reloaded."""
        before = [daemon.notifications.lines().count("READY=1") for daemon in daemons]
        done = run(find_program("logrotate"), "--force", "--state", self.state, self.config)
        assert done.stderr == ""
        for daemon, count in zip(daemons, before):
            wait_until(lambda: daemon.notifications.lines().count("READY=1") > count,
                       what="READY=1 after the rotation")


def logging_daemon(make_daemon, broker, log, **options):
    log.parent.mkdir(parents=True, exist_ok=True)
    return make_daemon(broker, log={"target": "file", "file": log, "level": "debug"}, **options)


def read_rotated(path):
    """One of logrotate's files, compressed or not."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def all_lines(log):
    """Every line of the log and of its rotated files, each of them whole."""
    lines = []
    for path in [log, *log.parent.glob(log.name + ".*")]:
        text = read_rotated(path)
        mine = text.splitlines(keepends=True)
        assert [line for line in mine if not LINE.fullmatch(line)] == [], path
        lines += mine
    return lines


def quarantined_by_reason(lines):
    return collections.Counter(
        match[1] for line in lines
        if (match := re.search(r" quarantined a message on .*?/?: (\w+): ", line)))


@contextlib.contextmanager
def playing(broker):
    """A fleet with much garbage that does not end before the block does. Gives its manifests."""
    manifests = []
    done = threading.Event()

    def play():
        while not done.is_set():
            number = len(manifests)
            manifests.append(fleet.play(
                broker, broker.directory / f"manifest-{number}.jsonl", seed=number + 1,
                messages=100, garbage=1000, rate=2000))

    player = threading.Thread(target=play)
    player.start()
    try:
        yield manifests
    finally:
        done.set()
        player.join()


@pytest.mark.parametrize("leave_out", [None, "create 0640"], ids=["create", "nocreate"])
def test_no_line_is_lost_in_a_rotation(broker, make_daemon, tmp_path, leave_out):
    """
    Goal: at the level debug each quarantined message has its line. The log is rotated again and
    again while they come: every line is in one of the files, whole, and nothing more is written to
    a file that was rotated, whether logrotate or the daemon makes the new one.
    """
    log = tmp_path / "logs" / "foxtrackrd.log"
    daemon = logging_daemon(make_daemon, broker, log).start()
    logrotate = Logrotate(tmp_path, tmp_path / "logs", leave_out=leave_out)
    rotated = log.with_name(log.name + ".1")
    with playing(broker) as manifests:
        for _ in range(ROTATIONS):
            logrotate.rotate(daemon)
            size = rotated.stat().st_size
            wait_until(lambda: log.stat().st_size > 5000, what="lines in the new log")
            assert rotated.stat().st_size == size, "written to the old file after the reload"
            assert log.stat().st_mode & 0o777 == 0o640
    daemon.wait_received(sum(manifest.messages for manifest in manifests))
    daemon.stop()

    names = sorted(path.name for path in log.parent.iterdir())
    assert names == sorted(["foxtrackrd.log", "foxtrackrd.log.1"] + [
        f"foxtrackrd.log.{number}.gz" for number in range(2, ROTATIONS + 1)])
    lines = all_lines(log)
    stored = dict(query(daemon.database,
                        "SELECT reason, sum(occurrences) FROM quarantine GROUP BY reason"))
    assert sum(stored.values()) >= sum(manifest.quarantined for manifest in manifests) > 0
    assert quarantined_by_reason(lines) == stored
    assert sum(" reloaded" in line for line in lines) == ROTATIONS
    assert sum(" stopped" in line for line in lines) == 1


def test_a_rotation_reaches_every_instance(broker, make_daemon, tmp_path):
    """Goal: instances log to directories of their own; one run rotates and reloads them all."""
    logs = tmp_path / "logs"
    paths = [logs / "foxtrackrd.log", logs / "north" / "foxtrackrd.log"]
    daemons = [
        logging_daemon(make_daemon, broker, path, session={"given": f"test{number}"}).start()
        for number, path in enumerate(paths)]
    Logrotate(tmp_path, logs).rotate(*daemons)
    for daemon in daemons:
        daemon.stop()
    for path in paths:
        assert "starting" in path.with_name(path.name + ".1").read_text()
        assert "stopped" in path.read_text()


def test_a_rotation_without_a_daemon(tmp_path):
    """Goal: nothing runs, or there is no log yet: logrotate has nothing to complain of."""
    log = tmp_path / "logs" / "foxtrackrd.log"
    logrotate = Logrotate(tmp_path, log.parent)
    logrotate.rotate()
    log.parent.mkdir()
    logrotate.rotate()
    log.write_text("2026-01-31T12:00:00.000Z notice stopped\n")
    logrotate.rotate()
    assert "stopped" in log.with_name(log.name + ".1").read_text()


def publish_garbage(broker, count):
    for number in range(count):
        broker.publish(f"foxtrackr/g{number}/V3.0/bat", "garbage")


def wait_quarantined(daemon, count):
    wait_until(lambda: query(daemon.database, "SELECT sum(occurrences) FROM quarantine")
               == [(count,)], what=f"{count} messages in quarantine")


def test_a_full_disk_of_the_log(broker, make_daemon, tmp_path):
    """
    Goal: the disk of the log is full when the log is rotated. Messages are stored all the same, the
    rotation goes through, and once there is room the log says how many lines it does not have.
    """
    log = tmp_path / "logs" / "foxtrackrd.log"
    daemon = logging_daemon(make_daemon, broker, log)
    full = pathlib.Path("/dev/full")
    log.symlink_to(full)
    daemon.start()
    publish_garbage(broker, 3)
    wait_quarantined(daemon, 3)

    log.unlink()
    log.symlink_to(full)  # the new file has no room either
    daemon.reload()
    publish_garbage(broker, 5)
    wait_quarantined(daemon, 8)

    log.unlink()
    daemon.reload()
    daemon.stop()
    lines = all_lines(log)
    lost = re.search(r" warning (\d+) log lines could not be written: No space left", lines[0])
    # starting, connected, subscribed, eight in quarantine, the first reload
    assert lost and int(lost[1]) >= 12, lines
    assert " reloaded" in lines[1]
