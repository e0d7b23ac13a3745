"""The tests that the source package brings along (packaging/debian/tests) pass with the packages."""

import re
import shutil

import pytest


def test_autopkgtest(machine, packages):
    """autopkgtest installs the packages and runs the demonstration and the library's example."""
    if shutil.which("autopkgtest") is None:
        pytest.skip("autopkgtest is not installed")
    for path in packages.directory.iterdir():
        if path.suffix in (".deb", ".dsc", ".gz", ".xz"):
            machine.put(path, f"/tmp/packages/{path.name}")
    said = machine.run("autopkgtest", f"/tmp/packages/{packages.daemon.name}",
                       f"/tmp/packages/{packages.library.name}", f"/tmp/packages/{packages.source.name}",
                       "--", "null", cwd="/tmp", status=None)
    summary = said.split("@@ summary\n")[-1]
    results = dict(re.findall(r"^(\S+)\s+(PASS|FAIL|FLAKY|SKIP)\b", summary, re.MULTILINE))
    assert results == {"demo": "PASS", "library": "PASS"}, said[-6000:]
