"""The status file and `foxtrackrctl status`, once and live."""

import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import sqlite3
import struct
import subprocess
import termios

import pytest

import fleet
import harness
from foxtrackrd import CLIENT_ID, foxtrackrctl
from harness import FOXTRACKRCTL, PATIENCE, query, run, wait_until

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PAGES = harness.ROOT / "daemon"


def ms(year, month, day, *rest):
    """A date as the status file has it."""
    date = datetime.datetime(year, month, day, *rest, tzinfo=datetime.timezone.utc)
    return int(date.timestamp() * 1000)


BROKER_EXPIRES_MS = ms(2049, 12, 31, 23, 59, 59)
"""See pki.VALID."""


# --- sessions, the database's content, certificates ----------------------------------------------


def test_sessions_and_certificates(broker, make_daemon, pki):
    """
    Goal: what the broker granted, whether it had kept the session, the last problem after it is
    over, and when each certificate expires, the broker's own from the session's handshake.
    """
    daemon = make_daemon(broker, session={"filters": "foxtrackr/+/V3.0/bat, foxtrackr/+/V3.0/temp"},
                         broker={"cert_file": pki.certificate("unknown"),
                                 "key_file": pki.key("unknown")})
    daemon.start()
    status = daemon.wait_status(lambda s: s["certificates"]["broker_expires_ms"])
    [session] = status["sessions"]
    assert session["filters"] == [
        {"filter": f"foxtrackr/+/V3.0/{kind}", "qos": 2, "granted_qos": 2}
        for kind in ("bat", "temp")]
    assert session["session_present"] is False
    assert (session["last_error"], session["last_error_ms"]) == ("", None)
    assert status["certificates"] == {
        "broker_expires_ms": BROKER_EXPIRES_MS, "ca_expires_ms": BROKER_EXPIRES_MS,
        "client_expires_ms": BROKER_EXPIRES_MS}

    broker.stop()
    before_ms = fleet.now_ms()
    lost = daemon.wait_status(lambda s: s["sessions"][0]["last_error"])["sessions"][0]
    assert lost["connected_since_ms"] is None and lost["session_present"] is None
    broker.start()
    again = daemon.wait_status(lambda s: s["sessions"][0]["state"] == "subscribed")["sessions"][0]
    assert again["session_present"] is True
    assert [f["granted_qos"] for f in again["filters"]] == [2, 2]
    assert again["last_error"] != "" and before_ms - 60000 < again["last_error_ms"]

    text = foxtrackrctl(daemon, "status").stdout
    for words in ("the broker had kept the session", "(QoS 2)", "last error", again["last_error"],
                  "broker         until 2049-12-31, ", "last CA        until 2049-12-31, ",
                  "client         until 2049-12-31, "):
        assert words in text, words
    daemon.stop()


