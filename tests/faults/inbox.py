"""
What waits in the inbox of a database: messages that are stored and acknowledged, and not yet in
their tables. Rows of the inbox that are sorted in already stay there for a moment, and do not count.
"""

import collections
import sqlite3

WAITS = "(i.n > p.last_n OR (i.n >= p.first_n AND (i.device, i.n) > (p.device, p.n)))"


def exists(connection):
    """Not before the migration that makes it."""
    return connection.execute(
        "SELECT count(*) FROM sqlite_master WHERE name = 'inbox_position'").fetchone()[0] == 1


def waiting(connection):
    """(topic, payload) -> how often it waits."""
    if not exists(connection):
        return collections.Counter()
    return collections.Counter((bytes(topic), bytes(payload)) for topic, payload in connection.execute(
        f"SELECT CAST(topic AS BLOB), payload FROM inbox AS i, inbox_position AS p WHERE {WAITS}"))


def rows(path):
    """How many rows a running daemon's inbox has; 0: everything is in its table."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)
    try:
        return connection.execute("SELECT count(*) FROM inbox").fetchone()[0]
    finally:
        connection.close()


class Index:
    """For many questions to an inbox that grows: where a message is in it."""

    def __init__(self):
        self._where = {}    # (topic, payload) -> n of the last one
        self._seen = 0

    def waits(self, connection, topic, payload):
        """True if the message waits in the inbox, as the connection's transaction sees it."""
        for n, *message in connection.execute(
                "SELECT n, CAST(topic AS BLOB), payload FROM inbox WHERE n > ? ORDER BY n",
                (self._seen,)):
            self._where[tuple(message)] = self._seen = n
        n = self._where.get((topic, payload))
        return n is not None and connection.execute(
            f"SELECT 1 FROM inbox AS i, inbox_position AS p WHERE i.n = ? AND payload = ? AND {WAITS}",
            (n, payload)).fetchone() is not None
