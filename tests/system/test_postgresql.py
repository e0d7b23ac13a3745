"""The daemon with a private server of PostgreSQL: every message becomes exactly one row, whatever ends."""

import collections
import csv
import io
import json
import os
import re
import signal
import subprocess
import time

import pytest

import fleet
import postgres
from foxtrackrd import foxtrackrctl
from harness import ROOT, wait_until

@pytest.fixture(scope="module")
def cluster():
    if not postgres.versions():
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    made = postgres.Cluster()
    yield made
    made.stop()


class Database:
    """A database of a test's own."""

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.uri = cluster.uri(name)

    def rows(self, sql):
        """The rows of a query as tuples of texts; None for NULL. Waits for a server that recovers."""
        texts = []

        def answered():
            try:
                texts.append(self.cluster.psql(sql, self.name, "foxtrackrd"))
            except RuntimeError as error:
                if not re.search("connection|recovery|starting up|shutting down", str(error)):
                    raise
            return texts

        wait_until(answered, timeout=60, every=0.2, what="an answer of PostgreSQL")
        answer = list(csv.reader(io.StringIO(texts[0])))[1:]
        return [tuple(None if text == "\\N" else text for text in row) for row in answer]

    def value(self, sql):
        return self.rows(sql)[0][0]

    def received(self):
        """How many messages the runs have counted; 0 before there is a schema."""
        if self.value("SELECT to_regclass('runs')") is None:
            return 0
        return int(self.value("SELECT coalesce(sum(received), 0) FROM runs"))

    def differences(self, *manifests):
        """The rows of the manifests that are missing, and those that are too many."""
        wanted = collections.Counter({row: 1 for manifest in manifests for row in manifest.expected()})
        found = collections.Counter(self._all())
        return wanted - found, found - wanted

    def check(self, *manifests):
        """Fail unless the database holds exactly the rows of the manifests."""
        missing, surplus = self.differences(*manifests)
        assert not missing and not surplus, \
            f"{sum(missing.values())} rows are missing, {sum(surplus.values())} are too many: " \
            f"{list(missing)[:3]}, {list(surplus)[:3]}"
        assert self.value("SELECT count(*) FROM runs WHERE received <> stored + duplicate + quarantined") == "0"

    def _all(self):
        def number(text):
            return None if text is None else float(text)

        def canonical(text):
            return json.dumps(json.loads(text or "null"), sort_keys=True)

        for r in self.rows("SELECT family, device_id FROM devices"):
            yield ("devices", *r)
        of = "JOIN devices USING (device)"
        for r in self.rows(f"SELECT device_id, time_ms, message_type, voltage_v, level_pct, extra FROM battery {of}"):
            yield ("battery", r[0], int(r[1]), int(r[2]), number(r[3]), number(r[4]), canonical(r[5]))
        for r in self.rows(f"SELECT device_id, time_ms, message_type, celsius, extra FROM temperature {of}"):
            yield ("temperature", r[0], int(r[1]), int(r[2]), number(r[3]), canonical(r[4]))
        for r in self.rows(f"SELECT device_id, type, time_ms, message_type, body FROM messages {of}"):
            yield ("messages", r[0], r[1], int(r[2]), int(r[3]), canonical(r[4]))
        for r in self.rows(f"SELECT device_id, group_name FROM device_groups {of}"):
            yield ("device_groups", *r)
        for reason, topic, payload in self.rows("SELECT reason, topic, payload FROM quarantine"):
            yield ("quarantine", reason, topic, bytes.fromhex(payload.removeprefix("\\x")))


@pytest.fixture(name="pg")
def fixture_pg(cluster, request):
    name = request.node.name.partition("[")[0]
    cluster.make_database(name)
    return Database(cluster, name)


