"""A real mosquitto on free loopback ports, which can be stopped, started again and made to forget."""

import os
import pathlib
import re
import signal
import socket
import subprocess

from harness import find_program, run, wait_until

USER = "tracker-reader"
PASSWORD = "correct-horse-7f3a9"
PUBLISHER = "fleet"
PUBLISHER_PASSWORD = "battery-staple"

CONFIG = """
user root
persistence true
persistence_location {directory}/
autosave_interval 1800
max_queued_messages 0
max_inflight_messages {max_inflight}
log_dest stderr
log_timestamp_format %H:%M:%S
connection_messages true
allow_anonymous false
{log_types}
{authentication}
listener {tls_port} 127.0.0.1
cafile {ca}
certfile {certificate}
keyfile {key}
listener {plain_port} 127.0.0.1
{extra}
"""


class Port:
    """
    A port of 127.0.0.1 that is ours for as long as this object lives.

    The socket is bound with SO_REUSEADDR and never listens: the kernel gives its port to nobody who
    asks for a free one, yet lets a server that sets SO_REUSEADDR too bind it and listen. Nobody can
    take it between two starts of the broker either, and connecting to it meanwhile is refused.
    """

    def __init__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number = self._socket.getsockname()[1]

    def close(self):
        self._socket.close()


def is_listening(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def make_password_file(path):
    """For mosquitto's password_file, which it hashes."""
    program = find_program("mosquitto_passwd")
    path.touch(mode=0o600)
    run(program, "-b", path, USER, PASSWORD)
    run(program, "-b", path, PUBLISHER, PUBLISHER_PASSWORD)


class Broker:
    """
    verbose: mosquitto logs every packet, for count_log(). plugin: lines of configuration that
    replace the password file. certificate: which of the Pki's to show. config: in the place of
    CONFIG.
    """

    def __init__(self, directory, pki, password_file, *, certificate="server", verbose=False,
                 max_inflight=20, plugin=None, extra="", config=CONFIG, start=True):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.pki = pki
        self._ports = Port(), Port()
        self.tls_port, self.plain_port = (port.number for port in self._ports)
        self.log_path = self.directory / "mosquitto.log"
        self.log_path.touch()
        self.password_path = self.directory / "fleet.password"
        self.password_path.write_text(PUBLISHER_PASSWORD + "\n")
        self._process = None
        self._config = self.directory / "mosquitto.conf"
        self._config.write_text(config.format(
            directory=self.directory, max_inflight=max_inflight,
            log_types="log_type all" if verbose else "log_type error\nlog_type notice",
            authentication=plugin or f"password_file {password_file}",
            tls_port=self.tls_port, plain_port=self.plain_port, ca=pki.certificate("ca"),
            certificate=pki.certificate(certificate), key=pki.key(certificate), extra=extra))
        if start:
            self.start()

    def start(self):
        assert self._process is None
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(
                [find_program("mosquitto"), "-c", self._config], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.directory)
        wait_until(self._is_up, 20, lambda: f"mosquitto to listen:\n{self.log()}")

    def _is_up(self):
        assert self._process.poll() is None, f"mosquitto ended:\n{self.log()}"
        return is_listening(self.tls_port) and is_listening(self.plain_port)

    def stop(self):
        """A clean stop: mosquitto saves sessions and queues."""
        self._end(signal.SIGTERM)

    def kill(self):
        """mosquitto forgets what it has not saved."""
        self._end(signal.SIGKILL)

    def _end(self, how):
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.wait(30)
        self._process = None

    def restart(self):
        self.stop()
        self.start()

    def wipe(self):
        """Stop, and lose every session and queue, as a provider does after seven days."""
        self.stop()
        (self.directory / "mosquitto.db").unlink(missing_ok=True)

    def close(self):
        self.kill()
        for port in self._ports:
            port.close()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def count_log(self, pattern):
        """Lines of the log that match; for a verbose broker."""
        return len(re.findall(pattern, self.log(), re.MULTILINE))

    def publish(self, topic, payload, qos=2, retain=False):
        """One message; returns when the broker has it."""
        arguments = [
            find_program("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(self.plain_port),
            "-u", PUBLISHER, "-P", PUBLISHER_PASSWORD, "-t", topic, "-q", str(qos),
            "-s" if payload else "-n"]
        if retain:
            arguments.append("-r")
        if isinstance(payload, str):
            payload = payload.encode()
        run(*arguments, input=payload, text=False)
