"""The fault broker speaks MQTT 5 beside 3.1.1: small clients and real ones prove it, without the daemon."""

import contextlib
import pathlib
import socket
import subprocess
import sys
import threading

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import messages  # noqa: E402
import mqtt  # noqa: E402
import mqtt5_rules  # noqa: E402
import properties as mqtt_properties  # noqa: E402
from broker import Fault, FaultBroker  # noqa: E402
from small_client import CLIENT_ID, Client  # noqa: E402

SEED = 23
DURABLE = {"session_expiry_interval": 3600, "receive_maximum": 1000}


@pytest.fixture
def broker(tmp_path):
    made = FaultBroker(tmp_path / "broker", window=5).start()
    yield made
    made.close()


@pytest.fixture
def join(broker):
    """Connects small clients to the broker, MQTT 5 unless the test says otherwise."""
    with contextlib.ExitStack() as stack:
        def make(sent=(), **options):
            client = Client(broker, ":memory:", **{"version": mqtt.MQTT_5, **options})
            stack.callback(client.die)
            client.known = {(m.topic, m.payload): m for m in sent}
            return client
        yield make


def published(broker, count=40):
    sent = messages.make(count, SEED)
    broker.publish(sent)
    return sent


def wait(broker, condition):
    assert broker.wait_for(condition, 10)


def connect_body(flags=0, asked=None, client_id="a", version=5):
    return (mqtt.string("MQTT") + bytes([version, flags, 0, 60])
            + (mqtt_properties.write(asked) if version == 5 else b"") + mqtt.string(client_id))


# --- packets -------------------------------------------------------------------------------------

def test_properties_are_read_as_written():
    """Goal: every property of the standard, in every packet that may have it."""
    values = {"flag": 1, "two": 4711, "four": 0xFFFFFFFF, "variable": 268435455, "binary": b"\0\xff",
              "text": "Grüße", "pair": ("a", "b")}
    for packet in {packet for known in mqtt_properties.PROPERTIES.values() for packet in known.packets}:
        written = {
            name: [values[known.form]] * 2 if (name, packet) in mqtt_properties.SEVERAL
            else values[known.form]
            for name, known in mqtt_properties.PROPERTIES.items() if packet in known.packets}
        body = mqtt_properties.write(written)
        assert mqtt_properties.read(body + b"rest", 0, packet) == (written, len(body)), packet


@pytest.mark.parametrize("body, packet, complaint", [
    (b"", "connect", "cut short"),
    (b"\x80\x80\x80\x80\x01", "connect", "five bytes"),
    (b"\x05\x11\0\0\0", "connect", "beyond its end"),
    (b"\x04\x11\0\0\0", "connect", "cut short"),
    (b"\x02\x1f\0", "connack", "without its length"),
    (b"\x04\x1f\0\x02x", "connack", "cut short"),
    (b"\x02\x7f\0", "connect", "property 0x7F"),
    (b"\x03\x13\0\x05", "connect", "server_keep_alive"),
    (b"\x06\x21\0\x01\x21\0\x02", "connect", "twice"),
    (b"\x03\x21\0\0", "connect", "receive_maximum is 0"),
    (b"\x05\x27\0\0\0\0", "connect", "maximum_packet_size is 0"),
    (b"\x02\x0b\0", "subscribe", "subscription_identifier is 0"),
    (b"\x02\x17\x02", "connect", "only 0 and 1"),
    (b"\x04\x1f\0\x01\xff", "connack", "not UTF-8"),
    (b"\x04\x1f\0\x01\0", "connack", "U\\+0000"),
    (b"\x08\x26\0\x01a\0\x05bc", "connect", "cut short"),
])
def test_bad_properties_are_refused(body, packet, complaint):
    """Goal: what MQTT 5 §2.2.2 forbids is malformed."""
    with pytest.raises(mqtt.Malformed, match=complaint):
        mqtt_properties.read(body, 0, packet)


