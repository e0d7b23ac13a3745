"""The words of the tests when the machine cannot run a part of them."""

import os
import pathlib
import subprocess
import sys

import pytest

import engines
from harness import BUILD, ROOT, find_program, run

HOOKS = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from left_out import pytest_sessionfinish, pytest_terminal_summary
"""
TESTS = """
import pytest

def test_good():
    pass

def test_of_the_machine():
    pytest.skip("no mount namespace can be made")

def test_of_the_build():
    pytest.skip("does not apply: another build")
"""


@pytest.mark.parametrize("ci, status", [("", 0), ("true", 1)], ids=["elsewhere", "CI"])
@pytest.mark.parametrize("jobs", [[], ["-n", "2"]], ids=["alone", "parallel"])
def test_a_skipped_test_is_named_and_fails_in_ci(tmp_path, ci, status, jobs):
    """Goal: what a machine cannot do is left out aloud, and never in continuous integration."""
    (tmp_path / "conftest.py").write_text(HOOKS)
    (tmp_path / "test_some.py").write_text(TESTS)
    environment = {name: text for name, text in os.environ.items()
                   if name != "CI" and not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", *jobs, tmp_path],
        capture_output=True, text=True, env={**environment, "CI": ci}, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    [said] = [line for line in done.stdout.splitlines() if line.startswith("LEFT OUT ")]
    assert said.endswith("test_some.py::test_of_the_machine: no mount namespace can be made")


def test_demo_says_that_localhost_does_not_resolve(tmp_path):
    """Goal: where localhost is no name, the demonstration says so and what to do."""
    (tmp_path / "hosts").write_text("")
    (tmp_path / "nsswitch.conf").write_text("hosts: files\n")
    script = ('mount --bind "$1/hosts" /etc/hosts && '
              'mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf && echo made && exec "$2" "$3"')
    done = run(find_program("unshare"), "--mount", "sh", "-c", script, "sh", tmp_path,
               ROOT / "tests/demo", BUILD, check=False)
    if done.stdout != "made\n":
        pytest.skip(f"no mount namespace can be made: {done.stderr.strip()}")
    assert done.returncode == 1
    assert "localhost does not lead to 127.0.0.1" in done.stderr
    assert "/etc/hosts" in done.stderr and done.stderr.count("\n") == 1


def test_what_is_left_out_on_postgresql_is_there():
    """Goal: what engines.py leaves out is a module, or tests of a module that is not left out as a whole."""
    here = pathlib.Path(__file__).parent
    modules = {path.stem.removeprefix("test_") for path in here.glob("test_*.py")}
    assert set(engines.LEFT_OUT_MODULES) <= modules
    for name in engines.LEFT_OUT:
        module, _, beginning = name.partition("::")
        assert f"\ndef {beginning.partition('[')[0]}" in (here / module).read_text(encoding="utf-8"), name
        assert module[len("test_"):-len(".py")] not in engines.LEFT_OUT_MODULES, name
