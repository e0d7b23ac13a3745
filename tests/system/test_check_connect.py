"""foxtrackrctl check: the daemon's surroundings, and with --connect the broker, untouched."""

import json
import os
import pathlib
import re
import shutil
import sqlite3
import tempfile

import pytest

import broker as brokers
import fleet
from foxtrackrd import CLIENT_ID, foxtrackrctl
from harness import query


@pytest.fixture(autouse=True)
def no_leak_check(monkeypatch):
    """When the program ends, a thread of Paho's may still be ending: LeakSanitizer does not see what
    OpenSSL keeps for it, and takes it for lost."""
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")


def check(daemon, *arguments):
    """The findings by their names (a list each), and whether the exit status agrees."""
    done = foxtrackrctl(daemon, "check", "--json", *arguments, check=False)
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["good"] else 1)
    found = {}
    for one in report["checks"]:
        found.setdefault(one["check"], []).append(one)
    return found


def only_bad(found):
    """The single finding that is bad."""
    [bad] = [one for ones in found.values() for one in ones if not one["good"]]
    return bad


def test_connect(make_broker, make_daemon):
    """
    Goal: every step to the broker is tried and said; the daemon's session, connected or with a
    queue at the broker, is not touched.
    """
    broker = make_broker(verbose=True)
    daemon = make_daemon(broker, session={"filters": "foxtrackr/#, other/+/V3.0/bat"}).start()
    found = check(daemon, "--connect")
    assert [len(found[name]) for name in ("TCP", "TLS", "credentials", "filter")] == [1, 1, 1, 2]
    assert "BAD" not in foxtrackrctl(daemon, "check", "--connect").stdout
    assert [one["detail"] for one in found["filter"]] == [
        "foxtrackr/#: granted with QoS 2", "other/+/V3.0/bat: granted with QoS 2"]
    assert daemon.status()["sessions"][0]["connects"] == 1
    connects = re.findall(r"connected from \S+ as (\S+) \(p[25], c(\d)", broker.log())
    ours = [(name, clean) for name, clean in connects if name != CLIENT_ID]
    assert len({name for name, _ in ours}) == 2 and all(
        re.fullmatch(CLIENT_ID + "-check-[0-9a-f]{4}", name) and clean == "1"
        for name, clean in ours)
    assert [clean for name, clean in connects if name == CLIENT_ID] == ["0"]

    daemon.stop()
    now = fleet.now_ms()
    for number in range(20):
        broker.publish("foxtrackr/q/V3.0/bat", fleet.battery("q", now + number))
    assert not [one for ones in check(daemon, "--connect").values() for one in ones
                if not one["good"]]
    daemon.start()
    daemon.wait_rows(20)
    daemon.stop()
    assert query(daemon.database, "SELECT * FROM gaps") == []
    assert query(daemon.database, "SELECT received, stored FROM runs ORDER BY run") == [
        (0, 0), (20, 20)]


def test_connect_names_what_fails(make_broker, make_daemon, pki):
    """Goal: name, port, TLS, credentials: the first that fails is BAD, with what to do."""
    daemon = make_daemon(make_broker())

    def bad(name, *words):
        one = only_bad(check(daemon, "--connect"))
        assert one["check"] == name, one
        for word in words:
            assert word in one["detail"]
        assert brokers.PASSWORD not in one["detail"] and "wrong-word" not in one["detail"]

    daemon.password_path.write_text("wrong-word\n")
    bad("credentials", "not authorised", "broker.username", "check-")
    daemon.password_path.write_text(brokers.PASSWORD + "\n")
    daemon.configure(broker={"password_file": None})
    bad("credentials", "without a password")
    daemon.configure(broker={"password_file": daemon.password_path})
    daemon.configure(broker={"ca_file": pki.certificate("other_ca")})
    bad("TLS", "Foxtrackr Test CA")
    daemon.configure(broker={"ca_file": pki.certificate("ca"), "port": daemon.server.plain_port})
    bad("TLS")
    daemon.configure(broker={"port": 1})
    bad("TCP", "nothing listens there")
    daemon.configure(broker={"host": "no.such.name.invalid", "port": daemon.server.tls_port})
    found = check(daemon)
    assert only_bad(found)["check"] == "broker name"
    assert "no.such.name.invalid" in only_bad(found)["detail"]


def test_connect_without_tls(broker, daemon):
    """Goal: a broker in clear is tried too."""
    daemon.configure(broker={"tls": "no", "port": broker.plain_port, "ca_file": None})
    found = check(daemon, "--connect")
    assert found["credentials"][0]["good"] and "TLS" not in found


