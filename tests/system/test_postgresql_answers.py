"""
The same answers from both engines: one fleet, in SQLite and in PostgreSQL, and every view compared row by row.

The rows are those of tests/system/answers_fleet.py, with temperatures, groups, other messages, limits and quarantine
added. Both databases have the fleet's clock as their own. What may differ is named in DIFFERENT, with the reason.
"""

import contextlib
import csv
import io
import math
import pathlib
import random
import re

import pytest

import postgres
from answers_fleet import DAY, HOUR, MINUTE, Fleet, roll_up
from fleet import now_ms
from test_answers import SCHEMA, database

MIGRATIONS = sorted((pathlib.Path(__file__).resolve().parents[2] / "schema" / "postgresql").glob("[0-9]*.sql"))
NOW = now_ms() // HOUR * HOUR + 53 * MINUTE - 2 * HOUR
"""Recent, because PostgreSQL's partitions are made around the time at which the schema is made."""
DEVICES = 96
TABLES = ["devices", "device_groups", "battery", "temperature", "messages", "quarantine", "gaps", "runs", "expired",
          "sessions", "subscriptions", "limits", "device_habits"]
VIEWS = {  # and its key: the columns that name a row
    "battery_latest": ["device"], "temperature_latest": ["device"], "fleet": ["device"],
    "battery_daily": ["device", "day_ms"], "temperature_daily": ["device", "day_ms"],
    "battery_pieces": ["device", "first_ms"], "temperature_pieces": ["device", "first_ms"],
    "usual_intervals": ["device", "type"], "days": ["number"], "silent_devices": ["device"],
    "battery_trend": ["device"], "reporting_gaps": ["device", "type", "from_ms"],
    "coverage_daily": ["device", "type", "day_ms"],
    "temperature_excursions": ["device", "limit_id", "side", "from_ms"],
    "group_daily": ["group_name", "day_ms"], "fleet_daily": ["day_ms"], "quarantine_summary": ["reason"],
}
DIFFERENT = {
    ("roll-ups", "battery_pieces"): "PostgreSQL has no roll-ups: each reading is a piece",
    ("roll-ups", "temperature_pieces"): "PostgreSQL has no roll-ups: each reading is a piece",
    ("roll-ups", "battery_trend"): "PostgreSQL fits a line where SQLite's roll-ups give pairs of days",
}


def offsets(zone):
    """Rows of day_offsets: UTC, or two hours in summer and one in winter, changing in the middle of the fleet's days."""
    low, high = -2**63, 2**63 - 1
    if zone == "UTC":
        return [(low, high, 0)]
    change = NOW // DAY * DAY - 17 * DAY + HOUR
    return [(low, change, 2 * HOUR), (change, high, HOUR)]


