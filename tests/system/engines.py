"""
The engine that the system tests run on: SQLite, or with FOXTRACKR_ENGINE=postgresql a private server of PostgreSQL, one
for each process of pytest, with a database for each daemon. A test names the file of SQLite in both: it stands for the
database. Every module of tests/system runs on both engines, but for those that LEFT_OUT_MODULES and LEFT_OUT below name,
with the reason.
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
NO_DATABASE = "no daemon in it has a database"
BUILD = "is about the build"
BOTH = "has a server of its own: make system-postgresql runs it after the others"

LEFT_OUT_MODULES = {
    "upgrade": "0.1.0 had SQLite alone",
    **dict.fromkeys(("alerts", "completion", "ctl_help", "dependencies", "documents", "fleet", "left_out", "library",
                     "plurals", "scripted_broker", "snippets", "stages"), NO_DATABASE),
    **dict.fromkeys(("migrate", "postgresql", "postgresql_answers", "postgresql_questions", "postgresql_roles",
                     "postgresql_status", "postgresql_tls", "postgresql_tools"), BOTH),
    "analyst_dictionary": "is about schema/README.md; test_postgresql_answers.py reads the columns and views of PostgreSQL",
    "analyst_queries": "asks the questions of schema/README.md of SQLite; test_postgresql_questions.py asks those of PostgreSQL",
    "answers": "is about SQLite's roll-ups; test_postgresql_answers.py compares the views of both engines over one fleet",
    "backup": "backup copies a file; test_postgresql_tools.py shows what it says instead",
    "config": "no engine sees what is refused there; unit/test_config_database.c has the keys of PostgreSQL",
    "database": FILE + ": locked, full, damaged; unit/test_pg_faults.c and faults/postgresql have the faults of a server",
    "demo": "the demonstration is with SQLite",
    "export_columns": "reads the schema of SQLite; test_postgresql_answers.py shows that PostgreSQL has the same columns",
    "export": "has files that no daemon made; test_postgresql_tools.py exports, test_postgresql_answers.py compares the rows",
    "inbox": "PostgreSQL has no inbox",
    "names": FILE,
    "paths": FILE,
    "readers": FILE + "; test_postgresql_roles.py is about those who may read a database",
    "readings_dashboard": "its SQL is for SQLite",
    "readme": "is about the README",
    "report": "has a file that no daemon made; test_postgresql_tools.py makes a report, test_serve.py shows it",
    "report_page": "is about the page in a browser, which is the same",
    "restore": "restore replaces a file; test_postgresql_tools.py shows what it says instead",
    "rollups": "PostgreSQL has no roll-ups",
    "verify": FILE + "; test_postgresql_tools.py has verify on PostgreSQL",
}
"""Modules, without test_ and .py, of which nothing is run on PostgreSQL, and why."""

LEFT_OUT = {
    **dict.fromkeys((f"test_paho_link.py::test_{name}" for name in (
        "an_archive", "only_pahos_own_calls", "paho_is_linked", "the_shared_library", "a_version", "version_tells")), BUILD),
    "test_check_connect.py::test_check_files": "the user of the daemon is the owner of the file of SQLite",
    "test_check_connect.py::test_check_forecasts_from_the_database": SPACE,
    "test_ctl.py::test_check_finds_a_foreign_database": FILE,
    "test_ctl.py::test_check_of_a_missing_directory": FILE,
    **dict.fromkeys((f"test_diagnoses.py::test_{name}" for name in (
        "a_broker", "a_refused", "a_server", "every_refused", "malformed_packets")), "is about a broker's answer"),
    "test_reload_keys.py::test_a_reload_changes[database.min_free_mb]": SPACE,
    "test_reload_keys.py::test_a_reload_changes[database.rollup_days]": "PostgreSQL has no roll-ups",
    "test_replay.py::test_replay_leaves_another_file_alone": FILE,
    "test_serve.py::test_nothing_is_written": FILE,
    "test_serve.py::test_same_page_as_the_file": "PostgreSQL needs more than a second for two pages, which have their age",
    "test_status_shown.py::test_words_of_the_space": SPACE,
    "test_views.py::test_the_worked_example": "is an example for sqlite3",
    "test_views.py::test_tools_keep_working": "backup and restore are for a file",
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


def shown(path):
    """How messages name the database in the place of this file."""
    return f"{cluster().sockets}:{cluster().port}/{database_of(path)}" if POSTGRESQL else str(path)


def slow_commits(path, delay_us):
    """Let every commit of a connection that begins from now on take that long at least. On PostgreSQL this is what
    harness.slow_disk() is for a file: a test that ends a program in the middle needs a middle."""
    if POSTGRESQL:
        name = database_of(path)
        cluster().psql(f"ALTER DATABASE {name} SET commit_delay = {delay_us};"
                       f" ALTER DATABASE {name} SET commit_siblings = 0")


def sections(given):
    """The sections of a configuration for SQLite, for the engine that is tested."""
    database = given.get("database")
    if not POSTGRESQL or database is None or "engine" in database or database.get("path") is None:
        return given
    uri = cluster().uri(database_of(database["path"]))
    return {**given, "database": {"engine": "postgresql", "uri": uri,
                                  **{key: text for key, text in database.items() if key not in ONLY_SQLITE}}}


def is_left_out(module):
    """Is nothing of this file with tests run on the engine?"""
    return POSTGRESQL and pathlib.Path(module).stem.removeprefix("test_") in LEFT_OUT_MODULES


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