@pytest.mark.parametrize("read, complaint", [
    (lambda: mqtt.read_connect(connect_body(version=3)), "level 3"),
    (lambda: mqtt.read_connect(connect_body(flags=1)), "flags 0x01"),
    (lambda: mqtt.read_connect(connect_body(flags=0x20)), "flags 0x20"),
    (lambda: mqtt.read_connect(connect_body() + b"x"), "goes on"),
    (lambda: mqtt.read_connect(connect_body(version=4) + b"x"), "goes on"),
    (lambda: mqtt.read_connect(connect_body(client_id=b"\xff")), "not UTF-8"),
    (lambda: mqtt.read_acknowledgement(mqtt.PUBREC, b"\0\1\0"), "3 bytes"),
    (lambda: mqtt.read_acknowledgement(mqtt.PUBREC, b"\0\1\x92", 5), "0x92"),
    (lambda: mqtt.read_acknowledgement(mqtt.PUBCOMP, b"\0\1\x10", 5), "0x10"),
    (lambda: mqtt.read_acknowledgement(mqtt.PUBACK, b"\0\1\0\0x", 5), "goes on"),
    (lambda: mqtt.read_disconnect(b"\0"), "1 bytes"),
    (lambda: mqtt.read_disconnect(b"\x8e", 5), "0x8E"),
    (lambda: mqtt.read_disconnect(b"\0\0x", 5), "goes on"),
    (lambda: mqtt.read_disconnect(b"\0\4\x1c\0\1x", 5), "names a server"),
    (lambda: mqtt.read_subscribe(b"\0\0\0\0\1#\2", 5), "packet id 0"),
    (lambda: mqtt.read_subscribe(b"\0\1\0", 5), "without a filter"),
    (lambda: mqtt.read_subscribe(b"\0\1\0\0\1#", 5), "without a QoS"),
    (lambda: mqtt.read_subscribe(b"\0\1\0\0\1#\3", 5), "options 0x03"),
    (lambda: mqtt.read_subscribe(b"\0\1\0\0\1#\x32", 5), "options 0x32"),
    (lambda: mqtt.read_subscribe(b"\0\1\0\0\1#\x42", 5), "options 0x42"),
    (lambda: mqtt.read_subscribe(b"\0\1\0\1#\x12"), "options 0x12"),
    (lambda: mqtt.read_subscribe(b"\0\1\0" + mqtt.string("$share/a/#") + b"\6", 5), "No Local"),
    (lambda: mqtt.read_unsubscribe(b"\0\1\0", 5), "without a filter"),
    (lambda: mqtt.check_flags(mqtt.SUBSCRIBE, 0), "flags 0"),
    (lambda: mqtt.check_flags(mqtt.PUBREC, 2), "flags 2"),
])
def test_bad_packets_are_refused(read, complaint):
    """Goal: what a client must not send, in its version, is malformed."""
    with pytest.raises(mqtt.Malformed, match=complaint):
        read()


def test_good_packets_are_read():
    """Goal: what the standards allow is taken, with and without reason code and properties."""
    will = b"\0" + mqtt.string("t") + mqtt.string(b"\xff")
    body = connect_body(flags=0xC6, asked=DURABLE) + will + mqtt.string("me") + mqtt.string(b"\xff")
    said = mqtt.read_connect(body)
    assert said == {"version": 5, "client_id": "a", "clean_start": True, "keepalive": 60,
                    "username": "me", "password": b"\xff", "properties": DURABLE}
    for body, reason in ((b"\0\7", 0), (b"\0\7\x10", 0x10), (b"\0\7\x80\0", 0x80)):
        assert mqtt.read_acknowledgement(mqtt.PUBREC, body, 5) == (7, reason)
    assert mqtt.read_disconnect(b"", 4) == mqtt.read_disconnect(b"", 5) == (0, {})
    assert mqtt.read_disconnect(b"\4", 5) == (4, {})
    assert mqtt.read_subscribe(b"\0\7\0\0\1#\x1d", 5) == (7, [("#", 1, True, True, 1)], {})
    assert mqtt.read_subscribe(b"\0\7\0\1#\2") == (7, [("#", 2, False, False, 0)], {})
    assert mqtt.read_unsubscribe(b"\0\7\0\0\1#\0\1+", 5) == (7, ["#", "+"])


