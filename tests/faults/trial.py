"""
One trial: a fault broker, a daemon, messages, and the oracle. And what campaigns made of trials
share: options, shims, counting.
"""

import argparse
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback

import inbox
import messages as generator
import oracle
from broker import FaultBroker
from daemon import LIMIT_S, Daemon, add_protocol

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

import left_out  # noqa: E402


class Skip(Exception):
    """This machine cannot do it; says why."""


class Campaign:
    """Options, a work directory that stays when something fails, and the count."""

    def __init__(self, goal):
        parser = argparse.ArgumentParser(description=goal)
        parser.add_argument("--build", required=True, help="directory with foxtrackrd")
        parser.add_argument("--count", type=int, default=0, help="cases of each sweep (0: all)")
        parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
        parser.add_argument("--quick", action="store_true", help="what make faults runs")
        parser.add_argument("--only", default="", help="only scenarios whose name has this in it")
        add_protocol(parser)
        self.options = parser.parse_args()
        Daemon.protocol = self.options.protocol
        # A shell ignores SIGINT for what runs in the background; a daemon would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.seed, self.quick = self.options.seed, self.options.quick
        self.build = pathlib.Path(self.options.build).resolve()
        self.chance = random.Random(self.seed)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="foxtrackr-fault."))
        self.passed = self.failed = 0
        self.waited = 0     # trials that had messages in the inbox when the fault struck
        print(f"seed {self.seed}", flush=True)

    def shim(self, name):
        """Compile NAME_shim.c; returns the library."""
        library = self.directory / f"{name}_shim.so"
        if not library.exists():
            subprocess.run(
                [os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-O1", "-shared", "-fPIC",
                 "-o", library, HERE / f"{name}_shim.c", "-ldl"], check=True)
        return library

    def certificate(self):
        """(certificate, key) of a broker on localhost that vouches for itself."""
        certificate, key = self.directory / "broker.crt", self.directory / "broker.key"
        if not key.exists():
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                 "-nodes", "-subj", "/CN=localhost", "-days", "3650", "-keyout", key,
                 "-out", certificate, "-addext", "subjectAltName=DNS:localhost"],
                check=True, capture_output=True)
        return certificate, key

    def run(self, name, function, *arguments, **options):
        """One scenario. Returns what it returned; None when it failed."""
        if self.options.only not in name:
            return None
        directory = self.directory / f"{self.passed + self.failed:05}"
        trial = None
        try:
            trial = Trial(self, directory)
            result = function(trial, *arguments, **options)
            trial.close()
            shutil.rmtree(directory)
            self.passed += 1
            print(f"  pass  {name}{': ' + str(result) if result else ''}", flush=True)
            return result or True
        except Skip as reason:
            trial.close()
            shutil.rmtree(directory, ignore_errors=True)
            print(f"  skip  {name}: {reason} ({left_out.verdict()})", flush=True)
            self.failed += left_out.in_ci()
            return None
        except Exception as problem:  # a failure of any kind is one
            self.failed += 1
            print(f"  FAIL  {name} (seed {self.seed}, see {directory}): {problem}", flush=True)
            if not isinstance(problem, AssertionError):
                traceback.print_exc()
            if trial:
                trial.close()
            return None

    def sample(self, total, quick):
        """Which of 1..total to try: all of them, or as many as the options say, spread evenly."""
        wanted = min(quick if self.quick else self.options.count or total, total)
        return sorted({1 + int((i + self.chance.random()) * total / wanted)
                       for i in range(wanted)}) if wanted else []

    def must_have_waited(self):
        """At the end: the faults have met messages in the inbox, or it was no test of that."""
        print(f"{self.waited} faults met messages in the inbox", flush=True)
        if self.quick and not self.options.only and not self.waited:
            self.failed += 1

    def finish(self):
        if self.failed == 0:
            shutil.rmtree(self.directory, ignore_errors=True)
        print(f"seed {self.seed}\n{self.passed} passed, {self.failed} failed", flush=True)
        sys.exit(1 if self.failed else 0)


