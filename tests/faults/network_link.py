"""Faults below and around the protocol: silence, names, proxies, other clients."""

import contextlib
import os
import pathlib
import socket
import sqlite3
import subprocess
import threading
import time

import messages
import oracle
from broker import Fault, FaultBroker
from campaign import Skip
from daemon import Daemon
from network_faults import scenario

KEEPALIVE = {"broker": {"keepalive": 5}}


def scenarios(quick):
    made = [_stalled("publish", 30), _half_open(), _two_daemons(), _host_appears(), _proxies(),
            _name_fails(), _visitor()]
    if not quick:
        made += [_stalled("pubrel", 20), _stalled("pubrec", 1), _stalled("pingresp", 1),
                 _stalled("connack", 1), _stalled("suback", 1), _stalled("accept", 1)]
    return made


# --- silence -------------------------------------------------------------------------------------

def _stalled(step, number):
    @scenario(f"the broker falls silent at {step} {number}", daemon=KEEPALIVE)
    def play(stage):
        stage.broker.script(Fault(step, "stall", number))
        stage.daemon.start(wait=None)
        stage.wait(lambda: not stage.broker.pending_faults, what="the fault")
        begun = time.monotonic()
        known = len(stage.ledger.visits)
        stage.wait(lambda: len(stage.ledger.visits) > known, what="the daemon to come again")
        took = time.monotonic() - begun
        stage.finish()
        return f"noticed after {took:.1f} s"
    return play


class Namespace:
    """A network namespace with a link to ours, for the daemon."""

    def __init__(self, number):
        self.name = f"foxtrackr-{os.getpid()}"
        self.device = f"ftr{os.getpid() % 100000}"
        self.ours, self.theirs = f"10.213.{number}.1", f"10.213.{number}.2"

    def __enter__(self):
        if os.geteuid() != 0:
            raise Skip("needs root for a network namespace")
        try:
            ip("netns", "add", self.name)
        except (OSError, subprocess.CalledProcessError) as problem:
            raise Skip(f"no network namespace can be made: {problem}") from None
        try:
            ip("link", "add", self.device, "type", "veth", "peer", "name", "eth0",
                "netns", self.name)
            ip("addr", "add", f"{self.ours}/30", "dev", self.device)
            ip("link", "set", self.device, "up")
            ip("-n", self.name, "addr", "add", f"{self.theirs}/30", "dev", "eth0")
            ip("-n", self.name, "link", "set", "eth0", "up")
            ip("-n", self.name, "link", "set", "lo", "up")
        except subprocess.CalledProcessError as problem:
            self.__exit__()
            raise Skip(f"no veth link can be made: {problem}") from None
        return self

    def link(self, state):
        """down: what is sent goes nowhere, and nobody is told."""
        ip("link", "set", self.device, state)

    def __exit__(self, *_):
        for words in (("link", "del", self.device), ("netns", "del", self.name)):
            with contextlib.suppress(subprocess.CalledProcessError):
                ip(*words)


def ip(*words):
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    subprocess.run(["ip", *words], check=True, capture_output=True, env={**os.environ, "PATH": path})


def _half_open():
    def play(campaign, directory, seed):
        with Namespace(7) as namespace:
            stage = campaign.stage(
                directory, seed, host=namespace.ours, daemon=KEEPALIVE, count=200,
                wrapper=("ip", "netns", "exec", namespace.name))
            try:
                return _play_half_open(stage, namespace)
            finally:
                campaign.note_witnessed(stage.witness.looked_up)
                stage.close()
    return "half-open TCP: the link goes down and comes back", play


def _play_half_open(stage, namespace):
    stage.daemon.start()
    stage.wait(lambda: len(stage.ledger.completed) > 50)
    begun = time.monotonic()
    namespace.link("down")
    stage.more(100)
    stage.daemon.wait_log("connection lost")
    noticed = time.monotonic() - begun
    namespace.link("up")
    stage.finish()
    return f"noticed after {noticed:.1f} s"


# --- names and proxies ---------------------------------------------------------------------------

def _name_fails():
    @scenario("the broker's name does not resolve",
              daemon={"broker": {"host": "foxtrackr.invalid"}})
    def play(stage):
        stage.daemon.start(wait=None)
        stage.daemon.wait_log(r"cannot resolve broker\.host foxtrackr\.invalid")
        stage.daemon.stop()
        stage.daemon.configure(broker={"host": "127.0.0.1"})
        stage.daemon.start()
        stage.finish()
    return play


