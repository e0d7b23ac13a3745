#!/usr/bin/python3 -B
"""
Publishes numbered readings to a real broker, at a steady rate or as fast as it takes them.
Message n is of device n % devices and has the time FIRST_TIME_MS + n, so that its row tells which
it was. With --times, the moment of each publish (CLOCK_MONOTONIC, ns) is written, a line each.
"""

import argparse
import json
import pathlib
import threading
import time

from python_client import make_client

FIRST_TIME_MS = 1_700_000_000_000
LIMIT_S = 900


def message(number, devices):
    device = f"d{number % devices}"
    body = {"messageType": 1, "deviceId": device, "version": 3, "timeMs": FIRST_TIME_MS + number}
    if number % 2:
        body["temperature"] = {"celsius": number % 500 / 10}
    else:
        body["battery"] = {"voltage": 3 + number % 1000 / 1000, "level": number % 101}
    return f"foxtrackr/{device}/V3.0/{'temp' if number % 2 else 'bat'}", json.dumps(body)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=0, help="messages a second; 0: all it takes")
    parser.add_argument("--times", type=pathlib.Path)
    chosen = parser.parse_args()

    done = threading.Semaphore(0)
    room = threading.Semaphore(1000)    # paho keeps what waits in memory, and searches it

    def on_publish(*_):
        done.release()
        room.release()

    client = make_client("bench-publisher", clean_session=True)
    client.tls_set(ca_certs=chosen.ca)
    client.on_publish = on_publish
    client.max_queued_messages_set(0)
    client.connect("localhost", chosen.port)
    client.loop_start()
    while not client.is_connected():
        time.sleep(0.01)

    times = []
    begun = time.monotonic()
    for number in range(chosen.count):
        if chosen.rate:
            time.sleep(max(0.0, begun + number / chosen.rate - time.monotonic()))
        room.acquire()
        topic, payload = message(number, chosen.devices)
        times.append(time.monotonic_ns())
        client.publish(topic, payload, qos=2)
    deadline = time.monotonic() + LIMIT_S
    for _ in range(chosen.count):
        if not done.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise SystemExit("not everything was taken by the broker")
    client.disconnect()
    client.loop_stop()
    if chosen.times:
        chosen.times.write_text("\n".join(map(str, times)) + "\n")


if __name__ == "__main__":
    main()
