"""
Every question of schema/README.md in PostgreSQL: as it stands there, or in the words of schema/postgresql/README.md. The
fleet is that of the SQLite test (analyst_fleet.py), and so are the answers, which are calculated without SQL.
"""

import contextlib
import csv
import io
import re
import sqlite3

import pytest

from analyst_expectations import EXPECTED
from analyst_fleet import FLEET, SCHEMA
from test_analyst_queries import QUERIES
from test_postgresql_answers import cluster, load, make, normal, same  # noqa: F401

WORDS = {section.partition("\n")[0]: re.search(r"```sql\n(.*?)```", section, re.DOTALL)[1]
         for section in (SCHEMA / "postgresql" / "README.md").read_text("utf-8").split("\n### ")[1:]}
NOT_THERE = {"What is on its way into the tables?": "nothing waits on its way into PostgreSQL"}


@pytest.fixture(scope="module")
def fleet(cluster, tmp_path_factory):  # noqa: F811
    path = tmp_path_factory.mktemp("questions") / "foxtrackr.db"
    FLEET.write(path)
    make(cluster, "questions")
    with contextlib.closing(sqlite3.connect(path)) as db:
        load(cluster, "questions", db, now=None)


def test_every_variant_is_of_a_question():
    assert set(WORDS) <= set(QUERIES)
    assert len(WORDS) > 15


def canonical(value):
    """A value in the form of test_postgresql_answers.normal(); an object that compares itself stays."""
    return normal(value) if value is None or isinstance(value, (int, float, str)) else value


def equal(answer, expected):
    return same(answer, expected) if isinstance(expected, float) else expected == answer


@pytest.mark.parametrize("heading", [heading for heading, (language, _) in QUERIES.items() if language == "sql"])
def test_question(fleet, cluster, heading):  # noqa: F811
    """Goal: a question gives on both engines what the readings say."""
    if heading in NOT_THERE:
        pytest.skip("does not apply: " + NOT_THERE[heading])
    answer = cluster.psql("SET jit = off; " + WORDS.get(heading, QUERIES[heading][1]), "questions", "foxtrackrd")
    rows = [tuple(None if text == "\\N" else canonical(text) for text in row)
            for row in list(csv.reader(io.StringIO(answer)))[1:]]
    expected = [tuple(canonical(value) for value in row) for row in EXPECTED[heading]()]
    assert len(rows) == len(expected), rows
    for row, wanted in zip(rows, expected):
        assert all(equal(*pair) for pair in zip(row, wanted, strict=True)), f"{row} is not {wanted}"
