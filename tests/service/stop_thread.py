"""
Stop one thread of a process for good, as no signal can: the kernel's tracing interface.

usage: stop_thread.py PID NAME      (the thread's name; "main" is the first)

Prints "stopped" when the thread stands still, and holds it until the process is gone.
"""

import ctypes
import os
import pathlib
import sys

PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
WALL = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def thread_of(pid, name):
    if name == "main":
        return pid
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int(task.name)
    raise SystemExit(f"process {pid} has no thread {name}")


def main():
    pid, name = int(sys.argv[1]), sys.argv[2]
    thread = thread_of(pid, name)
    ptrace(PTRACE_SEIZE, thread)
    ptrace(PTRACE_INTERRUPT, thread)
    os.waitpid(thread, WALL)
    print("stopped", flush=True)
    while True:
        try:
            _, status = os.waitpid(thread, WALL)
        except ChildProcessError:
            return
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            return


main()
