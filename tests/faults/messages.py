"""Messages that follow from a seed alone, each with what must come of it."""

import json
import random

from broker import Message, Row

FIRST_TIME_MS = 1_700_000_000_000   # 2023-11-14: after 2010, and never in the future
STEP_MS = 1000


def make(count, seed, *, start=0, devices=5, garbage=0.05, qos=2):
    """
    `count` messages with the numbers from `start`. A message's time follows from its number, so
    batches of different numbers never collide. `garbage` is the share of messages that must end in
    quarantine. qos may be a function of the random generator.
    """
    chance = random.Random(f"{seed}/{start}")
    return [_one(chance, number, devices, garbage, qos) for number in range(start, start + count)]


def _one(chance, number, devices, garbage, qos):
    level = qos(chance) if callable(qos) else qos
    device = f"d{chance.randrange(devices)}"
    time_ms = FIRST_TIME_MS + number * STEP_MS
    if chance.random() < garbage:
        topic, payload, reason = chance.choice(GARBAGE)(number, device, time_ms)
        return Message(number, topic, payload, level, ("quarantine", reason))
    kind = chance.choices((_battery, _temperature, _other), (60, 35, 5))[0]
    topic, payload, row = kind(chance, device, time_ms, number)
    return Message(number, topic, payload, level, row)


def envelope(device, time_ms, **more):
    return {"messageType": 7, "deviceId": device, "version": 3, "timeMs": time_ms, **more}


def _battery(chance, device, time_ms, _number):
    volts, level = round(chance.uniform(3.0, 4.2), 3), chance.randrange(101)
    body = envelope(device, time_ms, battery={"voltage": volts, "level": level})
    return (f"foxtrackr/{device}/V3.0/bat", json.dumps(body),
            Row("battery", device, time_ms, {"voltage_v": volts, "level_pct": float(level)}))


def _temperature(chance, device, time_ms, _number):
    celsius = round(chance.uniform(-30, 60), 2)
    body = envelope(device, time_ms, temperature={"celsius": celsius})
    return (f"foxtrackr/{device}/V3.0/temp", json.dumps(body),
            Row("temperature", device, time_ms, {"celsius": celsius}))


def _other(chance, device, time_ms, number):
    text = json.dumps(envelope(device, time_ms, gps={"n": number, "lat": chance.random()}))
    return (f"foxtrackr/{device}/V3.0/gps", text,
            Row("messages", device, time_ms, {"type": "gps", "body": text}))


GARBAGE = [
    lambda n, d, t: (f"foxtrackr/{d}/V3.0/bat", f"{{\"n\": {n}, broken", "json"),
    lambda n, d, t: (f"foxtrackr/{d}/V3.0/bat", b"\xff\xfe" + str(n).encode(), "encoding"),
    lambda n, d, t: (f"foxtrackr/{d}/V3.0/bat/{n}", json.dumps(envelope(d, t)), "topic"),
    lambda n, d, t: (f"foxtrackr/{d}/V9.0/bat", json.dumps(envelope(d, t)), "version"),
    lambda n, d, t: (f"foxtrackr/{d}/V3.0/temp", json.dumps({"n": n}), "envelope"),
    lambda n, d, t: (f"foxtrackr/{d}/V3.0/bat", json.dumps(envelope(d, t)), "body"),
    lambda n, d, t: (f"foxtrackr/{d}/V3.0/bat",
                     json.dumps(envelope(d, n, battery={"voltage": 3.5})), "time"),
]
"""(number, device, time) -> topic, payload, reason. Each is unique by its number or its time."""
