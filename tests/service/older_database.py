"""
Leave the database that the daemon has just closed as foxtrackrd 0.1.0 would have left it: made with the
migrations that it had, with every row. ExecStopPost= of the older package's service runs it, so that what
the maintainer scripts start finds the work of an older version. The database of a real 0.1.0 stays as it is.

usage: older_database.py DATABASE COPY      (COPY: another of the same, to compare with)
"""

import os
import pathlib
import shutil
import sqlite3
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import released  # noqa: E402


def tables(database):
    """The tables of the schema, each with the names of its columns."""
    return {table: [name for name, in database.execute("SELECT name FROM pragma_table_info(?)", (table,))]
            for table, in database.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'"
                                           " AND name NOT LIKE 'sqlite%'").fetchall()}


def make(older, newer):
    """The database `older`, new and of the version of 0.1.0, with the rows of `newer`."""
    database = sqlite3.connect(older, isolation_level=None)
    database.execute("PRAGMA auto_vacuum = INCREMENTAL")
    database.execute("PRAGMA journal_mode = WAL")
    for migration in sorted((ROOT / "schema" / "sqlite").glob("[0-9]*.sql"))[:released.SCHEMA]:
        database.executescript(migration.read_text())
    database.execute(f"PRAGMA application_id = {0x464f5854}")
    database.execute("ATTACH ? AS newer", (str(newer),))
    database.execute("BEGIN")
    for table, names in tables(database).items():
        columns = ", ".join(names)
        database.execute(f"INSERT OR REPLACE INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}")
    database.execute("UPDATE main.runs SET version = '0.1.0'")
    database.execute(f"PRAGMA main.user_version = {released.SCHEMA}")
    database.execute("COMMIT")
    database.close()


def main():
    newer, copy = map(pathlib.Path, sys.argv[1:])
    wal = newer.with_name(newer.name + "-wal")
    assert not wal.exists() or wal.stat().st_size == 0, "it was not closed"
    if released.real():
        shutil.copyfile(newer, copy)
        return
    owner = newer.stat()
    make(copy, newer)
    newer.unlink()
    shutil.copyfile(copy, newer)
    os.chown(newer, owner.st_uid, owner.st_gid)
    newer.chmod(owner.st_mode & 0o777)


if __name__ == "__main__":
    main()
