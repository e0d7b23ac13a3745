"""`foxtrackrctl plot`: readings as a curve in the terminal."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

import engines
import fleet
from foxtrackrd import foxtrackrctl
from harness import FOXTRACKRCTL, PATIENCE, change, change_many, value

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

UTF8 = {**os.environ, "LC_ALL": "C.UTF-8"}
ASCII = {**os.environ, "LC_ALL": "C"}


class Readings:
    """A database with devices, and rows written into it as the daemon writes them."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.now = fleet.now_ms()
        daemon.start()
        daemon.stop()

    def device(self, device_id, family="foxtrackr"):
        return self._write("INSERT INTO devices (family, device_id, first_seen_ms) VALUES (?, ?, 1)",
                           [(family, device_id)])

    def battery(self, device, rows):
        """Rows of (age in ms, level, voltage)."""
        self._write("INSERT INTO battery VALUES (?, ?, ?, ?, 1, NULL, 1)",
                    [(device, self.now - age, voltage, level) for age, level, voltage in rows])

    def temperature(self, device, rows):
        """Rows of (age in ms, degrees)."""
        self._write("INSERT INTO temperature VALUES (?, ?, ?, 1, NULL, 1)",
                    [(device, self.now - age, celsius) for age, celsius in rows])

    def _write(self, sql, rows):
        change_many(self.daemon.database, sql, rows)
        return value(self.daemon.database, "SELECT max(device) FROM devices")

    def plot(self, *words, env=UTF8, check=True):
        return foxtrackrctl(self.daemon, "plot", *words, env=env, check=check)


@pytest.fixture(name="readings")
def fixture_readings(daemon):
    return Readings(daemon)


def every(step_ms, until_ms, value):
    """Readings from `until_ms` ago to now, as (age, value)."""
    return [(age, value(age)) for age in range(until_ms, 0, -step_ms)]


def in_terminal(daemon, columns, *words, **environment):
    """What the command writes to a terminal that is so wide."""
    lead, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([FOXTRACKRCTL, "-c", daemon.config, "plot", *words], stdout=terminal,
                               env={**UTF8, "TERM": "xterm", **environment})
    os.close(terminal)
    written = b""
    while True:
        try:
            part = os.read(lead, 65536)
        except OSError:  # the end, on a terminal
            break
        if not part:
            break
        written += part
    os.close(lead)
    assert process.wait(60 * PATIENCE) == 0
    return written.decode().replace("\r\n", "\n")


def braille_rows(text):
    return [line for line in text.splitlines() if re.search("[\u2801-\u28ff]", line)]


def test_battery(readings):
    """Goal: level and voltage of the last 7 days, each with its smallest, largest and last value."""
    device = readings.device("12345")
    readings.battery(device, [(age, 100 - (10 * DAY_MS - age) / DAY_MS, 3.5 + age / DAY_MS / 10)
                              for age in range(10 * DAY_MS, 0, -HOUR_MS)])
    done = readings.plot("battery", "--device", "12345")
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "foxtrackr/12345  level in %"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC to \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", lines[1])
    assert "foxtrackr/12345  voltage in V" in lines
    assert max(map(len, lines)) <= 80 and len(braille_rows(done.stdout)) > 10
    [levels, volts] = [line for line in lines if line.startswith("min ")]
    assert levels.startswith("min 90.042 % ") and " max 96.958 % " in levels and " last 90.042 % " in levels
    assert " max 4.1958 V " in volts
    assert done.stdout.count("\n167 readings, every 1 h 0 min\n") == 2
    assert "\033" not in done.stdout

    shorter = readings.plot("battery", "--device", "foxtrackr/12345", "--since", "1d").stdout
    assert "\n23 readings, " in shorter
    earlier = readings.plot("battery", "--device", "12345", "--since", "10d", "--until", "9d").stdout
    assert "\n24 readings, " in earlier and " max 99.958 % " in earlier


def test_one_curve_alone(readings):
    """Goal: a device that sends no level has its voltage, and no empty axes."""
    device = readings.device("12345")
    readings.battery(device, [(age, None, 3.9) for age, _ in every(HOUR_MS, DAY_MS, lambda age: 0)])
    text = readings.plot("battery", "--device", "12345").stdout
    assert "voltage in V" in text and "level" not in text


def test_gap_is_seen(readings):
    """Goal: six hours without readings are a gap in the curve, on the axis and in words."""
    device = readings.device("12345")
    readings.temperature(device, [(age, celsius) for age, celsius
                                  in every(10 * MINUTE_MS, DAY_MS, lambda age: 20 + age / DAY_MS)
                                  if not 6 * HOUR_MS < age < 12 * HOUR_MS])
    text = readings.plot("temperature", "--device", "12345", "--since", "1d").stdout
    assert "min 20.007 \u00b0C" in text
    assert "108 readings, every 10 min 0 s, longest gap 6 h 0 min from " in text
    [axis] = [line for line in text.splitlines() if "\u2514" in line]
    assert 15 <= axis.count("\u254c") <= 18  # a quarter of 71 columns, less its ticks
    for line in braille_rows(text):
        assert not re.search("[\u2801-\u28ff]", line[9:][37:52]), line
    text = readings.plot("temperature", "--device", "12345", "--since", "1d", "--until", "3h").stdout
    assert "silent for" not in text

    silent = readings.device("6789")
    readings.temperature(silent, [(age + 5 * HOUR_MS, 20) for age, _
                                  in every(10 * MINUTE_MS, DAY_MS, lambda age: 0)])
    assert ", silent for 5 h 10 min\n" in readings.plot("temperature", "--device", "6789").stdout


