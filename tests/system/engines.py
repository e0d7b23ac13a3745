"""
The engine that the system tests run on: SQLite, or with FOXTRACKR_ENGINE=postgresql a private server of PostgreSQL, one
for each process of pytest, with a database for each daemon. A test names the file of SQLite in both: it stands for the
database. Which tests are left out on PostgreSQL, and why, is said in LEFT_OUT below.
"""

import functools
import hashlib
import os
import pathlib
import re
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

import postgres  # noqa: E402
from left_out import NO_MATTER  # noqa: E402
import pq  # noqa: E402

POSTGRESQL = os.environ.get("FOXTRACKR_ENGINE") == "postgresql"

FILE = "is about the file of SQLite"
SPACE = "min_free_mb is for SQLite: the disk of a server is not looked at"

LEFT_OUT = {
    "test_session.py::test_a_disk_that_is_not_mounted": FILE,
    "test_status.py::test_a_reader_has_no_configuration": "without a configuration nothing leads to the server",
    "test_status.py::test_gaps_and_quarantine_of_all_runs": FILE,
    "test_status.py::test_most_in_quarantine_is_not_well": "the sentence ends with a command of sqlite3",
    "test_status.py::test_space_is_unknown_at_first": SPACE,
    "test_status.py::test_the_space_to_keep_changes_with_a_reload": SPACE,
    "test_hostile_input.py::test_topics_of_65535_bytes":
        "a key of an index is shorter in PostgreSQL; test_pg_faults shows that such a message goes to quarantine",
    "test_start.py::test_new_schema_is_said": "PostgreSQL's schema has one version",
    "test_start.py::test_first_start_creates_everything_and_sigterm_ends_it": FILE,
    "test_start.py::test_second_daemon_on_the_same_database_is_refused":
        "daemons share a database of PostgreSQL; that one client id has one of them is shown by test_postgresql.py",
    "test_hostile_input.py::test_payloads_made_to_hurt":
        "PostgreSQL takes less of JSON than SQLite; test_pg_parts shows what goes to quarantine",
}
"""Tests that are not run on PostgreSQL, though their module is: the beginning of a test's name, and why."""

ONLY_SQLITE = ("path", "rollup_days", "min_free_mb")
"""Keys of [database] that PostgreSQL does not have."""


@functools.cache
def cluster():
    """The server. It ends with this process."""
    return postgres.Cluster(settings=("max_connections = 50", "shared_buffers = 32MB"))


@functools.cache
def _made(path):
    """The database in the place of this file."""
    name = f"t{hashlib.sha256(path.encode()).hexdigest()[:20]}"
    cluster().make_database(name)
    return name


def database_of(path):
    """The name of the database in the place of this file, which is made when it is not there."""
    return _made(str(path))


def sections(given):
    """The sections of a configuration for SQLite, for the engine that is tested."""
    database = given.get("database")
    if not POSTGRESQL or database is None or "engine" in database or database.get("path") is None:
        return given
    uri = cluster().uri(database_of(database["path"]))
    return {**given, "database": {"engine": "postgresql", "uri": uri,
                                  **{key: text for key, text in database.items() if key not in ONLY_SQLITE}}}


def why_left_out(nodeid):
    """Why this test is not run on the engine; None: it is."""
    if not POSTGRESQL:
        return None
    if not postgres.versions():
        return "PostgreSQL is not installed (Debian: postgresql)"
    name = nodeid.rpartition("/")[2]
    return next((NO_MATTER + why for beginning, why in LEFT_OUT.items() if name.startswith(beginning)), None)


class Row(tuple):
    """A row that can be read by number and by the name of a column, as sqlite3.Row."""

    def __new__(cls, values, names):
        made = super().__new__(cls, values)
        made.names = names
        return made

    def __getitem__(self, key):
        return super().__getitem__(self.names.index(key) if isinstance(key, str) else key)

    def keys(self):
        return self.names


class Connection(pq.Connection):
    """As pq.Connection; booleans are 0 and 1, as in SQLite."""

    def __init__(self, path):
        super().__init__(cluster().conninfo(database_of(path)))

    def execute(self, sql, parameters=()):
        rows = super().execute(sql, parameters)
        names = rows.names
        rows[:] = [Row((int(one) if isinstance(one, bool) else one for one in row), names) for row in rows]
        return rows


def is_missing(problem):
    """Is it that there is no such table?"""
    return re.search(r"relation \S+ does not exist", str(problem)) is not None