def test_packets_of_the_broker():
    """Goal: the bytes of the packets that differ, in both versions."""
    assert mqtt.connack(0, True) == b"\x20\2\1\0"
    assert mqtt.connack(0, True, 5) == b"\x20\3\1\0\0"
    assert mqtt.connack(0, False, 5, {"receive_maximum": 20}) == b"\x20\6\0\0\3\x21\0\x14"
    assert mqtt.publish("t", b"x", 2, 7) == b"\x34\6\0\1t\0\7x"
    assert mqtt.publish("t", b"x", 2, 7, version=5) == b"\x34\7\0\1t\0\7\0x"
    assert mqtt.publish("t", b"x", 0, version=5) == b"\x30\5\0\1t\0x"
    assert mqtt.pubrel(7) == b"\x62\2\0\7" and mqtt.pubrel(7, 0x92) == b"\x62\3\0\7\x92"
    assert mqtt.suback(7, [2, 0x80]) == b"\x90\4\0\7\2\x80"
    assert mqtt.suback(7, [2, 0x80], 5) == b"\x90\5\0\7\0\2\x80"
    assert mqtt.unsuback(7) == b"\xb0\2\0\7" and mqtt.unsuback(7, 5, [0, 0x11]) == b"\xb0\5\0\7\0\0\x11"
    assert mqtt.disconnect(0x8E) == b"\xe0\2\x8e\0"


# --- the session ---------------------------------------------------------------------------------

def test_window(broker, join):
    """Goal: no more is in flight than the client's Receive Maximum, and than the broker's window."""
    sent = published(broker)
    client = join(sent, asks={**DURABLE, "receive_maximum": 3})
    client.next(mqtt.SUBACK)
    assert client.look() == [(1, False), (2, False), (3, False)] and client.look() == []
    client.send(mqtt.PUBREC, b"\0\2")
    assert client.look() == [], "PUBREC leaves the message in flight (§4.9)"
    client.send(mqtt.PUBCOMP, b"\0\2")
    assert client.look() == [(4, False)]
    client.send(mqtt.PUBREC, b"\0\1\x80")
    assert client.look() == [(5, False)], "a PUBREC that refuses ends the handshake (§4.3.3)"
    assert broker.ledger.oddities == ["pubrec 1 refuses the message: 0x80"]
    assert len(join(asks=DURABLE).look()) == broker.window


def test_broker_that_ignores_the_window(broker, join):
    """Goal: where the test says so, Receive Maximum is not heeded."""
    broker.heeds_receive_maximum = False
    published(broker)
    client = join(asks={**DURABLE, "receive_maximum": 3})
    client.next(mqtt.SUBACK)
    assert len(client.look()) == broker.window


def test_session_of_one_version_goes_on_with_the_other(broker, join):
    """Goal: 3.1.1, 5 with a smaller window, 3.1.1: what is in flight comes again in order, with DUP."""
    sent = published(broker)
    client = join(version=mqtt.MQTT_3_1_1)
    client.next(mqtt.SUBACK)
    assert client.look() == [(n, False) for n in range(1, 6)]
    client.send(mqtt.PUBREC, b"\0\1")
    client.look()

    client = join(asks={**DURABLE, "receive_maximum": 2})
    assert client.present
    assert client.look() == [(2, True), (3, True)]
    client.send(mqtt.PUBREC, b"\0\2")
    client.send(mqtt.PUBCOMP, b"\0\2")
    assert client.look() == [(4, True)]

    client = join(sent, version=mqtt.MQTT_3_1_1)
    assert client.present
    client.serve(lambda: broker.drained)
    assert [m.number for _, _, m in client.seen] == list(range(2, len(sent)))
    assert [c.version for c in broker.ledger.connects] == [4, 5, 4]
    assert [c.receive_maximum for c in broker.ledger.connects] == [None, 2, None]
    assert broker.ledger.oddities == []


def test_properties_of_every_publish(broker, join):
    """Goal: properties stand between packet id and payload, and a client of 3.1.1 gets none."""
    broker.publish_properties = {
        "message_expiry_interval": 60, "user_property": [("a", "b"), ("a", "c")]}
    sent = published(broker)
    client = join(sent)
    client.serve(lambda: len(client.seen) > 5)
    assert all(found == broker.publish_properties for found in client.publish_properties)
    client = join(sent, version=mqtt.MQTT_3_1_1)
    client.serve(lambda: broker.drained)
    assert broker.ledger.oddities == []


