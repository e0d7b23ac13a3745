"""The daemon under test, with the test in the place of systemd."""

import copy
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import broker as brokers
from harness import FOXTRACKRCTL, FOXTRACKRD, PATIENCE, count_received, count_rows, run, wait_until

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


def render(sections):
    """INI text. A section that is None is left out, and so is a key."""
    lines = []
    for name, keys in sections.items():
        if keys is None:
            continue
        lines.append(f"[{name}]")
        lines += [f"{key} = {value}" for key, value in keys.items() if value is not None]
        lines.append("")
    return "\n".join(lines)


class Daemon:
    """
    One configuration, and at most one running process. Keyword arguments are sections whose keys
    are merged into the defaults; a section given as None is left out. `server` is a Broker, or
    anything with its tls_port and pki; None: there is none. `prefix` is a command to run it with.
    """

    def __init__(self, directory, server, *, environment=None, prefix=(), **sections):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.server = server
        self.sections = default_sections(self.directory, server)
        self.environment = environment or {}
        self.prefix = prefix
        self.config = self.directory / "foxtrackrd.conf"
        self.stderr_path = self.directory / "stderr.log"
        self.stderr_path.touch()
        self.password_path = self.directory / "password"
        self.password_path.touch(mode=0o600)
        self.password_path.write_text(brokers.PASSWORD + "\n")
        self.notifications = None
        self._all_notifications = []
        self.process = None
        self.configure(**sections)

    # Configuration

    def configure(self, **sections):
        """Change sections and write the file; the process is not told."""
        for name, keys in sections.items():
            if keys is None:
                self.sections[name] = None
            else:
                self.sections[name] = {**(self.sections.get(name) or {}), **keys}
        self.config.write_text(render(copy.copy(self.sections)))

    @property
    def database(self):
        return pathlib.Path(self.sections["database"]["path"])

    @property
    def status_path(self):
        return pathlib.Path(self.sections["status"]["file"])

    # The process

    def start(self, *, wait="subscribed"):
        """Start. wait: "subscribed", "ready" (READY=1 was sent) or None."""
        assert self.process is None
        if self.notifications:
            self._all_notifications.append(self.notifications)
        self.notifications = Notifications()
        environment = {
            name: text for name, text in os.environ.items()
            if not name.lower().endswith("_proxy") and name != "CREDENTIALS_DIRECTORY"}
        environment["NOTIFY_SOCKET"] = self.notifications.address
        environment.update(self.environment)
        self.started = time.monotonic()
        with open(self.stderr_path, "ab") as stderr:
            self._log_start = stderr.tell()
            self.process = subprocess.Popen(
                [*self.prefix, FOXTRACKRD, "-c", self.config], stdin=subprocess.DEVNULL, stdout=stderr,
                stderr=stderr, env=environment, cwd="/")
        if wait == "subscribed":
            self.wait_subscribed()
        elif wait == "ready":
            self.wait_ready()
        return self

    def stop(self, timeout=5):
        """What systemd does: SIGTERM, and the process ends by itself, content."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.wait_exit(timeout)
        assert code == 0, f"exit {code} after SIGTERM:\n{self.log_tail()}"
        return time.monotonic() - begun

    def kill(self):
        """What the kernel does to a process in its way."""
        self.process.kill()
        self.process.wait(30)
        self.process = None

    def wait_exit(self, timeout=20):
        """The exit status, once the process has ended by itself."""
        try:
            code = self.process.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"still running after {timeout * PATIENCE} s:\n{self.log_tail()}") from None
        self.process = None
        return code

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

    # What it says

    def log(self):
        """Everything it has written to standard error since the last start."""
        with open(self.stderr_path, encoding="utf-8", errors="replace") as log:
            log.seek(self._log_start)
            return log.read()

    def log_tail(self, lines=80):
        return "\n".join(self.stderr_path.read_text(errors="replace").splitlines()[-lines:])

    def wait_log(self, pattern, timeout=20):
        """
        Wait for a line that matches, without case, and return it. The directory of the test, which
        has the test's name in it, is left out.
        """
        expression = re.compile(f"^.*(?:{pattern}).*$", re.IGNORECASE | re.MULTILINE)

        def found():
            match = expression.search(self.log().replace(str(self.directory), "DIRECTORY"))
            self._must_run(match)
            return match

        return wait_until(found, timeout, lambda: f"/{pattern}/ in the log:\n{self.log_tail()}")[0]

    def status(self):
        """The status file; {} while there is none."""
        try:
            return json.loads(self.status_path.read_text())
        except FileNotFoundError:
            return {}

    def wait_status(self, predicate, timeout=20):
        """Wait until the status file of this process satisfies a predicate, and return it."""
        def holds():
            status = self.status()
            self._must_run(status)
            return status if status and predicate(status) else None

        return wait_until(holds, timeout, lambda: f"the status file; it is {self.status()}")

    def wait_notified(self, pattern, timeout=20):
        """Wait for a STATUS= text that matches, without case, and return it."""
        expression = re.compile(pattern, re.IGNORECASE)

        def found():
            matches = [text for text in self.notifications.statuses() if expression.search(text)]
            self._must_run(matches)
            return matches[-1] if matches else None

        return wait_until(found, timeout, lambda: (
            f"/{pattern}/ in a STATUS; they are {self.notifications.statuses()}\n"
            f"{self.log_tail()}"))

    def wait_ready(self, timeout=25):
        wait_until(lambda: self._must_run(None) or self.notifications.time_of("READY=1"), timeout,
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
        def arrived():
            self._must_run(None)
            return counter(self.database) >= count

        wait_until(arrived, timeout, lambda: (
            f"{count} {unit}; there are {counter(self.database)}\n{self.log_tail()}"))

    def _must_run(self, found):
        """Fail at once, and not after the timeout, when what is waited for cannot come any more."""
        if not found and self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"exit {self.process.returncode}:\n{self.log_tail()}")


def foxtrackrctl(daemon, *arguments, **options):
    """Run foxtrackrctl on the daemon's configuration."""
    return run(FOXTRACKRCTL, "-c", daemon.config, *arguments, **options)
