"""The scripted broker answers in the version of MQTT that CONNECT has."""

import contextlib
import socket

import pytest
from scripted_broker import ScriptedBroker, mqtt


@pytest.mark.parametrize("version, connack, suback, refusal", [
    (mqtt.MQTT_3_1_1, b"\x20\2\0\0", b"\x90\3\0\7\2", b"\x20\2\0\5"),
    (mqtt.MQTT_5, b"\x20\3\0\0\0", b"\x90\4\0\7\0\2", b"\x20\3\0\x87\0")])
def test_answers(version, connack, suback, refusal):
    """Goal: CONNACK, SUBACK and a CONNACK that the test makes have the form of the version."""
    no_properties = b"\0" if version == mqtt.MQTT_5 else b""
    connect = mqtt.packet(mqtt.CONNECT, mqtt.string("MQTT") + bytes([version, 0, 0, 60])
                          + no_properties + mqtt.string("a"))
    subscribe = mqtt.packet(mqtt.SUBSCRIBE, b"\0\7" + no_properties + mqtt.string("#") + b"\2", 2)
    with contextlib.closing(ScriptedBroker(None)) as broker:
        with socket.create_connection(("127.0.0.1", broker.tls_port), timeout=10) as client:
            client.sendall(connect)
            assert client.recv(99) == connack
            client.sendall(subscribe)
            assert client.recv(99) == suback
        broker.connack = lambda asked: mqtt.connack({4: 5, 5: 0x87}[asked], version=asked)
        with socket.create_connection(("127.0.0.1", broker.tls_port), timeout=10) as client:
            client.sendall(connect)
            assert client.recv(99) == refusal
        assert broker.versions == [version, version] and broker.connects == 2
