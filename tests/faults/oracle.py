"""
The oracle: is the promise kept?

check_crash() after every death, before anything is started again: what was acknowledged is there,
in its table or waiting in the inbox. check_final() at the end: every message is exactly one row or
one quarantine entry, as it was sent, nothing else is there, and nothing waits. Both: no message is
there, or was counted, more often than it was delivered. Witness watches meanwhile: a message is in
the database when its acknowledgement arrives, not some time later.

They fail with Broken, which says what is wrong with which message.
"""

import hashlib
import pathlib
import shutil
import sqlite3
import struct
import tempfile

import inbox

MAX_PAYLOAD = 256 * 1024

MISSING = NO_ROW, NOT_IN_QUARANTINE = "has no row", "is not in quarantine"


class Broken(AssertionError):
    """The promise is broken."""


CUT_BIT = 1 << 63


def quarantine_digest(topic, payload, max_payload=MAX_PAYLOAD):
    """The key of a message in quarantine; of one over the limit the whole payload takes part."""
    if len(payload) <= max_payload:
        return hashlib.sha256(struct.pack(">Q", len(topic)) + topic + payload).digest()
    return hashlib.sha256(struct.pack(">Q", len(topic) | CUT_BIT) + topic
                          + hashlib.sha256(payload).digest() + payload[:max_payload]).digest()


class Contents:
    """All rows of a database, in the form that messages expect, and what waits in the inbox."""

    quarantined = "SELECT digest, topic, payload, reason, occurrences FROM quarantine"
    waiting_in = staticmethod(inbox.waiting)

    def __init__(self, connection):
        self.rows = {}          # (table, device, time_ms[, type, digest]) -> values
        self.quarantine = {}    # digest -> (topic, payload, reason, occurrences)
        for device, time_ms, volts, level, extra in connection.execute(
                "SELECT device_id, time_ms, voltage_v, level_pct, extra "
                "FROM battery JOIN devices USING (device)"):
            self.rows["battery", device, time_ms] = {
                "voltage_v": volts, "level_pct": level, "extra": extra}
        for device, time_ms, celsius, extra in connection.execute(
                "SELECT device_id, time_ms, celsius, extra "
                "FROM temperature JOIN devices USING (device)"):
            self.rows["temperature", device, time_ms] = {"celsius": celsius, "extra": extra}
        for device, time_ms, kind, body, digest in connection.execute(
                "SELECT device_id, time_ms, type, body, digest "
                "FROM messages JOIN devices USING (device)"):
            self.rows["messages", device, time_ms, kind, digest] = {"type": kind, "body": body}
        for digest, topic, payload, reason, occurrences in connection.execute(self.quarantined):
            topic = topic.encode() if isinstance(topic, str) else topic
            self.quarantine[digest] = (topic, payload, reason, occurrences)
        self.waiting = self.waiting_in(connection)
        self.received = connection.execute(
            "SELECT coalesce(sum(received), 0) FROM runs").fetchone()[0]

    def problem(self, message, max_payload=MAX_PAYLOAD):
        """None, or what is wrong with this message's row or quarantine entry. It may wait, too."""
        problem = self._problem(message, max_payload)
        missing = problem in MISSING
        return None if missing and self.waiting[message.topic, message.payload] else problem

    def times(self, message):
        """How often it is there, as far as the tables tell."""
        if is_quarantine(message):
            digest = quarantine_digest(message.topic, message.payload)
            sorted_in = self.quarantine[digest][3] if digest in self.quarantine else 0
        else:
            sorted_in = row_key(message) in self.rows
        return sorted_in + self.waiting[message.topic, message.payload]

    def _problem(self, message, max_payload):
        if is_quarantine(message):
            kept = message.payload[:max_payload]
            found = self.quarantine.get(
                quarantine_digest(message.topic, message.payload, max_payload))
            wanted = (message.topic, kept, message.expect[1])
            if found is None:
                return NOT_IN_QUARANTINE
            return None if found[:3] == wanted else f"is in quarantine as {found}"
        found = self.rows.get(row_key(message))
        if found is None:
            return NO_ROW
        for column, value in message.expect.values.items():
            if found.get(column) != value:
                return f"has {column} = {found.get(column)!r}, and {value!r} was sent"
        return None


def is_quarantine(message):
    return message.expect[0] == "quarantine"


