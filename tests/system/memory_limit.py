"""A control group of its own with a limit of memory, as a service has with MemoryMax=."""

import contextlib
import os
import pathlib
import subprocess
import sys

import pytest

# Of cgroup version 2 and 1: where a group is made, the file of its limit, and the one of its limit with
# swap, which not every kernel has.
PLACES = (
    (pathlib.Path("/sys/fs/cgroup"), "memory.max", ("memory.swap.max", "0")),
    (pathlib.Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", ("memory.memsw.limit_in_bytes", None)),
)


class MemoryLimit:
    """wrapper: the words that start a command in the group."""

    def __init__(self, path):
        self.path = path
        self.wrapper = ["/bin/sh", "-c", f'echo $$ > {path}/cgroup.procs && exec "$@"', "sh"]

    def has(self, pid):
        """Is the process in the group?"""
        return str(pid) in (self.path / "cgroup.procs").read_text().split()

    def check(self, limit):
        """The kernel ends a process in the group that takes more than the limit."""
        program = f"len(bytearray({limit}).replace(b'\\0', b'x'))"
        done = subprocess.run([*self.wrapper, sys.executable, "-c", program], check=False)
        assert done.returncode == -9, f"a process took {limit} bytes: exit status {done.returncode}"


def _write(path, text):
    """Write to a file that is there."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _make(limit):
    """A group with the limit; OSError: why there is none."""
    problem = None
    for root, limit_file, (swap_file, swap) in PLACES:
        path = root / f"foxtrackr-test-{os.getpid()}"
        try:
            path.mkdir()
        except OSError as error:
            problem = problem or error
            continue
        try:
            _write(path / limit_file, str(limit))
        except OSError as error:
            problem = problem or error
            path.rmdir()
            continue
        with contextlib.suppress(OSError):
            _write(path / swap_file, swap or str(limit))
        return path
    raise problem


@contextlib.contextmanager
def memory_limit(limit):
    """A MemoryLimit of `limit` bytes, for processes that end before it does. Without root the test is left out."""
    try:
        path = _make(limit)
    except OSError as problem:
        if os.geteuid() != 0:
            pytest.skip(f"a limit of memory needs root: {problem}")
        raise
    try:
        yield MemoryLimit(path)
    finally:
        path.rmdir()