@pytest.mark.parametrize("asked, granted, stays", [
    (3600, None, True), (0xFFFFFFFF, None, True), (None, None, False), (0, None, False),
    (3600, 0, False), (0, 3600, True)])
def test_expiry(broker, join, asked, granted, stays):
    """Goal: the session ends with its connection where CONNECT, or CONNACK in its place, says 0 s."""
    if granted is not None:
        broker.connack_properties = {"session_expiry_interval": granted}
    published(broker, 4)
    asks = {"receive_maximum": 9} if asked is None else {**DURABLE, "session_expiry_interval": asked}
    client = join(asks=asks)
    client.look()
    client.socket.close()
    wait(broker, lambda: broker.ledger.visits[0].closed)
    assert join().present is stays
    assert broker.ledger.lost == (set() if stays else {0, 1, 2, 3})
    odd = [sentence for sentence in broker.ledger.oddities if "no Session Expiry Interval" in sentence]
    assert len(odd) == (not asked)


def test_expiry_over_a_restart(broker, join):
    """Goal: a session lasts as long as was asked, also where the broker is restarted meanwhile."""
    join(asks={**DURABLE, "session_expiry_interval": 1})
    broker.restart()
    assert broker.session.expiry_s == 1
    broker.session.left_s -= 2
    assert not join().present


def test_disconnect_that_changes_the_expiry(broker, join):
    """Goal: DISCONNECT with a Session Expiry Interval is heeded, and odd (§3.14.2.2.2)."""
    client = join()
    client.send(mqtt.DISCONNECT, b"\0\5\x11\0\0\0\0")
    wait(broker, lambda: broker.session is None)
    assert broker.ledger.oddities == ["DISCONNECT changes the session's expiry to 0 s"]
    assert broker.ledger.visits[0].disconnect_reason == 0


def test_takeover(broker, join):
    """Goal: the earlier connection gets DISCONNECT 0x8E in MQTT 5, and none in 3.1.1 (§3.1.4)."""
    for version in mqtt.VERSIONS:
        first = join(version=version)
        first.look()
        join().look()
        if version == mqtt.MQTT_5:
            assert first.next(mqtt.DISCONNECT)[2] == b"\x8e\0"
        with pytest.raises(ConnectionError):
            first.receive()


def test_takeover_of_a_session_that_ends(broker, join):
    """Goal: a session of 0 s ends with its connection, also when another takes its place."""
    join(asks={"receive_maximum": 9}).look()
    assert not join().present


def test_campaign_disconnects(broker, join):
    """Goal: a DISCONNECT with reason and properties, as a test asks for it."""
    client = join()
    client.look()
    broker.disconnect(mqtt.SHUTTING_DOWN, reason_string="back soon")
    body = client.next(mqtt.DISCONNECT)[2]
    assert body[0] == 0x8B
    assert mqtt_properties.read(body, 1, "disconnect")[0] == {"reason_string": "back soon"}


def test_malformed_packet(broker, join):
    """Goal: a packet that the version forbids ends the connection, in MQTT 5 with 0x81."""
    client = join()
    client.next(mqtt.SUBACK)
    client.send(mqtt.PUBREC, b"\0\1\x92")
    assert client.next(mqtt.DISCONNECT)[2] == b"\x81\0"
    assert broker.ledger.oddities == ["malformed: pubrec with the reason code 0x92"]


def test_second_connect(broker, join):
    """Goal: CONNECT comes once on a connection (§3.1)."""
    for version in mqtt.VERSIONS:
        client = join(version=version)
        client.send(mqtt.CONNECT, connect_body(version=version))
        wait(broker, lambda: broker.ledger.visits[-1].closed)
        assert broker.ledger.oddities[-1] == "malformed: CONNECT twice"


