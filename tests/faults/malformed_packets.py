"""
The packets of the campaign `malformed`, for each version of MQTT: malformed ones, well-formed ones at the
wrong time, odd ones that do no harm; and what the daemon says of each.
"""

import mqtt
import properties as mqtt_properties

SAID = (r"the broker sent a (malformed \w+|packet of type \d+, which no broker sends|"
        r"\w+ before a CONNACK that accepts|CONNACK a second time)")
BEFORE_CONNACK = r"the broker sent a {} before a CONNACK that accepts"
UNASKED = r"the broker sent a {} although nothing was published to it"


def body_of(kind, body, flags=0):
    return mqtt.packet(kind, body, flags)


# The packet's name -> its bytes. Each must be refused, at any stage, in both versions.
PACKETS_OF_BOTH = {
    "CONNACK of no byte": body_of(mqtt.CONNACK, b""),
    "CONNACK of 1 byte": body_of(mqtt.CONNACK, b"\0"),
    "CONNACK of MQTT 5 with a length of properties and no properties":
        body_of(mqtt.CONNACK, b"\0\0\x7f"),
    "PUBLISH of no byte": body_of(mqtt.PUBLISH, b""),
    "PUBLISH of 1 byte": body_of(mqtt.PUBLISH, b"\0", 4),
    "PUBLISH with QoS 3": body_of(mqtt.PUBLISH, mqtt.string("a/b") + b"\0\1x", 6),
    "PUBLISH with a topic beyond its end": body_of(mqtt.PUBLISH, b"\xff\xffabc", 4),
    "PUBLISH with a topic that leaves no packet identifier":
        body_of(mqtt.PUBLISH, mqtt.string("foxtrackr/x"), 4),
    "PUBLISH with packet identifier 0": body_of(mqtt.PUBLISH, mqtt.string("a/b") + b"\0\0x", 4),
    "PUBACK of no byte": body_of(mqtt.PUBACK, b""),
    "PUBREC of 1 byte": body_of(mqtt.PUBREC, b"\0"),
    "PUBREL of no byte": body_of(mqtt.PUBREL, b"", 2),
    "PUBREL of 1 byte": body_of(mqtt.PUBREL, b"\1", 2),
    "PUBREL of 5 bytes": body_of(mqtt.PUBREL, b"\0\1\0\0\0", 2),
    "PUBCOMP of 1 byte": body_of(mqtt.PUBCOMP, b"\0"),
    "SUBACK of no byte": body_of(mqtt.SUBACK, b""),
    "SUBACK without a return code": body_of(mqtt.SUBACK, b"\0\1"),
    "SUBACK with two return codes": body_of(mqtt.SUBACK, b"\0\1\2\2"),
    "SUBACK with return code 3": body_of(mqtt.SUBACK, b"\0\1\3"),
    "SUBACK with a thousand return codes": body_of(mqtt.SUBACK, b"\0\1" + bytes(1000)),
    "UNSUBACK of no byte": body_of(mqtt.UNSUBACK, b""),
    "UNSUBACK of 1 byte": body_of(mqtt.UNSUBACK, b"\0"),
    "PINGRESP with a body": body_of(mqtt.PINGRESP, b"abc"),
    "PINGREQ": body_of(mqtt.PINGREQ, b""),
    "CONNECT": body_of(mqtt.CONNECT, mqtt.string("MQTT") + b"\4\0\0\0" + mqtt.string("x")),
    "SUBSCRIBE": body_of(mqtt.SUBSCRIBE, b"\0\1" + mqtt.string("#") + b"\2", 2),
    "DISCONNECT of MQTT 5": body_of(mqtt.DISCONNECT, b"\x8e\x05\x1f\0\x7fab"),
    "AUTH of MQTT 5": body_of(15, b"\x18\0"),
    "reserved type 0": body_of(0, b""),
    "a remaining length of five bytes": b"\x30\xff\xff\xff\xff\x01",
    "SUBACK that announces 256 MiB": b"\x90\xff\xff\xff\x7f",
    "PUBREL that announces 256 MiB": b"\x62\xff\xff\xff\x7f",
}


