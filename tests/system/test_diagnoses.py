"""
What is wrong is said: refusals in the words of the daemon and of foxtrackrctl check, and who ended
a connection.
"""

import contextlib
import json
import re
import socket

import pytest

import fleet
from foxtrackrd import CLIENT_ID, foxtrackrctl
from harness import FOXTRACKRD, locked, query, run, wait_until
from left_out import NO_MATTER
from scripted_broker import ScriptedBroker, mqtt

REFUSALS = {
    "1": (mqtt.connack(1), ["does not speak MQTT 3.1.1", "broker.port"]),
    "2": (mqtt.connack(2), ["client id or the keep alive", "session.client_id", "broker.keepalive",
                            "keep alive of 77 s"]),
    "3": (mqtt.connack(3), ["unavailable"]),
    "4": (mqtt.connack(4), ["bad user name or password", "broker.username"]),
    "5": (mqtt.connack(5), ["not authorised", "broker.username", "client id"]),
    "6": (mqtt.connack(6), ["unknown code 6"]),
    "0x84": (mqtt.connack(0x84), ["unsupported protocol version", "does not speak MQTT 3.1.1"]),
    "0x85": (mqtt.connack(0x85), ["client id or the keep alive"]),
    "0x87": (mqtt.connack(0x87), ["not authorised", "broker.username"]),
    "0x9F": (mqtt.connack(0x9F), ["connection rate exceeded"]),
    "0x84 as MQTT 5 writes it": (mqtt.packet(mqtt.CONNACK, b"\0\x84\0"),
                                 ["MQTT 5", "broker.protocol = auto"]),
    "0x87 with a reason as MQTT 5 writes it": (
        mqtt.packet(mqtt.CONNACK, b"\0\x87\7\x1f" + mqtt.string("no")), ["MQTT 5"]),
}


@pytest.fixture(autouse=True)
def no_leak_check(monkeypatch):
    """As in test_check_connect.py: a thread of Paho's may still be ending."""
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")


@pytest.fixture(name="scripted")
def fixture_scripted(pki, make_daemon):
    """Makes a scripted broker and a daemon for it, in clear unless the broker speaks TLS."""
    with contextlib.ExitStack() as stack:
        def make(session=(), **script):
            broker = stack.enter_context(contextlib.closing(ScriptedBroker(pki, **script)))
            keys = {"keepalive": 77, "protocol": "3.1.1"}
            if not script.get("tls"):
                keys.update({"host": "127.0.0.1", "tls": "no", "ca_file": None})
            return broker, make_daemon(broker, broker=keys, session=dict(session))
        yield make


def bad(daemon, name):
    """The detail of the one finding of `check --connect` that is bad."""
    done = foxtrackrctl(daemon, "check", "--connect", "--json", check=False)
    [finding] = [one for one in json.loads(done.stdout)["checks"] if not one["good"]]
    assert done.returncode == 1 and finding["check"] == name, finding
    return finding["detail"]


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refused_connect(scripted, name):
    """Goal: daemon, status and check say what the broker's answer means and which key to change."""
    connack, words = REFUSALS[name]
    _, daemon = scripted(connack=connack)
    daemon.start(wait=None)
    line = daemon.wait_log(f"id-test-01: .*{re.escape(words[0])}")
    reason = daemon.wait_status(lambda now: now["sessions"][0]["reason"])["sessions"][0]["reason"]
    daemon.stop()
    for text in (line, reason, bad(daemon, "credentials")):
        for word in words:
            assert word in text, text