def test_server_keep_alive(broker, join):
    """Goal: a client that is silent for 1.5 times the server's keep alive gets 0x8D (§3.1.2.10)."""
    broker.connack_properties = {"server_keep_alive": 1}
    client = join()
    assert client.connack == {"server_keep_alive": 1}
    client.next(mqtt.SUBACK)
    assert client.next(mqtt.DISCONNECT)[2] == b"\x8d\0"
    assert "server's keep alive" in broker.ledger.oddities[0]


@pytest.mark.parametrize("name, said, code", [
    ("$share/a/t", "shared_subscription_available", 0x9E),
    ("t/#", "wildcard_subscription_available", 0xA2)])
def test_what_the_broker_has_not(broker, join, name, said, code):
    """Goal: a filter that CONNACK has excluded is refused, and odd; others are granted."""
    broker.connack_properties = {said: 0}
    client = join()
    client.waiting.clear()
    client.look()
    broker.ledger.oddities.clear()
    client.send(mqtt.SUBSCRIBE, b"\0\2\0" + mqtt.string(name) + b"\x12" + mqtt.string("t") + b"\x11",
                2)
    assert client.next(mqtt.SUBACK)[2] == b"\0\2\0" + bytes([code, 1])
    assert broker.ledger.oddities == [f"SUBSCRIBE to {name}: CONNACK said {said} 0"]


def test_unsubscribe(broker, join):
    """Goal: UNSUBACK has a code for each filter in MQTT 5: 0x11 where there was none."""
    client = join()
    client.next(mqtt.SUBACK)
    client.send(mqtt.UNSUBSCRIBE, b"\0\2\0" + mqtt.string("#") + mqtt.string("#"), 2)
    assert client.next(mqtt.UNSUBACK)[2] == b"\0\2\0\0\x11"
    assert not broker.delivering


def test_release_of_an_unknown_id(broker, join):
    """Goal: PUBREC for an id that is not in flight: PUBREL with 0x92 in MQTT 5, without in 3.1.1."""
    for version, expected in ((5, b"\0\x63\x92"), (4, b"\0\x63")):
        client = join(version=version)
        client.look()
        client.send(mqtt.PUBREC, b"\0\x63")
        assert client.next(mqtt.PUBREL)[2] == expected
    assert broker.ledger.oddities == ["pubrec 99: no such id in flight"] * 2


# --- what the broker refuses ---------------------------------------------------------------------

@pytest.mark.parametrize("speaks, asked, answer", [
    (4, 5, b"\0\1"), (5, 4, b"\0\x84\0"), (4, 4, b"\0\0"), (5, 5, b"\0\0\0")])
def test_broker_of_one_version(tmp_path, speaks, asked, answer):
    """Goal: a broker that speaks the other version only refuses in the form of its own, and closes."""
    broker = FaultBroker(tmp_path / "broker", versions=(speaks,)).start()
    with contextlib.closing(broker):
        client = Client.__new__(Client)
        client.buffer, client.waiting = bytearray(), []
        with socket.create_connection((broker.host, broker.port), timeout=10) as client.socket:
            client.send(mqtt.CONNECT, connect_body(asked=DURABLE if asked == 5 else None, version=asked))
            assert client.next(mqtt.CONNACK)[2] == answer
            if speaks != asked:
                with pytest.raises(ConnectionError):
                    client.receive()
        assert (broker.session is None) == (speaks != asked)
        assert broker.ledger.oddities == []


@pytest.mark.parametrize("version, code", [(4, 5), (5, 0x87)])
def test_refusals(broker, join, version, code):
    """Goal: refuse() says in both versions the same."""
    broker.script(Fault("connect", "call", data=broker.refuse(5)))
    assert join(version=version).code == code


def test_fault_with_bytes_for_each_version(broker, join):
    """Goal: a fault's data may depend on the version of its connection."""
    for version in mqtt.VERSIONS:
        broker.script(Fault("connack", "replace",
                            data=mqtt.by_version(lambda v: mqtt.connack(v, version=v))))
        assert join(version=version).code == version


