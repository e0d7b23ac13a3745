"""Input made to hurt, through a real broker: each message is one row or one quarantine entry."""

import hashlib

import pytest

import fleet
from harness import SANITIZED, check_sound, query, value

MIB = 1 << 20
TOPIC = "foxtrackr/h{}/V3.0/bat"
TOPIC_MAX = 65535


def body(now, battery, more=""):
    """A message with `battery`, and members after it, as JSON text that need not be valid."""
    return (f'{{"messageType":1,"deviceId":"h","version":3,"timeMs":{now},'
            f'"battery":{battery}{more}}}').encode()


def refused_payloads(now):
    """Payloads that must not become rows: name, payload, reason."""
    return [
        ("empty", b"", "empty"),
        ("nothing but NUL", bytes(1000), "encoding"),
        ("NUL at the end", body(now, "1") + b"\0", "encoding"),
        ("NUL by an escape", body(now, "1", r',"a":"\u0000"'), "encoding"),
        ("NUL in a name by an escape", body(now, "1", r',"a\u0000b":1'), "encoding"),
        ("byte order mark", b"\xef\xbb\xbf" + body(now, "1"), "encoding"),
        ("UTF-16", "\ufeff{}".encode("utf-16"), "encoding"),
        ("overlong UTF-8", body(now, "1", ',"a":"') + b"\xc0\xaf", "encoding"),
        ("surrogate as bytes", b'{"a":"\xed\xa0\x80"}', "encoding"),
        ("lone high surrogate", body(now, "1", r',"a":"\ud800"'), "json"),
        ("lone low surrogate", body(now, "1", r',"a":"\udc00"'), "json"),
        ("arrays, 513 levels", body(now, "1", ',"a":' + "[" * 512 + "]" * 512), "json"),
        ("arrays, 2,000 deep", body(now, "1", ',"a":' + "[" * 2000 + "]" * 2000), "json"),
        ("arrays without an end", b"[" * 250_000, "json"),
        ("objects without an end", b'{"a":' * 50_000, "json"),
        ("2^63 as the time", body(1 << 63, "1"), "envelope"),
        ("2^63 - 1 as the time", body((1 << 63) - 1, "1"), "time"),
        ("-2^63 as the time", body(-(1 << 63), "1"), "time"),
        ("2^63 as a real, as the time", body("9223372036854775808.0", "1"), "envelope"),
        ("1e400", body(now, "1e400"), "json"),
        ("-1e400 where nobody looks", body(now, "1", ',"a":[-1e400]'), "json"),
        ("NaN", body(now, "NaN"), "json"),
        ("duplicate names", body(now, "1", ',"battery":2'), "json"),
        ("duplicate names by an escape", body(now, "1", r',"b\u0061ttery":2'), "json"),
        ("duplicate names, deep", body(now, '{"a":[{"b":1,"b":1}]}'), "json"),
    ]


def odd_payloads(now):
    """Strange payloads that are rows: name, payload, volts. Each has a time of its own, from `now`."""
    bodies = [
        ("arrays, 512 levels", "1", 1, ',"a":' + "[" * 511 + "]" * 511),
        ("1e308", "1e308", None, ""),
        ("less than the least real", "1e-400", None, ""),
        ("2^63", str(1 << 63), None, ""),
        ("an integer of 200,000 digits", "1", 1, f',"a":{"9" * 200_000}'),
        ("a fraction of 200,000 digits", "0." + "3" * 200_000, 1 / 3, ""),
        ("15,000 names", "1", 1, "".join(f',"n{i}":{i}' for i in range(15_000))),
        ("a pair of surrogates", "1", 1, r',"a":"\ud83d\ude00"'),
        ("byte order mark in a string", "1", 1, ',"a":"\ufeff"'),
        ("a string of 250,000 characters", "1", 1, ',"a":"' + "x" * 250_000 + '"'),
    ]
    return [(name, body(now + i, battery, more), volts)
            for i, (name, battery, volts, more) in enumerate(bodies)]


