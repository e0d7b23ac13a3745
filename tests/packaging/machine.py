"""A machine to install packages on that is thrown away: this one's file system, with every change kept
apart in memory, seen by its own processes alone."""

import os
import pathlib
import stat
import subprocess
import tempfile

# Runs in namespaces of its own. They, and every mount in them, end with this process, which ends when
# its standard input does, that is at the latest with the test that holds the other end.
SET_UP = """
set -e
# In a chroot this fails, and what was mounted there must be private already.
mount --make-rprivate / 2>/dev/null || true
if grep -q ' shared:' /proc/self/mountinfo; then
    echo "its mounts would be seen outside" >&2
    exit 1
fi
mount -t tmpfs -o mode=0755 tmpfs "$1"
mkdir "$1/changes" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" overlay "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs tmpfs "$1/root/run"
mount -t tmpfs -o mode=1777 tmpfs "$1/root/tmp"
# The database of manual pages is not what is tested, and takes longer than all the rest.
rm -f "$1/root/var/lib/man-db/auto-update"
echo ready
exec cat >/dev/null
"""


class Unavailable(Exception):
    """This place does not allow what a Machine needs; the text says why."""


class Machine:
    """One such machine; a context. `root` is its file system as processes outside see it."""

    def __init__(self):
        if os.getuid() != 0:
            raise Unavailable("needs root, to mount")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="foxtrackrd-machine-"))
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "unchanged",
             "sh", "-c", SET_UP, "sh", self.directory],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "ready\n":
            why = self.holder.stderr.read().strip()
            self.close()
            raise Unavailable(f"cannot lay a file system over this one: {why}")
        pid = self.holder.pid
        self.inside = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
        seen = pathlib.Path(f"/proc/{self.inside}/root{self.directory}")
        self.root = seen / "root"
        self._changes = seen / "changes"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End it, and with it everything that was changed."""
        self.holder.stdin.close()
        self.holder.wait(timeout=60)
        self.holder.stdout.close()
        self.holder.stderr.close()
        self.directory.rmdir()

    def run(self, *command, status=0, cwd="/", **environment):
        """Run a command that must end with this status; returns what it wrote, both streams."""
        done = subprocess.run(
            ["nsenter", "--target", self.inside, "--mount", "--pid", "--root",
             "chroot", self.directory / "root",
             "env", "-i", f"--chdir={cwd}", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
             "HOME=/root", "DEBIAN_FRONTEND=noninteractive",
             *(f"{name}={value}" for name, value in environment.items()), *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False, timeout=1800)
        assert status in (None, done.returncode), \
            f"{command} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def put(self, source, target):
        """Copy a file of ours into it; returns `target`."""
        place = self.root / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(pathlib.Path(source).read_bytes())
        return target

    def changes(self):
        """The differences from the file system below: {path: description}, without the files that the
        kernel or the overlay has written."""
        found = {}
        for path in sorted(self._changes.rglob("*")):
            name = "/" + path.relative_to(self._changes).as_posix()
            now, before = _describe(path), _describe(pathlib.Path(name))
            if now != before:
                found[name] = now
        return found


def _describe(path):
    """Describe a file, without its times."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        return None  # how an overlay marks what was removed
    text = b""
    if stat.S_ISREG(status.st_mode):
        text = path.read_bytes()
    elif stat.S_ISLNK(status.st_mode):
        text = os.readlink(path)
    return oct(status.st_mode), status.st_uid, status.st_gid, text
