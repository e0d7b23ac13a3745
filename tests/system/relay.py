"""A relay that passes on as much of the broker's bytes as the test allows, such as a part of a backlog."""

import contextlib
import socket
import threading

from listener import Listener


class Relay(Listener):
    """Between a daemon and its broker. TLS passes as it is, and all of it until allow() is called."""

    def __init__(self, broker):
        self.pki = broker.pki
        self._broker_port = broker.tls_port
        self._left = None  # bytes that may pass to the daemon; None: all
        self._changed = threading.Condition()
        super().__init__()

    def allow(self, count):
        """From now on so many bytes may pass to the daemon, over all connections; None: all."""
        with self._changed:
            self._left = count
            self._changed.notify_all()

    def is_used_up(self):
        """All bytes that may pass have passed."""
        with self._changed:
            return self._left == 0

    def accepted(self, connection):
        try:
            broker = socket.create_connection(("127.0.0.1", self._broker_port))
        except OSError:  # the broker is not there, and so neither are we
            connection.close()
            return
        threading.Thread(target=_Connection(self, connection, broker).run, daemon=True).start()

    def take(self, connection, most):
        """Wait until something may pass or the connection is over; then how much, and at most `most`."""
        with self._changed:
            self._changed.wait_for(lambda: self._left != 0 or connection.over)
            if self._left is None or connection.over:
                return most
            count = min(self._left, most)
            self._left -= count
            return count

    def give_back(self, count):
        """So much of what was taken has not passed."""
        with self._changed:
            if self._left is not None:
                self._left += count

    def end(self, connection):
        with self._changed:
            connection.over = True
            self._changed.notify_all()


class _Connection:
    """A daemon's, and ours to the broker. over: the daemon has gone, and what comes is dropped."""

    def __init__(self, relay, client, broker):
        self.over = False
        self._relay = relay
        self._client = client
        self._broker = broker

    def run(self):
        """An acknowledgement that a daemon sends before it goes reaches the broker all the same."""
        down = threading.Thread(target=self._down, daemon=True)
        down.start()
        with contextlib.suppress(OSError):
            while data := self._client.recv(1 << 16):
                self._broker.sendall(data)
        with contextlib.suppress(OSError):
            self._broker.shutdown(socket.SHUT_WR)
        self._relay.end(self)
        down.join()
        self._client.close()
        self._broker.close()

    def _down(self):
        with contextlib.suppress(OSError):
            while data := self._receive():
                if not self.over:
                    self._pass(data)
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)

    def _receive(self):
        allowed = self._relay.take(self, 4096)
        data = self._broker.recv(allowed)
        if not self.over:
            self._relay.give_back(allowed - len(data))
        return data

    def _pass(self, data):
        try:
            self._client.sendall(data)
        except OSError:
            self._relay.end(self)
