"""
A broker that answers as a test says: it keeps nothing and delivers nothing. Its answers are of the
version of MQTT that CONNECT has, 3.1.1 or 5.
"""

import contextlib
import pathlib
import ssl
import sys
import threading

from listener import Listener

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))

import mqtt  # noqa: E402  (what a packet is, the campaigns' broker knows too)


def accepted(version):
    """CONNACK: accepted, no session."""
    return mqtt.connack(version=version)


class ScriptedBroker(Listener):
    """
    connack     bytes to answer CONNECT with, or a function of its version that returns them; b"": close
                instead; None: never answer
    code        the code of every SUBACK; "close": close instead; None: never answer
    subscribed  called with the connection after SUBACK: a test closes it there, or sends something
    tls         speak TLS, with the certificate for localhost
    requests    each CONNECT that came, in their order, as mqtt.read_connect() returns it
    disconnects the body of each DISCONNECT
    """

    def __init__(self, pki, *, connack=accepted, code=2, subscribed=None, tls=False):
        self.pki = pki
        self.connack, self.code, self.subscribed = connack, code, subscribed
        self.requests = []
        self.disconnects = []
        self.subscribes = 0
        self.pings = 0
        self._context = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(pki.certificate("server"), pki.key("server"))
        super().__init__()

    @property
    def versions(self):
        """The version of each CONNECT."""
        return [request["version"] for request in self.requests]

    @property
    def connects(self):
        return len(self.requests)

    def accepted(self, connection):
        threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        with contextlib.suppress(OSError), contextlib.closing(connection):
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            buffer = bytearray()
            version = mqtt.MQTT_3_1_1
            while data := connection.recv(4096):
                buffer += data
                for kind, _, body in mqtt.take_packets(buffer):
                    if kind == mqtt.CONNECT:
                        version = mqtt.level(body)
                    if not self._answer(connection, kind, body, version):
                        return

    def _answer(self, connection, kind, body, version):
        """False: the connection is to be closed."""
        if kind == mqtt.CONNECT:
            self.requests.append(mqtt.read_connect(body))
            connack = self.connack(version) if callable(self.connack) else self.connack
            if connack is not None:
                connection.sendall(connack)
            return connack != b""
        if kind == mqtt.SUBSCRIBE:
            self.subscribes += 1
            if self.code in ("close", None):
                return self.code is None
            connection.sendall(mqtt.suback(mqtt.packet_id(body), [self.code], version))
            return not self.subscribed or self.subscribed(connection) is not False
        if kind == mqtt.PINGREQ:
            self.pings += 1
            connection.sendall(mqtt.packet(mqtt.PINGRESP))
        if kind == mqtt.DISCONNECT:
            self.disconnects.append(bytes(body))
        return kind != mqtt.DISCONNECT
