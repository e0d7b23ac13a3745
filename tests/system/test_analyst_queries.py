"""
The data dictionary and every query of schema/README.md, on a small fleet made for them.

Each query is taken out of the document as it stands there and run with the sqlite3 shell; what it
must give is calculated here from the same list of readings, without SQL. A query added to the
document without an expectation fails, and so does a column without a line in the dictionary.
"""

import csv
import datetime
import hashlib
import json
import pathlib
import re
import shutil
import sqlite3
import subprocess
import time

import pytest

SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "schema"
README = (SCHEMA / "README.md").read_text(encoding="utf-8")

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOW = int(time.time()) * 1000
"""Queries use the present time: readings lie an hour or more from every limit of theirs."""


def utc(ms):
    if ms is None:
        return None
    return datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc).strftime("%F %T")


def day(ms):
    return utc(ms)[:10]


class near:
    """Equal to the text of a time that differs by a few hours at most."""

    def __init__(self, ms, tolerance_ms=4 * HOUR):
        self.ms, self.tolerance_ms = ms, tolerance_ms

    def __eq__(self, text):
        return utc(self.ms - self.tolerance_ms) <= text <= utc(self.ms + self.tolerance_ms)

    def __repr__(self):
        return f"near {utc(self.ms)}"


def mean(values):
    return sum(values) / len(values)


