"""MQTT 3.1.1 packets, as a broker reads and writes them."""

import struct

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(8, 15)

NAMES = {
    CONNECT: "connect", CONNACK: "connack", PUBLISH: "publish", PUBACK: "puback",
    PUBREC: "pubrec", PUBREL: "pubrel", PUBCOMP: "pubcomp", SUBSCRIBE: "subscribe",
    SUBACK: "suback", UNSUBSCRIBE: "unsubscribe", UNSUBACK: "unsuback", PINGREQ: "pingreq",
    PINGRESP: "pingresp", DISCONNECT: "disconnect",
}

REMAINING_LENGTH_MAX = 268435455


class Malformed(Exception):
    """The received bytes are not a packet of MQTT 3.1.1."""


def remaining_length(length):
    encoded = bytearray()
    while True:
        length, digit = divmod(length, 128)
        encoded.append(digit | (0x80 if length else 0))
        if not length:
            return bytes(encoded)


def packet(kind, body=b"", flags=0):
    return bytes([kind << 4 | flags]) + remaining_length(len(body)) + body


def string(text):
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">H", len(data)) + data


def connack(code=0, present=False):
    return packet(CONNACK, bytes([int(present), code]))


def publish(topic, payload, qos, packet_id=None, dup=False, retain=False):
    body = string(topic)
    if qos:
        body += struct.pack(">H", packet_id)
    return packet(PUBLISH, body + payload, dup << 3 | qos << 1 | retain)


def pubrel(packet_id):
    return packet(PUBREL, struct.pack(">H", packet_id), 2)


def suback(packet_id, codes):
    return packet(SUBACK, struct.pack(">H", packet_id) + bytes(codes))


def unsuback(packet_id):
    return packet(UNSUBACK, struct.pack(">H", packet_id))


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


def read_string(body, at):
    if at + 2 > len(body):
        raise Malformed("a string without its length")
    end = at + 2 + struct.unpack_from(">H", body, at)[0]
    if end > len(body):
        raise Malformed("a string that is cut short")
    return body[at + 2:end], end


def read_connect(body):
    """A dict of what CONNECT says."""
    protocol, at = read_string(body, 0)
    if at + 4 > len(body):
        raise Malformed("CONNECT is cut short")
    level, flags = body[at], body[at + 1]
    keepalive = struct.unpack_from(">H", body, at + 2)[0]
    client_id, at = read_string(body, at + 4)
    if flags & 4:
        _, at = read_string(body, at)
        _, at = read_string(body, at)
    username = password = None
    if flags & 0x80:
        username, at = read_string(body, at)
    if flags & 0x40:
        password, at = read_string(body, at)
    if protocol != b"MQTT" or level != 4:
        raise Malformed(f"protocol {protocol!r} level {level}")
    return {
        "client_id": client_id.decode(), "clean_session": bool(flags & 2), "keepalive": keepalive,
        "username": username.decode() if username is not None else None, "password": password,
    }


def read_filters(body, with_qos):
    """The packet id, and the filters of SUBSCRIBE (with the QoS asked for) or UNSUBSCRIBE."""
    filters = []
    at = 2
    while at < len(body):
        name, at = read_string(body, at)
        qos = 0
        if with_qos:
            if at >= len(body) or body[at] > 2:
                raise Malformed("SUBSCRIBE without a QoS")
            qos = body[at]
            at += 1
        filters.append((name.decode(), qos))
    if not filters:
        raise Malformed("no filter")
    return packet_id(body), filters
