"""
Scenes with a private server of PostgreSQL, for the campaigns `postgresql` and `takeover`: the server or servers, a broker
with a durable session, a load of fresh messages, the oracle after each fault; and a campaign that plays scenes, several
at a time.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

import aftermath
import left_out
import messages as generator
import oracle
import pg_oracle
import postgres
import pq
from broker import FaultBroker
from daemon import LIMIT_S, Daemon, add_protocol
from trial import Skip, pad

PROGRAM = "small/foxtrackrd"
"""Its module copies readings into their tables after one that was new, and sends no more than three as arrays."""
DISK = "48m"
"""A tablespace that is soon full."""




class Servers:
    """The server that a scene writes to: a primary, and for a failover its standby. connect() asks the primary."""

    def __init__(self, directory, kind):
        self.kind = kind
        self.directory = directory
        self.mounted = None
        self.places = []
        user = postgres.server_user()
        for name in ("a", "b"):
            place = directory / name
            place.mkdir()
            place.chmod(0o755)
            if user:
                os.chown(place, user.pw_uid, user.pw_gid)
            self.places.append(place)
        self.more = ""
        self.primary = postgres.Cluster(sockets=self.places[0], settings=("max_connections = 30",))
        self.standby = None
        if kind == "disk":
            self._mount(user)
        self.primary.make_database("fleet", more=self.more)
        if kind == "failover":
            self.add_standby()

    def _mount(self, user):
        """A small file system, which is the tablespace of the database."""
        place = self.directory / "disk"
        place.mkdir()
        owner = f",uid={user.pw_uid},gid={user.pw_gid}" if user else ""
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0700{owner}", "tmpfs", place],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            self.close()
            raise Skip(f"cannot mount a file system here: {done.stderr.strip()}")
        self.mounted = place
        self.primary.psql(f"CREATE TABLESPACE small LOCATION '{place}'")
        self.more = "TABLESPACE small"

    def add_standby(self):
        """A synchronous standby of the primary, in the place that is free."""
        free = self.places[self.places.index(self.primary.sockets) - 1]
        self.standby = postgres.Cluster(sockets=free, primary=self.primary)
        self.primary.set(synchronous_standby_names="*")
        self._wait("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", 1)

    def _wait(self, sql, wanted):
        deadline = time.monotonic() + LIMIT_S
        while self.value(sql) != wanted:
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {LIMIT_S} s for {wanted} of: {sql}")
            time.sleep(0.02)

    def fail_over(self, abrupt):
        """The primary ends for good; its standby is the primary, and gets a standby."""
        old = self.primary
        if abrupt:
            old.kill()
        else:
            old.halt("immediate")
        self.standby.set_file(synchronous_standby_names="")
        self.standby.promote()
        self.primary, self.standby = self.standby, None
        old.stop()

    def connect(self, user="foxtrackrd"):
        return pq.Connection(self.primary.conninfo("fleet", user))

    def value(self, sql):
        """The first value of an answer, as superuser; waits for a server that recovers."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            with contextlib.suppress(pq.Lost), pg_oracle.patient(lambda: self.connect("postgres")) as connection:
                row = connection.execute(sql).fetchone()
                return row[0] if row else None
            if time.monotonic() > deadline:
                raise AssertionError(f"no answer in {LIMIT_S} s to: {sql}")

    def backend(self, more="true"):
        """The daemon's process at the server that writes; None: there is none now."""
        return self.value("SELECT max(pid) FROM pg_stat_activity WHERE datname = 'fleet' AND usename = 'foxtrackrd'"
                          f" AND application_name LIKE 'foxtrackrd%' AND {more}")

    def close(self):
        for one in (self.standby, self.primary):
            if one is not None:
                one.stop()
        if self.mounted:
            subprocess.run(["umount", "-l", self.mounted], check=False)
            self.mounted = None


