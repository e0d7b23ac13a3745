"""`foxtrackrctl report`: the command, the page as a file, and its numbers. test_report_page.py shows it to a browser."""

import base64
import hashlib
import math
import os
import re
import sqlite3
import subprocess
import time

import pytest

from answers_fleet import Fleet, roll_up
from harness import FOXTRACKRCTL, PATIENCE, ROOT, run
from report_fleet import (DAY, DAYS, FIRST, FULL, HOUR, MARKUP, NAMES, NOW, RECHARGED, RUNS, SILENT, WARM, Parts, celsius_of,
                          data_of, empty_database, gaps_of, level_of, make_large, report, series)


@pytest.fixture(scope="module")
def page(fleet_database):
    return report(fleet_database).stdout


@pytest.fixture(scope="module")
def data(page):
    return data_of(page)


# --- the command ---------------------------------------------------------------------------------


def test_file_and_output_are_the_same_page(fleet_database, tmp_path):
    """Goal: -o FILE and -o - give one page; a file follows the umask and leaves nothing beside it."""
    target = tmp_path / "report.html"
    done = report(fleet_database, output=target, preexec_fn=lambda: os.umask(0o027))
    assert re.fullmatch(rf"{target}: 60 devices, \d+ days, 0\.\d MiB, in .*\n", done.stdout) and done.stderr == ""
    assert target.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["report.html"]
    same = re.compile(r'"(made|until)_ms":\d+|"seen":\[[^]]*\]|"left":\[[^]]*\]|"gaps":"[^"]*"')
    assert same.sub("", target.read_text()) == same.sub("", report(fleet_database).stdout)


def test_existing_file_stays_without_force(fleet_database, tmp_path):
    """Goal: an existing file is replaced only with --force, the database and directories never."""
    target = tmp_path / "report.html"
    target.write_text("mine")
    done = report(fleet_database, output=target, check=False)
    assert done.returncode == 73 and "is there already; choose another name, or --force" in done.stderr
    assert target.read_text() == "mine"
    report(fleet_database, "--force", output=target)
    assert target.read_text().startswith("<!DOCTYPE html>")
    before = fleet_database.read_bytes()
    for wrong in (fleet_database, f"{fleet_database}-wal", f"{fleet_database}-shm", tmp_path, tmp_path / "none" / "x.html"):
        done = report(fleet_database, "--force", output=wrong, check=False)
        assert (done.returncode, done.stdout) == (73, ""), wrong
    assert fleet_database.read_bytes() == before
    assert report(fleet_database, output="/dev/null").returncode == 0  # which is not replaced by a file
    assert not os.path.isfile("/dev/null")


@pytest.mark.parametrize("options, status, says", [
    (["--since", "yesterday-ish"], 64, "--since"),
    (["--since", "2200-01-01"], 64, "is not before now"),
    (["--device", NAMES[0], "--group", "north"], 64, "exclude each other"),
    (["--device", "nobody"], 1, "there is no device nobody in the database"),
    (["--group", "nowhere"], 1, "there is no group nowhere in the database"),
], ids=str)
def test_wrong_words(fleet_database, options, status, says):
    """Goal: what cannot be reported is said in one line, and nothing is written."""
    done = report(fleet_database, *options, check=False)
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr and done.stderr.startswith("foxtrackrctl: ")


def test_terminal_gets_no_page(fleet_database):
    """Goal: without --output a page goes to a pipe or file, and never to a terminal."""
    outer, inner = os.openpty()
    done = subprocess.run([FOXTRACKRCTL, "report", fleet_database], stdout=inner, stderr=subprocess.PIPE, text=True,
                          timeout=60 * PATIENCE, check=False)
    os.close(inner)
    os.close(outer)
    assert done.returncode == 64 and "--output FILE is missing" in done.stderr
    assert run(FOXTRACKRCTL, "report", fleet_database).stdout.startswith("<!DOCTYPE html>")


def test_database_that_is_none(tmp_path):
    """Goal: a missing or foreign database is an error, and makes no file."""
    (tmp_path / "text.db").write_text("no database at all\n" * 100)
    for name in ("none.db", "text.db"):
        done = report(tmp_path / name, output=tmp_path / "report.html", check=False)
        assert done.returncode == 66 and name in done.stderr
    assert os.listdir(tmp_path) == ["text.db"]


