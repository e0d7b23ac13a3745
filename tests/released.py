"""
The package of foxtrackrd 0.1.0, from which an upgrade begins.

tests/released/0.1.0/package has what its package had: maintainer scripts, configuration files, units, users and
directories. The programs are not kept, so package() puts those of today's package beside them; what the programs of 0.1.0
leave behind is in tests/released/0.1.0/database.sql. Where FOXTRACKR_RELEASED names a directory with the real packages of
0.1.0, built of its commit, the real one is taken.
"""

import os
import pathlib
import re
import shutil
import subprocess

VERSION = "0.1.0-1"
FILES = pathlib.Path(__file__).resolve().parent / "released" / "0.1.0"
SCHEMA = 3
"""The version of its database."""
PROGRAMS = ("usr/sbin/foxtrackrd", "usr/sbin/foxtrackrctl")


def real():
    """The real package; None: there is none here."""
    directory = os.environ.get("FOXTRACKR_RELEASED")
    if not directory:
        return None
    [found] = pathlib.Path(directory).glob(f"foxtrackrd_{VERSION}_*.deb")
    return found


def package(today, directory):
    """The package of 0.1.0 as a file; `today` is the present one, `directory` where it may be made."""
    if real():
        return real()
    present, tree = directory / "present", directory / "released"
    subprocess.check_call(["dpkg-deb", "--raw-extract", today, present])
    shutil.copytree(FILES / "package", tree)
    for name in PROGRAMS:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(present / name, tree / name)
    if not (present / "lib").exists():  # Debian 13 has units below /usr
        (tree / "lib").rename(tree / "usr" / "lib" / "systemd.tmp")
        shutil.move(tree / "usr/lib/systemd.tmp/systemd", tree / "usr/lib/systemd")
        (tree / "usr/lib/systemd.tmp").rmdir()
    write_control(present / "DEBIAN" / "control", tree / "DEBIAN" / "control")
    for path in tree.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.parent.name in ("DEBIAN", "sbin") else 0o644)
    for name in ("control", "conffiles"):
        (tree / "DEBIAN" / name).chmod(0o644)
    (tree / "etc/foxtrackrd/foxtrackrd.conf").chmod(0o640)
    made = directory / f"foxtrackrd_{VERSION}.deb"
    subprocess.check_call(["dpkg-deb", "--root-owner-group", "--build", tree, made], stdout=subprocess.DEVNULL)
    shutil.rmtree(present)
    shutil.rmtree(tree)
    return made


def write_control(present, old):
    """The control file of 0.1.0, with the architecture and the libraries of the programs that are in the package."""
    text = present.read_text()
    for field in "Architecture", "Depends":
        line = re.search(rf"^{field}: .*", text, re.MULTILINE)[0]
        old.write_text(re.sub(rf"^{field}: .*", lambda _, line=line: line, old.read_text(), flags=re.MULTILINE))
