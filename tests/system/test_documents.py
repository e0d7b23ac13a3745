"""The files that an operator installs and reads: manual pages, the shipped configuration, the unit, and
the places of `make install`. tests/unit/test_config_documents.c compares keys and defaults."""

import os
import re
import shutil
import stat
import subprocess

import pytest

import harness

PAGES = sorted([*harness.ROOT.glob("daemon/*.[58]"), *harness.ROOT.glob("lib/*.3")])
EXPOSURE_MAX = 1.5  # 0.4 of it for adjtimex, which systemd counts as privileged whatever it is for


def run(*command, status=0, **options):
    """Run a command that must end with this status; returns what it wrote, both streams."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == status, f"{command} ended with {done.returncode}: {done.stdout}"
    return done.stdout


def need(program):
    """The path of a program that not every machine has."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


def options_of_page(text):
    """Long options that a page documents: .Fl -json."""
    return {f"--{name}" for name in re.findall(r"\bFl -([a-z-]+)", text)}


def test_every_module_is_listed():
    """Goal: tests/README.md names every module of the system tests and of the packages, and no other."""
    text = (harness.ROOT / "tests/README.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(?:packaging/)?(test_\w+\.py)` \|", text, re.MULTILINE))
    present = {module.name for folder in ("system", "packaging")
               for module in harness.ROOT.glob(f"tests/{folder}/test_*.py")}
    assert listed | {"test_scripted_broker.py"} == present


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_manual_page_is_correct(page):
    """mandoc has nothing to say of a page, except that pages it refers to are not installed."""
    done = subprocess.run(
        [need("mandoc"), "-Tlint", page], stdout=subprocess.PIPE, text=True, check=False
    )
    said = [
        line for line in done.stdout.splitlines() if "referenced manual not found" not in line
    ]
    assert said == []


@pytest.mark.parametrize(
    "program,page",
    [(harness.FOXTRACKRD, "foxtrackrd.8"), (harness.FOXTRACKRCTL, "foxtrackrctl.8")],
    ids=["foxtrackrd", "foxtrackrctl"],
)
def test_help_and_page_name_the_same_options(program, page):
    """Goal: --help and the manual page name the same options."""
    text = (harness.ROOT / "daemon" / page).read_text()
    helped = run(program, "--help")
    if program == harness.FOXTRACKRCTL:  # the overview leaves out the options of some commands
        for command in re.findall(r"^  ([a-z]+) ", helped, flags=re.MULTILINE):
            helped += run(program, "help", command)
    assert set(re.findall(r"--[a-z][a-z-]*", helped)) == options_of_page(text)
    commands = set(re.findall(r"^  ([a-z]+) .*  ", helped, flags=re.MULTILINE))
    synopsis = text.split(".Sh SYNOPSIS\n")[1].split(".Sh ")[0]
    assert commands == set(re.findall(r"^\.Cm (\w+)", synopsis, flags=re.MULTILINE))


def test_one_version_everywhere():
    """Goal: the build, the library's header, both changelogs and the examples in documents name one version."""
    def found(name, pattern):
        return re.findall(pattern, (harness.ROOT / name).read_text(), re.MULTILINE)

    [version] = found("Makefile", r"^VERSION\s*:=\s*(\S+)$")
    assert found("lib/foxtrackr.h", r'^#define FOXTRACKR_VERSION "(.*)"$') == [version]
    assert found("packaging/debian/changelog", r"^foxtrackrd \((.*)-\d+\) ")[0] == version
    assert found("packaging/rpm/foxtrackrd.spec", r"^Version:\s*(\S+)$") == [version]
    assert found("packaging/rpm/foxtrackrd.spec", r"^\* .* - (\S+)-\d+$")[0] == version
    shown = {str(page.relative_to(harness.ROOT)): found(page, r"\bfoxtrackrd (\d+\.\d+\.\d+)\b")
             for page in [*PAGES, harness.ROOT / "README.md", *harness.ROOT.glob("schema/*.md")]}
    assert shown["README.md"], "the README shows the output of status"
    assert {name: versions for name, versions in shown.items() if set(versions) - {version}} == {}
    for program in harness.FOXTRACKRD, harness.FOXTRACKRCTL:
        assert run(program, "--version").split()[1].rstrip(",") == version


