#!/usr/bin/python3 -B
"""
Contestant (e): what one writes in Python in an afternoon, with Debian's python3-paho-mqtt and
sqlite3. It gathers 500 messages for a transaction, which is what makes it fast. paho acknowledges
each when on_message returns, so up to 500 acknowledged messages are only in memory.
"""

import argparse
import json
import signal
import sqlite3
import time

import paho.mqtt.client as mqtt

BATCH = 500
IDLE_S = 1.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS battery (device_id TEXT, time_ms INTEGER, voltage REAL, level REAL,
                                    PRIMARY KEY (device_id, time_ms));
CREATE TABLE IF NOT EXISTS temperature (device_id TEXT, time_ms INTEGER, celsius REAL,
                                        PRIMARY KEY (device_id, time_ms));
"""


def make_client(client_id, clean_session=False):
    """paho-mqtt 1.6 (Debian 12) and 2.x (Debian 13) differ in the first argument."""
    first = [mqtt.CallbackAPIVersion.VERSION2] if hasattr(mqtt, "CallbackAPIVersion") else []
    return mqtt.Client(*first, client_id=client_id, clean_session=clean_session)


class Store:
    """Rows wait here until there are enough of them, or nothing has been written for a while."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.executescript(SCHEMA)
        self.battery, self.temperature = [], []
        self.written = time.monotonic()

    def add(self, topic, payload):
        body = json.loads(payload)
        key = body["deviceId"], body["timeMs"]
        if topic.endswith("/bat"):
            values = body["battery"]
            self.battery.append((*key, values.get("voltage"), values.get("level")))
        elif topic.endswith("/temp"):
            self.temperature.append((*key, next(iter(body["temperature"].values()), None)))
        if len(self.battery) + len(self.temperature) >= BATCH:
            self.flush()

    def flush(self):
        self.connection.executemany("INSERT OR IGNORE INTO battery VALUES (?, ?, ?, ?)", self.battery)
        self.connection.executemany("INSERT OR IGNORE INTO temperature VALUES (?, ?, ?)",
                                    self.temperature)
        self.connection.commit()
        self.battery.clear()
        self.temperature.clear()
        self.written = time.monotonic()

    def flush_when_idle(self):
        if time.monotonic() - self.written > IDLE_S and (self.battery or self.temperature):
            self.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca")
    parser.add_argument("--client-id", required=True)
    parser.add_argument("--qos", type=int, default=2)
    parser.add_argument("--store", required=True, help="the SQLite file")
    chosen = parser.parse_args()

    store = Store(chosen.store)
    client = make_client(chosen.client_id)
    if chosen.ca:
        client.tls_set(ca_certs=chosen.ca)
    client.on_connect = lambda client, *_: client.subscribe("foxtrackr/#", chosen.qos)
    client.on_message = lambda _client, _userdata, message: store.add(message.topic, message.payload)
    client.connect("localhost", chosen.port)

    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    while not ended and client.loop(0.2) == mqtt.MQTT_ERR_SUCCESS:
        store.flush_when_idle()
    store.flush()


if __name__ == "__main__":
    main()
