"""Real proxies on free loopback ports, which can be stopped and started again: tinyproxy and microsocks."""

import os
import pathlib
import subprocess

from broker import Port, is_listening
from harness import BUILD, SANITIZED, find_program, wait_until

USER = "proxy-user"
PASSWORD = "staple-battery-51c"

TINYPROXY = """
Port {port}
Listen 127.0.0.1
Timeout 600
LogLevel Connect
{more}
"""


class Proxy:
    """secret: it asks for USER and PASSWORD."""

    scheme = None

    def __init__(self, directory, *, secret=False, **options):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._port = Port()
        self.port = self._port.number
        self.name = f"127.0.0.1:{self.port}"
        self.url = f"{self.scheme}://{f'{USER}@' if secret else ''}{self.name}"
        self.log_path = self.directory / "proxy.log"
        self.log_path.touch()
        self._command = self.command(secret, **options)
        self._process = None
        self.start()

    def command(self, secret):
        raise NotImplementedError

    def start(self):
        assert self._process is None
        # A name server that does not answer costs one second, not the time that a proxy has.
        environment = {**os.environ, "RES_OPTIONS": "timeout:1 attempts:1"}
        if not SANITIZED:  # microsocks tries the first address alone, and the broker has the one of IPv4
            names = self.directory / "names"
            names.write_text("localhost 127.0.0.1\n")
            environment |= {"LD_PRELOAD": str(BUILD / "tests" / "names_shim.so"), "FAULT_NAMES": str(names)}
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen([str(word) for word in self._command],
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             cwd=self.directory, env=environment)
        wait_until(self._is_up, 20, lambda: f"the proxy to listen:\n{self.log()}")

    def _is_up(self):
        assert self._process.poll() is None, f"the proxy ended:\n{self.log()}"
        return is_listening(self.port)

    def kill(self):
        """Its connections end with it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def close(self):
        self.kill()
        self._port.close()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def count_asked(self, target):
        """How often a client has asked for this target, "host:port"."""
        return self.log().count(self.asked.format(target=target))


class Tinyproxy(Proxy):
    """An HTTP proxy. allowed: the ports that CONNECT may lead to; all if it is empty."""

    scheme = "http"
    asked = "CONNECT {target} HTTP/1.1"

    def command(self, secret, allowed=()):
        more = [f"ConnectPort {port}" for port in allowed]
        if secret:
            more.append(f"BasicAuth {USER} {PASSWORD}")
        config = self.directory / "tinyproxy.conf"
        config.write_text(TINYPROXY.format(port=self.port, more="\n".join(more)))
        return [find_program("tinyproxy"), "-d", "-c", config]


class Microsocks(Proxy):
    """A SOCKS 5 proxy."""

    scheme = "socks5"
    asked = ": connected to {target}"

    def command(self, secret):
        return [find_program("microsocks"), "-i", "127.0.0.1", "-p", self.port,
                *(["-u", USER, "-P", PASSWORD] if secret else [])]
