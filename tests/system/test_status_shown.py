"""`foxtrackrctl status` in words, and as a live view."""

import datetime
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import termios

import pytest

import fleet
from foxtrackrd import foxtrackrctl
from harness import FOXTRACKRCTL, PATIENCE, wait_until

DAY_MS = 24 * 3_600_000


# --- words, from a file that no daemon needs to live through ----------------------------------------


@pytest.fixture(name="written")
def fixture_written(broker, daemon):
    """A real status file of a daemon that has ended; a function changes and dates it, and returns
    what `foxtrackrctl status` makes of it."""
    daemon.start()
    status = daemon.status()
    daemon.stop()

    def say(change, *arguments, check=True):
        copy = json.loads(json.dumps(status))
        change(copy)
        copy["pid"], copy["updated_ms"] = os.getpid(), fleet.now_ms()
        daemon.status_path.write_text(json.dumps(copy))
        return foxtrackrctl(daemon, "status", *arguments, check=check).stdout

    say.daemon = daemon
    return say


def test_words_of_a_catch_up(written):
    """Goal: the bar is as long as the part that is done; an unknown end is said to be unknown."""
    def change(left_ms):
        def apply(status):
            status["catch_up"] = {"from_lag_ms": 2 * DAY_MS, "done": 0.5, "left_ms": left_ms}
        return apply

    assert "[###############...............] 50 % of 2 d 0 h, about 3 min 2 s left\n" \
        in written(change(182_000))
    assert "] 50 % of 2 d 0 h, time left unknown yet\n" in written(change(None))


def test_the_words_count_for_themselves(written):
    """Goal: a status file that is older than the database's content makes no second number."""
    def change(status):
        status["database"]["quarantine_entries"] = 45

    text = written(change)
    assert re.findall(r"(\d+) entr", text) == ["0"], text
    assert json.loads(written(change, "--json"))["database"]["quarantine_entries"] == 0


def test_a_disk_that_is_waited_for_is_left_alone(written):
    """Goal: status answers while the disk does not."""
    def change(status):
        status["state"] = "waiting for the disk"

    assert "not counted by reason: the daemon waits for the disk\n" in written(change, check=False)
    told = json.loads(written(change, "--json", check=False))
    assert told["database"]["quarantine_by_reason"] is None


def test_words_of_what_is_not_granted(written):
    """Goal: a filter that is refused, or granted below the asked QoS, is not shown like the others."""
    def change(granted):
        def apply(status):
            status["sessions"][0]["filters"][0]["granted_qos"] = granted
        return apply

    assert "  filter         foxtrackr/# (QoS 2)\n" in written(change(2))
    assert "  filter         foxtrackr/# (QoS 2 asked, 1 granted)\n" in written(change(1))
    assert "  filter         foxtrackr/# (QoS 2 asked, not granted)\n" in written(change(None))


def test_words_of_the_protocol(written):
    """Goal: with MQTT 5 the window that was asked for and the time that the broker keeps the session are
    told; a session that is not connected has no protocol."""
    def change(**agreed):
        def apply(status):
            status["sessions"][0].update(agreed)
        return apply

    assert ("  protocol       MQTT 5; window 1000 asked; the broker keeps the session for 7 d 0 h; "
            "keep alive 20 s\n") in written(change(
                protocol="5", receive_maximum=1000, session_expiry_ms=7 * DAY_MS, session_expiry_told=True, keepalive_s=20))
    # mosquitto says nothing in CONNACK, whatever its persistent_client_expiration is.
    assert ("  protocol       MQTT 5; window 1000 asked; session expiry 7 d 0 h asked, the broker tells no other; "
            "keep alive 20 s\n") in written(change(
                protocol="5", receive_maximum=1000, session_expiry_ms=7 * DAY_MS, session_expiry_told=False, keepalive_s=20))
    assert "  protocol  " not in written(change(protocol=None, keepalive_s=None))


def test_words_of_the_space(written):
    """Goal: days are a round number with "about"; what does not grow lasts."""
    def change(growth, days):
        def apply(status):
            status["database"].update(growth_bytes_per_day=growth, days_left=days)
        return apply

    assert "at 12.0 MiB a day they last for about 41 d\n" in written(change(12 * 1048576, 41.9))
    assert "they last for more than 10 years\n" in written(change(1.0, 1e7))
    assert "the database does not grow\n" in written(change(-5.0, None))


def test_words_of_an_expired_certificate(written):
    """Goal: a date that has passed is called that."""
    def apply(status):
        date = datetime.datetime(2021, 9, 30, tzinfo=datetime.timezone.utc)
        status["certificates"]["broker_expires_ms"] = int(date.timestamp() * 1000)

    assert "  broker         expired on 2021-09-30\n" in written(apply)


# --- the live view -------------------------------------------------------------------------------------


