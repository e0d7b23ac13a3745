"""Every block of schema/RECIPES.md, as it stands there, with the programs that Debian has."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest

from exported import DAY, iso, make_database
from harness import FOXTRACKRCTL, ROOT

TEXT = (ROOT / "schema" / "RECIPES.md").read_text(encoding="utf-8")
DUCKDB = pathlib.Path(os.environ.get("FOXTRACKR_RECIPES", "/nowhere")) / "node_modules"

NOW = int(time.time() * 1000)
DEVICES = [(1, "foxtrackr", "007", NOW), (2, "foxtrackr", "7", NOW), (3, "foxtrackr", 'a, "b"', NOW)]
BATTERY = [  # device, time_ms, voltage_v, level_pct, extra
    (1, NOW - DAY - 877, 3.712, 42.0, None), (1, NOW - 2 * DAY, None, 15.5, '{"a":"b,\\"c\\""}'),
    (2, NOW - 3 * DAY + 1, 0.1 + 0.2, 100.0, None), (3, NOW - 4 * DAY, 3.5, None, None)]
# The exports that every recipe reads.
EXPORTS = re.search(r"^```sh\n(.*?)^```$", TEXT.split("\n## ")[0], re.MULTILINE | re.DOTALL)[1]


def blocks(heading, language):
    """The blocks of code under a heading, in this language."""
    text = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)[1]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def need(program):
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not there: run make check-recipes")
    return path


def run(*command, check=True, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=100,
                          check=False, **options)
    assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


class Place:
    """A directory with foxtrackr.db, and a foxtrackrctl whose configuration names it."""

    def __init__(self, path):
        self.path = path
        self.database = path / "foxtrackr.db"
        with contextlib.closing(make_database(self.database, wal=True)) as db:
            put = db.executemany
            put("INSERT INTO devices VALUES (?, ?, ?, ?)", DEVICES)
            put("INSERT INTO battery VALUES (?1, ?2, ?3, ?4, 5, ?5, ?2)", BATTERY)
            put("INSERT INTO temperature VALUES (1, ?, ?, 6, NULL, 1)", [(NOW - DAY, 20.5), (NOW, 21.0), (NOW - 5, None)])
            put("INSERT INTO messages VALUES (1, 'gps', ?, 'V3.0', 7, ?, ?, 1)",
                [(NOW, '{"gps":{"lat":47.4}}', b"1" * 32), (NOW, '{"gps":null}', b"2" * 32)])
            put("INSERT INTO quarantine VALUES (?, 'x', x'00', ?, '', 1, 2, 1)",
                [(b"1", "json"), (b"2", "time"), (b"3", "json")])
        (path / "password").write_text("x")
        (path / "password").chmod(0o600)
        (path / "conf").write_text(
            f"[broker]\nhost = localhost\nusername = u\npassword_file = {path}/password\n"
            f"[session]\ngiven = t\n[database]\npath = {self.database}\n")
        (path / "bin").mkdir()
        (path / "bin/foxtrackrctl").write_text(f'#!/bin/sh\nexec {FOXTRACKRCTL} -c {path}/conf "$@"\n')
        (path / "bin/foxtrackrctl").chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{path}/bin:{os.environ['PATH']}", "HOME": str(path)}
        self.shell(EXPORTS)

    def shell(self, text):
        return run("bash", "-euo", "pipefail", "-c", text, cwd=self.path, env=self.environment).stdout


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def names():
    return {row[0]: row[2] for row in DEVICES}


def test_sqlite3(place):
    first, second = blocks("sqlite3", "sh")
    place.shell(first)
    with contextlib.closing(sqlite3.connect(place.path / "mine.db")) as db:
        got = db.execute("SELECT * FROM battery ORDER BY time_ms DESC").fetchall()
    assert got == [(names()[b[0]], *b[1:]) for b in BATTERY]
    assert place.shell(second).splitlines()[1:] == ["json|2", "time|1"]


def test_jq(place):
    low, mean, gps = blocks("jq", "sh")[0].splitlines() + blocks("jq", "sh")[1].splitlines()
    assert place.shell(low) == ""  # the newest of 007 is 42 %
    assert float(place.shell(mean)) == 20.75
    assert place.shell(gps) == '{"lat":47.4}\n'


def test_pandas(place):
    database, export = blocks("pandas", "python")
    done = run(sys.executable, "-c", database + """
