"""The relay between Paho and the broker, and those who should not be able to disturb it."""

import contextlib
import errno
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

import fleet
from harness import PATIENCE, wait_until
from listener import Listener

CONNECTS = 60   # at once
PAUSE_S = 0.002  # before they are opened anew

KNOCK = f"""
import socket, sys, time
port = int(sys.argv[1])
print("knocking", flush=True)
while True:
    held = []
    for _ in range({CONNECTS}):
        try:
            held.append(socket.create_connection(("127.0.0.1", port), 0.5))
        except OSError:
            pass
    time.sleep({PAUSE_S})
    for one in held:
        one.close()
"""


def gate_port(daemon):
    """The port on which the daemon listens: the only one."""
    process = pathlib.Path("/proc", str(daemon.process.pid))
    inodes = set()
    for entry in (process / "fd").iterdir():
        match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry))
        if match:
            inodes.add(match[1])
    for line in (process / "net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[9] in inodes:
            return int(fields[1].split(":")[1], 16)
    raise AssertionError("the daemon does not listen")


@pytest.fixture(name="knock")
def fixture_knock():
    """A function that starts a program which opens and closes connections to a port without end."""
    started = []

    def knock(port):
        process = subprocess.Popen([sys.executable, "-c", KNOCK, str(port)],
                                   stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "knocking\n"

    yield knock
    for process in started:
        process.kill()
        process.wait(10)


def reconnect(daemon, broker):
    """Restart the broker, and wait until the daemon is subscribed again."""
    connects = daemon.status()["sessions"][0]["connects"]
    broker.restart()
    daemon.wait_status(lambda status: status["sessions"][0]["connects"] > connects
                       and status["sessions"][0]["state"] == "subscribed", 30)


def check_no_attempt_failed(daemon):
    """
    Every attempt to connect succeeded while the broker was there. How long a connection takes does
    not tell: after a few restarts of the broker the daemon waits some seconds before an attempt.
    """
    expected = ("another program", "connection lost: the broker ",
                "connection lost: Connection reset by peer", "Connection refused")
    assert [line for line in daemon.log().splitlines() if line.startswith(("warning", "err"))
            and not any(text in line for text in expected)] == []


def open_silent(port):
    """A connection; the daemon may have closed it by now."""
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    assert one.connect_ex(("127.0.0.1", port)) in (0, errno.ECONNRESET)
    return one


def test_silent_strangers(broker, daemon):
    """
    Goal: connections that are opened and say nothing take no place from Paho; they are closed at
    once, and the log and the status name them.
    """
    daemon.start()
    port = gate_port(daemon)
    strangers = [open_silent(port) for _ in range(64)]
    for stranger in strangers:
        stranger.settimeout(5)
        with pytest.raises(OSError):
            stranger.send(b"x")
            if stranger.recv(1) == b"":
                raise OSError("closed")
    connects = daemon.status()["sessions"][0]["connects"]
    broker.stop()
    daemon.wait_status(lambda status: status["sessions"][0]["connected_since_ms"] is None)
    held = [open_silent(port) for _ in range(6)]
    broker.start()
    daemon.wait_subscribed(30)
    check_no_attempt_failed(daemon)
    for one in strangers + held:
        one.close()
    line = daemon.wait_log("another program")
    assert f"of user number {os.getuid()} " in line and f"127.0.0.1:{port}" in line
    assert daemon.log().count("another program") == 1
    status = daemon.wait_status(lambda status: status["strangers"] >= 70)
    assert status["strangers"] == 70
    assert status["sessions"][0]["connects"] == connects + 1
    daemon.stop()


@pytest.mark.long
def test_strangers_without_end(broker, daemon, knock):
    """
    Goal: programs that open and close connections as fast as they can do not keep the daemon from
    its broker, and messages arrive meanwhile.
    """
    daemon.start()
    knock(gate_port(daemon))
    for number in range(3):
        reconnect(daemon, broker)
        broker.publish(f"foxtrackr/s{number}/V3.0/bat",
                       fleet.battery(f"s{number}", fleet.now_ms(), 3.5))
        daemon.wait_rows(number + 1)
    assert daemon.log().count("another program") == 1
    check_no_attempt_failed(daemon)
    wait_until(lambda: daemon.status()["strangers"] > 1000, what="many strangers in the status")
    daemon.stop()


class DeafBroker(Listener):
    """
    A broker of MQTT 3.1.1 for two sessions. To the client id that ends in -01 it sends messages as
    fast as they are taken, and reads nothing of what comes back. The other one gets a message at a
    time; latencies are the seconds until its PUBACK.
    """

    def __init__(self, pki, *, tls, deaf):
        self.pki = pki
        self.latencies = []
        self.answered = []  # when each of these PUBACKs came
        self.cuts = []      # when a connection of the client that ends in -01 was over
        self.sent = 0
        self.connects = 0
        self._deaf = deaf
        self._over = threading.Event()
        self._context = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(pki.certificate("server"), pki.key("server"))
        super().__init__()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def close(self):
        self._over.set()
        super().close()

    def accepted(self, connection):
        threading.Thread(target=self._run, args=[connection], daemon=True).start()

    def _run(self, connection):
        with contextlib.suppress(OSError, ConnectionError), connection:
            connection.settimeout(60)
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            self._speak(connection)

    def _speak(self, connection):
        connect = self._packet(connection)
        connection.sendall(b"\x20\x02\x00\x00")
        while (packet := self._packet(connection))[0] & 0xf0 != 0x80:
            pass
        connection.sendall(b"\x90\x03" + packet[2:4] + packet[-1:])
        if b"-01" in connect and self._deaf:
            self.connects += 1
            try:
                self._flood(connection)
            finally:
                self.cuts.append(time.monotonic())
        elif b"-02" in connect:
            self._ask(connection)
        else:
            self._over.wait()

    @staticmethod
    def _packet(connection):
        """A packet of less than 128 bytes."""
        def read(count):
            data = b""
            while len(data) < count:
                more = connection.recv(count - len(data))
                if not more:
                    raise ConnectionError
                data += more
            return data

        header = read(2)
        return header + read(header[1])

    @staticmethod
    def _publish(identifier):
        topic = b"foxtrackr/d/V3.0/bat"
        payload = fleet.battery("d", 1_700_000_000_000 + identifier, 3.5).encode()
        body = len(topic).to_bytes(2, "big") + topic + identifier.to_bytes(2, "big") + payload
        length = bytes([len(body) % 128 + 128, len(body) // 128]) if len(body) > 127 \
            else bytes([len(body)])
        return b"\x32" + length + body

    def _flood(self, connection):
        connection.settimeout(None)
        lot = [b"".join(self._publish(n) for n in range(begin, begin + 100))
               for begin in range(1, 60001, 100)]
        while not self._over.is_set():
            for packets in lot:
                connection.sendall(packets)
                self.sent += 100

    def _ask(self, connection):
        identifier = 0
        while not self._over.is_set():
            identifier = identifier % 60000 + 1
            begun = time.monotonic()
            connection.settimeout(60)
            connection.sendall(self._publish(identifier))
            while self._packet(connection)[0] != 0x40:
                pass
            self.answered.append(time.monotonic())
            self.latencies.append(self.answered[-1] - begun)
            time.sleep(0.01)


class FloodingBroker(DeafBroker):
    """
    Sends messages with QoS 0, no two alike, to the client id that ends in -01 as fast as they are
    taken. The other one gets a message with QoS 2 at a time; latencies are the seconds until its
    PUBREC.
    """

    def _flood(self, connection):
        connection.settimeout(None)
        while not self._over.is_set():
            connection.sendall(b"".join(
                b"\x30" + packet([b"foxtrackr/f/V3.0/bat"], b"{broken %d" % (self.sent + n))
                for n in range(200)))
            self.sent += 200

    def _ask(self, connection):
        connection.settimeout(60)
        identifier = 0
        while not self._over.is_set():
            identifier = identifier % 60000 + 1
            begun = time.monotonic()
            connection.sendall(b"\x34" + self._publish(identifier)[1:])
            answer = self._packet(connection)
            if answer[0] != 0x50:   # DISCONNECT
                return
            self.latencies.append(time.monotonic() - begun)
            connection.sendall(b"\x62" + answer[1:])
            self._packet(connection)


def packet(strings, rest):
    """A packet of less than 128 bytes, without its first byte."""
    body = b"".join(len(one).to_bytes(2, "big") + one for one in strings) + rest
    return bytes([len(body)]) + body


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "clear"])
@pytest.mark.long
def test_a_flood_beside_another_session(pki, make_daemon, tls):
    """
    Goal: messages without an acknowledgement, as many as a broker can send to one session, hold up
    those of another session for a moment only: they come in front of it as far as the ring goes.
    """
    flooding = FloodingBroker(pki, tls=tls, deaf=True)
    try:
        daemon = make_daemon(flooding, session=None, **{
            "broker": {} if tls else {"tls": "no", "ca_file": None},
            "session one": {"given": "test", "number": "01", "filters": "foxtrackr/#", "qos": 0},
            "session two": {"given": "test", "number": "02", "filters": "foxtrackr/#"}})
        daemon.start()
        seen = len(flooding.latencies)
        sent = flooding.sent
        wait_until(lambda: flooding.sent > sent + 50_000 and len(flooding.latencies) > seen + 10, 40,
                   lambda: (flooding.sent, flooding.latencies[-5:]))
        waited = flooding.latencies[seen:]
        daemon.stop(20)
    finally:
        flooding.close()
    assert max(waited) < 3 * PATIENCE, sorted(waited)[-10:]


HELD_UP_S = 3
"""A session that must wait for the deaf broker's is held up until that one is cut: for so long at
least, and 10 s at most. One that need not wait gets an answer meanwhile, on the busiest machine."""


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "clear"])
@pytest.mark.long
def test_a_broker_that_reads_no_acknowledgements(pki, make_daemon, tls):
    """
    Goal: a broker that sends and never reads has its own session cut, with a sentence that names the
    broker; the other sessions go on as if nothing were, and a stop takes no longer than ever.
    """
    deaf = DeafBroker(pki, tls=tls, deaf=True)
    try:
        daemon = make_daemon(deaf, session=None, **{
            "broker": {} if tls else {"tls": "no", "ca_file": None},
            "session one": {"given": "test", "number": "01", "filters": "foxtrackr/#", "qos": 1},
            "session two": {"given": "test", "number": "02", "filters": "foxtrackr/#", "qos": 1}})
        daemon.start()
        # How soon there is so much to read that it is cut depends on the machine.
        daemon.wait_log("id-test-01: .*the broker does not read", 60)
        seen = len(deaf.latencies)
        wait_until(lambda: deaf.connects > 1 and len(deaf.latencies) > seen + 100, 40,
                   lambda: (deaf.connects, deaf.sent, deaf.latencies[-5:]))
        cuts = list(deaf.cuts)
        took = daemon.stop(20)
    finally:
        deaf.close()
    log = daemon.log()
    for cut in cuts:
        assert any(cut - HELD_UP_S < when < cut for when in deaf.answered), sorted(deaf.latencies)[-10:]
    assert took < 3 * PATIENCE
    assert "id-test-02" not in "".join(
        line for line in log.splitlines() if line.startswith(("warning", "err")))
    assert "database" not in log, log
