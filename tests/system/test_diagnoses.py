"""What is wrong is said: refusals in the words of the daemon and of foxtrackrctl check."""

import contextlib
import json
import re

import pytest

from foxtrackrd import foxtrackrctl
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
                                 ["MQTT 5", "allow version 3.1.1"]),
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
        def make(**script):
            broker = stack.enter_context(contextlib.closing(ScriptedBroker(pki, **script)))
            keys = {"keepalive": 77}
            if not script.get("tls"):
                keys.update({"host": "127.0.0.1", "tls": "no", "ca_file": None})
            return broker, make_daemon(broker, broker=keys)
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
