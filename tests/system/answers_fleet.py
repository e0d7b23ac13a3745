"""
A fleet whose truth is known: what each battery really does, and why each reading that is missing is missing.

The generator makes the readings that devices would send and takes away those that never arrived. The right answers of
the views are then known without asking any of them. Levels have noise and steps; recharges are fast, slow or so
frequent that no two days lie between them.
"""

import functools
import math
import os
import pathlib
import random
import re
import subprocess

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
INTERVALS = [10 * MINUTE, 30 * MINUTE, HOUR, HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR, DAY]
KINDS = ["plain", "fast", "fast", "slow", "slow", "often", "plugged", "silent"]


class Battery:
    """The state of charge over time: straight lines between turning points."""

    def __init__(self, rng, kind, rate, begin, end):
        self.points = [(begin, rng.uniform(70, 100))]
        self.recharges = []  # (from, until)
        floor = rng.uniform(15, 40)
        per_hour = rng.uniform(30, 80) if kind in ("fast", "often") else rng.uniform(1.5, 6)
        if kind == "plugged":
            self.points.append((end, self.points[0][1]))
        while self.points[-1][0] < end:
            at, level = self.points[-1]
            until = at + (level - floor) / rate * DAY
            self.points.append((until, floor))
            if until < end:
                top = rng.uniform(85, 100)
                full = until + max((top - floor) / per_hour * HOUR, HOUR)
                self.points.append((full, top))
                self.recharges.append((until, full))

    def level(self, at):
        for (t0, y0), (t1, y1) in zip(self.points, self.points[1:]):
            if t0 <= at <= t1:
                return y0 + (y1 - y0) * (at - t0) / (t1 - t0)
        return self.points[-1][1]


