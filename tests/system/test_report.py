"""
`foxtrackrctl report`: the command, the page as a file, and the page in a real browser.

One database, made from the migrations: sixty devices of twelve days, among them one whose name is
markup, one that is silent, one that was recharged and one that is too warm.
"""

import base64
import hashlib
import html.parser
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import time
import zlib

import pytest

from browser import Browser
from harness import FOXTRACKRCTL, PATIENCE, ROOT, find_program, run

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
RUNS = [(NOW - DAYS * DAY, NOW - 2 * DAY, 30_000, 29_000, 900, 100), (NOW - 2 * DAY, None, 5_000, 4_990, 10, 0)]
WIDTHS = [360, 820, 1440]


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
    migrations = sorted((ROOT / "schema").glob("[0-9]*.sql"))
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
            times = [NOW - DAYS * DAY + hour * HOUR + i * 1000 + 1_200_000 for hour in hours]
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


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "foxtrackr.db"
    make_database(path)
    return path


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


@pytest.fixture(scope="module")
def page(database):
    return report(database).stdout


@pytest.fixture(scope="module")
def data(page):
    return json.loads(Parts(page).texts["data"])


DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def series(data, name, device):
    """The values of a device by day."""
    zero = 2048 if name in ("low", "mean", "high") else 0
    days = len(data["days"])
    text = data["series"][name][device * days * 2:(device + 1) * days * 2]
    numbers = [DIGITS.index(text[i]) * 64 + DIGITS.index(text[i + 1]) for i in range(0, len(text), 2)]
    return [None if number == 0 else (number - 1 - zero) / 10 for number in numbers]


# --- the command ---------------------------------------------------------------------------------


def test_file_and_output_are_the_same_page(database, tmp_path):
    """Goal: -o FILE and -o - give one page; a file follows the umask and leaves nothing beside it."""
    target = tmp_path / "report.html"
    done = report(database, output=target, preexec_fn=lambda: os.umask(0o027))
    assert re.fullmatch(rf"{target}: 60 devices, 31 days, 0\.\d MiB, in .*\n", done.stdout) and done.stderr == ""
    assert target.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["report.html"]
    same = re.compile(r'"(made|until)_ms":\d+|"seen":\[[^]]*\]|"left":\[[^]]*\]|"gaps":"[^"]*"')
    assert same.sub("", target.read_text()) == same.sub("", report(database).stdout)


def test_existing_file_stays_without_force(database, tmp_path):
    """Goal: an existing file is replaced only with --force, the database and directories never."""
    target = tmp_path / "report.html"
    target.write_text("mine")
    done = report(database, output=target, check=False)
    assert done.returncode == 73 and "is there already; choose another name, or --force" in done.stderr
    assert target.read_text() == "mine"
    report(database, "--force", output=target)
    assert target.read_text().startswith("<!DOCTYPE html>")
    before = database.read_bytes()
    for wrong in (database, tmp_path, tmp_path / "none" / "x.html"):
        done = report(database, "--force", output=wrong, check=False)
        assert (done.returncode, done.stdout) == (73, ""), wrong
    assert database.read_bytes() == before


@pytest.mark.parametrize("options, status, says", [
    (["--since", "yesterday-ish"], 64, "--since"),
    (["--since", "2200-01-01"], 64, "is not before now"),
    (["--device", NAMES[0], "--group", "north"], 64, "exclude each other"),
    (["--device", "nobody"], 1, "there is no device nobody in the database"),
    (["--group", "nowhere"], 1, "there is no group nowhere in the database"),
], ids=str)
def test_wrong_words(database, options, status, says):
    """Goal: what cannot be reported is said in one line, and nothing is written."""
    done = report(database, *options, check=False)
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr and done.stderr.startswith("foxtrackrctl: ")


