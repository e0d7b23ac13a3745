"""Messages, and what a broker keeps for a client id."""

import collections
import time

NEVER = 0xFFFFFFFF
"""The Session Expiry Interval with which a session lasts (MQTT 5 §3.1.2.11.2), as in MQTT 3.1.1."""

Row = collections.namedtuple("Row", "table device time_ms values")
"""The row of a good message. values: column -> value (messages: type and body)."""


class Message:
    """expect: a Row, or ("quarantine", reason)."""

    __slots__ = ("number", "topic", "payload", "qos", "expect", "retain")

    def __init__(self, number, topic, payload, qos=2, expect=None, retain=False):
        self.number = number
        self.topic = topic.encode() if isinstance(topic, str) else topic
        self.payload = payload.encode() if isinstance(payload, str) else payload
        self.qos = qos
        self.expect = expect
        self.retain = retain

    def __repr__(self):
        return f"Message({self.number}, {self.topic!r}, qos={self.qos})"


class Session:
    """The session that a broker keeps for a client id, whatever the versions of its connections."""

    def __init__(self, client_id=None):
        self.client_id = client_id
        self.expiry_s = NEVER
        self.left_s = None      # wall clock: when the last connection ended; None while there is one
        self.queue = collections.deque()                # Message, not yet sent
        self.inflight = collections.OrderedDict()       # packet id -> [Message, state]
        self.subscriptions = {}
        self.next_id = 1

    def take_id(self):
        while self.next_id in self.inflight:
            self.next_id = self.next_id % 65535 + 1
        taken, self.next_id = self.next_id, self.next_id % 65535 + 1
        return taken

    def expired(self):
        return (self.left_s is not None and self.expiry_s != NEVER
                and time.time() >= self.left_s + self.expiry_s)

    def unfinished(self):
        return [m for m, _ in self.inflight.values()] + list(self.queue)


def as_json(message):
    return {"number": message.number, "topic": message.topic.decode("latin-1"),
            "payload": message.payload.decode("latin-1"), "qos": message.qos,
            "retain": message.retain, "expect": message.expect}


def from_json(kept):
    expect = kept["expect"]
    if expect:
        expect = tuple(expect) if expect[0] == "quarantine" else Row(*expect)
    return Message(kept["number"], kept["topic"].encode("latin-1"),
                   kept["payload"].encode("latin-1"), kept["qos"], expect, kept["retain"])
