"""A database to export, without a daemon, and readers of what comes out of it."""

import datetime
import hashlib
import json
import re
import sqlite3

from harness import FOXTRACKRCTL, ROOT, run

START = 1795219200000  # 2026-11-21 00:00 UTC
DAY = 86_400_000
HOUR = DAY // 24

DURATIONS = ("duration_ms", "silent_ms", "usual_ms", "drop_ms", "rise_ms", "pause_max_ms", "offset_ms", "after_ms", "last_before_ms")
"""The ends of their names."""
MOMENTS = {f"{name}_ms" for name in (
    "time", "received", "from", "to", "until", "first", "last", "first_seen", "last_seen", "first_received",
    "last_received", "battery_time", "temperature_time", "empty", "recharged", "started", "stopped", "last_durable",
    "resumed", "before", "subscribed", "connected", "established", "protocol_asked", "learnt", "analyzed",
    "battery_gone", "temperature_gone", "level_first", "level_last", "offset_from", "offset_until")}
"""Other columns in ms are none, or nobody knows."""


def make_database(path, wal=False):
    """An empty database of the present schema."""
    db = sqlite3.connect(path, isolation_level=None)
    if wal:
        db.execute("PRAGMA journal_mode = WAL")
    migrations = sorted((ROOT / "schema" / "sqlite").glob("[0-9]*.sql"))
    for migration in migrations:
        db.executescript(migration.read_text(encoding="utf-8"))
    db.execute(f"PRAGMA user_version = {len(migrations)}")
    db.execute("PRAGMA application_id = 0x464f5854")
    return db


def fill(db):
    """A few rows of every table, with every value that is hard to write."""
    put = db.executemany
    put("INSERT INTO devices VALUES (?, ?, ?, ?)", [
        (1, "foxtrackr", "1BBCE", START), (2, "foxtrackr", 'a,"b"\n;', START + 1),
        (3, "other", "1BBCE", START - 400 * DAY), (7, "fam", "ünïcode 🦊", START + DAY)])
    put("INSERT INTO device_groups VALUES (?, ?, ?)", [
        ("herd", 1, START), ("herd", 2, START), ("a, b", 1, START + 5)])
    put("INSERT INTO battery VALUES (?, ?, ?, ?, ?, ?, ?)", [
        (1, START, 3.7, 42, 5, None, START + 123),
        (1, START + 1, None, None, 5, '{"a":"b,\\n\\"c"}', START + 999),
        (1, START + DAY, 0.1 + 0.2, 1 / 3, -5, "{}", START + DAY),
        (2, START - 3 * DAY, 1e300, -0.0, 2**62, '"\r\n"', -1),
        (2, START + HOUR, float("inf"), float("-inf"), 0, "  ", START),
        (3, START + 3 * DAY, 3.0, 100, 5, None, START + 3 * DAY),
        (7, START, 123456.789, 1e-7, 5, None, START)])
    put("INSERT INTO temperature VALUES (?, ?, ?, ?, ?, ?)", [
        (1, START, -12.5, 6, None, START), (7, START + 2 * DAY, 21.25, 6, '{"x":1}', START)])
    for n, (device, kind, body) in enumerate([(1, "gps", '{"gps":{"lat":47.4}}'), (3, "gps", "{}"),
                                              (1, "status", '{"s":"\\u0000,"}')]):
        db.execute("INSERT INTO messages VALUES (?, ?, ?, 'V3.0', 7, ?, ?, ?)",
                   (device, kind, START + n * DAY, body, hashlib.sha256(body.encode()).digest(), START))
    put("INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [
        (b"\x00\xff" * 16, "foxtrackr/1/V3.0/bat", b"{", "json", "", START, START + DAY, 3),
        (b"\x01" * 32, b"fox\xff", b"", "encoding", 'topic: "not" UTF-8', START - DAY, START - DAY, 1),
        (b"\x02" * 32, "x", bytes(range(256)), "json", "a\tb\x1b", START + DAY, START + DAY, 1)])
    put("INSERT INTO gaps VALUES (?, ?, ?, ?)", [
        ("id-a-01", None, START, "session lost"), ("id-a-01", START, START + HOUR, "session lost")])
    put("INSERT INTO runs (started_ms, stopped_ms, version) VALUES (?, ?, '0.1.0')", [
        (START - DAY, START), (START, None)])
    db.execute("INSERT INTO expired VALUES (1, 'battery', 7, ?, ?)", (START, START))
    db.execute("INSERT INTO inbox VALUES (1, 4294967295, 'id', 'a/b/c/d', x'7b', ?)", (START,))


