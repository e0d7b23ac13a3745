"""A small fleet in a database, for the documents that analysts read: its readings, and what they say, calculated without SQL."""

import datetime
import hashlib
import json
import sqlite3
import subprocess
import time

from harness import ROOT

SCHEMA = ROOT / "schema"
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
        for migration in sorted((SCHEMA / "sqlite").glob("[0-9]*.sql")):
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


def shell(directory, *arguments):
    done = subprocess.run(
        arguments, cwd=directory, capture_output=True, encoding="utf-8", timeout=120
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout
