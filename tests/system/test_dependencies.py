"""tests/deps, which `make demo` and `make check` install packages with; and how much they install."""

import os
import re
import subprocess

import pytest

from harness import ROOT, run

# In the place of Debian's tools, each notes its call. apt-get asks the policy as dpkg does.
TOOLS = {
    "id": "echo 0",
    "dpkg-query": 'case " $INSTALLED " in *" $4 "*) echo "ii " ;; *) exit 1 ;; esac',
    "systemctl": "exit 0",
    "update-rc.d": "exit 0",
    "deb-systemd-helper": '[ -n "$DPKG_MAINTSCRIPT_PACKAGE" ]',
    "apt-get": """
case " $* " in
*--assume-no*) echo "0 upgraded, 2 newly installed, 0 to remove."
               echo "After this operation, 237 MB of additional disk space will be used."; exit 1 ;;
*Status-Fd=3*) for service in mosquitto mosquitto.service postgresql ssh; do
                   allowed=0; [ ! -e "$POLICY_RC_D" ] || "$POLICY_RC_D" $service start || allowed=$?
                   echo "policy $service $allowed" >> "$CALLS"
               done
               echo "dlstatus:1:50.0:Retrieving file 1 of 2" >&3
               echo "pmstatus:mosquitto:42.5:Installing mosquitto (amd64)" >&3
               echo "E: the reason of apt" >&2; exit $APT_STATUS ;;
esac""",
}


@pytest.fixture
def deps(tmp_path):
    """Call it with the packages, and what is installed; returns the process and the tools' calls."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, script in TOOLS.items():
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $*" >> "$CALLS"\n{script}\n')
        (tools / name).chmod(0o755)
    (tmp_path / "calls").touch()

    def call(*packages, installed="", apt_status=0):
        environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "INSTALLED": installed,
                       "CALLS": str(tmp_path / "calls"), "POLICY_RC_D": str(tmp_path / "policy-rc.d"),
                       "APT_STATUS": str(apt_status)}
        done = subprocess.run([ROOT / "tests/deps", *packages], env=environment, capture_output=True,
                              text=True, check=False, timeout=60)
        return done, (tmp_path / "calls").read_text()

    return call


def test_new_mosquitto_is_neither_started_nor_enabled(deps, tmp_path):
    """Goal: the demonstration leaves no broker of the system behind; other services start as they do."""
    done, calls = deps("gcc", "mosquitto")
    assert (done.returncode, done.stderr) == (0, "")
    for service, allowed in ("mosquitto", 101), ("mosquitto.service", 101), ("ssh", 0):
        assert f"policy {service} {allowed}\n" in calls
    assert "deb-systemd-helper disable mosquitto.service" in calls
    assert "update-rc.d mosquitto disable" in calls
    assert not (tmp_path / "policy-rc.d").exists()


def test_new_postgresql_is_neither_started_nor_enabled(deps):
    """Goal: the tests leave no server of the system behind, and a server that was there goes on."""
    done, calls = deps("gcc", "postgresql")
    assert (done.returncode, done.stderr) == (0, "")
    for service, allowed in ("mosquitto", 0), ("postgresql", 101), ("ssh", 0):
        assert f"policy {service} {allowed}\n" in calls
    assert "deb-systemd-helper disable postgresql.service" in calls
    assert "update-rc.d postgresql disable" in calls and "disable mosquitto" not in calls


def test_postgresql_beside_another_version_is_left_alone(deps):
    """Goal: a machine that runs a server of another version keeps it running."""
    done, calls = deps("postgresql", installed="postgresql-common")
    assert done.returncode == 0
    assert "policy postgresql 0\n" in calls
    assert "disable" not in calls and "systemctl" not in calls


def test_mosquitto_that_was_installed_is_left_alone(deps):
    """Goal: on a machine that has a broker nothing changes."""
    done, calls = deps("gcc", "mosquitto", installed="mosquitto")
    assert done.returncode == 0
    assert "policy mosquitto 0\n" in calls
    assert "disable" not in calls and "systemctl" not in calls


def test_policy_of_the_machine_stays(deps, tmp_path):
    """Goal: a policy that was there before is neither changed nor removed."""
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    done, calls = deps("mosquitto")
    assert done.returncode == 0 and "policy ssh 101\n" in calls
    assert policy.read_text() == "#!/bin/sh\nexit 101\n"


def test_progress_names_the_package(deps):
    """Goal: somebody who waits sees how much is installed, which package, and how far it is."""
    done, _ = deps("mosquitto")
    assert "2 newly installed" in done.stdout and "237 MB" in done.stdout
    assert " 42 %  Installing mosquitto" in done.stdout


def test_failed_installation_says_why(deps, tmp_path):
    """Goal: apt's own reason is shown, the exit status is not 0, and no policy stays behind."""
    done, calls = deps("mosquitto", apt_status=100)
    assert done.returncode == 1
    assert "E: the reason of apt\n" in done.stderr
    assert not (tmp_path / "policy-rc.d").exists()


def test_nothing_is_asked_where_nothing_is_missing(deps):
    """Goal: `make demo` on a machine that has everything does not go to the network."""
    done, calls = deps("gcc", "mosquitto", installed="gcc mosquitto")
    assert (done.returncode, done.stdout) == (0, "") and "apt-get" not in calls


def test_demo_installs_a_compiler_libraries_and_a_broker():
    """Goal: 262 MB on a fresh Debian 12. Whoever adds a package here looks at the size again."""
    plan = run("make", "-C", ROOT, "-n", "--no-print-directory", "deps-demo").stdout
    [packages] = re.findall(r"^tests/deps (.*)$", plan, re.MULTILINE)
    assert set(packages.split()) == {
        "gcc", "make", "binutils", "pkg-config", "libpaho-mqtt-dev", "libsqlite3-dev", "libjansson-dev",
        "libsystemd-dev", "libssl-dev", "libinih-dev", "libjs-dygraphs",
        "libmicrohttpd-dev", "libpq-dev", "mosquitto", "openssl", "sqlite3"}
    assert "84 packages, 262 MB" in (ROOT / "README.md").read_text(encoding="utf-8")
    wanted = run("make", "-C", ROOT, "-n", "--no-print-directory", "demo").stdout
    assert "tests/deps" in wanted and "clang" not in wanted


def test_without_postgresql_nothing_of_it_is_needed():
    """Goal: `make POSTGRESQL=no` builds on a machine without libpq, and installs no module."""
    for target in "deps-demo", "all", "install":
        plan = run("make", "-C", ROOT, "-n", "--no-print-directory", "POSTGRESQL=no", "BUILD=/nowhere", target).stdout
        assert plan and "libpq" not in plan and "store/postgresql/" not in plan and "-postgresql.so" not in plan


def test_building_a_package_installs_what_its_unit_tests_run_with():
    """Goal: `make deb` works on a fresh Debian: tests/parallel, which runs them, is a Python program."""
    assert (ROOT / "tests/parallel").read_text().startswith("#!/usr/bin/python3")
    plan = run("make", "-C", ROOT, "-n", "--no-print-directory", "deps-deb").stdout
    assert "python3" in plan.split()
    assert "python3 <!nocheck>" in (ROOT / "packaging/debian/control").read_text()
    assert "BuildRequires:  python3\n" in (ROOT / "packaging/rpm/foxtrackrd.spec").read_text()
