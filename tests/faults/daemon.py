"""The daemon under fault: one configuration, and at most one process of the release build."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import inbox
import mqtt

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

from daemon_process import DaemonProcess  # noqa: E402

USER = "tracker-reader"
PASSWORD = "correct-horse-7f3a9"
CLIENT_ID = "id-fault-01"

LIMIT_S = 60
"""For a hang only: a machine may be slow, and busy with other campaigns."""

PROTOCOLS = {"3.1.1": mqtt.MQTT_3_1_1, "5": mqtt.MQTT_5}
ALTERNATE = "alternate"
TURNS = "turns"
LARGEST_WINDOW = 5000   # that a fault broker is given


def add_protocol(parser):
    """The option of every campaign; its value belongs into Daemon.protocol."""
    parser.add_argument(
        "--protocol", choices=(*PROTOCOLS, ALTERNATE, TURNS),
        help="the version of MQTT in the daemon's configuration; alternate: 3.1.1 and 5 in turn, from"
             " start to start; turns: 3.1.1 in every other scenario, by its number, and none in the"
             " others. Default: the configuration names none")


def own_window(protocol):
    """session.receive_maximum: the window is the fault broker's, as it is with MQTT 3.1.1."""
    return None if protocol == "3.1.1" else LARGEST_WINDOW


def _scenario(directory):
    """The number of the scenario whose directory this is in; 0 where it has none."""
    name = pathlib.Path(directory).parent.name
    return int(name) if name.isdecimal() else 0


