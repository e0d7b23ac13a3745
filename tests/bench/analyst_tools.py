"""
How long the tools of an analyst take: a report of 30 days of every device, until it is made and until a browser
has drawn it, and an export.

The rows are those of the table that answers prints. The report is made by foxtrackrctl from its start to its end; the
page is drawn when its script has set data-drawn, which has the milliseconds since a headless Chromium began to load
the file. An export is of all rows of `battery`, in CSV to /dev/null; its time is given for five million of them.
"""

import contextlib
import pathlib
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time

from browser import Browser

MADE_S, DRAWN_S, EXPORTED_S = 3, 1, 6
EXPORTED_ROWS = 5_000_000


def seconds(*command):
    """How long a command takes. One that fails ends the benchmark."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def drawn(program, page, directory):
    """How long a new browser takes to draw the page."""
    browser = Browser(program, directory)
    try:
        browser.resize(1440)
        browser.open(page.as_uri())
        browser.wait("document.documentElement.dataset.drawn !== undefined", limit=120)
        assert browser.errors == [], browser.errors
        return int(browser.evaluate("document.documentElement.dataset.drawn")) / 1000
    finally:
        browser.close()


def show(what, amount, took, target):
    """A row of the table."""
    median = statistics.median(took)
    print(f"| {what} | {amount} | {min(took) * 1000:.0f} ms | {median * 1000:.0f} ms | {target * 1000} ms | "
          f"{'met' if median <= target else 'missed'} |", flush=True)


def measure(build, database, rounds):
    """Print a row for each tool, for a database that nobody writes to."""
    foxtrackrctl = build / "foxtrackrctl"
    with tempfile.TemporaryDirectory(prefix="tools.") as made:
        directory = pathlib.Path(made)
        page = directory / "report.html"
        took = [seconds(foxtrackrctl, "report", "--force", "-o", page, database) for _ in range(rounds)]
        show("the report, made", f"{page.stat().st_size / 1e6:.1f} MB", took, MADE_S)
        chromium = shutil.which("chromium")
        if chromium is None:
            print("| the report, drawn: there is no chromium | | | | | |")
        else:
            took = [drawn(chromium, page, pathlib.Path(tempfile.mkdtemp(dir=directory))) for _ in range(rounds)]
            show("the report, drawn in Chromium", f"{page.stat().st_size / 1e6:.1f} MB", took, DRAWN_S)
    export(foxtrackrctl, database, rounds)


def export(foxtrackrctl, database, rounds):
    """Print the row of the export."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT count(*) FROM battery").fetchone()[0]
    took = [seconds(foxtrackrctl, "export", "battery", database) * EXPORTED_ROWS / rows for _ in range(rounds)]
    show("an export of five million rows", rows, took, EXPORTED_S)
