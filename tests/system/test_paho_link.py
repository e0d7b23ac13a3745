"""Paho is linked without its debug heap; see daemon/paho_lean.c."""

import pathlib
import subprocess

import pytest

from harness import BUILD, FOXTRACKRD

ARCHIVE = "libpaho-mqtt3as.a"


def symbols(program):
    return subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout


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
    for present in ("mymalloc", "MQTTAsync_create"):
        assert f" {present}\n" in names
    assert "paho" not in subprocess.run(["ldd", FOXTRACKRD], capture_output=True, text=True,
                                        check=True).stdout


def test_version_tells_how_paho_is_linked():
    """Goal: an operator can see which Paho a program has."""
    said = subprocess.run([FOXTRACKRD, "--version"], capture_output=True, text=True,
                          check=True).stdout
    lean = "mymalloc" in symbols(FOXTRACKRD)
    assert "Eclipse Paho MQTT C 1." in said
    assert ("without its debug heap" in said) == lean
    assert ("shared library" in said) != lean
