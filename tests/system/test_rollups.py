"""Roll-ups by day: views that read them cannot be told from the readings, whatever happens."""

import contextlib
import datetime
import math
import re
import shutil
import sqlite3
import zoneinfo

import pytest

import fleet
from foxtrackrd import foxtrackrctl
from harness import query, value, wait_until

HOUR = 3_600_000
DAY = 24 * HOUR

DAILY = """
SELECT device, day_utc, readings, round(level_pct_min, 6), round(level_pct_avg, 6),
       round(level_pct_max, 6), round(voltage_v_avg, 6), first_ms, last_ms FROM battery_daily
 ORDER BY device, day_ms"""
RAW = """
SELECT device, date(time_ms / 1000, 'unixepoch') AS day, count(*), round(min(level_pct), 6),
       round(avg(level_pct), 6), round(max(level_pct), 6), round(avg(voltage_v), 6), min(time_ms),
       max(time_ms) FROM battery GROUP BY device, day ORDER BY device, day"""
BOUNDARY = "SELECT from_ms FROM rollup_state"


def fill(path, devices, days, hours=1, until_ms=None):
    """Readings of whole hours, up to now; beside no daemon."""
    until_ms = until_ms or fleet.now_ms()
    first = until_ms // DAY * DAY - days * DAY
    with sqlite3.connect(path) as connection:
        connection.executemany("INSERT INTO devices VALUES (?, 'foxtrackr', ?, ?)",
                               [(n, f"d{n}", first) for n in range(1, devices + 1)])
        times = range(first, until_ms, hours * HOUR)
        connection.executemany(
            "INSERT INTO battery VALUES (?, ?, ?, ?, 5, NULL, ?)",
            ((n, t + n, 3.6 + math.sin(t + n) / 10, 50 + 40 * math.sin((t / HOUR + n) / 9), t + n)
             for n in range(1, devices + 1) for t in times))
        connection.executemany(
            "INSERT INTO temperature VALUES (?, ?, ?, 6, NULL, ?)",
            ((n, t + n, 20 + 5 * math.cos(t / HOUR), t + n)
             for n in range(1, devices + 1) for t in times))
        connection.execute("UPDATE runs SET received = received + ?1, stored = stored + ?1",
                           (2 * devices * len(times),))
    connection.close()