class Fleet:
    """
    1BBCE   in groups herd and north: loses 2 % a day, twice a day; temperature once
    20001   in herd: silent for 30 hours, low, hourly with a pause of three days, and a message of its own
    30002   sends gps only, two days ago
    40004   temperature only, in no group, its clock 90 s fast; now too warm, and too cold nine days ago
    ghost   known, but all it ever sent is a conflict
    """

    devices = [  # device, device_id, first_seen_ms
        (1, "1BBCE", NOW - 40 * DAY),
        (2, "20001", NOW - 39 * DAY),
        (3, "30002", NOW - 2 * DAY),
        (4, "40004", NOW - 38 * DAY),
        (5, "ghost", NOW - 3 * DAY),
    ]
    groups = [("herd", 1), ("herd", 2), ("herd", 5), ("north", 1)]

    def __init__(self):
        self.battery = []  # device, time_ms, voltage_v, level_pct, extra, received_ms
        for k in range(10):
            newest = NOW - HOUR - k * DAY
            rssi = {"battery": {"rssi": -90 - 2 * k}}
            self.battery.append((1, newest, 3.6 + k / 100, 40.0 + 2 * k, rssi, newest + 2000))
            self.battery.append(
                (1, newest - 12 * HOUR, 3.605 + k / 100, 41.0 + 2 * k, None, newest + HOUR)
            )
        for hours in (30, 31, 31 + 72, 32 + 72, 33 + 72, 34 + 72, 35 + 72):
            then = NOW - hours * HOUR
            self.battery.append((2, then, 3.35, 15.0 if hours == 30 else None, None, then + 500))
        self.temperature = [  # device, time_ms, celsius, received_ms
            (1, NOW - HOUR - 20 * MINUTE, 21.0, NOW - HOUR),
            (1, NOW - HOUR - 40 * MINUTE, 20.0, NOW - HOUR),
            (1, NOW - 30 * MINUTE, 22.5, NOW - 29 * MINUTE),
            (2, NOW - 31 * HOUR, 19.0, NOW - 31 * HOUR),
            (4, NOW - 2 * HOUR, 41.5, NOW - 2 * HOUR - 90_000),
            (4, NOW - 3 * HOUR, 39.5, NOW - 3 * HOUR - 90_000),
            (4, NOW - 9 * DAY, -5.0, NOW - 9 * DAY),
        ]
        self.messages = [  # device, type, time_ms, body
            (3, "gps", NOW - 2 * DAY, {"gps": {"lat": 47.37, "lon": 8.54}}),
            (3, "gps", NOW - 3 * DAY, {"gps": {"lat": 47.38, "lon": 8.55}}),
            (2, "status", NOW - 50 * HOUR, {"status": {"boot": 3}}),
        ]
        self.quarantine = [  # topic, payload, reason, detail, first, last, occurrences
            (b"foxtrackr/1/V3.0/bat", b"{", "json", "line 1: it ends too soon", 9, 5, 3),
            (b"foxtrackr/2/V3.0/bat", b"{]", "json", "line 1: ']' is not expected", 4, 4, 1),
            (b"foxtrackr/ghost/V3.0/bat", b'{"x":1}', "conflict", "battery.voltage_v is", 3, 3, 1),
            (b"fox\xff", b"%", "encoding", "topic: not UTF-8", 2, 2, 1),
        ]
        self.gaps = [  # client_id, last_durable_ms, resumed_ms, reason
            ("id-a-01", NOW - 20 * DAY, NOW - 12 * DAY, "session lost"),
            ("id-a-02", None, NOW - 11 * DAY, "session lost"),
            ("id-a-01", NOW - 5 * DAY, NOW - 5 * DAY + 90 * MINUTE, "session uncertain"),
        ]
        self.runs = [  # started, stopped, received, stored, duplicate, quarantined
            (NOW - 40 * DAY, NOW - 12 * DAY, 30, 25, 1, 4),
            (NOW - 12 * DAY, None, 12, 10, 2, 0),
        ]
        self.expired = [  # run, table_name, row_count, before_ms, last_ms
            (1, "battery", 120, NOW - 50 * DAY, NOW - 20 * DAY),
            (2, "battery", 30, NOW - 30 * DAY, NOW - HOUR),
            (1, "messages", 7, NOW - 50 * DAY, NOW - 20 * DAY),
        ]
        self.limits = [  # group_name, device_id, celsius_min, celsius_max, duration_s, hysteresis
            ("herd", None, 2.0, 22.0, 0, 0.0),
            (None, "40004", 0.0, 40.0, 600, 1.0),
        ]
        self.inbox = [  # n, device: 11 to 13 are done or being sorted in, up to device 2
            (10, 3), (11, 2), (12, 1), (13, 4), (14, 1),
        ]
        self.inbox_position = (11, 13, 2, 11)

    def write(self, path):
        db = sqlite3.connect(path)
        for migration in sorted(SCHEMA.glob("[0-9]*.sql")):
            db.executescript(migration.read_text(encoding="utf-8"))
        with db:
            db.execute("PRAGMA foreign_keys = ON")
            put = db.executemany
            put("INSERT INTO devices VALUES (?, 'foxtrackr', ?, ?)", self.devices)
            put("INSERT INTO device_groups VALUES (?, ?, 1700000000000)", self.groups)
            put(
                "INSERT INTO battery VALUES (?, ?, ?, ?, 5, ?, ?)",
                [(*b[:4], b[4] and json.dumps(b[4]), b[5]) for b in self.battery],
            )
            put("INSERT INTO inbox VALUES (?, ?, 'id-a-01', 'foxtrackr/x/V3.0/bat', x'7b7d', 1)",
                self.inbox)
            db.execute("UPDATE inbox_position SET first_n = ?, last_n = ?, device = ?, n = ?",
                       self.inbox_position)
            put("INSERT INTO temperature VALUES (?, ?, ?, 6, NULL, ?)", self.temperature)
            for device, kind, time_ms, body in self.messages:
                text = json.dumps(body)
                digest = hashlib.sha256(text.encode()).digest()
                db.execute(
                    "INSERT INTO messages VALUES (?, ?, ?, 'V3.0', 7, ?, ?, ?)",
                    (device, kind, time_ms, text, digest, time_ms),
                )
            for topic, payload, reason, detail, first, last, occurrences in self.quarantine:
                try:
                    as_stored = topic.decode()
                except UnicodeDecodeError:
                    as_stored = topic
                digest = hashlib.sha256(len(topic).to_bytes(8, "big") + topic + payload).digest()
                db.execute(
                    "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (digest, as_stored, payload, reason, detail)
                    + (NOW - first * HOUR, NOW - last * HOUR, occurrences),
                )
            put("INSERT INTO gaps VALUES (?, ?, ?, ?)", self.gaps)
            put(
                "INSERT INTO runs (started_ms, stopped_ms, version, received, stored, duplicate,"
                " quarantined) VALUES (?, ?, '0.1.0', ?, ?, ?, ?)",
                self.runs,
            )
            put("INSERT INTO expired VALUES (?, ?, ?, ?, ?)", self.expired)
            put("INSERT INTO limits (group_name, device_id, celsius_min, celsius_max, duration_s, hysteresis)"
                " VALUES (?, ?, ?, ?, ?, ?)", self.limits)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        db.close()

    # The expected results of the queries, computed in Python.

    def name(self, device):
        return self.devices[device - 1][1]

    def latest(self, rows, device):
        return max((row for row in rows if row[0] == device), key=lambda row: row[1], default=None)

    def last_seen(self, device):
        times = [row[1] for row in self.battery + self.temperature if row[0] == device]
        times += [row[2] for row in self.messages if row[0] == device]
        return max(times, default=None)

    def in_groups(self, device):
        return ", ".join(sorted(g for g, member in self.groups if member == device)) or None

    def fleet(self):
        for device, name, first_seen in self.devices:
            yield {
                "device": device,
                "name": name,
                "first_seen": first_seen,
                "last_seen": self.last_seen(device),
                "battery": self.latest(self.battery, device) or (device, None, None, None),
                "celsius": (self.latest(self.temperature, device) or (0, 0, None))[2],
            }


