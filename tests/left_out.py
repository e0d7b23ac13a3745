#!/usr/bin/python3 -B
"""
What a check leaves out on a machine that cannot do it: the check says which test and why, and
passes. In continuous integration (CI=true in the environment) nothing may be left out: it fails.

A test to which a build gives nothing to test is not left out; its reason begins with NO_MATTER.

Used by tests/system and tests/packaging, whose conftest.py imports the two hooks of pytest, by the
campaigns of tests/faults, and by scripts:

    tests/left_out.py WHAT REASON     say it; the exit status is 1 in continuous integration
"""

import os
import sys

NO_MATTER = "does not apply: "


def in_ci():
    """True in continuous integration, where every test must run."""
    return os.environ.get("CI", "").lower() in ("true", "1", "yes")


def verdict():
    """The sentence about a test that is left out."""
    return "in continuous integration nothing may be left out" if in_ci() else "left out here"


def _of_machine(terminal):
    """(test, reason) of every test that was skipped for this machine's sake."""
    found = []
    for report in terminal.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if not reason.startswith(NO_MATTER):
            found.append((report.nodeid, reason))
    return found


def pytest_terminal_summary(terminalreporter):
    """Name every test that was left out, and why."""
    found = _of_machine(terminalreporter)
    if found:
        terminalreporter.section(f"{len(found)} not run: {verdict()}")
    for test, reason in found:
        terminalreporter.write_line(f"LEFT OUT {test}: {reason}")


def pytest_sessionfinish(session):
    """A test that is left out is a failure in continuous integration."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and in_ci() and _of_machine(terminal) and session.exitstatus == 0:
        session.exitstatus = 1


def main():
    """Say what a script leaves out."""
    if len(sys.argv) != 3:
        sys.exit("usage: tests/left_out.py WHAT REASON")
    print(f"LEFT OUT {sys.argv[1]}: {sys.argv[2]} ({verdict()})", flush=True)
    sys.exit(1 if in_ci() else 0)


if __name__ == "__main__":
    main()
