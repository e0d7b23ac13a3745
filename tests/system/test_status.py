"""The status file: what it says of sessions, the database, certificates, a catch-up and quarantine."""

import datetime
import json
import os
import re

import pytest

import fleet
import harness
from foxtrackrd import CLIENT_ID, foxtrackrctl
from harness import FOXTRACKRCTL, change, query, run, wait_until

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PAGES = harness.ROOT / "daemon"
BROKER_EXPIRES_MS = int(datetime.datetime(
    2049, 12, 31, 23, 59, 59, tzinfo=datetime.timezone.utc).timestamp() * 1000)
"""See pki.VALID."""


# --- sessions, the database's content, certificates ----------------------------------------------


def test_sessions_and_certificates(broker, make_daemon, pki, protocol):
    """
    Goal: what the broker granted, whether it had kept the session, the last problem after it is
    over, and when each certificate expires, the broker's own from the session's handshake.
    """
    daemon = make_daemon(broker, session={"filters": "foxtrackr/+/V3.0/bat, foxtrackr/+/V3.0/temp"},
                         broker={"cert_file": pki.certificate("unknown"),
                                 "key_file": pki.key("unknown"), "protocol": protocol})
    daemon.start()
    status = daemon.wait_status(lambda s: s["certificates"]["broker_expires_ms"])
    [session] = status["sessions"]
    assert session["filters"] == [
        {"filter": f"foxtrackr/+/V3.0/{kind}", "qos": 2, "granted_qos": 2}
        for kind in ("bat", "temp")]
    assert session["session_present"] is False
    agreed = ("protocol", "receive_maximum", "session_expiry_ms", "session_expiry_told", "keepalive_s")
    asked = {"3.1.1": [None, None, None], "5": [1000, 7 * 86_400_000, False]}[protocol]
    assert [session[member] for member in agreed] == [protocol, *asked, 60]
    assert (session["last_error"], session["last_error_ms"]) == ("", None)
    assert status["certificates"] == {
        "broker_expires_ms": BROKER_EXPIRES_MS, "ca_expires_ms": BROKER_EXPIRES_MS,
        "client_expires_ms": BROKER_EXPIRES_MS}

    broker.stop()
    before_ms = fleet.now_ms()
    lost = daemon.wait_status(lambda s: s["sessions"][0]["last_error"])["sessions"][0]
    assert lost["connected_since_ms"] is None and lost["session_present"] is None
    assert [lost[member] for member in agreed] == [None] * 5
    broker.start()
    again = daemon.wait_status(lambda s: s["sessions"][0]["state"] == "subscribed")["sessions"][0]
    assert again["session_present"] is True
    assert [f["granted_qos"] for f in again["filters"]] == [2, 2]
    assert again["last_error"] != "" and before_ms - 60000 < again["last_error_ms"]

    text = foxtrackrctl(daemon, "status").stdout
    for words in ("the broker had kept the session", "(QoS 2)",
                  f"  protocol       MQTT {protocol}; ", "last error", again["last_error"],
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


@pytest.mark.long
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

    change(daemon.database, "DELETE FROM quarantine WHERE payload <> ?", b"{ 1")
    daemon.wait_status(lambda s: s["database"]["quarantine_entries"] == 1, timeout=30)
    daemon.stop()


def test_texts_that_are_cut_within_a_character(make_broker, make_daemon):
    """
    Goal: buffers cut texts at a byte, and a path may hold any bytes: the status file is written all
    the same, and check tells every finding.
    """
    client_id = "id-x" + "é" * 90
    daemon = make_daemon(make_broker(), session={
        "given": None, "client_id": client_id}).start()
    daemon.stop()
    change(daemon.database, "INSERT INTO gaps (client_id, last_durable_ms, resumed_ms, reason)"
           " VALUES (?, 1, 2, 'session lost')", client_id)
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


def test_a_reader_has_no_configuration(broker, daemon):
    """Goal: who may read the status file and the database sees the same status without the configuration."""
    daemon.start()
    broker.publish("foxtrackr/1/V3.0/bat", b"no json")
    daemon.wait_status(lambda now: now["database"]["quarantine_entries"] == 1)
    file = daemon.directory / "status.json"

    def same(*options):
        """The status may change between the two: then it is asked again."""
        texts = [re.sub(r'"[a-z_]+_(ms|us|s|bytes)": [0-9.]+|[\d.]+ ?(s|ms|MiB)\b|As of .*|[0-9.]+', "", done.stdout)
                 for done in (foxtrackrctl(daemon, "status", *options), run(FOXTRACKRCTL, "status", *options, file))]
        return texts[0] == texts[1] and "json" in texts[1]

    wait_until(lambda: same("--json"), what="the same status as JSON")
    wait_until(same, what="the same status in words")
    done = run(FOXTRACKRCTL, "status", daemon.directory / "none.json", check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "No such file" in done.stderr
    daemon.stop()
    assert run(FOXTRACKRCTL, "status", file, check=False).returncode == 1


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
            elif here in ("catch_up", "gaps.last", "devices", "database.log_reader", "database.restored",
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


@pytest.mark.long
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


@pytest.mark.long
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
