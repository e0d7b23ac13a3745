"""foxtrackrctl, the operator's tool."""

import json
import os
import re

import engines
import fleet
from foxtrackrd import CLIENT_ID, foxtrackrctl
from harness import FOXTRACKRCTL, change_many, run, wait_until


def test_status(broker, daemon):
    """Goal: the state of a running daemon for people and for programs; a daemon that is not there
    is an error."""
    daemon.start()
    manifest = fleet.play(broker, messages=50, garbage=15)
    daemon.wait_received(manifest.messages)
    daemon.wait_status(lambda s: s["counts"]["received"] == manifest.messages)

    status = json.loads(foxtrackrctl(daemon, "status", "--json").stdout)
    assert status["counts"] == {"received": 65, "stored": 50, "duplicate": 0, "quarantined": 15}
    assert status["quarantined_by_reason"]["topic"] == 2
    assert status["pending"] == 0
    assert status["sessions"][0]["state"] == "subscribed"
    text = foxtrackrctl(daemon, "status").stdout
    for word in (CLIENT_ID, "subscribed", "foxtrackr/#", "65 received", engines.shown(daemon.database)):
        assert word in text
    assert foxtrackrctl(daemon, "status").stderr == ""

    daemon.stop()
    done = foxtrackrctl(daemon, "status", check=False)
    assert done.returncode == 1
    assert "running" in done.stderr


def test_status_tells_what_limits_the_rate(broker, daemon):
    """Goal: how full the window was, how large batches are, how long a commit takes; nothing in
    flight when all is done."""
    daemon.start()
    daemon.stop()
    now = fleet.now_ms()
    for number in range(50):
        broker.publish(f"foxtrackr/{number}/V3.0/bat", fleet.battery(str(number), now))
    daemon.start()
    daemon.wait_rows(50)
    status = daemon.wait_status(
        lambda s: s["counts"]["received"] == 50 and s["sessions"][0]["in_flight"] == 0)
    assert 2 <= status["sessions"][0]["in_flight_peak"] <= 50
    database = status["database"]
    assert database["commits"] > 0 and database["commits_us"] >= database["last_commit_us"] > 0

    said = foxtrackrctl(daemon, "status").stdout
    assert f"0, at most {status['sessions'][0]['in_flight_peak']} in the last seconds" in said
    assert f"{database['commits']}, {50 / database['commits']:.1f} messages and" in said


def test_status_of_a_killed_daemon(daemon):
    """Goal: a status file that a killed daemon left behind is not taken for a running daemon."""
    daemon.start()
    daemon.kill()

    done = foxtrackrctl(daemon, "status", check=False)
    assert done.returncode == 1
    assert "gone" in done.stderr
    done = foxtrackrctl(daemon, "status", "--json", check=False)
    assert done.returncode == 1


def test_status_without_a_broker(make_broker, make_daemon):
    """Goal: trouble is an exit status, and the reason is said."""
    daemon = make_daemon(make_broker(start=False)).start(wait=None)
    daemon.wait_notified("refused")
    done = wait_until(lambda: [d for d in [foxtrackrctl(daemon, "status", check=False)]
                               if "refused" in d.stdout], what="the reason in the status")[0]
    assert done.returncode == 1
    daemon.stop()


def test_check(broker, daemon, pki):
    """Goal: `check` looks at everything that is needed without a daemon, and without changing it."""
    before = daemon.database.exists()
    text = foxtrackrctl(daemon, "check").stdout
    assert "BAD" not in text and not before and not daemon.database.exists()

    daemon.start()
    daemon.stop()
    report = json.loads(foxtrackrctl(daemon, "check", "--json").stdout)
    assert report["good"] is True
    assert {"configuration", "CA", "database", "disk"} <= {c["check"] for c in report["checks"]}

    daemon.configure(broker={"ca_file": pki.certificate("expired_ca")})
    done = foxtrackrctl(daemon, "check", check=False)
    assert done.returncode == 1
    [line] = [line for line in done.stdout.splitlines() if "BAD" in line]
    assert "expired" in line

    daemon.configure(session={"given": None})
    done = foxtrackrctl(daemon, "check", check=False)
    assert done.returncode == 78
    assert "given" in done.stderr