def test_visitor(broker, join):
    """Goal: a client that leaves no session behind is answered, and the session stays as it is."""
    published(broker)
    first = join()
    first.next(mqtt.SUBACK)
    assert len(first.look()) == 5
    for version in mqtt.VERSIONS:
        visitor = join(client_id="id-wrong-01-ask", clean_start=True, version=version,
                       asks={"receive_maximum": 9})
        assert not visitor.present
        visitor.next(mqtt.SUBACK)
        assert visitor.look() == []
        visitor.send(mqtt.DISCONNECT)
    assert first.look() == []
    assert [c.client_id for c in broker.ledger.connects] == [CLIENT_ID]
    assert [c.version for c in broker.ledger.visitors] == [4, 5]
    assert broker.ledger.oddities == []
    for end, oddities in ((b"\0\5\x11\0\0\0\0", 0), (b"", 1)):
        visitor = join(client_id="id-x-ask", clean_start=True,
                       asks={"receive_maximum": 9, "session_expiry_interval": 60})
        visitor.send(mqtt.DISCONNECT, end)
        wait(broker, lambda: broker.ledger.visits[-1].closed)
        assert broker.ledger.oddities == ["a visitor leaves its session behind, for 60 s"][:oddities]
    broker.ledger.oddities.clear()
    visitor = join(client_id="other", clean_start=True, asks={"receive_maximum": 9})
    visitor.send(mqtt.PUBREC, b"\0\1")
    visitor.next(mqtt.SUBACK)
    assert visitor.next(mqtt.DISCONNECT)[2] == b"\x81\0"
    assert broker.ledger.oddities == ["malformed: a visitor does not send pubrec"]
    assert broker.ledger.acknowledged_numbers() == set()
    broker.script(Fault("visitor_connack", "replace", data=b"\x20\2\0\1"))
    assert join(client_id="other", clean_start=True, asks={"receive_maximum": 9}).code == 1


def test_visitor_before_the_session(broker, join):
    """Goal: a visitor that comes first makes no session, and takes no message."""
    published(broker)
    join(client_id="other", clean_start=True, asks={"receive_maximum": 9}).look()
    client = join()
    assert not client.present
    client.next(mqtt.SUBACK)
    assert len(client.look()) == 5 and broker.ledger.lost == set()


# --- what the daemon must ask for ----------------------------------------------------------------

@pytest.mark.parametrize("flags, asked, complaint", [
    (2, DURABLE, "clean start"),
    (0, {"receive_maximum": 9}, "no Session Expiry Interval"),
    (0, {**DURABLE, "session_expiry_interval": 0}, "no Session Expiry Interval"),
    (0, {"session_expiry_interval": 9}, "no Receive Maximum"),
    (0, {**DURABLE, "maximum_packet_size": 1000000}, "Maximum Packet Size"),
    (0, {**DURABLE, "topic_alias_maximum": 1}, "topic aliases"),
    (0, {**DURABLE, "request_problem_information": 0}, "reason strings"),
    (0, {**DURABLE, "authentication_method": "x"}, "authentication"),
    (0, {**DURABLE, "topic_alias_maximum": 0, "request_problem_information": 1}, None),
])
def test_rules_for_connect(flags, asked, complaint):
    """Goal: each thing that would lose messages is named."""
    found = list(mqtt5_rules.about_connect(mqtt.read_connect(connect_body(flags, asked))))
    assert [complaint in sentence for sentence in found] == ([True] if complaint else [])


@pytest.mark.parametrize("options, complaint", [
    (0x02, "Retain Handling 0"), (0x22, "Retain Handling 2"), (0x16, "No Local"),
    (0x1A, "Retain As Published"), (0x12, None), (0x11, None)])
def test_rules_for_subscribe(broker, join, options, complaint):
    """Goal: so too in SUBSCRIBE; the subscription is made all the same."""
    join(options=options).next(mqtt.SUBACK)
    assert [complaint in sentence for sentence in broker.ledger.oddities] == (
        [True] if complaint else [])
    assert broker.session.subscriptions == {"#": options & 3}


# --- real clients --------------------------------------------------------------------------------

PROTOCOLS = {4: ("mqttv311", paho.MQTTv311), 5: ("5", paho.MQTTv5)}