def test_shipped_configuration_asks_for_what_is_missing(tmp_path):
    """As shipped it does not start, and each message leads to the next value that must be set."""
    conf = tmp_path / "foxtrackrd.conf"
    password = tmp_path / "password"
    text = (harness.ROOT / "foxtrackrd.conf").read_text()
    password.write_text("secret\n")
    password.chmod(0o640)

    def check(status):
        conf.write_text(text)
        return run(harness.FOXTRACKRD, "-c", conf, "--check-config", status=status)

    said = check(78)
    assert "broker.host: is required" in said and "and username and password_file" in said
    text = text.replace("\n#host =\n", "\nhost = mqtt.example\n")
    assert "session: given (or client_id) is required" in check(78)
    text = text.replace("\n#given =\n", "\ngiven = acme\n")
    check(0)
    text = text.replace("\n#password_file =\n", f"\npassword_file = {password}\n", 1)
    assert "broker.username: is required" in check(78)
    text = text.replace("\n#username =\n", "\nusername = me\n")
    check(0)


def test_shipped_configuration_is_readable():
    """No line is wider than the file's own rules, and no value is set."""
    lines = (harness.ROOT / "foxtrackrd.conf").read_text().splitlines()
    assert [line for line in lines if len(line) > 100] == []
    assert [line for line in lines if line and not line.startswith(("#", "["))] == []


@pytest.fixture(name="installed")
def fixture_installed(tmp_path):
    """A tree that `make install` has made, and a function that runs make on it again."""
    root = tmp_path / "root"

    def make(target):
        run(
            "make",
            "-s",
            target,
            f"BUILD={harness.BUILD}",
            f"DESTDIR={root}",
            "PREFIX=/usr",
            cwd=harness.ROOT,
        )

    make("install")
    return root, make


def test_install(installed):
    """Everything is where systemd, man and logrotate look for it; what is secret is not public."""
    root, make = installed
    conf = root / "etc/foxtrackrd/foxtrackrd.conf"
    wanted = [
        "usr/sbin/foxtrackrd",
        "usr/sbin/foxtrackrctl",
        "usr/share/man/man5/foxtrackrd.conf.5",
        "usr/share/man/man8/foxtrackrd.8",
        "usr/share/man/man8/foxtrackrctl.8",
        "usr/share/doc/foxtrackrd/README.md",
        "usr/share/doc/foxtrackrd/schema.md",
        "usr/share/doc/foxtrackrd/recipes.md",
        "usr/share/doc/foxtrackrd/examples/foxtrackrd.rules.yml",
        "usr/share/doc/foxtrackrd/examples/foxtrackrd.json",
        "usr/share/doc/foxtrackrd/examples/foxtrackrd-readings.json",
        "usr/share/doc/foxtrackrd/examples/datasette.json",
        "usr/share/doc/foxtrackrd/examples/battery.json",
        "usr/share/doc/foxtrackrd/examples/temperature.json",
        "usr/share/doc/foxtrackrd/examples/other.json",
        "usr/lib/systemd/system/foxtrackrd.service",
        "usr/lib/systemd/system/foxtrackrd@.service",
        "usr/lib/sysusers.d/foxtrackrd.conf",
        "usr/lib/tmpfiles.d/foxtrackrd.conf",
        "etc/logrotate.d/foxtrackrd",
        "usr/share/bash-completion/completions/foxtrackrctl",
        "etc/foxtrackrd/foxtrackrd.conf",
    ]
    assert [name for name in wanted if not (root / name).is_file()] == []
    assert stat.S_IMODE(conf.stat().st_mode) == 0o640
    unit = (root / "usr/lib/systemd/system/foxtrackrd.service").read_text()
    assert "ExecStart=/usr/sbin/foxtrackrd\n" in unit
    # The build was for /usr/local, the installation is not.
    pc = (root / "usr/lib/pkgconfig/foxtrackr.pc").read_text()
    assert "/usr/local" not in pc and "/usr/lib" in pc
    assert not re.search(r"@[A-Z0-9]+@", unit), "a placeholder is left"

    conf.write_text("# mine\n")
    make("install")
    assert conf.read_text() == "# mine\n"


def test_installed_programs_find_the_module(installed, tmp_path):
    """Goal: `make` and `make install PREFIX=/usr`, as the README shows them, give programs that find the
    module for PostgreSQL, although the build was for /usr/local."""
    root, _ = installed
    if not (root / "usr/lib/foxtrackrd/foxtrackrd-postgresql.so").exists():
        pytest.skip("built without libpq")
    conf = tmp_path / "foxtrackrd.conf"
    conf.write_text("[broker]\nhost = 127.0.0.1\n[session]\ngiven = acme\n"
                    "[database]\nengine = postgresql\nuri = postgresql:///fleet?host=/nowhere\n")
    conf.chmod(0o640)
    said = run(root / "usr/sbin/foxtrackrctl", "-c", conf, "check", status=1)
    assert "cannot connect" in said and "needs the package" not in said


