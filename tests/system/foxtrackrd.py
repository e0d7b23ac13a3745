"""The daemon under test, with the test in the place of systemd."""

import itertools
import os
import pathlib
import re
import signal
import socket
import sys
import threading
import time

import broker as brokers
import engines
from harness import FOXTRACKRCTL, FOXTRACKRD, PATIENCE, count_received, count_rows, run, wait_until

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

from daemon_process import DaemonProcess, render  # noqa: E402, F401

CLIENT_ID = "id-test-01"


class Notifications:
    """The other end of NOTIFY_SOCKET: a thread keeps every message and when it came."""

    _numbers = itertools.count()

    def __init__(self):
        name = f"foxtrackrd-test-{os.getpid()}-{next(self._numbers)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + name)
        self.address = "@" + name
        self._lines = []
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def _receive(self):
        while True:
            message = self._socket.recv(65536)
            if message == b"end of the test":
                return
            now = time.monotonic()
            for line in message.decode("utf-8", "replace").splitlines():
                self._lines.append((now, line))

    def lines(self):
        return [line for _, line in list(self._lines)]

    def time_of(self, line):
        """When this line came first; None if it has not."""
        return next((when for when, text in list(self._lines) if text == line), None)

    def statuses(self):
        return [line[len("STATUS="):] for line in self.lines() if line.startswith("STATUS=")]

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"end of the test", "\0" + self.address[1:])
        self._thread.join(10)
        self._socket.close()


def default_sections(directory, server):
    """The configuration that a test changes: everything in its own directory."""
    return {
        "broker": {
            "host": "localhost",
            "port": server.tls_port if server else 1,
            "ca_file": server.pki.certificate("ca") if server else None,
            "username": brokers.USER,
            "password_file": directory / "password",
        },
        "session": {"given": "test", "filters": "foxtrackr/#"},
        "database": {"path": directory / "foxtrackr.db"},
        "parser": {},
        "fields": {},
        "log": {"target": "stderr"},
        "status": {"file": directory / "status.json", "interval": "1s"},
    }


class Daemon(DaemonProcess):
    """
    One configuration, and at most one running process. Keyword arguments are sections whose keys
    are merged into the defaults; a section given as None is left out. `server` is a Broker, or
    anything with its tls_port and pki; None: there is none. `wrapper` is a command to run it with.
    """

    def __init__(self, directory, server, *, environment=None, wrapper=(), **sections):
        super().__init__(directory, FOXTRACKRD, brokers.PASSWORD,
                         lambda where: default_sections(where, server), wrapper=wrapper,
                         environment=environment)
        self.server = server
        self.notifications = None
        self._all_notifications = []
        self.configure(**sections)

    def written(self):
        return engines.sections(self.sections)

    # The process

    def start(self, *, wait="subscribed"):
        """Start. wait: "subscribed", "ready" (READY=1 was sent) or None."""
        assert self.process is None
        if self.notifications:
            self._all_notifications.append(self.notifications)
        self.notifications = Notifications()
        self.started = time.monotonic()
        self.launch(NOTIFY_SOCKET=self.notifications.address)
        if wait == "subscribed":
            self.wait_subscribed()
        elif wait == "ready":
            self.wait_ready()
        return self

    def stop(self, timeout=20):
        """Stop the daemon as systemd does: SIGTERM, after which it ends by itself with status 0."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.wait_exit(timeout)
        assert code == 0, f"exit {code} after SIGTERM:\n{self.log_tail()}"
        return time.monotonic() - begun

    def kill(self):
        """Kill the daemon with SIGKILL."""
        self.process.kill()
        self.process.wait(30)
        self.process = None

    def wait_exit(self, timeout=20):
        return super().wait_exit(timeout * PATIENCE)

    def reload(self):
        """SIGHUP, and wait until the daemon says that it is done, whatever came of it."""
        lines = self.notifications.lines()
        reloads, readies = lines.count("RELOADING=1"), lines.count("READY=1")
        self.process.send_signal(signal.SIGHUP)

        def done():
            now = self.notifications.lines()
            return now.count("RELOADING=1") > reloads and now.count("READY=1") > readies

        wait_until(done, 20, "RELOADING=1 and then READY=1")

    def close(self):
        if self.process is not None:
            self.kill()
        config = self.config.read_text() if self.config.exists() else "(not there)\n"
        print(f"--- {self.config}\n{config}--- the daemon's last lines")
        print(self.log_tail())
        for notifications in [*self._all_notifications, self.notifications]:
            if notifications:
                print("--- its last notifications", *notifications.lines()[-5:], sep="\n")
                notifications.close()

    # The daemon's output

    def wait_log(self, pattern, timeout=20):
        """
        Wait for a line that matches, without case, and return it. The directory of the test, which
        has the test's name in it, is left out.
        """
        expression = re.compile(f"^.*(?:{pattern}).*$", re.IGNORECASE | re.MULTILINE)

        def found():
            return expression.search(self.log().replace(str(self.directory), "DIRECTORY"))

        return self._wait_running(
            found, timeout, lambda: f"/{pattern}/ in the log:\n{self.log_tail()}")[0]

    def wait_status(self, predicate, timeout=20):
        """Wait until the status file of this process satisfies a predicate, and return it."""
        def holds():
            status = self.status()
            return status if status and predicate(status) else None

        return self._wait_running(holds, timeout, lambda: f"the status file; it is {self.status()}")

    def wait_notified(self, pattern, timeout=20):
        """Wait for a STATUS= text that matches, without case, and return it."""
        expression = re.compile(pattern, re.IGNORECASE)

        def found():
            matches = [text for text in self.notifications.statuses() if expression.search(text)]
            return matches[-1] if matches else None

        return self._wait_running(found, timeout, lambda: (
            f"/{pattern}/ in a STATUS; they are {self.notifications.statuses()}\n"
            f"{self.log_tail()}"))

    def wait_ready(self, timeout=25):
        self._wait_running(lambda: self.notifications.time_of("READY=1"), timeout,
                           lambda: f"READY=1:\n{self.log_tail()}")

    def wait_subscribed(self, timeout=25):
        """Every session is subscribed. The status file is rewritten by each process at its start."""
        self.wait_ready(timeout)
        pid = self.process.pid
        self.wait_status(
            lambda s: s.get("pid", pid) == pid and s["sessions"]
            and all(one["state"] == "subscribed" for one in s["sessions"]), timeout)

    def wait_rows(self, count, timeout=60):
        """Wait until messages have made that many rows."""
        self._wait_count(count_rows, count, "rows", timeout)

    def wait_received(self, count, timeout=60):
        """Wait until all runs together have received that many messages, durably."""
        self._wait_count(count_received, count, "messages", timeout)

    def _wait_count(self, counter, count, unit, timeout):
        self._wait_running(lambda: counter(self.database) >= count, timeout, lambda: (
            f"{count} {unit}; there are {counter(self.database)}\n{self.log_tail()}"))

    def _wait_running(self, condition, timeout, what):
        """
        wait_until(), which fails at once and not after the timeout when the daemon has ended. Whether
        it has is asked before the look: what a daemon does last, such as a line of its log, is seen.
        """
        def holds():
            ended = self.process is not None and self.process.poll() is not None
            value = condition()
            if ended and not value:
                raise AssertionError(f"exit {self.process.returncode}:\n{self.log_tail()}")
            return value

        return wait_until(holds, timeout, what)


def foxtrackrctl(daemon, *arguments, **options):
    """Run foxtrackrctl on the daemon's configuration."""
    return run(FOXTRACKRCTL, "-c", daemon.config, *arguments, **options)