class Trial:
    """A broker and a daemon of its own, and the messages that were published so far."""

    def __init__(self, campaign, directory):
        self.campaign = campaign
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.messages = []
        self.broker = None
        self.daemon = None
        self.witness = None
        self.waiting = 0    # messages that the last crash has left in the inbox
        self.cleanup = []

    def set_up(self, *, window=20, program="foxtrackrd", environment=None, wrapper=(),
               database=None, busy="500ms", tls=False, **sections):
        """Broker and daemon, not started."""
        path = pathlib.Path(database or self.directory / "foxtrackr.db")
        self.witness = oracle.Witness(path)
        certificate = self.campaign.certificate() if tls else None
        self.broker = FaultBroker(self.directory / "broker", window=window, tls=certificate,
                                  witness=self.witness).start()
        keys = {"path": path, "busy_timeout": busy, "min_free_mb": 0,
                **sections.pop("database_keys", {})}
        self.daemon = Daemon(self.directory / "daemon", self.broker, self.campaign.build,
                             program=program, wrapper=wrapper, environment=environment,
                             database=keys, ca_file=certificate[0] if tls else None, **sections)
        return self

    def close(self):
        if self.daemon:
            self.daemon.kill()
        if self.broker:
            self.broker.close()
        if self.witness:
            self.witness.forget_connection()
        while self.cleanup:
            self.cleanup.pop()()

    def publish(self, count, size=0, **options):
        """`count` more messages; size: pad them to as many bytes, as a type of its own."""
        fresh = generator.make(count, self.campaign.seed, start=len(self.messages), **options)
        if size:
            fresh = [pad(message, size) for message in fresh]
        self.witness.add(fresh)
        self.messages += fresh
        self.broker.publish(fresh)

    def wait_ended_or_drained(self, limit_s):
        """
        The exit status if it ended, "drained" if it did its work, "waits" if it runs and does
        neither: then it has to say why in its status or log, which is the caller's to check.
        """
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if not self.daemon.running:
                return self.daemon.wait_exit()
            if self.broker.drained:
                return "drained"
            time.sleep(0.01)
        return "waits"

    def check_crash(self):
        """After an end: what was acknowledged is there, and nothing was acknowledged early."""
        self.broker.call(self.witness.forget_connection)
        self.broker.ledger.settle()
        found = 0
        waiting = self._waiting()
        self.campaign.waited += bool(waiting)
        self.waiting = waiting or 0
        if self.acknowledged() or waiting is not None:
            found = oracle.check_crash(self.daemon.database, self.broker.ledger, self.messages)
        self.check_witness()
        return found

    def _waiting(self):
        """How many messages wait in the inbox; None before the first migration is committed."""
        with tempfile.TemporaryDirectory(dir=self.directory) as temporary:
            copy = oracle.copy_database(self.daemon.database, temporary)
            if not copy.exists():
                return None
            connection = sqlite3.connect(copy)
            try:
                tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
                return inbox.waiting(connection).total() if tables else None
            finally:
                connection.close()

    def check_witness(self):
        early = self.broker.ledger.early
        assert not early, f"{len(early)} early acknowledgements: {early[:3]}"

    def acknowledged(self):
        return len(self.broker.ledger.acknowledged_numbers())

    def recover(self, limit_s=2 * LIMIT_S):
        """Without any fault everything arrives and is there exactly once."""
        self.daemon.kill()
        self.broker.call(self.witness.forget_connection)
        self.daemon.environment, self.daemon.wrapper = {}, []
        self.daemon.start()
        self.daemon.wait_drained(limit_s)
        self.finish()

    def finish(self, counts=True):
        """Stop, and look at everything. counts: no message has changed its place since it came."""
        self.daemon.wait_sorted()
        self.broker.call(self.witness.forget_connection)
        self.daemon.stop()
        self.daemon.check_protocol()
        self.check_witness()
        oracle.check_final(self.daemon.database, self.messages, ledger=self.broker.ledger,
                           counts=counts)
        odd = [o for o in self.broker.ledger.oddities if "no such id in flight" not in o]
        assert not odd, f"oddities: {odd[:3]}"

    def say(self, pattern):
        """The log says this."""
        assert re.search(pattern, self.daemon.log(), re.IGNORECASE | re.MULTILINE), \
            f"nothing like /{pattern}/ in the log:\n{self.daemon.log_tail()}"


def pad(message, size):
    """A large reading of a type without a table: it fills pages of the database."""
    device, number = f"p{message.number % 5}", message.number
    time_ms = generator.FIRST_TIME_MS + number * generator.STEP_MS
    text = ('{"messageType":7,"deviceId":"%s","version":3,"timeMs":%d,"gps":{"n":%d,"pad":"%s"}}'
            % (device, time_ms, number, "x" * size))
    message.topic = f"foxtrackr/{device}/V3.0/gps".encode()
    message.payload = text.encode()
    message.expect = generator.Row("messages", device, time_ms, {"type": "gps", "body": text})
    return message


def cpu_seconds(pid):
    """Processor time that a process has used so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_cpu_seconds():
    """Processor time of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def mount_tmpfs(trial, name, size, options="mode=0700"):
    """A small file system of its own, unmounted with the trial. Needs root."""
    path = trial.directory / name
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},{options}", "tmpfs", path],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise Skip(f"cannot mount a file system here: {done.stderr.strip()}")
    trial.cleanup.append(lambda: subprocess.run(["umount", "-l", path], check=False))
    return path
