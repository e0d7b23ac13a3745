"""Every message becomes exactly one row, of the right kind."""

import hashlib
import json
import struct

import pytest

import fleet
from foxtrackrd import CLIENT_ID, foxtrackrctl
from harness import change, check_sound, query, value, wait_until

DAY_MS = 86_400_000


@pytest.mark.parametrize("registered_by", ["daemon", "another client"])
def test_offline_backlog_arrives_complete(broker, daemon, registered_by):
    """
    Goal: what the broker kept while the daemon was away is in the database exactly, value by
    value, and the accounting of the run adds up to the number of messages published.
    """
    if registered_by == "daemon":
        daemon.start()
        daemon.stop()
    else:
        fleet.register(broker, CLIENT_ID, daemon.password_path)
    manifest = fleet.play(broker, messages=4800, garbage=120, other=80)

    daemon.start()
    daemon.wait_received(manifest.messages)
    daemon.stop()

    manifest.check(daemon.database)
    manifest.check_counts(daemon.database)
    check_sound(daemon.database)
    assert query(daemon.database, "SELECT * FROM gaps") == []


def test_live_messages_arrive_over_tls(broker, daemon):
    """Goal: the same for messages that are published while the daemon is connected."""
    daemon.start()
    manifest = fleet.play(broker, tls=True, messages=400, garbage=30, other=10, group_topics=True)
    daemon.wait_received(manifest.messages)
    daemon.stop()

    manifest.check(daemon.database)
    manifest.check_counts(daemon.database)


def test_device_and_group_topics_give_one_row_and_a_membership(broker, daemon):
    """
    Goal: a reading that comes on its device's topic and on its group's is one row, and the group
    is known; the second message is counted as a duplicate.
    """
    daemon.start()
    manifest = fleet.play(broker, messages=240, devices=6, groups=2, group_topics=True)
    daemon.wait_received(manifest.messages)
    daemon.stop()

    assert manifest.messages == 480
    manifest.check(daemon.database)
    manifest.check_counts(daemon.database)
    assert query(daemon.database, """SELECT group_name, count(*) FROM device_groups
                                     GROUP BY group_name ORDER BY group_name""") \
        == [("depot-north", 3), ("depot-south", 3)]


def test_every_quality_of_service_is_taken(broker, daemon):
    """Goal: the delivered QoS is the lower of two, so QoS 0 and 1 messages are stored as well."""
    daemon.start()
    now = fleet.now_ms()
    for qos in (0, 1, 2):
        broker.publish("foxtrackr/q1/V3.0/bat", fleet.battery("q1", now + qos, 3.5), qos=qos)
    daemon.wait_rows(3)
    daemon.stop()

    assert query(daemon.database, "SELECT time_ms - ? FROM battery ORDER BY 1", now) \
        == [(0,), (1,), (2,)]


def test_retained_message_that_comes_again_is_a_duplicate(broker, daemon):
    """Goal: a new subscription brings retained messages again; that makes no second row."""
    now = fleet.now_ms()
    broker.publish("foxtrackr/r1/V3.0/bat", fleet.battery("r1", now, 3.5), retain=True)
    daemon.start()
    daemon.wait_rows(1)
    daemon.stop()

    daemon.configure(session={"filters": "foxtrackr/+/V3.0/bat"})
    daemon.start()
    daemon.wait_received(2)
    daemon.stop()

    assert query(daemon.database, "SELECT time_ms, voltage_v FROM battery") == [(now, 3.5)]
    assert query(daemon.database, "SELECT received, stored, duplicate FROM runs ORDER BY run") \
        == [(1, 1, 0), (1, 0, 1)]


def test_unknown_type_is_kept_whole(broker, daemon):
    """Goal: data of a type that nobody knew is in `messages`, as it came, and can be queried."""
    now = fleet.now_ms()
    body = json.dumps({"messageType": 9, "deviceId": "u1", "version": 3, "timeMs": now,
                       "gps": {"lat": 52.1, "lon": 4.9}, "ä": [1, None, "😀"]}, ensure_ascii=False)
    daemon.start()
    broker.publish("foxtrackr/u1/V3.1/gps", body)
    broker.publish("foxtrackr/u1/V3.1/gps", body)
    daemon.wait_received(2)
    daemon.stop()

    assert query(daemon.database, """
        SELECT type, time_ms, version, message_type, body, CAST(body -> 'gps' ->> 'lat' AS double precision)
          FROM messages""") \
        == [("gps", now, "V3.1", 9, body, 52.1)]


