"""tests/stages, by which `make check` and `make check-all` run what they consist of."""

import re
import subprocess

from harness import ROOT

MAKEFILE = """
good: ; @echo 12 passed
bad: ; @echo 1 failed; exit 3
"""


def stages(tmp_path, *wanted):
    """The output, with all seconds replaced by 0, and the exit status."""
    makefile = tmp_path / "makefile"
    makefile.write_text(MAKEFILE)
    done = subprocess.run(
        [ROOT / "tests/stages", "check", f"make -s -f {makefile}", "make V=1", *wanted],
        check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=120)
    return re.sub(r"\d+ s$", "0 s", done.stdout, flags=re.MULTILINE).splitlines(), done.returncode


def test_each_stage_is_announced_and_timed(tmp_path):
    """Goal: number and name before and after a stage, its own output between, one closing line."""
    said, status = stages(tmp_path, "unit tests: good", "system tests: -j2 good")
    assert status == 0
    assert said == [
        "[1/2] unit tests", "12 passed", "[1/2] unit tests … 0 s",
        "[2/2] system tests", "12 passed", "[2/2] system tests … 0 s",
        "check: 2 stages passed in 0 s"]


def test_a_failure_ends_it_and_says_how_to_repeat_the_stage(tmp_path):
    """Goal: the last line names the command; no later stage hides the failure."""
    said, status = stages(tmp_path, "unit tests: good", "system tests: -j2 bad", "faults: good")
    assert status == 1
    assert said[3:] == [
        "[2/3] system tests", "1 failed", "[2/3] system tests … failed after 0 s",
        "check: stage 2 of 3 has failed: system tests. To repeat it: make V=1 -j2 bad"]


def test_continuous_integration_runs_both_lists_and_nothing_twice():
    """Goal: no stage of `make check` is in `make check-all` again; .ci/run makes both."""
    ci = (ROOT / ".ci/run").read_text()
    assert ci.index("make check\n") < ci.index("make check-all\n")
    lists = [
        re.findall(r"'(.+?): (?:-j\S+ )?(.+?)'", found)
        for found in re.findall(r"^CHECK(?:_ALL)? := \\\n((?: .*\n)+)", (ROOT / "tests/tests.mk").read_text(), re.MULTILINE)]
    quick, rest = ({target for _, targets in found for target in targets.split()} for found in lists)
    assert {"unit", "system", "lint-cppcheck"} <= quick and {"faults", "test-sanitized", "lint-analyzer", "lint-tidy"} <= rest
    assert not quick & rest
