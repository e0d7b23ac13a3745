"""Lengths, strings and integers as MQTT writes them, in 3.1.1 and in 5."""

import struct

REMAINING_LENGTH_MAX = 268435455


class Malformed(Exception):
    """The bytes that came are no packet of the version that was agreed on."""


def remaining_length(length):
    """A variable byte integer (MQTT 5 §1.5.5): the remaining length of a packet is one."""
    encoded = bytearray()
    while True:
        length, digit = divmod(length, 128)
        encoded.append(digit | (0x80 if length else 0))
        if not length:
            return bytes(encoded)


def read_variable(body, at):
    """(a variable byte integer, where it ends)"""
    value = 0
    for i in range(4):
        if at + i >= len(body):
            raise Malformed("a variable byte integer that is cut short")
        value |= (body[at + i] & 127) << 7 * i
        if not body[at + i] & 128:
            return value, at + i + 1
    raise Malformed("a variable byte integer of five bytes")


def string(text):
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">H", len(data)) + data


def read_string(body, at):
    """(the bytes of a string, where it ends)"""
    if at + 2 > len(body):
        raise Malformed("a string without its length")
    end = at + 2 + struct.unpack_from(">H", body, at)[0]
    if end > len(body):
        raise Malformed("a string that is cut short")
    return body[at + 2:end], end


def read_text(body, at):
    """(a string of UTF-8 without U+0000, where it ends)"""
    data, end = read_string(body, at)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Malformed(f"{data!r} is not UTF-8") from None
    if "\0" in text:
        raise Malformed(f"{data!r} has the character U+0000")
    return text, end