def with_properties(kind, head, properties, behind=b"", flags=0):
    """A packet of MQTT 5; the properties as their bytes."""
    return body_of(kind, head + mqtt.remaining_length(len(properties)) + properties + behind, flags)


TOPIC_AND_ID = mqtt.string("a/b") + b"\0\1"

# Those of one version: the other has such packets, or no such fields.
PACKETS_OF = {
    mqtt.MQTT_3_1_1: {
        "CONNACK of 3 bytes": body_of(mqtt.CONNACK, b"\0\0\0"),
        "a CONNACK with reserved flags": body_of(mqtt.CONNACK, b"\x02\0"),
        "UNSUBACK of MQTT 5": body_of(mqtt.UNSUBACK, b"\0\1\0\0"),
    },
    mqtt.MQTT_5: {
        "a CONNACK with reserved flags": body_of(mqtt.CONNACK, b"\x02\0\0"),
        "CONNACK with a property that does not exist":
            with_properties(mqtt.CONNACK, b"\0\0", b"\x7f\0"),
        "CONNACK with a property of PUBLISH":
            with_properties(mqtt.CONNACK, b"\0\0", b"\x23\0\1"),
        "CONNACK with a property twice":
            with_properties(mqtt.CONNACK, b"\0\0", b"\x21\0\x14\x21\0\x15"),
        "CONNACK with a property that is cut short":
            with_properties(mqtt.CONNACK, b"\0\0", b"\x11\0\0"),
        "CONNACK with a string beyond its properties":
            with_properties(mqtt.CONNACK, b"\0\0", b"\x1f\0\x09ab"),
        "CONNACK that goes on behind its properties":
            with_properties(mqtt.CONNACK, b"\0\0", b"", b"x"),
        "CONNACK with a length of properties of five bytes":
            body_of(mqtt.CONNACK, b"\0\0\x80\x80\x80\x80\1"),
        "CONNACK with Receive Maximum 0": with_properties(mqtt.CONNACK, b"\0\0", b"\x21\0\0"),
        "PUBLISH without properties": body_of(mqtt.PUBLISH, TOPIC_AND_ID, 4),
        "PUBLISH with properties beyond its end":
            body_of(mqtt.PUBLISH, TOPIC_AND_ID + b"\x05\x01\1", 4),
        "PUBLISH with a property of CONNACK":
            with_properties(mqtt.PUBLISH, TOPIC_AND_ID, b"\x13\0\5", b"x", 4),
        "PUBLISH with a Topic Alias":
            with_properties(mqtt.PUBLISH, TOPIC_AND_ID, b"\x23\0\1", b"x", 4),
        "PUBLISH with a Topic Alias and no topic":
            with_properties(mqtt.PUBLISH, b"\0\0\0\1", b"\x23\0\1", b"x", 4),
        "PUBLISH with half a user property":
            with_properties(mqtt.PUBLISH, TOPIC_AND_ID, b"\x26\0\1a", b"x", 4),
        "PUBLISH of QoS 0 without properties": body_of(mqtt.PUBLISH, mqtt.string("a/b")),
        "PUBREL with packet identifier 0": body_of(mqtt.PUBREL, b"\0\0", 2),
        "PUBREL with properties beyond its end": body_of(mqtt.PUBREL, b"\0\1\0\5\x1f", 2),
        "PUBREL with a property of CONNACK":
            with_properties(mqtt.PUBREL, b"\0\1\0", b"\x13\0\5", flags=2),
        "SUBACK of MQTT 3.1.1": body_of(mqtt.SUBACK, b"\0\1\2"),
        "SUBACK without a reason code": with_properties(mqtt.SUBACK, b"\0\1", b"\x1f\0\1x"),
        "SUBACK with two reason codes": with_properties(mqtt.SUBACK, b"\0\1", b"", b"\2\2"),
        "SUBACK with reason code 3": with_properties(mqtt.SUBACK, b"\0\1", b"", b"\3"),
        "SUBACK with a property of CONNACK":
            with_properties(mqtt.SUBACK, b"\0\1", b"\x13\0\5", b"\2"),
        "UNSUBACK of MQTT 3.1.1": body_of(mqtt.UNSUBACK, b"\0\1"),
        "UNSUBACK with reason code 2": with_properties(mqtt.UNSUBACK, b"\0\1", b"", b"\2"),
        "DISCONNECT with a property of CONNECT":
            with_properties(mqtt.DISCONNECT, b"\0", b"\x21\0\5"),
        "DISCONNECT that goes on behind its properties":
            with_properties(mqtt.DISCONNECT, b"\x8b", b"", b"x"),
    },
}


