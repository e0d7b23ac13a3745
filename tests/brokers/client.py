"""A client of any broker in a few lines, for both versions of MQTT, over plain TCP on loopback."""

import pathlib
import socket
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "faults"))

import mqtt  # noqa: E402
import properties as mqtt_properties  # noqa: E402

WINDOW = 15
"""Messages that a publisher has under way at once: mosquitto takes 20."""


class Closed(Exception):
    """The broker closed the connection."""


class Client:
    """
    Connects; `present`, `code` and `answer` (the properties of MQTT 5) are what CONNACK said.

    server    has `port`, and `username` and `password` or None
    version   4 or 5, the level of CONNECT
    clean     MQTT 3.1.1: clean session; MQTT 5: clean start
    expiry    MQTT 5: the session expiry interval in seconds
    """

    def __init__(self, server, client_id, *, version=mqtt.MQTT_3_1_1, clean=False, expiry=3600,
                 window=1000, limit_s=20):
        self.version, self.deadline_s = version, limit_s
        self.waiting, self.buffer, self.next_id = [], bytearray(), 1
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=limit_s)
        flags = clean << 1 | (0xC0 if server.username else 0)
        body = mqtt.string("MQTT") + bytes([version, flags, 0, 120])
        if version == mqtt.MQTT_5:
            body += mqtt_properties.write(
                {"session_expiry_interval": expiry, "receive_maximum": window})
        body += mqtt.string(client_id)
        if server.username:
            body += mqtt.string(server.username) + mqtt.string(server.password)
        self.send(mqtt.CONNECT, body)
        body = self.next(mqtt.CONNACK)[2]
        self.present, self.code = body[0] == 1, body[1]
        self.answer = {}
        if version == mqtt.MQTT_5 and len(body) > 2:
            self.answer = mqtt_properties.read(body, 2, "connack")[0]

    def _properties(self):
        return mqtt_properties.write() if self.version == mqtt.MQTT_5 else b""

    def send(self, kind, body=b"", flags=0):
        """Write one packet."""
        try:
            self.socket.sendall(mqtt.packet(kind, body, flags))
        except ConnectionError as problem:
            raise Closed(str(problem)) from problem

    def _receive(self, limit_s):
        """Read what comes within the limit; False: nothing did."""
        self.socket.settimeout(limit_s)
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            return False
        except ConnectionError as problem:
            raise Closed(str(problem)) from problem
        if not data:
            raise Closed("end of the connection")
        self.buffer += data
        self.waiting += mqtt.take_packets(self.buffer)
        return True

    def next(self, *kinds, limit_s=None):
        """The next packet of one of these kinds; others stay for later. None after the limit, if
        one is given."""
        deadline = time.monotonic() + (self.deadline_s if limit_s is None else limit_s)
        while True:
            for i, packet in enumerate(self.waiting):
                if packet[0] in kinds:
                    return self.waiting.pop(i)
                if packet[0] == mqtt.DISCONNECT:
                    raise Closed(f"DISCONNECT {packet[2].hex()}")
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not self._receive(left_s):
                if limit_s is not None:
                    return None
                names = ", ".join(mqtt.NAMES[kind] for kind in kinds)
                raise AssertionError(f"no {names} within {self.deadline_s} s")

    def _new_id(self):
        self.next_id = self.next_id % 65535 + 1
        return self.next_id.to_bytes(2, "big")

    def subscribe(self, topic_filter, qos=2):
        """The code of SUBACK."""
        self.send(mqtt.SUBSCRIBE, self._new_id() + self._properties() + mqtt.string(topic_filter)
                  + bytes([qos]), 2)
        return self.next(mqtt.SUBACK)[2][-1]

    def publish(self, messages, qos):
        """Publish (topic, payload) pairs; returns when the broker has acknowledged them all."""
        under_way = 0
        for topic, payload in messages:
            if under_way == WINDOW:
                self._finish_one()
                under_way -= 1
            pid = self._new_id() if qos else b""
            self.send(mqtt.PUBLISH, mqtt.string(topic) + pid + self._properties() + payload, qos << 1)
            under_way += bool(qos)
        for _ in range(under_way):
            self._finish_one()

    def _finish_one(self):
        while True:
            kind, _, body = self.next(mqtt.PUBACK, mqtt.PUBREC, mqtt.PUBCOMP)
            if len(body) > 2 and body[2] >= 0x80:
                raise AssertionError(f"the broker refuses a message: {mqtt.NAMES[kind]} {body.hex()}")
            if kind != mqtt.PUBREC:
                return
            self.send(mqtt.PUBREL, body[:2], 2)

    def take(self, count, quiet_s=5):
        """Take and acknowledge messages until there are `count`, or none comes for a while; returns
        the payloads."""
        found = []
        while len(found) < count:
            packet = self.next(mqtt.PUBLISH, mqtt.PUBREL, limit_s=quiet_s)
            if packet is None:
                break
            kind, flags, body = packet
            if kind == mqtt.PUBREL:
                self.send(mqtt.PUBCOMP, body[:2])
                continue
            found.append(self._take_publish(flags, body))
        while (packet := self.next(mqtt.PUBREL, limit_s=0.2)) is not None:
            self.send(mqtt.PUBCOMP, packet[2][:2])
        return found

    def next_topic(self):
        """The topic of the next message, which is not acknowledged."""
        return mqtt.read_text(self.next(mqtt.PUBLISH)[2], 0)[0]

    def count_in_flight(self, quiet_s=1):
        """How many messages come while none is acknowledged."""
        count = 0
        while self.next(mqtt.PUBLISH, limit_s=quiet_s) is not None:
            count += 1
        return count

    def drain(self, quiet_s=5):
        """
        Take and acknowledge messages until none comes for a while. Returns the number of messages, and
        how many were in flight at most: their PUBLISH had come, and their PUBREL had not.
        """
        count, in_flight, peak = 0, 0, 0
        while (packet := self.next(mqtt.PUBLISH, mqtt.PUBREL, limit_s=quiet_s)) is not None:
            kind, flags, body = packet
            if kind == mqtt.PUBREL:
                in_flight -= 1
                self.send(mqtt.PUBCOMP, body[:2])
            else:
                count, in_flight = count + 1, in_flight + 1
                peak = max(peak, in_flight)
                self._take_publish(flags, body)
        return count, peak

    def _take_publish(self, flags, body):
        qos = flags >> 1 & 3
        _, at = mqtt.read_string(body, 0)
        pid = body[at:at + 2] if qos else b""
        at += len(pid)
        if self.version == mqtt.MQTT_5:
            _, at = mqtt_properties.read(body, at, "publish")
        if qos:
            self.send(mqtt.PUBACK if qos == 1 else mqtt.PUBREC, pid)
        return body[at:]

    def disconnect(self):
        """Leave; a durable session stays."""
        self.send(mqtt.DISCONNECT)
        self.socket.close()

    def die(self):
        """Close the connection without a word."""
        self.socket.close()