def test_no_server_outlives_its_program():
    """Goal: a test program that is killed leaves no server of PostgreSQL behind, and no files."""
    if not postgres.versions():
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    program = "import postgres, sys; one = postgres.Cluster(); print(one.pid, one.directory, flush=True); sys.stdin.read()"
    with subprocess.Popen(["/usr/bin/python3", "-B", "-c", program], cwd=ROOT / "tests", stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as made:
        pid, directory = made.stdout.readline().split()
        made.kill()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}") and not os.path.exists(directory), what="the end of the server")


def sections(pg, **keys):
    return {"database": {"engine": "postgresql", "uri": pg.uri, "path": None, **keys}}


def test_messages_become_rows(broker, make_daemon, pg):
    """Goal: what is published is in PostgreSQL, and the run's accounting adds up."""
    daemon = make_daemon(broker, **sections(pg)).start()
    manifest = fleet.play(broker, messages=2000, garbage=50, other=40, group_topics=True)
    wait_until(lambda: pg.received() >= manifest.messages, timeout=60,
               what=lambda: f"{manifest.messages} messages: {pg.received()}")
    daemon.stop()
    pg.check(manifest)
    exported = foxtrackrctl(daemon, "export", "battery").stdout.splitlines()
    assert len(exported) - 1 == int(pg.value("SELECT count(*) FROM battery"))
    for view in ("fleet", "battery_daily", "battery_trend", "reporting_gaps", "quarantine", "messages"):
        exported = list(csv.reader(io.StringIO(foxtrackrctl(daemon, "export", view).stdout)))
        assert len(exported) - 1 == int(pg.value(f"SELECT count(*) FROM {view}")), view
    assert pg.rows("SELECT received, stored, duplicate, quarantined FROM runs") == [
        tuple(map(str, (manifest.messages, manifest.stored, manifest.duplicate, manifest.quarantined)))]


def test_nothing_is_lost_and_nothing_is_twice(broker, make_daemon, pg):
    """Goal: the daemon is killed, and its connection ended, while messages come: every reading is there once."""
    daemon = make_daemon(broker, **sections(pg)).start()
    manifests = []
    for turn in range(6):
        manifests.append(fleet.play(broker, daemon.directory / f"{turn}.jsonl", messages=600, garbage=10, seed=turn + 1))
        if turn % 2:
            pg.value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                     " WHERE application_name LIKE 'foxtrackrd%'")
        else:
            daemon.kill()
            daemon.start()
    wait_until(lambda: not pg.differences(*manifests)[0], timeout=60, every=0.5,
               what=lambda: f"all rows: {len(pg.differences(*manifests)[0])} are missing")
    daemon.stop()
    pg.check(*manifests)


def test_the_server_ends_in_every_way(broker, make_daemon, pg, cluster):
    """Goal: the server is stopped without a checkpoint, and one of its processes is killed, while messages come: the
    daemon stays, and every reading is there once."""
    daemon = make_daemon(broker, **sections(pg)).start()
    manifests = []
    for turn in range(6):
        manifests.append(fleet.play(broker, daemon.directory / f"{turn}.jsonl", messages=600, garbage=10, seed=turn + 1))
        if turn % 3 == 0:
            cluster.halt("immediate")
            cluster.start()
        elif turn % 3 == 1:
            backend = pg.value("SELECT coalesce(max(pid), 0) FROM pg_stat_activity"
                               " WHERE application_name LIKE 'foxtrackrd%'")
            if backend != "0":
                os.kill(int(backend), signal.SIGKILL)  # the others are ended, too, and the server recovers
        else:
            cluster.halt("fast")
            cluster.start()
        pg.value("SELECT 1")  # it has recovered: a server is not stopped in its recovery
    wait_until(lambda: not pg.differences(*manifests)[0], timeout=90, every=0.5,
               what=lambda: f"all rows: {len(pg.differences(*manifests)[0])} are missing")
    assert daemon.process.poll() is None, "the daemon ended"
    daemon.stop()
    pg.check(*manifests)
    assert pg.value("SELECT count(*) FROM runs") == "1"


