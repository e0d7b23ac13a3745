"""
The answers of schema/README.md on a fleet whose truth is known: batteries, gaps, silence, coverage, excursions.

Every question is asked in four states of the roll-ups: none, all closed days, a pass that ended in the middle of a
day and of the devices, and closed days of which some are to be made anew. The clock of the database is the fleet's.
"""

import contextlib
import itertools
import pathlib
import re
import sqlite3

import pytest

from answers_fleet import DAY, HOUR, MINUTE, Fleet, roll_up
from fleet import now_ms
from harness import value, wait_until

SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "schema" / "sqlite"
NOW = 1_790_000_000_000 + 15 * HOUR
"""15:53 UTC: neither a day's begin nor its end."""
STATES = ["raw", "days", "middle", "dirty"]
READINGS = {"battery", "temperature", "messages", "b", "t", "f", "e", "l"}
"""Names that the views give to tables of readings."""
VIEWS = ["usual_intervals", "days", "silent_devices", "battery_trend", "reporting_gaps", "coverage_daily",
         "temperature_excursions", "group_daily", "fleet_daily", "quarantine_summary"]


def database(path=":memory:", now=NOW):
    db = sqlite3.connect(path)
    for migration in sorted(SCHEMA.glob("[0-9]*.sql")):
        db.executescript(migration.read_text(encoding="utf-8"))
    db.create_function("unixepoch", 0, lambda: now // 1000)
    return db


def put(db, table, device, readings):
    """Readings (time_ms, value) of a device that has the name of its number."""
    db.execute("INSERT OR IGNORE INTO devices VALUES (?, 'foxtrackr', ?, ?)", (device, str(device), readings[0][0]))
    db.executemany(f"INSERT INTO {table} VALUES ({'?, ?, NULL, ?' if table == 'battery' else '?, ?, ?'}, 1, NULL, ?)",
                   [(device, time_ms, value, time_ms) for time_ms, value in readings])


def rows(db, sql, *values):
    cursor = db.execute(sql, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor]


def set_state(db, state):
    midnight = NOW // DAY * DAY
    if state == "days":
        roll_up(db, midnight)
    elif state == "middle":
        roll_up(db, midnight - 5 * HOUR, device=60, from_ms=midnight - DAY - 7 * HOUR)
    elif state == "dirty":
        days = [midnight // DAY - n for n in (1, 2, 3, 6, 9, 13, 20)]
        roll_up(db, midnight, dirty=list(itertools.product(range(3, 160, 5), days)))


@pytest.fixture(scope="module")
def fleet():
    return Fleet(192, NOW)


# One process has the tests of a state: the database is made once.
@pytest.fixture(scope="module", params=[
    pytest.param(state, marks=pytest.mark.xdist_group(f"answers-{state}")) for state in STATES])
def db(request, fleet):
    db = database()
    fleet.write(db)
    set_state(db, request.param)
    yield db
    db.close()


# --- batteries --------------------------------------------------------------------------------

def test_rates_are_right(db, fleet):
    """Goal: of the batteries that discharge, recharged or not, at least 95 % are within 20 % of the truth."""
    trend = {row["device"]: row for row in rows(db, "SELECT * FROM battery_trend")}
    for recharged in (False, True):
        wanted = [d for d in fleet.devices if d.discharges
                  and recharged == any(until > NOW - 7 * DAY for _, until in d.battery.recharges)]
        right = [d for d in wanted
                 if d.number in trend and abs(trend[d.number]["pct_per_day"] / d.rate - 1) <= 0.2]
        assert len(wanted) > 30
        assert len(right) >= 0.95 * len(wanted), [(d.name, d.kind, d.rate) for d in wanted if d not in right]


def test_days_left_are_right(db, fleet):
    """Goal: the time that is left is counted from now, and is that of the true level and rate."""
    trend = {row["device"]: row for row in rows(db, "SELECT * FROM battery_trend")}
    wanted = [d for d in fleet.devices if d.discharges and d.number in trend and d.battery.level(NOW) > 10]
    right = [d for d in wanted
             if abs(trend[d.number]["days_left"] / (d.battery.level(NOW) / d.rate) - 1) <= 0.25]
    assert len(wanted) > 80 and len(right) >= 0.95 * len(wanted)
    for row in trend.values():
        assert row["empty_ms"] == pytest.approx(NOW + row["days_left"] * DAY, abs=2000)


def test_no_forecast_for_the_silent_and_the_charged(db, fleet):
    """Goal: a device that is silent, or that does not discharge, has no line."""
    trend = {device for (device,) in db.execute("SELECT device FROM battery_trend")}
    assert len([d for d in fleet.devices if not d.discharges]) > 40
    assert [d.name for d in fleet.devices if not d.discharges and d.number in trend] == []


def test_recharges_are_counted(db, fleet):
    """Goal: recharges of the last 30 days, fast and slow, within one of the truth, and the time of the last of them."""
    trend = {row["device"]: row for row in rows(db, "SELECT * FROM battery_trend")}
    wanted = [d for d in fleet.devices
              if d.kind in ("fast", "slow", "plain") and d.interval <= 2 * HOUR and d.number in trend]
    counted = [d for d in wanted if abs(
        sum(until > NOW - 30 * DAY for _, until in d.battery.recharges) - trend[d.number]["recharges_30"]) <= 1]
    assert len(wanted) > 60 and len(counted) >= 0.95 * len(wanted)
    dated = [d for d in wanted if any(NOW - 25 * DAY < until < NOW for _, until in d.battery.recharges)]
    right = [d for d in dated if abs((trend[d.number]["recharged_ms"] or 0) - max(
        until for _, until in d.battery.recharges if until < NOW)) <= DAY]
    assert len(dated) > 20 and len(right) >= 0.9 * len(dated)


@pytest.mark.parametrize("state", STATES)
def test_a_recharge_of_today_counts(state):
    """Goal: a battery that was recharged an hour ago has the rate of before, and the days of its new level."""
    db = database()
    put(db, "battery", 1, [(NOW - n * HOUR, 40.0 + n / 12 if n > 1 else 100.0) for n in range(20 * 24, -1, -1)])
    set_state(db, state)
    (row,) = rows(db, "SELECT * FROM battery_trend")
    assert row["pct_per_day"] == pytest.approx(2, rel=0.02) and row["days_left"] == pytest.approx(50, rel=0.02)
    assert (row["recharges_30"], row["recharged_ms"]) == (1, NOW - HOUR)


def test_a_battery_that_was_plugged_in_has_no_forecast():
    """Goal: a month of discharge says nothing about a battery that has not discharged for a week."""
    db = database()
    put(db, "battery", 1, [(NOW - n * HOUR, 90.0 if n < 8 * 24 else 30.0 + n / 12) for n in range(30 * 24, 0, -1)])
    assert rows(db, "SELECT * FROM battery_trend") == []
    set_state(db, "days")
    assert rows(db, "SELECT * FROM battery_trend") == []


# --- gaps -------------------------------------------------------------------------------------

def test_gaps_are_found(db, fleet):
    """Goal: of the times with two or more missing readings, open ones included, 99 % are found, and 99 % of what is
    found is one; the cause is right."""
    truth = {(d.number, since, until): cause for d in fleet.devices for since, until, cause in d.holes}
    found = {(r["device"], r["from_ms"], r["to_ms"]): r
             for r in rows(db, "SELECT * FROM reporting_gaps WHERE type = 'bat'")}
    right = truth.keys() & found.keys()
    assert len(truth) > 500 and len(right) >= 0.99 * len(truth) and len(right) >= 0.99 * len(found)
    assert sum(truth[key] == found[key]["cause"] for key in right) >= 0.98 * len(right)
    assert {"broker", "daemon", "device"} == set(truth.values())
    assert any(until is None for _, _, until in right)
    for (_, since, until), row in found.items():
        assert row["open"] == (until is None) and row["duration_ms"] == (until or NOW) - since
        assert row["day_ms"] == (until or NOW) // DAY * DAY


def test_gaps_of_a_week(db):
    """Goal: a range of days gives those gaps of all that end in it."""
    since = NOW // DAY * DAY - 7 * DAY
    every = rows(db, "SELECT * FROM reporting_gaps WHERE to_ms >= ? OR open", since)
    week = rows(db, "SELECT * FROM reporting_gaps WHERE day_ms >= ?", since)
    assert len(week) > 100 and sorted(map(str, every)) == sorted(map(str, week))


def test_silence_is_found(db, fleet):
    """Goal: the silent devices are those that have sent nothing for two and a half intervals, and no others."""
    silent = {row["device"]: row for row in rows(db, "SELECT * FROM silent_devices")}
    assert set(silent) == {d.number for d in fleet.devices if d.silent}
    for d in fleet.devices:
        if d.silent:
            row = silent[d.number]
            assert row["last_seen_ms"] == d.readings[-1][0] and row["silent_ms"] == NOW - d.readings[-1][0]
            assert row["level_pct"] == d.readings[-1][1] and abs(row["usual_ms"] / d.interval - 1) < 0.05


def test_a_device_is_not_silent_while_one_of_its_types_comes():
    """Goal: a device with a broken thermometer reports; one whose usual interval is not known is silent after a day."""
    db = database()
    put(db, "temperature", 1, [(NOW - n * 10 * MINUTE, 20.0) for n in range(400, 100, -1)])
    put(db, "battery", 1, [(NOW - n * HOUR, 80.0) for n in range(100, 0, -1)])
    put(db, "battery", 2, [(NOW - 23 * HOUR, 80.0)])
    put(db, "battery", 3, [(NOW - 25 * HOUR, 80.0)])
    assert [row["device"] for row in rows(db, "SELECT * FROM silent_devices")] == [3]


def test_an_open_gap_while_the_daemon_is_stopped():
    """Goal: a stopped daemon explains what is missing since, but not what was missing before."""
    db = database()
    put(db, "battery", 1, [(NOW - n * HOUR, 80.0) for n in range(100, 5, -1)])
    put(db, "battery", 2, [(NOW - n * HOUR, 80.0) for n in range(100, 40, -1)])
    db.execute("INSERT INTO runs (started_ms, stopped_ms, version) VALUES (?, ?, '1')",
               (NOW - 200 * HOUR, NOW - 6 * HOUR))
    found = rows(db, "SELECT device, cause FROM reporting_gaps WHERE open ORDER BY device")
    assert [tuple(row.values()) for row in found] == [(1, "daemon"), (2, "device")]


def test_a_run_that_was_killed_is_no_cause_before_its_end():
    """Goal: a run without a recorded end has one, however many of the first devices are retired by now: what a device
    did not send while it ran is the device's; what nobody sent until the next start is the daemon's."""
    db = database()
    for device in range(1, 121):
        put(db, "battery", device, [(NOW - 400 * DAY + n * HOUR, 80.0) for n in range(60)])
    for device in range(900, 905):
        put(db, "battery", device, [(NOW - n * HOUR, 80.0) for n in range(30 * 24, 0, -1)
                                    if not (device == 900 and 400 < n < 450) and not 200 <= n < 210])
    db.executemany("INSERT INTO runs (started_ms, version) VALUES (?, '1')",
                   [(NOW - 40 * DAY,), (NOW - 200 * HOUR + 1,)])
    found = rows(db, "SELECT device, (? - to_ms) / 3600000 AS hours, cause FROM reporting_gaps WHERE device >= 900"
                     " AND NOT open ORDER BY device, to_ms", NOW)
    assert [tuple(row.values()) for row in found] == [(900, 400, "device")] + [
        (device, 199, "daemon") for device in range(900, 905)]
    # A run of which no device of the sample has a reading: its end is not known, and it explains nothing.
    for table in ("devices", "battery"):
        db.execute(f"UPDATE {table} SET device = device + 1000 WHERE device <= 50")
    found = rows(db, "SELECT DISTINCT cause FROM reporting_gaps WHERE device BETWEEN 900 AND 904 AND NOT open")
    assert [tuple(row.values()) for row in found] == [("device",)]


# --- days -------------------------------------------------------------------------------------

def test_coverage_is_right(db, fleet):
    """Goal: every day of a device from its first reading on, also without readings, with what came and should have."""
    found = {(r["device"], r["day_ms"]): r for r in rows(db, "SELECT * FROM coverage_daily WHERE type = 'bat'")}
    lines = 0
    for d in fleet.devices:
        counts, first = {}, d.readings[0][0]
        for time_ms, _, _ in d.readings:
            counts[time_ms // DAY * DAY] = counts.get(time_ms // DAY * DAY, 0) + 1
        for day_ms in range(first // DAY * DAY, NOW, DAY):
            row = found[d.number, day_ms]
            expected = (min(day_ms + DAY, NOW) - max(day_ms, first)) / d.interval
            assert row["received"] == counts.get(day_ms, 0)
            assert row["expected"] == pytest.approx(expected, rel=0.05, abs=0.1)
            lines += 1
            if row["expected"] > 1.1:
                assert row["coverage_pct"] == pytest.approx(min(100, 100 * row["received"] / expected), abs=5.1)
    assert lines == len(found)


def test_days_of_groups_and_of_the_fleet(db, fleet):
    """Goal: what the days of a group and of all devices say is what their readings say."""
    with db:
        db.execute("DELETE FROM device_groups")
        db.executemany("INSERT INTO device_groups VALUES (?, ?, 1)",
                       [(group, d.number) for d in fleet.devices for group in (f"g{d.number % 3}", "all")])
    days = {}
    for d in fleet.devices:
        for time_ms, level, _ in d.readings:
            for group in (f"g{d.number % 3}", "all"):
                days.setdefault((group, time_ms // DAY * DAY), []).append((d.number, level))
    found = rows(db, "SELECT * FROM group_daily")
    assert {(r["group_name"], r["day_ms"]) for r in found} == set(days)
    for row in found:
        readings = days[row["group_name"], row["day_ms"]]
        assert row["devices"] == len({number for number, _ in readings})
        assert row["battery_readings"] == len(readings) and row["temperature_readings"] == 0
        assert row["level_pct_min"] == min(level for _, level in readings)
        assert row["level_pct_avg"] == pytest.approx(sum(level for _, level in readings) / len(readings))
    for row in rows(db, "SELECT 'all' AS group_name, * FROM fleet_daily ORDER BY day_ms"):
        (same,) = [other for other in found if other["group_name"] == "all" and other["day_ms"] == row["day_ms"]]
        assert row == same | {"level_pct_avg": pytest.approx(same["level_pct_avg"])}
    since = NOW // DAY * DAY - 3 * DAY
    assert rows(db, "SELECT * FROM group_daily WHERE group_name = 'g1' AND day_ms >= ?", since) == [
        row for row in found if row["group_name"] == "g1" and row["day_ms"] >= since]


def test_days_of_another_time_zone():
    """Goal: with a zone in which the clock is put forward, days are 23 hours long there, and begin where they begin."""
    db = database()
    shift = NOW - 2 * DAY
    db.execute("DELETE FROM day_offsets")
    db.executemany("INSERT INTO day_offsets VALUES (?, ?, ?)", [(-2**63, shift, HOUR), (shift, 2**63 - 1, 2 * HOUR)])
    put(db, "battery", 1, [(NOW - n * HOUR, 80.0) for n in range(100, 0, -1)])
    days = rows(db, "SELECT * FROM days")
    assert [row["until_ms"] for row in days[:-1]] == [row["day_ms"] for row in days[1:]]
    assert sorted((row["until_ms"] - row["day_ms"]) // HOUR for row in days)[:2] == [23, 24]
    assert sum(row["received"] for row in rows(db, "SELECT * FROM coverage_daily")) == 100
    assert {row["day_ms"] for row in rows(db, "SELECT * FROM fleet_daily")} == {row["day_ms"] for row in days}
    assert rows(db, "SELECT day, day_ms FROM reporting_gaps WHERE open") == []


# --- excursions -------------------------------------------------------------------------------

def excursions(readings, limit, hysteresis, least_ms, sign):
    """The definition, step by step: (from, to or None, extreme)."""
    found, since, extreme = [], None, None
    for time_ms, celsius in [*readings, (None, None)]:
        value = None if celsius is None else sign * celsius
        if since is not None and (value is None or value <= sign * limit - hysteresis):
            if (time_ms or NOW) - since >= least_ms:
                found.append((since, time_ms, sign * extreme))
            since = None
        elif value is not None and value > sign * limit:
            since = time_ms if since is None else since
            extreme = value if extreme is None or since == time_ms else max(extreme, value)
    return found


@pytest.mark.parametrize("state", STATES)
def test_excursions(state):
    """Goal: excursions above and below, by device and group, with duration and hysteresis, over midnight and open ones,
    are those of a walk through the readings."""
    db = database()
    temperatures = {}
    for device in range(1, 9):
        wave = [2, 5, 9, 14, 9, 7.5, 8.5, 4, -3, -6, -2, 0.5, -1, 3][device % 3:]
        temperatures[device] = [
            (NOW - 12 * DAY + n * 47 * MINUTE + device, float(wave[n // (1 + device) % len(wave)] + n % 3 / 4))
            for n in range(12 * DAY // (47 * MINUTE))]
        put(db, "temperature", device, temperatures[device])
    db.executemany("INSERT INTO device_groups VALUES ('cold', ?, 1)", [(n,) for n in (2, 3, 5)])
    limits = [(1, None, None, None, 8.0, 0, 0.0), (2, "cold", None, -1.0, 7.0, 7200, 1.0),
              (3, None, "4", -2.0, None, 3600, 2.0), (4, "cold", "3", None, 13.0, 0, 5.0),
              (5, "nobody", None, None, 1.0, 0, 0.0), (6, None, None, -50.0, 90.0, 0, 0.0)]
    db.executemany("INSERT INTO limits (limit_id, group_name, device_id, celsius_min, celsius_max, duration_s,"
                   " hysteresis) VALUES (?, ?, ?, ?, ?, ?, ?)", limits)
    set_state(db, state)
    wanted = []
    for limit_id, group, name, least, most, duration_s, hysteresis in limits:
        for device, readings in temperatures.items():
            if group not in (None, "cold") or (group and device not in (2, 3, 5)) or (name and name != str(device)):
                continue
            for side, limit, sign in (("above", most, 1), ("below", least, -1)):
                if limit is not None:
                    wanted += [(device, limit_id, side, limit, *e)
                               for e in excursions(readings, limit, hysteresis, duration_s * 1000, sign)]
    found = [(r["device"], r["limit_id"], r["side"], r["threshold"], r["from_ms"], r["to_ms"], r["celsius_extreme"])
             for r in rows(db, "SELECT * FROM temperature_excursions")]
    assert len(wanted) > 100 and any(w[5] is None for w in wanted)
    assert sorted(map(repr, found)) == sorted(map(repr, wanted))
    for row in rows(db, "SELECT * FROM temperature_excursions"):
        assert row["duration_ms"] == (row["to_ms"] or NOW) - row["from_ms"] and row["open"] == (row["to_ms"] is None)
        assert row["day_ms"] == row["from_ms"] // DAY * DAY and row["day"] == row["from_utc"][:10]


# --- the daemon -------------------------------------------------------------------------------

def test_the_daemons_roll_ups_change_no_answer(daemon):
    """Goal: the answers from roll-ups that the daemon itself has made are those from the readings."""
    daemon.start()
    daemon.stop()
    now, asked = now_ms(), {
        "silent_devices": "device, last_seen_ms", "reporting_gaps": "device, from_ms, to_ms, cause, day",
        "coverage_daily": "device, day_ms, received",
        "fleet_daily": "day_ms, devices, battery_readings, level_pct_min, round(level_pct_avg, 6)"}

    def answers():
        db = sqlite3.connect(daemon.database, timeout=60)
        db.create_function("unixepoch", 0, lambda: now // 1000)
        trend = db.execute("SELECT device, pct_per_day FROM battery_trend ORDER BY device").fetchall()
        rest = {view: sorted(db.execute(f"SELECT {columns} FROM {view}"), key=str) for view, columns in asked.items()}
        db.close()
        return trend, rest

    with contextlib.closing(sqlite3.connect(daemon.database)) as db:
        Fleet(64, now).write(db)
    trend, rest = answers()
    assert len(trend) > 30 and all(rest.values())
    daemon.start()
    wait_until(lambda: value(daemon.database, "SELECT from_ms FROM rollup_state") >= now - 3 * HOUR, timeout=60,
               what="roll-ups")
    daemon.stop()
    assert value(daemon.database, "SELECT count(*) FROM battery_days") > 1000
    rolled_trend, rolled = answers()
    assert rolled == rest
    assert [device for device, _ in rolled_trend] == [device for device, _ in trend]
    near = [abs(rate / other - 1) < 0.1 for (_, rate), (_, other) in zip(rolled_trend, trend)]
    assert sum(near) >= 0.9 * len(near)


# --- plans ------------------------------------------------------------------------------------

def plan(db, sql):
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")]


@pytest.mark.parametrize("view", [view for view in VIEWS if view != "quarantine_summary"])
def test_no_view_reads_all_readings(view):
    """Goal: whatever is asked of a view, tables of readings are searched by device and time, never read as a whole."""
    db = database()
    columns = {row[1] for row in db.execute(f"PRAGMA table_info({view})")}
    conditions = ["1"] + [f"{column} = {value}" for column, value in (
        ("device", 1), ("device_id", "'1BBCE'"), ("group_name", "'herd'")) if column in columns]
    conditions += [f"{column} >= {value}" for column, value in (
        ("day_ms", NOW), ("day", "'2026-11-01'"), ("from_ms", NOW)) if column in columns]
    for condition in conditions:
        for step in plan(db, f"SELECT * FROM {view} WHERE {condition}"):
            match = re.match(r"SCAN (\w+)", step)
            assert not match or match.group(1) not in READINGS, (condition, step)


def test_a_range_of_days_searches_the_roll_ups():
    """Goal: a range of days is searched in the roll-ups, and a group is searched too."""
    db = database()
    for view, arms in (("reporting_gaps", 2), ("temperature_excursions", 1)):
        for column in ("day_ms", "day"):
            steps = plan(db, f"SELECT * FROM {view} WHERE {column} >= 1")
            assert sum(step.startswith("SEARCH c USING INDEX") for step in steps) == arms, steps
    steps = plan(db, "SELECT * FROM group_daily WHERE group_name = 'herd'")
    assert any(re.match(r"SEARCH g .*group_name=\?", step) for step in steps), steps


def steps_of(db, sql):
    """How many instructions SQLite takes, in thousands."""
    counted = []
    db.set_progress_handler(lambda: counted.append(1), 1000)
    db.execute(sql).fetchall()
    db.set_progress_handler(None, 0)
    return len(counted)


@pytest.mark.parametrize("view", ["fleet_daily", "group_daily"])
def test_empty_days_ask_no_device(view):
    """Goal: after one late reading of long ago, which leads to a calendar of years without a reading, a question of the
    fleet does not ask every device of each of these days."""
    db = database()
    midnight, devices, empty = NOW // DAY * DAY, 300, 500
    for device in range(1, devices + 1):
        put(db, "battery", device, [(midnight - HOUR * n, 50.0) for n in range(1, 5)])
        db.execute("INSERT INTO device_groups VALUES ('all', ?, 1)", (device,))
    roll_up(db, midnight)
    before = steps_of(db, f"SELECT * FROM {view}")
    db.executemany("INSERT INTO calendar SELECT ?1, date(?1 * 86400, 'unixepoch'), ?1 * 86400000, (?1 + 1) * 86400000,"
                   " date(?1 * 86400, 'unixepoch')", [(midnight // DAY - 2 - n,) for n in range(empty)])
    assert steps_of(db, f"SELECT * FROM {view}") - before < devices * empty / 1000


@pytest.mark.parametrize("view", [view for view in VIEWS if view not in ("days", "quarantine_summary", "group_daily",
                                                                         "fleet_daily")])
@pytest.mark.parametrize("condition", ["device = 1", "device_id = '1BBCE'"])
def test_a_device_is_searched(view, condition):
    """Goal: a question about one device asks no other one, however many there are."""
    db = database()
    steps = plan(db, f"SELECT * FROM {view} WHERE {condition}")
    assert any(re.match(r"SEARCH d USING (INTEGER PRIMARY KEY|INDEX devices_by_id)", step) for step in steps), steps
    # The first day is that of the first reading of all, and 100 devices say when the daemon was down.
    if view not in ("reporting_gaps", "coverage_daily"):
        assert not any(re.match(r"SCAN (d|devices)\b", step) for step in steps), steps


@pytest.mark.parametrize("condition", ["device = 1", "device_id = '1BBCE'"])
def test_a_device_needs_no_table_as_a_whole(condition):
    """Goal: with the statistics of a large database, too, a question about one device reads no table for a Bloom filter."""
    db = database()
    db.execute("ANALYZE devices")
    db.executemany("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", [
        ("battery", "battery", "4084864 334 1"), ("temperature", "temperature", "4462000 334 1"),
        ("device_groups", "device_groups_by_device", "10341 1"),
        ("device_groups", "sqlite_autoindex_device_groups_1", "9880 501 1")])
    db.execute("ANALYZE sqlite_schema")     # reads them
    for view in ("battery_daily", "temperature_daily", "battery_pieces", *VIEWS):
        if {"device", "device_id"} <= {row[1] for row in db.execute(f"PRAGMA table_info({view})")}:
            steps = plan(db, f"SELECT * FROM {view} WHERE {condition}")
            assert not [step for step in steps if "BLOOM" in step], (view, steps)


# --- limits -----------------------------------------------------------------------------------

def test_limits_refuse_what_makes_no_sense():
    db = database()
    for column in ("duration_s", "hysteresis"):
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(f"INSERT INTO limits (celsius_max, {column}) VALUES (8, -1)")
    for columns, values in (("celsius_min, celsius_max", "8, 2"), ("celsius_min, celsius_max", "8, 8"),
                            ("group_name", "'herd'"), ("device_id, duration_s", "'1', 60"),
                            ("level_pct_min", "200"), ("level_pct_min", "-1")):
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(f"INSERT INTO limits ({columns}) VALUES ({values})")
    db.execute("INSERT INTO limits (celsius_max) VALUES (8)")
    assert rows(db, "SELECT duration_s, hysteresis FROM limits") == [{"duration_s": 0, "hysteresis": 0.0}]