def test_check_says_what_the_daemon_would_do(daemon, broker):
    """Goal: broker, protocol, client ids and filters are shown as the broker would get them."""
    daemon.configure(session={"filters": "foxtrackr/#, other/+/V3.0/bat", "qos": 1})
    text = foxtrackrctl(daemon, "check").stdout
    [line] = [line for line in text.splitlines() if line.startswith("settings ")]
    assert re.match(rf"settings +good +localhost:\d+, MQTT (5 or )?3.1.1 with TLS, as user \w", line)
    [line] = [line for line in text.splitlines() if line.startswith("session ")]
    assert re.match(rf"session +good +client id {CLIENT_ID}, QoS 1, "
                    r"filters foxtrackr/#, other/\+/V3.0/bat$", line)
    daemon.configure(session={"filters": "foxtrackr/#"})
    assert ", filter foxtrackr/#\n" in foxtrackrctl(daemon, "check").stdout


def test_check_finds_limits_of_nobody(broker, daemon):
    """Goal: a limit for a group or a device that is misspelt is told, since it never applies."""
    daemon.start()
    broker.publish("foxtrackr/herd/V3.0/bat", fleet.battery("1BBCE", fleet.now_ms()))
    broker.publish("foxtrackr/2AAAA/V3.0/bat", fleet.battery("2AAAA", fleet.now_ms()))
    daemon.wait_rows(2)
    change_many(daemon.database, "INSERT INTO limits (group_name, device_id, celsius_max) VALUES (?, ?, 8)", [
        (None, None), ("herd", None), (None, "1BBCE"), ("herd", "1BBCE"), ("hred", None), (None, "1bbce"),
        ("herd", "2AAAA")])
    found = json.loads(foxtrackrctl(daemon, "check", "--json").stdout)["checks"]
    assert [one["detail"] for one in found if one["check"] == "limits" and one["warning"]] == [
        "limit_id 5: no device is in the group hred, so it never applies",
        "limit_id 6: there is no device 1bbce, so it never applies",
        "limit_id 7: the device 2AAAA is not in the group herd, so it never applies"]
    daemon.stop()


def test_check_doubts(daemon):
    """Goal: what works and may be meant otherwise is a warning, and neither good nor BAD."""
    daemon.configure(session={"given": "id-test", "filters": "/foxtrackr/#"})
    done = foxtrackrctl(daemon, "check")
    warned = [line for line in done.stdout.splitlines() if re.match(r"\S+ +warn ", line)]
    assert len(warned) == 2 and "id-id-test-01" in warned[0] and "/foxtrackr/#" in warned[1]
    report = json.loads(foxtrackrctl(daemon, "check", "--json").stdout)
    assert report["good"] is True
    assert [c["detail"] for c in report["checks"] if c["warning"]] == [
        line.split("warn  ")[1] for line in warned]


def test_check_of_a_password_in_clear(daemon):
    """Goal: a password that others may see is not called good: in the configuration, on the wire, in a
    file that everybody reads; and it is not shown."""
    def password_lines(**arguments):
        done = foxtrackrctl(daemon, "check", check=False, **arguments)
        assert "in-clear-here" not in done.stdout + done.stderr
        return [line for line in done.stdout.splitlines() if line.startswith("password")]

    assert password_lines() == []
    daemon.configure(broker={"password_file": None, "password": "in-clear-here"})
    daemon.config.chmod(0o600)
    [line] = password_lines()
    assert re.match(r"password +warn +stands in clear in .*: use broker.password_file$", line)
    daemon.configure(broker={"tls": "no", "ca_file": None})
    assert [re.match(r"password +warn +(\w+ in clear)", line).group(1) for line in password_lines()] == [
        "travels in clear", "stands in clear"]


def test_check_looks_at_every_certificate_of_cert_file(daemon, pki):
    """
    Goal: what expired is named with its date wherever it stands in the file, and so is what did not;
    a damaged one is not the end of the file.
    """
    def certificates():
        report = json.loads(foxtrackrctl(daemon, "check", "--json", check=False).stdout)
        return [(c["good"], c["detail"]) for c in report["checks"] if c["check"] == "certificate"]

    pki.chain("with_expired", "unknown", "expired_ca", "other_ca")
    path = pki.certificate("with_expired")
    daemon.configure(broker={"cert_file": path, "key_file": pki.key("with_expired")})
    found = certificates()
    assert [good for good, _ in found] == [True, False, True]
    assert '"localhost" expires on 2049-12-31, in ' in found[0][1]
    assert f'{path}: "Expired Test CA" expired on 2021-09-30' in found[1][1]
    assert '"Another CA" expires on 2049-12-31, in ' in found[2][1]

    whole = path.read_text()
    path.write_text(whole[:whole.rindex("-----END")])
    found = certificates()
    assert [good for good, _ in found] == [True, False, False]
    assert f"cert_file {path}: certificate 3 of it is damaged" in found[2][1]

    # The client's own certificate is told once.
    pki.chain("only_expired", "expired")
    daemon.configure(broker={"cert_file": pki.certificate("only_expired"),
                             "key_file": pki.key("only_expired")})
    [(good, detail)] = certificates()
    assert not good and '"localhost" expired on 2021-09-30' in detail


