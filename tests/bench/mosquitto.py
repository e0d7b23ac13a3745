"""A real broker: mosquitto, with TLS on loopback and a queue without an end."""

import os
import signal
import socket
import subprocess
import time

from stage import Failure, clean_environment, find_program

CONFIG = """
user root
persistence {persistence}
persistence_location {inside}/
autosave_interval 0
max_queued_messages 0
max_queued_bytes 0
max_inflight_messages {window}
allow_anonymous true
log_dest stderr
log_type error
log_type warning
sys_interval 0
listener {port} 127.0.0.1
cafile {inside}/ca.crt
certfile {inside}/server.crt
keyfile {inside}/server.key
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Mosquitto:
    """
    directory: its files, seen from here; inside: the same, as mosquitto sees it (in a chroot).
    command: how to run it; the default is the installed one.
    """

    def __init__(self, stage, directory, *, window=20, persistence=False, inside=None, command=None):
        self.directory, self.port = directory, free_port()
        inside = inside or directory
        self._command = [*(command or [find_program("mosquitto")]), "-c", f"{inside}/mosquitto.conf"]
        for name, source in (("ca.crt", stage.ca),
                             ("server.crt", stage.certificates.certificate("server")),
                             ("server.key", stage.certificates.key("server"))):
            (directory / name).write_bytes(source.read_bytes())
        (directory / "mosquitto.conf").write_text(CONFIG.format(
            inside=inside, window=window, port=self.port,
            persistence="true" if persistence else "false"))
        self._log_path = directory / "mosquitto.log"
        self.process = None

    def start(self):
        with open(self._log_path, "ab") as log:
            self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=clean_environment())
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        self.close()
        raise Failure(f"mosquitto does not start:\n{self._log_path.read_text(errors='replace')}")

    def log(self):
        return self._log_path.read_text(errors="replace")

    def stop(self):
        """End mosquitto, which then saves its sessions and their queues."""
        if self.process is not None:
            os.kill(self.process.pid, signal.SIGTERM)
            self.process.wait(120)
            self.process = None

    def close(self):
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait(10)
            self.process = None
