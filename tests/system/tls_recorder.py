"""A TLS server that shows a certificate and keeps whatever a client sends once it trusts it."""

import ssl

from listener import Listener


class TlsRecorder(Listener):
    def __init__(self, pki, certificate):
        self.pki = pki
        self.handshakes = 0  # that succeeded
        self.refused = 0     # that the client broke off
        self.received = b""  # within TLS
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pki.certificate(certificate), pki.key(certificate))
        super().__init__()

    def accepted(self, connection):
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