def packets(version):
    """The packets that must be refused in this version."""
    return {**PACKETS_OF_BOTH, **PACKETS_OF[version]}


def large(version, limit):
    """The same of messages that are larger than `limit`: they are shortened while they come."""
    none = b"\0" if version == mqtt.MQTT_5 else b""     # properties

    def publish(qos, head, length):
        return body_of(mqtt.PUBLISH, head + none + b"x" * length, qos << 1)

    made = {
        "a large PUBLISH with a topic beyond its end":
            body_of(mqtt.PUBLISH, b"\xff\xff" + b"a" * 3 * limit, 4),
        "a large PUBLISH with packet identifier 0":
            publish(2, mqtt.string("a/b") + b"\0\0", 3 * limit),
        "a large PUBLISH with QoS 1 and packet identifier 0":
            publish(1, mqtt.string("a/b") + b"\0\0", 100 * limit),
        "a large PUBLISH with QoS 3": publish(3, mqtt.string("a/b"), 3 * limit),
    }
    if version == mqtt.MQTT_5:
        made |= {
            "a large PUBLISH with a Topic Alias":
                with_properties(mqtt.PUBLISH, TOPIC_AND_ID, b"\x23\0\1", b"x" * 3 * limit, 4),
            "a large PUBLISH with properties beyond its end":
                body_of(mqtt.PUBLISH, TOPIC_AND_ID + b"\xff\xff\x7f" + b"\x26" * 3 * limit, 4),
        }
    return made


def misplaced(version):
    """
    Packets that are well-formed: [(what, where, what is sent there, what is said)]; a function gets the
    packet that belongs there. In Paho, each would complete a request that it does not answer, or begin
    a handshake on a connection that is not accepted.
    """
    return [
        ("PUBLISH", "in the place of CONNACK",
         mqtt.publish("foxtrackr/x/V3.0/bat", b"{}", 2, 7, version=version),
         BEFORE_CONNACK.format("PUBLISH")),
        ("PUBLISH with QoS 0", "in the place of CONNACK",
         mqtt.publish("a/b", b"{}", 0, version=version), BEFORE_CONNACK.format("PUBLISH")),
        ("PUBREL", "in the place of CONNACK", mqtt.pubrel(1), BEFORE_CONNACK.format("PUBREL")),
        ("SUBACK", "in the place of CONNACK", mqtt.suback(1, [2], version),
         BEFORE_CONNACK.format("SUBACK")),
        ("PINGRESP", "in the place of CONNACK", mqtt.packet(mqtt.PINGRESP),
         BEFORE_CONNACK.format("PINGRESP")),
        ("a PUBLISH that announces 256 MiB", "in the place of CONNACK", b"\x30\xff\xff\xff\x7f",
         BEFORE_CONNACK.format("PUBLISH")),
        *(("a second CONNACK", where, mqtt.connack(0, True, version),
           "the broker sent a CONNACK a second time on one connection")
          for where in ("in the place of SUBACK", "in the place of the 10th PUBLISH")),
        *((name, where, lambda packet, kind=kind: body_of(kind, packet_id(packet)),
           UNASKED.format(name))
          for name, kind in (("PUBACK", mqtt.PUBACK), ("PUBREC", mqtt.PUBREC),
                             ("PUBCOMP", mqtt.PUBCOMP))
          for where in ("in the place of SUBACK", "in the place of the 10th PUBREL")),
        ("UNSUBACK with the identifier of the SUBSCRIBE", "in the place of SUBACK",
         lambda packet: mqtt.unsuback(mqtt.packet_id(packet_id(packet)), version),
         r"the broker sent a UNSUBACK with packet identifier \d+ although no UNSUBSCRIBE waits"),
        ("SUBACK for another identifier", "in the place of SUBACK",
         lambda packet: mqtt.suback(mqtt.packet_id(packet_id(packet)) ^ 0x7777, [2], version),
         r"the broker sent a SUBACK with packet identifier \d+, the SUBSCRIBE has \d+"),
        ("SUBACK twice", "in the place of SUBACK", lambda packet: packet + packet,
         r"the broker sent a SUBACK with packet identifier \d+ although no SUBSCRIBE waits"),
        ("SUBACK for nothing", "in the place of the 10th PUBLISH", mqtt.suback(1, [2], version),
         r"the broker sent a SUBACK with packet identifier 1 although no SUBSCRIBE waits"),
        ("UNSUBACK for nothing", "in the place of the 10th PUBLISH", mqtt.unsuback(1, version),
         r"the broker sent a UNSUBACK with packet identifier 1 although no UNSUBSCRIBE waits"),
    ]


