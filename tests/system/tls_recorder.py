"""A TLS server that shows a certificate and keeps whatever a client sends once it trusts it."""

import socket
import ssl
import threading


class TlsRecorder:
    """Stands in for a broker in Daemon's constructor: it has tls_port and pki."""

    def __init__(self, pki, certificate):
        self.pki = pki
        self.handshakes = 0  # that succeeded
        self.refused = 0     # that the client broke off
        self.received = b""  # within TLS
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pki.certificate(certificate), pki.key(certificate))
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
            connection.settimeout(5)
            with connection:
                try:
                    with self._context.wrap_socket(connection, server_side=True) as client:
                        self._record(client)
                except OSError:  # ssl.SSLError is one
                    self.refused += 1

    def _record(self, client):
        first = client.recv(4096)  # in TLS 1.3 this is where a client's refusal arrives
        self.handshakes += 1
        while first:
            self.received += first
            if b"\x00\x04MQTT" in self.received:
                return  # a CONNECT: enough has been seen
            first = client.recv(4096)

    def close(self):
        self._closing = True
        with socket.create_connection(("127.0.0.1", self.tls_port)):
            pass
        self._thread.join(15)
        self._listener.close()
