"""
A catch-up for which the daemon opens its inbox, and where in it the daemon stands.

The inbox opens when 2,048 messages come within half a second and every second one changes a page of
its own: many devices, and small batches. PROGRAM is a daemon that gives them ten seconds, for a machine
that is slow, and whose lots of the inbox are a thousand times smaller, so that they are filled, and go
to its scratch file.
"""

import collections
import contextlib
import sqlite3
import time

PROGRAM = "small/foxtrackrd"
DEVICES = 2000
MESSAGES = 5000
PACES = ((5000, 50), (20, 5000))
"""(window of the broker, batch_max)"""

MOMENTS = ("filling", "sorting", "swap", "drain", "stop")

Standing = collections.namedtuple("Standing", "rows first_n last_n device n")


class View:
    """The inbox of a running daemon, as a reader sees it."""

    def __init__(self, database):
        self._database = database
        self._connection = None

    def look(self):
        """None while there is no inbox yet, or where the database cannot be read."""
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(
                    f"file:{self._database}?mode=ro", uri=True, timeout=0.1)
            return Standing(*self._connection.execute(
                "SELECT (SELECT coalesce(max(n) - min(n) + 1, 0) FROM inbox),"
                " first_n, last_n, device, n FROM inbox_position").fetchone())
        except (sqlite3.Error, TypeError):
            self.close()
            return None

    def close(self):
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None


class Moment:
    """
    A moment in a catch-up, to be waited for with come().
    filling   so many rows are in the inbox
    sorting   so many steps were made into the tables, and more remain
    swap      the next lot has just been begun
    drain     the broker has nothing left, and so many steps were made since then
    stop      as filling: the caller says SIGTERM
    """

    def __init__(self, name, chance):
        self.name = name
        self._rows = chance.randrange(1, 1500)
        self._steps = chance.randrange(0, 20)
        self._before = None

    def come(self, now, drained):
        """Called again and again with where the inbox stands."""
        before, self._before = self._before, now
        if now is None or now.rows == 0:
            return False
        if self.name in ("filling", "stop"):
            return now.rows >= self._rows
        if self.name == "swap":
            return (before is not None and before.first_n <= before.last_n
                    and before.first_n < now.first_n <= now.last_n)
        if now.n > 0 and now != before and (drained or self.name == "sorting"):
            self._steps -= 1
        return self._steps < 0


def wait_for(moment, view, drained, over, limit_s=120):
    """True when it has come; False when over(), or when all is drained and sorted in before it."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline and not over():
        empty = drained()
        now = view.look()
        if moment.come(now, empty):
            return True
        if empty and now is not None and now.rows == 0:
            return False
        time.sleep(0.0005)
    return False


def note_refused(trial, report):
    """Wait for the call that fails; the daemon tries again after a second. What waits then?"""
    view = View(trial.daemon.database)
    ends = time.monotonic() + 60
    while time.monotonic() < ends and trial.daemon.running and not report.read()[1]:
        if trial.broker.drained and not (view.look() or [0])[0]:
            break
        time.sleep(0.001)
    trial.campaign.waited += (view.look() or [0])[0] > 0
    view.close()
