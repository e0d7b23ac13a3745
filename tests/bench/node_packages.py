"""The packages of contestant (g), which npm installs below the build directory."""

import functools
import shutil
import subprocess

from stage import Failure, clean_environment, say

PACKAGES = ("mqtt@5.16.0", "better-sqlite3@12.11.1")
LIMIT_S = 900       # better-sqlite3 brings SQLite, and compiles it where it finds no binary for this Node
TRY = "new (require('better-sqlite3'))(':memory:').exec('SELECT 1'); require('mqtt')"


def _work(directory):
    return subprocess.run(["node", "-e", TRY], cwd=directory, env=clean_environment(), check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


@functools.cache
def _install(directory, may_install):
    """Why it cannot be, or None: they are there."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    directory.mkdir(parents=True, exist_ok=True)
    if _work(directory):
        return None
    if not may_install:
        return f"{', '.join(PACKAGES)} are not in {directory}; a run without --quick installs them"
    say(f"installing {', '.join(PACKAGES)} with npm in {directory}; this takes minutes, once")
    log = directory / "install.log"
    try:
        with open(log, "wb") as out:
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", directory, *PACKAGES],
                           stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"npm did not end within {LIMIT_S} s: see {log}"
    return None if _work(directory) else f"npm could not install them: see {log}"


def problem(stage, may_install):
    """Why (g) cannot take part, or None. Installs what is missing, if it may."""
    return _install(stage.build / "bench" / "node", may_install)


def directory(stage):
    """Where they are."""
    reason = problem(stage, may_install=False)
    if reason:
        raise Failure(reason)
    return stage.build / "bench" / "node"
