"""
Memory that runs out in Paho: Paho goes on and acknowledges what it could not hand over, so the daemon
ends first. For both ways to link Paho, see daemon/mqtt/paho/library.c. (tests/faults/memory fails
every allocation, one after the other.)
"""

import re
import subprocess

import pytest

import fleet
from foxtrackrd import CLIENT_ID
from harness import BUILD, FOXTRACKRD, sanitizer
from left_out import NO_MATTER
from shims import Report

MESSAGES = 100


def paho_functions():
    """FROM-TO of the functions by which a statically linked Paho allocates, in hexadecimal; ""."""
    listed = subprocess.run(["nm", "-S", FOXTRACKRD], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^(\w+) (\w+) T my(?:malloc|realloc)$", listed, re.M)
    return ",".join(f"{int(at, 16):x}-{int(at, 16) + int(size, 16):x}" for at, size in found)


class Failures:
    """Counts the allocations of Paho, and makes some fail: tests/faults/alloc_shim.c."""

    def __init__(self, directory):
        self.report = Report(directory / "allocations")
        self.functions = paho_functions()

    def environment(self, nth, length):
        self.report.reset()
        return {"LD_PRELOAD": str(BUILD / "tests/alloc_shim.so"),
                "FAULT_OWNER": "functions" if self.functions else "libpaho",
                "FAULT_FUNCTIONS": self.functions, "FAULT_NTH": str(nth), "FAULT_LENGTH": str(length),
                "FAULT_REPORT": str(self.report.path), **sanitizer("verify_asan_link_order=0")}

    def counts(self):
        """(allocations so far, failed ones)"""
        return self.report.read()


@pytest.mark.parametrize("length", [1, 0], ids=["one", "all"])
def test_paho_without_memory_ends_the_daemon_before_it_acknowledges(broker, daemon, length):
    """
    Goal: an allocation of Paho's fails in the middle of the messages, or all do from then on: the
    daemon says so and ends with EX_OSERR, and no message is missing after the next start.
    """
    if "libasan" in subprocess.run(["ldd", FOXTRACKRD], capture_output=True, text=True, check=True).stdout:
        pytest.skip(NO_MATTER + "AddressSanitizer has an allocator of its own")
    failures = Failures(daemon.directory)
    daemon.environment = failures.environment(0, 0)
    daemon.start()
    before, _ = failures.counts()
    first = fleet.play(broker, daemon.directory / "first.jsonl", messages=MESSAGES)
    daemon.wait_received(MESSAGES)
    after, _ = failures.counts()
    daemon.stop()
    assert after > before + MESSAGES

    second = fleet.play(broker, daemon.directory / "second.jsonl", messages=MESSAGES)
    daemon.environment = failures.environment((before + after) // 2, length)
    daemon.start(wait=None)
    assert daemon.wait_exit() == 71
    assert "out of memory in Paho" in daemon.log()
    assert failures.counts()[1] > 0

    daemon.environment = {}
    daemon.start()
    daemon.wait_received(2 * MESSAGES)
    daemon.wait_status(lambda s: s["sessions"][0]["in_flight"] == 0)
    daemon.stop()
    fleet.Manifest(first.path, second.path).check(daemon.database)


def test_a_paho_that_hides_failures_is_not_used(broker, daemon):
    """
    Goal: with a shared Paho that does not tell of a failed allocation, messages could be lost in
    silence: the daemon ends before it connects, and says what is wrong.
    """
    if paho_functions():
        pytest.skip(NO_MATTER + "Paho is linked statically, with its failures in our hands")
    fleet.register(broker, CLIENT_ID, daemon.password_path)
    manifest = fleet.play(broker, messages=MESSAGES)
    daemon.environment = {"LD_PRELOAD": str(BUILD / "tests/quiet_paho_shim.so"),
                          **sanitizer("verify_asan_link_order=0")}
    daemon.start(wait=None)
    assert daemon.wait_exit() == 70
    assert "does not tell of an allocation that fails" in daemon.log()

    daemon.environment = {}
    daemon.start()
    daemon.wait_received(MESSAGES)
    daemon.stop()
    manifest.check(daemon.database)