def same(path):
    """One state of the database: the view beside the readings."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    connection.execute("BEGIN")
    try:
        return connection.execute(DAILY).fetchall() == connection.execute(RAW).fetchall()
    finally:
        connection.close()


def wait_rolled_up(daemon, until_ms):
    wait_until(lambda: value(daemon.database, BOUNDARY) >= until_ms and
               value(daemon.database, "SELECT count(*) FROM rollup_dirty") == 0, timeout=60,
               what=lambda: f"roll-ups: {query(daemon.database, 'SELECT * FROM rollup_state')}")


def change(path, statement):
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)


@pytest.fixture
def filled(daemon):
    """A stopped daemon and its database of 40 days."""
    daemon.start()
    daemon.stop()
    fill(daemon.database, devices=20, days=40)
    return daemon


def test_readings_are_rolled_up_in_idle_time(broker, filled, tmp_path):
    """
    Goal: after the start the readings of an older database are rolled up, to a full hour of today;
    a reading that comes late for a day changes it, and the day is rolled up anew. The view says the
    same as the readings all the time, and verify finds nothing. In what is added up of the roll-ups, verify finds each
    number that somebody has changed.
    """
    change(filled.database, "INSERT INTO device_groups SELECT 'herd', device, 1 FROM devices WHERE device % 2")
    daemon = filled.start()
    now = fleet.now_ms()
    wait_rolled_up(daemon, now - 3 * HOUR)
    boundary = value(daemon.database, BOUNDARY)
    assert boundary % HOUR == 0 and boundary < fleet.now_ms()
    assert value(daemon.database, "SELECT count(*) FROM battery_days") >= 40 * 20
    assert value(daemon.database, "SELECT count(*) FROM calendar") in (40, 41, 42)
    assert same(daemon.database)
    late = now // DAY * DAY - 20 * DAY + HOUR // 2
    before = value(daemon.database, "SELECT sum(received) FROM runs")
    broker.publish("foxtrackr/d3/V3.0/bat", fleet.battery("d3", late, 3.1))
    daemon.wait_received(before + 1)
    assert same(daemon.database)
    wait_rolled_up(daemon, boundary)
    assert same(daemon.database)
    assert value(daemon.database, "SELECT voltage_v_min FROM battery_days WHERE device = 3"
                                  " AND day = ?", late // DAY) == 3.1
    assert value(daemon.database, "SELECT usual_ms FROM device_habits WHERE device = 3"
                                  " AND type = 'bat'") == HOUR
    wait_until(lambda: value(daemon.database, "SELECT analyzed_ms FROM rollup_state") > 0,
               what="ANALYZE")
    daemon.stop()
    assert re.search(r"sums of days +good +\d\d of .* and the discharge of (19|20) batteries",
                     foxtrackrctl(daemon, "verify").stdout)
    shutil.copy(daemon.database, tmp_path / "copy.db")  # as it is before the first hour of a day is rolled up
    change(tmp_path / "copy.db", "DELETE FROM calendar WHERE from_ms >= (SELECT max(until_ms) FROM battery_trends)")
    assert re.search(r"sums of days +good .* discharge of (19|20) batteries",
                     foxtrackrctl(daemon, "verify", tmp_path / "copy.db", check=False).stdout)
    for statement in ("UPDATE fleet_days SET devices = devices + 1 WHERE day = (SELECT min(day) FROM fleet_days)",
                      "UPDATE group_days SET celsius_sum = celsius_sum + 1 WHERE day = (SELECT max(day) FROM group_days)",
                      "DELETE FROM group_days WHERE day = (SELECT min(day) FROM group_days)",
                      "UPDATE battery_trends SET days_7 = days_7 + 1 WHERE device = 7"):
        shutil.copy(daemon.database, tmp_path / "copy.db")
        change(tmp_path / "copy.db", statement)
        done = foxtrackrctl(daemon, "verify", tmp_path / "copy.db", check=False)
        assert re.search(r"sums of days +BAD +1 of", done.stdout), (statement, done.stdout)


def test_a_kill_in_the_middle_leaves_the_views_right(daemon):
    """Goal: wherever kill -9 hits the work, the view says what the readings say, and the next start
    goes on."""
    daemon.start()
    daemon.stop()
    fill(daemon.database, devices=300, days=30, hours=2)
    reached, killed = value(daemon.database, BOUNDARY), 0
    for _ in range(6):
        daemon.start(wait=None)
        wait_until(lambda seen=reached: value(daemon.database, BOUNDARY) > seen, timeout=60,
                   what="a step of the roll-ups")
        daemon.kill()
        reached = value(daemon.database, BOUNDARY)
        killed += reached < fleet.now_ms() // DAY * DAY
        assert same(daemon.database)
        if reached > fleet.now_ms() - 2 * DAY:
            break
    assert killed > 0
    daemon.start()
    wait_rolled_up(daemon, fleet.now_ms() - 4 * HOUR)
    assert same(daemon.database)
    daemon.stop()


def test_replay_beside_the_daemon_takes_part(broker, filled):
    """Goal: readings that foxtrackrctl replay moves to their table, for a day that is rolled up,
    change that day."""
    daemon = filled
    old = fleet.now_ms() // DAY * DAY - 10 * DAY + HOUR // 3
    daemon.configure(parser={"version_slash": "no"})
    daemon.start()
    wait_rolled_up(daemon, fleet.now_ms() - 3 * HOUR)
    before = value(daemon.database, "SELECT sum(received) FROM runs")
    broker.publish("foxtrackr/d4/V3/0/bat", fleet.battery("d4", old, 3.2))
    daemon.wait_received(before + 1)
    assert value(daemon.database, "SELECT count(*) FROM quarantine") == 1
    daemon.configure(parser={"version_slash": "yes"})
    foxtrackrctl(daemon, "replay")
    assert value(daemon.database, "SELECT count(*) FROM battery WHERE time_ms = ?", old) == 1
    assert same(daemon.database)
    wait_rolled_up(daemon, 0)
    assert same(daemon.database)
    assert value(daemon.database, "SELECT voltage_v_min FROM battery_days WHERE device = 4"
                                  " AND day = ?", old // DAY) == 3.2
    daemon.stop()


def test_days_of_a_time_zone(filled):
    """Goal: with database.time_zone days are those of the zone; back to UTC they are UTC again."""
    daemon = filled
    try:
        zone = zoneinfo.ZoneInfo("America/New_York")
    except zoneinfo.ZoneInfoNotFoundError:
        pytest.skip("this machine has no tzdata")
    daemon.configure(database={"time_zone": "America/New_York"})
    daemon.start()
    wait_rolled_up(daemon, fleet.now_ms() - 3 * HOUR)
    expected = {}
    for (time_ms,) in query(daemon.database, "SELECT time_ms FROM battery WHERE device = 7"):
        day = datetime.datetime.fromtimestamp(time_ms / 1000, zone).strftime("%F")
        expected[day] = expected.get(day, 0) + 1
    found = dict(query(daemon.database, "SELECT day, readings FROM battery_daily WHERE device = 7"))
    assert found == expected
    assert value(daemon.database, "SELECT zone FROM rollup_state") == "America/New_York"
    daemon.stop()
    daemon.configure(database={"time_zone": "UTC"})
    daemon.start()
    assert same(daemon.database)
    wait_rolled_up(daemon, fleet.now_ms() - 3 * HOUR)
    assert same(daemon.database)
    daemon.stop()
    daemon.configure(database={"time_zone": "Europe/Zurick"})
    daemon.start(wait=None)
    assert daemon.wait_exit() == 78
    daemon.wait_log("database.time_zone: .*Europe/Zurick")


def test_rollups_outlive_their_readings(filled):
    """Goal: with rollup_days the daily values stay when retention deletes the readings, in whole
    days."""
    daemon = filled
    daemon.start()
    wait_rolled_up(daemon, fleet.now_ms() - 3 * HOUR)
    before = query(daemon.database, DAILY + " LIMIT 300")
    daemon.stop()
    daemon.configure(database={"retention_days": 30, "rollup_days": 1000})
    # To the end of the last day that is deleted: it goes some readings at a time.
    first = fleet.now_ms() // DAY * DAY - 30 * DAY
    daemon.start()
    wait_until(lambda: value(daemon.database, "SELECT min(time_ms) FROM battery") >= first, timeout=60, what="retention")
    assert value(daemon.database, "SELECT min(time_ms) / 3600000 % 24 FROM battery") == 0
    assert query(daemon.database, DAILY + " LIMIT 300") == before
    assert "roll-ups" in foxtrackrctl(daemon, "verify").stdout
    daemon.stop()
    daemon.configure(database={"retention_days": 30, "rollup_days": 0})
    daemon.start()
    wait_until(lambda: same(daemon.database), timeout=60, what="roll-ups to go with their readings")
    daemon.stop()


def test_plans_of_the_views_by_day(filled):
    """Goal: with a device or with a recent range, and after ANALYZE, no view by day reads all
    readings or all roll-ups."""
    daemon = filled.start()
    wait_until(lambda: value(daemon.database, "SELECT analyzed_ms FROM rollup_state") > 0,
               what="ANALYZE")
    daemon.stop()
    recent = datetime.datetime.fromtimestamp(fleet.now_ms() / 1000 - 7 * 86400,
                                             datetime.timezone.utc).strftime("%F")
    for table in ("battery", "temperature"):
        for where in ("device = 3", "device_id = 'd3'", f"day >= '{recent}'",
                      f"day_utc >= '{recent}'", "day_ms >= 1700000000000"):
            check_plan(daemon.database, f"SELECT * FROM {table}_daily WHERE {where}")
        for where in ("device = 3", "day >= 19000"):
            check_plan(daemon.database, f"SELECT day, sum(readings) FROM {table}_pieces"
                                        f" WHERE {where} GROUP BY day")


def check_plan(path, sql):
    plan = [row[3] for row in query(path, f"EXPLAIN QUERY PLAN {sql}")]
    scans = [step for step in plan
             if step.startswith("SCAN") and step.split()[1] in ("b", "t", "r", "battery",
                                                                "temperature", "battery_days",
                                                                "temperature_days")]
    assert not scans, (sql, plan)
    rollups = [step for step in plan if step.startswith("SEARCH r ")]
    assert rollups and all("day=" in step for step in rollups), (sql, plan)
