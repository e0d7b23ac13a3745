"""libfoxtrackr as an integrator meets it: installed, found by pkg-config, used as its page says."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("FOXTRACKR_BUILD", ROOT / "build"))
PAGE = ROOT / "lib" / "libfoxtrackr.3"


def run(*command, **options):
    """Run a command and return its standard output; on failure the test shows what it wrote."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def exported():
    """Names of the external symbols that the archive defines."""
    lines = run("nm", "--extern-only", "--defined-only", BUILD / "libfoxtrackr.a").splitlines()
    names = {line.split()[-1] for line in lines if len(line.split()) == 3}
    return {name for name in names if not name.startswith("__odr_asan")}


def declared():
    """Names of the functions that the header declares."""
    header = (ROOT / "lib" / "foxtrackr.h").read_text()
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    return set(re.findall(r"\b(foxtrackr_\w+)\(", code))


def examples():
    """The literal displays of the page's EXAMPLES section, as a reader sees them."""
    section = PAGE.read_text().split(".Sh EXAMPLES\n")[1].split("\n.Sh ")[0]
    displays = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", section, flags=re.DOTALL | re.MULTILINE)
    return [display.replace("\\e", "\\") for display in displays]


@pytest.fixture(name="installed")
def fixture_installed(tmp_path):
    """An environment in which pkg-config finds a tree that `make install` has just made."""
    root = tmp_path / "root"
    run("make", "-s", "install", f"BUILD={BUILD}", f"DESTDIR={root}", cwd=ROOT)
    found = list(root.rglob("foxtrackr.pc"))
    assert len(found) == 1
    return dict(os.environ, PKG_CONFIG_PATH=str(found[0].parent), PKG_CONFIG_SYSROOT_DIR=str(root))


def test_archive_exports_only_our_names():
    """Nothing that could clash with a name of the program it is linked into."""
    names = exported()
    assert names
    assert [name for name in sorted(names) if not name.startswith("foxtrackr_")] == []


def test_header_archive_and_page_agree():
    """Every public function is declared, defined and documented; foxtrackr__* are internal."""
    public = {name for name in exported() if not name.startswith("foxtrackr__")}
    named = set(re.findall(r"^\.Nm (foxtrackr_\w+)", PAGE.read_text(), flags=re.MULTILINE))
    assert public == declared()
    assert named == declared()


def test_every_reason_is_documented():
    """Goal: the page has every reason that a function may return."""
    reasons = re.findall(r"^    (FOXTRACKR_E_\w+) = ", (ROOT / "lib/foxtrackr.h").read_text(), re.MULTILINE)
    documented = set(re.findall(r"Dv (FOXTRACKR_E_\w+)", PAGE.read_text()))
    assert len(reasons) > 8 and set(reasons) == documented


def test_header_stands_alone(tmp_path):
    """Goal: the header compiles as the first one, included twice, and in C++ too."""
    source = '#include "foxtrackr.h"\n#include "foxtrackr.h"\nint main(void) { return 0; }\n'
    for compiler, name, standard in (("cc", "a.c", "c99"), ("c++", "a.cc", "c++11")):
        (tmp_path / name).write_text(source)
        run(compiler, f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror",
            f"-I{ROOT / 'lib'}", "-fsyntax-only", tmp_path / name)


def test_example_of_the_page(tmp_path, installed):
    """The example compiles against the installed tree and prints what the page says."""
    program, output = examples()
    source = tmp_path / "example.c"
    source.write_text(program)
    flags = run("pkg-config", "--cflags", "--libs", "--static", "foxtrackr", env=installed).split()
    assert f"-I{installed['PKG_CONFIG_SYSROOT_DIR']}" in flags[0]
    sanitized = b"__asan_init" in (BUILD / "libfoxtrackr.a").read_bytes()
    sanitizer = ["-fsanitize=address,undefined"] if sanitized else []
    run("cc", *sanitizer, "-Wall", "-Wextra", "-Werror", "-o", tmp_path / "example", source, *flags)
    assert run(tmp_path / "example") == output


def test_version_of_the_package(installed):
    """pkg-config tells the version that the Makefile sets."""
    version = re.search(r"^VERSION\s*:=\s*(\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert run("pkg-config", "--modversion", "foxtrackr", env=installed).strip() == version
