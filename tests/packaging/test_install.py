"""Install, upgrade, remove, purge, and again: what an administrator does with the package."""

import os
import re
import shutil
import stat
import subprocess

import pytest

import released

CONF = "etc/foxtrackrd/foxtrackrd.conf"
DATABASE = "var/lib/foxtrackrd/foxtrackr.db"
PASSWORD = "etc/foxtrackrd/password"
LOG = "var/log/foxtrackrd/foxtrackrd.log"
DATA = {DATABASE: "rows\n", PASSWORD: "secret\n", LOG: "lines\n"}

# Files that dpkg and its triggers write themselves, and the user, which stays.
BOOKKEEPING = re.compile(
    r"/(var/lib/dpkg|var/lib/man-db|var/cache|var/log/(dpkg|alternatives)\.log|etc/ld\.so\.cache|"
    r"etc/\.pwd\.lock|etc/(passwd|group|shadow|gshadow)-?)(/|$)")


def install(machine, *debs, status=0):
    """dpkg --install, with an answer for a changed configuration: keep it."""
    names = [machine.put(deb, f"/tmp/{deb.name}") for deb in debs]
    return machine.run("dpkg", "--force-confold", "--force-confdef", "--install", *names,
                       status=status)


def state(machine):
    """dpkg's opinion: `ii ` is installed, `rc ` removed, "" unknown."""
    said = machine.run("dpkg-query", "--show", "--showformat=${db:Status-Abbrev}", "foxtrackrd",
                       status=None)
    return "" if said.startswith("dpkg-query: no packages found") or said == "un " else said