def test_full_disk_leaves_no_file(fleet_database):
    """Goal: what cannot be written completely is told."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run([FOXTRACKRCTL, "report", "-o", "-", fleet_database], stdout=full, stderr=subprocess.PIPE,
                              text=True, timeout=60 * PATIENCE, check=False)
    assert done.returncode == 73 and "No space left" in done.stderr


def test_reader_does_not_wait_for_a_writer(fleet_database, tmp_path):
    """Goal: a report is made while another process writes, and sees one state."""
    writer = sqlite3.connect(fleet_database, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE runs SET stored = stored + 1, received = received + 1 WHERE run = 1")
    accounts = data_of(report(fleet_database).stdout)["accounts"]
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
    ids = data_of(page)["devices"]["id"]
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
    assert data["limits"] == {"group": [None], "device": [None], "min": [None], "max": [30]}


def test_days(data):
    """Goal: each day of each device is right: mean level, lowest, mean and highest temperature, coverage."""
    begin = data["days_ms"][0]
    count = len(data["days"])
    assert data["days_ms"] == [begin + i * DAY for i in range(count)] and begin == FIRST // DAY * DAY
    assert data["end_ms"] == begin + count * DAY > data["until_ms"]
    assert data["days"][-1] == time.strftime("%Y-%m-%d", time.gmtime(data["until_ms"] / 1000))
    for device in (0, 3, WARM, RECHARGED):
        by_day = {}
        for hour in range(DAYS * 24):
            at = FIRST + hour * HOUR + device * 1000
            by_day.setdefault((at - begin) // DAY, []).append(hour)
        levels, low, mean, high = (series(data, name, device) for name in ("level", "low", "mean", "high"))
        for day in range(count):
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


@pytest.mark.parametrize("since", ["1000d", "1970-01-02"])
def test_days_begin_with_the_first_reading(fleet_database, data, since):
    """Goal: days before there was anything have no place in a page, however early --since is."""
    early = data_of(report(fleet_database, "--since", since).stdout)
    assert early["days"][0] == data["days"][0] and early["since_ms"] == FIRST // DAY * DAY


def test_more_than_a_page_can_have(tmp_path):
    """Goal: memory is bounded: years of thousands of devices are refused with a sentence that says how much there can be."""
    db = empty_database(tmp_path / "old.db")
    with db:
        db.executemany("INSERT INTO devices VALUES (?, 'foxtrackr', ?, 0)", [(n, f"d{n}") for n in range(1, 10_001)])
        db.execute("INSERT INTO device_groups VALUES ('few', 3, 0)")
        db.executemany("INSERT INTO battery VALUES (?, ?, 3.5, 50, 5, NULL, 0)",
                       [(3, NOW - 900 * DAY), (3, NOW - HOUR), (4, NOW - HOUR)])
    db.close()
    done = report(tmp_path / "old.db", "--since", "2020-01-01", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"foxtrackrctl: 90[01] days of 10000 devices are more than a page can have: use a later --since,"
                        r" --group or --device; of all of these it can have 400 days\n", done.stderr), done.stderr
    few = data_of(report(tmp_path / "old.db", "--since", "2020-01-01", "--group", "few").stdout)
    assert len(few["days"]) >= 900 and few["devices"]["id"] == ["d3"]


def test_a_day_that_is_longer(tmp_path):
    """Goal: the end of the last day is that of the zone: it is 25 hours long when the clock is set back."""
    begin = (NOW - 30 * HOUR) // 60_000 * 60_000  # here of 36 hours, so that its last ones are now at any time
    east = -begin % DAY
    db = empty_database(tmp_path / "long.db")
    with db:
        db.execute("DELETE FROM day_offsets")
        db.executemany("INSERT INTO day_offsets VALUES (?, ?, ?)", [
            (-2**63, begin + 8 * HOUR, east), (begin + 8 * HOUR, 2**63 - 1, east - 12 * HOUR)])
        db.execute("INSERT INTO devices VALUES (1, 'foxtrackr', '1BBCE', 0)")
        db.executemany("INSERT INTO battery VALUES (1, ?, 3.5, 50, 5, NULL, 0)", [(begin - hour * HOUR,) for hour in range(50)])
    db.close()
    written = data_of(report(tmp_path / "long.db").stdout)
    assert written["days_ms"][-2:] == [begin - DAY, begin] and written["end_ms"] == begin + 36 * HOUR


def test_the_day_that_is_not_over(tmp_path):
    """Goal: a reading that is not due yet is not missing: today is covered, and one that sends nothing is not."""
    db = empty_database(tmp_path / "today.db")
    with db:
        for device, hours in ((1, range(100)), (2, range(24, 100))):
            db.execute("INSERT INTO devices VALUES (?, 'foxtrackr', ?, 0)", (device, f"d{device}"))
            db.executemany("INSERT INTO battery VALUES (?, ?, 3.5, 50, 5, NULL, 0)",
                           [(device, NOW - 57 * 60_000 - hour * HOUR) for hour in hours])
    db.close()
    written = data_of(report(tmp_path / "today.db").stdout)
    assert set(series(written, "coverage", 0)) <= {100, None}
    assert series(written, "coverage", 1)[-1] in (0, None)


def coverage_by_view(path, data):
    """By device and day, of both types together: percent, as the view coverage_daily has it; None: it says nothing."""
    devices = dict(zip(data["devices"]["id"], range(len(data["devices"]["id"]))))
    sums = {}
    db = sqlite3.connect(path)
    for name, day_ms, received, expected in db.execute("SELECT device_id, day_ms, received, expected FROM coverage_daily"):
        if day_ms == data["days_ms"][-1] and expected is not None:  # only whole intervals count
            expected = math.floor(expected - 0.5)
        if day_ms in data["days_ms"] and expected is not None and expected >= 1:
            have = sums.setdefault((devices[name], data["days_ms"].index(day_ms)), [0, 0])
            have[0] += min(received, expected)
            have[1] += expected
    db.close()
    return [[100 * sums[i, j][0] / sums[i, j][1] if (i, j) in sums else None for j in range(len(data["days"]))]
            for i in range(len(devices))]


@pytest.mark.parametrize("state", ["raw", "days", "middle", "dirty"])
def test_coverage_is_that_of_the_view(tmp_path, state):
    """Goal: the report computes coverage by itself, and says what coverage_daily says, whatever is rolled up."""
    midnight = NOW // DAY * DAY
    db = empty_database(tmp_path / "fleet.db")
    Fleet(48, NOW).write(db)
    with db:  # some devices have temperatures too, and fewer; one has nothing else, one has begun late
        db.execute("INSERT INTO temperature SELECT device, time_ms, 20, 2, NULL, received_ms FROM battery"
                   " WHERE device % 3 <> 0 AND (device % 2 = 0 OR time_ms / 60000 % 7 <> 0)")
        db.execute("DELETE FROM battery WHERE device = 4 OR (device = 11 AND time_ms < ?)", (NOW - 5 * DAY - 7 * HOUR,))
        if state == "days":
            roll_up(db, midnight)
        elif state == "middle":
            roll_up(db, midnight - 5 * HOUR, device=20, from_ms=midnight - DAY - 7 * HOUR)
        elif state == "dirty":
            roll_up(db, midnight, dirty=[(device, midnight // DAY - day) for device in range(3, 48, 5) for day in (1, 2, 6, 13)])
    db.close()
    written = data_of(report(tmp_path / "fleet.db").stdout)
    by_view = coverage_by_view(tmp_path / "fleet.db", written)
    partly = 0
    for device, expected in enumerate(by_view):
        found = series(written, "coverage", device)
        partly += sum(value is not None and 0 < value < 100 for value in found)
        for day in range(len(found) - 1):  # today goes on between the two
            assert found[day] == (None if expected[day] is None else pytest.approx(expected[day], abs=0.06)), (device, day)
        assert found[-1] is None or 0 <= found[-1] <= 100
    assert len(by_view) == 48 and partly > 100


def test_one_number_for_a_low_battery(data):
    """Goal: the page, the metric, the dashboards and the documents call the same batteries low."""
    header = (ROOT / "daemon/store/measures.h").read_text(encoding="utf-8")
    low = int(re.search(r"#define STORE_LEVEL_LOW_PCT (\d+)", header)[1])
    assert data["low_pct"] == low
    for name in ("README.md", "schema/README.md", "schema/RECIPES.md", "daemon/foxtrackrd.8", "daemon/foxtrackrctl.8",
                 "daemon/status/metrics.c", "packaging/prometheus/foxtrackrd.rules.yml", "packaging/grafana/foxtrackrd.json",
                 "packaging/grafana/foxtrackrd-readings.json"):
        text = (ROOT / name).read_text(encoding="utf-8")
        numbers = re.findall(r"level_pct < (\d+)", text)
        if not name.endswith("README.md"):  # these speak of other things below some percent, too
            numbers += re.findall(r"[Bb]elow (\d+)\s%", text)
        assert (numbers or name == "README.md") and set(map(int, numbers)) <= {low}, (name, numbers)


def test_gaps(data):
    """Goal: the silence of a device is an open gap of each type, by the device."""
    found = gaps_of(data, SILENT)
    assert {(kind, is_open, cause) for kind, is_open, cause, *_ in found if is_open} == {
        ("battery", True, "device"), ("temperature", True, "device")}
    [minutes] = {begin for _, is_open, _, begin, _ in found if is_open}
    last = FIRST + (DAYS * 24 - 61) * HOUR + SILENT * 1000
    assert abs(data["since_ms"] + minutes * 60_000 - last) <= 60_000


def test_group_and_device(fleet_database, data):
    """Goal: a group's report has its devices alone; a device's report has its readings, too."""
    group = data_of(report(fleet_database, "--group", "north").stdout)
    assert group["devices"]["id"] == data["devices"]["id"][1::2] and group["scope"]["group"] == "north"
    for name in ("level", "coverage"):
        assert series(group, name, 3)[:-1] == series(data, name, 7)[:-1]
    one = data_of(report(fleet_database, "--device", NAMES[WARM], "--since", "4d").stdout)
    assert one["devices"]["id"] == [NAMES[WARM]] and len(one["days"]) == 5
    times = [FIRST + hour * HOUR + WARM * 1000 for hour in range(DAYS * 24)]
    expected = [(at, celsius_of(WARM, hour)) for hour, at in enumerate(times) if at >= one["since_ms"]]
    assert list(zip(one["readings"]["temperature"]["ms"], one["readings"]["temperature"]["celsius"])) == expected
    assert data["readings"] is None


def test_empty_database(tmp_path):
    """Goal: a database without a device gives a page that says so."""
    empty_database(tmp_path / "empty.db").close()
    empty = data_of(report(tmp_path / "empty.db").stdout)
    assert empty["devices"]["id"] == [] and len(empty["days"]) == 1 and empty["accounts"]["received"] == 0


@pytest.mark.parametrize("view", ["battery_trend", "battery_daily", "reporting_gaps", "temperature_excursions"])
def test_a_view_that_cannot_be_read(tmp_path, view):
    """Goal: whichever part meets it, the sentence names the view, and there is no page."""
    database = empty_database(tmp_path / "broken.db")
    columns = [row[0] for row in database.execute(f"SELECT name FROM pragma_table_info('{view}')")]
    database.execute(f"DROP VIEW {view}")
    broken = ", ".join(f"abs(-9223372036854775807 - 1) AS {name}" for name in columns)
    database.execute("INSERT INTO devices VALUES (1, 'foxtrackr', 'one', 1)")
    database.execute(f"CREATE VIEW {view} AS SELECT {broken}")
    database.commit()
    database.close()
    done = report(tmp_path / "broken.db", output=tmp_path / "page.html", check=False)
    assert (done.returncode, done.stdout) == (66, "")
    assert f"cannot read {view}: integer overflow" in done.stderr
    assert not (tmp_path / "page.html").exists()


@pytest.mark.long
def test_ten_thousand_devices(tmp_path):
    """Goal: thirty days of ten thousand devices are 5 MB at most, with as many gaps as a page has."""
    make_large(tmp_path / "large.db")
    target = tmp_path / "report.html"
    assert "10000 devices, 31 days" in report(tmp_path / "large.db", output=target, timeout=120).stdout
    text = target.read_text()
    written = data_of(text)
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
