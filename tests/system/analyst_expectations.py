"""What each query of schema/README.md must give for the fleet of analyst_fleet.py, by its heading."""

import pytest

from analyst_fleet import DAY, FLEET, HOUR, MINUTE, NOW, day, mean, near, utc

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
