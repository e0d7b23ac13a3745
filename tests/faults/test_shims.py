"""The files by which a test talks to a preloaded shim."""

import os
import pathlib
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

from shims import Clock, Report  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent


def test_moving_the_clock_never_ends_the_process(tmp_path):
    """Goal: the clock is moved and synchronised while a process reads it without a pause, which lives."""
    shim = tmp_path / "clock_shim.so"
    subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-O1", "-shared", "-fPIC",
                    "-o", shim, HERE / "clock_shim.c", "-ldl"], check=True)
    clock = Clock(tmp_path / "clock", shim)
    reader = subprocess.Popen(
        [sys.executable, "-c", "import time\nprint('reads', flush=True)\nwhile True: time.time()"],
        env={**os.environ, **clock.environment}, stdout=subprocess.PIPE, text=True)
    try:
        assert reader.stdout.readline() == "reads\n"
        for _ in range(20_000):
            clock.set_ahead(1)
            clock.synchronise()
        assert reader.poll() is None
    finally:
        reader.kill()
        reader.wait()
        reader.stdout.close()


def test_a_report_is_reset_in_place(tmp_path):
    """Goal: the file of a process that still counts keeps its length, and begins at 0 again."""
    report = Report(tmp_path / "report")
    with open(report.path, "r+b") as file:
        file.write(bytes([1] * 16))
        file.flush()
        assert report.read() != (0, 0)
        report.reset()
        assert os.fstat(file.fileno()).st_size == 16
    assert report.read() == (0, 0)
