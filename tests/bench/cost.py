"""The cost of a message: CPU and allocations by thread, system calls by kind, bytes on disk."""

import contextlib
import re
import sqlite3
import subprocess

import procfs
from contestants import full
from stage import Failure, find_program
from throughput import drain

COUNT = 60_000
CPU_COUNT = {20: 500_000, 1000: 1_000_000}      # by window: several lots of the inbox
STRACE_COUNT = 20_000
SHOWN_CALLS = 12


def messages_a_commit(status):
    """As of the middle of a run; None in one that is too short for it to be known."""
    commits = status["database"]["commits"] if status else 0
    return status["sessions"][0]["received"] / commits if commits else None


def cpu(stage, window, count=None):
    """
    {role: µs a message}, from the moment before the stream to its end; and what the daemon took
    of disk and memory. The two reads of /proc are the only disturbance.
    """
    found, before, wal, batch = {}, {}, [0], [window]
    count = count or CPU_COUNT[window]

    def before_stream(client):
        before.update(procfs.threads(client.pid))

    def look(client):
        wal.append(procfs.file_bytes(f"{client.database}-wal"))
        batch.append(messages_a_commit(client.status()) or batch[-1])

    def before_stop(client):
        look(client)
        for comm, seconds, _ in procfs.difference(before, procfs.threads(client.pid)):
            who = procfs.role(comm)
            found[who] = found.get(who, 0.0) + seconds / count * 1e6

    with stage.fresh_directory("cost") as keep:
        database = keep / "foxtrackr.db"
        metrics = drain(stage, lambda *where: full(*where, database={"path": database}), count,
                        name="cost", window=window, before_stream=before_stream, sample=look,
                        before_stop=before_stop)
        size, used = procfs.file_bytes(database), used_bytes(database)
    return found, {"rate_per_s": metrics["rate_per_s"], "database_bytes_a_reading": used / count,
                   "file_bytes_a_reading": size / count, "messages_a_commit": batch[-1],
                   "wal_peak_kib": max(wal) / 1024, "rss_kib": metrics["rss_kib"]}


def sqlite_floor(stage, window, batch, count=None):
    """
    {what: µs a message} of SQLite alone, for one row at the end of a table; in transactions of
    `batch` messages.
    """
    rows = count or CPU_COUNT[window]
    with stage.fresh_directory("floor") as keep:
        said = subprocess.run(
            [stage.program("sqlite_floor"), str(keep / "floor.db"), str(rows), str(round(batch))],
            check=True, capture_output=True, text=True).stdout
    return dict(zip(("cpu_us", "time_us"), map(float, said.split())))


def used_bytes(database):
    """Without the room that the inbox has left, which is the next rows' or goes back to the system."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        pages, free, size = (connection.execute(f"PRAGMA {name}").fetchone()[0]
                             for name in ("page_count", "freelist_count", "page_size"))
    return (pages - free) * size


def allocations(stage, window, count=COUNT):
    """{role: calls of malloc and its kind a message}"""
    found = {}
    with stage.fresh_directory("alloc") as keep:
        report = keep / "allocations"
        environment = {"LD_PRELOAD": stage.program("alloc_count.so"), "ALLOC_COUNT_FILE": str(report)}
        drain(stage, lambda *where: full(*where, environment=environment), count, name="alloc",
              window=window)
        for line in report.read_text().splitlines():
            comm, _, calls = line.rpartition(" ")
            who = procfs.role(comm.strip())
            found[who] = found.get(who, 0.0) + int(calls) / count
    return found


def system_calls(stage, window, count=STRACE_COUNT):
    """{name: calls a message}. Under strace everything is slower, so batches are a little larger."""
    with stage.fresh_directory("strace") as keep:
        report = keep / "calls"
        wrapper = [find_program("strace"), "-f", "-c", "-q", "-o", str(report)]
        drain(stage, lambda *where: full(*where, wrapper=wrapper), count, name="strace", window=window)
        calls = {}
        for line in report.read_text().splitlines():
            words = line.split()
            if len(words) >= 5 and re.fullmatch(r"[\d.]+", words[0]) and words[-1] != "total":
                calls[words[-1]] = int(words[3]) / count
    if not calls:
        raise Failure("strace reported nothing")
    most = sorted(calls, key=calls.get, reverse=True)[:SHOWN_CALLS]
    return {"all": sum(calls.values()), **{name: calls[name] for name in most}}