def rebuilt(deb, directory, version, change=None):
    """The same package under another version, after change(its unpacked tree)."""
    tree = directory / f"tree-{version}"
    subprocess.check_call(["dpkg-deb", "--raw-extract", deb, tree])
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"^Version: .*", f"Version: {version}", control.read_text(),
                              flags=re.MULTILINE))
    if change:
        change(tree)
    (tree / "DEBIAN" / "md5sums").unlink()
    made = directory / f"foxtrackrd_{version}.deb"
    subprocess.check_call(["dpkg-deb", "--root-owner-group", "--build", tree, made],
                          stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return made


def user_ids(machine):
    """User and group number of foxtrackrd."""
    user = machine.run("getent", "passwd", "foxtrackrd").split(":")
    group = machine.run("getent", "group", "foxtrackrd").split(":")
    assert user[5:] == ["/var/lib/foxtrackrd", "/usr/sbin/nologin\n"]
    return int(user[2]), int(group[2])


def readers_of(machine):
    """The group that may read the database: the user is a member, and nobody else yet."""
    group = machine.run("getent", "group", "foxtrackr-readers").strip().split(":")
    assert group[3] == "foxtrackrd"
    return int(group[2])


def mode_of(path):
    status = path.stat()
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid


def assert_modes(machine):
    """The secret is for root and the group; the data for the user and the group."""
    user, group = user_ids(machine)
    assert mode_of(machine.root / CONF) == (0o640, 0, group)
    assert mode_of(machine.root / "etc/foxtrackrd") == (0o755, 0, 0)
    assert mode_of(machine.root / "var/lib/foxtrackrd") == (0o2750, user, readers_of(machine))


def use(machine):
    """Leave what a daemon and its operator leave."""
    user, group = user_ids(machine)
    for name, text in DATA.items():
        path = machine.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        os.chown(path, user, group)


def used(machine):
    """The contents of the daemon's files that are still there."""
    return {name: (machine.root / name).read_text() for name in DATA
            if (machine.root / name).exists()}


def leftovers(machine):
    """The changes to the file system, without dpkg's own files."""
    return {name: what for name, what in machine.changes().items() if not BOOKKEEPING.match(name)}


@pytest.fixture(autouse=True)
def fresh(machine):
    """Purge the package before each test if the machine has it installed."""
    if state(machine):
        machine.run("dpkg", "--purge", "foxtrackrd")


def test_install(machine, packages, version):
    """Everything is there with its modes, and nothing runs that nobody has configured."""
    install(machine, packages.daemon, packages.postgresql, packages.library)
    assert state(machine) == "ii "
    assert machine.run("dpkg", "--audit") == ""
    assert machine.run("dpkg", "--verify", "foxtrackrd", "foxtrackrd-postgresql", "libfoxtrackr-dev") == ""
    assert_modes(machine)
    assert version in machine.run("foxtrackrd", "--version")
    assert "broker.host: is required" in machine.run("foxtrackrd", "--check-config", status=78)
    assert machine.run("systemctl", "is-enabled", "foxtrackrd", status=None) == "disabled\n"


def test_upgrade_of_an_untouched_configuration(machine, packages, tmp_path):
    """The new version's configuration replaces the old one's, with the modes of a secret."""
    install(machine, released.package(packages.daemon, tmp_path))
    before = (machine.root / CONF).read_text()
    assert "#retention_days = 0" in before and "[view position]" not in before
    use(machine)
    install(machine, packages.daemon)
    assert state(machine) == "ii "
    assert "[view position]" in (machine.root / CONF).read_text()
    assert_modes(machine)
    assert used(machine) == DATA


def test_upgrade_of_a_changed_configuration(machine, packages, tmp_path):
    """Goal: a changed configuration stays, with its mode; the new one beside it has no wider mode."""
    install(machine, released.package(packages.daemon, tmp_path))
    use(machine)
    (machine.root / CONF).write_text("# mine\n")
    install(machine, packages.daemon)
    assert (machine.root / CONF).read_text() == "# mine\n"
    assert_modes(machine)
    beside = machine.root / f"{CONF}.dpkg-dist"
    assert "[view position]" in beside.read_text()
    assert mode_of(beside)[0] == 0o640
    assert used(machine) == DATA


def test_enabled_stays_enabled(machine, packages, tmp_path):
    """An upgrade leaves the administrator's decision alone, a purge forgets it."""
    install(machine, released.package(packages.daemon, tmp_path))
    machine.run("systemctl", "enable", "foxtrackrd")
    install(machine, packages.daemon)
    assert machine.run("systemctl", "is-enabled", "foxtrackrd") == "enabled\n"
    machine.run("dpkg", "--purge", "foxtrackrd")
    assert leftovers(machine) == {}


def test_upgrade_gives_the_database_to_its_readers(machine, packages, tmp_path):
    """Goal: the readers' group gets the database of 0.1.0, which had one group, and no other file."""
    install(machine, released.package(packages.daemon, tmp_path))
    use(machine)
    user, group = user_ids(machine)
    directory = machine.root / "var/lib/foxtrackrd"
    assert mode_of(directory) == (0o750, user, group)
    names = ["foxtrackr.db", "foxtrackr.db-wal", "foxtrackr.db-shm", "foxtrackr.db.lock", "notes"]
    for name in names:
        (directory / name).touch()
        os.chown(directory / name, user, group)
        (directory / name).chmod(0o640)
    install(machine, packages.daemon)
    assert_modes(machine)
    readers = readers_of(machine)
    assert [mode_of(directory / name) for name in names] == \
        [(0o640, user, readers)] * 3 + [(0o640, user, group)] * 2


def test_upgrade_that_fails(machine, packages, tmp_path):
    """The version that worked goes on working."""
    def refuse(tree):
        script = tree / "DEBIAN" / "preinst"
        script.write_text("#!/bin/sh\nexit 1\n")
        script.chmod(0o755)

    install(machine, packages.daemon)
    use(machine)
    install(machine, rebuilt(packages.daemon, tmp_path, "99-1", refuse), status=1)
    assert state(machine) == "ii "
    assert machine.run("dpkg", "--verify", "foxtrackrd") == ""
    assert_modes(machine)
    assert used(machine) == DATA


def test_remove_and_install_again(machine, packages):
    """Configuration, password, data and user survive a removal and are taken up again."""
    install(machine, packages.daemon)
    use(machine)
    (machine.root / CONF).write_text("# mine\n")
    before = user_ids(machine)
    machine.run("dpkg", "--remove", "foxtrackrd")
    assert state(machine) == "rc "
    assert used(machine) == DATA
    assert not (machine.root / "usr/sbin/foxtrackrd").exists()
    install(machine, packages.daemon)
    assert (machine.root / CONF).read_text() == "# mine\n"
    assert user_ids(machine) == before
    assert_modes(machine)
    assert used(machine) == DATA


@pytest.mark.parametrize("removed_before", [False, True])
def test_purge_leaves_nothing(machine, packages, removed_before):
    """The file system is as it was before, but for dpkg's own records and the user."""
    install(machine, packages.daemon, packages.postgresql, packages.library)
    use(machine)
    machine.run("systemctl", "--root=/", "enable", "foxtrackrd@north.service")
    if removed_before:
        machine.run("dpkg", "--remove", "foxtrackrd", "foxtrackrd-postgresql")
    machine.run("dpkg", "--purge", "foxtrackrd", "foxtrackrd-postgresql", "libfoxtrackr-dev")
    assert state(machine) == ""
    assert leftovers(machine) == {}
    user_ids(machine)
    install(machine, packages.daemon)
    assert_modes(machine)


def test_purge_of_a_file_system_of_its_own(machine, packages):
    """A database on a disk of its own is deleted, and the mount point is no error."""
    install(machine, packages.daemon)
    machine.run("mount", "-t", "tmpfs", "tmpfs", "/var/lib/foxtrackrd")
    use(machine)
    machine.run("dpkg", "--purge", "foxtrackrd")
    assert list((machine.root / "var/lib/foxtrackrd").iterdir()) == []
    assert state(machine) == ""


def test_purge_does_not_follow_a_link(machine, packages):
    """Data that was moved elsewhere belongs to whoever moved it."""
    install(machine, packages.daemon)
    elsewhere = machine.root / "srv" / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "foxtrackr.db").write_text("rows\n")
    (machine.root / "var/lib/foxtrackrd").rmdir()
    (machine.root / "var/lib/foxtrackrd").symlink_to("/srv/elsewhere")
    machine.run("dpkg", "--purge", "foxtrackrd")
    assert (elsewhere / "foxtrackr.db").read_text() == "rows\n"
    assert not (machine.root / "var/lib/foxtrackrd").is_symlink()
