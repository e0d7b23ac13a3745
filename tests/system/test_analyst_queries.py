"""
Every query of schema/README.md, on a small fleet made for them.

Each query is taken out of the document as it stands there and run with the sqlite3 shell; what it
must give is calculated from the same list of readings, without SQL (analyst_expectations.py). A
query added to the document without an expectation fails.
"""

import csv
import json
import re
import shutil

import pytest

from analyst_expectations import EXPECTED
from analyst_fleet import FLEET, README, SCHEMA, shell


def queries():
    """heading -> (language, text) of every fenced block of the chapter "Queries"."""
    chapter = README.split("\n## Queries\n")[1]
    found = {}
    for section in chapter.split("\n### ")[1:]:
        blocks = re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL)
        heading = section.splitlines()[0]
        assert len(blocks) == 1, f"{heading}: one query a heading"
        found[heading] = blocks[0]
    return found


QUERIES = queries()


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("analyst")
    FLEET.write(directory / "foxtrackr.db")
    return directory


def test_every_query_has_an_expectation():
    assert list(QUERIES) == list(EXPECTED)
    assert len(QUERIES) > 12


@pytest.mark.parametrize("heading", QUERIES)
def test_query(directory, heading):
    language, text = QUERIES[heading]
    expected = EXPECTED[heading]()
    if language == "sh":
        shell(directory, "sh", "-eu", "-c", text)
        name, rows = expected
        with open(directory / name, encoding="utf-8", newline="") as file:
            assert list(csv.reader(file)) == rows
        return
    assert language == "sql"
    out = shell(directory, "sqlite3", "-readonly", "-json", "foxtrackr.db", text)
    rows = [tuple(row.values()) for row in json.loads(out or "[]")]
    assert rows == expected


def test_the_example_at_the_top_runs(directory):
    example = re.search(r"```sh\n(.*?)```", README, re.DOTALL).group(1)
    out = shell(directory, "sh", "-eu", "-c", example)
    assert all(name in out for _, name, _ in FLEET.devices)


def test_the_queries_of_the_front_page_run(directory):
    """Goal: what the project's README shows to analysts can be typed as it stands."""
    front = (SCHEMA.parent / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^ +sqlite> (.*;)", front, re.MULTILINE)
    assert len(shown) >= 5
    for query in shown:
        shell(directory, "sqlite3", "-readonly", "foxtrackr.db", query)


def test_the_example_of_limits_runs(directory, tmp_path):
    """Goal: the limits that the document sets are set as it stands there, but for the user."""
    (block,) = re.findall(r"```sh\n(sudo.*?)```", README, re.DOTALL)
    shutil.copy(directory / "foxtrackr.db", tmp_path)
    shell(tmp_path, "sh", "-eu", "-c", block.replace("sudo -u foxtrackrd ", "").replace("/var/lib/foxtrackrd/", ""))
    out = shell(tmp_path, "sqlite3", "foxtrackr.db", "SELECT count(*), max(celsius_max) FROM limits")
    assert out.strip() == f"{len(FLEET.limits) + 3}|40.0"
    for change in ("UPDATE", "DELETE"):
        (statement,) = re.findall(rf"`({change} [^`]*limits [^`]*)`", README)
        assert shell(tmp_path, "sqlite3", "foxtrackr.db", f"{statement}; SELECT changes()").strip() == "1"
