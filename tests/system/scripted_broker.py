"""A broker that answers as a test says: it keeps nothing and delivers nothing."""

import contextlib
import pathlib
import ssl
import struct
import sys
import threading

from listener import Listener

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))

import mqtt  # noqa: E402  (what a packet is, the campaigns' broker knows too)


class ScriptedBroker(Listener):
    """
    connack     bytes to answer CONNECT with; b"": close instead; None: never answer
    code        the return code of every SUBACK; "close": close instead; None: never answer
    subscribed  called with the connection after SUBACK: a test closes it there, or sends something
    tls         speak TLS, with the certificate for localhost
    """

    def __init__(self, pki, *, connack=mqtt.connack(), code=2, subscribed=None, tls=False):
        self.pki = pki
        self.connack, self.code, self.subscribed = connack, code, subscribed
        self.connects = self.subscribes = 0
        self._context = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(pki.certificate("server"), pki.key("server"))
        super().__init__()

    def accepted(self, connection):
        threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        with contextlib.suppress(OSError), contextlib.closing(connection):
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            buffer = bytearray()
            while data := connection.recv(4096):
                buffer += data
                for kind, _, body in mqtt.take_packets(buffer):
                    if not self._answer(connection, kind, body):
                        return

    def _answer(self, connection, kind, body):
        """False: the connection is to be closed."""
        if kind == mqtt.CONNECT:
            self.connects += 1
            if self.connack is not None:
                connection.sendall(self.connack)
            return self.connack != b""
        if kind == mqtt.SUBSCRIBE:
            self.subscribes += 1
            if self.code in ("close", None):
                return self.code is None
            connection.sendall(mqtt.suback(struct.unpack(">H", body[:2])[0], [self.code]))
            return not self.subscribed or self.subscribed(connection) is not False
        if kind == mqtt.PINGREQ:
            connection.sendall(mqtt.packet(mqtt.PINGRESP))
        return kind != mqtt.DISCONNECT
