"""A port of its own on loopback, for what stands in for a broker in Daemon's constructor."""

import socket
import threading


class Listener:
    """Hands each connection to accepted(), which a subclass defines, on a thread of its own."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.tls_port = self._listener.getsockname()[1]
        self._closing = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            connection, _ = self._listener.accept()
            if self._closing:
                connection.close()
                return
            self.accepted(connection)

    def close(self):
        self._closing = True
        with socket.create_connection(("127.0.0.1", self.tls_port)):
            pass
        self._thread.join(15)
        self._listener.close()