FLEET = Fleet()
EXPECTED = {}


def expect(heading):
    def register(function):
        EXPECTED[heading] = function
        return function

    return register


@expect("What did each device report last?")
def latest():
    return [
        (d["name"], FLEET.in_groups(d["device"]), utc(d["last_seen"]))
        + (d["battery"][2], d["battery"][3], d["celsius"])
        for d in FLEET.fleet()
    ]


def until_now(hours):
    """It goes on while the tests run: for a quarter of an hour at most."""
    return pytest.approx(hours + 0.1, abs=0.2)


@expect("Which devices have been silent?")
def silent():
    return [
        ("ghost", None, None, None, None),
        ("30002", utc(NOW - 2 * DAY), until_now(48.0), None, None),
        ("20001", utc(NOW - 30 * HOUR), until_now(30.0), 60.0, 15.0),
    ]


@expect("Which batteries are low?")
def low():
    return [("20001", utc(NOW - 30 * HOUR), 15.0, 3.35)]


@expect("Which devices have the weakest batteries?")
def weakest():
    return [("20001", 15.0, 3.35, utc(NOW - 30 * HOUR)), ("1BBCE", 40.0, 3.6, utc(NOW - HOUR))]


@expect("How did the battery of one device do, day by day?")
def battery_days():
    days = {}
    for device, time_ms, _, level, *_ in FLEET.battery:
        if device == 1:
            days.setdefault(day(time_ms), []).append(level)
    return [
        (key, len(levels), min(levels), pytest.approx(mean(levels), abs=0.051), max(levels))
        for key, levels in sorted(days.items())
    ]


@expect("What were the lowest and highest temperatures of each day?")
def temperature_days():
    days = {}
    for device, time_ms, celsius, _ in FLEET.temperature:
        if time_ms > NOW - 8 * DAY:
            days.setdefault((FLEET.name(device), day(time_ms)), []).append(celsius)
    return [
        (*key, min(values), pytest.approx(mean(values), abs=0.051), max(values))
        for key, values in sorted(days.items())
    ]


@expect("What happened yesterday?")
def yesterday():
    wanted, rows = day(NOW - DAY), []
    for device, name, _ in FLEET.devices:
        levels = [b[3] for b in FLEET.battery if b[0] == device and day(b[1]) == wanted]
        celsius = [t[2] for t in FLEET.temperature if t[0] == device and day(t[1]) == wanted]
        if levels or celsius:
            known = [level for level in levels if level is not None]
            rows.append((name, len(levels + celsius), min(known, default=None),
                         min(celsius, default=None), max(celsius, default=None)))
    return sorted(rows)


@expect("How fast do the batteries discharge, and when will they be empty?")
def discharge():
    # Two per cent a day, and the newest reading says 40 %. 20001 is silent: no line.
    empty_ms = NOW - HOUR + 20 * DAY
    return [("1BBCE", 40.0, pytest.approx(2.0, abs=0.011), pytest.approx(20.0, abs=0.2), near(empty_ms), 0)]


@expect("Where are readings missing?")
def pauses():
    return [
        ("20001", "bat", utc(NOW - 103 * HOUR), utc(NOW - 31 * HOUR), 72.0, "device"),
        ("20001", "bat", utc(NOW - 30 * HOUR), None, until_now(30.0), "device"),
    ]