def test_integer_device_id_and_both_objects(broker, daemon):
    """Goal: an integer deviceId is the same device as its text; a body with two objects, two rows."""
    now = fleet.now_ms()
    both = {"messageType": 3, "deviceId": 12345, "version": 3, "timeMs": float(now),
            "battery": 3.7, "temperature": {"celsius": -4.5}}
    daemon.start()
    broker.publish("Foxtrackr/12345/v3.0/bat", json.dumps(both))
    broker.publish("foxtrackr/12345/V3.0/bat", fleet.battery("12345", now + 1, 3.6))
    daemon.wait_rows(1)
    daemon.stop()
    # The first is on another topic than the subscription asks for: topics match with case.
    assert query(daemon.database, "SELECT count(*) FROM battery") == [(1,)]

    daemon.configure(session={"filters": "foxtrackr/#, Foxtrackr/#"})
    daemon.start()
    broker.publish("Foxtrackr/12345/v3.0/bat", json.dumps(both))
    daemon.wait_received(2)
    daemon.stop()

    assert query(daemon.database, "SELECT family, device_id FROM devices") \
        == [("foxtrackr", "12345")]
    assert query(daemon.database, "SELECT time_ms, voltage_v FROM battery ORDER BY 1") \
        == [(now, 3.7), (now + 1, 3.6)]
    assert query(daemon.database, "SELECT time_ms, celsius FROM temperature") == [(now, -4.5)]


def test_what_cannot_be_understood_is_quarantined_byte_for_byte(broker, daemon):
    """
    Goal: each reason there is leads to its row in quarantine with the bytes that came; of an
    oversize payload the beginning is there, and its length and digest; the messages around them
    are not affected.
    """
    daemon.start()
    manifest = fleet.play(broker, messages=60, garbage=45, oversize=2)
    daemon.wait_received(manifest.messages)
    daemon.stop()

    manifest.check(daemon.database)
    manifest.check_counts(daemon.database)
    reasons = {reason for reason, in query(daemon.database, "SELECT reason FROM quarantine")}
    assert reasons == {"topic", "version", "encoding", "json", "envelope", "body", "time",
                       "conflict", "oversize"}
    assert query(daemon.database, "SELECT count(*) FROM quarantine WHERE detail = ''") == [(0,)]
    details = query(daemon.database,
                    "SELECT payload, detail FROM quarantine WHERE reason = 'oversize'")
    whole = [bytes.fromhex(row["payload"]) for row in manifest.rows
             if row.get("reason") == "oversize"]
    assert len(whole) == len(details) == 2
    for payload in whole:
        detail = next(text for text in (d for _, d in details) if str(len(payload)) in text)
        assert hashlib.sha256(payload).hexdigest() in detail


def test_payload_far_over_the_limit(broker, make_daemon):
    """Goal: a payload larger than everything the daemon keeps in memory does not stop it."""
    daemon = make_daemon(broker, parser={"max_payload": "4KiB"}).start()
    huge = bytes(range(256)) * (24 << 12)  # 24 MiB
    now = fleet.now_ms()
    broker.publish("foxtrackr/h1/V3.0/bat", huge)
    broker.publish("foxtrackr/h1/V3.0/bat", fleet.battery("h1", now))
    daemon.wait_rows(2)
    daemon.stop()

    [(payload, detail)] = query(daemon.database, "SELECT payload, detail FROM quarantine")
    assert payload == huge[:4096]
    assert str(len(huge)) in detail and hashlib.sha256(huge).hexdigest() in detail
    assert value(daemon.database, "SELECT time_ms FROM battery") == now


