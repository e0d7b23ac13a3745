"""The benchmark's own broker in both versions of MQTT, and the relay that stands for a slow network."""

import collections
import contextlib
import json
import os
import pathlib
import select
import socket
import sys
import time
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from network import Relay  # noqa: E402
from stage import Broker  # noqa: E402  (puts tests/faults on the path)

import mqtt  # noqa: E402
from small_client import Client  # noqa: E402

BUILD = pathlib.Path(os.environ.get("FOXTRACKR_BUILD", "build")).resolve()
STAGE = types.SimpleNamespace(program=lambda name: str(BUILD / "bench" / name))
VERSIONS = (mqtt.MQTT_3_1_1, mqtt.MQTT_5)
EXPIRY = {"session_expiry_interval": 60}


class Reader(Client):
    """Keeps the payloads and acknowledges all of them."""

    def __init__(self, port, **options):
        self.payloads = collections.Counter()
        super().__init__(types.SimpleNamespace(host="127.0.0.1", port=port), ":memory:", **options)

    def take(self, flags, body):
        pid, _, payload = self.read_publish(body)
        self.payloads[json.loads(payload)["deviceId"], json.loads(payload)["timeMs"]] += 1
        self.send(mqtt.PUBREC, pid.to_bytes(2, "big"))


@pytest.fixture(name="start")
def fixture_start(tmp_path):
    """start(count, …) runs the broker."""
    with contextlib.ExitStack() as stack:
        def start(count, **options):
            broker = Broker(STAGE, tmp_path, count, tls=False, **options)
            stack.callback(broker.close)
            return broker
        yield start


def result(broker, client):
    """Acknowledge until the broker says that everything is through; its line of JSON."""
    client.serve(lambda: select.select([broker.process.stdout], [], [], 0)[0])
    client.socket.settimeout(10)
    client.running = True
    return broker.wait(client)


@pytest.mark.parametrize("version, asks, expected", [
    (mqtt.MQTT_3_1_1, None, 20),
    (mqtt.MQTT_5, EXPIRY, 20),
    (mqtt.MQTT_5, {**EXPIRY, "receive_maximum": 7}, 7),
    (mqtt.MQTT_5, {**EXPIRY, "receive_maximum": 300}, 300)])
def test_window(start, version, asks, expected):
    """Receive Maximum is the window, smaller or larger than the broker's own; without it the broker's is."""
    client = Reader(start(1000).port, version=version, asks=asks)
    assert len(client.look()) == expected


def test_own_window(start):
    """A broker that ignores what is asked for, to try clients with."""
    client = Reader(start(1000, own_window=True).port, version=mqtt.MQTT_5, asks={**EXPIRY, "receive_maximum": 7})
    assert len(client.look()) == 20


@pytest.mark.parametrize("qos", (1, 2))
@pytest.mark.parametrize("version", VERSIONS)
def test_every_message_once(start, version, qos):
    """A client that reads each packet by the letter of its version gets every message, and the broker knows."""
    broker = start(500, qos=qos)
    client = Reader(broker.port, version=version)
    if qos == 1:
        client.take = lambda flags, body: _take_qos_1(client, flags, body)
    said = result(broker, client)
    assert (said["messages"], said["resent"]) == (500, 0)
    assert len(client.payloads) == 500 and set(client.payloads.values()) == {1}
    assert all(not one for one in client.publish_properties)
    client.send(mqtt.PINGREQ)
    client.next(mqtt.PINGRESP)


def _take_qos_1(client, flags, body):
    assert flags & 6 == 2
    pid, _, payload = client.read_publish(body)
    client.payloads[payload] += 1
    client.send(mqtt.PUBACK, pid.to_bytes(2, "big"))


@pytest.mark.parametrize("before, after", [
    ((mqtt.MQTT_5, 300), (mqtt.MQTT_5, 5)),
    ((mqtt.MQTT_5, 5), (mqtt.MQTT_5, 300)),
    ((mqtt.MQTT_5, 300), (mqtt.MQTT_3_1_1, 20)),
    ((mqtt.MQTT_3_1_1, 20), (mqtt.MQTT_5, 300))])
