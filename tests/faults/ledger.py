"""The record of what the broker has sent and received, with times. Any thread may read it meanwhile."""

import collections
import threading
import time

Connect = collections.namedtuple(
    "Connect", "client_id username clean_start time keepalive session_present version"
    " session_expiry_s receive_maximum")
"""
clean_start: "clean session" in MQTT 3.1.1. session_expiry_s, receive_maximum: as asked in MQTT 5, None
where the client does not say.
"""


class Visit:
    """One TCP connection: what came over it, in clear where TLS ends here."""

    def __init__(self):
        self.opened = time.monotonic()
        self.closed = None
        self.handshaken = False     # TLS is up; without TLS: at once
        self.tls_error = None
        self.raw_bytes = 0
        self.plain = bytearray()    # the first 4 KiB
        self.connected = False      # a CONNECT came
        self.acknowledged = False   # and a PUBREC or PUBACK for a message in flight
        self.disconnect_reason = None   # of the client's DISCONNECT; 0 in MQTT 3.1.1
        self.ended_by = None


class Ledger:
    """
    sent         number -> [(time, dup)]
    acknowledged number -> time of the first PUBREC or PUBACK whose bytes were read
    completed    number -> time of its PUBCOMP or PUBACK
    connects     every CONNECT that was answered for the session, as Connect
    visitors     every CONNECT of a client that leaves no session behind, as Connect
    visits       every TCP connection, as Visit
    lost         numbers that the broker has forgotten on purpose
    early        what a witness (oracle.py) found not to be in the database when it was acknowledged
    oddities     what the client did and MQTT does not allow, as sentences
    steps        how often each packet was sent or received, by name
    """

    def __init__(self):
        self.changed = threading.Condition()
        self.sent = {}
        self.acknowledged = {}
        self.completed = {}
        self.connects = []
        self.visitors = []
        self.visits = []
        self.lost = set()
        self.early = []
        self.oddities = []
        self.steps = collections.Counter()

    # The broker's side

    def note_sent(self, number, dup):
        with self.changed:
            self.sent.setdefault(number, []).append((time.monotonic(), dup))

    def note_acknowledged(self, number):
        with self.changed:
            self.acknowledged.setdefault(number, time.monotonic())

    def note_completed(self, number):
        with self.changed:
            self.completed.setdefault(number, time.monotonic())

    def note_lost(self, numbers):
        with self.changed:
            self.lost.update(numbers)

    def note_odd(self, sentence):
        with self.changed:
            self.oddities.append(sentence)

    def note_changed(self):
        with self.changed:
            self.changed.notify_all()

    # Everybody's side

    def acknowledged_numbers(self):
        with self.changed:
            return set(self.acknowledged)

    def deliveries(self, until_s=float("inf")):
        """number -> how often it was sent, before that time."""
        with self.changed:
            return {number: sum(when < until_s for when, _ in times)
                    for number, times in self.sent.items()}

    def completed_numbers(self):
        with self.changed:
            return set(self.completed)

    @property
    def bytes_before_connect(self):
        """Bytes in clear that came over connections on which there never was a CONNECT."""
        with self.changed:
            return sum(len(v.plain) for v in self.visits if not v.connected)

    def wait_for(self, condition, limit_s):
        """True as soon as condition() is; False when the limit has passed."""
        deadline = time.monotonic() + limit_s
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            with self.changed:
                self.changed.wait(min(left, 0.05))
        return True

    def settle(self, limit_s=60):
        """
        After the client's death: wait until everything that it had sent has been read. What is in
        the socket's buffer has left the client, and counts.
        """
        if not self.wait_for(lambda: all(v.closed for v in list(self.visits)), limit_s):
            raise AssertionError("a connection of the dead client is still open at the broker")
