"""The daemon in everyday life, on a real mosquitto: how late a row is, and what idling costs."""

import contextlib
import sqlite3
import statistics
import subprocess
import time

import procfs
from contestants import Foxtrackrd
from mosquitto import Mosquitto
from publisher import FIRST_TIME_MS
from stage import HERE, Failure, clean_environment, say

RATE = 100
LATENCY_S = 20
IDLE_S = 60
POLL_S = 0.0003

NEW_ROWS = """SELECT time_ms FROM battery WHERE device = (SELECT device FROM devices) AND time_ms > ?1
    UNION ALL SELECT time_ms FROM temperature WHERE device = (SELECT device FROM devices) AND time_ms > ?1"""


@contextlib.contextmanager
def subscribed(stage, directory, make=Foxtrackrd):
    """A mosquitto with a daemon that has its subscription. make: the daemon, with the arguments of Foxtrackrd."""
    broker = Mosquitto(stage, directory)
    daemon = None
    try:
        broker.start()
        daemon = make(stage, directory / "daemon", broker.port, protocol=None)
        daemon.wait_status(lambda status: status["sessions"][0]["state"] == "subscribed")
        yield broker, daemon
    finally:
        if daemon:
            daemon.close()
        broker.close()


def latency(stage, seconds=LATENCY_S):
    """
    From the publisher's call to the moment at which another connection can read the row. The
    reader asks for data_version, which is a look at shared memory, and reads when it changes.
    What it adds to the figure is at most one turn of its loop.
    """
    count = int(RATE * seconds)
    with stage.fresh_directory("latency") as directory, subscribed(stage, directory) as (broker, daemon):
        reader = sqlite3.connect(f"file:{daemon.database}?mode=ro", uri=True, isolation_level=None)
        publisher = subprocess.Popen(
            ["/usr/bin/python3", "-B", HERE / "publisher.py", "--port", str(broker.port),
             "--ca", stage.ca, "--count", str(count), "--devices", "1", "--rate", str(RATE),
             "--times", directory / "times"], env=clean_environment())
        try:
            seen = _watch(reader, count, publisher, time.monotonic() + seconds + 30)
        finally:
            publisher.kill()
            publisher.wait()
            reader.close()
        times = [int(line) for line in (directory / "times").read_text().split()]
        daemon.stop()
        daemon.check(count)
    late = sorted((seen[number] - times[number]) / 1e6 for number in range(count))
    return {"p50_ms": statistics.median(late), "p99_ms": late[int(count * 0.99)],
            "worst_ms": late[-1]}


def _watch(reader, count, publisher, deadline):
    """{number: ns of CLOCK_MONOTONIC at which its row was there}"""
    seen, version, newest = {}, None, 0
    ask = reader.cursor()
    while len(seen) < count or publisher.poll() is None:
        time.sleep(POLL_S)
        now_version, = ask.execute("PRAGMA data_version").fetchone()
        if now_version == version:
            if time.monotonic() > deadline:
                raise Failure(f"{len(seen)} of {count} rows came")
            continue
        version = now_version
        new = [time_ms for time_ms, in ask.execute(NEW_ROWS, (newest,))]
        now = time.monotonic_ns()
        for time_ms in new:
            seen[time_ms - FIRST_TIME_MS] = now
        newest = max(new, default=newest)
    if publisher.returncode:
        raise Failure("the publisher failed")
    return seen


def idle(stage, seconds=IDLE_S, make=Foxtrackrd):
    """Connected, subscribed, nothing to do. A wake-up: a thread that slept was run again."""
    with stage.fresh_directory("idle") as directory, subscribed(stage, directory, make) as (_, daemon):
        time.sleep(2)
        before, begun = procfs.threads(daemon.pid), time.monotonic()
        time.sleep(seconds)
        spent = procfs.difference(before, procfs.threads(daemon.pid))
        took = time.monotonic() - begun
        memory = procfs.memory_kib(daemon.pid)
        daemon.stop()
    by_role = {}
    for comm, cpu, wakeups in spent:
        one = by_role.setdefault(procfs.role(comm), [0.0, 0])
        one[0] += cpu
        one[1] += wakeups
    for who, (cpu, wakeups) in sorted(by_role.items()):
        say(f"      {who:<8} {cpu / took * 100:6.3f} % of a core, {wakeups / took * 60:6.0f} wake-ups a minute")
    return {"cpu_percent": sum(cpu for _, cpu, _ in spent) / took * 100,
            "wakeups_per_minute": sum(wakeups for _, _, wakeups in spent) / took * 60,
            **{f"wakeups_{who}_per_minute": wakeups / took * 60 for who, (_, wakeups) in by_role.items()},
            "rss_kib": memory.get("VmRSS")}
