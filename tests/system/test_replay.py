"""foxtrackrctl replay: what was not understood gets another try, and nothing is lost or doubled."""

import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import threading

import pytest

import engines
import fleet
from foxtrackrd import foxtrackrctl
from harness import (FOXTRACKRCTL, PATIENCE, change, change_many, check_sound, count_rows, db, locked, query, slow_disk,
                     value, wait_until)

DAY_MS = 86_400_000
SLOW_US = 50_000
SLOW = slow_disk(sync_us=SLOW_US)
"""For a replay that must be ended in the middle: each of its transactions takes so long at least."""


def quarantine_of(path):
    """Every row but its reason and detail, by digest."""
    with db(path) as connection:
        return {row["digest"]: tuple(row[name] for name in (
            "topic", "payload", "first_received_ms", "last_received_ms", "occurrences"))
            for row in connection.execute("SELECT * FROM quarantine")}


def runs_of(path):
    return query(path, "SELECT received, stored, duplicate, quarantined FROM runs")


def put_in_quarantine(path, bodies, reason="time", received_ms=None):
    """Quarantine (topic, body) pairs as an older daemon, or one with another configuration, did."""
    received_ms = received_ms or fleet.now_ms()
    rows = []
    for topic, body in bodies:
        topic_bytes, body = topic.encode(), body.encode()
        digest = hashlib.sha256(len(topic_bytes).to_bytes(8, "big") + topic_bytes + body).digest()
        rows.append((digest, topic, body, reason, received_ms, received_ms))
    change_many(path, "INSERT INTO quarantine (digest, topic, payload, reason, detail, first_received_ms, last_received_ms,"
                      " occurrences) VALUES (?, ?, ?, ?, 'old', ?, ?, 1)", rows)
    change(path, "UPDATE runs SET received = received + ?, quarantined = quarantined + ?"
                 " WHERE run = (SELECT max(run) FROM runs)", len(bodies), len(bodies))


def summary(done):
    """The table of the summary: {source: [examined, moved, duplicate, conflict, kept]}."""
    rows = (line.split() for line in done.stdout.splitlines())
    return {row[0]: [int(n) for n in row[1:]] for row in rows
            if len(row) == 6 and row[1].isdigit()}


def test_replay_moves_what_is_understood_now(broker, daemon):
    """
    Goal: after max_future was raised, messages with those times become rows, with the time of their
    arrival, their device and their group; everything else stays byte for byte, and the runs tell
    the same as before.
    """
    daemon.start()
    manifest = fleet.play(broker, messages=100, garbage=160, other=10)
    daemon.wait_received(manifest.messages)
    late = fleet.now_ms() + 3 * DAY_MS
    broker.publish("foxtrackr/depot/V3.0/bat", fleet.battery("late", late, 3.7))
    broker.publish("foxtrackr/late/V3.0/bat", fleet.battery("late", late, 3.7))
    broker.publish("foxtrackr/late/V3.0/bat", fleet.battery("late", late, 3.6))
    daemon.wait_received(manifest.messages + 3)
    before, runs = quarantine_of(daemon.database), runs_of(daemon.database)
    arrived = min(first for payload, first in query(daemon.database, "SELECT payload, first_received_ms FROM quarantine")
                  if b'"late"' in payload)
    assert query(daemon.database, "SELECT * FROM devices WHERE device_id = 'late'") == []

    nothing = summary(foxtrackrctl(daemon, "replay"))
    assert nothing["together"][1:4] == [0, 0, nothing["conflict"][3]]
    assert quarantine_of(daemon.database) == before

    daemon.configure(parser={"max_future": "4d"})
    daemon.reload()
    dry = foxtrackrctl(daemon, "replay", "--dry-run")
    assert "nothing was changed" in dry.stdout
    assert summary(dry)["time"][1] == 3  # one by one each would be moved
    assert quarantine_of(daemon.database) == before

    done = summary(foxtrackrctl(daemon, "replay", "--reason", "time"))
    assert list(done) == ["time", "together"]
    # Whichever of the readings comes first is the row; its other copy is the same, the third is not.
    assert done["time"][1] == 1 and sum(done["time"][2:4]) == 2
    assert query(daemon.database, "SELECT received_ms BETWEEN ? AND ? FROM battery JOIN devices"
                                  " USING (device) WHERE device_id = 'late' AND time_ms = ?",
                 arrived, fleet.now_ms(), late) == [(1,)]
    assert query(daemon.database, "SELECT group_name FROM device_groups JOIN devices"
                                  " USING (device) WHERE device_id = 'late'") == [("depot",)]
    [(first_seen,)] = query(daemon.database,
                            "SELECT first_seen_ms FROM devices WHERE device_id = 'late'")
    assert first_seen >= arrived
    after = quarantine_of(daemon.database)
    assert after.items() <= before.items()
    assert len(before) - len(after) == done["time"][1] + done["time"][2]
    conflicts = query(daemon.database, "SELECT detail FROM quarantine WHERE reason = 'conflict'"
                                       " AND detail LIKE '%3.6%' AND detail LIKE '%3.7%'")
    assert len(conflicts) >= 1
    assert runs_of(daemon.database) == runs

    again = summary(foxtrackrctl(daemon, "replay"))
    assert again["together"][1:3] == [0, 0] and quarantine_of(daemon.database) == after
    # The broker sends one again: it is a duplicate, not a new message in quarantine.
    broker.publish("foxtrackr/late/V3.0/bat", fleet.battery("late", late, value(
        daemon.database, "SELECT voltage_v FROM battery JOIN devices USING (device)"
                         " WHERE device_id = 'late'")))
    daemon.wait_received(manifest.messages + 4)
    assert len(quarantine_of(daemon.database)) == len(after)
    assert foxtrackrctl(daemon, "verify").returncode == 0
    daemon.stop()