class Daemon(DaemonProcess):
    """
    protocol     one of PROTOCOLS, ALTERNATE, TURNS, or None: not in the configuration. The class has
                 the campaign's, for daemons that are not told otherwise
    broker       a FaultBroker, or None; its host and port go into the configuration
    build        the directory with the programs
    program      which of them; see catch_up.py for another
    wrapper      a command to run it with, e.g. ["strace", "-f", ...]
    environment  variables to add, e.g. {"LD_PRELOAD": ...}
    ca_file      turns TLS on
    sections     keys to change: broker={"keepalive": 5}; None leaves a key or a section out
    """

    protocol = None

    def __init__(self, directory, broker, build, /, *, program="foxtrackrd", wrapper=(),
                 environment=None, ca_file=None, protocol=None, **sections):
        self.broker = broker
        self.protocol = protocol or self.protocol
        if self.protocol == TURNS:
            self.protocol = "3.1.1" if _scenario(directory) % 2 else None
        self._starts = 0
        super().__init__(directory, pathlib.Path(build).resolve() / program, PASSWORD,
                         lambda where: self._defaults(where, ca_file), wrapper=wrapper,
                         environment=environment)
        self.configure(**sections)

    def _defaults(self, directory, ca_file):
        return {
            "broker": {
                "host": ("localhost" if ca_file else self.broker.host) if self.broker else "127.0.0.1",
                "port": self.broker.port if self.broker else 1,
                "tls": "yes" if ca_file else "no", "ca_file": ca_file,
                "protocol": self.protocol if self.protocol in PROTOCOLS else None,
                "username": USER, "password_file": directory / "password"},
            "session": {"client_id": CLIENT_ID, "filters": "foxtrackr/#",
                        "receive_maximum": own_window(self.protocol)},
            "database": {"path": directory / "foxtrackr.db"},
            "log": {"target": "stderr"},
            "status": {"file": directory / "status.json", "interval": "1s"},
        }

    # The process

    def start(self, wait="subscribed", limit_s=LIMIT_S):
        """wait: "subscribed" (as the broker sees it), "status" (it writes its status) or None."""
        before = self.broker.ledger.steps["connack"] if self.broker else 0
        if self.protocol == ALTERNATE:
            protocol = list(PROTOCOLS)[self._starts % len(PROTOCOLS)]
            self.configure(broker={"protocol": protocol},
                           session={"receive_maximum": own_window(protocol)})
            self._starts += 1
        self.launch()
        if wait == "subscribed":
            self.wait(lambda: self.broker.ledger.steps["connack"] > before
                      and self.broker.delivering, limit_s, "a subscribed session")
        elif wait == "status":
            self.wait(lambda: self.status().get("pid"), limit_s, "the status file")
        return self

    @property
    def pid(self):
        """The daemon's own, whatever it is wrapped in; None when it has ended."""
        if self.process is None:
            return None
        if self.wrapper and self.wrapper[0] == "valgrind":      # becomes the daemon itself
            return self.process.pid
        queue = [self.process.pid]
        while queue:
            pid = queue.pop()
            try:
                if os.path.samefile(f"/proc/{pid}/exe", self.program):
                    return pid
                children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                queue += [int(child) for child in children]
            except OSError:
                continue
        return None

    def signal(self, number):
        """Send it a signal; nothing happens when it has ended by itself."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self):
        """SIGKILL; returns when it is dead, and its wrapper too."""
        if self.process is None:
            return
        self.signal(signal.SIGKILL)
        try:
            self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(LIMIT_S)
        self.process = None

    @property
    def heeds_sigterm(self):
        """In the first moments of its start a signal ends it, as it does any process."""
        try:
            status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return False
        masks = re.findall(r"^Sig(?:Blk|Cgt):\s*([0-9a-f]+)$", status, re.MULTILINE)
        return any(int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in masks)

    def stop(self, limit_s=LIMIT_S):
        """SIGTERM, and it must end well."""
        self.wait(lambda: self.heeds_sigterm, limit_s, "a process that heeds SIGTERM")
        self.signal(signal.SIGTERM)
        code = self.wait_exit(limit_s)
        assert code == 0, f"exit {code} after SIGTERM:\n{self.log_tail()}"

    def wait_exit(self, limit_s=LIMIT_S):
        return super().wait_exit(limit_s)

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    # The daemon's output

    def log_tail(self, lines=40):
        return super().log_tail(lines)

    def status(self):
        """The status file of this process; {} while there is none."""
        try:
            status = super().status()
        except json.JSONDecodeError:
            return {}
        return status if status.get("pid", self.pid) == self.pid else {}

    def wait(self, condition, limit_s=LIMIT_S, what="a condition", must_run=True):
        """
        Wait until condition() is true, and return that; fail at once if the daemon ends. The condition is asked more and more
        rarely, down to twenty times a second: other campaigns run beside.
        """
        deadline = time.monotonic() + limit_s
        pause_s = 0.01
        while True:
            # Before the look: what the daemon does last, such as a line of its log, is seen then.
            ended = must_run and not self.running
            value = condition()
            if value:
                return value
            if ended:
                code = self.process.returncode if self.process else "?"
                raise AssertionError(f"exit {code} while waiting for {what}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {limit_s} s for {what}:\n{self.log_tail()}")
            time.sleep(pause_s)
            pause_s = min(1.2 * pause_s, 0.05)

    def wait_log(self, pattern, limit_s=LIMIT_S):
        """The first line since the start that matches, without case."""
        expression = re.compile(f"^.*(?:{pattern}).*$", re.IGNORECASE | re.MULTILINE)
        return self.wait(lambda: expression.search(self.log()), limit_s, f"/{pattern}/ in the log")[0]

    def wait_status(self, predicate, limit_s=LIMIT_S):
        def holds():
            status = self.status()
            return status if status and predicate(status) else None
        return self.wait(holds, limit_s, "the status file")

    def check_protocol(self):
        """The broker has seen no other version than the one that was configured."""
        seen = {connect.version for connect in self.broker.ledger.connects}
        wanted = {PROTOCOLS[self.protocol]} if self.protocol in PROTOCOLS else seen
        assert seen <= wanted, f"versions {seen}, {self.protocol} is configured"

    def wait_drained(self, limit_s=2 * LIMIT_S):
        """The broker has nothing left for it."""
        self.wait(lambda: self.broker.drained, limit_s, "the broker's queue to drain")

    def wait_sorted(self, limit_s=2 * LIMIT_S):
        """Nothing is left in the inbox: a catch-up is over."""
        self.wait(lambda: inbox.rows(self.database) == 0, limit_s, "an empty inbox")