@pytest.mark.parametrize("version, receive_maximum, cuts", [(4, None, 2), (5, 10, 2), (5, 2, 0)])
def test_mosquitto_sub(broker, version, receive_maximum, cuts):
    """
    Goal: mosquitto's client takes a session to its end, cut off in the middle, in both versions. It ends
    with an error where a broker exceeds its Receive Maximum; it counts a message twice that comes again.
    """
    sent = published(broker, 60)
    broker.script(*[Fault("pubrec", "cut", number=20), Fault("pubcomp", "cut", number=30)][:cuts])
    command = ["mosquitto_sub", "-h", broker.host, "-p", str(broker.port), "-i", "real", "-c",
               "-V", PROTOCOLS[version][0], "-q", "2", "-t", "#", "-F", "%t %x"]
    if version == mqtt.MQTT_5:
        command += ["-x", "3600", "-D", "connect", "receive-maximum", str(receive_maximum)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        try:
            assert broker.wait_for(lambda: broker.drained, 30)
        finally:
            client.terminate()
        shown = set(client.stdout.read().split("\n")) - {""}
    missing = {f"{m.topic.decode()} {m.payload.hex()}" for m in sent} - shown
    # It shows a message after its PUBCOMP, and never where that meets a connection that is cut.
    assert len(missing) <= cuts and len(shown) == len(sent) - len(missing)
    assert broker.ledger.completed_numbers() == {m.number for m in sent}
    connects = broker.ledger.connects
    assert [c.session_present for c in connects] == [False, True, True][:1 + cuts]
    assert {(c.version, c.receive_maximum) for c in connects} == {(version, receive_maximum)}
    # Its SUBSCRIBE has Retain Handling 0; all else is as the daemon must ask.
    assert all("Retain Handling 0" in sentence for sentence in broker.ledger.oddities)


def paho_client(version, on_message):
    """paho-mqtt 1.6 (Debian 12) and 2.x (Debian 13) differ in the first argument."""
    first = [paho.CallbackAPIVersion.VERSION2] if hasattr(paho, "CallbackAPIVersion") else []
    clean = {} if version == mqtt.MQTT_5 else {"clean_session": False}
    client = paho.Client(*first, client_id="real", protocol=PROTOCOLS[version][1], **clean)
    client.on_message = on_message
    return client


@pytest.mark.parametrize("versions", [(4, 4), (5, 5), (4, 5), (5, 4)])
def test_paho(broker, versions):
    """
    Goal: paho-mqtt with the daemon's requests breaks no rule, and a session goes on with another version.
    """
    sent = published(broker, 60)
    arrived, half = [], threading.Event()

    def on_message(_client, _userdata, message):
        arrived.append((message.topic.encode(), message.payload))
        if len(arrived) == 30:
            half.set()

    for version, done in zip(versions, (half.is_set, lambda: broker.drained)):
        client = paho_client(version, on_message)
        how, options = {}, {"qos": 2}
        if version == mqtt.MQTT_5:
            asks = Properties(PacketTypes.CONNECT)
            asks.SessionExpiryInterval, asks.ReceiveMaximum = 3600, 7
            how = {"clean_start": False, "properties": asks}
            options = {"options": SubscribeOptions(qos=2, retainHandling=1)}
        client.on_connect = lambda client, *_, options=options: client.subscribe("#", **options)
        client.connect(broker.host, broker.port, **how)
        client.loop_start()
        assert broker.wait_for(done, 20)
        client.disconnect()
        wait(broker, lambda: broker.ledger.visits[-1].closed)
        client.loop_stop()
    # paho-mqtt loses messages between PUBREC and PUBREL when another client goes on.
    assert set(arrived) <= {(m.topic, m.payload) for m in sent}
    assert len(arrived) >= len(sent) - broker.window
    assert broker.ledger.completed_numbers() == {m.number for m in sent}
    assert [c.version for c in broker.ledger.connects] == list(versions)
    assert [c.session_present for c in broker.ledger.connects] == [False, True]
    assert [c.receive_maximum for c in broker.ledger.connects] == [
        7 if version == 5 else None for version in versions]
    # The first connection is closed with messages on the way: then DISCONNECT may not arrive.
    assert broker.ledger.visits[-1].disconnect_reason == 0
    assert broker.ledger.oddities == []
