"""
The data dictionary of schema/README.md: a column without a line in it fails. And how the views
answer: by the newest reading of each device, not by all readings.
"""

import re
import sqlite3

import pytest

from analyst_fleet import FLEET, README


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("analyst")
    FLEET.write(directory / "foxtrackr.db")
    return directory


def dictionary():
    """table or view -> its columns, as the document lists them."""
    text = README.split("\n## Tables\n")[1].split("\n## Queries\n")[0]
    found = {}
    for section in re.split(r"\n### ", text)[1:]:
        name = re.match(r"`(\w+)`", section).group(1)
        found[name] = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    return found


def test_the_dictionary_is_the_schema(directory):
    db = sqlite3.connect(directory / "foxtrackr.db")
    schema = {
        name: [row[1] for row in db.execute(f"PRAGMA table_xinfo({name})")]
        for (name,) in db.execute(
            "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')"
            " AND name NOT LIKE 'sqlite_%'"
        )
    }
    db.close()
    assert dictionary() == schema


def test_views_seek_the_newest_reading(directory):
    """One seek a device: on a large database nothing else answers in time."""
    db = sqlite3.connect(directory / "foxtrackr.db")
    for view in ("battery_latest", "temperature_latest", "fleet"):
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN SELECT * FROM {view}")]
        scans = [step for step in plan if step.startswith("SCAN") and "subquery" not in step]
        assert len(scans) == 1 and scans[0].startswith("SCAN d"), plan
    for view in ("battery_daily", "temperature_daily"):
        for column in ("device", "device_id"):
            plan = [
                row[3]
                for row in db.execute(f"EXPLAIN QUERY PLAN SELECT * FROM {view} WHERE {column} = 1")
            ]
            assert not [step for step in plan if re.match(r"SCAN [bt]\b", step)], plan
    db.close()
