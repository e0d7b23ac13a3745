"""The fleet player, and the comparison of a database with the player's manifest."""

import collections
import json
import os
import time

import broker as brokers
from harness import FLEET, db, run, sanitizer


def now_ms():
    return int(time.time() * 1000)


def battery(device, time_ms, volts=3.9, **more):
    """The body of a battery message."""
    body = {"messageType": 1, "deviceId": device, "version": 3, "timeMs": time_ms,
            "battery": {"voltage": volts}}
    return json.dumps({**body, **more})


def temperature(device, time_ms, celsius=21.5, **more):
    """The body of a temperature message."""
    body = {"messageType": 2, "deviceId": device, "version": 3, "timeMs": time_ms,
            "temperature": {"celsius": celsius}}
    return json.dumps({**body, **more})


def play(broker, manifest=None, *, tls=False, **options):
    """Publish a fleet's readings; options as the program's, with _ for -. Returns its manifest."""
    arguments = _connection(broker, tls, brokers.PUBLISHER, broker.password_path)
    path = manifest or broker.directory / "manifest.jsonl"
    _run(*arguments, "--manifest", path, *_options(options))
    return Manifest(path)


def register(broker, client_id, password_path, filters=("foxtrackr/#",), qos=2):
    """Make the durable session that the daemon will find."""
    arguments = _connection(broker, True, brokers.USER, password_path)
    for topic_filter in filters:
        arguments += ["--filter", topic_filter]
    _run(*arguments, "--register", client_id, "--sub-qos", qos)


def _run(*arguments):
    """When the program ends, a thread of Paho's may still be ending: LeakSanitizer does not see what
    OpenSSL keeps for it, and takes it for lost."""
    run(FLEET, *arguments, timeout=120, env={**os.environ, **sanitizer("detect_leaks=0")})


def _connection(broker, tls, user, password_path):
    arguments = ["--host", "localhost", "--username", user, "--password-file", password_path]
    if tls:
        return [*arguments, "--port", broker.tls_port, "--ca", broker.pki.certificate("ca")]
    return [*arguments, "--port", broker.plain_port, "--no-tls"]


def _options(options):
    arguments = []
    for name, value in options.items():
        name = "--" + name.replace("_", "-")
        arguments += [name] if value is True else [name, value]
    return arguments


def _canonical(text):
    return None if text is None else json.dumps(json.loads(text), sort_keys=True)


class Manifest:
    """The rows that the database must hold, and no others, once all messages have arrived."""

    def __init__(self, *paths):
        self.path = paths[0]
        self.rows = []
        for path in paths:
            with open(path, encoding="utf-8") as lines:
                self.rows += [json.loads(line) for line in lines]
        counted = [row for row in self.rows if row["table"] != "device_groups"]
        self.messages = sum(row["copies"] for row in counted)
        self.quarantined = sum(r["copies"] for r in counted if r["table"] == "quarantine")
        self.stored = sum(1 for row in counted if row["table"] != "quarantine")
        self.duplicate = self.messages - self.quarantined - self.stored
        self.row_count = len(counted)

    def expected(self):
        """Every row as a tuple that begins with its table."""
        rows = []
        for row in self.rows:
            table = row["table"]
            if table == "battery":
                rows.append((table, row["device"], row["time_ms"], row["message_type"],
                             row["voltage_v"], row["level_pct"],
                             json.dumps(row["extra"], sort_keys=True)))
            elif table == "temperature":
                rows.append((table, row["device"], row["time_ms"], row["message_type"],
                             row["celsius"], json.dumps(row["extra"], sort_keys=True)))
            elif table == "messages":
                rows.append((table, row["device"], row["type"], row["time_ms"],
                             row["message_type"], json.dumps(row["body"], sort_keys=True)))
            elif table == "device_groups":
                rows.append((table, row["device"], row["group"]))
            elif row["reason"] != "oversize":
                rows.append((table, row["reason"], row["topic"], bytes.fromhex(row["payload"])))
            else:
                rows.append((table, row["reason"], row["topic"],
                             bytes.fromhex(row["payload"])[:256 * 1024]))
            if table in ("battery", "temperature", "messages"):
                rows.append(("devices", "foxtrackr", row["device"]))
        return collections.Counter({row: 1 for row in rows})

    def check(self, path):
        """Fail unless the database holds exactly these rows."""
        actual = collections.Counter(read_rows(path))
        expected = self.expected()
        missing, surplus = expected - actual, actual - expected
        if missing or surplus:
            raise AssertionError(
                f"{sum(missing.values())} rows are missing, {sum(surplus.values())} are too many;\n"
                + "\n".join([f"missing: {row}" for row in list(missing)[:5]]
                            + [f"surplus: {row}" for row in list(surplus)[:5]]))
        with db(path) as connection:
            fewest = dict(connection.execute("SELECT payload, occurrences FROM quarantine"))
        for row in self.rows:
            if row["table"] == "quarantine" and row["reason"] != "oversize":
                assert fewest[bytes.fromhex(row["payload"])] >= row["copies"]

    def check_counts(self, path):
        """For an undisturbed delivery: each message arrived once and was counted as what it is."""
        with db(path) as connection:
            total = tuple(connection.execute(
                "SELECT sum(received), sum(stored), sum(duplicate), sum(quarantined) FROM runs")
                .fetchone())
        assert total == (self.messages, self.stored, self.duplicate, self.quarantined)


def read_rows(path):
    """The rows of a database in the form of Manifest.expected()."""
    with db(path) as c:
        for r in c.execute("SELECT family, device_id FROM devices"):
            yield ("devices", *r)
        for r in c.execute("SELECT device_id, time_ms, message_type, voltage_v, level_pct, extra "
                           "FROM battery JOIN devices USING (device)"):
            yield ("battery", *tuple(r)[:-1], _canonical(r["extra"]))
        for r in c.execute("SELECT device_id, time_ms, message_type, celsius, extra "
                           "FROM temperature JOIN devices USING (device)"):
            yield ("temperature", *tuple(r)[:-1], _canonical(r["extra"]))
        for r in c.execute("SELECT device_id, type, time_ms, message_type, body "
                           "FROM messages JOIN devices USING (device)"):
            yield ("messages", *tuple(r)[:-1], _canonical(r["body"]))
        for r in c.execute("SELECT device_id, group_name "
                           "FROM device_groups JOIN devices USING (device)"):
            yield ("device_groups", *r)
        for r in c.execute("SELECT reason, topic, payload FROM quarantine"):
            yield ("quarantine", *r)
