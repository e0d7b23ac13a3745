"""The common parts of the campaigns on the network side: options, a stage, and a tally."""

import argparse
import concurrent.futures
import pathlib
import random
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
import traceback

import messages
import oracle
from broker import FaultBroker
from daemon import LIMIT_S, Daemon, add_protocol

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

import left_out  # noqa: E402


class Skip(Exception):
    """This cannot be done on this machine, and why."""


def options(description):
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path, help="where foxtrackrd is")
    parser.add_argument("--count", type=int, default=None, help="random scripts to play")
    parser.add_argument("--seed", type=int, default=None, help="default: a new one")
    parser.add_argument("--quick", action="store_true", help="what make faults runs")
    parser.add_argument("--only", metavar="WORDS", help="only scenarios with this in their name")
    parser.add_argument("--jobs", type=int, default=6, help="so many at a time; they mostly wait")
    parser.add_argument("--keep", action="store_true", help="keep the files of what passed, too")
    add_protocol(parser)
    chosen = parser.parse_args()
    Daemon.protocol = chosen.protocol
    if not (chosen.build / "foxtrackrd").exists():
        parser.error(f"{chosen.build}/foxtrackrd is not there: build it first")
    if chosen.seed is None:
        chosen.seed = random.SystemRandom().randrange(1_000_000)
    return chosen


class Stage:
    """A broker, a daemon, messages, and a witness at every acknowledgement."""

    def __init__(self, directory, build, seed, *, count=120, qos=2, tls=None, ca_file=None,
                 daemon=None, messages_of=None, environment=None, wrapper=(), garbage=0.1,
                 **broker):
        self.directory = pathlib.Path(directory)
        self.build, self.seed = build, seed
        self.broker = FaultBroker(self.directory / "broker", tls=tls, **broker).start()
        self.ledger = self.broker.ledger
        self.daemon = Daemon(self.directory / "daemon", self.broker, build, ca_file=ca_file,
                             environment=environment, wrapper=wrapper, **(daemon or {}))
        self.messages = messages.make(count, seed, qos=qos, garbage=garbage)
        self.witness = self.broker.witness = oracle.Witness(self.daemon.database, self.messages)
        self.broker.publish(self.messages)

    def more(self, count, **how):
        """Publish further messages."""
        batch = messages.make(count, self.seed, start=len(self.messages), **how)
        self.messages += batch
        self.witness.add(batch)
        self.broker.publish(batch)

    def wait(self, condition, limit_s=2 * LIMIT_S, what="a condition"):
        self.daemon.wait(condition, limit_s, what)

    def finish(self, *, odd=False, lost=False, strangers=False, gaps=(), limit_s=2 * LIMIT_S,
               max_payload=oracle.MAX_PAYLOAD):
        """
        Drain to the end, stop, and ask the oracle everything.
        odd: the script makes the daemon look as if it broke MQTT. lost: the broker has lost
        messages. strangers: the script has garbled messages on the way, so that what was sent is not
        known; the daemon must live and its database be whole. gaps: the reasons that may be in the
        table; None: any.
        """
        self.daemon.wait_drained(limit_s)
        self.daemon.wait_sorted(limit_s)
        unfired = self.broker.pending_faults
        self.daemon.stop()
        self.daemon.check_protocol()
        optional = self.ledger.lost if lost else ()
        if strangers:
            optional = {m.number for m in self.messages}
        found = oracle.check_final(self.daemon.database, self.messages, optional=optional,
                                   strangers=strangers, max_payload=max_payload)
        if not strangers:
            oracle.check_not_early(self.ledger)
        if unfired:
            raise AssertionError(f"the script was not played: {unfired}")
        if self.ledger.oddities and not odd:
            raise AssertionError(f"the daemon breaks MQTT: {self.ledger.oddities[:5]}")
        found_gaps = {reason for reason, _ in self.gaps()}
        if gaps is not None and not found_gaps <= set(gaps):
            raise AssertionError(f"no session was lost, and gaps has {found_gaps}")
        return found

    def gaps(self):
        connection = sqlite3.connect(f"file:{self.daemon.database}?mode=ro", uri=True)
        try:
            return connection.execute(
                "SELECT reason, last_durable_ms FROM gaps ORDER BY resumed_ms").fetchall()
        finally:
            connection.close()

    def close(self):
        self.daemon.kill()
        self.broker.close()


class Campaign:
    """Play scenarios, several at a time; say what became of each; count."""

    def __init__(self, name, chosen):
        self.name, self.chosen = name, chosen
        self.base = pathlib.Path(tempfile.mkdtemp(prefix=f"foxtrackr-{name}-"))
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.looked_up = 0
        self._lock = threading.Lock()

    def play(self, scenarios):
        """scenarios: [(name, function)]; a function gets (campaign, directory, seed)."""
        chosen = self.chosen
        if chosen.only:
            scenarios = [one for one in scenarios if chosen.only in one[0]]
        print(f"{self.name}: {len(scenarios)} scenarios, seed {chosen.seed}", flush=True)
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(chosen.jobs) as pool:
            for number, (name, function) in enumerate(scenarios):
                pool.submit(self._one, number, name, function)
        passed, failed, skipped = (self.counts[k] for k in ("passed", "failed", "skipped"))
        print(f"{self.name}: {time.monotonic() - begun:.0f} s, seed {chosen.seed}, "
              f"{self.looked_up} acknowledgements witnessed, {skipped} skipped")
        if not failed and not chosen.keep:
            shutil.rmtree(self.base, ignore_errors=True)
        print(f"{passed} passed, {failed} failed", flush=True)
        return 1 if failed or not passed + skipped else 0

    def stage(self, directory, seed, **how):
        return Stage(directory, self.chosen.build, seed, **how)

    def _one(self, number, name, function):
        directory = self.base / f"{number:04d}"
        directory.mkdir()
        begun = time.monotonic()
        problem = ""
        try:
            result, note = "passed", function(self, directory, self.chosen.seed) or ""
        except Skip as why:
            result = "failed" if left_out.in_ci() else "skipped"
            note = f"{why} ({left_out.verdict()})"
        except BaseException as failure:    # a thread must not swallow it
            result, note = "failed", f"{failure}\n    files: {directory}"
            if not isinstance(failure, AssertionError):
                problem = traceback.format_exc()
        with self._lock:
            self.counts[result] += 1
            if result != "passed" or sys.stdout.isatty() or self.chosen.keep or not self.chosen.quick:
                print(f"  {result:7} {time.monotonic() - begun:5.1f} s  {name}"
                      f"{': ' if note else ''}{note}", flush=True)
            if problem:
                print(problem, flush=True)
        if result == "passed" and not self.chosen.keep:
            shutil.rmtree(directory, ignore_errors=True)

    def note_witnessed(self, count):
        with self._lock:
            self.looked_up += count