class Scene:
    """
    One database, one broker, and all the messages there were. A subclass makes the daemons and whatever else there is
    in begin(); what it has made by then is removed by close(), whatever happens.
    """

    def __init__(self, campaign, directory, seed, servers, **broker):
        self.chance = random.Random(f"scene {seed}")
        self.campaign, self.directory, self.seed, self.servers = campaign, directory, seed, servers
        self.sent = []
        self.daemons = []
        self.relay = None
        self.witness = pg_oracle.Witness(servers.connect)
        self.broker = FaultBroker(directory / "broker", window=self.chance.choice((20, 20, 1000)),
                                  witness=self.witness, **broker).start()

    def add_daemon(self, uri, *, wrapper=(), **sections):
        keys = {"engine": "postgresql", "path": None, "uri": uri, "batch_max": self.chance.choice((1, 7, 5000)),
                **sections.pop("database", {})}
        made = Daemon(self.directory / f"daemon{len(self.daemons)}", self.broker, self.campaign.options.build,
                      program=PROGRAM, wrapper=wrapper, database=keys, **sections)
        self.daemons.append(made)
        return made

    def log_tail(self):
        return "\n".join(f"{daemon.directory.name}:\n{daemon.log_tail()}" for daemon in self.daemons)

    def ended(self):
        """The exit status of a daemon that has ended by itself; None: all run that were started."""
        return next((one.process.returncode for one in self.daemons if one.process and not one.running), None)

    # the load

    def publish(self, count, size=0):
        batch = generator.make(count, self.seed, start=len(self.sent), qos=aftermath.some_qos_1)
        if size:
            batch = [pad(one, size) for one in batch]
        self.sent += batch
        self.witness.add(batch)
        self.broker.publish(batch)

    def acknowledged(self):
        return len(self.broker.ledger.acknowledged)

    def load(self):
        """Publish, and wait for some of the acknowledgements, and then for a random moment."""
        self.publish(self.chance.randrange(20, 300))
        wanted = self.acknowledged() + self.chance.choice((1, 1, self.chance.randrange(1, 60)))
        self.wait(lambda: self.acknowledged() >= wanted or self.broker.drained, "acknowledgements")
        at = time.monotonic() + self.chance.uniform(0, 0.02)
        while time.monotonic() < at:
            time.sleep(0.0005)      # the moment of the fault itself, not a wait for anything

    def wait(self, condition, what, alive=True):
        """Until condition() holds; the daemon must not end."""
        def holds():
            ended = self.ended() if alive else None
            if ended is not None:
                raise oracle.Broken(f"exit {ended} while waiting for {what}:\n{self.log_tail()}")
            return condition()

        if not self.broker.wait_for(holds, LIMIT_S * 2):
            raise oracle.Broken(f"waited {LIMIT_S * 2} s for {what}:\n{self.log_tail()}")

    def progress(self):
        """After a fault: something new is acknowledged."""
        self.publish(3)
        before = self.acknowledged()
        self.wait(lambda: self.acknowledged() > before or self.broker.drained, "an acknowledgement after the fault")

    # the oracle

    def check(self):
        self.check_witness()
        pg_oracle.check_crash(self.servers.connect, self.broker.ledger, self.sent)

    def check_witness(self):
        """Ask what could not be asked at the time."""
        def ask():
            self.broker.ledger.early.extend(self.witness([]))

        with pg_oracle.patient(self.servers.connect):
            self.broker.call(ask)
        oracle.check_not_early(self.broker.ledger)

    def finish(self):
        """Drain, stop, and compare everything."""
        self.publish(3)
        self.wait(lambda: self.broker.drained, "the broker's queue to drain")
        for daemon in self.daemons:
            daemon.stop()
            daemon.check_protocol()
        self.check_witness()
        assert not self.witness.kept, f"{len(self.witness.kept)} acknowledgements were never looked up"
        pg_oracle.check_final(self.servers.connect, self.broker.ledger, self.sent)
        odd = [one for one in self.broker.ledger.oddities if "no such id in flight" not in one]
        if odd:
            raise oracle.Broken(f"not MQTT: {odd[:3]}")

    def close(self):
        for daemon in self.daemons:
            daemon.kill()
        self.broker.close()
        self.witness.forget_connection()
        if self.relay:
            self.relay.close()