def test_replay_corrects_first_seen(daemon):
    """Goal: a device and a group were first seen when their first message came, understood or not."""
    daemon.start()
    daemon.stop()
    now = fleet.now_ms()
    change(daemon.database, "INSERT INTO devices VALUES (1, 'foxtrackr', 'old', ?)", now)
    change(daemon.database, "INSERT INTO device_groups VALUES ('herd', 1, ?)", now)
    put_in_quarantine(daemon.database, [
        ("foxtrackr/herd/V3.0/bat", fleet.battery("old", now - 1000))], received_ms=now - 500)
    foxtrackrctl(daemon, "replay")
    assert query(daemon.database, "SELECT d.first_seen_ms, g.first_seen_ms, received_ms FROM devices d"
                                  " JOIN device_groups g USING (device) JOIN battery USING (device)") \
        == [(now - 500, now - 500, now - 500)]


def test_replay_judges_by_the_clock_of_now(daemon):
    """
    Goal: a time that lay in the future by the clock of its arrival, and does not now, is right: that
    clock was behind. What lies in the future now stays, untouched, until max_future lets it pass.
    """
    daemon.start()
    daemon.stop()
    now = fleet.now_ms()
    put_in_quarantine(daemon.database, [
        ("foxtrackr/a/V3.0/bat", fleet.battery("a", now - DAY_MS))], received_ms=now - 9 * DAY_MS)
    put_in_quarantine(daemon.database, [
        ("foxtrackr/a/V3.0/bat", fleet.battery("a", now + 9 * DAY_MS))], received_ms=now)
    assert summary(foxtrackrctl(daemon, "replay"))["time"] == [2, 1, 0, 0, 1]
    assert query(daemon.database, "SELECT detail, last_received_ms FROM quarantine") == [("old", now)]
    daemon.configure(parser={"max_future": "30d"})
    assert summary(foxtrackrctl(daemon, "replay"))["time"] == [1, 1, 0, 0, 0]


def test_replay_of_messages(daemon):
    """Goal: a type that had no columns when it came gets them; what has none now stays."""
    daemon.start()
    daemon.stop()
    now = fleet.now_ms()
    change(daemon.database, "INSERT INTO devices VALUES (1, 'foxtrackr', 'm/1', 5)")
    bodies = [("temp", fleet.temperature("m/1", now, 4.5, rssi=-3)), ("gps", fleet.temperature("m/1", now, 4.5))]
    if not engines.POSTGRESQL:  # which has a type for it
        bodies.append(("bat", "no JSON any more"))
    for type_, body in bodies:
        change(daemon.database, "INSERT INTO messages VALUES (1, ?, ?, 'V3.0', 2, ?, ?, ?)", type_,
               now, body, hashlib.sha256(body.encode()).digest(), now + 77)
    assert summary(foxtrackrctl(daemon, "replay"))["messages"] == [len(bodies), 1, 0, 0, len(bodies) - 1]
    assert query(daemon.database, "SELECT time_ms, celsius, extra, received_ms FROM temperature") \
        == [(now, 4.5, '{"rssi":-3}', now + 77)]
    assert query(daemon.database, "SELECT type FROM messages ORDER BY type DESC") == [(kind,) for kind, _ in bodies[1:]]
    assert query(daemon.database, "SELECT * FROM device_groups") == []