def test_the_last_of_several_certificates_counts(broker, make_daemon, pki, tmp_path):
    """Goal: a CA file with an expired certificate and a good one lasts as long as the good one; a
    client certificate that does not exist is not spoken of."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(pki.certificate("ca").read_text() + pki.certificate("expired_ca").read_text())
    daemon = make_daemon(broker, broker={"ca_file": bundle})
    daemon.start()
    assert daemon.wait_status(lambda s: s["certificates"]["ca_expires_ms"])["certificates"] == {
        "broker_expires_ms": BROKER_EXPIRES_MS, "ca_expires_ms": BROKER_EXPIRES_MS,
        "client_expires_ms": None}
    assert "client  " not in foxtrackrctl(daemon, "status").stdout
    daemon.stop()


def test_without_tls_there_are_no_certificates(broker, make_daemon):
    """Goal: nothing is said of certificates where none is used."""
    daemon = make_daemon(broker, broker={"tls": "no", "port": broker.plain_port, "ca_file": None})
    daemon.start()
    assert set(daemon.status()["certificates"].values()) == {None}
    assert "Certificates" not in foxtrackrctl(daemon, "status").stdout
    daemon.stop()


def test_gaps_and_quarantine_of_all_runs(broker, daemon):
    """
    Goal: a lost session shows up as a gap with its times while the daemon runs, and a new process
    knows what the runs before it have left in `gaps` and in `quarantine`.
    """
    daemon.start()
    status = daemon.wait_status(lambda s: s["gaps"]["count"] is not None)
    assert status["gaps"] == {"count": 0, "last": None}
    broker.wipe()
    broker.start()
    status = daemon.wait_status(lambda s: s["gaps"]["count"] == 1, timeout=40)
    last = status["gaps"]["last"]
    assert (last["client_id"], last["reason"]) == (CLIENT_ID, "session lost")
    assert status["started_ms"] <= last["from_ms"] <= last["to_ms"] <= fleet.now_ms()
    daemon.wait_subscribed()
    broker.publish("foxtrackr/q1/V3.0/bat", b"{")
    broker.publish("foxtrackr/q1/V3.0/bat", b"}")
    daemon.wait_received(2)
    daemon.stop()

    daemon.start()
    status = daemon.wait_status(lambda s: s["gaps"]["count"] is not None)
    assert status["gaps"] == {"count": 1, "last": last}
    assert status["database"]["quarantine_entries"] == 2
    assert status["counts"]["quarantined"] == 0
    assert told_by_reason(daemon) == {
        **dict.fromkeys(status["quarantined_by_reason"], 0), "json": 2}
    text = foxtrackrctl(daemon, "status").stdout
    assert re.search(r"^  gaps           1; the last: id-test-01, session lost, from 20.* to 20",
                     text, re.MULTILINE)
    assert text.endswith("\nQuarantine of all runs: 2 entries\n  json           2\n")

    # A database that foxtrackrctl cannot read is said, and no fault of the daemon's.
    daemon.configure(database={"path": daemon.directory / "elsewhere.db"})
    assert told_by_reason(daemon) is None
    assert re.search(r"^Quarantine of all runs: 2 entries; not counted by reason: .*elsewhere\.db: ",
                     foxtrackrctl(daemon, "status").stdout, re.MULTILINE)
    daemon.stop()


def test_one_story_of_quarantine(broker, daemon):
    """
    Goal: the number of entries is of the same commit as the counts of the run, not of an earlier
    look at the table, and what others take out is noticed; the words give one number, and one entry
    is "1 entry".
    """
    daemon.start()
    daemon.wait_status(lambda s: s["gaps"]["count"] is not None)
    seen = []
    for number in range(1, 13):
        broker.publish("foxtrackr/q1/V3.0/bat", f"{{ {number}")
        status = daemon.wait_status(lambda s, n=number: s["counts"]["quarantined"] >= n)
        seen.append((status["database"]["quarantine_entries"], status["counts"]["quarantined"]))
        if number == 1:
            assert "\nQuarantine of all runs: 1 entry\n" in foxtrackrctl(daemon, "status").stdout
    assert all(entries == quarantined for entries, quarantined in seen), seen
    broker.publish("foxtrackr/q1/V3.0/bat", "{ 12")  # again: no other entry
    status = daemon.wait_status(lambda s: s["counts"]["quarantined"] == 13)
    assert status["database"]["quarantine_entries"] == 12
    text = foxtrackrctl(daemon, "status").stdout
    assert re.findall(r"(\d+) entr", text) == ["12"], text
    told = json.loads(foxtrackrctl(daemon, "status", "--json").stdout)["database"]
    assert told["quarantine_entries"] == sum(told["quarantine_by_reason"].values()) == 12

    with contextlib.closing(sqlite3.connect(daemon.database)) as connection, connection:
        connection.execute("DELETE FROM quarantine WHERE CAST(payload AS TEXT) <> '{ 1'")
    daemon.wait_status(lambda s: s["database"]["quarantine_entries"] == 1, timeout=30)
    daemon.stop()


def test_the_words_count_for_themselves(written):
    """Goal: a status file that is older than the database's content makes no second number."""
    def change(status):
        status["database"]["quarantine_entries"] = 45

    text = written(change)
    assert re.findall(r"(\d+) entr", text) == ["0"], text
    assert json.loads(written(change, "--json"))["database"]["quarantine_entries"] == 0


def test_texts_that_are_cut_within_a_character(make_broker, make_daemon):
    """
    Goal: buffers cut texts at a byte, and a path may hold any bytes: the status file is written all
    the same, and check tells every finding.
    """
    client_id = "id-x" + "é" * 90
    daemon = make_daemon(make_broker(), session={
        "given": None, "client_id": client_id}).start()
    daemon.stop()
    with contextlib.closing(sqlite3.connect(daemon.database)) as connection, connection:
        connection.execute("INSERT INTO gaps (client_id, last_durable_ms, resumed_ms, reason)"
                           " VALUES (?, 1, 2, 'session lost')", [client_id])
    daemon.start()
    last = daemon.wait_status(lambda s: s["gaps"]["count"] == 1)["gaps"]["last"]
    assert last["client_id"] == client_id[:len(last["client_id"])] and len(last["client_id"]) > 50
    assert "é" in json.loads(foxtrackrctl(daemon, "status", "--json").stdout)["gaps"]["last"][
        "client_id"]
    daemon.stop()

    # Not UTF-8 as a whole: 0xff begins no character.
    directory = os.fsencode(daemon.directory) + b"/\xff"
    os.mkdir(directory)
    config = os.fsdecode(directory) + "/foxtrackrd.conf"
    os.rename(daemon.config, config)
    done = run(FOXTRACKRCTL, "-c", config, "check", "--json", check=False)
    names = [one["check"] for one in json.loads(done.stdout)["checks"]]
    assert "configuration" in names, names


