"""
A database for the report, made from the migrations, and what is in a page.

Sixty devices of twelve days, among them one whose name is markup, one that is silent, one that was
recharged and one that is too warm.
"""

import html.parser
import json
import sqlite3
import time

from harness import FOXTRACKRCTL, ROOT, run

HOUR = 3_600_000
DAY = 24 * HOUR
NOW = int(time.time()) * 1000
DAYS = 12
NAMES = [f"{0x1BB00 + 7 * i:05X}" for i in range(60)]
MARKUP = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
RIGHT_TO_LEFT = "ab\u202edc"
NAMES[3] = MARKUP
NAMES[4] = RIGHT_TO_LEFT
SILENT, WARM, RECHARGED, FULL = 5, 6, 7, 8
FIRST = NOW - DAYS * DAY + 1_200_000
"""The first reading."""
RUNS = [(NOW - DAYS * DAY, NOW - 2 * DAY, 30_000, 29_000, 900, 100), (NOW - 2 * DAY, None, 5_000, 4_990, 10, 0)]


def level_of(device, hour):
    """Percent: 1 to 3 a day less; one was recharged, one hangs on a charger."""
    if device == FULL:
        return 100.0
    rate = 1 + device % 3
    level = 95 - device / 2 - rate * hour / 24
    return round(level if device != RECHARGED else level - 30 if hour < 150 else level, 2)


def celsius_of(device, hour):
    """Degrees, warmest at noon."""
    return round(10 + device % 9 + 3 * (1 if hour % 24 > 11 else -1) + (20 if device == WARM and hour > 250 else 0), 2)


def empty_database(path):
    """A database as the daemon makes it, open."""
    db = sqlite3.connect(path)
    migrations = sorted((ROOT / "schema" / "sqlite").glob("[0-9]*.sql"))
    db.execute("PRAGMA journal_mode = WAL")
    for migration in migrations:
        db.executescript(migration.read_text(encoding="utf-8"))
    db.execute(f"PRAGMA user_version = {len(migrations)}")
    db.execute(f"PRAGMA application_id = {int.from_bytes(b'FOXT', 'big')}")
    return db


def make_database(path):
    """The fleet of these tests."""
    db = empty_database(path)
    with db:
        first = NOW - DAYS * DAY
        for i, name in enumerate(NAMES):
            hours = range(DAYS * 24 - (60 if i == SILENT else 0))
            db.execute("INSERT INTO devices VALUES (?, 'foxtrackr', ?, ?)", (i + 1, name, first))
            db.execute("INSERT INTO device_groups VALUES (?, ?, ?)", ("north" if i % 2 else "south", i + 1, first))
            times = [FIRST + hour * HOUR + i * 1000 for hour in hours]
            db.executemany("INSERT INTO battery VALUES (?, ?, ?, ?, 5, NULL, ?)", [
                (i + 1, times[h], 3.3 + level_of(i, h) / 200, level_of(i, h), times[h]) for h in hours])
            db.executemany("INSERT INTO temperature VALUES (?, ?, ?, 6, NULL, ?)", [
                (i + 1, times[h], celsius_of(i, h), times[h]) for h in hours])
        db.execute("INSERT INTO quarantine VALUES (x'00', 'foxtrackr/1/V4.0/bat', x'7b', 'version', '<b>4.0</b>', ?, ?, 3)",
                   (NOW - DAY, NOW - HOUR))
        db.executemany("INSERT INTO runs (started_ms, stopped_ms, version, received, stored, duplicate, quarantined)"
                       " VALUES (?, ?, '0.1.0', ?, ?, ?, ?)", RUNS)
        db.execute("INSERT INTO gaps VALUES ('id-a-01', ?, ?, 'session lost')", (NOW - 5 * DAY, NOW - 5 * DAY + 2 * HOUR))
        db.execute("INSERT INTO gaps VALUES ('id-a-02', ?, ?, 'restored')", (NOW - 200 * DAY, NOW - 199 * DAY))
        db.execute("INSERT INTO limits (celsius_max) VALUES (30)")
    db.close()


