"""The relay between Paho and the broker, and those who should not be able to disturb it."""

import errno
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import pytest

import fleet
from harness import wait_until

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
    """How long it takes until the daemon is subscribed again when the broker is back."""
    connects = daemon.status()["sessions"][0]["connects"]
    broker.restart()
    begun = time.monotonic()
    daemon.wait_status(lambda status: status["sessions"][0]["connects"] > connects
                       and status["sessions"][0]["state"] == "subscribed", 30)
    return time.monotonic() - begun


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
    begun = time.monotonic()
    daemon.wait_subscribed(30)
    assert time.monotonic() - begun < 8
    for one in strangers + held:
        one.close()
    line = daemon.wait_log("another program")
    assert f"of user number {os.getuid()} " in line and f"127.0.0.1:{port}" in line
    assert daemon.log().count("another program") == 1
    status = daemon.wait_status(lambda status: status["strangers"] >= 70)
    assert status["strangers"] == 70
    assert status["sessions"][0]["connects"] == connects + 1
    daemon.stop()


def test_strangers_without_end(broker, daemon, knock):
    """
    Goal: programs that open and close connections as fast as they can do not keep the daemon from
    its broker, and messages arrive meanwhile.
    """
    daemon.start()
    knock(gate_port(daemon))
    for number in range(3):
        assert reconnect(daemon, broker) < 8
        broker.publish(f"foxtrackr/s{number}/V3.0/bat",
                       fleet.battery(f"s{number}", fleet.now_ms(), 3.5))
        daemon.wait_rows(number + 1)
    log = daemon.log()
    assert log.count("another program") == 1
    assert "no answer to CONNECT" not in log
    wait_until(lambda: daemon.status()["strangers"] > 1000, what="many strangers in the status")
    daemon.stop()
