"""
The oracle (oracle.py) for a database in PostgreSQL: the same questions, asked of a server that may be recovering.

    check_crash(connect, ledger, messages)   after a fault: what was acknowledged is there
    check_final(connect, ledger, messages)   at the end: each message is exactly one row or one quarantine entry

connect is a function that returns a pq.Connection, or raises pq.Lost while there is no server.
"""

import collections
import pathlib
import sys
import time

import oracle

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

import pq  # noqa: E402

LIMIT_S = 120
"""For a hang only: a server that recovers answers sooner."""


class Contents(oracle.Contents):
    """An engine without an inbox: what is acknowledged is in its table."""

    quarantined = ("SELECT digest, coalesce(convert_to(topic, 'UTF8'), topic_bytes), payload, reason, occurrences"
                   " FROM quarantine")

    @staticmethod
    def waiting_in(_connection):
        return collections.Counter()


def patient(connect, limit_s=LIMIT_S):
    """A connection; waits for a server that starts or recovers."""
    deadline = time.monotonic() + limit_s
    while True:
        try:
            return connect()
        except pq.Lost:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _read(connect):
    """Contents of one snapshot, or None where there are no tables yet. Raises oracle.Broken."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            return _look(connect)
        except pq.Lost:     # it has begun to recover meanwhile
            if time.monotonic() > deadline:
                raise


def _look(connect):
    with patient(connect) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if connection.execute("SELECT to_regclass('quarantine')").fetchone() == (None,):
            return None
        oracle.check_runs(connection)
        oracle.check_counts(connection)
        gaps = connection.execute("SELECT * FROM gaps WHERE reason <> 'session uncertain'").fetchall()
        if gaps:
            raise oracle.Broken(f"the session was never lost, and gaps has {gaps[:3]}")
        return Contents(connection)


def check_crash(connect, ledger, messages):
    """
    What was acknowledged before the look is there. Nothing needs to be dead: a message that is acknowledged later is
    not asked for. Returns how many were looked up.
    """
    acknowledged = ledger.acknowledged_numbers()
    contents = _read(connect)
    if contents is not None:
        oracle.check_deliveries(contents, ledger.deliveries(), messages)
    return oracle.check_acknowledged(contents, acknowledged, messages)


def check_final(connect, ledger, messages):
    """The broker has nothing left, and the daemon is stopped. Returns how many messages were found."""
    contents = _read(connect)
    if contents is None:
        raise oracle.Broken("the database has no tables")
    return oracle.check_contents(contents, messages, ledger=ledger)


class Witness:
    """
    For FaultBroker(witness=...): at the moment an acknowledgement arrives, its row is visible to another connection.
    While there is no server the question is kept, and asked as soon as there is one.
    """

    def __init__(self, connect):
        self.connect = connect
        self.messages = {}
        self.looked_up = 0
        self.kept = []          # numbers that could not be looked up yet
        self._connection = None

    def add(self, messages):
        self.messages.update((m.number, m) for m in messages)

    def __call__(self, numbers):
        """Sentences about those that are not there."""
        wanted, self.kept = self.kept + list(numbers), []
        for again in (True, False):
            try:
                if self._connection is None:
                    self._connection = self.connect()
                missing = [n for n in wanted if n in self.messages and not self._is_there(self.messages[n])]
                self.looked_up += len(wanted)
                return [f"message {n} was acknowledged and is not in the database" for n in missing]
            except pq.Lost:
                self.forget_connection()
                if not again:
                    self.kept = wanted
        return []

    def forget_connection(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _is_there(self, message):
        if oracle.is_quarantine(message):
            digest = oracle.quarantine_digest(message.topic, message.payload)
            question = "SELECT 1 FROM quarantine WHERE digest = ?", (digest,)
        else:
            row = message.expect
            question = (f"SELECT 1 FROM {row.table} JOIN devices USING (device) WHERE device_id = ? AND time_ms = ?",
                        (row.device, row.time_ms))
        return self._connection.execute(*question).fetchone() is not None
