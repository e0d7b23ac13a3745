"""The clients that are compared: how each is started, watched and checked."""

import contextlib
import functools
import sqlite3
import subprocess
import time

import node_packages
import procfs
from stage import HERE, Failure, clean_environment, find_program, say

from daemon import Daemon  # of tests/faults, which stage puts on the path

ID = "id-bench-01"
SETTLE_LIMIT_S = 60
RECEIVE_MAXIMUM = 1000  # of the daemon by default, and what the others ask for beside it


class Process:
    """A client that is a command. `store` is its database, if it has one."""

    def __init__(self, command, directory, *, store=None, environment=None, stdout=None):
        self._log_path = directory / "client.log"
        self.store = store
        with open(self._log_path, "wb") as log:
            self._process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, cwd=directory,
                stdout=stdout or log, stderr=log, env=clean_environment(**(environment or {})))

    @property
    def pid(self):
        return self._process.pid

    @property
    def running(self):
        return self._process.poll() is None

    def log_tail(self):
        return self._log_path.read_text(errors="replace")[-2000:]

    def stop(self):
        """SIGTERM, and time to store what it has in memory."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self.close()

    def close(self):
        if self.running:
            self._process.kill()
            self._process.wait(10)

    def check(self, count):
        if self.store:
            check_rows(self.store, count)


class Foxtrackrd(Daemon):
    """
    The daemon with the configuration of the README, on the benchmark's broker. It speaks MQTT 3.1.1 where
    nobody says otherwise: the window is the broker's, and the one that the benchmark names. None: what
    the daemon does by default.
    """

    def __init__(self, stage, directory, port, *, durability="full", environment=None, wrapper=(),
                 sessions=1, protocol="3.1.1", receive_maximum=None, start=True, **sections):
        super().__init__(
            directory, None, stage.build, environment=environment, wrapper=wrapper, protocol=protocol,
            ca_file=stage.ca, broker={"host": "localhost", "port": port},
            session={"client_id": ID, "receive_maximum": receive_maximum}, database={"durability": durability},
            status={"interval": "5s"})
        self.configure(**sections)
        if sessions > 1:
            # Disjoint filters: session 1 has devices of the first group, and so on.
            self.configure(session=None, **{
                f"session s{number}": {"given": "bench", "number": f"{number:02}",
                                       "filters": f"foxtrackr/s{number}/#"}
                for number in range(1, sessions + 1)})
        if start:
            self.start(wait=None)

    def close(self):
        self.kill()

    def problem(self):
        """The first thing that foxtrackrctl finds wrong in the configuration; None: nothing."""
        done = subprocess.run([self.program.with_name("foxtrackrctl"), "-c", self.config, "check"],
                              capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return None
        return next((line for line in done.stdout.splitlines() if " BAD " in line), done.stderr.strip())

    def settled(self):
        """
        Whether every message is in its table. In a catch-up some are still in the inbox when the last
        one is acknowledged; they are work that has to be done, too.
        """
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
                return not connection.execute("SELECT EXISTS (SELECT 1 FROM inbox)").fetchone()[0]
        except sqlite3.OperationalError:
            return False  # it has not been made yet

    def check(self, count):
        check_rows(self.database, count)
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            quarantined, = connection.execute("SELECT count(*) FROM quarantine").fetchone()
            if quarantined:
                raise Failure(f"{quarantined} messages in quarantine")


def check_rows(path, count):
    """A benchmark that lost a row, or made one too many, is none."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found, = connection.execute("SELECT (SELECT count(*) FROM battery)"
                                    " + (SELECT count(*) FROM temperature)").fetchone()
    if found != count:
        raise Failure(f"{found} rows of {count} messages")


# Each function starts one; `slow_us`: how much longer every fdatasync takes.

def _client(stage, directory, port, name, *more, tls=True, **options):
    trust = ["--ca", stage.ca] if tls else []
    return Process([stage.program(name), "--port", port, *trust, "--client-id", ID, *more],
                   directory, **options)


def ceiling(stage, directory, port, qos=2, tls=True):
    return _client(stage, directory, port, "ceiling", "--qos", qos, tls=tls)


def bare(stage, directory, port):
    return _client(stage, directory, port, "client")


def bare_shared(stage, directory, port):
    return _client(stage, directory, port, "client-shared")


def slow_disk(stage, slow_us):
    return {"LD_PRELOAD": stage.program("slow_sync.so"),
            "SLOW_SYNC_US": str(slow_us)} if slow_us else {}


def textbook(stage, directory, port, slow_us=0):
    store = directory / "textbook.db"
    return _client(stage, directory, port, "client", "--store", store, store=store,
                   environment=slow_disk(stage, slow_us))