@pytest.mark.parametrize("code, words", [
    (0x80, ["refuses the subscription to foxtrackr/#", "access list"]),
    (0x83, ["0x83 of MQTT 5 (implementation specific error)"]),
    (0x87, ["0x87 of MQTT 5 (not authorised)", "access list"]),
    (0x8F, ["topic filter invalid", "session.filters"]),
    (0x97, ["quota exceeded"]),
    (0x9E, ["shared subscriptions not supported"]),
    (0xA2, ["wildcard subscriptions not supported", "session.filters"]),
    (0xC7, ["0xC7 of MQTT 5"]),
])
def test_a_refused_subscription(scripted, code, words):
    """Goal: so too for a subscription; the connection stays, and the filter is tried again."""
    broker, daemon = scripted(code=code)
    daemon.start(wait=None)
    line = daemon.wait_log("refuses the subscription")
    session = daemon.wait_status(
        lambda now: now["sessions"][0]["state"] == "partly subscribed")["sessions"][0]
    broker.code = 2
    daemon.wait_subscribed()
    assert broker.connects == 1
    broker.code = code
    daemon.stop()
    for text in (line, session["reason"], bad(daemon, "filter")):
        for word in words:
            assert word in text, text


def test_every_refused_filter_is_named(scripted):
    """Goal: one line and one reason name all filters that are refused; without room for all of them
    the text says how many more there are."""
    broker, daemon = scripted(session={"filters": "one/#, two/#"}, code=0x80)
    daemon.start(wait=None)
    reason = daemon.wait_status(
        lambda now: now["sessions"][0]["state"] == "partly subscribed")["sessions"][0]["reason"]
    words = ("the broker refuses the subscription to one/#: check its access list; "
             "the broker refuses the subscription to two/#: check its access list")
    assert reason == words
    daemon.wait_log(f"{CLIENT_ID}: {re.escape(words)}$")
    daemon.stop()

    daemon.configure(session={
        "filters": "\n  ".join(f"{number}/{'x' * 60}/#" for number in range(9))})
    daemon.start(wait=None)
    reason = daemon.wait_status(
        lambda now: now["sessions"][0]["state"] == "partly subscribed")["sessions"][0]["reason"]
    named = reason.count("refuses the subscription")
    assert 4 <= named < 9 and reason.endswith(f"access list; and {9 - named} more"), reason
    daemon.stop()


OTHER_CLIENT = "does another client use this client id"


@pytest.mark.parametrize("tls", [True, False])
def test_a_broker_that_closes_without_an_answer(scripted, tls):
    """Goal: no CONNACK at all: what that may mean, and the keys."""
    _, daemon = scripted(connack=b"", tls=tls)
    daemon.start(wait=None)
    line = daemon.wait_log("without an answer to CONNECT")
    daemon.stop()
    for text in (line, bad(daemon, "credentials")):
        assert ("broker.tls" in text) == (not tls), text
        assert "another protocol than MQTT 3.1.1" in text and "broker.username" in text, text


OTHER_PROTOCOLS = {
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "a web server answers at this port"),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n", "an SSH server answers at this port"),
    "SMTP": (b"220 mail.example.org ESMTP\r\n", "a mail or FTP server answers at this port"),
    "a TLS alert": (b"\x15\3\1\0\2\2\x46", "the broker expects TLS at this port: set broker.tls"),
}


@pytest.mark.parametrize("name, tls", [*((name, False) for name in OTHER_PROTOCOLS),
                                       ("HTTP", True)])
def test_a_server_that_is_no_mqtt_broker(scripted, name, tls):
    """Goal: a server of another protocol at broker.port is called that."""
    if "shared library" in run(FOXTRACKRD, "--version").stdout:
        pytest.skip(NO_MATTER + "nothing looks at bytes before the shared library does")
    answer, words = OTHER_PROTOCOLS[name]
    _, daemon = scripted(connack=answer, tls=tls)
    daemon.start(wait=None)
    daemon.wait_log(words)
    daemon.stop()
    assert words in bad(daemon, "credentials")


def lost(daemon):
    """The connections of the session that ended, by cause; causes without any are left out."""
    return {cause: count for cause, count in daemon.status()["sessions"][0]["lost"].items() if count}


def close(connection):
    connection.close()
    return False


def close_tls_only(connection):
    """close_notify, and the end of the stream only when the client has gone."""
    with contextlib.suppress(OSError):
        connection.unwrap()
    return False


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return close(connection)


@pytest.mark.parametrize("end, tls", [(close, False), (close, True), (close_tls_only, True),
                                      (reset, False)])
