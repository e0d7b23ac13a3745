"""
What the oracle asks after a crash, for a database that may not be whole yet.

oracle.check_crash() wants the tables to be there. A crash while the very first start makes the
database leaves none, or no file; nothing can have been acknowledged by then, and what is there must
be intact all the same.
"""

import pathlib
import sqlite3
import tempfile

import oracle


def check_files(path, acknowledged, messages, deliveries, *, counts=True):
    """
    Let SQLite recover the database at `path`, and look for every message whose number is in
    `acknowledged`. The files change: this is for a copy. Raises oracle.Broken when the database is
    not sound, or has counted a message more often than `deliveries` allow; returns a sentence for
    each message that is missing or wrong, and how many messages wait in the inbox. counts: no row was
    put in or taken out but by a message.
    """
    wanted = [m for m in messages if m.number in acknowledged]
    path = pathlib.Path(path)
    if not path.exists():
        return [f"message {m.number}: no database is there" for m in wanted], 0
    connection = sqlite3.connect(path)
    try:
        contents = _contents(connection, counts)
    except sqlite3.DatabaseError as problem:
        raise oracle.Broken(f"SQLite: {problem}") from problem
    finally:
        connection.close()
    if contents is None:
        return [f"message {m.number}: the database has no tables" for m in wanted], 0
    oracle.check_deliveries(contents, deliveries, messages)
    problems = ((m.number, contents.problem(m)) for m in wanted)
    return ([f"message {number} {problem}" for number, problem in problems if problem],
            contents.waiting.total())


def _contents(connection, counts):
    """oracle.Contents, or None where there are no tables."""
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if tables == 0:
        answer = connection.execute("PRAGMA integrity_check").fetchall()
        if answer != [("ok",)]:
            raise oracle.Broken(f"integrity_check: {answer[:3]}")
        return None
    oracle.check_sound(connection)
    if counts:
        oracle.check_counts(connection)
    return oracle.Contents(connection)


def check_answer(path, ledger):
    """
    A message is acknowledged after the broker's answer to CONNECT is on record: the next start must
    not take a session for uncertain that has delivered messages. Recovers the database at `path`.
    """
    if not ledger.visits or not ledger.visits[-1].acknowledged:
        return
    connection = sqlite3.connect(path)
    try:
        if connection.execute("SELECT max(connecting) FROM sessions").fetchone() != (0,):
            raise oracle.Broken("messages were acknowledged before the answer to CONNECT was on record")
    finally:
        connection.close()


def check_crash(path, ledger, messages):
    """
    The daemon is dead and nothing was started since: is everything there that it acknowledged?
    Returns how many messages wait in the inbox.
    """
    ledger.settle()
    acknowledged = ledger.acknowledged_numbers()
    with tempfile.TemporaryDirectory(prefix="foxtrackr-crash-") as directory:
        copy = pathlib.Path(directory) / pathlib.Path(path).name
        journal = pathlib.Path(f"{path}-journal")
        if path.exists():
            oracle.copy_database(path, directory)
        if journal.exists():
            pathlib.Path(f"{copy}-journal").write_bytes(journal.read_bytes())
        problems, waiting = check_files(copy, acknowledged, messages, ledger.deliveries())
        if not problems:
            check_answer(copy, ledger)
    if problems:
        raise oracle.Broken(f"{len(problems)} of {len(acknowledged)} acknowledged messages:\n  "
                            + "\n  ".join(problems[:10]))
    return waiting


def check_no_gap(path):
    """
    The broker has kept the session all the time: nothing may say that it was lost. "uncertain" is
    right where the daemon died between CONNECT and the record of its answer: see check_answer().
    """
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)
    try:
        gaps = connection.execute(
            "SELECT * FROM gaps WHERE reason <> 'session uncertain'").fetchall()
    finally:
        connection.close()
    if gaps:
        raise oracle.Broken(f"the session was never lost, and gaps has {gaps[:3]}")


def some_qos_1(chance):
    """For messages.make(): mostly QoS 2, which is handed over with PUBREC; QoS 1 with PUBACK."""
    return chance.choice((2, 2, 2, 1))