def _host_appears():
    def play(campaign, directory, seed):
        if os.geteuid() != 0:
            raise Skip("needs root for a mount namespace")
        hosts, resolv = directory / "hosts", directory / "resolv.conf"
        hosts.write_text("127.0.0.1 localhost\n")
        resolv.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        script = (f"mount --bind {hosts} /etc/hosts && mount --bind {resolv} /etc/resolv.conf "
                  '&& exec "$@"')
        wrapper = ("unshare", "--mount", "sh", "-c", script, "sh")
        if subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode:
            raise Skip("no mount namespace can be made")
        stage = campaign.stage(directory, seed, wrapper=wrapper,
                               daemon={"broker": {"host": "late.foxtrackr.test"}})
        try:
            stage.daemon.start(wait=None)
            stage.daemon.wait_log(r"cannot resolve broker\.host late\.foxtrackr\.test")
            hosts.write_text("127.0.0.1 localhost late.foxtrackr.test\n")
            stage.finish()
        finally:
            campaign.note_witnessed(stage.witness.looked_up)
            stage.close()
    return "name service fails at the start and works later, no restart", play


class Trap:
    """A proxy that nobody may ask."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.visitors = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                self._socket.accept()[0].close()
                self.visitors += 1

    def close(self):
        self._socket.close()


def _proxies():
    def play(campaign, directory, seed):
        trap = Trap()
        names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
        environment = {name: trap.url for name in names}
        environment["no_proxy"] = environment["NO_PROXY"] = "127.0.0.1,localhost,*"
        stage = campaign.stage(directory, seed, environment=environment)
        try:
            stage.broker.script(Fault("publish", "cut", 50))
            stage.daemon.start()
            stage.finish()
            assert trap.visitors == 0, f"the proxy of the environment had {trap.visitors} visitors"
        finally:
            campaign.note_witnessed(stage.witness.looked_up)
            stage.close()
            trap.close()
    return "proxies in the environment are ignored", play


# --- others with our client id -------------------------------------------------------------------

def _visitor():
    @scenario("another client takes the session over for a moment")
    def play(stage):
        import mqtt
        stage.daemon.start()
        stage.wait(lambda: len(stage.ledger.completed) > 20)
        own = stage.ledger.connects[0]
        # MQTT 5: without a session expiry the session would end with this connection.
        properties = b"\x08\x11\0\0\x0e\x10\x21\0\x14" if own.version == mqtt.MQTT_5 else b""
        other = socket.create_connection((stage.broker.host, stage.broker.port))
        other.sendall(mqtt.packet(mqtt.CONNECT, mqtt.string("MQTT") + bytes([own.version])
                                  + b"\0\0\x3c" + properties + mqtt.string(own.client_id)))
        assert other.recv(1), "no CONNACK"
        stage.more(50)
        stage.daemon.wait_log("connection lost")
        other.close()
        stage.finish()
    return play


def _two_daemons():
    def play(campaign, directory, seed):
        broker = FaultBroker(directory / "broker").start()
        daemons = [Daemon(directory / name, broker, campaign.chosen.build) for name in "ab"]
        try:
            return _play_two_daemons(campaign, broker, daemons, seed)
        finally:
            for daemon in daemons:
                daemon.kill()
            broker.close()
    return "two daemons with one client id", play


def _play_two_daemons(campaign, broker, daemons, seed):
    sent = messages.make(150, seed)
    witnesses = [oracle.Witness(daemon.database, sent) for daemon in daemons]

    def in_one_of_them(numbers):
        answers = [set(witness(numbers)) for witness in witnesses]
        return sorted(set.intersection(*answers))

    for daemon in daemons:
        daemon.start(wait="status")
        daemon.wait_log("connected to")
    broker.witness = in_one_of_them
    limit = time.monotonic() + 20
    published = 0
    while time.monotonic() < limit:     # a fight of twenty seconds, under traffic
        if published < len(sent):
            broker.publish(sent[published:published + 1])
            published += 1
        broker.wait_for(lambda: False, 0.1)
    broker.publish(sent[published:])
    connects = len(broker.ledger.connects)
    for daemon in daemons:
        daemon.wait_log("connection lost.*another client uses? this client id")
    daemons[0].stop()
    daemons[1].wait_drained()
    daemons[1].stop()
    oracle.check_not_early(broker.ledger)
    campaign.note_witnessed(witnesses[0].looked_up)
    found = _union(daemons, sent)
    assert connects < 30, f"{connects} connects in 20 s: they do not back off"
    return f"{connects} connects in 20 s; {found[0]} and {found[1]} of {len(sent)} messages"


def _union(daemons, sent):
    contents = []
    for daemon in daemons:
        connection = sqlite3.connect(f"file:{pathlib.Path(daemon.database)}?mode=ro", uri=True)
        oracle.check_sound(connection)
        contents.append(oracle.Contents(connection))
        connection.close()
    missing = [m for m in sent if all(c.problem(m) for c in contents)]
    assert not missing, f"in neither database: {missing[:5]}"
    return [sum(c.problem(m) is None for m in sent) for c in contents]
