"""
Private clusters of PostgreSQL: a server of a test's own, with a Unix socket and, if asked, a port on 127.0.0.1. The
cluster of the system is never touched.

initdb and the server refuse to run as root, so root runs them as user postgres, else as nobody. A test's own directory
is closed to them, so a cluster has a directory of its own, which stop() removes.
"""

import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import tempfile

START_S = 60


def versions():
    """The versions that are installed, the lowest first: [(15, directory of initdb)]."""
    found = []
    for initdb in pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"):
        if initdb.parents[1].name.isdigit():
            found.append((int(initdb.parents[1].name), initdb.parent))
    return sorted(found)


def _user():
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
    """A server. Role foxtrackrd owns the database that make_database() makes; role postgres is its superuser."""

    def __init__(self, *, version=None, port=5432, tcp=False, settings=()):
        installed = dict(versions())
        if not installed:
            raise FileNotFoundError("PostgreSQL is not installed")
        self.version = version or max(installed)
        self.bin = installed[self.version]
        self.port = port
        self.user = _user()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="foxtrackr-pg-", dir="/tmp"))
        self.data = self.directory / "data"
        if self.user:
            os.chown(self.directory, self.user.pw_uid, self.user.pw_gid)
        self.directory.chmod(0o755)
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8",
                  "--no-sync")
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write(f"port = {port}\nunix_socket_directories = '{self.directory}'\n"
                       f"listen_addresses = '{'127.0.0.1' if tcp else ''}'\n")
            file.writelines(f"{setting}\n" for setting in settings)
        self.start()
        self.psql("CREATE ROLE foxtrackrd LOGIN")

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

    def stop(self):
        """Stop the server, and remove everything."""
        try:
            if (self.data / "postmaster.pid").exists():
                self.halt("immediate")
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def make_database(self, name, owner="foxtrackrd"):
        """An empty database of role foxtrackrd, as README.Debian has it made."""
        self.psql(f'CREATE DATABASE "{name}" OWNER {owner} ENCODING \'UTF8\' TEMPLATE template0')

    def uri(self, database, user="foxtrackrd"):
        """The value of database.uri."""
        host = str(self.directory).replace("/", "%2F")
        return f"postgresql://{user}@{host}:{self.port}/{database}"

    def psql(self, sql, database="postgres", user="postgres", *, single=False):
        """Run statements, which may hold the data of COPY FROM STDIN; the answer as CSV, NULL as \\N."""
        done = subprocess.run(
            ["psql", "-XAq", "--csv", "-v", "ON_ERROR_STOP=1", "-P", "null=\\N", *(["-1"] if single else []),
             "-h", str(self.directory), "-p", str(self.port), "-U", user, "-d", database, "-f", "-"],
            input=sql, capture_output=True, text=True, check=False, env={**os.environ, "PGTZ": "UTC",
                                                                         "PGCLIENTENCODING": "UTF8"})
        if done.returncode:
            raise RuntimeError(re.sub(r"(?m)^psql:", "", done.stderr).strip())
        return done.stdout


def run(command):
    """
    Run a command with a cluster of its own: FOXTRACKR_PG is the folder of the socket, FOXTRACKR_PG_PORT the port.
    Roles are foxtrackrd and postgres. Returns the command's exit status.
    """
    made = Cluster()
    try:
        return subprocess.run(command, check=False, env={**os.environ, "FOXTRACKR_PG": str(made.directory),
                                                         "FOXTRACKR_PG_PORT": str(made.port)}).returncode
    finally:
        made.stop()


if __name__ == "__main__":
    if not versions():
        import left_out
        print(f"LEFT OUT {sys.argv[1]}: PostgreSQL is not installed: {left_out.verdict()}")
        sys.exit(1 if left_out.in_ci() else 0)
    sys.exit(run(sys.argv[1:]))
