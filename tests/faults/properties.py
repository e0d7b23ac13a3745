"""
Properties of MQTT 5 packets (§2.2.2): a dictionary from the name in the standard, in lower case, to
its value. A property that may come several times has a list of values; a user property is a pair.
"""

import collections
import struct

from encoding import (Malformed, read_string, read_text, read_variable, remaining_length, string)

WILL = "will"   # the properties of a will come in CONNECT, apart from those of CONNECT itself

Property = collections.namedtuple("Property", "identifier form packets")
"""
form: "flag" (0 or 1), "two" or "four" (bytes of an integer), "variable" (an integer), "binary", "text",
or "pair" (of texts). packets: the names of those that may have it.
"""

MESSAGE = ("publish", WILL)
ANSWERS = ("connack", "puback", "pubrec", "pubrel", "pubcomp", "suback", "unsuback", "disconnect",
           "auth")
AUTHENTICATION = ("connect", "connack", "auth")

PROPERTIES = {
    "payload_format_indicator": Property(0x01, "flag", MESSAGE),
    "message_expiry_interval": Property(0x02, "four", MESSAGE),
    "content_type": Property(0x03, "text", MESSAGE),
    "response_topic": Property(0x08, "text", MESSAGE),
    "correlation_data": Property(0x09, "binary", MESSAGE),
    "subscription_identifier": Property(0x0B, "variable", ("publish", "subscribe")),
    "session_expiry_interval": Property(0x11, "four", ("connect", "connack", "disconnect")),
    "assigned_client_identifier": Property(0x12, "text", ("connack",)),
    "server_keep_alive": Property(0x13, "two", ("connack",)),
    "authentication_method": Property(0x15, "text", AUTHENTICATION),
    "authentication_data": Property(0x16, "binary", AUTHENTICATION),
    "request_problem_information": Property(0x17, "flag", ("connect",)),
    "will_delay_interval": Property(0x18, "four", (WILL,)),
    "request_response_information": Property(0x19, "flag", ("connect",)),
    "response_information": Property(0x1A, "text", ("connack",)),
    "server_reference": Property(0x1C, "text", ("connack", "disconnect")),
    "reason_string": Property(0x1F, "text", ANSWERS),
    "receive_maximum": Property(0x21, "two", ("connect", "connack")),
    "topic_alias_maximum": Property(0x22, "two", ("connect", "connack")),
    "topic_alias": Property(0x23, "two", ("publish",)),
    "maximum_qos": Property(0x24, "flag", ("connack",)),
    "retain_available": Property(0x25, "flag", ("connack",)),
    "user_property": Property(0x26, "pair", (*ANSWERS, *MESSAGE, "connect", "subscribe",
                                             "unsubscribe")),
    "maximum_packet_size": Property(0x27, "four", ("connect", "connack")),
    "wildcard_subscription_available": Property(0x28, "flag", ("connack",)),
    "subscription_identifier_available": Property(0x29, "flag", ("connack",)),
    "shared_subscription_available": Property(0x2A, "flag", ("connack",)),
}

NAMES = {known.identifier: name for name, known in PROPERTIES.items()}
NOT_ZERO = ("subscription_identifier", "receive_maximum", "topic_alias", "maximum_packet_size")
SEVERAL = {("user_property", packet) for packet in PROPERTIES["user_property"].packets}
SEVERAL.add(("subscription_identifier", "publish"))


def write(properties=None):
    """The bytes of the properties with their length."""
    body = bytearray()
    for name, value in (properties or {}).items():
        known = PROPERTIES[name]
        for one in value if isinstance(value, list) else [value]:
            body += bytes([known.identifier]) + _write_value(known.form, one)
    return remaining_length(len(body)) + bytes(body)


def _write_value(form, value):
    if form == "flag":
        return bytes([value])
    if form in ("two", "four"):
        return struct.pack(">H" if form == "two" else ">I", value)
    if form == "variable":
        return remaining_length(value)
    if form == "pair":
        return string(value[0]) + string(value[1])
    return string(value)


def read(body, at, packet):
    """(properties, where they end) of a packet by its name; Malformed where MQTT 5 forbids them."""
    length, at = read_variable(body, at)
    end = at + length
    if end > len(body):
        raise Malformed(f"properties of {packet} beyond its end")
    found = {}
    while at < end:
        identifier, at = read_variable(body[:end], at)
        name = NAMES.get(identifier)
        if name is None or packet not in PROPERTIES[name].packets:
            raise Malformed(f"property 0x{identifier:02X} ({name}) in {packet}")
        value, at = _read_value(PROPERTIES[name].form, body[:end], at)
        if value == 0 and name in NOT_ZERO:
            raise Malformed(f"{name} is 0 in {packet}")
        if (name, packet) in SEVERAL:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise Malformed(f"{name} twice in {packet}")
        else:
            found[name] = value
    return found, end


def _read_value(form, body, at):
    size = {"flag": 1, "two": 2, "four": 4}.get(form)
    if size:
        if at + size > len(body):
            raise Malformed("a property that is cut short")
        value = int.from_bytes(body[at:at + size], "big")
        if form == "flag" and value > 1:
            raise Malformed(f"a property is {value}: only 0 and 1 are allowed")
        return value, at + size
    if form == "variable":
        return read_variable(body, at)
    if form == "binary":
        return read_string(body, at)
    text, at = read_text(body, at)
    if form == "pair":
        second, at = read_text(body, at)
        return (text, second), at
    return text, at