def test_another_window_after_a_reconnection(start, before, after):
    """What was in flight comes again, all of it and in order; new messages wait until the window has room."""
    broker = start(1000)
    (version, window), (next_version, next_window) = before, after
    first = Reader(broker.port, version=version, asks={**EXPIRY, "receive_maximum": window})
    ids = [pid for pid, _ in first.look()]
    assert len(ids) == window
    first.die()

    again = Reader(broker.port, version=next_version, asks={**EXPIRY, "receive_maximum": next_window})
    assert again.present
    found = again.look()
    assert found[:window] == [(pid, True) for pid in ids]
    assert len(found) == max(window, next_window)
    again.die()

    client = Reader(broker.port, version=next_version, asks={**EXPIRY, "receive_maximum": next_window})
    said = result(broker, client)
    assert (said["messages"], said["reconnects"]) == (1000, 2)
    assert len(client.payloads) == 1000 and set(client.payloads.values()) == {1}


def connect_packet(level, properties, client_id=b"\0\4bad1"):
    return mqtt.packet(mqtt.CONNECT, mqtt.string("MQTT") + bytes([level, 0, 0, 60]) + properties + client_id)


@pytest.mark.parametrize("packet", [
    connect_packet(3, b""),
    connect_packet(5, b"\x03\x21\0\0"),             # Receive Maximum 0
    connect_packet(5, b"\x02\x21\0"),               # it ends within
    connect_packet(5, b"\x05\x7e\0\0\0\1"),         # no such property
    connect_packet(5, b"\xff\xff\xff\x7f"),         # longer than the packet
    connect_packet(5, b"\xff\xff\xff\xff"),         # a length without an end
    connect_packet(5, b"\x06\x26\0\1a\0\4"),        # the second text is longer than the properties
    connect_packet(5, b"\0", b"\0\x40bad1"),        # the client id is longer than the packet
    connect_packet(5, b"\0", b""),
], ids=range(9))
def test_a_connect_that_cannot_be(start, packet):
    """The broker closes the connection and serves the next one."""
    broker = start(10)
    with socket.create_connection(("127.0.0.1", broker.port), timeout=10) as wrong:
        wrong.sendall(packet)
        assert wrong.recv(100) == b""
    good = Reader(broker.port, version=mqtt.MQTT_5, asks={
        **EXPIRY, "receive_maximum": 3, "maximum_packet_size": 70000, "topic_alias_maximum": 10,
        "request_problem_information": 1, "user_property": [("name", "value")]})
    assert len(good.look()) == 3


def test_unsubscribe_and_a_refusal(start):
    """UNSUBACK has a code for each filter in MQTT 5; a PUBREC with a failure ends the connection."""
    broker = start(10)
    client = Reader(broker.port, version=mqtt.MQTT_5)
    client.look()
    client.send(mqtt.UNSUBSCRIBE, b"\0\7\0" + mqtt.string("a") + mqtt.string("b/#"), 2)
    assert client.next(mqtt.UNSUBACK)[2] == b"\0\7\0\0\0"
    client.send(mqtt.PUBREC, b"\0\1\x97\0")
    with pytest.raises(ConnectionError):
        client.receive()
    assert "refused with 0x97" in broker.log()


# The relay


def test_relay_holds_bytes_and_loses_none(start, tmp_path):
    """Everything comes through, a round trip takes twice the delay, and the clock runs from CONNACK."""
    broker = start(2000)
    with contextlib.closing(Relay(STAGE, tmp_path, broker.port, delay_ms=30, nagle=True)) as relay:
        assert relay.read().begin_ns == 0
        client = Reader(relay.port, version=mqtt.MQTT_5, asks={**EXPIRY, "receive_maximum": 1000})
        said = result(broker, client)
        assert said["messages"] == 2000
        assert said["seconds"] >= 2 * 2 * 0.060     # two windows, and two round trips for each message
        client.send(mqtt.PINGREQ)
        begun = time.monotonic()
        client.next(mqtt.PINGRESP)
        assert time.monotonic() - begun >= 0.060
        clock = relay.read()
        assert clock.connections == 1 and clock.to_client > 2000 * 100 and clock.to_broker >= 2000 * 8
        assert (clock.last_ns - clock.begin_ns) / 1e9 >= said["seconds"] - 0.1


def test_relay_passes_the_end_on(start, tmp_path):
    """A client that goes is gone for the broker, too, and the next one is served."""
    broker = start(10)
    with contextlib.closing(Relay(STAGE, tmp_path, broker.port, delay_ms=1)) as relay:
        for number in range(6):
            client = Reader(relay.port)
            assert len(client.look()) == 10
            assert client.present == (number > 0)
            client.die()
        assert relay.read().connections == 6