ROLLED_UP = {
    "day": "c.day", "device": "d.device", "readings": "24", "last_before_ms": "86400000", "voltage_v_count": "24",
    "voltage_min_packed": "3.6", "voltage_sum_packed": "88.8", "voltage_max_packed": "3.8", "level_pct_count": "24", "level_pct_min": "d.device % 90",
    "level_pct_sum": "24.0 * (d.device % 90)", "level_pct_max": "d.device % 90", "celsius_count": "24",
    "celsius_min_packed": "d.device % 40 - 20.5", "celsius_sum_packed": "24.0 * (d.device % 40)",
    "celsius_max_packed": "d.device % 40 + 20.5"}


def make_large(path, devices=10_000):
    """Thirty days of a large fleet, rolled up, and six readings of today's first hours."""
    today = NOW // DAY
    db = empty_database(path)
    with db:
        db.execute("INSERT INTO devices WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
                   " SELECT i, 'foxtrackr', printf('%08X', i * 7919), ? FROM n", (devices, NOW - 40 * DAY))
        db.execute("INSERT INTO device_groups SELECT 'group ' || device % 12, device, 0 FROM devices")
        for day in range(today - 30, today):
            date = time.strftime("%Y-%m-%d", time.gmtime(day * DAY / 1000))
            db.execute("INSERT OR IGNORE INTO calendar VALUES (?, ?, ?, ?, ?)", (day, date, day * DAY, (day + 1) * DAY, date))
        for table in ("battery_days", "temperature_days"):
            columns = {row[1]: ROLLED_UP.get(row[1], "0" if row[3] else "NULL") for row in db.execute(f"PRAGMA table_info({table})")}
            db.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())}"
                       " FROM calendar AS c CROSS JOIN devices AS d ORDER BY c.day, d.device")
        for table, value in (("battery (device, time_ms, level_pct", "d.device % 90 + 0.5"), ("temperature (device, time_ms, celsius", "d.device % 40 - 20.5")):
            db.execute(f"INSERT INTO {table}, message_type, received_ms) WITH RECURSIVE h (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM h WHERE i < 5)"
                       f" SELECT device, {today * DAY} - 3600000 * i, {value}, 1, 0 FROM devices AS d CROSS JOIN h")
        db.execute(f"UPDATE rollup_state SET from_ms = {today * DAY}, from_day = {today}, until_ms = {today * DAY}, until_day = {today}")
    db.close()


def report(database, *options, output="-", **more):
    """Run the command on the database."""
    return run(FOXTRACKRCTL, "report", *options, "-o", output, database, **more)


class Parts(html.parser.HTMLParser):
    """The elements of a page, and the text of its scripts, styles and data."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.policy = [], {}, None
        self._open = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        about = dict(attrs)
        self.elements.append((tag, about))
        if about.get("http-equiv") == "Content-Security-Policy":
            self.policy = about["content"]
        if tag in ("script", "style"):
            self._open = about.get("id", tag)

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, data):
        if self._open:
            self.texts[self._open] = self.texts.get(self._open, "") + data


def data_of(page):
    """The data in the text of a page."""
    return json.loads(Parts(page).texts["data"])


DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def series(data, name, device):
    """The values of a device by day."""
    zero = 2048 if name in ("low", "mean", "high") else 0
    days = len(data["days"])
    text = data["series"][name][device * days * 2:(device + 1) * days * 2]
    numbers = [DIGITS.index(text[i]) * 64 + DIGITS.index(text[i + 1]) for i in range(0, len(text), 2)]
    return [None if number == 0 else (number - 1 - zero) / 10 for number in numbers]


def gaps_of(data, device):
    """(type, open, cause, from, length) of the gaps of a device, in minutes."""
    found = []
    for at in range(0, len(data["gaps"]), 13):
        digits = [DIGITS.index(digit) for digit in data["gaps"][at:at + 13]]

        def number(first):
            return sum(digit * 64 ** (3 - i) for i, digit in enumerate(digits[first:first + 4]))

        if number(0) == device:
            kind = digits[12]
            found.append((("battery", "temperature")[kind & 1], bool(kind & 2), data["causes"][kind >> 2],
                          number(4) - 8388608, number(8)))
    return found