def told_by_reason(daemon):
    """The counts by reason, which the command itself makes and the status file has not."""
    told = json.loads(foxtrackrctl(daemon, "status", "--json").stdout)
    return told["database"]["quarantine_by_reason"]


def test_space_is_unknown_at_first(broker, daemon):
    """Goal: for how long the space lasts is not guessed before the growth was observed."""
    daemon.start()
    status = daemon.wait_status(lambda s: s["database"]["used_bytes"])
    database = status["database"]
    assert database["growth_bytes_per_day"] is None and database["days_left"] is None
    assert database["free_bytes"] > 0 and database["used_bytes"] > 4096
    assert "for how long is unknown yet" in foxtrackrctl(daemon, "status").stdout
    daemon.stop()


def test_a_status_file_that_cannot_be_written(broker, make_daemon, tmp_path):
    """Goal: the log says when the two files cannot be written, and when they can again."""
    directory = tmp_path / "run"
    directory.mkdir()
    daemon = make_daemon(broker, status={"file": directory / "status.json",
                                         "metrics_file": directory / "fox.prom"}).start()
    directory.rename(tmp_path / "gone")
    daemon.wait_log("warning: status.file .*going on without it")
    daemon.wait_log("warning: status.metrics_file .*going on without it")
    directory.mkdir()
    daemon.wait_log("status.file .*status.json: is written again")
    daemon.wait_log("status.metrics_file .*fox.prom: is written again")
    assert daemon.status()["state"] == "subscribed"


def test_the_interval_changes_with_a_reload(broker, make_daemon):
    """Goal: status.interval is live, as foxtrackrd.conf says."""
    daemon = make_daemon(broker, status={"interval": "1h"}).start()
    assert daemon.status()["interval_ms"] == HOUR_MS
    daemon.configure(status={"interval": "1s"})
    daemon.reload()
    first = daemon.wait_status(lambda s: s["interval_ms"] == 1000)["updated_ms"]
    daemon.wait_status(lambda s: s["updated_ms"] > first)
    daemon.stop()


def test_the_space_to_keep_changes_with_a_reload(broker, make_daemon, tmp_path):
    """Goal: what the alert about the disk compares with is the value that the daemon goes by."""
    path = tmp_path / "fox.prom"
    daemon = make_daemon(broker, database={"min_free_mb": 1}, status={"metrics_file": path}).start()

    def value():
        [number] = re.findall(r"^foxtrackrd_filesystem_min_free_bytes{.*} (.*)$", path.read_text(),
                              re.MULTILINE)
        return int(number)

    wait_until(lambda: value() == 1048576, what="the value of the start")
    daemon.configure(database={"min_free_mb": 2})
    daemon.reload()
    wait_until(lambda: value() == 2097152, what="the value of the reload")
    daemon.stop()


# --- every member, in a catch-up -------------------------------------------------------------------


def paths_of(value, path=""):
    """Every member by its path; members of a list count once."""
    if isinstance(value, dict):
        for name, inner in value.items():
            name = {"quarantined_by_reason": "REASON", "sessions[].lost": "CAUSE",
                    "database.expired_by_table": "TABLE",
                    "database.quarantine_by_reason": "REASON"}.get(path, name)
            here = f"{path}.{name}" if path else name
            if not isinstance(inner, (dict, list)):
                yield here
            elif here in ("catch_up", "gaps.last", "database.log_reader", "database.restored",
                          "database.quarantine_by_reason", "sessions_unused"):
                yield here
            yield from paths_of(inner, here)
    elif isinstance(value, list):
        for inner in value:
            yield from paths_of(inner, path + "[]")


def documented_members():
    text = (PAGES / "foxtrackrctl.8").read_text()
    section = text.split(".Sh STATUS FILE\n")[1].split(".Sh ")[0]
    return re.findall(r"^\.It Li (\S+) Pq \S.*\n\w", section, re.MULTILINE)