def test_replay_fills_columns_from_extra(broker, daemon):
    """
    Goal: a mapping that is added later fills the column of the rows that are there, as if they came
    today: the same message is a duplicate then. Values that are there stay.
    """
    daemon.start()
    now = fleet.now_ms()
    old = {"messageType": 1, "deviceId": "x", "version": 3, "timeMs": now,
           "battery": {"akku": 3650, "rssi": -70}}
    both = {**old, "timeMs": now + 1, "temperature": {"kelvin": 280}}
    full = {**old, "timeMs": now + 2, "battery": {"voltage": 3.1, "akku": 9, "level": 50}}
    only = {**old, "timeMs": now + 3, "battery": {"akku": 3000}}
    bodies = [json.dumps(body) for body in (old, both, full, only)]
    for body in bodies:
        broker.publish("foxtrackr/x/V3.0/bat", body)
    daemon.wait_received(4)
    daemon.configure(fields={"battery.voltage_v": "battery.akku * 0.001",
                             "temperature.celsius": "temperature.kelvin"})
    daemon.reload()
    assert summary(foxtrackrctl(daemon, "replay", "--dry-run"))["battery.extra"][:2] == [3, 3]
    done = summary(foxtrackrctl(daemon, "replay"))
    assert done["battery.extra"] == [3, 3, 0, 0, 0]
    assert done["temperature.extra"] == [1, 1, 0, 0, 0]
    assert query(daemon.database, "SELECT voltage_v, level_pct, extra FROM battery ORDER BY time_ms") \
        == [(3.65, None, '{"battery":{"rssi":-70}}'), (3.65, None, '{"battery":{"rssi":-70}}'),
            (3.1, 50, '{"battery":{"akku":9}}'), (3.0, None, None)]
    assert query(daemon.database, "SELECT celsius, extra FROM temperature") == [(280, None)]
    for body in (bodies[0], bodies[1], bodies[3]):
        broker.publish("foxtrackr/x/V3.0/bat", body)
    daemon.wait_received(7)
    assert query(daemon.database, "SELECT stored, duplicate FROM runs") == [(4, 3)]
    assert summary(foxtrackrctl(daemon, "replay"))["battery.extra"] == [2, 0, 0, 0, 2]
    daemon.stop()


def test_replay_says_what_it_cannot(broker, daemon):
    """Goal: oversize messages and unknown reasons are explained."""
    daemon.start()
    broker.publish("foxtrackr/a/V3.0/bat", "x" * 300_000)
    daemon.wait_received(1)
    done = foxtrackrctl(daemon, "replay")
    assert summary(done)["oversize"] == [1, 0, 0, 0, 1] and "only their beginning" in done.stdout
    for reason, words in (("oversize", "only their beginning"), ("mood", "conflict")):
        done = foxtrackrctl(daemon, "replay", "--reason", reason, check=False)
        assert done.returncode == 64 and words in done.stderr
    daemon.stop()


def test_replay_without_a_database(daemon):
    """Goal: a database that is not there, or has no tables, is said, and not made."""
    done = foxtrackrctl(daemon, "replay", check=False)
    assert done.returncode == 66, done
    assert ("start foxtrackrd once" if engines.POSTGRESQL else "No such file") in done.stderr
    assert not daemon.database.exists() and value(daemon.database, "SELECT count(*) FROM runs") is None


@pytest.fixture
def many(daemon):
    """A database with 3000 messages in quarantine that are understood by now. Their bodies."""
    daemon.start()
    daemon.stop()
    now = fleet.now_ms()
    bodies = [(f"foxtrackr/{n % 40}/V3.0/bat", fleet.battery(str(n % 40), now - n, 3 + n / 10000))
              for n in range(3000)]
    put_in_quarantine(daemon.database, bodies, "json")
    engines.slow_commits(daemon.database, SLOW_US)
    return bodies


def check_all_there(path, bodies):
    """Each message is in one place, once."""
    expected = sorted((json.loads(body)["deviceId"], json.loads(body)["timeMs"])
                      for _, body in bodies)
    rows = query(path, "SELECT device_id, time_ms FROM battery JOIN devices USING (device)")
    kept = [(json.loads(body)["deviceId"], json.loads(body)["timeMs"])
            for (body,) in query(path, "SELECT payload FROM quarantine")]
    assert sorted(rows + kept) == expected
    check_sound(path)


