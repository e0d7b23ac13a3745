"""The tests that the source package brings along (packaging/debian/tests) pass with the packages."""

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
    summary = dict(line.split()[:2] for line in said.split("summary\n")[-1].splitlines())
    assert summary == {"demo": "PASS", "library": "PASS"}, said[-6000:]