def test_a_standby_takes_over(broker, make_daemon, pg):
    """Goal: of two daemons one has the session; it is killed, and stopped without being killed: the other takes over
    within ten seconds, and every reading is there once."""
    both = [make_daemon(broker, session={"standby": "yes"}, **sections(pg)) for _ in range(2)]
    both[0].start()
    both[1].start(wait="ready")
    both[1].wait_notified("standby: host .* has the sessions")
    manifests = []
    for turn in range(4):
        manifests.append(fleet.play(broker, both[0].directory / f"{turn}.jsonl", messages=600, garbage=10, seed=turn + 1))
        holder, waiting = both[turn % 2], both[(turn + 1) % 2]
        taken, began = waiting.log().count("taking over"), time.monotonic()

        def has_taken_over(waiting=waiting, taken=taken):
            return waiting.log().count("taking over") > taken

        if turn < 2:
            holder.kill()
            wait_until(has_taken_over, timeout=10, what="a take-over")
            holder.start(wait="ready")
        else:
            os.kill(holder.process.pid, signal.SIGSTOP)
            wait_until(has_taken_over, timeout=15, what="a take-over")
            print(f"turn {turn}: {time.monotonic() - began:.1f} s")
            os.kill(holder.process.pid, signal.SIGCONT)
            assert holder.wait_exit() == os.EX_TEMPFAIL  # its connection is gone, the sessions are the other's
            assert re.search("has the client ids of this daemon now: .* for too long; its restart makes it a standby",
                             holder.log()), holder.log()
            holder.start(wait="ready")
        print(f"turn {turn}: {time.monotonic() - began:.1f} s")
    wait_until(lambda: not pg.differences(*manifests)[0], timeout=90, every=0.5,
               what=lambda: f"all rows: {len(pg.differences(*manifests)[0])} are missing")
    for daemon in both:
        daemon.stop()
    pg.check(*manifests)


@pytest.fixture(name="small")
def fixture_small(cluster):
    """A tablespace of its own small file system."""
    folder = cluster.directory / "small"
    folder.mkdir()
    owner = f",uid={cluster.user.pw_uid}" if cluster.user else ""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=48m,mode=0700{owner}", "tmpfs", str(folder)],
                      stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        cluster.psql(f"CREATE TABLESPACE small LOCATION '{folder}'")
        cluster.psql("CREATE DATABASE small OWNER foxtrackrd TEMPLATE template0 TABLESPACE small")
        yield folder
        cluster.psql("DROP DATABASE small WITH (FORCE)")
        cluster.psql("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def test_a_full_disk_at_the_server(broker, make_daemon, cluster, small):
    """Goal: without space at the server the daemon takes nothing, says what to do, keeps the sessions, ends when it is
    told to, and goes on by itself when there is space again: every reading is there once."""
    pg = Database(cluster, "small")
    daemon = make_daemon(broker, **sections(pg)).start()
    filler = small / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while file.write(bytes(65536)):
                pass
        except OSError:
            pass
    manifest = fleet.play(broker, messages=4000, garbage=10)
    daemon.wait_status(lambda s: s["state"] == "database takes nothing" and "free space at the server" in s["text"])
    silent = ("SELECT extract(epoch FROM clock_timestamp() - max(query_start)) < 3 FROM pg_stat_activity JOIN pg_locks"
              " USING (pid) WHERE locktype = 'advisory' AND pg_stat_activity.datname = 'small'")
    for _ in range(3):
        wait_until(lambda: cluster.psql(silent).split()[-1] == "t", timeout=5, what="a sign of life of the holder")
        time.sleep(1)  # longer than between two of them: the last one was a while ago
    began = time.monotonic()
    daemon.stop()
    assert time.monotonic() - began < 10
    daemon.start(wait="ready")
    filler.unlink()
    wait_until(lambda: pg.received() >= manifest.messages, timeout=90, what="all messages")
    daemon.stop()
    pg.check(manifest)
