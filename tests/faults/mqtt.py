"""
Packets of MQTT 3.1.1 and MQTT 5, as a broker reads and writes them. `version` is the level of CONNECT:
3.1.1 unless it is given. Reading is strict: Malformed for what the standard of the version forbids.
"""

import collections
import struct

import properties as mqtt_properties
from encoding import (  # noqa: F401: users of packets take these from here
    REMAINING_LENGTH_MAX, Malformed, read_string, read_text, remaining_length, string)

MQTT_3_1_1, MQTT_5 = VERSIONS = 4, 5

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(8, 16)

NAMES = {
    CONNECT: "connect", CONNACK: "connack", PUBLISH: "publish", PUBACK: "puback",
    PUBREC: "pubrec", PUBREL: "pubrel", PUBCOMP: "pubcomp", SUBSCRIBE: "subscribe",
    SUBACK: "suback", UNSUBSCRIBE: "unsubscribe", UNSUBACK: "unsuback", PINGREQ: "pingreq",
    PINGRESP: "pingresp", DISCONNECT: "disconnect", AUTH: "auth",
}

# Reason codes of MQTT 5 that a broker or a client sends.
UNSPECIFIED, MALFORMED_PACKET, UNSUPPORTED_VERSION = 0x80, 0x81, 0x84
SHUTTING_DOWN, KEEP_ALIVE_TIMEOUT, SESSION_TAKEN_OVER = 0x8B, 0x8D, 0x8E
ID_NOT_FOUND, NO_SHARED, NO_WILDCARDS, NO_SUBSCRIPTION = 0x92, 0x9E, 0xA2, 0x11

CONNACK_OF_5 = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}
"""Return code of CONNACK in MQTT 3.1.1 -> the reason code with the same meaning."""

REASONS = {
    PUBACK: (0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99),
    PUBREC: (0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99),
    PUBCOMP: (0, 0x92),
    DISCONNECT: (0, 4, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99),
}
"""Reason codes that a client may send (MQTT 5 §3.4.2.1, §3.5.2.1, §3.7.2.1, §3.14.2.1)."""

Filter = collections.namedtuple("Filter", "name qos no_local retain_as_published retain_handling")


def by_version(make):
    """A dictionary for Fault(data=...): version -> make(version)."""
    return {version: make(version) for version in VERSIONS}


def packet(kind, body=b"", flags=0):
    return bytes([kind << 4 | flags]) + remaining_length(len(body)) + body


def _properties(version, properties):
    assert version == MQTT_5 or not properties, "MQTT 3.1.1 has no properties"
    return mqtt_properties.write(properties) if version == MQTT_5 else b""


def connack(code=0, present=False, version=MQTT_3_1_1, properties=None):
    return packet(CONNACK, bytes([int(present), code]) + _properties(version, properties))


def publish(topic, payload, qos, packet_id=None, dup=False, retain=False, version=MQTT_3_1_1,
            properties=None):
    body = string(topic)
    if qos:
        body += struct.pack(">H", packet_id)
    body += _properties(version, properties)
    return packet(PUBLISH, body + payload, dup << 3 | qos << 1 | retain)


def pubrel(packet_id, reason=0):
    """The same in both versions; a reason other than 0 is of MQTT 5."""
    return packet(PUBREL, struct.pack(">H", packet_id) + bytes([reason] if reason else []), 2)


def suback(packet_id, codes, version=MQTT_3_1_1, properties=None):
    return packet(SUBACK, struct.pack(">H", packet_id) + _properties(version, properties)
                  + bytes(codes))


def unsuback(packet_id, version=MQTT_3_1_1, codes=(0,), properties=None):
    """codes: one for each filter, in MQTT 5 only."""
    body = struct.pack(">H", packet_id) + _properties(version, properties)
    return packet(UNSUBACK, body + bytes(codes if version == MQTT_5 else ()))


def disconnect(reason=0, properties=None):
    """MQTT 5: a broker of 3.1.1 closes without a packet."""
    return packet(DISCONNECT, bytes([reason]) + mqtt_properties.write(properties))


def take_packets(buffer):
    """Remove the whole packets from the front of a bytearray; [(kind, flags, body)]."""
    packets = []
    start = 0
    while True:
        end = _end_of_packet(buffer, start)
        if end is None:
            break
        body_start, end = end
        packets.append((buffer[start] >> 4, buffer[start] & 15, bytes(buffer[body_start:end])))
        start = end
    del buffer[:start]
    return packets


def _end_of_packet(buffer, start):
    """(where the body starts, where it ends), or None while the packet is not whole."""
    length = 0
    for i in range(4):
        at = start + 1 + i
        if at >= len(buffer):
            return None
        length |= (buffer[at] & 127) << 7 * i
        if not buffer[at] & 128:
            end = at + 1 + length
            return (at + 1, end) if end <= len(buffer) else None
    raise Malformed("a remaining length of five bytes")


def packet_id(body):
    if len(body) < 2:
        raise Malformed("no packet id")
    return body[0] << 8 | body[1]


