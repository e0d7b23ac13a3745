"""
How Paho is linked: without its debug heap, see daemon/mqtt/paho/lean.c, with its acknowledgements written
together, see daemon/mqtt/paho/cork.c, reading ahead, see daemon/mqtt/paho/ahead.c, without two walks, see daemon/mqtt/paho/shortcuts.c,
and with every packet checked first, see daemon/mqtt/paho/check.c. And what it makes of a small window, see daemon/gate/lockstep.c.
"""

import collections
import contextlib
import os
import pathlib
import re
import subprocess

import pytest

import fleet
from foxtrackrd import CLIENT_ID
from harness import BUILD, FOXTRACKRD, wait_until

ARCHIVE = "libpaho-mqtt3as.a"
ACKNOWLEDGEMENT = 4 + 22  # bytes, as a TLS 1.3 record of its own (RFC 8446 §5.2, AES-GCM)


def symbols(program):
    return subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout


def is_lean():
    return "mymalloc" in symbols(FOXTRACKRD)


def test_the_debug_heap_is_gone():
    """
    Goal: where Debian's archive is there, nothing of Paho's debug heap or stack tracer is in the
    program, what stands in for it is, and no shared Paho is loaded beside it.
    """
    found = subprocess.run(["cc", f"-print-file-name={ARCHIVE}"], capture_output=True, text=True,
                           check=True).stdout.strip()
    if not pathlib.Path(found).is_absolute():
        pytest.skip(f"{ARCHIVE} is not installed: the shared library is used")
    names = symbols(FOXTRACKRD)
    for gone in ("HeapDump", "Heap_findItem", "StackTrace_printStack"):
        assert gone not in names, f"{gone}: see {BUILD}/paho.flags.log"
    for present in ("mymalloc", "MQTTAsync_create", "__wrap_SSL_write", "__wrap_SSL_read",
                    "__wrap_ListFindItem", "__wrap_WebSocket_getch", "__wrap_WebSocket_getdata",
                    "__wrap_WebSocket_putdatas"):
        assert f" {present}\n" in names
    assert "paho" not in subprocess.run(["ldd", FOXTRACKRD], capture_output=True, text=True,
                                        check=True).stdout


def test_version_tells_how_paho_is_linked():
    """Goal: an operator can see which Paho a program has."""
    said = subprocess.run([FOXTRACKRD, "--version"], capture_output=True, text=True,
                          check=True).stdout
    assert "Eclipse Paho MQTT C 1." in said
    assert ("without its debug heap" in said) == is_lean()
    assert ("shared library" in said) != is_lean()


def test_acknowledgements_leave_together(broker, daemon):
    """
    Goal: during a catch-up the two acknowledgements of a message cost far less than a TLS record
    each, on the way to a real broker.
    """
    if not is_lean():
        pytest.skip("the shared library writes each by itself")
    fleet.register(broker, CLIENT_ID, daemon.password_path)
    manifest = fleet.play(broker, messages=3000)
    daemon.start()
    daemon.wait_received(manifest.messages)
    # In the middle of the catch-up there are moments with nothing in flight, too.
    [session] = daemon.wait_status(lambda s: s["sessions"][0]["received"] == manifest.messages
                                   and s["sessions"][0]["in_flight"] == 0)["sessions"]
    daemon.stop()

    manifest.check(daemon.database)
    assert session["to_broker_bytes"] < manifest.messages * ACKNOWLEDGEMENT


@contextlib.contextmanager
def reads_by_thread(pid, directory, call):
    """{name: how often the thread has read something with this call}, filled in at the end."""
    report = directory / "strace.txt"
    reads = collections.Counter()
    tracer = subprocess.Popen(["strace", "-f", "-q", "-Y", "-e", f"trace={call}", "-o", report, "-p",
                               str(pid)], stderr=subprocess.PIPE, text=True)

    def is_traced():
        if tracer.poll() is not None:
            pytest.skip(f"may not look at a process: {tracer.stderr.read()}")
        return all(re.search(r"^TracerPid:\s*[1-9]", (task / "status").read_text(), re.M)
                   for task in pathlib.Path(f"/proc/{pid}/task").iterdir())

    try:
        wait_until(is_traced, 20, lambda: "strace has not attached")
        yield reads
    finally:
        tracer.terminate()
        tracer.wait(20)
    for name in re.findall(r"^\d+<([^>]+)> .*= [1-9]\d*$", report.read_text(), re.M):
        reads[name] += 1


def test_an_acknowledgement_that_cannot_be_written_cuts_the_link(broker, daemon):
    """
    Goal: where TLS cannot write acknowledgements the broker would wait for them for ever, on a
    connection that looks well. The link is cut, and the broker sends the messages again.
    """
    if not is_lean():
        pytest.skip("the shared library writes each by itself, and sees the failure")
    fleet.register(broker, CLIENT_ID, daemon.password_path)
    manifest = fleet.play(broker, messages=200)
    daemon.environment = {"LD_PRELOAD": str(BUILD / "tests" / "tls_write_shim.so"),
                          "TLS_WRITE_FAILS": "2",
                          "ASAN_OPTIONS": ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"),
                                                                 "verify_asan_link_order=0"]))}
    daemon.start(wait=None)
    daemon.wait_status(lambda s: s["sessions"][0]["connects"] == 3)
    daemon.wait_received(manifest.messages)
    daemon.wait_status(lambda s: s["sessions"][0]["received"] >= manifest.messages
                       and s["sessions"][0]["in_flight"] == 0)
    daemon.stop()

    manifest.check(daemon.database)


def test_with_a_small_window_paho_relays_itself(broker, daemon):
    """
    Goal: where few messages at a time go round, Paho's thread reads from the broker and not the
    gate's, for which it would have to wait several times a round.
    """
    if not is_lean():
        pytest.skip("the shared library does not tell when it writes")
    daemon.start()
    fleet.play(broker, daemon.directory / "first.jsonl", messages=1)
    daemon.wait_received(1)
    with reads_by_thread(daemon.process.pid, daemon.directory, "recvfrom") as reads:
        manifest = fleet.play(broker, messages=150, rate=150)
        daemon.wait_received(1 + manifest.messages)
    daemon.stop()

    fleet.Manifest(daemon.directory / "first.jsonl", manifest.path).check(daemon.database)
    assert reads["MQTTAsync_rcv"] > 2 * reads["gate"]


def test_a_read_brings_more_than_a_packet(broker, daemon):
    """
    Goal: in a catch-up from a real broker, which makes a TLS record of every packet, Paho's thread
    reads fewer times than there are packets: there are two for a message, and each took two reads.
    """
    if not is_lean():
        pytest.skip("the shared library reads each by itself")
    fleet.register(broker, CLIENT_ID, daemon.password_path)
    manifest = fleet.play(broker, messages=3000)
    broker.stop()
    daemon.start(wait=None)
    with reads_by_thread(daemon.process.pid, daemon.directory, "read") as reads:
        broker.start()
        daemon.wait_received(manifest.messages)
    daemon.stop()

    manifest.check(daemon.database)
    assert 0 < reads["MQTTAsync_rcv"] < 2 * manifest.messages
