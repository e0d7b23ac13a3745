"""A slow network: the relay that holds bytes back, and the clock that it keeps."""

import collections
import contextlib
import struct
import subprocess
import time

from stage import START_LIMIT_S, Failure, clean_environment

ROUND_TRIP_MS = 30

Clock = collections.namedtuple("Clock", "begin_ns last_ns to_client to_broker connections")
_CLOCK = struct.Struct("=qqQQQ")    # struct relay_clock


class Relay:
    """
    Between a client and the broker at port `to`: each direction takes delay_ms. nagle: the broker leaves
    Nagle's algorithm on, which is felt when acknowledgements of TCP take a round trip.
    """

    def __init__(self, stage, directory, to, *, delay_ms=ROUND_TRIP_MS / 2, nagle=False):
        self._clock_path = directory / "relay.clock"
        port_file, log = directory / "relay.port", directory / "relay.log"
        with open(log, "wb") as stderr:
            self._process = subprocess.Popen(
                [stage.program("relay"), "--to", str(to), "--delay-ms", str(delay_ms),
                 *(["--nagle"] if nagle else []), "--port-file", port_file,
                 "--clock-file", self._clock_path],
                stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, env=clean_environment())
        deadline = time.monotonic() + START_LIMIT_S
        while not port_file.exists():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.close()
                raise Failure(f"the relay does not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.005)
        self.port = int(port_file.read_text())

    @property
    def pid(self):
        return self._process.pid

    def read(self):
        """The clock; its times are CLOCK_MONOTONIC."""
        return Clock(*_CLOCK.unpack(self._clock_path.read_bytes()))

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait(10)
