"""
Private clusters of PostgreSQL: a server of a test's own, with a Unix socket and, if asked, a port on 127.0.0.1. The
cluster of the system is never touched.

initdb and the server refuse to run as root, so root runs them as user postgres, else as nobody. A test's own directory
is closed to them, so a cluster has a directory of its own, which stop() removes.

No server outlives the program that made it: a watcher waits for the end of a pipe that this program holds, and ends the
server when the program is killed, too.
"""

import contextlib
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

START_S = 60

WATCHER = r"""
trap '' INT TERM HUP
cat >/dev/null
while pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && grep -q "$1" "/proc/$pid/cmdline" 2>/dev/null; do
    kill -QUIT "$pid"
    sleep 0.1
done
rm -rf "$1"
"""
"""Ends the server in the directory $1, at once and without a checkpoint, and removes the directory. A pid of a file that
was left behind may be another program's by now, so it is asked for its directory."""


def versions():
    """The versions that are installed, the lowest first: [(15, directory of initdb)]."""
    found = []
    for initdb in pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"):
        if initdb.parents[1].name.isdigit():
            found.append((int(initdb.parents[1].name), initdb.parent))
    return sorted(found)


def server_user():
    """The user that a server runs as; None: the present one."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("neither postgres nor nobody is a user")


class Cluster:
    """
    A server. Role foxtrackrd owns the database that make_database() makes; role postgres is its superuser.

    settings  lines of postgresql.conf
    primary   another Cluster: this one is its standby, with a copy of its data
    sockets   the directory of the server's socket; default: one of its own
    below     the directory that the server's directory is made in, which any user may pass through
    """

    def __init__(self, *, version=None, port=5432, tcp=False, settings=(), primary=None, sockets=None, below="/tmp"):
        installed = dict(versions())
        if not installed:
            raise FileNotFoundError("PostgreSQL is not installed")
        self.version = version or (primary.version if primary else max(installed))
        self.bin = installed[self.version]
        self.port = port
        self.user = server_user()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="foxtrackr-pg-", dir=below))
        self.data = self.directory / "data"
        self.sockets = pathlib.Path(sockets or self.directory)
        if self.user:
            os.chown(self.directory, self.user.pw_uid, self.user.pw_gid)
        self.directory.chmod(0o755)
        self._watcher = subprocess.Popen(["sh", "-c", WATCHER, "sh", self.directory], stdin=subprocess.PIPE,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            self._make(tcp, settings, primary)
        except BaseException:
            self.stop()
            raise

    def _make(self, tcp, settings, primary):
        if primary is not None:
            self._run("pg_basebackup", "-h", primary.sockets, "-p", primary.port, "-U", "postgres", "-D", self.data,
                      "-R", "-c", "fast", "--no-sync")
        else:
            self._initialize()
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write(f"port = {self.port}\nunix_socket_directories = '{self.sockets}'\n"
                       f"listen_addresses = '{'127.0.0.1' if tcp else ''}'\n")
            file.writelines(f"{setting}\n" for setting in settings)
        self.start()
        if primary is None:
            self.psql("CREATE ROLE foxtrackrd LOGIN")

    def _initialize(self):
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
                  "--no-sync")

    def _run(self, program, *argv):
        command = [str(self.bin / program), *map(str, argv)]
        if self.user:
            command = ["setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups",
                       *command]
        done = subprocess.run(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              timeout=2 * START_S, check=False)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr}{self.log()[-2000:]}")

    def log(self):
        """The server's log."""
        file = self.directory / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def start(self):
        """Start the server, and wait until it takes connections."""
        self._run("pg_ctl", "-D", self.data, "-w", "-t", START_S, "-l", self.directory / "log", "start")

    def halt(self, mode="fast"):
        """Stop the server; its data stay."""
        self._run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    @property
    def socket(self):
        """The server's socket."""
        return self.sockets / f".s.PGSQL.{self.port}"

    @property
    def pid(self):
        """The process id of the postmaster; None when the server does not run."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int((self.data / "postmaster.pid").read_text().splitlines()[0])
        return None

    def children(self):
        """The process ids of the server's processes but the postmaster."""
        found = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, IndexError):
                if stat.read_text().rpartition(")")[2].split()[1] == str(self.pid):
                    found.append(int(stat.parent.name))
        return found

    def kill(self):
        """Kill the postmaster, and wait until its processes have noticed that. start() recovers."""
        children = self.children()
        os.kill(self.pid, signal.SIGKILL)
        deadline = time.monotonic() + START_S
        while any(pathlib.Path(f"/proc/{child}").exists() for child in children):
            if time.monotonic() > deadline:
                raise RuntimeError(f"processes outlive their postmaster: {children}")
            time.sleep(0.02)

    def promote(self):
        """Make the standby a primary, and wait until it takes writes."""
        self._run("pg_ctl", "-D", self.data, "-w", "-t", START_S, "promote")

    def set(self, **settings):
        """Change settings of the running server; None: the default again. They need no restart."""
        for name, text in settings.items():
            self.psql(f"ALTER SYSTEM {'RESET ' + name if text is None else f'SET {name} = {quoted(text)}'}")
        self.psql("SELECT pg_reload_conf()")

    def set_file(self, **settings):
        """Settings for the next start or promotion, of a server that takes no writes."""
        with open(self.data / "postgresql.auto.conf", "a", encoding="utf-8") as file:
            file.writelines(f"{name} = {quoted(text)}\n" for name, text in settings.items())
        self._run("pg_ctl", "-D", self.data, "reload")

    def stop(self):
        """Stop the server, and remove everything."""
        self._watcher.stdin.close()
        self._watcher.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def make_database(self, name, owner="foxtrackrd", more=""):
        """An empty database of role foxtrackrd, as README.Debian has it made; more: words for CREATE DATABASE."""
        self.psql(f'CREATE DATABASE "{name}" OWNER {owner} ENCODING \'UTF8\' TEMPLATE template0 {more}')

    def uri(self, database, user="foxtrackrd"):
        """The value of database.uri."""
        host = str(self.sockets).replace("/", "%2F")
        return f"postgresql://{user}@{host}:{self.port}/{database}"

    def conninfo(self, database, user="foxtrackrd"):
        """For libpq, and so for pq.Connection."""
        return (f"host={self.sockets} port={self.port} user={user} dbname={database} client_encoding=UTF8"
                " connect_timeout=5 application_name=test")

    def psql(self, sql, database="postgres", user="postgres", *, single=False):
        """Run statements, which may hold the data of COPY FROM STDIN; the answer as CSV, NULL as \\N."""
        done = subprocess.run(
            ["psql", "-XAq", "--csv", "-v", "ON_ERROR_STOP=1", "-P", "null=\\N", *(["-1"] if single else []),
             "-h", str(self.sockets), "-p", str(self.port), "-U", user, "-d", database, "-f", "-"],
            input=sql, capture_output=True, text=True, check=False, env={**os.environ, "PGTZ": "UTC",
                                                                         "PGCLIENTENCODING": "UTF8"})
        if done.returncode:
            raise RuntimeError(re.sub(r"(?m)^psql:", "", done.stderr).strip())
        return done.stdout


def quoted(text):
    """A text as a literal of SQL."""
    return "'" + str(text).replace("'", "''") + "'"


def run(command):
    """
    Run a command with a cluster of its own: FOXTRACKR_PG is the folder of the socket, FOXTRACKR_PG_PORT the port.
    Roles are foxtrackrd and postgres. Returns the command's exit status.
    """
    made = Cluster()
    try:
        # The command does not outlive this program either.
        return subprocess.run(["setpriv", "--pdeathsig", "KILL", *command], check=False,
                              env={**os.environ, "FOXTRACKR_PG": str(made.directory),
                                   "FOXTRACKR_PG_PORT": str(made.port)}).returncode
    finally:
        made.stop()


if __name__ == "__main__":
    if not versions():
        import left_out
        print(f"LEFT OUT {sys.argv[1]}: PostgreSQL is not installed: {left_out.verdict()}")
        sys.exit(1 if left_out.in_ci() else 0)
    sys.exit(run(sys.argv[1:]))
