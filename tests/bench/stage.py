"""The common parts of all measurements: programs, certificates, a directory on a real disk, the broker."""

import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "faults"), str(HERE.parent)]

from certificates import Certificates  # noqa: E402

START_LIMIT_S = 20
WAIT_STEP_S = 0.02


class Failure(Exception):
    """A measurement that cannot be trusted: something was lost, ended early or took for ever."""


def clean_environment(**more):
    """Ours without what would change a client: proxies, preloads, systemd's sockets."""
    kept = {name: value for name, value in os.environ.items()
            if not name.lower().endswith("_proxy")
            and name not in ("CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "LD_PRELOAD")}
    return {**kept, **more}


def find_program(name):
    """Debian keeps some programs in sbin, which is not on everybody's PATH."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise Failure(f"{name} is not installed")
    return path


def say(text):
    print(text, flush=True)


class Stage:
    """
    Directories and certificates of one run of the benchmark. The databases go below the build
    directory and not to /tmp, which may be memory: a benchmark of fsync needs a disk.
    """

    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()
        for program in ("foxtrackrd", "bench/broker", "bench/ceiling", "bench/client"):
            if not (self.build / program).exists():
                raise Failure(f"{self.build / program} is not there: run make bench")
        work = self.build / "bench" / "work"
        work.mkdir(parents=True, exist_ok=True)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="run.", dir=work))
        self.certificates = Certificates(self.directory / "tls")
        self.ca = self.certificates.authority("ca", "Benchmark CA")
        self.certificates.server("server", "ca")

    def program(self, name):
        return str(self.build / "bench" / name)

    @contextlib.contextmanager
    def fresh_directory(self, name):
        """Empty, and gone afterwards: what one run leaves to be written back slows the next."""
        directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}.", dir=self.directory))
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def close(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def sync_us(self, times=200):
        """The time that the disk takes to make 4 KiB durable: the median of write and fdatasync."""
        took = []
        with self.fresh_directory("sync") as directory:
            handle = os.open(directory / "file", os.O_RDWR | os.O_CREAT)
            try:
                os.write(handle, bytes(4096 * 64))
                os.fsync(handle)
                for number in range(times):
                    begun = time.perf_counter()
                    os.pwrite(handle, os.urandom(4096), number % 64 * 4096)
                    os.fdatasync(handle)
                    took.append((time.perf_counter() - begun) * 1e6)
            finally:
                os.close(handle)
        return sorted(took)[times // 2]


class Broker:
    """The benchmark's broker: one process, one stream of `count` messages."""

    def __init__(self, stage, directory, count, *, window=20, devices=None, delay_ms=0, sessions=1,
                 mark=0, hold=False, qos=2, tls=True, own_window=False):
        self.count = count
        self._port_file = directory / "broker.port"
        command = [stage.program("broker"), "--count", str(count), "--window", str(window),
                   "--qos", str(qos), "--port-file", str(self._port_file)]
        if tls:
            command += ["--tls", str(stage.certificates.certificate("server")),
                        str(stage.certificates.key("server"))]
        for option, value in (("--devices", devices), ("--delay-ms", delay_ms),
                              ("--sessions", sessions), ("--mark", mark)):
            if value:
                command += [option, str(value)]
        if hold:
            command.append("--hold")
        if own_window:
            command.append("--own-window")
        self._stderr_path = directory / "broker.log"
        with open(self._stderr_path, "wb") as stderr:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=directory,
                                            stdout=subprocess.PIPE, stderr=stderr,
                                            env=clean_environment())
        self.port = self._wait_port()

    def _wait_port(self):
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                return int(self._port_file.read_text())
            if self.process.poll() is not None:
                break
            time.sleep(0.005)
        raise Failure(f"the broker does not start:\n{self.log()}")

    def log(self):
        return self._stderr_path.read_text(errors="replace")

    def release(self, client, before, limit_s=START_LIMIT_S):
        """With hold: wait until every session has subscribed, call before(), start the stream."""
        deadline = time.monotonic() + limit_s
        while "ready" not in self.log():
            if time.monotonic() > deadline or not client.running or self.process.poll() is not None:
                raise Failure(f"no subscription:\n{self.log()}\n{client.log_tail()}")
            time.sleep(0.01)
        before()
        self.process.send_signal(signal.SIGUSR1)

    def wait(self, client, limit_s=120, sample=None):
        """
        The broker's result, once everything is acknowledged. sample() is called meanwhile,
        fifty times a second.
        """
        deadline = time.monotonic() + limit_s
        while True:
            if select.select([self.process.stdout], [], [], WAIT_STEP_S)[0]:
                line = self.process.stdout.readline()
                if not line:
                    raise Failure(f"the broker ended:\n{self.log()}")
                return json.loads(line)
            if sample:
                sample()
            if not client.running:
                raise Failure(f"the client ended:\n{client.log_tail()}")
            if time.monotonic() > deadline:
                raise Failure(f"not drained after {limit_s} s:\n{client.log_tail()}")

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        self.process.stdout.close()