def test_a_catch_up_and_every_member(broker, daemon):
    """
    Goal: while old readings come, the status says how far it is and about how long it takes, from
    the times of the readings; and foxtrackrctl(8) documents every member that there is, and no other.
    """
    daemon.start()
    broker.wipe()
    broker.start()
    daemon.wait_status(lambda s: s["gaps"]["count"] == 1, timeout=40)
    daemon.wait_subscribed()
    begun_ms = fleet.now_ms() - 100 * DAY_MS
    reading_ms = begun_ms
    seen = []

    def publish_and_look():
        nonlocal reading_ms
        reading_ms += HOUR_MS // 2
        broker.publish("foxtrackr/c1/V3.0/bat", fleet.battery("c1", reading_ms))
        status = daemon.status()
        if status.get("catch_up"):
            seen.append(status)
        return seen and seen[-1]["catch_up"]["left_ms"] is not None

    wait_until(publish_and_look, 60, "an estimate of the time left")
    status = seen[-1]
    assert status["state"] == "catching up" and status["catching_up"] is True
    assert seen[0]["catch_up"]["left_ms"] is None, "too early for an estimate"
    assert 0 < status["catch_up"]["done"] < 0.9
    assert 99 * DAY_MS < status["catch_up"]["from_lag_ms"] <= 101 * DAY_MS
    assert 0 < status["catch_up"]["left_ms"] < DAY_MS
    assert re.search(r"; \d+ %, about .* left", status["text"])
    assert status["rate_1min_per_s"] > 0

    status["database"]["quarantine_by_reason"] = told_by_reason(daemon)
    assert status["database"]["log_reader"] is None  # test_readers.py has one
    status["database"]["log_reader"] = {"pid": 1, "name": "sqlite3", "for_ms": 1}
    assert status["database"]["restored"] is None  # test_restore.py has one
    status["database"]["restored"] = {"what": "backup", "at_ms": 2, "from_ms": 1}
    assert "sessions_unused" not in status  # `status --json` adds it: test_session.py has one
    status["sessions_unused"] = [{"client_id": "id-old-01", "broker": "localhost:8883", "used_ms": 1}]
    documented = documented_members()
    assert len(documented) == len(set(documented))
    assert set(documented) == set(paths_of(status)), "foxtrackrctl(8), STATUS FILE"
    # Silence ends it.
    daemon.wait_status(lambda s: not s["catching_up"], timeout=30)
    assert daemon.status()["catch_up"] is None
    daemon.stop()


def test_an_old_reading_in_a_healthy_flow(broker, daemon):
    """Goal: a tracker that sends what it has kept for days makes no catch-up of a fleet that is up to
    date, and the lag stays that of the newest readings."""
    daemon.start()
    seen = []
    for number in range(12):
        for device in ("h1", "h2"):
            broker.publish(f"foxtrackr/{device}/V3.0/bat", fleet.battery(device, fleet.now_ms()))
        # The last batch before each look is of old readings alone.
        for kept in range(3):
            broker.publish("foxtrackr/old/V3.0/bat",
                           fleet.battery("old", fleet.now_ms() - 3 * DAY_MS + kept))
        seen.append(daemon.wait_status(
            lambda s, n=number: s["counts"]["received"] == 5 * (n + 1)))
    assert max(status["rate_per_s"] for status in seen) >= 1, "too slow to look like a catch-up"
    assert {status["state"] for status in seen} == {"subscribed"}
    assert max(status["lag_ms"] for status in seen) < HOUR_MS
    daemon.stop()


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
        status["certificates"]["broker_expires_ms"] = ms(2021, 9, 30)

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


# --- most of the messages are not understood -------------------------------------------------------


def test_most_in_quarantine_is_not_well(broker, make_daemon, tmp_path):
    """
    Goal: a daemon that is subscribed and understands less than half of what comes is not well: state,
    exit status, the log once, a metric, with the main reason and the command to look at the messages.
    """
    metrics = tmp_path / "foxtrackrd.prom"
    daemon = make_daemon(broker, status={"metrics_file": metrics}).start()
    for _ in range(19):
        broker.publish("foxtrackr/q/V3.0/bat", "{broken")
    daemon.wait_status(lambda s: s["counts"]["quarantined"] == 19)
    assert foxtrackrctl(daemon, "status").returncode == 0, "too few to say anything"
    broker.publish("foxtrackr/q/V2.0/bat", "{}")
    daemon.wait_notified("most in quarantine: 20 of the latest 20 messages, reason json")
    daemon.wait_status(lambda s: s["state"] == "most in quarantine")
    done = foxtrackrctl(daemon, "status", check=False)
    assert done.returncode == 1
    assert "20 of the latest 20 messages, reason json; look at them: sqlite3" in done.stdout
    look = re.search(r'sqlite3 -readonly (\S+) "(.*)"; when', done.stdout)
    assert look[1] == str(daemon.database)
    rows = query(daemon.database, look[2])
    assert len(rows) == 1 and rows[0][1:] == ("foxtrackr/q/V3.0/bat", b"{broken"), rows
    assert "foxtrackrd_quarantined_ratio" in metrics.read_text()

    for number in range(21):
        broker.publish("foxtrackr/q/V3.0/bat", fleet.battery("q", fleet.now_ms() + number))
    daemon.wait_status(lambda s: s["state"] == "subscribed" and not s["latest"]["most"])
    assert foxtrackrctl(daemon, "status").returncode == 0
    daemon.stop()
    said = [line for line in daemon.log().splitlines() if "of the latest" in line]
    assert len(said) == 2 and said[0].startswith("err: 20 of the latest 20 messages"), said
    assert said[1] == "notice: at least half of the latest messages are understood again"