def test_links_of_the_installed_documents(installed):
    """Goal: every link of an installed document leads to an installed file, and to a heading of it."""
    root, _ = installed
    documents = root / "usr/share/doc/foxtrackrd"
    links = [(page, target) for page in sorted(documents.rglob("*.md"))
             for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")) if "://" not in target]
    assert {page.relative_to(documents).as_posix() for page, _ in links} == {
        "README.md", "schema.md", "recipes.md", "postgresql/README.md"}
    for page, target in links:
        file, _, heading = target.partition("#")
        found = page.parent / file if file else page
        assert found.is_file(), (page, target)
        headings = {re.sub(r"[^\w\s-]", "", line).strip().replace(" ", "-").lower()
                    for line in re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)}
        assert heading == "" or heading in headings, (page, target)


def test_uninstall_leaves_only_the_configuration(installed):
    """Goal: uninstalling leaves the file that the operator wrote, and no other."""
    root, make = installed
    make("uninstall")
    left = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    assert left == ["etc/foxtrackrd/foxtrackrd.conf"]


@pytest.mark.parametrize("name", ["foxtrackrd.service", "foxtrackrd@one.service"])
def test_unit_is_valid_and_confined(installed, tmp_path, name):
    """systemd accepts every line of the unit, and rates its exposure as low."""
    analyze = need("systemd-analyze")
    root, _ = installed
    text = (root / "usr/lib/systemd/system" / name.replace("one", "")).read_text()
    unit = tmp_path / name
    unit.write_text(text.replace("/usr/sbin/foxtrackrd", str(harness.FOXTRACKRD)))
    assert run(analyze, "verify", "--man=no", unit) == ""
    report = run(analyze, "security", "--offline=true", "--no-pager", unit)
    exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", report).group(1))
    assert exposure <= EXPOSURE_MAX, report
    # The kernel may be asked whether its clock is synchronised, and nothing can set the clock.
    allowed = " ".join(re.findall(r"^SystemCallFilter=([^~].*)$", text, re.MULTILINE)).split()
    assert {"adjtimex", "clock_adjtime"} <= set(allowed) and "\nProtectClock=" not in text
    assert not {"@clock", "@privileged", "clock_settime", "settimeofday"} & set(allowed)
    assert "\nCapabilityBoundingSet=\n" in text and "\nPrivateDevices=yes\n" in text
    # Each instance has passwords of its own.
    prefix = "foxtrackrd@%i" if "@" in name else "foxtrackrd"
    assert re.findall(r"^LoadCredential=(.*)$", text, re.MULTILINE) == [
        f"foxtrackrd.{secret}:{prefix}.{secret}" for secret in ("password", "proxy-password", "postgresql")]


def test_sysusers_and_tmpfiles(tmp_path):
    """The user is made; its group may read the configuration, and another one the database."""
    if os.getuid() != 0:
        pytest.skip("systemd-sysusers --root needs root")
    sysusers, tmpfiles = need("systemd-sysusers"), need("systemd-tmpfiles")
    conf = tmp_path / "etc/foxtrackrd/foxtrackrd.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("")
    directory = harness.ROOT / "systemd"
    run(sysusers, f"--root={tmp_path}", directory / "foxtrackrd.sysusers")
    run(tmpfiles, f"--root={tmp_path}", "--create", directory / "foxtrackrd.tmpfiles")
    user = (tmp_path / "etc/passwd").read_text().split(":")
    groups = {line.split(":")[0]: line.split(":")[2:]
              for line in (tmp_path / "etc/group").read_text().splitlines()}
    assert set(groups) == {"foxtrackrd", "foxtrackr-readers"}
    assert groups["foxtrackr-readers"][1] == "foxtrackrd"
    group, readers = int(groups["foxtrackrd"][0]), int(groups["foxtrackr-readers"][0])
    assert (user[0], user[5], user[6].strip()) == (
        "foxtrackrd",
        "/var/lib/foxtrackrd",
        "/usr/sbin/nologin",
    )
    status = conf.stat()
    assert (status.st_gid, stat.S_IMODE(status.st_mode)) == (group, 0o640)
    status = (tmp_path / "var/lib/foxtrackrd").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) \
        == (int(user[2]), readers, 0o2750)


def test_logrotate_accepts_its_file(tmp_path):
    """A dry run finds no error."""
    logrotate = need("logrotate")
    copy = tmp_path / "foxtrackrd"
    text = (harness.ROOT / "packaging" / "foxtrackrd.logrotate").read_text()
    # The user need not exist where this runs.
    copy.write_text(text.replace("foxtrackrd foxtrackrd\n", "root root\n"))
    copy.chmod(0o644)
    output = run(logrotate, "--debug", "--state", tmp_path / "state", copy)
    assert "error" not in output
