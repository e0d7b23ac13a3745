"""The Debian packages as they come out of `make deb`, without installing them."""

import re
import subprocess

import pytest

from conftest import ROOT

# Tags that lintian of one Debian release reports and that of another does not, so that an override would
# be an error there: Debian 12 still asks for init scripts, and 13 has a newer policy than 12.
OF_ONE_RELEASE = re.compile(r"package-supports-alternative-init-but-no-init\.d-script|"
                            r"out-of-date-standards-version")


def run(*command, status=0):
    """Run a command that must end with this status; returns what it wrote, both streams."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    assert done.returncode == status, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def test_version_is_the_makefiles(packages, version):
    """debian/changelog, both packages and the source package carry the version of the Makefile."""
    changelog = run("dpkg-parsechangelog", "-l", ROOT / "packaging/debian/changelog", "-S", "Version")
    assert re.fullmatch(re.escape(version) + r"-\d+\n", changelog)
    for deb in (packages.daemon, packages.postgresql, packages.library):
        assert packages.field(deb, "Version") == changelog.strip()
    assert packages.source.name == f"foxtrackrd_{changelog.strip()}.dsc"


def test_lintian(packages):
    """lintian finds nothing, down to its pedantic tags, in the source and in the packages."""
    done = subprocess.run(["lintian", "--allow-root", "--display-info", "--pedantic", packages.changes],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert [line for line in done.stdout.splitlines() if not OF_ONE_RELEASE.search(line)] == []
    assert done.returncode in (0, 2)


def test_hardening(packages):
    """Every compiler call has dpkg's hardening flags, and the programs are what these make."""
    assert run("blhc", "--all", packages.log) == ""


def test_files(packages, installed):
    """Every file that `make install` installs is in one of the packages, and in one only."""
    every = [packages.files(deb) for deb in (packages.daemon, packages.postgresql, packages.library)]
    names = [name for files in every for name in files if not name.endswith("/")]
    assert len(names) == len(set(names))
    packed = {re.sub(r"^/lib/", "/usr/lib/", re.sub(r"\.gz$", "", name)): mode
              for files in every for name, mode in files.items()}
    triplet = run("dpkg-architecture", "-q", "DEB_HOST_MULTIARCH").strip()
    for name, mode in installed.items():
        name = re.sub(r"^/usr/lib/(?=libfoxtrackr|pkgconfig|foxtrackrd/)", f"/usr/lib/{triplet}/", name)
        assert packed.get(name) == mode, name


def test_libpq_is_for_one_package_alone(packages):
    """Goal: who stores in SQLite installs nothing of PostgreSQL, and a module never meets another version's daemon."""
    assert "libpq" not in packages.field(packages.daemon, "Depends")
    depends = packages.field(packages.postgresql, "Depends")
    assert re.search(r"\blibpq5 \(>= 1\d", depends), depends
    assert f"foxtrackrd (= {packages.field(packages.daemon, 'Version')})" in depends


def test_paho_is_accounted_for(packages):
    """Goal: a library that is linked statically is named, and its licence is with the package."""
    depends, built_using = (packages.field(packages.daemon, name) for name in ("Depends", "Built-Using"))
    if "libpaho-mqtt" in depends:
        pytest.skip("linked with the shared library")
    assert re.fullmatch(r"paho\.mqtt\.c \(= \S+\)", built_using)
    assert packages.field(packages.library, "Built-Using") == ""
    text = (ROOT / "packaging/debian/copyright").read_text()
    assert "Eclipse Public License - v 2.0" in text and "IBM Corp." in text