def test_oversize_payloads_with_one_beginning(broker, make_daemon):
    """
    Goal: payloads over the limit that begin alike are an entry each, also beside a complete one that
    ends there; the same again counts up; the complete one is replayed.
    """
    daemon = make_daemon(broker, parser={"max_payload": "4KiB"}).start()
    complete = fleet.battery("h1", fleet.now_ms() + 48 * 3_600_000).encode()
    complete += b" " * (4096 - len(complete))
    payloads = [complete, complete + b" ", complete + b"x", complete + b" " * 4096]
    topic = "foxtrackr/h1/V3.0/bat"
    for payload in (*payloads, payloads[2], payloads[0]):
        broker.publish(topic, payload)
    daemon.wait_received(len(payloads) + 2)

    rows = query(daemon.database, "SELECT payload, reason, detail, occurrences FROM quarantine")
    assert all(row[0] == complete for row in rows) and len(rows) == len(payloads), rows
    assert sorted((row[1], row[3]) for row in rows) == [
        ("oversize", 1), ("oversize", 1), ("oversize", 2), ("time", 2)]
    details = [row[2] for row in rows if row[1] == "oversize"]
    for payload in payloads[1:]:
        assert sum(f"of {len(payload)} bytes" in detail
                   and hashlib.sha256(payload).hexdigest() in detail for detail in details) == 1
    daemon.configure(parser={"max_payload": "4KiB", "max_future": "10d"})
    assert foxtrackrctl(daemon, "replay").returncode == 0
    assert query(daemon.database, "SELECT reason, count(*) FROM quarantine GROUP BY 1") == [
        ("oversize", 3)]
    assert value(daemon.database, "SELECT count(*) FROM battery") == 1
    daemon.stop()
    # An entry of the key that foxtrackrd wrote before is sound, and one of a wrong key is not.
    old = hashlib.sha256(struct.pack(">Q", len(topic)) + topic.encode() + complete).digest()
    for digest, code in ((old, 0), (bytes(32), 1)):
        change(daemon.database, "UPDATE quarantine SET digest = ? WHERE detail LIKE '%4097 bytes%'"
               " AND occurrences = 1", digest)
        assert foxtrackrctl(daemon, "verify", check=False).returncode == code


def test_repeated_garbage_counts_up(broker, daemon):
    """Goal: garbage that comes again is one row that says how often and when last."""
    daemon.start()
    for _ in range(3):
        broker.publish("foxtrackr/g1/V3.0/bat", b"\x00\xff")
    daemon.wait_received(3)
    daemon.stop()

    assert query(daemon.database, """
        SELECT payload, reason, occurrences, last_received_ms >= first_received_ms
          FROM quarantine""") == [(b"\x00\xff", "encoding", 3, 1)]


def test_empty_payload(broker, daemon):
    """Goal: an empty payload (which clears a retained message) is kept, for a reason of its own."""
    daemon.start()
    broker.publish("foxtrackr/e1/V3.0/bat", b"")
    daemon.wait_rows(1)
    daemon.stop()

    assert query(daemon.database, "SELECT payload, reason FROM quarantine") == [(b"", "empty")]


def test_two_sessions_fill_one_database(broker, make_daemon):
    """
    Goal: sessions with disjoint filters share one writer: both queues arrive complete, and the
    status names both.
    """
    sections = {"session": None,
                "session batteries": {"given": "test", "number": "01",
                                      "filters": "foxtrackr/+/V3.0/bat"},
                "session temperatures": {"given": "test", "number": "02",
                                         "filters": "foxtrackr/+/V3.0/temp"}}
    daemon = make_daemon(broker, **sections)
    daemon.start()
    daemon.stop()
    manifest = fleet.play(broker, messages=4000)

    daemon.start()
    daemon.wait_received(manifest.messages)
    wait_until(lambda: sum(s["received"] for s in daemon.status()["sessions"]) == 4000,
               what="both sessions' counts in the status file")
    status = daemon.status()
    daemon.stop()

    manifest.check(daemon.database)
    manifest.check_counts(daemon.database)
    assert {s["name"]: (s["client_id"], s["received"]) for s in status["sessions"]} \
        == {"batteries": ("id-test-01", 2000), "temperatures": ("id-test-02", 2000)}