class Device:
    """One device: its kind, its readings (time_ms, value, received_ms) and its holes (from, to or None, cause)."""

    def __init__(self, rng, number, now, days, outages):
        self.number = number
        self.name = f"T{number:05d}"
        self.kind = KINDS[number % len(KINDS)]
        self.interval = INTERVALS[number // len(KINDS) % len(INTERVALS)]
        if self.kind in ("slow", "often"):  # seen by those only that report often enough
            self.interval = min(self.interval, 2 * HOUR)
        self.rate = rng.uniform(14, 30) if self.kind == "often" else math.exp(
            rng.uniform(math.log(0.8), math.log(12)))
        self.noise = rng.uniform(0.1, 0.6)
        self.step = rng.choice([0.1, 1, 1, 1, 2])
        begin = now - days * DAY
        self.battery = Battery(rng, self.kind, self.rate, begin - DAY, now)
        self.silent_from = now - max(rng.uniform(2, 9) * DAY, 4 * self.interval) if self.kind == "silent" else now
        self.holes = []
        self.readings = self._send(rng, begin + rng.uniform(0, self.interval), now, outages)

    def _send(self, rng, begin, now, outages):
        pauses = []
        for _ in range(rng.choice([0, 0, 1, 1, 2])):
            start = rng.uniform(begin + 3 * DAY, now - 2 * DAY)
            until = min(start + self.interval * rng.uniform(4, 40), now - 3 * self.interval)
            pauses.append((start, until, "device"))
        sent, lost, at = [], [], begin
        while at < now:
            time_ms = int(at + rng.uniform(-0.08, 0.08) * self.interval)
            why = next((cause for since, until, cause in outages + pauses if since <= time_ms < until), None)
            if time_ms >= self.silent_from or (why is None and rng.random() < 0.004):
                why = "device"
            if why is None and time_ms < now:
                self._hole(sent[-1][0] if sent else None, lost, time_ms)
                lost = []
                late = rng.choice([0, 0, 0, 2, 5 * HOUR]) * rng.random()
                sent.append((time_ms, self.measure(rng, time_ms), min(now, int(time_ms + 2000 + late))))
            elif why:
                lost.append(why)
            at += self.interval
        if self.silent_from < now or len(lost) >= 3:
            self._hole(sent[-1][0], lost, None)
        return sent

    def _hole(self, since, lost, until):
        if since is not None and len(lost) >= 2:
            self.holes.append((since, until, max(set(lost), key=lost.count)))

    def measure(self, rng, at):
        level = self.battery.level(at) + rng.gauss(0, self.noise)
        return float(min(100, max(0, round(round(level / self.step) * self.step, 3))))

    @property
    def discharges(self):
        return self.kind != "plugged" and not self.silent

    @property
    def silent(self):
        return any(until is None for _, until, _ in self.holes)


class Fleet:
    """Devices, the times for which the broker lost a queue, and those when the daemon did not run."""

    def __init__(self, count, now, days=40, seed=22):
        rng = random.Random(seed)
        self.now = now
        self.gaps = [(now - days_ago * DAY, now - days_ago * DAY + hours * HOUR, "broker")
                     for days_ago, hours in ((13, 19), (6, 5))]
        self.down = [(now - days_ago * DAY, now - days_ago * DAY + hours * HOUR, "daemon")
                     for days_ago, hours in ((9, 10), (3, 4))]
        self.kept = [(now - 20 * DAY, now - 20 * DAY + 12 * HOUR)]  # the daemon was away; the broker kept everything
        self.devices = [Device(rng, n, now, days, self.gaps + self.down) for n in range(1, count + 1)]
        self.days = days

    def runs(self):
        """(started_ms, stopped_ms) of each run; the last but one was killed, so that its end is not recorded."""
        away = sorted([(since, until) for since, until, _ in self.down] + self.kept)
        started = [self.now - self.days * DAY] + [until for _, until in away]
        stopped = [since for since, _ in away[:-1]] + [None, None]
        return list(zip(started, stopped))

    def write(self, db):
        """Puts the fleet into a database that has the schema. Devices send battery readings only."""
        with db:
            for d in self.devices:
                db.execute("INSERT INTO devices VALUES (?, 'foxtrackr', ?, ?)", (d.number, d.name, d.readings[0][2]))
                db.executemany("INSERT INTO battery VALUES (?, ?, NULL, ?, 1, NULL, ?)",
                               [(d.number, *reading) for reading in d.readings])
            db.executemany("INSERT INTO gaps VALUES ('id-a-01', ?, ?, 'session lost')", [g[:2] for g in self.gaps])
            # One of which the begin is not known, and one in which perhaps nothing is missing: they explain nothing.
            db.execute("INSERT INTO gaps VALUES ('id-a-02', NULL, ?, 'session lost')", (self.now,))
            db.execute("INSERT INTO gaps VALUES ('id-a-03', 1, ?, 'session uncertain')", (self.now,))
            db.executemany("INSERT INTO runs (started_ms, stopped_ms, version) VALUES (?, ?, '1')", self.runs())


@functools.cache
def statement(header, name):
    """The SQL of the daemon that a macro in a header of daemon/store/sqlite has."""
    path = pathlib.Path(__file__).resolve().parents[2] / "daemon/store/sqlite" / header
    text = subprocess.run([os.environ.get("CC", "cc"), "-E", "-P", "-include", path, "-x", "c", "-"], input=f"found: {name}",
                          capture_output=True, check=True, text=True).stdout
    return "".join(re.findall(r'"([^"]*)"', text.partition("found:")[2]))


def packed(name, values, parts):
    """Lowest, sum and highest as rollup_make.c stores them: whole `parts` of the unit, if all values are."""
    whole = [round(value * parts) for value in values]
    if [number / parts for number in whole] != values:
        return {f"{name}_min_packed": min(values), f"{name}_sum_packed": sum(values), f"{name}_max_packed": max(values)}
    return {f"{name}_min_packed": min(whole), f"{name}_sum_packed": sum(whole) - min(whole) * len(whole),
            f"{name}_max_packed": max(whole) - min(whole)}


def sum_up(db, until_ms):
    """Adds the roll-ups of days that are over up, as the daemon does."""
    for day, in db.execute("SELECT day FROM calendar WHERE until_ms <= ?"
                           " AND day NOT IN (SELECT day FROM rollup_dirty)", (until_ms,)).fetchall():
        db.execute("INSERT INTO fleet_days VALUES (?, 0, 1, 0, 0, NULL, 0, 0, NULL, 0, NULL, 0, 0, NULL)", (day,))
        for begin in (0, 40):
            values = (day, begin, 40 if begin == 0 else 2**62)
            db.execute(statement("rollup_sums_internal.h", "STORE_SUMS_FLEET"), values)
            db.execute(statement("rollup_sums_internal.h", "STORE_SUMS_GROUPS"), values)
        db.execute("UPDATE fleet_days SET device = NULL WHERE day = ?", (day,))


def roll_up(db, until_ms, *, device=0, from_ms=None, dirty=()):
    """
    Makes the roll-ups as the daemon does, days of UTC: of readings before until_ms for devices up to `device`, before
    from_ms for the others (as a pass does that is not through), and without those of `dirty`, (device, day).
    """
    from_ms = until_ms if from_ms is None else from_ms
    days = set()
    for table, value in (("battery", "level_pct"), ("temperature", "celsius")):
        groups, before, last = {}, {}, None
        for row in db.execute(f"SELECT device, time_ms, {value} FROM {table} ORDER BY device, time_ms").fetchall():
            before.setdefault(row[:2], last[1] if last and last[0] == row[0] else None)
            last = row
            if row[1] < (until_ms if row[0] <= device else from_ms) and (row[0], row[1] // DAY) not in dirty:
                groups.setdefault((row[1] // DAY, row[0]), []).append(row[1:])
        days |= {day for day, _ in groups} | {day for _, day in dirty}
        for (day, number), readings in groups.items():
            times = [time_ms for time_ms, _ in readings]
            pauses = [time_ms - before[number, time_ms] for time_ms in times if before[number, time_ms] is not None]
            values = [v for _, v in readings if v is not None]
            row = {"day": day, "device": number, "readings": len(times),
                   "first_after_ms": times[0] - day * DAY, "last_before_ms": (day + 1) * DAY - times[-1],
                   "pause_max_ms": max(pauses, default=None),
                   f"{value}_count": len(values) if len(values) < len(times) else None}
            if len(times) > 1 and max(pauses) <= 2 * (times[-1] - times[0]) // (len(times) - 1):
                row["pause_max_ms"] = None
            if values and table == "temperature":
                row |= packed(value, values, 100)
            if values and table == "battery":  # NULL: the highest or the lowest
                row |= {f"{value}_min": min(values), f"{value}_sum": sum(values), f"{value}_max": max(values),
                        "level_pct_first": None if values[0] == max(values) else values[0],
                        "level_pct_last": None if values[-1] == min(values) else values[-1]}
            for name, required in db.execute(f"SELECT name, \"notnull\" FROM pragma_table_info('{table}_days')"):
                if required:
                    row.setdefault(name, 0)
            db.execute(f"INSERT INTO {table}_days ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
                       [*row.values()])
    for day in range(min(days), max(days) + 1):
        db.execute("INSERT INTO calendar SELECT ?1, date(?1 * 86400, 'unixepoch'), ?1 * 86400000, (?1 + 1) * 86400000,"
                   " date(?1 * 86400, 'unixepoch')", (day,))
    for kind in ("bat", "temp"):
        db.executemany("INSERT INTO rollup_dirty (type, device, day, from_ms, until_ms)"
                       " VALUES (?1, ?2, ?3, ?3 * 86400000, (?3 + 1) * 86400000)", [(kind, *pair) for pair in dirty])
    db.execute("UPDATE rollup_state SET device = ?, from_ms = ?, from_day = ?, until_ms = ?, until_day = ?",
               (device, from_ms, from_ms // DAY, until_ms, until_ms // DAY))
    for kind, table in (("bat", "battery"), ("temp", "temperature")):
        db.execute(f"INSERT INTO device_habits (device, type, usual_ms, intervals, learnt_ms)"
                   f" SELECT device, type, usual_ms, 51, 0 FROM usual_intervals WHERE type = '{kind}' AND usual_ms > 0"
                   f" AND device IN (SELECT device FROM {table} GROUP BY device HAVING count(*) > 4)")
    for device, in db.execute("SELECT device FROM devices").fetchall():
        db.execute(statement("rollup_trend_internal.h", "STORE_TREND_LEARN"),
                   (device, from_ms // DAY, from_ms // DAY * DAY))
    sum_up(db, from_ms)
    db.commit()
