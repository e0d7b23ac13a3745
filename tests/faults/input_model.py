"""
What must come of a topic and a payload, said a second time and in other words than lib/ says it:
the design's parsing rules on top of Python's own UTF-8 and JSON. Where the two disagree, one of
them is wrong.
"""

import json
import math
import re

from broker import Row

TIME_MIN_MS = 1_262_304_000_000     # 2010-01-01
DEPTH_MAX = 512
VERSION = re.compile(r"[Vv]3(\.[0-9]+)*\Z")
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
MEMBERS = {"bat": ("battery", "battery"), "temp": ("temperature", "temperature")}


class Refused(Exception):
    """The reason as in quarantine.reason."""


def judge(topic, payload, now_ms, max_future_ms=86_400_000):
    """A Row (values only for `messages`), or ("quarantine", reason)."""
    try:
        return _row(topic, payload, now_ms + max_future_ms)
    except Refused as refused:
        return ("quarantine", str(refused))


def _require(condition, reason):
    if not condition:
        raise Refused(reason)


def _text(raw):
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise Refused("encoding") from None
    _require("\0" not in text, "encoding")
    return text


def _type_of(topic):
    _require(topic, "topic")
    text = _text(topic)
    levels = text.split("/")
    _require("+" not in text and "#" not in text and len(levels) == 4 and all(levels), "topic")
    _require(VERSION.match(levels[2]), "version")
    return "".join(c.lower() if c.isascii() else c for c in levels[3])


def _object(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name twice")
    return members


def _check(value, depth=1):
    """Refuse the values that RFC 8259 leaves open and the daemon refuses."""
    if isinstance(value, str):
        value.encode()                                  # UnicodeEncodeError: a lone surrogate
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not finite")
    elif isinstance(value, (dict, list)):
        if depth > DEPTH_MAX:
            raise ValueError("too deep")
        for inner in [*value.keys(), *value.values()] if isinstance(value, dict) else value:
            _check(inner, depth + 1)


def _load(payload):
    _require(payload, "empty")
    text = _text(payload)
    _require(not text.startswith("\ufeff"), "encoding")

    def constant(name):
        raise ValueError(name)

    try:
        body = json.loads(text, object_pairs_hook=_object, parse_constant=constant)
        _check(body)
    except (ValueError, RecursionError):
        raise Refused("json") from None
    return body


def _whole(value):
    """An integer, or a real that is one; None otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    return int(value) if -(1 << 63) <= value < 1 << 63 else None


def _is_number(value):
    """A string that is exactly a number is one."""
    if isinstance(value, str):
        return NUMBER.match(value) is not None
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _row(topic, payload, time_max_ms):
    kind = _type_of(topic)
    body = _load(payload)
    _require(isinstance(body, dict), "envelope")
    message_type, device = body.get("messageType"), body.get("deviceId")
    _require(_whole(message_type) is not None, "envelope")
    _require(isinstance(device, (str, int)) and not isinstance(device, bool) and device != "",
             "envelope")
    version, time_ms = _whole(body.get("version")), _whole(body.get("timeMs"))
    _require(version is not None and time_ms is not None, "envelope")
    _require(version == 3, "version")
    _require(TIME_MIN_MS <= time_ms <= time_max_ms, "time")
    if kind not in MEMBERS:
        return Row("messages", str(device), time_ms, {"type": kind, "body": payload.decode()})
    member, table = MEMBERS[kind]
    _require(isinstance(body.get(member), dict) or _is_number(body.get(member)), "body")
    return Row(table, str(device), time_ms, {})