@expect("How complete are the readings of each day?")
def coverage():
    # 1BBCE sends twice a day, always; 20001 by the hour.
    times, rows = [b[1] for b in FLEET.battery if b[0] == 2], []
    for day_ms in range(min(times) // DAY * DAY, NOW - DAY, DAY):
        received = sum(day_ms <= time_ms < day_ms + DAY for time_ms in times)
        expected = (day_ms + DAY - max(day_ms, min(times))) / HOUR
        percent = min(100, 100 * received / expected)
        if expected >= 1 and percent < 90:
            rows.append(("20001", day(day_ms), received, pytest.approx(expected, abs=0.051))
                        + (pytest.approx(percent, abs=0.051),))
    return rows


@expect("How often does each device report?")
def intervals():
    return [
        ("1BBCE", "bat", 720.0),
        ("1BBCE", "temp", None),
        ("20001", "bat", 60.0),
        ("20001", "temp", None),
        ("40004", "temp", None),
    ]


@expect("When was it too warm or too cold?")
def too_warm():
    # An excursion ends with the first reading inside; 22.5 °C of 1BBCE and 41.5 °C are the newest.
    return [
        ("40004", "below", 0.0, utc(NOW - 9 * DAY), utc(NOW - 3 * HOUR), 213.0, -5.0),
        ("40004", "above", 40.0, utc(NOW - 2 * HOUR), None, until_now(2.0), 41.5),
        ("1BBCE", "above", 22.0, utc(NOW - 30 * MINUTE), None, until_now(0.5), 22.5),
    ]


@expect("How is each group doing?")
def group_summary():
    # celsius: 22.5 of 1BBCE and 19.0 of 20001
    return [("herd", 3, 2, 15.0, pytest.approx(20.75, abs=0.051)), ("north", 1, 0, 40.0, 22.5)]


@expect("How did a group do, day by day?")
def herd_days():
    days = {}
    for device, time_ms, _, level, *_ in FLEET.battery:
        if device in (1, 2):
            days.setdefault(day(time_ms), []).append((device, level, None))
    for device, time_ms, celsius, _ in FLEET.temperature:
        if device in (1, 2):
            days.setdefault(day(time_ms), []).append((device, None, celsius))
    rows = []
    for key, values in sorted(days.items()):
        levels = [level for _, level, _ in values if level is not None]
        celsius = [value for *_, value in values if value is not None]
        if key >= day(NOW - 7 * DAY + DAY - 1):
            rows.append((key, len({device for device, *_ in values}), min(levels, default=None))
                        + (pytest.approx(mean(levels), abs=0.051) if levels else None,)
                        + (min(celsius, default=None), max(celsius, default=None)))
    return rows


@expect("Which devices are in a group?")
def herd():
    return [
        ("1BBCE", utc(NOW - 30 * MINUTE), 40.0, 22.5),
        ("20001", utc(NOW - 30 * HOUR), 15.0, 19.0),
        ("ghost", None, None, None),
    ]


@expect("Which devices are new this week?")
def new_devices():
    return [("ghost", utc(NOW - 3 * DAY)), ("30002", utc(NOW - 2 * DAY))]


@expect("What was the temperature when the battery was measured?")
def temperature_at_battery():
    return [
        ("1BBCE", utc(NOW - 13 * HOUR), 3.605, None),
        ("1BBCE", utc(NOW - HOUR), 3.6, 21.0),
    ]


@expect("What was the state of each device at a certain time?")
def at_a_time():
    def until(rows, device, column):
        known = [row for row in rows if row[0] == device and row[1] <= NOW - 2 * DAY and row[column] is not None]
        return max(known, key=lambda row: row[1])[column] if known else None
    return [(name, until(FLEET.battery, device, 3), until(FLEET.temperature, device, 2))
            for device, name, _ in sorted(FLEET.devices, key=lambda row: row[1])]


@expect("Which values have no column yet?")
def unmapped():
    return [("$.battery.rssi", 10, -90)]


@expect("How do I read a value that has no column?")
def rssi():
    return [("1BBCE", utc(NOW - HOUR - k * DAY), -90 - 2 * k) for k in (9, 8, 7, 6)]


@expect("What other types of messages are there?")
def other_types():
    return [
        ("gps", "V3.0", 2, 1, utc(NOW - 2 * DAY)),
        ("status", "V3.0", 1, 1, utc(NOW - 50 * HOUR)),
    ]


@expect("How do I read another type of message?")
def gps():
    return [
        ("30002", utc(NOW - 3 * DAY), 47.38, 8.55),
        ("30002", utc(NOW - 2 * DAY), 47.37, 8.54),
    ]


@expect("What is in quarantine, and why?")
def quarantine():
    return [
        ("json", 2, 4, utc(NOW - 4 * HOUR), "foxtrackr/2/V3.0/bat", "line 1: ']' is not expected"),
        ("conflict", 1, 1, utc(NOW - 3 * HOUR), "foxtrackr/ghost/V3.0/bat", "battery.voltage_v is"),
        ("encoding", 1, 1, utc(NOW - 2 * HOUR), "666F78FF", "topic: not UTF-8"),
    ]


@expect("What exactly is wrong with the newest messages in quarantine?")
def quarantine_details():
    return [
        (utc(NOW - 2 * HOUR), "encoding", "topic: not UTF-8", "666F78FF", "%"),
        (utc(NOW - 3 * HOUR), "conflict", "battery.voltage_v is")
        + ("foxtrackr/ghost/V3.0/bat", '{"x":1}'),
        (utc(NOW - 4 * HOUR), "json", "line 1: ']' is not expected", "foxtrackr/2/V3.0/bat", "{]"),
        (utc(NOW - 5 * HOUR), "json", "line 1: it ends too soon", "foxtrackr/1/V3.0/bat", "{"),
    ]


@expect("Did the daemon account for every message?")
def accounting():
    return [
        (n, utc(started), utc(stopped), "0.1.0", *counts, 0)
        for n, (started, stopped, *counts) in enumerate(FLEET.runs, 1)
    ]


@expect("What is on its way into the tables?")
def on_its_way():
    first, last, *done = FLEET.inbox_position
    return [(sum(n > last or (n >= first and [device, n] > done) for n, device in FLEET.inbox),)]


@expect("What has retention deleted?")
def deleted():
    return [("battery", 150, utc(NOW - 30 * DAY)), ("messages", 7, utc(NOW - 50 * DAY))]


@expect("When may data be missing?")
def lost_sessions():
    return [
        ("id-a-01", "session lost", utc(NOW - 20 * DAY), utc(NOW - 12 * DAY), 192.0),
        ("id-a-02", "session lost", None, utc(NOW - 11 * DAY), None),
        ("id-a-01", "session uncertain", utc(NOW - 5 * DAY))
        + (utc(NOW - 5 * DAY + 90 * MINUTE), 1.5),
    ]


@expect("What was lost, all in one?")
def lost():
    return [
        ("deleted", "messages", None, utc(NOW - 50 * DAY), 7),
        ("deleted", "battery", None, utc(NOW - 30 * DAY), 150),
        ("may be missing", "id-a-01: session lost", utc(NOW - 20 * DAY), utc(NOW - 12 * DAY), None),
        ("may be missing", "id-a-02: session lost", None, utc(NOW - 11 * DAY), None),
        ("may be missing", "id-a-01: session uncertain", utc(NOW - 5 * DAY),
         utc(NOW - 5 * DAY + 90 * MINUTE), None),
        ("missing", "run 2", utc(NOW - 12 * DAY), None, 0),
    ]


@expect("How late do readings arrive?")
def delays():
    rows = []
    for device in (1, 2):
        late = [b[5] - b[1] for b in FLEET.battery if b[0] == device and b[1] > NOW - 7 * DAY]
        rows.append((FLEET.name(device), len(late), min(late) // 1000))
        rows[-1] += (int(mean(late)) // 1000, max(late) // 1000)
    return rows


@expect("How do I export a table to a spreadsheet?")
def export_table():
    return "battery_latest.csv", [
        ["device_id", "time_utc", "voltage_v", "level_pct"],
        ["1BBCE", utc(NOW - HOUR), "3.6", "40.0"],
        ["20001", utc(NOW - 30 * HOUR), "3.35", "15.0"],
    ]


@expect("How do I export one day of raw readings?")
def export_day():
    wanted = day(NOW - 2 * DAY)
    rows = sorted((b for b in FLEET.battery if day(b[1]) == wanted), key=lambda b: b[1])
    text = [
        [FLEET.name(b[0]), utc(b[1]), f"{b[2]:.15g}", "" if b[3] is None else str(b[3])]
        for b in rows
    ]
    return f"battery-{wanted}.csv", [["device_id", "time_utc", "voltage_v", "level_pct"]] + text


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


def shell(directory, *arguments):
    done = subprocess.run(
        arguments, cwd=directory, capture_output=True, encoding="utf-8", timeout=120
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


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
    shell(tmp_path, "sh", "-eu", "-c", block.replace("sudo -u foxtrackrd ", ""))
    out = shell(tmp_path, "sqlite3", "foxtrackr.db", "SELECT count(*), max(celsius_max) FROM limits")
    assert out.strip() == f"{len(FLEET.limits) + 1}|40.0"


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
        name: [row[1] for row in db.execute(f"PRAGMA table_info({name})")]
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
