"""
How long the tools of an analyst take: a report of 30 days of every device, until it is made and until a browser
has drawn it, and an export.

The rows are those of the table that answers prints. The report is made by foxtrackrctl from its start to its end, and
has the same target for its time and for that of the processor, which other programs on the machine change less; the
page is drawn when its script has set data-drawn, which has the milliseconds since a headless Chromium began to load
the file. An export is of all rows of `battery`, in CSV to /dev/null; its time is given for five million of them.
"""

import contextlib
import pathlib
import resource
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time

from browser import Browser

MADE_S, DRAWN_S, EXPORTED_S = 3, 1, 6
PAGE_MB = 5
EXPORTED_ROWS = 5_000_000


def seconds(*command):
    """How long a command takes, and how much of a processor. One that fails ends the benchmark."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    took, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


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


def processor(took):
    """The processor's time of the best round."""
    return f"{min(used for _, used in took):.1f} s of a processor"


def show(what, amount, took, target):
    """A row of the table."""
    median = statistics.median(took)
    verdict = "|" if target is None else f"{target * 1000} ms | {'met' if median <= target else 'missed'}"
    print(f"| {what} | {amount} | {min(took) * 1000:.0f} ms | {median * 1000:.0f} ms | {verdict} |", flush=True)


def measure(build, database, rounds):
    """Print a row for each tool, for a database that nobody writes to."""
    foxtrackrctl = build / "foxtrackrctl"
    with tempfile.TemporaryDirectory(prefix="tools.") as made:
        directory = pathlib.Path(made)
        page = directory / "report.html"
        took = [seconds(foxtrackrctl, "report", "--force", "-o", page, database) for _ in range(rounds)]
        megabytes = page.stat().st_size / 1e6
        size = f"{megabytes:.1f} MB"
        show("the report, made", size, [wall for wall, _ in took], MADE_S)
        show("the same, of a processor", size, [used for _, used in took], MADE_S)
        print(f"| its size | {size} | | | {PAGE_MB} MB | {'met' if megabytes <= PAGE_MB else 'missed'} |", flush=True)
        chromium = shutil.which("chromium")
        if chromium is None:
            print("| the report, drawn: there is no chromium | | | | | |")
        else:
            took = [drawn(chromium, page, pathlib.Path(tempfile.mkdtemp(dir=directory))) for _ in range(rounds)]
            show("the report, drawn in Chromium", size, took, DRAWN_S)
    export(foxtrackrctl, database, rounds)


def export(foxtrackrctl, database, rounds):
    """Print the row of the export."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT count(*) FROM battery").fetchone()[0]
    took = [seconds(foxtrackrctl, "export", "battery", database) for _ in range(rounds)]
    show("an export of five million rows", f"{rows}, {processor(took)}", [wall * EXPORTED_ROWS / rows for wall, _ in took],
         EXPORTED_S if rows >= 1_000_000 else None)  # of few rows the start of the program is most of it