def packet_id(packet):
    """The two bytes of the identifier in a SUBACK or PUBREL."""
    return packet[2:4]


def harmless(version):
    """Name -> step, data and action of its Fault. Nothing is said of it, and the connection stays."""
    return {**HARMLESS_IN_BOTH, **(HARMLESS_IN_5 if version == mqtt.MQTT_5 else {})}


def longer(packet, count):
    """The same packet with `count` bytes for its remaining length."""
    first = bytearray(packet)
    length, at = 0, 1
    while True:
        length |= (first[at] & 127) << 7 * (at - 1)
        at += 1
        if not first[at - 1] & 128:
            break
    digits = [length >> 7 * i & 127 | 128 for i in range(count)]
    digits[-1] &= 127
    return bytes([first[0], *digits]) + bytes(first[at:])


HARMLESS_IN_BOTH = {
    "PINGRESP unasked": ("publish", mqtt.packet(mqtt.PINGRESP), "insert"),
    "PUBREL for nothing": ("publish", mqtt.pubrel(0x7777), "insert"),
    "PUBREL without its reserved flag":
        ("pubrel", lambda packet: b"\x60" + packet[1:], "replace"),
    "CONNACK with reserved flags of the fixed header":
        ("connack", lambda packet: b"\x2f" + packet[1:], "replace"),
    **{f"{name} whose remaining length has {count} bytes":
       (name, lambda packet, count=count: longer(packet, count), "replace")
       for name in ("connack", "suback", "publish", "pubrel") for count in (2, 4)},
}

SOME = {"reason_string": "because", "user_property": [("a", "b"), ("a", "b")]}

HARMLESS_IN_5 = {
    "CONNACK with properties":
        ("connack", mqtt.connack(0, False, mqtt.MQTT_5, {
            **SOME, "receive_maximum": 1, "topic_alias_maximum": 9, "maximum_packet_size": 100000,
            "retain_available": 0, "subscription_identifier_available": 0}), "replace"),
    "SUBACK with properties":
        ("suback", lambda packet: mqtt.suback(
            mqtt.packet_id(packet_id(packet)), [2], mqtt.MQTT_5, SOME), "replace"),
    "PUBREL with a reason code":
        ("pubrel", lambda packet: body_of(mqtt.PUBREL, packet_id(packet) + b"\0", 2), "replace"),
    "PUBREL with reason code and properties":
        ("pubrel", lambda packet: body_of(
            mqtt.PUBREL, packet_id(packet) + b"\0" + mqtt_properties.write(SOME), 2), "replace"),
    "every PUBLISH with properties":
        ("connack", lambda broker, _: broker.publish_properties.update(
            payload_format_indicator=1, content_type="application/json", message_expiry_interval=9,
            response_topic="a/b", correlation_data=b"\0", subscription_identifier=[1, 268435455],
            user_property=SOME["user_property"]), "call"),
}