class Terminal:
    """`foxtrackrctl status --follow` on a terminal of its own."""

    def __init__(self, daemon, columns=250, rows=60):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.slave = slave
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            [FOXTRACKRCTL, "-c", daemon.config, "status", "--follow"], stdin=slave, stdout=slave,
            stderr=slave, start_new_session=True)
        self.shown = b""

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            self.shown += os.read(self.master, 65536)
        return self.shown

    def wait(self, text, after=0):
        """Wait for it on one line or more: a terminal breaks lines that a long path makes longer."""
        wait_until(lambda: text in re.sub(rb"\x1b\[K\r*\n", b"", self.read()[after:])
                   or text in self.shown[after:], 20,
                   lambda: f"{text} on the terminal; it shows {self.shown[-3000:]}")

    def type(self, keys):
        os.write(self.master, keys)

    def end(self):
        """The exit status; the terminal is as it was."""
        code = self.process.wait(20 * PATIENCE)
        self.read()
        assert self.shown.endswith(b"\x1b[?25h\x1b[?1049l"), "the screen is not given back"
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is not as it was"
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture(name="terminal")
def fixture_terminal(daemon):
    made = []

    def make(**options):
        made.append(Terminal(daemon, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_follow_on_a_terminal(broker, daemon, terminal):
    """Goal: the view is drawn anew as things change, and q gives the terminal back."""
    daemon.start()
    view = terminal()
    view.wait(b"q ends this view")
    view.wait(b"0 received")
    broker.publish("foxtrackr/f1/V3.0/bat", fleet.battery("f1", fleet.now_ms()))
    view.wait(b"1 received")
    # Without a daemon it goes on, says so, and finds the next one.
    at = len(view.shown)
    daemon.stop()
    view.wait(b"is foxtrackrd running?", at)
    at = len(view.shown)
    daemon.start()
    view.wait(str(daemon.process.pid).encode(), at)
    view.type(b"q")
    assert view.end() == 0
    daemon.stop()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_follow_ends_on_a_signal(daemon, terminal, end):
    """Goal: a signal restores the terminal too."""
    daemon.start()
    view = terminal()
    view.wait(b"Database")
    view.process.send_signal(end)
    assert view.end() == 0
    daemon.stop()


def test_follow_stops_and_goes_on(daemon, terminal):
    """Goal: ^Z gives the terminal back while it is stopped, and it draws again afterwards."""
    daemon.start()
    view = terminal()
    view.wait(b"Database")
    view.process.send_signal(signal.SIGTSTP)
    wait_until(lambda: pathlib.Path(f"/proc/{view.process.pid}/stat").read_text()
               .rpartition(")")[2].split()[0] == "T", what="the view to stop")
    assert view.read().endswith(b"\x1b[?25h\x1b[?1049l")
    assert termios.tcgetattr(view.slave) == view.before
    at = len(view.shown)
    view.process.send_signal(signal.SIGCONT)
    view.wait(b"Database", at)
    view.type(b"q")
    assert view.end() == 0
    daemon.stop()


def test_follow_fits_a_small_terminal(daemon, terminal):
    """Goal: nothing wraps and nothing scrolls: no line is wider than the terminal, no view higher."""
    daemon.start()
    view = terminal(columns=30, rows=6)
    view.wait(b"\x1b[J")
    view.type(b"q")
    view.end()
    for picture in view.shown.split(b"\x1b[H")[1:]:
        lines = re.split(rb"\r+\n", picture.split(b"\x1b[J")[0])
        assert len(lines) <= 6
        assert max(len(re.sub(rb"\x1b\[K", b"", line)) for line in lines) <= 30
    daemon.stop()


def follow(daemon, *arguments):
    return subprocess.Popen(
        [FOXTRACKRCTL, "-c", daemon.config, "status", "--follow", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_follow_without_a_terminal(daemon):
    """Goal: in a pipe each status is one plain line, as it comes; SIGINT ends it well."""
    daemon.start()
    process = follow(daemon)
    lines = [process.stdout.readline() for _ in range(2)]
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=20 * PATIENCE)
    assert process.returncode == 0 and errors == ""
    for line in lines + rest.splitlines(keepends=True):
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ subscribed.*\n", line)
    daemon.stop()


def test_follow_as_json(daemon):
    """Goal: --json --follow is one JSON document a line, with the members of the file."""
    daemon.start()
    process = follow(daemon, "--json")
    first, second = (json.loads(process.stdout.readline()) for _ in range(2))
    process.stdout.close()  # a reader that has seen enough
    assert process.wait(20 * PATIENCE) == 0
    process.stderr.close()
    assert first["updated_ms"] < second["updated_ms"]
    assert set(first) == set(daemon.status())
    daemon.stop()


def test_the_command_line_of_status(daemon):
    """Goal: options in any order, and nothing else."""
    daemon.start()
    assert foxtrackrctl(daemon, "status", "--jsom", check=False).returncode == 64
    process = follow(daemon, "--json")
    assert json.loads(process.stdout.readline())["format"] == 1
    process.terminate()
    process.communicate(timeout=20 * PATIENCE)
    daemon.stop()