def row_key(message):
    row = message.expect
    if row.table == "messages":
        digest = hashlib.sha256(message.payload).digest()
        return row.table, row.device, row.time_ms, row.values["type"], digest
    return row.table, row.device, row.time_ms


def copy_database(path, directory):
    """The database and the files beside it, as they lie there."""
    path = pathlib.Path(path)
    for suffix in ("", "-wal", "-shm"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copyfile(source, pathlib.Path(directory) / source.name)
    return pathlib.Path(directory) / path.name


def check_sound(connection):
    """Intact, and every run accounts for every message."""
    answer = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    if answer != ["ok"]:
        raise Broken(f"integrity_check: {answer[:3]}")
    answer = connection.execute("PRAGMA foreign_key_check").fetchall()
    if answer:
        raise Broken(f"foreign_key_check: {answer[:3]}")
    check_runs(connection)
    if inbox.exists(connection):
        positions = connection.execute("SELECT count(*) FROM inbox_position").fetchone()[0]
        if positions != 1:
            raise Broken(f"inbox_position has {positions} rows")


def check_runs(connection):
    """Every run accounts for every message."""
    for run, received, stored, duplicate, quarantined in connection.execute(
            "SELECT run, received, stored, duplicate, quarantined FROM runs"):
        if received != stored + duplicate + quarantined:
            raise Broken(f"run {run}: {received} received are not {stored} stored + "
                         f"{duplicate} duplicate + {quarantined} quarantined")


def check_counts(connection):
    """The counters are of the same transactions as the rows: they can never disagree."""
    rows, quarantined = connection.execute(
        "SELECT (SELECT count(*) FROM battery) + (SELECT count(*) FROM temperature)"
        " + (SELECT count(*) FROM messages), (SELECT coalesce(sum(occurrences), 0) FROM quarantine)"
    ).fetchone()
    said = connection.execute(
        "SELECT coalesce(sum(stored), 0), coalesce(sum(quarantined), 0) FROM runs").fetchone()
    if said != (rows, quarantined):
        raise Broken(f"the runs say stored, quarantined = {said}; there are {(rows, quarantined)}")


def check_deliveries(contents, deliveries, messages):
    """
    Each arrival of a message is counted once, when it is in its table or in quarantine; until then
    it waits once. deliveries: number -> how often the broker has sent it.
    """
    waiting, sent = contents.waiting.total(), sum(deliveries.values())
    problems = [f"message {m.number} was sent {deliveries.get(m.number, 0)} times and is there "
                f"{contents.times(m)} times" for m in messages
                if contents.times(m) > deliveries.get(m.number, 0)]
    if contents.received + waiting > sent:
        problems.append(f"{sent} were sent; the runs have received {contents.received}, and "
                        f"{waiting} wait")
    _complain(problems, "with messages that came once and count more often")


def check_crash(database_path, ledger, messages, *, directory=None):
    """
    The daemon is dead and nothing was started since. Works on a copy, which is left in `directory`
    if one is given. Returns how many acknowledged messages were looked up.
    """
    ledger.settle()
    acknowledged = ledger.acknowledged_numbers()
    with tempfile.TemporaryDirectory(prefix="foxtrackr-crash-") as temporary:
        copy = copy_database(database_path, directory or temporary)
        if not copy.exists() or copy.stat().st_size == 0 and not _wal(copy):
            if acknowledged:
                raise Broken(f"{len(acknowledged)} messages are acknowledged; no database is there")
            return 0
        connection = sqlite3.connect(copy)
        try:
            check_sound(connection)
            if not _has_tables(connection):
                contents = None
            else:
                check_counts(connection)
                contents = Contents(connection)
                check_deliveries(contents, ledger.deliveries(), messages)
        finally:
            connection.close()
    return check_acknowledged(contents, acknowledged, messages)


def check_acknowledged(contents, acknowledged, messages):
    """Everything is there that was acknowledged. contents: None where there are no tables. Returns how much."""
    wanted = [m for m in messages if m.number in acknowledged]
    _complain([f"message {m.number} {_why(contents, m)}" for m in wanted if _why(contents, m)],
              f"of {len(wanted)} acknowledged messages")
    return len(wanted)


def _wal(path):
    wal = path.with_name(path.name + "-wal")
    return wal.exists() and wal.stat().st_size > 0


def _has_tables(connection):
    return connection.execute(
        "SELECT count(*) FROM sqlite_master WHERE name = 'quarantine'").fetchone()[0] == 1


def _why(contents, message):
    return "has no table" if contents is None else contents.problem(message)


def check_final(database_path, messages, *, ledger=None, optional=(), max_payload=MAX_PAYLOAD,
                counts=True, strangers=False):
    """
    Exactly one row or entry for each message, with the values that were sent, and no other; an
    empty inbox, for which the daemon was given the time.
    ledger: of a broker that sent all of them as they are.
    optional: numbers of messages that may be missing (the broker lost them on purpose).
    strangers: there may be more (the script has garbled messages on the way).
    Returns how many messages were found.
    """
    connection = sqlite3.connect(f"file:{database_path}?mode=ro", uri=True, timeout=20)
    try:
        connection.execute("BEGIN")
        check_sound(connection)
        if counts:
            check_counts(connection)
        contents = Contents(connection)
        left = connection.execute("SELECT count(*) FROM inbox").fetchone()[0]
    finally:
        connection.close()
    if left:
        raise Broken(f"{left} rows are left in the inbox, of which {contents.waiting.total()} wait")
    return check_contents(contents, messages, ledger=ledger, optional=optional,
                          max_payload=max_payload, strangers=strangers)


def check_contents(contents, messages, *, ledger=None, optional=(), max_payload=MAX_PAYLOAD, strangers=False):
    """What check_final() asks about the rows; the arguments and the result are the same."""
    if ledger is not None:
        check_deliveries(contents, ledger.deliveries(), messages)
    problems = []
    found = 0
    for message in messages:
        problem = contents.problem(message, max_payload)
        if problem and not (problem in MISSING and message.number in optional):
            problems.append(f"message {message.number} {problem}")
        found += problem is None
    if not strangers:
        problems += _strangers(contents, messages, max_payload)
    _complain(problems, f"of {len(messages)} messages")
    return found


def _strangers(contents, messages, max_payload):
    """Rows and entries that nobody sent."""
    rows = {row_key(m) for m in messages if not is_quarantine(m)}
    entries = {quarantine_digest(m.topic, m.payload, max_payload)
               for m in messages if is_quarantine(m)}
    return ([f"row {key[:3]} was never sent" for key in contents.rows if key not in rows]
            + [f"quarantine entry {contents.quarantine[d][:3]} was never sent"
               for d in contents.quarantine if d not in entries])


def check_not_early(ledger):
    """Nothing that a Witness has seen."""
    _complain(list(ledger.early), "acknowledged too early")


def _complain(problems, about):
    if problems:
        more = f"\n  ... and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise Broken(f"{len(problems)} problems {about}:\n  " + "\n  ".join(problems[:10]) + more)


class Witness:
    """
    For FaultBroker(witness=...): at the moment an acknowledgement arrives, the row must be visible
    to a reader, or wait in the inbox, which it does from its COMMIT on.
    """

    max_payload = MAX_PAYLOAD   # as the daemon is configured

    def __init__(self, database_path, messages=()):
        self.path = database_path
        self.messages = {m.number: m for m in messages}
        self.looked_up = 0
        self._connection = None
        self._inbox = None

    def add(self, messages):
        self.messages.update((m.number, m) for m in messages)

    def forget_connection(self):
        """When the database file is another one than before."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def __call__(self, numbers):
        if self._connection is None:
            self._connection = sqlite3.connect(
                f"file:{self.path}?mode=ro", uri=True, timeout=20, check_same_thread=False,
                isolation_level=None)
            self._inbox = inbox.Index()
        self.looked_up += len(numbers)
        self._connection.execute("BEGIN")   # or it may leave the inbox between two questions
        try:
            return [f"message {n} was acknowledged and is not in the database"
                    for n in numbers if n in self.messages and not self._is_there(self.messages[n])]
        finally:
            self._connection.execute("ROLLBACK")

    def _is_there(self, message):
        if is_quarantine(message):
            digest = quarantine_digest(message.topic, message.payload, self.max_payload)
            question = "SELECT 1 FROM quarantine WHERE digest = ?", (digest,)
        else:
            row = message.expect
            question = (f"SELECT 1 FROM {row.table} JOIN devices USING (device) "
                        "WHERE device_id = ? AND time_ms = ?", (row.device, row.time_ms))
        return (self._connection.execute(*question).fetchone() is not None
                or self._inbox.waits(self._connection, message.topic, message.payload))