def add_others(db, fleet):
    """Temperatures, groups, messages, limits, quarantine, expired: what answers_fleet.py does not have."""
    rng = random.Random(23)
    for d in fleet.devices:
        if d.number % 7 == 0:
            db.execute("UPDATE devices SET family = 'other' WHERE device = ?", (d.number,))
        db.executemany("INSERT INTO device_groups VALUES (?, ?, ?)",
                       [(group, d.number, d.readings[0][2]) for group in ("cold", "Warm", "zürich") if rng.random() < 0.4])
        if d.number % 5 != 0:
            readings = [(time_ms + 1000, None if rng.random() < 0.02 else round(rng.gauss(5, 6), 1), received_ms)
                        for time_ms, _, received_ms in d.readings]
            db.executemany("INSERT INTO temperature VALUES (?, ?, ?, 1, ?, ?)",
                           [(d.number, t, c, '{"b": 1.0, "a":"\\u00e9"}' if rng.random() < 0.05 else None, r)
                            for t, c, r in readings])
        for time_ms, _, received_ms in d.readings[::97]:
            body = f'{{"gps" : {{"lat":{rng.random():.6f}, "fix":true, "name":"ä \\"x\\""}}}}'
            db.execute("INSERT INTO messages VALUES (?, 'gps', ?, 'V3.0', 7, ?, ?, ?)",
                       (d.number, time_ms, body, rng.randbytes(32), received_ms))
    db.execute("UPDATE battery SET voltage_v = round(3 + level_pct / 100, 3) WHERE device % 3 = 0")
    db.execute("UPDATE battery SET level_pct = NULL WHERE device % 4 = 0 AND time_ms % 17 = 0")
    db.execute("INSERT INTO devices VALUES (1000, 'foxtrackr', 'Nothing yet', ?)", (NOW - 3 * DAY,))
    db.execute("INSERT INTO devices VALUES (1001, 'foxtrackr', 'Young', ?)", (NOW - 3 * HOUR,))
    db.execute("INSERT INTO battery VALUES (1001, ?, 3.7, 80, 1, NULL, ?)", (NOW - 3 * HOUR, NOW - 3 * HOUR))
    db.execute("INSERT INTO devices VALUES (1002, 'foxtrackr', 'Three at a time', ?)", (NOW - 9 * DAY,))
    for hours in range(5, 200):
        db.executemany("INSERT INTO battery VALUES (1002, ?, NULL, 70, 1, NULL, ?)",
                       [(NOW - hours * HOUR + n * 900, NOW - hours * HOUR + 5000) for n in range(3)])
    db.executemany("INSERT INTO limits (group_name, device_id, celsius_min, celsius_max, duration_s, hysteresis,"
                   " level_pct_min) VALUES (?, ?, ?, ?, ?, ?, ?)",
                   [("cold", None, 2, 8, 3600, 0.5, 20), (None, fleet.devices[1].name, None, 9.5, 0, 0, None),
                    (None, None, -5, None, 7200, 1, 15)])
    rows = [(rng.randbytes(32), topic, payload, reason, f"sentence {n}", NOW - n * HOUR, NOW - n * MINUTE, n % 5 + 1)
            for n, (topic, payload, reason) in enumerate(
                [("foxtrackr/1/V3.0/bat", b"{", "json"), ("foxtrackr/1/V3.0/bat", b"", "json"), (b"\xff/x", b"\x00\x01", "topic"),
                 ("a/b", b"{}", "topic"), ("foxtrackr/ü/V3.0/gps", "ü".encode(), "time")])]
    db.executemany("INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    db.execute("INSERT INTO expired VALUES (1, 'battery', 12, ?, ?)", (NOW - 90 * DAY, NOW - DAY))


def pg_value(value):
    """A value for COPY in text."""
    if value is None:
        return "\\N"
    if isinstance(value, bytes):
        return "\\\\x" + value.hex()
    if isinstance(value, float):
        return repr(value)
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def load(cluster, name, db, now=NOW):
    """The rows of every table, from SQLite into PostgreSQL, whose clock becomes `now`; None: stays."""
    script = []
    for table in TABLES:
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        rows = db.execute(f"SELECT * FROM {table}").fetchall()
        if table == "quarantine":  # a topic that is no text has a column of its own
            columns.append("topic_bytes")
            rows = [(*row, None) if isinstance(row[1], str) else (row[0], None, *row[2:], row[1]) for row in rows]
        script.append(f"COPY {table} ({', '.join(columns)}) FROM STDIN;\n"
                      + "".join("\t".join(map(pg_value, row)) + "\n" for row in rows) + "\\.\n")
    script.append("DELETE FROM day_offsets;")
    script.extend("INSERT INTO day_offsets VALUES (%d, %d, %d);" % row for row in db.execute("SELECT * FROM day_offsets"))
    if now is not None:
        script.append("CREATE OR REPLACE FUNCTION foxtrackr_now_ms() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE"
                      f" RETURN {now // 1000 * 1000};")
    script.append("ANALYZE;")
    cluster.psql("\n".join(script), name, "foxtrackrd")


def pg_rows(cluster, name, sql):
    """The rows of a query as dictionaries of texts; None for NULL."""
    answer = csv.DictReader(io.StringIO(cluster.psql(sql, name, "foxtrackrd")))
    return [{key: None if text == "\\N" else text for key, text in row.items()} for row in answer]


def normal(value):
    """A value of either engine in one form: a number, or a text. A moment loses its zone, which is UTC."""
    if value is None or isinstance(value, (int, float)):
        return value if value is None else float(value)
    text = str(value)
    if text.endswith("+00") and len(text) == 22:
        text = text[:-3]
    try:
        return float(text)
    except ValueError:
        return text


def same(one, other):
    """Whether two normal values are the same; sums of floats may have been added in another order."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return one == other


def differences(view, lite, pg):
    """Sentences about the rows of a view that differ, ten at most."""
    key = VIEWS[view]
    ours = {tuple(normal(row[k]) for k in key): row for row in lite}
    theirs = {tuple(normal(row[k]) for k in key): row for row in pg}
    found = []
    if len(ours) != len(lite) or len(theirs) != len(pg):
        found.append(f"{view}: {key} is no key: {len(lite)} and {len(pg)} rows, {len(ours)} and {len(theirs)} keys")
    found.extend(f"{view} {k}: only SQLite has {ours[k]}" for k in ours if k not in theirs)
    found.extend(f"{view} {k}: only PostgreSQL has {theirs[k]}" for k in theirs if k not in ours)
    for k in ours.keys() & theirs.keys():
        found.extend(f"{view} {k}: {column} is {value!r} in SQLite and {theirs[k].get(column)!r} in PostgreSQL"
                     for column, value in ours[k].items()
                     if column not in theirs[k] or not same(normal(value), normal(theirs[k][column])))
    return found[:10]


@pytest.fixture(scope="module")
def cluster():
    if not postgres.versions():
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    made = postgres.Cluster()
    yield made
    made.stop()


def make(cluster, name):
    """A database with the schema, made as the daemon does: each migration in a transaction."""
    cluster.make_database(name)
    for migration in MIGRATIONS:
        cluster.psql(migration.read_text(encoding="utf-8"), name, "foxtrackrd", single=True)


@pytest.fixture(scope="module", params=[("UTC", "raw"), ("UTC", "roll-ups"), ("Berlin", "raw")], ids="-".join)
def both(request, cluster):
    """One fleet in both engines: (connection to SQLite, name of the database in PostgreSQL, state)."""
    zone, state = request.param
    name = f"{zone}_{state}".lower().replace("-", "")
    make(cluster, name)
    with contextlib.closing(database(now=NOW)) as db:
        fleet = Fleet(DEVICES, NOW, days=40)
        fleet.write(db)
        add_others(db, fleet)
        db.execute("DELETE FROM day_offsets")
        db.executemany("INSERT INTO day_offsets VALUES (?, ?, ?)", offsets(zone))
        if zone != "UTC":  # what the daemon writes beside it
            db.execute("UPDATE rollup_state SET zone = 'Europe/Berlin', offset_from_ms = ?, offset_until_ms = ?, offset_ms = ?",
                       offsets(zone)[0])
        db.commit()
        if state == "roll-ups":
            roll_up(db, NOW // DAY * DAY)
            db.execute("UPDATE battery_days AS d SET (voltage_v_count, voltage_min_packed, voltage_sum_packed, voltage_max_packed) = ("
                       "SELECT count(voltage_v), min(voltage_v), sum(voltage_v), max(voltage_v) FROM battery AS b"
                       " WHERE b.device = d.device AND b.time_ms / 86400000 = d.day)")
            db.execute("DELETE FROM group_days")  # the sums were made before
            db.execute("DELETE FROM fleet_days")
            db.commit()
        load(cluster, name, db)
        yield db, name, state


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_gives_the_same_rows(both, cluster, view):
    db, name, state = both
    if (state, view) in DIFFERENT:
        pytest.skip("does not apply: " + DIFFERENT[state, view])
    cursor = db.execute(f"SELECT * FROM {view}")
    names = [column[0] for column in cursor.description]
    lite = [dict(zip(names, row)) for row in cursor]
    pg = pg_rows(cluster, name, f"SELECT * FROM {view}")
    assert len(lite) > (0 if view != "silent_devices" else 2), "the fleet shows nothing of this view"
    if pg:
        assert list(pg[0]) == names, "other columns, or in another order"
    found = differences(view, lite, pg)
    assert not found, "\n".join(found)


def test_every_row_is_there(both, cluster):
    db, name, _ = both
    for table in TABLES:
        pg = int(pg_rows(cluster, name, f"SELECT count(*) AS n FROM {table}")[0]["n"])
        assert pg == db.execute(f"SELECT count(*) FROM {table}").fetchone()[0], table


def test_texts_of_json_are_kept_byte_for_byte(both, cluster):
    db, name, _ = both
    for sql in ("SELECT extra AS j FROM temperature WHERE extra IS NOT NULL ORDER BY device, time_ms",
                "SELECT body AS j FROM messages ORDER BY device, time_ms"):
        assert [row["j"] for row in pg_rows(cluster, name, sql)] == [row[0] for row in db.execute(sql)]


def test_the_schema_has_the_tables_and_columns_of_sqlite(cluster):
    """What SQLite's schema has and PostgreSQL's has not, and the reverse, is listed here."""
    make(cluster, "columns")
    of_roll_ups = {"battery_days", "temperature_days", "calendar", "rollup_dirty", "rollup_state", "fleet_days", "group_days",
                   "battery_trends"}
    with contextlib.closing(database(now=NOW)) as db:
        lite = {(relation, column[1])
                for relation, in db.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")
                if relation not in of_roll_ups and not relation.startswith("sqlite_")
                for column in db.execute(f"PRAGMA table_info({relation})")}
    pg = {(row["relation"], row["attname"]) for row in pg_rows(
        cluster, "columns", "SELECT c.relname AS relation, a.attname FROM pg_class AS c JOIN pg_attribute AS a"
        " ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped WHERE c.relnamespace = current_schema()::regnamespace"
        " AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition AND c.relname NOT LIKE 'foxtrackr%'")}
    assert lite - pg == {(table, column) for table, column in lite if table == "inbox_position"}
    assert pg - lite == {("quarantine", "topic_bytes"), ("schema_version", "single"), ("schema_version", "version"),
                         ("schema_version", "zone")}


def test_the_schema_documents_itself(cluster):
    """Every table, view and column that people read has a comment."""
    make(cluster, "comments")
    without = pg_rows(cluster, "comments", "SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a"
                      " ON a.attrelid = c.oid AND a.attnum >= 0 AND NOT a.attisdropped"
                      " WHERE c.relnamespace = current_schema()::regnamespace AND NOT c.relispartition"
                      " AND (c.relkind IN ('r', 'p') AND a.attnum > 0 AND col_description(c.oid, a.attnum) IS NULL)"
                      " UNION ALL SELECT relname, NULL FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
                      " AND relkind IN ('r', 'p', 'v') AND NOT relispartition AND obj_description(oid, 'pg_class') IS NULL")
    assert not without


def comments_of_sqlite(db):
    """{(relation, column or None): text}, from the comments in the text of SQLite's schema."""
    found = {}
    for kind, relation, sql in db.execute("SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'view')"):
        last = None
        for line in sql.splitlines()[1:]:
            column = re.match(r"    (?! )\"?(\w+)\"? +[A-Z][^-]*?(?:-- (.*))?$", line) if kind == "table" else None
            more = re.match(r"\s+-- (.*)$", line)
            if more:
                found[relation, last] = f"{found.get((relation, last), '')} {more[1]}".strip()
            elif column and column[1] not in ("PRIMARY", "UNIQUE", "CHECK", "FOREIGN"):
                last = column[1]
                if column[2]:
                    found[relation, last] = column[2].strip()
            elif kind == "view":
                break
    return found


OTHER_WORDS = {("quarantine", "topic"), ("messages", None), ("inbox", None), ("inbox", "device"), ("inbox", "client_id"),
               ("battery_trend", None), ("fleet_daily", None), ("battery_pieces", None), ("day_offsets", None),
               ("temperature_excursions", None), ("typed_views", "name")}
"""Comments that say what differs in PostgreSQL."""


def test_the_comments_are_those_of_sqlite(cluster):
    """A comment is written once, in SQLite's schema; a change there is a change here."""
    make(cluster, "words")
    pg = {(row["relname"], row["attname"]): row["description"] for row in pg_rows(
        cluster, "words", "SELECT c.relname, a.attname, d.description FROM pg_description AS d JOIN pg_class AS c"
        " ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass LEFT JOIN pg_attribute AS a"
        " ON a.attrelid = c.oid AND a.attnum = d.objsubid AND a.attnum > 0"
        " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind <> 'i' AND NOT c.relispartition")}
    with contextlib.closing(database(now=NOW)) as db:
        lite = comments_of_sqlite(db)
    assert len(lite) > 150
    # Of a view the first sentence: what follows may be about SQLite's plans.
    wrong = [f"{key}: {text!r} is {pg[key]!r}" for key, text in lite.items()
             if key in pg and key not in OTHER_WORDS
             and pg[key] != text and pg[key].partition(". ")[0].rstrip(".") != text.partition(". ")[0].rstrip(".")]
    assert not wrong, "\n".join(wrong)