def test_a_broker_that_ends_every_connection(scripted, end, tls):
    """Goal: connections that the broker ends again and again may be another client's doing."""
    _, daemon = scripted(subscribed=end, tls=tls)
    daemon.start(wait=None)
    daemon.wait_log(f"connection lost.*{OTHER_CLIENT}")
    daemon.wait_status(lambda now: now["sessions"][0]["lost"]["broker"] >= 3)
    assert list(lost(daemon)) == ["broker"]
    daemon.stop()


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.long
def test_a_broker_that_ends_the_connection_at_subscribe(scripted, tls):
    """
    Goal: a broker that closes instead of answering SUBSCRIBE is told as that, and not as another
    client. It makes a new session each time: one row of `gaps` covers all of them to the last.
    """
    broker, daemon = scripted(code="close", tls=tls)
    daemon.start(wait=None)
    line = daemon.wait_log("no answer to SUBSCRIBE")
    assert ("no answer to SUBSCRIBE to foxtrackr/#: the broker ended the connection instead; it may "
            "not allow this filter, or this client") in line
    wait_until(lambda: broker.subscribes >= 5, 40, "five connections")
    broker.code = 2
    daemon.wait_subscribed()
    assert list(lost(daemon)) == ["broker"] and OTHER_CLIENT not in daemon.log()
    daemon.stop()
    assert query(daemon.database, """
        SELECT reason, gaps.last_durable_ms < resumed_ms, resumed_ms = established_ms
          FROM gaps JOIN sessions USING (client_id)""") == [("session lost", 1, 1)]


def test_a_subscription_whose_answer_is_lost(scripted):
    """Goal: SUBSCRIBE may have been granted without an answer: when that session is lost, what it
    may have kept is noted."""
    broker, daemon = scripted(code=None)
    daemon.start(wait=None)
    wait_until(lambda: broker.subscribes == 1, what="SUBSCRIBE")
    daemon.kill()
    broker.code = 2
    daemon.start()
    daemon.stop()
    assert query(daemon.database, "SELECT reason FROM gaps") == [("session lost",)]


def test_malformed_packets_are_nobody_elses_doing(scripted):
    """Goal: a connection that a malformed packet ends is not put down to another client, however
    often that happens."""
    if "shared library" in run(FOXTRACKRD, "--version").stdout:
        pytest.skip(NO_MATTER + "the shared library takes this packet, and nothing checks it before")
    _, daemon = scripted(subscribed=lambda connection: connection.sendall(mqtt.packet(0)))
    daemon.start(wait=None)
    daemon.wait_status(lambda now: now["sessions"][0]["lost"]["packet"] >= 4)
    assert list(lost(daemon)) == ["packet"] and OTHER_CLIENT not in daemon.log()
    daemon.wait_log("connection closed: the broker sent a packet of type 0")
    daemon.stop()


@pytest.mark.long
def test_connections_that_the_daemon_cuts(broker, make_daemon, tmp_path):
    """
    Goal: connections that the daemon cuts itself, because the database is not writable, again and again
    soon after they were made, are its own doing in the log, the status and the metrics.
    """
    metrics = tmp_path / "foxtrackrd.prom"
    daemon = make_daemon(broker, database={"busy_timeout": "50ms"},
                         status={"metrics_file": metrics}).start()
    for number in range(1, 5):
        with locked(daemon.database):
            broker.publish("foxtrackr/c/V3.0/bat", fleet.battery("c", fleet.now_ms() + number))
            daemon.wait_status(lambda now, number=number: now["sessions"][0]["lost"]["daemon"] >= number)
        daemon.wait_rows(number)
        daemon.wait_status(lambda now: now["sessions"][0]["state"] == "subscribed")
    assert "the database is not writable" in (
        daemon.status()["sessions"][0]["last_error"])
    daemon.wait_log(f"{CLIENT_ID}: connection cut by foxtrackrd: the database is not writable: .*lock")
    assert list(lost(daemon)) == ["daemon"] and OTHER_CLIENT not in daemon.log()
    wait_until(lambda: re.search(r'lost_connections_total{[^}]*cause="daemon"} [4-9]',
                                 metrics.read_text()), what="the metric")
    daemon.stop()