def test_terminal_gets_no_page(database):
    """Goal: without --output a page goes to a pipe or file, and never to a terminal."""
    outer, inner = os.openpty()
    done = subprocess.run([FOXTRACKRCTL, "report", database], stdout=inner, stderr=subprocess.PIPE, text=True,
                          timeout=60 * PATIENCE, check=False)
    os.close(inner)
    os.close(outer)
    assert done.returncode == 64 and "--output FILE is missing" in done.stderr
    assert run(FOXTRACKRCTL, "report", database).stdout.startswith("<!DOCTYPE html>")


def test_database_that_is_none(tmp_path):
    """Goal: a missing or foreign database is an error, and makes no file."""
    (tmp_path / "text.db").write_text("no database at all\n" * 100)
    for name in ("none.db", "text.db"):
        done = report(tmp_path / name, output=tmp_path / "report.html", check=False)
        assert done.returncode == 66 and name in done.stderr
    assert os.listdir(tmp_path) == ["text.db"]


def test_full_disk_leaves_no_file(database):
    """Goal: what cannot be written completely is told."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run([FOXTRACKRCTL, "report", "-o", "-", database], stdout=full, stderr=subprocess.PIPE,
                              text=True, timeout=60 * PATIENCE, check=False)
    assert done.returncode == 73 and "No space left" in done.stderr


def test_reader_does_not_wait_for_a_writer(database, tmp_path):
    """Goal: a report is made while another process writes, and sees one state."""
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE runs SET stored = stored + 1, received = received + 1 WHERE run = 1")
    accounts = json.loads(Parts(report(database).stdout).texts["data"])["accounts"]
    writer.execute("ROLLBACK")
    writer.close()
    assert accounts["received"] == sum(run_[2] for run_ in RUNS)


# --- the page as a file --------------------------------------------------------------------------


def test_page_is_complete_in_itself(page):
    """Goal: nothing is fetched from anywhere, and the policy allows this script and this style alone."""
    parts = Parts(page)
    for tag, about in parts.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            assert about.get(name, "#").startswith(("#", "data:,")), (tag, about)
        assert not [name for name in about if name.startswith("on") or name == "style"], (tag, about)
    policy = dict(part.strip().split(" ", 1) for part in parts.policy.split(";"))

    def digest(name):
        return "'sha256-" + base64.b64encode(hashlib.sha256(parts.texts[name].encode()).digest()).decode() + "'"

    assert policy == {"default-src": "'none'", "script-src": digest("script"), "style-src": digest("style"),
                      "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}
    assert "@import" not in parts.texts["style"] and "url(" not in parts.texts["style"]


def test_licence_is_in_the_page(page):
    """Goal: the library's licence asks for its notice in every copy."""
    assert "dygraphs is MIT-licenced" in page and "The above copyright notice and this permission notice" in page
    assert "@license https://github.com/danvk/dygraphs" in page and "sourceMappingURL" not in page


def test_markup_in_a_name_is_text(page):
    """Goal: a name cannot end the data, and what changes the direction of text is visible."""
    assert page.count("<script") == 2 and "onerror=" not in Parts(page).texts["script"]
    ids = json.loads(Parts(page).texts["data"])["devices"]["id"]
    assert ids[3] == MARKUP and ids[4] == r"ab\xe2\x80\xaedc"


def test_accounts_and_quarantine(data):
    """Goal: received = stored + duplicate + quarantined of all runs, and what the database holds."""
    assert data["accounts"] == {
        "runs": 2, "started_ms": RUNS[0][0], **{key: sum(row[i] for row in RUNS) for i, key in
                                                enumerate(("received", "stored", "duplicate", "quarantined"), 2)}}
    assert data["quarantine"]["reason"] == ["version"] and data["quarantine"]["messages"] == [1]
    # Of all times, not of the period alone: these say whether nothing was lost.
    assert data["losses"] == {
        "client_id": ["id-a-01", "id-a-02"], "from_ms": [NOW - 5 * DAY, NOW - 200 * DAY],
        "to_ms": [NOW - 5 * DAY + 2 * HOUR, NOW - 199 * DAY], "reason": ["session lost", "restored"]}