print(battery.sort_values("time_ms", ascending=False)[["device_id", "time_ms", "voltage_v", "level_pct"]]
      .to_json(orient="values", double_precision=15))
print(battery["time"].dtype, len(daily))""", cwd=place.path)
    rows, kind = done.stdout.splitlines()
    assert json.loads(rows)[0] == ["007", BATTERY[0][1], 3.712, 42.0] and len(json.loads(rows)) == 4
    assert kind.startswith("datetime64[ns, UTC]")
    done = run(sys.executable, "-c", export + """
row = battery[battery["time_ms"] == battery["time_ms"].max()].iloc[0]
print(row["device_id"], row["time_utc"].isoformat(timespec="milliseconds"), row["voltage_v"])
print(battery["time_utc"].dtype, sorted(set(fleet["device_id"])), battery["voltage_v"].isna().sum())""", cwd=place.path)
    first, second = done.stdout.splitlines()
    assert first == f"007 {iso(BATTERY[0][1]).replace('Z', '+00:00')} 3.712"
    assert second == """datetime64[ns, UTC] ['007', '7', 'a, "b"'] 1"""


def test_r(place):
    need("Rscript")
    database, export = blocks("R", "r")
    show = "\ncat(nrow(battery), format(max(battery$time) + 0.0005, '%Y-%m-%dT%H:%M:%OS3'), battery$device_id[1], '\\n')"
    for code in (database, export):
        done = run("Rscript", "-e", code + show, cwd=place.path)
        count, newest, device = done.stdout.split()
        assert (count, device) == ("4", "007")
        # R cuts a time at the third decimal: without the half of a millisecond above, now and then below.
        assert newest + "Z" == iso(BATTERY[0][1])


def test_sqlite_utils(place):
    need("sqlite-utils")
    table, newest = blocks("sqlite-utils", "sh")[0].splitlines()
    assert "device_id" in place.shell(table)
    lines = place.shell(newest).splitlines()
    assert len(lines) == 4 and lines[0] == "device_id,newest"
    assert any(iso(BATTERY[3][1]) in line for line in lines)


def test_visidata(place):
    need("vd")
    place.shell(blocks("VisiData", "sh")[0])
    lines = (place.path / "battery.tsv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 5 and lines[0].split("\t")[:4] == ["device", "family", "device_id", "time_ms"]
    assert lines[1].split("\t")[2] == "007"


RUN_DUCKDB = """
const { DuckDBInstance } = require("@duckdb/node-api");
(async () => {
  const connection = await (await DuckDBInstance.create(":memory:")).connect();
  await connection.run(process.argv[1]);
  const reader = await connection.runAndReadAll(
    "SELECT device_id, epoch_ms(time_utc)::DOUBLE, time_ms::DOUBLE, voltage_v, level_pct, extra FROM 'battery.parquet' ORDER BY time_ms DESC");
  console.log(JSON.stringify(reader.getRows()));
  const types = await connection.runAndReadAll("SELECT column_type FROM (DESCRIBE SELECT * FROM 'battery.parquet')");
  console.log(types.getRows().map((row) => row[0]).join(" "));
})().catch((problem) => { console.error(problem); process.exit(1); });
"""


def test_duckdb_and_parquet(place):
    need("node")
    if not (DUCKDB / "@duckdb").is_dir():
        pytest.skip("DuckDB could not be had from npm")
    recipe, _extension = blocks("DuckDB and Parquet", "sql")
    done = run("node", "-e", RUN_DUCKDB, recipe, cwd=place.path,
               env={**place.environment, "NODE_PATH": str(DUCKDB)})
    rows, types = done.stdout.splitlines()
    assert json.loads(rows) == [[names()[b[0]], b[1], *b[1:]] for b in BATTERY]
    assert types == "VARCHAR TIMESTAMP BIGINT DOUBLE DOUBLE VARCHAR"


def test_every_block_is_tested():
    """Goal: no recipe is added that nobody runs. Those of Grafana are in tests/system."""
    source = pathlib.Path(__file__).read_text(encoding="utf-8")
    tested = set(re.findall(r'blocks\("([^"]+)", "(\w+)"\)', source)) | {("Grafana", "sql")}
    heading = None
    for line in TEXT.split("\n## ", 1)[1].splitlines():
        if line.startswith("## ") or heading is None:
            heading = line.removeprefix("## ")
        if match := re.match(r"```(\w+)$", line):
            assert (heading, match[1]) in tested, (heading, match[1])
