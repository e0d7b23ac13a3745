"""
The daemon as a process, which the system tests and the campaigns of faults share: its configuration,
its environment, its log and its end. What each of them waits for is its own.
"""

import json
import os
import pathlib
import subprocess

NOT_INHERITED = ("CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "LD_PRELOAD")


def render(sections):
    """INI text. A section that is None is left out, and so is a key."""
    lines = []
    for name, keys in sections.items():
        if keys is None:
            continue
        lines.append(f"[{name}]")
        lines += [f"{key} = {value}" for key, value in keys.items() if value is not None]
        lines.append("")
    return "\n".join(lines)


class DaemonProcess:
    """
    One configuration, and at most one running process.

    program      the daemon to run
    password     what the file `password` beside the configuration holds
    defaults     the sections before any change: a function of the directory
    wrapper      a command to run the daemon with, e.g. ["strace", "-f", ...]
    environment  variables to add, e.g. {"LD_PRELOAD": ...}
    """

    def __init__(self, directory, program, password, defaults, *, wrapper=(), environment=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.program = pathlib.Path(program)
        self.wrapper = list(wrapper)
        self.environment = dict(environment or {})
        self.process = None
        self.config = self.directory / "foxtrackrd.conf"
        self.stderr_path = self.directory / "stderr.log"
        self.stderr_path.touch()
        self._log_start = 0
        self.password_path = self.directory / "password"
        self.password_path.touch(mode=0o600)
        self.password_path.write_text(password + "\n")
        self.sections = defaults(self.directory)

    def configure(self, **sections):
        """Change sections and write the file; the process is not told."""
        for name, keys in sections.items():
            self.sections[name] = None if keys is None else {
                **(self.sections.get(name) or {}), **keys}
        self.config.write_text(render(self.written()))

    def written(self):
        """The sections that are written; a subclass may write others than the test has named."""
        return self.sections

    @property
    def database(self):
        return pathlib.Path(self.sections["database"]["path"])

    @property
    def status_path(self):
        return pathlib.Path(self.sections["status"]["file"])

    def launch(self, **variables):
        """Start the process, with these variables too; wait for nothing."""
        assert self.process is None, "it runs already"
        environment = {name: text for name, text in os.environ.items()
                       if not name.lower().endswith("_proxy") and name not in NOT_INHERITED}
        environment.update(variables)
        environment.update(self.environment)
        with open(self.stderr_path, "ab") as stderr:
            self._log_start = stderr.tell()
            self.process = subprocess.Popen(
                [*self.wrapper, self.program, "-c", self.config], stdin=subprocess.DEVNULL,
                stdout=stderr, stderr=stderr, env=environment, cwd="/")

    def wait_exit(self, limit_s):
        """The exit status once it has ended by itself; negative: the signal that ended it."""
        try:
            code = self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {limit_s} s:\n{self.log_tail()}") from None
        self.process = None
        return code

    def log(self):
        """The text on the daemon's standard error since its last start."""
        with open(self.stderr_path, encoding="utf-8", errors="replace") as log:
            log.seek(self._log_start)
            return log.read()

    def log_tail(self, lines=80):
        return "\n".join(self.stderr_path.read_text(errors="replace").splitlines()[-lines:])

    def status(self):
        """The status file; {} while there is none."""
        try:
            return json.loads(self.status_path.read_text())
        except FileNotFoundError:
            return {}
