"""The kernel's numbers about a process: CPU by thread, wake-ups, memory."""

import contextlib
import pathlib
import re

PAHO, GATE, WRITER, OTHER = "Paho", "gate", "writer", "other"


def role(comm):
    """Whose thread it is, by its name."""
    if comm.startswith("MQTTAsync"):
        return PAHO
    return comm if comm in (GATE, WRITER) else OTHER


def threads(pid):
    """{tid: (comm, CPU seconds, voluntary context switches)}"""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            status = (task / "status").read_text()
            switches = int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.M)[1])
            found[task.name] = ((task / "comm").read_text().strip(), _cpu_seconds(task), switches)
    return found


def _cpu_seconds(task):
    """schedstat counts nanoseconds; stat only the ticks at which the thread was caught."""
    try:
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    except OSError:
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


def cpu_seconds(pid):
    """Of all its threads that still live."""
    return sum(seconds for _, seconds, _ in threads(pid).values())


def difference(before, after):
    """[(comm, CPU seconds, wake-ups)] of each thread between two calls of threads()."""
    return [(comm, seconds - before.get(tid, (comm, 0, 0))[1],
             switches - before.get(tid, (comm, 0, 0))[2])
            for tid, (comm, seconds, switches) in after.items()]


def memory_kib(pid):
    """{"VmRSS": ..., "VmHWM": ..., "RssAnon": ...}"""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {name: int(value) for name, value in re.findall(
        r"^(VmRSS|VmHWM|RssAnon):\s*(\d+) kB", status, re.M)}


def file_bytes(path):
    try:
        return pathlib.Path(path).stat().st_size
    except OSError:
        return 0
