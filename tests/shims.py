"""
Files by which a test talks to a shim that is preloaded into the daemon. The process has them mapped,
so they are written in place: a file that is shorter for a moment is a SIGBUS in whoever reads it then.

Used by tests/system and by the campaigns of tests/faults.
"""

import os
import pathlib
import struct


def write_in_place(path, data):
    """Writes data at the beginning of a file, which is made if need be; it never gets shorter."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(fd, data, 0)
    finally:
        os.close(fd)


class Clock:
    """The wall clock of a daemon, moved at once by whoever sets it (tests/faults/clock_shim.c)."""

    def __init__(self, path, shim, synced=False):
        self.path = pathlib.Path(path)
        write_in_place(self.path, struct.pack("qq", 0, synced))
        self.environment = {"LD_PRELOAD": str(shim), "FAULT_CLOCK": str(self.path)}

    def set_ahead(self, seconds):
        write_in_place(self.path, struct.pack("q", int(seconds)))

    def synchronise(self):
        """A time server was reached: the clock is right, and the kernel says so."""
        write_in_place(self.path, struct.pack("qq", 0, 1))


class Report:
    """The two counters of a shim."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.reset()

    def reset(self):
        write_in_place(self.path, bytes(16))

    def read(self):
        """(calls that matched, calls that failed)"""
        return struct.unpack("QQ", self.path.read_bytes())