def test_check_beside_a_running_daemon(daemon):
    """Goal: checking does not disturb the daemon, nor is it disturbed."""
    daemon.start()
    report = json.loads(foxtrackrctl(daemon, "check", "--json").stdout)
    assert report["good"] is True
    assert daemon.process.poll() is None
    daemon.stop()


def test_check_finds_a_foreign_database(daemon):
    """Goal: a database that the daemon would refuse is BAD here too, and stays as it is."""
    daemon.database.write_text("Dear diary")
    done = foxtrackrctl(daemon, "check", check=False)
    assert done.returncode == 1
    assert any("BAD" in line and "database" in line for line in done.stdout.splitlines())
    assert daemon.database.read_text() == "Dear diary"


def test_parse(daemon, tmp_path):
    """Goal: what the daemon would make of a message, with this configuration, from a file or a pipe."""
    now = fleet.now_ms()
    body = fleet.battery("p1", now, 3.5, rssi=-70)
    rows = json.loads(foxtrackrctl(
        daemon, "parse", "foxtrackr/p1/V3.0/bat", input=body).stdout)
    assert rows["battery"]["voltage_v"] == 3.5
    assert rows["battery"]["extra"] == {"rssi": -70}

    file = tmp_path / "message.json"
    file.write_text('{"messageType":1,"deviceId":"p1","version":3,"timeMs":%d,"battery":{"q":7}}'
                    % now)
    daemon.configure(fields={"battery.level_pct": "battery.q * 10"})
    rows = json.loads(foxtrackrctl(daemon, "parse", "foxtrackr/depot/V3.0/bat", file).stdout)
    assert rows["battery"]["level_pct"] == 70
    assert "depot" in json.dumps(rows)


def test_parse_says_why_not(daemon, tmp_path):
    """Goal: exit status 1 and the reason by the name that quarantine has for it."""
    for topic, body, reason in (
            ("foxtrackr/p1/V3.0", "{}", "topic"), ("foxtrackr/p1/V2.0/bat", "{}", "version"),
            ("foxtrackr/p1/V3.0/bat", "{", "json"), ("foxtrackr/p1/V3.0/bat", "{}", "envelope"),
            ("foxtrackr/p1/V3.0/bat", "", "empty"),
            ("foxtrackr/p1/V3.0/bat", "x" * 300000, "oversize")):
        done = foxtrackrctl(daemon, "parse", topic, input=body, check=False)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.startswith(f"{reason}: ")

    def detail(topic, body):
        return foxtrackrctl(daemon, "parse", topic, input=body, check=False).stderr

    assert "found 5 levels: leave out the / in front" in detail("/foxtrackr/p1/V3.0/bat", "{}")
    assert '"}"' in detail("foxtrackr/p1/V3.0/bat", '{"a": }\n')
    body = '{"messageType":1,"deviceId":"p1","version":3,"timeMs":1764424800000,"temperature":7}'
    assert "found nothing" not in detail("foxtrackr/p1/V3.0/temp", body)
    assert "$.battery: expected an object or a number (the topic says type bat), found nothing" in (
        detail("foxtrackr/p1/V3.0/bat", body))
    body = '{"messageType":1,"deviceId":"p1","version":3,"timeMs":1764424800,"battery":{"level":7}}'
    assert "1764424800 (1970-01-21T10:07:04.800Z) is before 2010-01-01T00:00:00.000Z: seconds, not" in (
        detail("foxtrackr/p1/V3.0/bat", body))

    done = foxtrackrctl(daemon, "parse", "foxtrackr/p1/V3.0/bat", tmp_path / "none", check=False)
    assert done.returncode not in (0, 1)
    assert "none" in done.stderr