@pytest.fixture
def public_directory():
    """A directory that every user can reach, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="foxtrackrd-test-") as path:
        os.chmod(path, 0o755)
        yield pathlib.Path(path)


def test_check_files(public_directory, broker, make_daemon):
    """Goal: what the daemon's user may not read or write is BAD, with the key and the reason."""
    if os.getuid() != 0:
        pytest.skip("becoming the user of the daemon needs root")
    nobody = 65534
    daemon = make_daemon(broker, directory=public_directory / "daemon")
    ca = shutil.copy(broker.pki.certificate("ca"), public_directory)
    daemon.configure(broker={"ca_file": ca})
    logs = public_directory / "logs"
    logs.mkdir(mode=0o755)
    daemon.configure(log={"target": "file", "file": logs / "foxtrackrd.log"})
    proxy_password = daemon.directory / "proxy-password"
    proxy_password.touch(mode=0o600)
    proxy_password.write_text("staple\n")
    daemon.configure(broker={"proxy": "http://me@127.0.0.1:1", "proxy_password_file": proxy_password})
    daemon.directory.chmod(0o755)
    os.chown(daemon.directory, nobody, nobody)
    details = [one["detail"] for one in check(daemon)["files"]]
    assert all("user nobody" in detail for detail in details)
    assert any("broker.password_file" in detail and "read" in detail for detail in details)
    assert any("broker.proxy_password_file" in detail and "read" in detail for detail in details)
    assert any("log.file" in detail and "write" in detail for detail in details)
    assert not any("database" in detail for detail in details)

    os.chown(daemon.password_path, nobody, nobody)
    os.chown(proxy_password, nobody, nobody)
    os.chown(logs, nobody, nobody)
    [one] = check(daemon)["files"]
    assert one["good"], one
    os.chown(daemon.directory, 0, 0)
    sqlite3.connect(daemon.database).close()
    daemon.database.touch()
    os.chown(daemon.database, nobody, nobody)
    details = [one["detail"] for one in check(daemon)["files"]]
    assert any("directory of database.path" in detail for detail in details)


def test_check_before_the_first_start(daemon):
    """Goal: a directory that systemd makes at the start is not missed before, another one is."""
    daemon.configure(status={"metrics_file": "/run/foxtrackrd-not-yet/foxtrackrd.prom"})
    assert all(one["good"] for one in check(daemon)["files"])
    missing = daemon.directory / "missing"
    daemon.configure(status={"metrics_file": missing / "foxtrackrd.prom"})
    bad = only_bad(check(daemon))
    assert f"{missing} (directory of status.metrics_file)" in bad["detail"]


def test_check_forecasts_from_the_database(daemon):
    """Goal: the space for 7 days follows from what the last 7 days brought. A catch-up in a minute brings
    messages of days, and is not taken for the rate."""
    daemon.start()
    daemon.stop()
    now, hour = fleet.now_ms(), 3_600_000

    def need(began_ms, oldest_ms=None):
        with sqlite3.connect(daemon.database) as connection:
            connection.execute("DELETE FROM runs")
            connection.execute("INSERT INTO runs VALUES (1, ?, ?, 't', 1000000, 1000000, 0, 0)", (began_ms, now))
            connection.execute("CREATE TABLE IF NOT EXISTS filler AS SELECT zeroblob(20000000) AS a")
            if oldest_ms is not None:
                connection.executemany("INSERT OR IGNORE INTO devices VALUES (?, 'f', 'd' || ?, 0)", [(n, n) for n in range(1, 101)])
                connection.executemany("INSERT INTO battery VALUES (?, ?, 3, 3, 5, NULL, 0)", [(n, oldest_ms) for n in range(1, 101)])
                connection.execute("INSERT OR IGNORE INTO battery VALUES (1, 1500000000000, 3, 3, 5, NULL, 0)")  # its clock was wrong
        connection.close()
        [disk] = check(daemon)["disk"]
        found = re.search(r"need about (\d+) MiB|no forecast before 6 hours of messages", disk["detail"])
        return found[1] and int(found[1])

    # Seven hours brought 20 MB: a week will bring about 24 times as much.
    assert 450 < need(now - 7 * hour) < 480
    assert need(now - hour) is None
    assert 450 < need(now - 60_000, now - 7 * hour) < 480
    assert 100 < need(now - 60_000, now - 32 * hour) < 110
