"""The RPM spec keeps step with the Makefile; Debian's rpm can read it."""

import fnmatch
import re
import shutil
import subprocess

import pytest

from conftest import ROOT

SPEC = ROOT / "packaging/rpm/foxtrackrd.spec"
# The directories of RPM's distributions; some differ in Debian's rpm.
PLACES = ["--define", "_libdir /usr/lib", "--define", "_mandir /usr/share/man",
          "--define", "_pkgdocdir /usr/share/doc/foxtrackrd", "--define", "_sysconfdir /etc"]


def run(*command):
    """Run a command that must succeed; returns its standard output."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    assert done.stderr == "", f"{command}: {done.stderr}"
    return done.stdout


def listed():
    """The paths of every %files section, with macros expanded and attributes taken off."""
    text = run("rpmspec", "-P", *PLACES, SPEC)
    sections = re.findall(r"^%files.*?\n(.*?)(?=^%|\Z)", re.sub(r"^%(?=config|dir|doc|license|attr)", " ",
                          text, flags=re.MULTILINE), re.DOTALL | re.MULTILINE)
    paths = [line.split()[-1] for section in sections for line in section.splitlines()
             if line.split()]
    return {path for path in paths if path.startswith("/")}


def test_version(version):
    """The spec has the version of the Makefile, and so has the newest entry of its log."""
    found = run("rpmspec", "-q", "--srpm", "--queryformat", "%{VERSION} %{CHANGELOGTEXT}", SPEC)
    assert found.startswith(f"{version} ")
    assert re.search(r"^\*.* - (\S+)-1$", SPEC.read_text(), re.MULTILINE)[1] == version


def test_files(installed):
    """Goal: the spec lists every file that `make install` installs, and no other."""
    patterns = listed() - {"/etc/foxtrackrd", "/usr/share/doc/foxtrackrd/examples",
                           "/usr/share/doc/foxtrackrd/postgresql", "/usr/lib/foxtrackrd"}
    found = {pattern: fnmatch.filter(installed, pattern) for pattern in patterns}
    assert [pattern for pattern, names in found.items() if not names] == []
    assert {name for names in found.values() for name in names} == set(installed)


def test_packages_build(version, tmp_path):
    """rpmbuild makes the packages, with the configuration out of reach for everybody else."""
    if shutil.which("rpmbuild") is None:
        pytest.skip("rpmbuild is not installed")
    sources = tmp_path / "SOURCES"
    sources.mkdir()
    run("git", "-C", str(ROOT), "archive", f"--prefix=foxtrackrd-{version}/",
        "-o", str(sources / f"foxtrackrd-{version}.tar.gz"), "HEAD")
    done = subprocess.run(["rpmbuild", "-bb", "--nodeps", "--nocheck", "--define", f"_topdir {tmp_path}",
                           *PLACES, SPEC], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    made = {re.split(r"-\d", path.name)[0]: path for path in tmp_path.rglob("*.rpm")}
    files = run("rpm", "-qlp", "--dump", str(made["foxtrackrd"])).splitlines()
    conf = [line.split() for line in files if line.startswith("/etc/foxtrackrd/foxtrackrd.conf ")]
    assert [fields[4:7] for fields in conf] == [["0100640", "root", "foxtrackrd"]]
    assert "/usr/include/foxtrackr.h" in run("rpm", "-qlp", str(made["libfoxtrackr-devel"])).split()