def test_payloads_made_to_hurt(broker, daemon):
    """
    Goal: each payload that cannot be understood is one quarantine entry, byte for byte and for the
    right reason; each that only looks bad is one row, which an analyst's query can look into;
    nothing is counted twice.
    """
    now = fleet.now_ms()
    refused, odd = refused_payloads(now), odd_payloads(now)
    daemon.start()
    for number, (_, payload, _) in enumerate(refused):
        broker.publish(TOPIC.format(number), payload)
    for number, (_, payload, _) in enumerate(odd):
        broker.publish(TOPIC.format(f"-odd-{number}"), payload)
    daemon.wait_received(len(refused) + len(odd))
    daemon.stop()

    entries = query(daemon.database,
                    "SELECT topic, payload, reason, occurrences FROM quarantine ORDER BY topic")
    names = {payload: name for name, payload, *_ in refused + odd}
    assert sorted((names[payload], reason) for _, payload, reason, _ in entries) \
        == sorted((name, reason) for name, _, reason in refused)
    assert {occurrences for *_, occurrences in entries} == {1}
    rows = query(daemon.database, "SELECT time_ms, voltage_v FROM battery ORDER BY time_ms")
    assert rows == [(now + i, volts) for i, (_, _, volts) in enumerate(odd)]
    assert query(daemon.database, """
        SELECT count(*), sum(json_valid(extra)), count(extra ->> '$.a') FROM battery
         WHERE extra IS NOT NULL""") == [(9, 9, 5)]
    assert query(daemon.database, "SELECT received, stored, duplicate, quarantined FROM runs") \
        == [(len(refused) + len(odd), len(odd), 0, len(refused))]
    check_sound(daemon.database)


def peak_mib(process):
    """The most memory that a process has had in RAM."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


@pytest.mark.long
def test_payload_of_64_mib(broker, daemon):
    """
    Goal: payloads far over the limit are quarantined with their full length and the digest of the
    whole; they cost some copies of one for a moment, however many come.
    """
    digests = []
    daemon.start()
    before = peak_mib(daemon.process)
    for number in range(5):
        payload = bytes([number + 1]) * (64 * MIB)
        digests.append(hashlib.sha256(payload).hexdigest())
        broker.publish(TOPIC.format(number), payload)
        daemon.wait_received(number + 1)
    broker.publish(TOPIC.format("after"), body(fleet.now_ms(), "1"))
    daemon.wait_received(len(digests) + 1)
    peak = peak_mib(daemon.process)
    daemon.stop()

    entries = query(daemon.database, "SELECT payload, reason, detail FROM quarantine ORDER BY topic")
    assert len(entries) == len(digests)
    for number, (payload, reason, detail) in enumerate(entries):
        assert (payload, reason) == (bytes([number + 1]) * (256 * 1024), "oversize")
        assert str(64 * MIB) in detail and digests[number] in detail
    assert value(daemon.database, "SELECT count(*) FROM battery") == 1
    print(f"peak memory: {before:.0f} MiB at first, {peak:.0f} MiB in the end")
    if not SANITIZED:  # which keeps what was freed
        assert peak < before + 4 * 64
    check_sound(daemon.database)


def long_topics():
    """
    Topics as long as MQTT allows: topic, reason. None: a row in `messages`. What mosquitto does not
    let through is not here: more than 201 levels, control characters, bytes that are not UTF-8.
    """
    def fill(start, end="", filler="x"):
        return start + filler * ((TOPIC_MAX - len(start + end)) // len(filler.encode())) + end

    return [
        (fill("foxtrackr/h/V3.0/"), None),
        (fill("foxtrackr/", "/V3.0/gps"), None),
        (fill("foxtrackr/h/V3.", "/gps"), "version"),
        (fill("foxtrackr/h/V3.", "/gps", "1"), None),
        (fill("foxtrackr/"), "topic"),
        (fill("foxtrackr/" + "a/" * 199), "topic"),
        (fill("foxtrackr//", "", "\U0001f98a"), "topic"),
    ]


def test_topics_of_65535_bytes(broker, daemon):
    """Goal: the longest topics that MQTT has are stored whole, as rows or in quarantine."""
    topics = long_topics()
    now = fleet.now_ms()
    daemon.start()
    for number, (topic, _) in enumerate(topics):
        broker.publish(topic, body(now + number, "1"))
    daemon.wait_received(len(topics))
    daemon.stop()

    assert {len(topic.encode()) for topic, _ in topics} == {TOPIC_MAX}
    assert sorted(query(daemon.database, "SELECT topic, reason FROM quarantine")) \
        == sorted((topic, reason) for topic, reason in topics if reason)
    rows = query(daemon.database, "SELECT type, version, time_ms - ? FROM messages", now)
    assert sorted(rows) == sorted(
        (topic.split("/")[3], topic.split("/")[2], number)
        for number, (topic, reason) in enumerate(topics) if not reason)
    check_sound(daemon.database)