def test_replay_killed_at_random(daemon, many):
    """Goal: kill -9 at any moment: every message is in quarantine or a row, never both or neither."""
    chance = random.Random(5)
    moved = 0
    for _ in range(6):
        process = subprocess.Popen([FOXTRACKRCTL, "-c", daemon.config, "replay"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env={**os.environ, **SLOW})
        goal = moved + chance.randrange(1, 400)
        wait_until(lambda: value(daemon.database, "SELECT count(*) FROM battery") >= goal,
                   every=0.001, what=f"{goal} rows")
        process.kill()
        process.wait(30)
        check_all_there(daemon.database, many)
        before, moved = moved, value(daemon.database, "SELECT count(*) FROM battery")
        assert before < moved < len(many), "it was not killed in the middle"
    done = summary(foxtrackrctl(daemon, "replay"))
    assert done["json"][:3] == [len(many) - moved, len(many) - moved, 0]
    check_all_there(daemon.database, many)
    assert query(daemon.database, "SELECT count(*) FROM quarantine") == [(0,)]


def test_replay_interrupted(daemon, many):
    """Goal: Ctrl-C ends it between two transactions, with a summary of what is done."""
    process = subprocess.Popen([FOXTRACKRCTL, "-c", daemon.config, "replay"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, **SLOW})
    wait_until(lambda: value(daemon.database, "SELECT count(*) FROM battery") > 0, every=0.001)
    process.terminate()
    out, err = process.communicate(timeout=30 * PATIENCE)
    assert process.returncode == 1 and "stopped" in err
    moved = value(daemon.database, "SELECT count(*) FROM battery")
    assert 0 < moved < len(many)
    assert f" {moved} " in out
    check_all_there(daemon.database, many)


def test_replay_leaves_another_file_alone(daemon):
    """
    Goal: an older copy that is written over the database while replay is at work is not mixed with
    what replay writes: it stays byte for byte, and replay says what has happened.
    """
    daemon.start()
    daemon.stop()
    copy = daemon.directory / "copy.db"
    copy.write_bytes(daemon.database.read_bytes())
    now = fleet.now_ms()
    put_in_quarantine(daemon.database, [
        (f"foxtrackr/{n}/V3.0/bat", fleet.battery(str(n), now - n, 3.5)) for n in range(250)], "json")
    # Replay reads all of them, and then makes three transactions of some slow writes each.
    process = subprocess.Popen([FOXTRACKRCTL, "-c", daemon.config, "replay"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, **slow_disk(write_us=400_000)})
    wait_until(lambda: value(daemon.database, "SELECT count(*) FROM battery") > 0, every=0.001)
    with open(daemon.database, "r+b") as database:  # as cp does it
        database.truncate(0)
        database.write(copy.read_bytes())
    out, err = process.communicate(timeout=30 * PATIENCE)
    assert process.returncode == 74 and "another file was written into it" in err, (out, err)
    assert "lacks what foxtrackrd has put there" in err
    assert daemon.database.read_bytes() == copy.read_bytes()
    assert pathlib.Path(f"{daemon.database}-wal").stat().st_size > 0


def test_replay_beside_a_busy_daemon(broker, daemon, many):
    """
    Goal: daemon and replay write at the same time; neither fails, two replays do not either, and
    every message of both is there once.
    """
    daemon.configure(database={"busy_timeout": "500ms"})
    daemon.start()
    manifests = []
    end = threading.Event()

    def publish():
        while not end.is_set():
            manifests.append(fleet.play(
                broker, manifest=daemon.directory / f"manifest-{len(manifests)}", messages=300,
                seed=len(manifests), end_ms=fleet.now_ms() - 8 * DAY_MS * (1 + len(manifests))))

    writer = threading.Thread(target=publish)
    writer.start()
    try:
        daemon.wait_rows(len(many) + 100)
        both = [subprocess.Popen([FOXTRACKRCTL, "-c", daemon.config, "replay"], text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                for _ in range(2)]
        said = [process.communicate(timeout=60 * PATIENCE) for process in both]
        assert [process.returncode for process in both] == [0, 0], said
    finally:
        end.set()
        writer.join()
    received = sum(one.messages for one in manifests)
    daemon.wait_received(received + len(many))
    assert "database" not in daemon.log()
    daemon.stop()
    assert query(daemon.database, "SELECT count(*) FROM quarantine WHERE reason = 'json'") == [(0,)]
    assert count_rows(daemon.database) == len(many) + sum(one.row_count for one in manifests)
    check_sound(daemon.database)
    assert foxtrackrctl(daemon, "verify").returncode == 0


FULL_STATE = [
    ("foxtrackr/mx/V3.0/bat", {"messageType": 1, "battery": {"voltage": 3.6}}),
    # The full state beside a temperature: the same battery reading in a message of another type.
    ("foxtrackr/mx/V3.0/temp", {"messageType": 2, "battery": {"voltage": 3.6},
                                "temperature": {"celsius": 20}}),
    # Another voltage for that time: the battery reading conflicts, the temperature is the same.
    ("foxtrackr/mx/V3.0/temp", {"messageType": 3, "battery": {"voltage": 3.5},
                                "temperature": {"celsius": 20}}),
    ("foxtrackr/my/V3.0/bat", {"messageType": 1, "battery": {"voltage": 3.6}}),
    # The battery reading conflicts, the temperature is new.
    ("foxtrackr/my/V3.0/temp", {"messageType": 2, "battery": {"voltage": 3.5},
                                "temperature": {"celsius": 21}}),
]


def test_each_reading_of_a_message_is_judged_by_itself(broker, daemon):
    """
    Goal: a battery reading that conflicts leaves the temperature beside it its row; the message is
    in quarantine too, counted once; replay says the same however often it runs, and gives the other
    reading its row as soon as there is room for it.
    """
    daemon.start()
    now = fleet.now_ms()
    for topic, body in FULL_STATE:
        broker.publish(topic, json.dumps({"deviceId": topic.split("/")[1], "version": 3,
                                          "timeMs": now, **body}))
    # One reading on the topics of device and group, in two spellings.
    broker.publish("foxtrackr/gd/V3.0/bat", '{"messageType":1,"deviceId":"gd","version":3,'
                   '"timeMs":%d,"battery":{"voltage":3.6},"hdop":1.0}' % now)
    broker.publish("foxtrackr/herd/V3.0/bat", '{"hdop":1,"battery":{"voltage":3.60},'
                   '"timeMs":%d,"version":3,"deviceId":"gd","messageType":7}' % now)
    daemon.wait_received(7)

    def rows():
        return (query(daemon.database, "SELECT device_id, voltage_v, message_type FROM battery"
                                       " JOIN devices USING (device) ORDER BY device_id"),
                query(daemon.database, "SELECT device_id, celsius FROM temperature"
                                       " JOIN devices USING (device) ORDER BY device_id"),
                query(daemon.database, "SELECT reason, detail, occurrences FROM quarantine"
                                       " ORDER BY payload"))

    detail = ("battery.voltage_v is 3.6 for this device and time, the message says 3.5;"
              " its temperature is stored")
    expected = ([("gd", 3.6, 1), ("mx", 3.6, 1), ("my", 3.6, 1)], [("mx", 20.0), ("my", 21.0)],
                [("conflict", detail, 1), ("conflict", detail, 1)])
    assert rows() == expected
    assert query(daemon.database, "SELECT group_name FROM device_groups") == [("herd",)]
    # Stored: mx battery, mx temperature, my battery, gd; a duplicate: gd of the herd.
    assert runs_of(daemon.database) == [(7, 4, 1, 2)]
    for _ in range(2):
        for option in (["--dry-run"], []):
            assert summary(foxtrackrctl(daemon, "replay", *option))["conflict"] == [2, 0, 0, 2, 0]
            assert rows() == expected
    assert foxtrackrctl(daemon, "verify").returncode == 0

    change(daemon.database, "DELETE FROM battery WHERE device ="
                            " (SELECT device FROM devices WHERE device_id = 'my')")
    assert summary(foxtrackrctl(daemon, "replay"))["conflict"] == [2, 1, 0, 1, 0]
    assert rows() == ([("gd", 3.6, 1), ("mx", 3.6, 1), ("my", 3.5, 2)], expected[1],
                      expected[2][:1])
    assert foxtrackrctl(daemon, "verify").returncode == 0
    assert runs_of(daemon.database) == [(7, 4, 1, 2)]
    daemon.stop()


@pytest.mark.parametrize("command", [["replay"], ["replay", "--dry-run"], ["verify"]])
def test_ctrl_c_ends_every_wait(broker, daemon, command):
    """Goal: Ctrl-C ends a command that waits for another program's transaction, soon."""
    daemon.start()
    broker.publish("foxtrackr/d/V3.0/bat", b"no JSON")
    daemon.wait_received(1)
    daemon.stop()
    change(daemon.database, "UPDATE quarantine SET detail = 'of an older version'")  # work for replay
    with locked(daemon.database, readers=command != ["replay"]):
        process = subprocess.Popen(
            [FOXTRACKRCTL, "-c", daemon.config, *command], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: handles(process.pid, signal.SIGINT), what="a handler of SIGINT")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10 * PATIENCE)
        finally:
            process.kill()
            process.wait()
    assert process.returncode != 0 and "stopped" in out + err, (out, err)


def handles(pid, number):
    """True if the process has a handler for this signal."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
    return mask >> (number - 1) & 1 == 1