def test_present_values(data):
    """Goal: each device with its latest values, its groups, its silence."""
    devices = data["devices"]
    assert len(devices["id"]) == 60 and data["silent_devices"] == [SILENT]
    for i in (0, WARM, RECHARGED, 59):
        last = DAYS * 24 - 1
        assert devices["level"][i] == pytest.approx(level_of(i, last), abs=0.051)
        assert devices["celsius"][i] == pytest.approx(celsius_of(i, last), abs=0.051)
        assert devices["usual"][i] == 3600
        assert [data["groups"][group] for group in devices["groups"][i]] == ["north" if i % 2 else "south"]
    assert devices["seen"][SILENT] > 59 * 3600 > devices["seen"][0]
    assert devices["left"][FULL] is None and devices["left"][SILENT] is None and devices["left"][1] > 0
    assert set(data["excursions"]["device"]) == {WARM}


def test_days(data):
    """Goal: each day of each device is right: mean level, lowest, mean and highest temperature, coverage."""
    begin = data["days_ms"][0]
    assert data["days_ms"] == [begin + i * DAY for i in range(31)] and begin % DAY == 0
    assert data["days"][-1] == time.strftime("%Y-%m-%d", time.gmtime(data["until_ms"] / 1000))
    for device in (0, 3, WARM, RECHARGED):
        by_day = {}
        for hour in range(DAYS * 24):
            at = NOW - DAYS * DAY + hour * HOUR + device * 1000 + 1_200_000
            by_day.setdefault((at - begin) // DAY, []).append(hour)
        levels, low, mean, high = (series(data, name, device) for name in ("level", "low", "mean", "high"))
        for day in range(31):
            hours = by_day.get(day)
            if not hours:
                assert (levels[day], low[day], mean[day], high[day]) == (None, None, None, None)
                continue
            warmth = [celsius_of(device, hour) for hour in hours]
            assert levels[day] == pytest.approx(sum(level_of(device, hour) for hour in hours) / len(hours), abs=0.0501)
            assert (low[day], high[day]) == (pytest.approx(min(warmth), abs=0.0501), pytest.approx(max(warmth), abs=0.0501))
            assert mean[day] == pytest.approx(sum(warmth) / len(warmth), abs=0.0501)
        coverage = series(data, "coverage", device)
        assert all(value is None or value > 90 for value in coverage[:-1])
        assert len([value for value in coverage if value is not None]) >= DAYS
    assert min(value for value in series(data, "coverage", SILENT)[-2:] if value is not None) == 0


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


def test_gaps(data):
    """Goal: the silence of a device is an open gap of each type, by the device."""
    found = gaps_of(data, SILENT)
    assert {(kind, is_open, cause) for kind, is_open, cause, *_ in found if is_open} == {
        ("battery", True, "device"), ("temperature", True, "device")}
    [minutes] = {begin for _, is_open, _, begin, _ in found if is_open}
    last = NOW - DAYS * DAY + (DAYS * 24 - 61) * HOUR + SILENT * 1000 + 1_200_000
    assert abs(data["since_ms"] + minutes * 60_000 - last) <= 60_000


def test_group_and_device(database, data):
    """Goal: a group's report has its devices alone; a device's report has its readings, too."""
    group = json.loads(Parts(report(database, "--group", "north").stdout).texts["data"])
    assert group["devices"]["id"] == data["devices"]["id"][1::2] and group["scope"]["group"] == "north"
    for name in ("level", "coverage"):
        assert series(group, name, 3)[:-1] == series(data, name, 7)[:-1]
    one = json.loads(Parts(report(database, "--device", NAMES[WARM], "--since", "4d").stdout).texts["data"])
    assert one["devices"]["id"] == [NAMES[WARM]] and len(one["days"]) == 5
    times = [NOW - DAYS * DAY + hour * HOUR + WARM * 1000 + 1_200_000 for hour in range(DAYS * 24)]
    expected = [(at, celsius_of(WARM, hour)) for hour, at in enumerate(times) if at >= one["since_ms"]]
    assert list(zip(one["readings"]["temperature"]["ms"], one["readings"]["temperature"]["celsius"])) == expected
    assert data["readings"] is None


def test_empty_database(tmp_path):
    """Goal: a database without a device gives a page that says so."""
    empty_database(tmp_path / "empty.db").close()
    empty = json.loads(Parts(report(tmp_path / "empty.db").stdout).texts["data"])
    assert empty["devices"]["id"] == [] and len(empty["days"]) == 31 and empty["accounts"]["received"] == 0


ROLLED_UP = {
    "day": "c.day", "device": "d.device", "readings": "24", "voltage_v_count": "24", "voltage_v_min": "3.6",
    "voltage_v_sum": "88.8", "voltage_v_max": "3.8", "level_pct_count": "24", "level_pct_min": "d.device % 90",
    "level_pct_sum": "24.0 * (d.device % 90)", "level_pct_max": "d.device % 90", "celsius_count": "24",
    "celsius_min": "d.device % 40 - 20.5", "celsius_sum": "24.0 * (d.device % 40)", "celsius_max": "d.device % 40 + 20.5"}


def test_ten_thousand_devices(tmp_path):
    """Goal: thirty days of ten thousand devices are 5 MB at most, with as many gaps as a page has."""
    today = NOW // DAY
    db = empty_database(tmp_path / "large.db")
    with db:
        db.execute("INSERT INTO devices WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
                   " SELECT i, 'foxtrackr', printf('%08X', i * 7919), ? FROM n", (NOW - 40 * DAY,))
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
    target = tmp_path / "report.html"
    assert "10000 devices, 31 days" in report(tmp_path / "large.db", output=target, timeout=120).stdout
    text = target.read_text()
    written = json.loads(Parts(text).texts["data"])
    assert len(text.encode()) + 13 * (40_000 - len(written["gaps"]) // 13) <= 5_000_000
    assert series(written, "level", 9_999)[-2] == 10_000 % 90 and series(written, "high", 41)[3] == 42 % 40 + 20.5


def test_build_without_the_library(tmp_path):
    """Goal: a build without dygraphs has no report and says so; in continuous integration it fails."""
    script = tmp_path / "daemon/ctl/report/script.js"
    words = ["make", "-C", ROOT, "-s", f"BUILD={tmp_path}", "DYGRAPHS=/nowhere", script]
    environment = {name: text for name, text in os.environ.items() if name not in ("CI", "MAKEFLAGS", "MAKELEVEL")}
    done = run(*words, env=environment)
    assert "dygraphs (Debian: libjs-dygraphs) is not there: foxtrackrctl gets no report" in done.stdout
    assert script.read_bytes() == b""
    script.unlink()
    done = run(*words, env={**environment, "CI": "true"}, check=False)
    assert done.returncode != 0 and "with CI=true that is an error" in done.stdout and not script.exists()


# --- the page in a browser -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = Browser(find_program("chromium"), tmp_path_factory.mktemp("browser"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def url(database, tmp_path_factory):
    target = tmp_path_factory.mktemp("page") / "report.html"
    report(database, output=target)
    return target.as_uri()


@pytest.fixture
def shown(browser, url):
    """The page, drawn in a wide window. No test leaves an error on the console, or asks for anything but the page."""
    browser.errors.clear()
    browser.requests.clear()
    browser.resize(1440)
    browser.prefer("light")
    browser.open("about:blank")
    browser.open(url)
    browser.wait("document.documentElement.dataset.drawn !== undefined")
    yield browser
    assert browser.errors == []
    assert {request.split("#")[0] for request in browser.requests} <= {"about:blank", url, "data:,"}


def cells(browser, selector):
    """The texts of the cells of the table that a selector finds, in their order."""
    return browser.evaluate(f"Array.from(document.querySelectorAll({json.dumps(selector)}), (cell) => cell.textContent)")


def pixels(browser, selector):
    """How many different colours a canvas shows."""
    return browser.evaluate(f"""(() => {{ const canvas = document.querySelector({json.dumps(selector)});
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {{ willReadFrequently: true }});
        copy.drawImage(canvas, 0, 0);
        const bytes = copy.getImageData(0, 0, canvas.width, canvas.height).data;
        return new Set(new Uint32Array(bytes.buffer)).size; }})()""")


@pytest.mark.browser
def test_overview_is_drawn(shown):
    """Goal: what needs attention, the accounts, the fleet and the heat map are there at once."""
    assert int(shown.evaluate("document.documentElement.dataset.drawn")) < 10_000 * PATIENCE
    assert shown.evaluate("document.title") == "Fleet report"
    assert cells(shown, ".card h3 .count")[1:3] == ["1", "1"] and cells(shown, ".card h3 .count")[4] == "1"
    assert "5 d" not in cells(shown, "#card-silent li")[0] and NAMES[SILENT] in cells(shown, "#card-silent li")[0]
    assert cells(shown, "#accounts .sum b") == ["35,000", "33,990", "910", "100"]
    assert "session lost (id-a-01)" in cells(shown, ".losses li")[0]
    assert cells(shown, "#accounts-title") == ["Nothing that arrived was lost"]
    assert len(cells(shown, "#fleet tbody tr")) == 50 and cells(shown, "#found") == ["Devices 1 to 50 of 60"]
    assert pixels(shown, "#heat-canvas") > 20
    assert pixels(shown, "#fleet td canvas") > 2


@pytest.mark.browser
def test_sorting(shown):
    """Goal: a column's heading sorts, once more turns round, and says so to a screen reader."""
    shown.click('th button[data-sort="level"]')
    levels = [int(re.match(r"\d+", text)[0]) for text in cells(shown, "#fleet td.charge")]
    assert levels == sorted(levels)
    assert shown.evaluate('document.querySelector("th[aria-sort]").textContent + document.querySelector("th[aria-sort]").getAttribute("aria-sort")') == "Batteryascending"
    shown.click('th button[data-sort="level"]')
    levels = [int(re.match(r"\d+", text)[0]) for text in cells(shown, "#fleet td.charge")]
    assert levels == sorted(levels, reverse=True) and len(levels) == 50
    assert shown.evaluate('document.activeElement.dataset.sort') == "level"
    shown.click("#pager button:last-child")
    assert cells(shown, "#found") == ["Devices 51 to 60 of 60"] and len(cells(shown, "#fleet tbody tr")) == 10


@pytest.mark.browser
def test_search_and_filter(shown):
    """Goal: search finds devices and groups; filters show what needs attention; both at once."""
    shown.click("#search")
    shown.type(NAMES[9].lower())
    assert cells(shown, "#fleet td.name") == [NAMES[9]]
    shown.evaluate("(() => { const box = document.getElementById('search'); box.value = 'NORTH'; box.dispatchEvent(new Event('input')); })()")
    assert cells(shown, "#found") == ["30 devices"]
    choose = "((id, value) => {{ const box = document.getElementById(id); box.value = value; box.dispatchEvent(new Event('change')); }})({})"
    shown.evaluate(choose.format("'filter', 'long'"))
    assert cells(shown, "#fleet td.name") == [NAMES[SILENT]]
    shown.evaluate(choose.format("'group', 'south'"))
    assert cells(shown, "#found") == ["No device matches."]


@pytest.mark.browser
def test_markup_stays_text_in_the_browser(shown):
    """Goal: a name that is markup is shown as it is, in the table and on its page."""
    shown.evaluate("(() => { const box = document.getElementById('search'); box.value = 'onerror'; box.dispatchEvent(new Event('input')); })()")
    assert cells(shown, "#fleet td.name") == [MARKUP]
    shown.click("#fleet td.name a")
    shown.wait("!document.getElementById('device').hidden")
    assert cells(shown, "h1") == [MARKUP] and shown.evaluate("document.title") == MARKUP
    assert shown.evaluate("document.querySelectorAll('img').length") == 0


@pytest.mark.browser
def test_device_page(shown):
    """Goal: a link opens the device: charts that are not blank, gaps, numbers; back leads to the fleet."""
    shown.evaluate(f"(() => {{ location.hash = '#/device/foxtrackr/{NAMES[SILENT]}'; }})()")
    shown.wait("document.querySelectorAll('.chart canvas').length >= 4")
    assert cells(shown, "h1") == [NAMES[SILENT]] and shown.evaluate("document.activeElement.id") == "title"
    for section in ("battery-title", "temperature-title"):
        assert pixels(shown, f'section[aria-labelledby="{section}"] .chart canvas') > 10
    assert any("still" in text and "the device sent nothing" in text for text in cells(shown, "#device section tbody tr"))
    assert len(cells(shown, "#device details tbody tr")) == 31
    shown.click(".back")
    shown.wait("!document.getElementById('overview').hidden")
    assert len(cells(shown, "#fleet tbody tr")) == 50


@pytest.mark.browser
def test_forecast(shown):
    """Goal: a battery that discharges has a forecast, one on a charger has none."""
    shown.evaluate(f"(() => {{ location.hash = '#/device/foxtrackr/{NAMES[1]}'; }})()")
    shown.wait("document.querySelector('#device .readout')?.textContent.startsWith('At ')")
    assert cells(shown, "#device .key")[0].endswith("forecast")
    shown.evaluate(f"(() => {{ location.hash = '#/device/foxtrackr/{NAMES[FULL]}'; }})()")
    shown.wait("document.querySelector('#device .readout')?.textContent.startsWith('No forecast')")


@pytest.mark.browser
def test_keyboard(shown):
    """Goal: without a mouse: skip link, search, sorting, a cell of the heat map, a chart."""
    shown.press("Tab")
    assert shown.evaluate("document.activeElement.className") == "skip"
    shown.press("Enter")
    assert shown.evaluate("document.activeElement.id") == "main"
    shown.evaluate("document.querySelector('th button[data-sort=\"seen\"]').focus()")
    shown.press("Enter")
    assert shown.evaluate("document.querySelector('th[aria-sort]').textContent") == "Last seen"
    shown.evaluate("document.getElementById('heat-canvas').focus()")
    for key in ("ArrowRight", "ArrowDown", "ArrowRight"):
        shown.press(key)
    assert re.search(r", \d{4}-\d\d-\d\d: ", cells(shown, "#heat-say")[0])
    shown.press("Enter")
    shown.wait("document.querySelectorAll('.chart canvas').length >= 4")
    shown.evaluate("document.querySelector('.chart').focus()")
    shown.press("ArrowLeft")
    shown.press("ArrowLeft")
    assert re.match(r"\d{4}-\d\d-\d\d: |.* expected", cells(shown, "#device .readout")[0])


@pytest.mark.browser
def test_names_for_a_screen_reader(shown):
    """Goal: one heading of the first level, sections with names, fields with labels, pictures with words."""
    look = """(() => ({
        h1: document.querySelectorAll("h1").length,
        sections: Array.from(document.querySelectorAll("section"), (section) => document.getElementById(section.getAttribute("aria-labelledby"))?.textContent ?? ""),
        fields: Array.from(document.querySelectorAll("input, select")).filter((field) => field.offsetParent).map((field) => field.labels[0]?.textContent ?? ""),
        pictures: Array.from(document.querySelectorAll("canvas, [role=img]"), (one) => one.closest("[aria-hidden=true]") !== null || one.closest("[aria-label]") !== null),
        language: document.documentElement.lang }))()"""
    for address in ("#/", f"#/device/foxtrackr/{NAMES[0]}"):
        shown.evaluate(f"(() => {{ location.hash = '{address}'; }})()")
        shown.wait(f"document.getElementById('device').hidden === {'true' if address == '#/' else 'false'}")
        found = shown.evaluate(look)
        assert found["h1"] == 1 and found["language"] == "en"
        assert all(found["sections"]) and all(found["fields"]) and all(found["pictures"]), found


@pytest.mark.browser
def test_policy_holds(shown):
    """Goal: the browser refuses a script, a style and a request that are not the page's own."""
    shown.evaluate("""(() => { const script = document.createElement("script");
        script.textContent = "document.title = 'taken'"; document.head.append(script);
        document.body.insertAdjacentHTML("beforeend", "<p style='color: red' id='styled'>x</p><img id='fetched' src='http://127.0.0.1:9/x.png'>"); })()""")
    assert shown.evaluate("document.title") == "Fleet report"
    assert shown.evaluate("getComputedStyle(document.getElementById('styled')).color") != "rgb(255, 0, 0)"
    assert shown.evaluate("fetch('http://127.0.0.1:9/').then(() => 'fetched', () => 'refused')") == "refused"
    assert shown.evaluate("(() => { try { return new Function('return 1')(); } catch { return 'refused'; } })()") == "refused"
    shown.wait("true")
    violations = [error for error in shown.errors if "Content Security Policy" in error]
    assert len(violations) >= 3 and violations == shown.errors
    shown.errors.clear()
    shown.requests.clear()


def contrast(one, other):
    """WCAG 2.1: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio"""
    def luminance(colour):
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_sizes_and_schemes(shown, tmp_path, width, scheme):
    """Goal: at each width nothing is cut off or scrolls sideways; text has contrast; nothing is blank.
    With REPORT_SCREENSHOTS=DIRECTORY in the environment the pictures are kept, to be looked at."""
    keep = pathlib.Path(os.environ.get("REPORT_SCREENSHOTS", tmp_path))
    shown.resize(width)
    shown.prefer(scheme)
    for name, address in (("fleet", "#/"), ("device", f"#/device/foxtrackr/{NAMES[RECHARGED]}")):
        shown.evaluate(f"(() => {{ location.hash = '{address}'; }})()")
        shown.wait(f"document.getElementById('device').hidden === {'true' if name == 'fleet' else 'false'}")
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        beyond = shown.evaluate("""Array.from(document.querySelectorAll("h1, h2, h3, dd, li, label, button, summary, .readout, #found, canvas"), (element) => element)
            .filter((element) => element.offsetParent && !element.closest(".scroll, thead") && element.getBoundingClientRect().right > window.innerWidth + 1)
            .map((element) => element.outerHTML.slice(0, 80))""")
        assert beyond == []
        assert shown.evaluate("Array.from(document.querySelectorAll('.scroll')).every((box) => box.scrollWidth <= box.clientWidth)") or width < 600
        colours = shown.evaluate("""["ink", "quiet", "accent"].map((name) => { const probe = document.createElement("i");
            probe.style.color = `var(--${name})`; document.body.append(probe); const found = getComputedStyle(probe).color; probe.remove(); return found; })""")
        paper = shown.evaluate("getComputedStyle(document.body).backgroundColor")
        assert min(contrast(colour, paper) for colour in colours) >= 4.5
        assert (contrast(paper, "rgb(0, 0, 0)") > 10) == (scheme == "light")
        picture = keep / f"{name}-{width}-{scheme}.png"
        shown.screenshot(picture)
        assert len(set(zlib.crc32(picture.read_bytes()[i:i + 64]) for i in range(0, 4096, 64))) > 32


@pytest.mark.browser
def test_print(shown):
    """Goal: the page prints on white whatever the scheme, without its controls."""
    shown.prefer("dark", media="print")
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.evaluate("getComputedStyle(document.getElementById('tools')).display") == "none"
    assert shown.print().startswith(b"%PDF-")
