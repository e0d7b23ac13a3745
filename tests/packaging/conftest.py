"""Fixtures of the tests of the packages: the packages, and a machine to install them on."""

import os
import pathlib
import re
import stat
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("FOXTRACKR_BUILD", ROOT / "build"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(1, str(pathlib.Path(__file__).resolve().parents[1]))

# The hooks of pytest that name what is left out.
from left_out import pytest_sessionfinish, pytest_terminal_summary  # noqa: E402, F401

import machine as machines  # pylint: disable=wrong-import-position


class Packages:
    """The packages that `make deb` has built."""

    def __init__(self, directory):
        self.directory = directory
        self.changes = self._one("foxtrackrd_*.changes")
        self.daemon = self._one("foxtrackrd_*.deb")
        self.postgresql = self._one("foxtrackrd-postgresql_*.deb")
        self.library = self._one("libfoxtrackr-dev_*.deb")
        self.source = self._one("foxtrackrd_*.dsc")
        self.log = self._one("build.log")

    def _one(self, pattern):
        found = list(self.directory.glob(pattern))
        assert len(found) == 1, f"{self.directory}/{pattern}: {found}: run make deb"
        return found[0]

    def files(self, deb):
        """{path: mode as ls shows it} of everything in a package."""
        listing = subprocess.check_output(["dpkg-deb", "--contents", deb], text=True)
        return {line.split()[5].lstrip("."): line.split()[0] for line in listing.splitlines()}

    def field(self, deb, name):
        """The value of a field of a package."""
        return subprocess.check_output(["dpkg-deb", "--field", deb, name], text=True).strip()


@pytest.fixture(scope="session", name="packages")
def fixture_packages():
    return Packages(BUILD / "deb")


@pytest.fixture(scope="session", name="version")
def fixture_version():
    """The version that the Makefile sets."""
    return re.search(r"^VERSION\s*:=\s*(\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]


@pytest.fixture(name="installed")
def fixture_installed(tmp_path):
    """{path: mode as ls shows it} of the files that `make install PREFIX=/usr` installs."""
    root = tmp_path / "root"
    subprocess.check_call(["make", "-s", "install", f"BUILD={BUILD}", f"DESTDIR={root}", "PREFIX=/usr"],
                          cwd=ROOT)
    return {f"/{path.relative_to(root)}": stat.filemode(path.stat().st_mode)
            for path in root.rglob("*") if path.is_file()}


@pytest.fixture(name="machine")
def fixture_machine():
    try:
        machine = machines.Machine()
    except machines.Unavailable as why:
        pytest.skip(str(why))
    with machine:
        yield machine
