"""
How Paho is linked: without its debug heap, see daemon/paho_lean.c, with its acknowledgements written
together, see daemon/paho_cork.c, and without two walks, see daemon/paho_shortcuts.c.
"""

import pathlib
import subprocess

import pytest

import fleet
from foxtrackrd import CLIENT_ID
from harness import BUILD, FOXTRACKRD

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
    for present in ("mymalloc", "MQTTAsync_create", "__wrap_SSL_write", "__wrap_ListFindItem"):
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
    [session] = daemon.wait_status(lambda s: s["sessions"][0]["in_flight"] == 0)["sessions"]
    daemon.stop()

    manifest.check(daemon.database)
    assert session["received"] == manifest.messages
    assert session["to_broker_bytes"] < manifest.messages * ACKNOWLEDGEMENT