def fixed_disk(stage, sync_us):
    """No disk at all: each sync takes so long, and nothing is written by it."""
    return {"LD_PRELOAD": stage.program("slow_sync.so"), "FIXED_SYNC_US": str(sync_us)}


def full(stage, directory, port, slow_us=0, environment=None, **options):
    return Foxtrackrd(stage, directory, port,
                      environment={**slow_disk(stage, slow_us), **(environment or {})}, **options)


def normal(stage, directory, port):
    return Foxtrackrd(stage, directory, port, durability="normal")


def full_5(stage, directory, port, receive_maximum=RECEIVE_MAXIMUM, **options):
    return full(stage, directory, port, protocol="5", receive_maximum=receive_maximum, **options)


def python(stage, directory, port):
    store = directory / "python.db"
    return Process(["/usr/bin/python3", "-B", HERE / "python_client.py", "--port", port,
                    "--ca", stage.ca, "--client-id", ID, "--store", store], directory, store=store)


def mosquitto_sub(_stage, directory, port, ca=None):
    return Process([find_program("mosquitto_sub"), "-h", "localhost", "-p", port, "-q", 2, "-c",
                    "-i", ID, "-t", "foxtrackr/#", "--cafile", ca or _stage.ca], directory,
                   stdout=subprocess.DEVNULL)


def node(stage, directory, port, *more):
    store = directory / "node.db"
    return Process(["node", HERE / "node_client.js", "--modules", node_packages.directory(stage),
                    "--port", port, "--ca", stage.ca, "--client-id", ID, "--store", store, *more],
                   directory, store=store)


def node_5(stage, directory, port, receive_maximum=RECEIVE_MAXIMUM):
    return node(stage, directory, port, "--protocol", "5", "--receive-maximum", receive_maximum)


CONTESTANTS = {
    # key: (label, starts it, messages with window 20, and with 1,000): for two to four seconds, and of
    # (b) and (c) for several lots of the inbox
    "ceiling": ("the broker's own ceiling: a client that only answers", ceiling, 300_000, 3_000_000),
    "a": ("(a) bare Paho, lean, stores nothing", bare, 120_000, 200_000),
    "a-shared": ("(a) with Debian's shared Paho", bare_shared, 50_000, 50_000),
    "b": ("(b) foxtrackrd, durability = full", full, 500_000, 1_500_000),
    "c": ("(c) foxtrackrd, durability = normal", normal, 500_000, 1_500_000),
    "b5": ("(b) with MQTT 5, which asks for the window", full_5, 500_000, 1_500_000),
    "d": ("(d) textbook: one commit a message", textbook, 10_000, 10_000),
    "e": ("(e) Python, 500 a commit, acknowledges first", python, 35_000, 35_000),
    "f": ("(f) mosquitto_sub to /dev/null", mosquitto_sub, 120_000, 200_000),
    "g": ("(g) Node, 500 a commit, acknowledges first", node, 35_000, 35_000),
    "g5": ("(g) with MQTT 5, which asks for the window", node_5, 35_000, 35_000),
}
"""In the order in which they take turns."""

ASKS = ("b5", "g5")
"""Those that take receive_maximum."""


@functools.cache
def _no_mqtt_5(stage):
    """Why this build of the daemon does not speak MQTT 5, or None."""
    with stage.fresh_directory("check") as directory:
        return Foxtrackrd(stage, directory, 1, protocol="5", receive_maximum=RECEIVE_MAXIMUM,
                          start=False).problem()


def taking_part(stage, keys, may_install=True):
    """Those of `keys` that can be run here; says why the others are left out."""
    found = []
    for key in keys:
        why = _no_mqtt_5(stage) if key.startswith("b5") else \
            node_packages.problem(stage, may_install) if key.startswith("g") else None
        if why:
            say(f"left out: {key}: {why}")
        else:
            found.append(key)
    return found


def label(key):
    return CONTESTANTS[key][0]


def settled(client):
    """True when a client has no work left after the last acknowledgement."""
    return client.settled() if isinstance(client, Foxtrackrd) else True


def settle(client):
    """
    Wait for that; returns how many seconds it took. Looks only from time to time, because the WAL cannot
    be restarted while this process reads.
    """
    begun = time.monotonic()
    while not settled(client):
        if time.monotonic() - begun > SETTLE_LIMIT_S or not client.running:
            raise Failure(f"messages stay in the inbox:\n{client.log_tail()}")
        time.sleep(0.05)
    return time.monotonic() - begun


def measured(client):
    """CPU seconds and memory so far, before it is stopped."""
    try:
        return procfs.cpu_seconds(client.pid), procfs.memory_kib(client.pid)
    except OSError:
        return 0.0, {}
