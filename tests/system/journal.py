"""The test in the place of the journal: a daemon in a mount namespace where /run is the test's."""

import pathlib
import socket
import subprocess
import threading

SCRIPT = """
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal &&
mount --bind "$1" /run/systemd/journal && shift && exec "$@"
"""


class Journal:
    """
    The socket of the native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL). A thread keeps every
    entry as a dictionary. `directory`: its name must be short, as the path of a socket is.
    """

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.path = self.directory / "socket"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._entries = []
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def prefix(self):
        """The command to run a daemon with, for whom this is the journal."""
        return ("unshare", "--mount", "sh", "-c", SCRIPT, "sh", self.directory)

    def is_possible(self):
        """True if this machine allows a journal of its own."""
        return subprocess.run([*self.prefix(), "true"], capture_output=True).returncode == 0

    def _receive(self):
        while True:
            datagram = self._socket.recv(1 << 20)
            if datagram == b"":
                return
            self._entries.append(self._decode(datagram))

    @staticmethod
    def _decode(datagram):
        """Every field that has no line break inside is NAME=value on a line."""
        assert datagram.endswith(b"\n")
        lines = datagram[:-1].split(b"\n")
        assert all(b"=" in line for line in lines), datagram
        fields = [line.decode().split("=", 1) for line in lines]
        assert len({name for name, _ in fields}) == len(fields), f"a field came twice: {datagram}"
        return dict(fields)

    def entries(self, **wanted):
        """The entries that have these fields."""
        return [entry for entry in list(self._entries) if wanted.items() <= entry.items()]

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)  # recv() gives nothing then
        self._thread.join(10)
        self._socket.close()