class Campaign:
    """
    Scenes, several at a time. A subclass has `name`, plan(), which returns [(kind of server, faults)], make(), which
    makes a scene, and strike(), which plays one fault: False when it did not hit.
    """

    name = None
    quick = 0       # faults of --quick
    kinds = ()      # of faults, for --only
    protocols = True

    def __init__(self, description):
        parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--build", required=True, type=lambda text: pathlib.Path(text).resolve())
        parser.add_argument("--count", type=int, default=1000, help="faults")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--quick", action="store_true", help=f"{self.quick} faults")
        parser.add_argument("--only", choices=sorted(self.kinds), help="faults of this kind only")
        parser.add_argument("--jobs", type=int, default=3, help="scenes at a time; they mostly wait")
        add_protocol(parser)
        self.options = parser.parse_args()
        Daemon.protocol = self.options.protocol
        if self.options.quick:
            self.options.count = self.quick
        self.chance = random.Random(self.options.seed)
        self.hits, self.missed = collections.Counter(), collections.Counter()
        self.failures, self.skipped, self.notes = [], set(), []
        self.scenes = self.looked_up = self.messages = 0
        self.directory = None
        self.begun = time.monotonic()
        self.lock = threading.Lock()

    def shares(self, shares):
        """How many faults of each kind, of so many in all: {kind: share} -> {kind: count}."""
        if self.options.only:
            return {self.options.only: self.options.count}
        total = sum(shares.values())
        return {kind: max(1, round(self.options.count * share / total)) for kind, share in shares.items()}

    def main(self):
        """Play, report, and return the exit status."""
        if not postgres.versions():
            print(f"LEFT OUT {self.name}: PostgreSQL is not installed: {left_out.verdict()}")
            return 1 if left_out.in_ci() else 0
        print(f"{self.name}: {self.options.count} faults, seed {self.options.seed}", flush=True)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"foxtrackr-{self.name}-"))
        self.directory.chmod(0o711)     # the server, which runs as another user, gets through
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            for done in [pool.submit(self._scene, number, *one) for number, one in enumerate(self.plan())]:
                done.result()
        self._report()
        if not self.failures:
            shutil.rmtree(self.directory)
        return 1 if self.failures else 0

    def _scene(self, number, kind, faults):
        """One server, one database, and these faults."""
        if len(self.failures) >= 5:
            return
        seed = f"{self.options.seed}/{number}"
        directory = self.directory / f"{number:04}"
        directory.mkdir()
        directory.chmod(0o711)
        begun = time.monotonic()
        play = _Play(self, seed, directory)
        try:
            play.all(kind, faults)
        except Skip as why:
            with self.lock:
                self.skipped.add(str(why))
        except Exception as problem:  # a failure of any kind is one
            self._failed(play, faults, problem)
        finally:
            play.close()
        if not play.failed:
            shutil.rmtree(directory, ignore_errors=True)
        with self.lock:
            print(f"{time.monotonic() - self.begun:6.0f} s  {sum(self.hits.values()):5} faults  {seed} {kind}: "
                  f"{len(faults)} in {time.monotonic() - begun:.0f} s", flush=True)

    def _failed(self, play, faults, problem):
        play.failed = True
        with self.lock:
            self.failures.append(f"{play.seed}, {play.fault}")
            print(f"FAILED {play.seed}, {play.fault} of {' '.join(faults)} (kept in {play.directory}):\n{problem}",
                  flush=True)
            if not isinstance(problem, AssertionError):
                traceback.print_exc()
            if play.servers:
                (play.directory / "server.log").write_text(play.servers.primary.log())

    def _report(self):
        for name, count in sorted(self.hits.items()):
            missed = self.missed[name]
            print(f"  {count:5} x {name}{f' ({missed} without a hit)' if missed else ''}")
        for why in sorted(self.skipped):
            print(f"  skip  {why} ({left_out.verdict()})")
            if left_out.in_ci():
                self.failures.append(why)
        for note in self.notes:
            print(f"  {note}")
        print(f"{sum(self.hits.values())} faults, {self.scenes} scenes drained and compared, {self.messages} messages, "
              f"{self.looked_up} acknowledgements witnessed, {len(self.failures)} failures, seed {self.options.seed}, "
              f"{time.monotonic() - self.begun:.0f} s")
        for failure in self.failures:
            print(f"  failed: {failure}")
        print(f"{sum(self.hits.values()) + self.scenes} passed, {len(self.failures)} failed")


class _Play:
    """One scene while it is played."""

    def __init__(self, campaign, seed, directory):
        self.campaign, self.seed, self.directory = campaign, seed, directory
        self.servers = self.scene = None
        self.fault = "start"
        self.failed = False

    def all(self, kind, faults):
        campaign = self.campaign
        self.servers = Servers(self.directory, kind)
        self.scene = scene = campaign.make(self.directory, self.seed, self.servers, kind)
        scene.begin()
        for self.fault in faults:
            hit = campaign.strike(scene, self.fault) is not False
            with campaign.lock:
                (campaign.hits if hit else campaign.missed)[self.fault] += 1
        self.fault = "final"
        scene.finish()
        with campaign.lock:
            campaign.scenes += 1

    def close(self):
        if self.scene:
            with self.campaign.lock:
                self.campaign.looked_up += self.scene.witness.looked_up
                self.campaign.messages += len(self.scene.sent)
            self.scene.close()
        if self.servers:
            self.servers.close()