def iso(ms):
    """The text that an export has beside a time."""
    if not isinstance(ms, int) or not -62167219200000 <= ms < 253402300800000:
        return None
    whole, part = divmod(ms, 1000)
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=whole)
    return f"{moment.year:04}{moment:-%m-%dT%H:%M:%S}.{part:03}Z"


def names_of(db, name):
    """The columns of an export of this table or view, and for each where its value comes from: the
    name of a column, or a function of a row."""
    columns = [row[1] for row in db.execute(f'SELECT * FROM pragma_table_xinfo("{name}")')]
    devices = {row[0]: row[1:] for row in db.execute("SELECT device, family, device_id FROM devices")}
    fields = []
    for column in columns:
        stem = column[:-4]
        if column.endswith("_utc") and stem + "_ms" in columns and stem + "_ms" in MOMENTS:
            fields.append((column, lambda row, ms=stem + "_ms": iso(row[ms])))
            continue
        fields.append((column, lambda row, same=column: row[same]))
        if column in MOMENTS and column[:-3] + "_utc" not in columns:
            fields.append((column[:-3] + "_utc", lambda row, ms=column: iso(row[ms])))
        if column == "device" and "device_id" not in columns:
            for i, more in enumerate(("family", "device_id")):
                fields.append((more, lambda row, i=i: devices.get(row["device"], (None, None))[i]))
    return fields


def expected(db, name, where="1"):
    """The names of the columns, and every row as a tuple, in no certain order."""
    fields = names_of(db, name)
    db.row_factory = sqlite3.Row
    rows = [tuple(of(row) for _, of in fields)
            for row in db.execute(f'SELECT * FROM "{name}" WHERE {where}')]
    db.row_factory = None
    return [field for field, _ in fields], rows


FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)')


def read_csv(text):
    """The records of RFC 4180, strictly: a field without quotes as text, "" as an empty one, nothing as
    None."""
    records, fields, at = [], [], 0
    while at < len(text):
        match = FIELD.match(text, at)
        assert match, f"no field at {at}: {text[at:at + 40]!r}"
        quoted, plain, end = match.groups()
        fields.append(quoted.replace('""', '"') if quoted is not None else plain or None)
        at = match.end()
        if end != ",":
            records.append(tuple(fields))
            fields = []
    assert fields == []
    return records


def export(path, *arguments, **options):
    """What is exported from this database, byte for byte."""
    done = run(FOXTRACKRCTL, "export", arguments[0], path, *arguments[1:], text=False, **options)
    if options.get("check", True):
        assert done.stderr == b"", done.stderr
    return done


def exported(path, *arguments):
    """The records of an export in CSV: the head, and the rest."""
    head, *rows = read_csv(export(path, *arguments).stdout.decode())
    return list(head), rows


def as_csv(value):
    """The text that a value has in CSV."""
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, int):
        return str(value)
    return value


def as_json(value, declared):
    if isinstance(value, bytes):
        return value.hex().upper() if declared == "BLOB" else {"hex": value.hex().upper()}
    return value


def same(got, want):
    """Compare a row of CSV with the values that it should have; a real by its bits, and as a real."""
    assert len(got) == len(want)
    for text, value in zip(got, want):
        if isinstance(value, float):
            if not (re.search("[.e]", text) and float(text).hex() == value.hex() and len(text) < 26):
                return False
        elif text != as_csv(value):
            return False
    return True


def read_ndjson(text):
    """The objects of the lines, each with its members in their order."""
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]