def check_flags(kind, flags):
    """The flags of a client's packet: PUBLISH has flags of its own, the others are fixed (§2.2.2)."""
    wanted = 2 if kind in (PUBREL, SUBSCRIBE, UNSUBSCRIBE) else 0
    if kind != PUBLISH and flags != wanted:
        raise Malformed(f"{NAMES.get(kind, kind)} with the flags {flags}")


def level(body):
    """The version in CONNECT, whatever else it says."""
    if len(body) < 7 or body[6] not in VERSIONS:
        raise Malformed(f"CONNECT {bytes(body[:7])!r}")
    return body[6]


def read_connect(body):
    """A dict of what CONNECT says. properties: of MQTT 5, else empty."""
    protocol, at = read_string(body, 0)
    if at + 4 > len(body):
        raise Malformed("CONNECT is cut short")
    version, flags = body[at], body[at + 1]
    if protocol != b"MQTT" or version not in VERSIONS:
        raise Malformed(f"protocol {protocol!r} level {version}")
    if flags & 1 or flags >> 3 & 3 == 3 or (not flags & 4 and flags & 0x38):
        raise Malformed(f"CONNECT with the flags 0x{flags:02X}")
    keepalive = struct.unpack_from(">H", body, at + 2)[0]
    at += 4
    properties = {}
    if version == MQTT_5:
        properties, at = mqtt_properties.read(body, at, "connect")
    client_id, at = read_text(body, at)
    if flags & 4:
        if version == MQTT_5:
            _, at = mqtt_properties.read(body, at, mqtt_properties.WILL)
        _, at = read_text(body, at)
        _, at = read_string(body, at)
    username = password = None
    if flags & 0x80:
        username, at = read_text(body, at)
    if flags & 0x40:
        password, at = read_string(body, at)
    if at != len(body):
        raise Malformed("CONNECT goes on after its last field")
    return {
        "version": version, "client_id": client_id, "clean_start": bool(flags & 2),
        "keepalive": keepalive, "username": username, "password": password,
        "properties": properties,
    }


def read_acknowledgement(kind, body, version=MQTT_3_1_1):
    """(packet id, reason code) of PUBACK, PUBREC or PUBCOMP."""
    pid = packet_id(body)
    if len(body) == 2:
        return pid, 0
    name = NAMES[kind]
    if version != MQTT_5:
        raise Malformed(f"{name} of {len(body)} bytes")
    if body[2] not in REASONS[kind]:
        raise Malformed(f"{name} with the reason code 0x{body[2]:02X}")
    if len(body) > 3:
        _, end = mqtt_properties.read(body, 3, name)
        if end != len(body):
            raise Malformed(f"{name} goes on after its properties")
    return pid, body[2]


def read_disconnect(body, version=MQTT_3_1_1):
    """(reason code, properties)"""
    if not body:
        return 0, {}
    if version != MQTT_5:
        raise Malformed(f"disconnect of {len(body)} bytes")
    if body[0] not in REASONS[DISCONNECT]:
        raise Malformed(f"disconnect with the reason code 0x{body[0]:02X}")
    if len(body) == 1:
        return body[0], {}
    properties, end = mqtt_properties.read(body, 1, "disconnect")
    if end != len(body):
        raise Malformed("disconnect goes on after its properties")
    if "server_reference" in properties:
        raise Malformed("disconnect of a client names a server (MQTT 5 §3.14.2.2.5)")
    return body[0], properties


def _read_request(kind, body, version):
    """(packet id, properties, where the filters begin) of SUBSCRIBE or UNSUBSCRIBE."""
    pid = packet_id(body)
    if pid == 0:
        raise Malformed(f"{NAMES[kind]} with packet id 0")
    properties, at = {}, 2
    if version == MQTT_5:
        properties, at = mqtt_properties.read(body, at, NAMES[kind])
    if at == len(body):
        raise Malformed(f"{NAMES[kind]} without a filter")
    return pid, properties, at


def read_subscribe(body, version=MQTT_3_1_1):
    """(packet id, [Filter], properties)"""
    pid, properties, at = _read_request(SUBSCRIBE, body, version)
    filters = []
    while at < len(body):
        name, at = read_text(body, at)
        if at >= len(body):
            raise Malformed("SUBSCRIBE without a QoS")
        options, at = body[at], at + 1
        one = Filter(name, options & 3, bool(options & 4), bool(options & 8), options >> 4 & 3)
        if one.qos == 3 or options > (0x2F if version == MQTT_5 else 2):
            raise Malformed(f"SUBSCRIBE to {name} with the options 0x{options:02X}")
        if one.no_local and name.startswith("$share/"):
            raise Malformed(f"SUBSCRIBE to {name} with No Local (MQTT 5 §3.8.3.1)")
        filters.append(one)
    return pid, filters, properties


def read_unsubscribe(body, version=MQTT_3_1_1):
    """(packet id, [name of a filter])"""
    pid, _, at = _read_request(UNSUBSCRIBE, body, version)
    names = []
    while at < len(body):
        name, at = read_text(body, at)
        names.append(name)
    return pid, names