def test_ascii(readings):
    """Goal: no character that the terminal's locale has not, and the same with an option."""
    device = readings.device("12345")
    readings.temperature(device, every(HOUR_MS, DAY_MS, lambda age: age / DAY_MS))
    for text in (readings.plot("temperature", "--device", "12345", env=ASCII).stdout,
                 readings.plot("temperature", "--device", "12345", "--ascii").stdout):
        assert text.isascii() and "temperature in C\n" in text and "|" in text and "." in text


def test_terminal(readings):
    """Goal: on a terminal the plot is as wide as that, and in colours unless they are not wanted."""
    device = readings.device("12345")
    readings.temperature(device, every(HOUR_MS, 7 * DAY_MS, lambda age: age / DAY_MS))
    words = ("temperature", "--device", "12345")
    for columns in (60, 132):
        text = in_terminal(readings.daemon, columns, *words)
        plain = re.sub(r"\033\[[0-9;]*m", "", text)
        assert "\033[" in text and "\033" not in plain
        [axis] = [line for line in plain.splitlines() if "\u2514" in line]
        assert len(axis) == columns
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\033" not in in_terminal(readings.daemon, 80, *words, **environment)
    assert "\033[" in in_terminal(readings.daemon, 80, *words, NO_COLOR="")
    assert "\033" not in readings.plot(*words).stdout


def test_sentences(readings):
    """Goal: each reason why there is no plot, on one line, with the way on."""
    def says(*words):
        done = readings.plot(*words, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        [line] = done.stderr.splitlines()
        return line.removeprefix("foxtrackrctl: ")

    old = readings.device("old")
    readings.battery(old, [(8 * DAY_MS, 50, 3.9)])
    empty = readings.device("empty")
    readings.battery(empty, [(HOUR_MS, None, None)])
    readings.device("twin", "one")
    twin = readings.device("twin", "two")
    readings.battery(twin, [(HOUR_MS, 50, 3.9)])
    slash = readings.device("a/b")
    readings.battery(slash, [(HOUR_MS, 50, 3.9)])
    readings.device("\033[2J")

    assert says("battery", "--device", "none") == f"{engines.shown(readings.daemon.database)} has no device none"
    assert says("battery", "--device", "foxtrackr/none").endswith("has no device foxtrackr/none")
    change(readings.daemon.database, "INSERT INTO device_groups SELECT 'herd', min(device), 0 FROM devices")
    name = value(readings.daemon.database, "SELECT device_id FROM devices ORDER BY device LIMIT 1")
    assert says("battery", "--device", f"{name}x").endswith(f"has no device {name}x (did you mean {name}?)")
    assert says("battery", "--device", "herd").endswith("has no device herd: that is a group; plot draws a device")
    assert says("battery", "--device", "twin") == (
        "a device twin is in 2 families (one, two): name the family too, as in --device two/twin")
    assert says("temperature", "--device", "old") == "foxtrackr/old has no temperature readings"
    assert says("battery", "--device", "old", "--since", "2190-01-01") == "plot: --since is not before now"
    assert re.fullmatch(r"foxtrackr/old has no battery readings from .* UTC to .* UTC; the newest one is of .* UTC",
                        says("battery", "--device", "old"))
    assert says("battery", "--device", "empty") == (
        "foxtrackr/empty: no value in 1 battery reading; the column extra has what was sent")
    assert says("battery", "--device", "\033[2J") == r"foxtrackr/\x1b[2J has no battery readings"
    for name in ("two/twin", "a/b", "foxtrackr/a/b"):
        assert "1 reading\n" in readings.plot("battery", "--device", name).stdout


def test_command_line(readings):
    """Goal: a plot that does not exist and a device that is not named are told in two lines at most."""
    for words, says in ((["battery"], "--device is missing"),
                        (["humidity", "--device", "x"], "there is no plot of humidity; there are battery and temperature"),
                        (["battery", "--device", "x", "--since", "yesterday"], "--since"),
                        ([], "is missing")):
        done = readings.plot(*words, check=False)
        assert (done.returncode, done.stdout) == (64, "") and says in done.stderr, words
        assert len(done.stderr.splitlines()) <= 2


def test_beside_the_daemon(readings, broker):
    """Goal: the daemon that writes meanwhile is not in the way; a reading ahead of the clock is drawn."""
    daemon = readings.daemon
    daemon.start()
    broker.publish("foxtrackr/7/V3.0/temp", fleet.temperature("7", readings.now))
    broker.publish("foxtrackr/7/V3.0/temp", fleet.temperature("7", readings.now + 2 * HOUR_MS, 30))
    daemon.wait_rows(2)
    text = readings.plot("temperature", "--device", "7").stdout
    assert "\n2 readings\n" in text and " last 30 " in text
    daemon.stop()


def test_without_a_database(make_daemon):
    """Goal: the exit status tells a database that is not there from a device that is not."""
    daemon = make_daemon(None)
    done = foxtrackrctl(daemon, "plot", "battery", "--device", "x", check=False)
    assert done.returncode == 66 and engines.shown(daemon.database) in done.stderr
