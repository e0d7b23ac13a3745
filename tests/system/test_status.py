"""The status file, `foxtrackrctl status`, the metrics, and what is shipped to watch them."""

import datetime
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import stat
import struct
import subprocess
import termios
import time

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

import fleet
import harness
from foxtrackrd import CLIENT_ID, foxtrackrctl
from harness import FOXTRACKRCTL, PATIENCE, run, wait_until

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PAGES = harness.ROOT / "daemon"
RULES = harness.ROOT / "packaging" / "prometheus" / "foxtrackrd.rules.yml"
DASHBOARD = harness.ROOT / "packaging" / "grafana" / "foxtrackrd.json"


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
    daemon = make_daemon(broker, session={"filters": "foxtrackr/+/V3.0/bat foxtrackr/+/V3.0/temp"},
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
    assert re.search(r"^  quarantine     2 entries$", text, re.MULTILINE)
    assert text.endswith("\nQuarantine of all runs: 2 entries\n  json           2\n")

    # A database that foxtrackrctl cannot read is said, and no fault of the daemon's.
    daemon.configure(database={"path": daemon.directory / "elsewhere.db"})
    assert told_by_reason(daemon) is None
    assert re.search(r"^Quarantine of all runs: not counted by reason: .*elsewhere\.db: ",
                     foxtrackrctl(daemon, "status").stdout, re.MULTILINE)
    daemon.stop()


def told_by_reason(daemon):
    """What only the command tells, because it counts it."""
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
            name = {"quarantined_by_reason": "REASON",
                    "database.expired_by_table": "TABLE",
                    "database.quarantine_by_reason": "REASON"}.get(path, name)
            here = f"{path}.{name}" if path else name
            if not isinstance(inner, (dict, list)):
                yield here
            elif here in ("catch_up", "gaps.last", "database.quarantine_by_reason"):
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
    documented = documented_members()
    assert len(documented) == len(set(documented))
    assert set(documented) == set(paths_of(status)), "foxtrackrctl(8), STATUS FILE"
    # Silence ends it.
    daemon.wait_status(lambda s: not s["catching_up"], timeout=30)
    assert daemon.status()["catch_up"] is None
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


# --- metrics -------------------------------------------------------------------------------------------


def families_of(path):
    """What a real parser of Prometheus's format makes of the file."""
    return {f.name: f for f in text_string_to_metric_families(path.read_text())}


def check_conventions(text):
    """What the parser lets pass: each family is announced once, before its values; units and
    suffixes as Prometheus wants them."""
    announced = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    names = [name for name, _ in announced]
    assert len(names) == len(set(names)), "a family is announced twice"
    assert re.findall(r"^# HELP (\S+) [A-Z].*\.$", text, re.MULTILINE) == names
    current = None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            current = line.split()[2]
        elif not line.startswith("#"):
            name = re.match(r"[a-z_]+[a-z0-9_]*", line)[0]
            assert name in (current, f"{current}_sum", f"{current}_count"), line
    for name, kind in announced:
        assert name.startswith("foxtrackrd_")
        assert (kind == "counter") == name.endswith("_total"), name
        assert not re.search(r"_(ms|us|milliseconds|kb|mb|percent|pct|days)(_|$)", name), name
    samples = samples_of(text)
    assert len(samples) == len(set(samples)), "a sample is there twice"


def documented_metrics():
    text = (PAGES / "foxtrackrd.8").read_text()
    section = text.split(".Sh METRICS\n")[1].split(".Sh ")[0]
    return set(re.findall(r"^\.It Li (foxtrackrd_\w+)$", section, re.MULTILINE))


CONDITIONAL = {"foxtrackrd_catch_up_done_ratio", "foxtrackrd_catch_up_left_seconds",
               "foxtrackrd_last_gap_timestamp_seconds"}
"""Metrics that a daemon without a catch-up and without a gap does not have."""


DATABASE_NAME = 'the "north\\new" fleet.db'


def samples_of(text):
    """Every sample by its name and labels, as they are written."""
    return re.findall(r"^([a-z0-9_]+(?:\{.*\})?) ", text, re.MULTILINE)


@pytest.fixture(name="metrics")
def fixture_metrics(broker, make_daemon, tmp_path):
    """The metrics file of a daemon that has seen messages, garbage and a restart of the broker, and
    whose names have every character that a label must escape."""
    path = tmp_path / "fox.prom"
    daemon = make_daemon(broker, session={"given": None, "client_id": 'id-a"b\\nc',
                                          "filters": 'foxtrackr/# other/"x\\ny"/+'},
                         database={"path": tmp_path / DATABASE_NAME}, status={"metrics_file": path})
    daemon.start()
    manifest = fleet.play(broker, messages=50, garbage=15)
    daemon.wait_received(manifest.messages)
    broker.restart()
    daemon.wait_status(lambda s: s["sessions"][0]["connects"] == 2
                       and s["sessions"][0]["state"] == "subscribed" and not s["catching_up"])
    # The next file after that one: it has everything.
    before = path.stat().st_mtime_ns
    wait_until(lambda: path.stat().st_mtime_ns > before, what="a new metrics file")
    copy = tmp_path / "copy.prom"
    shutil.copy(path, copy)
    mode = stat.S_IMODE(path.stat().st_mode)
    daemon.stop()
    assert not path.exists(), "metrics of a daemon that was stopped"
    return copy, mode


def test_metrics(metrics):
    """Goal: the file is what a Prometheus parser and its conventions expect, foxtrackrd(8) documents
    exactly the metrics that there are, and the numbers are right."""
    path, mode = metrics
    assert mode == 0o644, "the node exporter is another user"
    text = path.read_text()
    check_conventions(text)
    families = families_of(path)
    real = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    assert CONDITIONAL & real == set()
    assert documented_metrics() == real | CONDITIONAL

    def number(name, **labels):
        labels["database"] = str(path.parent / DATABASE_NAME)
        [sample] = [s for f in families.values() for s in f.samples
                    if s.name == f"foxtrackrd_{name}" and s.labels == labels]
        return sample.value

    me = {"client_id": 'id-a"b\\nc'}
    assert number("session_subscribed", **me) == 1
    assert number("session_connects_total", **me) == 2
    assert number("filter_granted_qos", filter='other/"x\\ny"/+', **me) == 2
    assert number("messages_total", outcome="stored") == 50
    assert number("messages_total", outcome="quarantined") == 15
    assert number("quarantined_messages_total", reason="topic") == 2
    assert number("certificate_expiry_timestamp_seconds", certificate="broker") \
        == BROKER_EXPIRES_MS / 1000
    assert 0 <= number("thread_age_seconds", thread="writer") < 60
    assert abs(number("status_timestamp_seconds") - time.time()) < 600
    assert number("commit_duration_seconds_count") > 0
    assert number("gaps") == 0 and number("database_up") == 1


def test_two_daemons_in_one_directory(broker, make_daemon, tmp_path):
    """
    Goal: the node exporter gives nothing at all when two files have a sample in common. Those of two
    daemons have none, and a daemon's samples are the same series after it was started again.
    """
    daemons = [make_daemon(broker, session={"number": f"0{number}"},
                           status={"metrics_file": tmp_path / f"{number}.prom"})
               for number in (1, 2)]

    def samples():
        """Of each daemon; None until both have a file with everything in it."""
        texts = [path.read_text() for path in sorted(tmp_path.glob("*.prom"))]
        whole = [re.search(r"_session_subscribed{.*} 1\n", text) and "_gaps{" in text
                 and 'certificate="broker"' in text for text in texts]
        return [set(samples_of(text)) for text in texts] if whole == [True, True] else None

    for daemon in daemons:
        daemon.start()
    one, other = wait_until(samples, what="two whole metrics files")
    assert len(one) > 50 and one & other == set()
    for daemon in daemons:
        daemon.stop()
        daemon.start()
    wait_until(lambda: samples() == [one, other], what="the same samples as before")
    for daemon in daemons:
        daemon.stop()


def test_metrics_pass_promtool(metrics):
    """Goal: Prometheus's own tool has nothing to say, of the metrics and of the rules."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian's package prometheus) is not installed")
    done = run(promtool, "check", "metrics", input=metrics[0].read_text())
    assert done.stdout + done.stderr == ""
    run(promtool, "check", "rules", RULES)


def metrics_named_in(text):
    return set(re.findall(r"foxtrackrd_[a-z0-9_]+", text))


def check_names(named, real):
    """Every name is a family, or the sum or the count of one."""
    known = real | CONDITIONAL | {f"{name}_{part}" for name in real for part in ("sum", "count")}
    assert named - known == set()


def check_aggregation(expression):
    """Daemons that share a node exporter are told apart wherever machines are."""
    for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        names = labels.split(", ")
        assert ("instance" in names) == ("database" in names), expression


def test_rules_and_dashboard_name_real_metrics(metrics):
    """Goal: no alert and no panel waits for a metric that does not exist, and each alert says what
    it is about."""
    real = set(re.findall(r"^# TYPE (\S+) ", metrics[0].read_text(), re.MULTILINE))
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"]
             for rule in group["rules"]]
    assert len(rules) >= 10 and len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        named = metrics_named_in(rule["expr"])
        assert named, rule["alert"]
        check_names(named, real)
        check_aggregation(rule["expr"])
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]

    dashboard = json.loads(DASHBOARD.read_text())
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert {"instance", "database"} <= variables
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        for target in panel["targets"]:
            named = metrics_named_in(target["expr"])
            assert named, panel["title"]
            check_names(named, real)
            check_aggregation(target["expr"])
            for selector in re.findall(r"foxtrackrd_\w+(\S*)", target["expr"]):
                assert 'instance=~"$instance",database=~"$database"' in selector, panel["title"]


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
        wait_until(lambda: text in self.read()[after:], 20,
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