def test_parse_without_a_configuration(tmp_path):
    """Goal: `parse` works on a machine without a configuration, with the built-in names."""
    done = run(FOXTRACKRCTL, "parse", "foxtrackr/p1/V3.0/bat",
               input=fleet.battery("p1", fleet.now_ms(), 3.25), cwd=tmp_path)
    assert json.loads(done.stdout)["battery"]["voltage_v"] == 3.25


FORGED = "\x1b]0;forged\x07\x1b[2J \x7f \x9b31m \u202e"


def test_nothing_from_outside_reaches_the_terminal(broker, daemon):
    """
    Goal: control characters of a forged status file, a message or a file's name are shown and not
    obeyed: DEL, C1 and changes of direction among them.
    """
    daemon.start()
    wait_until(daemon.status, what="the status file")
    forged = daemon.status()
    daemon.stop()
    forged["state"] = forged["text"] = forged["version"] = forged["database"]["path"] = FORGED
    forged["sessions"][0]["reason"] = forged["sessions"][0]["client_id"] = FORGED
    daemon.status_path.write_text(json.dumps(forged))
    body = json.dumps({"messageType": 1, "deviceId": "d", "version": 3, "timeMs": 1700000000000,
                       "battery": {"x": FORGED}}, ensure_ascii=False)
    message = daemon.directory / f"message{FORGED.replace('/', '')}"
    message.write_text(body)
    for arguments in (["status"], ["status", "--json"], ["parse", "foxtrackr/d/V3.0/bat", message],
                      ["parse", f"foxtrackr/{FORGED}/V3.0/bat", message],
                      ["parse", "foxtrackr/d/V3.0/bat", f"{message}-missing"]):
        done = foxtrackrctl(daemon, *arguments, check=False)
        said = done.stdout + done.stderr
        assert said.strip()
        assert not [c for c in said if c not in "\n\t" and (
            ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0 or c == "\u202e")], (arguments, said)
    parsed = json.loads(foxtrackrctl(daemon, "parse", "foxtrackr/d/V3.0/bat", message).stdout)
    assert parsed["battery"]["extra"]["battery"]["x"] == FORGED


def test_status_of_a_daemon_that_could_not_write_it(daemon):
    """Goal: without a status file, `status` says whether a daemon has the database all the same."""
    daemon.start()
    daemon.configure(status={"file": daemon.directory / "none" / "status.json"})
    done = foxtrackrctl(daemon, "status", check=False)
    assert done.returncode == 1
    assert re.search(rf"a foxtrackrd does run \(.*process {daemon.process.pid}\)", done.stderr)
    daemon.stop()
    assert "does run" not in foxtrackrctl(daemon, "status", check=False).stderr


def test_status_says_how_old_it_is(broker, daemon):
    """Goal: what is from the status file and what is counted now can be told apart."""
    daemon.start()
    text = foxtrackrctl(daemon, "status").stdout
    assert re.search(r"^As of \d{4}-\d\d-\d\d .*, .* ago\nQuarantine of all runs: 0 entries$", text, re.M)


def test_check_of_a_directory_of_run(broker, daemon):
    """Goal: a daemon that runs without the directory of its status file below /run is noticed."""
    daemon.start()
    daemon.configure(status={"file": "/run/foxtrackrd-nowhere/status.json"})
    said = foxtrackrctl(daemon, "check").stdout
    assert "warn  /run/foxtrackrd-nowhere (directory of status.file): is not there" in said


def test_check_of_a_missing_directory(daemon):
    """Goal: where the directory of the database is missing, check shows the command that makes it."""
    directory = daemon.directory / "missing"
    daemon.configure(database={"path": str(directory / "fox.db")})
    said = foxtrackrctl(daemon, "check", check=False).stdout
    assert re.search(rf"BAD   {directory} \(directory of database.path\): .*; install -d -o \S+( -g \S+)? -m 2750"
                     rf" {directory}$", said, re.MULTILINE), said


def test_status_of_a_pipe(daemon):
    """Goal: a status file that is a pipe or a directory is said at once, and not waited for."""
    for make in (os.mkfifo, os.mkdir):
        make(daemon.status_path)
        done = foxtrackrctl(daemon, "status", check=False, timeout=10)
        assert done.returncode == 1 and "no status file" in done.stderr
        if make is os.mkfifo:
            daemon.status_path.unlink()
