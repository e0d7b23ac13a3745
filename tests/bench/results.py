"""The results: every value of every run, medians, and the targets that they meet or miss."""

import collections
import csv
import pathlib
import platform
import re
import sqlite3
import statistics
import subprocess

Row = collections.namedtuple("Row", "contestant condition round metric value")

RATE = "rate_per_s"


class Results:
    def __init__(self):
        self.rows = []

    def add(self, contestant, condition, round_, **metrics):
        self.rows += [Row(contestant, condition, round_, name, value)
                      for name, value in metrics.items() if value is not None]

    def groups(self):
        """{(contestant, condition, metric): [value of each round]}, in the order of measuring."""
        found = {}
        for row in self.rows:
            found.setdefault((row.contestant, row.condition, row.metric), []).append(row.value)
        return found

    def values(self, contestant, condition, metric=RATE):
        return [row.value for row in self.rows
                if (row.contestant, row.condition, row.metric) == (contestant, condition, metric)]

    def median(self, contestant, condition, metric=RATE):
        values = self.values(contestant, condition, metric)
        return statistics.median(values) if values else None

    def ratio(self, above, below, metric=RATE):
        """Of two medians; each a (contestant, condition). None: one was not measured."""
        one, other = self.median(*above, metric), self.median(*below, metric)
        return one / other if one is not None and other else None

    def write_csv(self, directory, name=""):
        with open(directory / f"{name}runs.csv", "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(Row._fields)
            table.writerows((*row[:4], _plain(row.value)) for row in self.rows)
        with open(directory / f"{name}medians.csv", "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("contestant", "condition", "metric", "median", "min", "max", "runs"))
            for key, values in self.groups().items():
                table.writerow((*key, _plain(statistics.median(values)), _plain(min(values)),
                                _plain(max(values)), len(values)))


def _plain(value):
    return f"{value:.6g}" if isinstance(value, float) and abs(value) < 1e6 else f"{value:.0f}"


class Target:
    """One line of the list to reach. `value` takes the results and returns a number or None."""

    def __init__(self, what, sign, limit, value, unit="", digits=2):
        self.what, self.sign, self.limit = what, sign, limit
        self.value, self.unit, self.digits = value, unit, digits

    def line(self, results):
        """(what, target, measured, verdict)"""
        value = self.value(results)
        unit = f" {self.unit}" if self.unit else ""
        target = f"{'≥' if self.sign == '>=' else '≤'} {self.limit:g}{unit}"
        if value is None:
            return self.what, target, "", "not measured"
        met = value >= self.limit if self.sign == ">=" else value <= self.limit
        return self.what, target, f"{value:.{self.digits}f}{unit}", "met" if met else "NOT MET"


def spread(values, digits=0):
    """`18,432 (18,101 to 18,700)`"""
    if not values:
        return ""
    middle = f"{statistics.median(values):,.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def text_table(rows, header):
    """Columns aligned by spaces; the first to the left, the others to the right."""
    rows = [header, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    return "\n".join("  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                               for column, (cell, width) in enumerate(zip(row, widths))).rstrip()
                     for row in rows)


def markdown_table(rows, header):
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine(sync_us):
    """The properties of the machine on which the numbers depend, a line each."""
    cpu = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    cores = len(re.findall(r"^processor\s*:", pathlib.Path("/proc/cpuinfo").read_text(), re.M))
    system = pathlib.Path("/etc/os-release").read_text()
    name = re.search(r'^PRETTY_NAME="?([^"\n]*)', system, re.M)
    return [
        f"{cores} × {cpu[1] if cpu else platform.machine()}, Linux {platform.release()}, "
        f"{name[1] if name else 'unknown'}",
        f"disk: {sync_us:.0f} µs to write 4 KiB and fdatasync (median)",
        f"{_version('libpaho-mqtt-dev', 'Paho MQTT C')}, SQLite {sqlite3.sqlite_version}, "
        f"{_version('libssl-dev', 'OpenSSL')}, {_version('python3-paho-mqtt', 'paho-mqtt')}, "
        f"{_version('mosquitto', 'mosquitto')}",
    ]


def _version(package, called):
    try:
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package],
                              capture_output=True, text=True, check=False)
        return f"{called} {done.stdout or '?'}"
    except OSError:
        return f"{called} ?"
