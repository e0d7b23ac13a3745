"""The Grafana dashboard of the readings, and Datasette's metadata: their SQL and their names."""

import json
import re

import pytest

from exported import DAY, START, fill, make_database
from harness import ROOT, run

DASHBOARD = json.loads((ROOT / "packaging/grafana/foxtrackrd-readings.json").read_text(encoding="utf-8"))
PANELS = {panel["title"]: panel["targets"][0] for panel in DASHBOARD["panels"]}
VARIABLE = next(one for one in DASHBOARD["templating"]["list"] if one["name"] == "device")

# Tables of which a query without a limit would read everything.
LARGE = ("battery", "temperature", "messages", "quarantine")


def grafana(sql, since=START - DAY, until=START + 2 * DAY, devices=("1BBCE", "it's 7")):
    """The statement that Grafana sends: its variables are replaced as text."""
    quoted = ",".join("'" + one.replace("'", "''") + "'" for one in devices)
    sql = sql.replace("${device:sqlstring}", quoted)
    sql = sql.replace("$__from", str(since)).replace("$__to", str(until))
    assert "$" not in sql
    return sql


@pytest.fixture
def db(tmp_path):
    db = make_database(tmp_path / "fox.db")
    fill(db)
    yield db
    db.close()


@pytest.mark.parametrize("title", PANELS)
def test_a_panel(db, title):
    """Goal: each query answers, is bound to the range where it reads readings, and seeks."""
    target = PANELS[title]
    assert target["rawQueryText"] == target["queryText"]
    sql = grafana(target["queryText"])
    cursor = db.execute(sql)
    rows = cursor.fetchall()
    names = [column[0] for column in cursor.description]
    assert rows, title
    if target["queryType"] == "time series":
        assert target["timeColumns"] == ["time"] and names == ["time", "metric", "value"]
        assert [row[0] for row in rows] == sorted(row[0] for row in rows)
        assert all(START - DAY <= row[0] * 1000 + 999 and row[0] * 1000 < START + 2 * DAY for row in rows)
    plan = [row[3] for row in db.execute("EXPLAIN QUERY PLAN " + sql)]
    for step in plan:
        assert not re.match(rf"SCAN ({'|'.join(LARGE)})\b", step), (title, plan)


def test_the_variable(db):
    """Goal: the devices of the range, by name."""
    assert db.execute(grafana(VARIABLE["query"])).fetchall()[0] == ("1BBCE",)


def test_the_recipe_of_grafana(db):
    """Goal: the query that schema/RECIPES.md shows."""
    text = (ROOT / "schema/RECIPES.md").read_text(encoding="utf-8")
    [sql] = re.findall(r"```sql\n(.*?)```", text.split("## Grafana")[1].split("## ")[0], re.DOTALL)
    assert db.execute(grafana(sql)).fetchall() == [
        (START // 1000, "1BBCE", 42.0), (START // 1000, "1BBCE", None),
        (START // 1000 + 86400, "1BBCE", 1 / 3)]


def test_metadata_of_datasette(db):
    """Goal: every table, view and column has its description, and there is no other."""
    done = run("awk", "-f", ROOT / "packaging/datasette/datasette.awk", ROOT / "schema/README.md")
    tables = json.loads(done.stdout)["databases"]["foxtrackr"]["tables"]
    there = {row[0] for row in db.execute(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'")}
    assert set(tables) == there
    for name, table in tables.items():
        assert len(table["description"]) > 20 and "`" not in table["description"], name
        columns = {row[1] for row in db.execute(f"PRAGMA table_xinfo({name})")}
        assert set(table["columns"]) == columns, name
        assert all(len(text) > 5 for text in table["columns"].values()), name
