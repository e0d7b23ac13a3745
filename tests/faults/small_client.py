"""A client of the fault broker in a few lines, for both versions of MQTT: it keeps the promise or breaks it."""

import contextlib
import socket
import sqlite3

import mqtt
import properties as mqtt_properties

CLIENT_ID = "id-wrong-01"


class Client:
    """
    store      called with the database and a Message: its row. None: the client only looks
    early      it acknowledges what it has not stored
    version    of MQTT
    asks       properties of CONNECT in MQTT 5
    options    of SUBSCRIBE in MQTT 5: by default QoS 2 and Retain Handling 1
    """

    def __init__(self, broker, database, *, store=None, early=False, version=mqtt.MQTT_3_1_1,
                 asks=None, clean_start=False, client_id=CLIENT_ID, options=0x12):
        self.database = sqlite3.connect(database, isolation_level=None)
        self.store_one, self.early, self.version = store, early, version
        self.known = {}     # (topic, payload) -> Message: it needs no parser
        self.seen = []      # (packet id, dup, Message)
        self.publish_properties = []
        self.socket = socket.create_connection((broker.host, broker.port), timeout=10)
        self.buffer = bytearray()
        self.waiting = []
        self.send(mqtt.CONNECT, mqtt.string("MQTT") + bytes([version, clean_start << 1, 0, 60])
                  + self.properties(asks or {"session_expiry_interval": 3600, "receive_maximum": 1000})
                  + mqtt.string(client_id))
        body = self.next(mqtt.CONNACK)[2]
        self.present, self.code = body[0] == 1, body[1]
        if version == mqtt.MQTT_5 and len(body) > 2:
            self.connack = mqtt_properties.read(body, 2, "connack")[0]
        if not self.present and self.code == 0:
            self.send(mqtt.SUBSCRIBE, b"\0\1" + self.properties() + mqtt.string("#")
                      + bytes([options if version == mqtt.MQTT_5 else 2]), 2)

    def properties(self, asked=None):
        return mqtt_properties.write(asked) if self.version == mqtt.MQTT_5 else b""

    def send(self, kind, body=b"", flags=0):
        self.socket.sendall(mqtt.packet(kind, body, flags))

    def next(self, kind):
        while not self.packets():
            self.receive()
        first = self.waiting.pop(0)
        assert first[0] == kind, mqtt.NAMES[first[0]]
        return first

    def packets(self):
        """Everything that has come, whole packets first to last."""
        self.waiting += mqtt.take_packets(self.buffer)
        return self.waiting

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError
        self.buffer += data

    def serve(self, done):
        """Answer until done(); raises ConnectionError when cut."""
        self.socket.settimeout(0.02)
        for _ in range(500):
            while self.packets():
                kind, flags, body = self.waiting.pop(0)
                if kind == mqtt.PUBLISH:
                    self.take(flags, body)
                elif kind == mqtt.PUBREL:
                    self.send(mqtt.PUBCOMP, body[:2])
            if done():
                return
            with contextlib.suppress(TimeoutError):
                self.receive()
        raise AssertionError("the broker says nothing more")

    def look(self):
        """
        Everything that the broker sends without a further acknowledgement: [(packet id, dup)] of
        PUBLISH. The broker fills its window after it has answered all that it read at once, so two
        PINGREQs are sent, the second after the answer to the first.
        """
        found = []
        for _ in range(2):
            self.send(mqtt.PINGREQ)
            found += self._publishes_until_pingresp()
        return found

    def _publishes_until_pingresp(self):
        found = []
        while True:
            while self.packets():
                kind, flags, body = self.waiting.pop(0)
                if kind == mqtt.PINGRESP:
                    return found
                if kind == mqtt.PUBLISH:
                    found.append((self.read_publish(body)[0], bool(flags & 8)))
            self.receive()

    def read_publish(self, body):
        """(packet id, topic, payload)"""
        topic, at = mqtt.read_string(body, 0)
        pid = mqtt.packet_id(body[at:])
        at += 2
        if self.version == mqtt.MQTT_5:
            properties, at = mqtt_properties.read(body, at, "publish")
            self.publish_properties.append(properties)
        return pid, topic, body[at:]

    def take(self, flags, body):
        pid, topic, payload = self.read_publish(body)
        message = self.known[topic, payload]
        self.seen.append((pid, bool(flags & 8), message))
        if not self.early:
            self.store(message)
        self.send(mqtt.PUBREC, pid.to_bytes(2, "big"))

    def store(self, message):
        if self.store_one is None:
            return
        self.database.execute("BEGIN")
        self.store_one(self.database, message)
        self.database.execute("COMMIT")

    def die(self):
        self.socket.close()
        self.database.close()
